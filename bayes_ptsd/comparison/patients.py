"""Patients of a crossover: every frequentist analysis beside every model under every prior.

Each gap between a posterior mean and the frequentist estimate of the same estimand is split into
parts that add up. Differences are positive when the active treatment is better, in score units.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_ptsd.comparison.posteriors import BEYOND, PosteriorSource, label_of
from bayes_ptsd.errors import BayesPtsdError, EvidenceError, SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.patient_arrays import period_differences
from bayes_ptsd.fit import frequentist_document
from bayes_ptsd.frequentist import frequentist_crossover
from bayes_ptsd.models_files import load_model
from bayes_ptsd.prior_family import PRIOR_FAMILY
from bayes_ptsd.priors import Prior
from bayes_ptsd.provenance import DEFAULT_SEED
from bayes_ptsd.specification import ModelSpec
from bayes_ptsd.store import ResultStore
from bayes_ptsd.structures.crossover.exact import crossover_batch, exact_priors, why_not_exact
from bayes_ptsd.structures.crossover.model import CrossoverModel, crossover_model

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
OTHERS = ("carryover", "sequence", "baseline_slope", "period_effect", "level")
"""Coefficients beside the treatment difference, in the order in which their priors are added."""


def compare_patients(
    evidence: Evidence,
    *,
    models: Sequence[str] = PATIENT_MODELS,
    priors: Sequence[str | Prior] = tuple(PRIOR_FAMILY),
    store: ResultStore | None = None,
    seed: int = DEFAULT_SEED,
) -> xr.Dataset:
    """Put the frequentist analyses of patients and the posteriors of the models side by side.

    On dim ``analysis`` the analyses, on ``(model, prior)`` the posteriors. In score units three
    parts sum to the mean minus ``mirror_estimate``, the frequentist analysis of the same estimand:
    ``gap_model`` (flat priors of all coefficients against the frequentist estimate: averaging over
    the standard deviations, other weights, a boundary), ``gap_other_priors`` (of the other
    coefficients; ``gap_of`` is what each adds, on dim ``parameter``, in that order) and
    ``gap_treatment_prior``. ``to_run`` is the `fit` that would answer where nothing does,
    ``reason`` why these patients have no such posterior. On ``(step, prior)``: ``step_mean`` and
    ``step_sd_ratio`` between two models; NaN where there is no answer. On ``(patients, period)``
    what each period says alone (`period_differences`). Attribute ``not_possible``: analyses that
    these patients do not allow, and why; ``unit`` that of all of it. A room with more than a
    difference has it in ``beyond``, as JSON. Sampled results are only ever read from `store`, exact
    ones read or computed, never written.
    """
    specs = [_crossover_spec(name) for name in models]
    scored = _on_one_scale(evidence, specs)
    posteriors = PosteriorSource(evidence, store=store, seed=seed)
    lines, heads = [], []
    for name, spec in zip(models, specs, strict=True):
        head = _counterpart_line(evidence, spec)
        means = _means(evidence, spec)
        heads.append({"model": name, **head})
        for prior in priors:
            asked = spec.under(prior)
            found = posteriors.summary(asked)
            added = _added(means, asked)
            lines.append(
                {"model": name, "prior": label_of(prior), **found}
                | {f"gap_of_{key}": value for key, value in added.items()}
                | _parts(found["mean"], means[""], added, head["mirror_estimate"])
            )
    labels = [label_of(prior) for prior in priors]
    table = xr.Dataset.from_dataframe(pd.DataFrame(lines).set_index(["model", "prior"]))
    table = table.reindex(model=list(models), prior=labels)
    names = [f"gap_of_{key}" for key in OTHERS]
    each = xr.concat([table[name] for name in names], dim=pd.Index(OTHERS, name="parameter"))
    table = table.drop_vars(names).assign(gap_of=each)
    table = table.merge(xr.Dataset.from_dataframe(pd.DataFrame(heads).set_index("model")))
    analyses = _analyses(scored)
    table = table.merge(analyses).merge(_steps(table)).merge(_periods(scored))
    size = crossover_model(evidence, specs[0].having(options={"patients": "all"})).size
    return table.assign_attrs(
        evidence_kind=evidence.kind,
        trial=evidence.trial.name,
        endpoint=_endpoint(evidence),
        complete=_complete(scored),
        unit="score units" if scored is evidence else _unit(scored),
        not_possible=analyses.attrs["not_possible"],
        **size,
    )  # fmt: skip


def _endpoint(evidence: Evidence) -> str:
    """Return the only outcome of patients."""
    return str(evidence.data["outcomes"].to_dataset()["endpoint"].values[0])


def _crossover_spec(name: str) -> ModelSpec:
    """Return a crossover specification."""
    spec = load_model(name)
    if spec.room.reads != "periods":
        raise SpecError(f"model '{name}' is no crossover of patients, so it is not compared here")
    return spec


def _on_one_scale(evidence: Evidence, specs: Sequence[ModelSpec]) -> Evidence:
    """Return the scores as the models analyze them; models on two scales are not compared."""
    first = specs[0].room.analyzed
    other = next((spec for spec in specs if spec.room.analyzed is not first), None)
    if other is not None:
        raise SpecError(
            f"models '{specs[0].name}' and '{other.name}' take the scores on two scales; compare "
            "each by itself"
        )
    return first(evidence)


def _unit(evidence: Evidence) -> str:
    """Return the unit of the only endpoint."""
    return evidence.trial.endpoint(_endpoint(evidence)).unit


def _counterpart_line(evidence: Evidence, spec: ModelSpec) -> dict[str, Any]:
    """Return the frequentist analysis of the estimand of a model."""
    columns = ("estimate", "se", "df", "low", "high")
    nothing = {f"mirror_{key}": np.nan for key in columns}
    try:
        found = frequentist_document(evidence, spec)
    except EvidenceError as error:
        return {"mirror": f"none: {error}", **nothing}
    if found["estimate"] is None:
        return {"mirror": found["method"], **nothing}
    values = (found["estimate"], found["se"], found["df"], *found["ci95"])
    return {
        "mirror": found["method"].partition(":")[0],
        **{f"mirror_{key}": float(value) for key, value in zip(columns, values, strict=True)},
        **({f"mirror_{BEYOND}": json.dumps({"ratio": found["ratio"]})} if "ratio" in found else {}),
    }


def _means(evidence: Evidence, spec: ModelSpec) -> dict[str, float]:
    """Return the mean under flat priors of all coefficients, then with one prior after another."""
    if why_not_exact(spec.options):
        return {"": np.nan}
    flat = Prior("flat")
    try:
        model = crossover_model(evidence, spec.having(priors={"treatment": flat}))
    except EvidenceError:
        return {"": np.nan}
    own = exact_priors(model)
    chosen = own | {name: flat for name in OTHERS if name in own}
    found = {"": _mean(model, chosen)}
    for name in OTHERS:
        if name in own:
            chosen = chosen | {name: own[name]}
            found[name] = _mean(model, chosen)
    return found


def _added(means: Mapping[str, float], spec: ModelSpec) -> dict[str, float]:
    """Return what the prior of each other coefficient adds to the mean, NaN if it has none."""
    before, added = means[""], dict.fromkeys(OTHERS, np.nan)
    for name in OTHERS:
        if name in means:
            flat = spec.prior_tables[name] == {"dist": "flat"}
            added[name] = 0.0 if flat else means[name] - before
            before = means[name]
    return added


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


def _parts(
    mean: float, flat: float, added: Mapping[str, float], counterpart: float
) -> dict[str, float]:
    """Split the gap of a posterior mean to its counterpart into parts that add up."""
    other = float(np.nansum(list(added.values())))
    values = (flat - counterpart, other + 0 * flat, mean - flat - other)
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


def _periods(evidence: Evidence) -> xr.Dataset:
    """Return what each period says alone."""
    found = period_differences(evidence, _endpoint(evidence))
    return found.rename({str(name): f"period_{name}" for name in found.data_vars})


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
