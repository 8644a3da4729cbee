"""Patients of two arms for tests: whole scores without a difference, and the same ones altered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.patient_arrays import outcome_tree
from bayes_ptsd.simulation.patients import made_up_trial

SD = 10.0


def arms(
    sizes: tuple[int, int] = (22, 19),
    *,
    level: float = 50.0,
    seed: int = 1,
    range_: tuple[float, float] | None = (0.0, 100.0),
    better: Any = "lower",
    reference_sd: float | None = SD,
    visits: Mapping[str, float] | None = None,
) -> Evidence:
    """Return whole scores of two arms without a difference, baselines, sex and age."""
    rng, count = np.random.default_rng(seed), sum(sizes)
    common = rng.normal(size=count)
    before, *scores = (
        np.clip(np.round(level + SD * (0.7 * common + 0.7 * rng.normal(size=count))), 0, 100)
        for _ in range(1 + len(visits or [1]))
    )
    score = np.stack(scores, axis=1)
    active = np.arange(count) < sizes[0]
    covariates = {"sex": rng.choice(["f", "m"], count), "age": rng.normal(40, 12, count)}
    trial = made_up_trial("parallel", better=better, range=range_, visits=visits)
    endpoint = replace(trial.endpoint("score"), reference_sd=reference_sd)
    return patients(
        replace(trial, endpoints={"score": endpoint}), score, active, before, covariates
    )


def patients(
    trial: Any,
    score: np.ndarray[Any, Any],
    active: np.ndarray[Any, Any],
    baseline: np.ndarray[Any, Any],
    covariates: Mapping[str, np.ndarray[Any, Any]],
) -> Evidence:
    """Return patients of a parallel trial, scores of dims (subject, visit)."""
    table = score[:, None, :, None]
    subject = [f"p{number}" for number in range(len(score))]
    labels = np.where(active, trial.active, trial.control)
    coords: dict[str, Any] = {
        "subject": subject,
        "period": [1],
        "visit": list(trial.visits) or ["only"],
        "endpoint": ["score"],
        "sequence": ("subject", labels),
        "treatment": (("subject", "period"), labels[:, None]),
    }
    if trial.visits:
        coords["hours"] = ("visit", list(trial.visits.values()))
    values = xr.DataArray(table, dims=("subject", "period", "visit", "endpoint"), coords=coords)
    before = xr.DataArray(
        baseline[:, None, None], dims=("subject", "period", "endpoint"),
        coords={key: coords[key] for key in ("subject", "period", "endpoint")},
    )  # fmt: skip
    found = {name: ("subject", column) for name, column in covariates.items()}
    more = xr.Dataset(found, coords={"subject": subject})
    return Evidence("simulated", trial, outcome_tree(values, baseline=before, covariates=more))


def with_scores(model_of: Evidence, **changes: Any) -> Evidence:
    """Return the patients with other scores, baselines or trial."""
    outcomes = model_of.data["outcomes"].to_dataset()
    changed = {
        name: function(outcomes[name]) for name, function in changes.items() if name != "trial"
    }
    nodes = {name: node.to_dataset() for name, node in model_of.data.children.items()}
    nodes["outcomes"] = outcomes.assign(changed)
    trial = changes.get("trial", model_of.trial)
    return replace(model_of, data=xr.DataTree.from_dict(nodes), trial=trial)


def swapped(evidence: Evidence) -> Evidence:
    """Return the patients with the names of active treatment and control exchanged."""
    trial = evidence.trial
    return with_scores(evidence, trial=replace(trial, active=trial.control, control=trial.active))


def with_endpoint(evidence: Evidence, **changes: Any) -> Any:
    """Return the trial with a changed endpoint."""
    endpoint = replace(evidence.trial.endpoint("score"), **changes)
    return replace(evidence.trial, endpoints={"score": endpoint})


def rescaled(evidence: Evidence, factor: float) -> Evidence:
    """Return scores, baselines and reference SD in another unit."""
    trial = with_endpoint(evidence, reference_sd=factor * SD, range=None)
    return with_scores(
        evidence, trial=trial, value=lambda y: factor * y, baseline=lambda b: factor * b
    )


def negated(evidence: Evidence) -> Evidence:
    """Return scores and baselines with the other sign, and the other direction better."""
    trial = with_endpoint(evidence, better="higher", range=None)
    return with_scores(evidence, trial=trial, value=lambda y: -y, baseline=lambda b: -b)
