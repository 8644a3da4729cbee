"""AB/BA crossover of an endpoint that is analyzed by its logarithm: a ratio of geometric means.

    log score[i,p] as the scores of `crossover`;  geometric_mean_ratio = exp(s treatment_difference)

Concentrations and times are positive and vary by factors, not by points: the usual analysis takes
logarithms, and what it estimates is the ratio of the geometric means, active over control, as
recorded (1: alike), with a 90% interval beside the limits .80 and 1.25 that authorities use for
average bioequivalence (FDA, Statistical Approaches to Establishing Bioequivalence, 2001).
`treatment_difference` is the difference of the mean logarithms, positive where the active treatment
is better. Reference SD, range and MCID of the trial file are in the unit of the scores and are not
used; the SD is that of the logarithms in these data.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from scipy import stats

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.patient_arrays import outcomes_of
from bayes_ptsd.exact.grid import grid_cdf, grid_quantile
from bayes_ptsd.patient_scale import occasion_scale
from bayes_ptsd.priors import FloatArray
from bayes_ptsd.specification import Groups, ModelSpec, Problem
from bayes_ptsd.structures.crossover import CROSSOVER
from bayes_ptsd.structures.crossover.example import example_patients
from bayes_ptsd.structures.crossover.model import CrossoverModel
from bayes_ptsd.trial import Endpoint

if TYPE_CHECKING:
    import pymc as pm

__all__ = ["CROSSOVER_LOG", "logged", "ratio_of_means"]

RATIO, DIFFERENCE = "geometric_mean_ratio", "treatment_difference"
# the level of the interval that is held against the limits: two one-sided tests at 5% each
LEVEL = 0.90
LIMITS = (0.80, 1.25)
"""Limits of average bioequivalence: alike on the scale of logarithms, -.223 and .223."""


def logged(evidence: Evidence) -> Evidence:
    """Return patients with the natural logarithms of scores and baselines; all must be positive."""
    outcomes = outcomes_of(evidence)
    for name in [key for key in ("value", "baseline") if key in outcomes]:
        if below := int((outcomes[name] <= 0).sum()):
            raise EvidenceError(
                f"{below} of the {name}s are zero or negative and have no logarithm; take the "
                "model 'crossover', or leave these patients out and say so"
            )
        outcomes[name] = np.log(outcomes[name])
    nodes = {name: node.to_dataset() for name, node in evidence.data.children.items()}
    endpoints = {name: _of_logs(one) for name, one in evidence.trial.endpoints.items()}
    return replace(
        evidence,
        trial=replace(evidence.trial, endpoints=endpoints),
        data=xr.DataTree.from_dict(nodes | {"outcomes": outcomes}),
    )


def _of_logs(endpoint: Endpoint) -> Endpoint:
    """Return an endpoint whose unit is that of logarithms; what was in points is left out."""
    unit = f"log {endpoint.unit}"
    return replace(endpoint, unit=unit, range=None, mcid=None, reference_sd=None, residual_sd=None)


def ratio_of_means(found: Mapping[str, xr.Dataset], sign: int) -> xr.Dataset:
    """Summarize the ratio of geometric means, active over control, from groups of a fit.

    ``median``; ``low`` and ``high`` by ``level`` (.90, .95), equal-tailed; ``within``, the
    probability between the limits of bioequivalence. A ratio has no mean here: under wide priors it
    hangs on the far tail alone.
    """
    levels = (LEVEL, 0.95)
    inside = np.sort(sign * np.log(LIMITS))
    if "exact" in found:
        one = found["exact"].sel(estimand=DIFFERENCE)
        below, middle = grid_cdf(one, inside), grid_quantile(one, np.array([0.5]))
        ends = [grid_quantile(one, _tails(level)) for level in levels]
    else:
        draws = found["posterior"][DIFFERENCE].values.ravel()
        below = np.array([(draws < end).mean() for end in inside])
        middle = np.quantile(draws, [0.5])
        ends = [np.quantile(draws, _tails(level)) for level in levels]
    table = np.sort(np.exp(sign * np.array(ends)), axis=1)
    return xr.Dataset(
        {
            "median": float(np.exp(sign * middle[0])),
            "low": ("level", table[:, 0]),
            "high": ("level", table[:, 1]),
            "within": float(below[1] - below[0]),
        },
        coords={"level": list(levels)},
    )


def _tails(level: float) -> FloatArray:
    """Return the probabilities below the ends of an equal-tailed interval."""
    return np.array([(1 - level) / 2, (1 + level) / 2])


def _refuse_no_spread(logs: Evidence) -> None:
    """Refuse logarithms without an SD in period 1: that of the trial file is in points."""
    outcomes = logs.data["outcomes"].to_dataset()
    first = outcomes["value"].sel(period=1)
    if first[0].size > 1:  # several endpoints or visits, which the crossover refuses
        return
    orders = first["sequence"].values
    arms = [first.values[orders == name].ravel() for name in sorted(set(orders))]
    if not occasion_scale(arms, least_sd=0.0).sd > 0:
        raise EvidenceError(
            "the logarithms of the scores of period 1 do not vary within the sequences, or no two "
            "patients of one have any, and their SD is what the priors are multiples of; take the "
            "model 'crossover' with a reference_sd in the trial file"
        )


def _problem(evidence: Evidence, spec: ModelSpec) -> Problem:
    """Bring the logarithms and the specification together."""
    _refuse_no_spread(logged(evidence))
    problem = CROSSOVER.problem(evidence, spec)
    units = {DIFFERENCE: problem.endpoint.unit, RATIO: "ratio, active over control"}
    attrs = {
        "estimand_nulls": json.dumps({DIFFERENCE: 0.0}),
        "estimand_units": json.dumps(units),
    }
    note = "scores are analyzed as natural logarithms; ratios are active over control, as recorded"
    return replace(problem, attrs={**problem.attrs, **attrs}, notes=(note, *problem.notes))


def _exact(model: CrossoverModel, seed: int) -> Groups:
    """Integrate the posterior of the logarithms and add the ratio to its grids."""
    groups = CROSSOVER.exact(model, seed)
    assert isinstance(groups, dict)
    one = groups["exact"].sel(estimand=[DIFFERENCE]).assign_coords(estimand=[RATIO])
    value = np.exp(model.sign * one["value"])
    cdf = one["cdf"] if model.sign > 0 else 1 - one["cdf"]
    ratio = one.assign(
        value=value,
        pdf=one["pdf"] / value,
        cdf=cdf,
        mean=one["mean"] * np.nan,
        sd=one["sd"] * np.nan,
    )
    if model.sign < 0:
        ratio = ratio.isel(grid=slice(None, None, -1))
    return groups | {"exact": xr.concat([groups["exact"], ratio], dim="estimand")}


def _groups(model: CrossoverModel, groups: Groups, seed: int, built: pm.Model | None) -> Groups:
    """Return the groups of a crossover, with the ratio beside the difference of the logarithms."""
    found = CROSSOVER.groups(model, groups, seed, built)
    for name in ("posterior", "prior"):
        if name in found:
            drawn = found[name]
            ratio = np.exp(model.sign * drawn[DIFFERENCE])
            found[name] = drawn.assign({RATIO: ratio})
    return found | _derived(groups | found, model.sign)


def _derived(groups: Groups, sign: int) -> Groups:
    """Return the group of the ratio."""
    return {"ratio": ratio_of_means(groups, sign)}


def _counterpart(model: CrossoverModel) -> dict[str, Any]:
    """Return the analysis of the logarithms, and its ratio with intervals, transformed back."""
    found = CROSSOVER.counterpart(model)
    if found["estimate"] is None or found["df"] is None:
        return found | {"ratio": None}
    return found | {"ratio": _transformed(found, model.sign)}


def _transformed(found: Mapping[str, Any], sign: int) -> dict[str, Any]:
    """Return an estimate of logarithms and its t intervals as ratio, active over control."""

    def interval(level: float) -> list[float]:
        reach: FloatArray = stats.t.ppf((1 + level) / 2, found["df"]) * found["se"]
        ends = [sign * (found["estimate"] - reach), sign * (found["estimate"] + reach)]
        return sorted(float(np.exp(end)) for end in ends)

    return {
        "estimate": float(np.exp(sign * found["estimate"])),
        "ci90": interval(LEVEL),
        "ci95": interval(0.95),
    }


def _document(fit: xr.DataTree) -> dict[str, Any]:
    """Return the ratio for the document of a fit."""
    one = fit["ratio"].to_dataset()
    ends = {
        f"eti{round(100 * float(level))}": [
            float(one[key].sel(level=level)) for key in ("low", "high")
        ]
        for level in one["level"].values
    }
    within = {"limits": list(LIMITS), "probability": float(one["within"])}
    return {"ratio": {"median": float(one["median"]), **ends, "within": within}}


def _prior_lines(model: CrossoverModel) -> tuple[dict[str, str], bool]:
    """Return the priors of the logarithms, and whether all are proper."""
    lines, proper = CROSSOVER.prior_lines(model)
    return {key: text.replace("score units", "logarithms") for key, text in lines.items()}, proper


def _example(_: ModelSpec) -> Evidence:
    """Simulate positive scores: those of the crossover's example as fortieths of a logarithm.

    Their ratio is exp(-6/40) = .861, active over control.
    """
    made = example_patients()
    outcomes = made.data["outcomes"].to_dataset()
    outcomes = outcomes.assign({name: np.exp(outcomes[name] / 40) for name in outcomes.data_vars})
    auc = Endpoint("auc", "Area under the curve", "continuous", "lower", unit="ng h/ml")
    outcomes = outcomes.assign_coords(endpoint=["auc"])
    trial = replace(made.trial, endpoints={"auc": auc})
    return replace(made, trial=trial, data=xr.DataTree.from_dict({"outcomes": outcomes}))


CROSSOVER_LOG = replace(
    CROSSOVER,
    name="crossover_log",
    equation=f"{CROSSOVER.equation.replace('y[i,p]', 'log y[i,p]')};  "
    "ratio of geometric means = exp(s tau)",
    room="bayes_ptsd/structures/crossover_log.py",
    problem=_problem,
    exact=_exact,
    groups=_groups,
    counterpart=_counterpart,
    document=_document,
    analyzed=logged,
    derived=_derived,
    prior_lines=_prior_lines,
    example=_example,
)
