"""Patients of a crossover: every frequentist analysis beside every model under every prior.

Each gap between a posterior mean and the frequentist estimate of the same estimand is split into
parts that add up. Differences are positive when the active treatment is better, in score units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_ptsd.comparison.posteriors import PosteriorSource, label_of
from bayes_ptsd.crossover.exact import exact_priors, why_not_exact
from bayes_ptsd.crossover.model import CrossoverModel, crossover_model
from bayes_ptsd.errors import BayesPtsdError, EvidenceError, SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.exact.crossover import crossover_batch
from bayes_ptsd.frequentist import frequentist_crossover
from bayes_ptsd.mirrors import frequentist_document
from bayes_ptsd.prior_family import PRIOR_FAMILY
from bayes_ptsd.priors import Prior
from bayes_ptsd.provenance import DEFAULT_SEED
from bayes_ptsd.scaled_priors import rescaled
from bayes_ptsd.spec import ModelSpec, load_model
from bayes_ptsd.store import ResultStore

__all__ = ["PARTS", "PATIENT_MODELS", "STEPS", "compare_patients"]

PATIENT_MODELS = (
    "crossover-completers", "crossover", "crossover-bivariate", "crossover-carryover",
    "crossover-student-t",
)  # fmt: skip
STEPS: Mapping[str, tuple[str, str]] = {
    "one_period_patients": ("crossover-completers", "crossover"),
    "unequal_sds": ("crossover", "crossover-bivariate"),
    "carryover": ("crossover", "crossover-carryover"),
    "student_t": ("crossover", "crossover-student-t"),
}
"""What changes between two models: from, to."""
PARTS = ("gap_model", "gap_other_priors", "gap_treatment_prior")
SPREADS = ("sd_subject", "sd_within", "sd_period", "correlation")
# Ten times as wide a prior of an sd weighs the sds that data allow alike, and stays proper.
WIDER = 10.0


def compare_patients(
    evidence: Evidence,
    *,
    models: Sequence[str] = PATIENT_MODELS,
    priors: Sequence[str | Prior] = tuple(PRIOR_FAMILY),
    store: ResultStore | None = None,
    seed: int = DEFAULT_SEED,
) -> xr.Dataset:
    """Put the frequentist analyses of patients and the posteriors of the models side by side.

    Parameters
    ----------
    evidence : Evidence
        Patients of a crossover, one endpoint at one visit.
    models : sequence of str
        Names of crossover models, or their files.
    priors : sequence of str or Prior
        Priors of the treatment difference.
    store : ResultStore, optional
        Read what it holds; sampled results are only ever read from it.
    seed : int
        Seed of the draws, part of the identity of a stored exact result.

    Returns
    -------
    xr.Dataset
        On dim ``analysis``: ``frequentist_estimand, estimate, se, df, ci_low, ci_high, p_value,
        method, note``. On ``(model, prior)``: ``mean, median, sd, prob_benefit, prob_gt_mcid,
        eti95_low, eti95_high, engine, result_id, to_run`` (the `fit` that would answer, where
        nothing does) and, in score units, three parts that sum to mean minus ``mirror_estimate``:
        ``gap_model`` (flat priors of all means against the frequentist estimate: averaging over
        the standard deviations, other weights, a boundary), ``gap_other_priors`` (of the other
        means), ``gap_treatment_prior``. On ``(model, other_prior)``: ``moved``, how much each prior
        but that of the treatment alone moves the mean under a flat treatment prior: that with it
        minus that with it flat, or ten times as wide for a standard deviation. On ``model``:
        ``mirror, mirror_estimate, mirror_se, mirror_df``. On ``(step, prior)``: ``step_mean`` and
        ``step_sd_ratio`` between two models; NaN where there is no answer.

    Raises
    ------
    EvidenceError
        If these are no patients of a crossover with one outcome, or no analysis is possible.
    SpecError
        If a model or prior is unknown, or a model is not of a crossover.

    Examples
    --------
    >>> from bayes_ptsd.crossover.example import example_patients
    >>> table = compare_patients(example_patients(missing=0), models=["crossover"],
    ...                          priors=["flat", "skeptical"])
    >>> one = table.sel(model="crossover", prior="flat")
    >>> abs(float(one["gap_model"])) < 1e-6
    True
    """
    specs = [_crossover_spec(name) for name in models]
    posteriors = PosteriorSource(evidence, store=store, seed=seed)
    lines, heads, moves = [], [], []
    for name, spec in zip(models, specs, strict=True):
        head = _mirror_line(evidence, spec)
        reference, moved = _flat_means(evidence, spec)
        heads.append({"model": name, **head})
        moves += [{"model": name, "other_prior": key, "moved": by} for key, by in moved.items()]
        for prior in priors:
            found = posteriors.summary(spec.having(priors={"treatment": prior}))
            lines.append(
                {"model": name, "prior": label_of(prior), **found}
                | _parts(found["mean"], reference, head["mirror_estimate"])
            )
    labels = [label_of(prior) for prior in priors]
    table = xr.Dataset.from_dataframe(pd.DataFrame(lines).set_index(["model", "prior"]))
    table = table.reindex(model=list(models), prior=labels)
    table = table.merge(xr.Dataset.from_dataframe(pd.DataFrame(heads).set_index("model")))
    table = table.merge(_analyses(evidence)).merge(_steps(table)).merge(_moved(moves, models))
    size = crossover_model(evidence, specs[0].having(options={"patients": "all"})).size
    return table.assign_attrs(
        evidence_kind=evidence.kind,
        trial=evidence.trial.name,
        endpoint=str(evidence.data["outcomes"].to_dataset()["endpoint"].values[0]),
        complete=_complete(evidence),
        **size,
    )  # fmt: skip


def _crossover_spec(name: str) -> ModelSpec:
    """Return a crossover specification."""
    spec = load_model(name)
    if spec.structure != "crossover":
        raise SpecError(f"model '{name}' is no crossover of patients, so it is not compared here")
    return spec


def _mirror_line(evidence: Evidence, spec: ModelSpec) -> dict[str, Any]:
    """Return the frequentist analysis of the estimand of a model."""
    found = frequentist_document(evidence, spec)
    if found["estimate"] is None:
        raise EvidenceError(f"model '{spec.name}' has no frequentist analysis: {found['method']}")
    return {
        "mirror": found["method"].partition(":")[0],
        **{f"mirror_{key}": float(found[key]) for key in ("estimate", "se", "df")},
        "mirror_low": found["ci95"][0],
        "mirror_high": found["ci95"][1],
    }


def _flat_means(
    evidence: Evidence, spec: ModelSpec
) -> tuple[tuple[float, float], dict[str, float]]:
    """Return means with all means flat and with treatment only, and what each other prior moves."""
    if why_not_exact(spec.options):
        return (np.nan, np.nan), {}
    model = crossover_model(evidence, spec.having(priors={"treatment": "flat"}))
    own = exact_priors(model)
    flat = own | {name: Prior("flat") for name in own if name not in SPREADS}
    whole = _mean(model, own)
    moved = {
        name: whole - _mean(model, own | {name: _freed(name, prior)})
        for name, prior in own.items()
        if name != "treatment" and isinstance(prior, Prior) and prior.proper
    }
    return (_mean(model, flat), whole), moved


def _freed(name: str, prior: Prior) -> Prior:
    """Return the prior that says next to nothing: flat, or ten times as wide for a spread."""
    if name not in SPREADS:
        return Prior("flat")
    if name == "correlation":
        return Prior("uniform", {"low": -1.0, "high": 1.0})
    return rescaled(prior, unit=WIDER, shift=0.0)


def _moved(moves: Sequence[Mapping[str, Any]], models: Sequence[str]) -> xr.Dataset:
    """Return what each other prior moves, by model; NaN where a model has no such prior."""
    frame = pd.DataFrame(moves, columns=["model", "other_prior", "moved"])
    table = xr.Dataset.from_dataframe(frame.set_index(["model", "other_prior"]))
    return table.reindex(model=list(models), other_prior=list(dict.fromkeys(frame["other_prior"])))


def _mean(model: CrossoverModel, priors: Mapping[str, Any]) -> float:
    """Return the posterior mean of the treatment difference, NaN where it is improper."""
    batch = replace(model.pairs, score=model.pairs.score[None])
    try:
        table = crossover_batch(
            batch, priors, benefit_sign=model.sign, covariance=model.options["form"]
        )
    except BayesPtsdError:
        return np.nan
    return float(table["mean"].sel(estimand="treatment_difference").item())


def _parts(mean: float, reference: tuple[float, float], mirror: float) -> dict[str, float]:
    """Split the gap between a posterior mean and its mirror into parts that add up."""
    flat, own = reference
    values = (flat - mirror, own - flat, mean - own)
    return dict(zip(PARTS, values, strict=True))


def _analyses(evidence: Evidence) -> xr.Dataset:
    """Return every frequentist analysis, one line each; the adjusted one where it is possible."""
    spec = load_model("crossover")
    try:
        model = crossover_model(evidence, spec.having(options={"baseline": "covariate"}))
    except EvidenceError:
        model = crossover_model(evidence, spec)
    table = frequentist_crossover(model.pairs, benefit_sign=model.sign)
    names = table["analysis"].values
    estimands = ["carryover" if name == "grizzle" else "treatment_difference" for name in names]
    chosen = table.sel(
        analysis=xr.DataArray(names, dims="analysis"),
        estimand=xr.DataArray(estimands, dims="analysis"),
    )
    return chosen.drop_vars("estimand").assign(frequentist_estimand=("analysis", estimands))


def _steps(table: xr.Dataset) -> xr.Dataset:
    """Return what changes from one model to the next under each prior."""
    known = set(table["model"].values.tolist())
    steps = {name: pair for name, pair in STEPS.items() if set(pair) <= known}
    mean, ratio = [], []
    for before, after in steps.values():
        one, two = (table.sel(model=name) for name in (before, after))
        mean.append((two["mean"] - one["mean"]).values)
        ratio.append((two["sd"] / one["sd"]).values)
    shape = (len(steps), table.sizes["prior"])
    return xr.Dataset(
        {
            "step_mean": (("step", "prior"), np.reshape(mean, shape)),
            "step_sd_ratio": (("step", "prior"), np.reshape(ratio, shape)),
        },
        coords={"step": list(steps), "prior": table["prior"].values},
    )


def _complete(evidence: Evidence) -> int:
    """Return the number of patients with both periods."""
    return int(crossover_model(evidence, load_model("crossover")).pairs.complete.sum())
