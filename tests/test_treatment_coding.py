"""Models of patients do not know which arm is which: log densities under every relabeling.

A prior that treats the arms differently, or knows where zero lies or what a score unit is, shifts
the log density of some points against others. Nothing is sampled: each model is compiled once, and
50 random points are moved as the data are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

from bayes_ptsd.evidence import Evidence
from bayes_ptsd.fit import build_model
from bayes_ptsd.frequentist.ancova import ancova_analysis
from bayes_ptsd.models_files import load_model
from bayes_ptsd.priors import Prior
from bayes_ptsd.specification import ModelSpec
from bayes_ptsd.structures.categorical.patients import example_categories
from bayes_ptsd.structures.depression.example import example_mediation
from bayes_ptsd.structures.parts.example import example_parts
from bayes_ptsd.structures.parts.model import parts_model
from bayes_ptsd.trial import Endpoint

Point = Mapping[str, NDArray[np.float64]]
POINTS = 50
# random points: about as far apart as a posterior of 20 patients, unnamed ones by half a unit
SPREAD = {
    "level": 5.0, "mediator_level": 3.0, "controlled_direct_effect": 5.0,
    "mediator_difference": 3.0, "treatment_difference": 5.0,
}  # fmt: skip
ROUNDING = 1e-8  # of log densities of some hundreds in double precision


class Density:
    """A log density, compiled once, that takes the data and priors of other patients."""

    def __init__(self, evidence: Evidence, spec: ModelSpec) -> None:
        self.model = build_model(evidence, spec)
        self.logp = self.model.compile_logp(mode="FAST_COMPILE")

    def of(self, evidence: Evidence, spec: ModelSpec) -> Callable[[Point], float]:
        """Return the log density given other patients."""
        for data in build_model(evidence, spec).data_vars:
            self.model[data.name].set_value(data.get_value())
        return lambda point: float(self.logp(dict(point)))

    def points(self) -> list[Point]:
        """Return random points around the middle of the priors."""
        rng, start = np.random.default_rng(3), self.model.initial_point()
        return [
            {k: v + SPREAD.get(k, 0.5) * rng.normal(size=np.shape(v)) for k, v in start.items()}
            for _ in range(POINTS)
        ]


def altered(
    evidence: Evidence,
    end: Callable[[Endpoint], Endpoint],
    score: Callable[[xr.DataArray], xr.DataArray],
    baseline: Callable[[xr.DataArray], xr.DataArray],
) -> Evidence:
    """Return evidence with other endpoints, scores and baselines."""
    outcomes = evidence.data["outcomes"].to_dataset()
    found = {"value": score(outcomes["value"]).transpose(*outcomes["value"].dims)}
    if "baseline" in outcomes:
        before = baseline(outcomes["baseline"])
        found["baseline"] = before.transpose(*outcomes["baseline"].dims)
    ends = {name: end(one) for name, one in evidence.trial.endpoints.items()}
    trial = replace(evidence.trial, endpoints=ends)
    data = xr.DataTree.from_dict({"outcomes": outcomes.assign(found)})
    return replace(evidence, trial=trial, data=data)


def swapped(evidence: Evidence) -> Evidence:
    """Call the active treatment control, and control active."""
    trial = evidence.trial
    return replace(evidence, trial=replace(trial, active=trial.control, control=trial.active))


def shifted(evidence: Evidence) -> Evidence:
    """Add 100 to the scores of the first endpoint, -40 to those of the others."""

    def score(values: xr.DataArray) -> xr.DataArray:
        first = values["endpoint"] == values["endpoint"][0]
        return values + xr.where(first, 100.0, -40.0)

    return altered(evidence, lambda end: end, score, lambda before: before + 7.0)


def scaled(evidence: Evidence) -> Evidence:
    """Measure in tenths."""

    def end(one: Endpoint) -> Endpoint:
        bounds = None if one.range is None else (10 * one.range[0], 10 * one.range[1])
        return replace(one, reference_sd=10 * (one.reference_sd or np.nan), range=bounds)

    return altered(evidence, end, lambda values: 10 * values, lambda before: 10 * before)


def turned(evidence: Evidence) -> Evidence:
    """Turn every scale around: what was low is high, and the direction of benefit with it."""
    kind = next(iter(evidence.trial.endpoints.values())).kind

    def end(one: Endpoint) -> Endpoint:
        bounds = None if one.range is None else (-one.range[1], -one.range[0])
        other = "lower" if one.better == "higher" else "higher"
        return replace(one, better=other, range=bounds if kind == "continuous" else one.range)

    def score(values: xr.DataArray) -> xr.DataArray:
        return {"continuous": 0.0, "ordinal": 6.0, "binary": 1.0}[kind] - values

    return altered(evidence, end, score, lambda before: -before)


def periods_exchanged(evidence: Evidence) -> Evidence:
    """Call the second period the first, and the first the second."""
    outcomes = evidence.data["outcomes"].to_dataset()
    other = outcomes.isel(period=[1, 0]).assign_coords(period=outcomes["period"].values)
    return replace(evidence, data=xr.DataTree.from_dict({"outcomes": other}))


def flipped(*names: str) -> Callable[[Point], Point]:
    """Return what changes the sign of some parameters."""
    return lambda point: {k: -v if k in names else v for k, v in point.items()}


def added(**more: float) -> Callable[[Point], Point]:
    """Return what adds to some parameters."""
    return lambda point: {k: v + more.get(k, 0.0) for k, v in point.items()}


def times_ten(*names: str, logs: tuple[str, ...]) -> Callable[[Point], Point]:
    """Return what multiplies some parameters, `logs` on the log scale, by ten."""

    def changed(point: Point) -> Point:
        more = {name: point[name] + np.log(10.0) for name in logs}
        return {**point, **{name: 10 * point[name] for name in names}, **more}

    return changed


def categories_turned(point: Point) -> Point:
    """Reverse the order of the categories, their gaps and the period effect."""
    found = dict(point)
    shares = point["category_share_simplex__"]  # centered logs of all shares but the last
    found["category_share_simplex__"] = np.append(shares, -shares.sum())[:0:-1]
    if "log_gap_ratio" in point:
        found["log_gap_ratio"] = point["log_gap_ratio"][::-1]
    return found | {"period_effect": -point["period_effect"]}


MEDIATION = load_model("depression-adjusted")
PARTS = load_model("subscales-patients")
WITH_BASELINE = {"baseline": "covariate"}
SDS = ("sd_residual_log__", "mediator_sd_log__")
Change = tuple[Callable[[Evidence], Evidence], Callable[[Point], Point]]
CASES: dict[str, tuple[Evidence, ModelSpec, dict[str, Change]]] = {
    "mediator": (
        example_mediation(subjects=20),
        MEDIATION,
        {
            "arms swapped": (
                swapped,
                flipped("controlled_direct_effect", "interaction", "mediator_difference"),
            ),
            "constants added": (shifted, added(level=100.0, mediator_level=-40.0)),
            "scales turned": (turned, flipped("level", "mediator_level")),
            "unit changed": (
                scaled,
                times_ten(
                    "level", "mediator_level", "controlled_direct_effect", "mediator_difference",
                    logs=SDS,
                ),
            ),
        },
    ),
    "subscales": (
        example_parts(subjects=20),
        PARTS,
        {
            "arms swapped": (swapped, flipped("treatment_difference", "plane_standard")),
            "constants added": (
                shifted,
                lambda point: {**point, "level": point["level"] + np.array([100.0, -40.0, -40.0])},
            ),
            "scales turned": (turned, flipped("level")),
            "unit changed": (
                scaled,
                times_ten(
                    "level", "treatment_difference", logs=(SDS[0], "heterogeneity_log__")
                ),
            ),
        },
    ),
    "ordinal": (
        example_categories(subjects=20, baseline=True, missing=0.2),
        load_model("ordinal-by-arm").having(options=WITH_BASELINE),
        {
            "arms swapped": (swapped, flipped("log_odds_ratio", "log_gap_ratio")),
            "scales turned": (turned, categories_turned),
        },
    ),
    "binary": (
        example_categories("binary", subjects=20, missing=0.2),
        load_model("binary"),
        {
            "arms swapped": (swapped, flipped("log_odds_ratio")),
            "periods exchanged": (periods_exchanged, flipped("period_effect")),
            "scales turned": (turned, categories_turned),
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_log_density_follows_every_relabeling(name: str) -> None:
    """Arms, zero, unit, direction and periods: the log density changes by one constant or none."""
    evidence, spec, changes = CASES[name]
    density = Density(evidence, spec)
    points = density.points()
    before = np.array(list(map(density.of(evidence, spec), points)))
    assert np.ptp(before) > 10  # the points are apart
    for what, (relabel, move) in changes.items():
        other = spec
        if (name, what) == ("subscales", "unit changed"):
            # between the parts it is in score units by definition
            wider = Prior("half_normal", {"sigma": 15.0})
            other = spec.having(priors={"heterogeneity": wider})
        now = density.of(relabel(evidence), other)
        after = np.array([now(move(point)) for point in points])
        assert np.ptp(after - before) < ROUNDING, what
        if what in ("arms swapped", "periods exchanged", "scales turned"):
            assert after == pytest.approx(before, abs=ROUNDING), what


def test_parts_add_up_to_least_squares_whatever_their_covariance() -> None:
    """Flat omega, no baseline: the conditional mean of the sum is that of the arms, to .01 SE."""
    spec = PARTS.having(
        options={"baseline": "none"},
        priors={"treatment": Prior("normal", {"mu": 0.0, "sigma": 1e4})},
    )
    density = Density(example_parts(), spec)
    names = ["level", "treatment_difference", "plane_standard"]
    rng = np.random.default_rng(2)
    worst = 0.0
    for active, control in ((6, 6), (12, 12), (20, 20), (9, 4), (22, 19)):
        whole = example_parts(subjects=2 * max(active, control), seed=active)
        is_active = np.arange(2 * max(active, control)) % 2 == 0
        kept = np.concatenate([np.flatnonzero(is_active)[:active],
                               np.flatnonzero(~is_active)[:control]])  # fmt: skip
        few = whole.data["outcomes"].to_dataset().isel(subject=kept)
        for shift in (0.0, -12.0, 60.0):  # mid-scale, near its end, far outside
            moved = few.assign(value=few["value"] + shift)
            evidence = replace(whole, data=xr.DataTree.from_dict({"outcomes": moved}))
            model = parts_model(evidence, spec)
            log_density = density.of(evidence, spec)
            table = ancova_analysis(model.score.sum(axis=1), model.active, benefit_sign=model.sign)
            known = table.sel(estimand="treatment_difference")
            point = {
                "level": np.zeros(3), "treatment_difference": np.zeros(()),
                "plane_standard": np.zeros(2), "heterogeneity_log__": np.log(1e4),
                "sd_residual_log__": np.log([5.0, 5.0, 3.5]) + 0.3 * rng.normal(size=3),
                "partial_unit_interval__": rng.normal(1.0, 0.5, size=3),
            }  # fmt: skip
            mean = _mode_of_quadratic(log_density, point, names)
            gap = float(mean["treatment_difference"]) - float(known["estimate"])
            worst = max(worst, abs(gap) / float(known["se"]))
    assert worst < 0.01


def _mode_of_quadratic(
    log_density: Callable[[Point], float], point: dict[str, Any], names: list[str]
) -> Point:
    """Return the mean of coefficients that are normal given the rest, from the log density."""
    shapes = {name: np.shape(point[name]) for name in names}
    sizes = [int(np.prod(shapes[name])) for name in names]

    def at(vector: NDArray[np.float64]) -> float:
        parts = np.split(vector, np.cumsum(sizes)[:-1])
        return log_density(point | {n: p.reshape(shapes[n])
                                    for n, p in zip(names, parts, strict=True)})  # fmt: skip

    # a quadratic is known from its values at zero, at units and at their sums; the plane's
    # coordinates are multiples of a heterogeneity of 1e4, so that their unit is as small
    unit = np.concatenate([[1e-4 if name == "plane_standard" else 1.0] * size
                           for name, size in zip(names, sizes, strict=True)])  # fmt: skip
    steps = np.diag(unit)
    zero, single = at(0 * unit), [at(step) for step in steps]
    opposite = [at(-step) for step in steps]
    gradient = (np.array(single) - opposite) / 2
    hessian = np.diag(np.array(single) + opposite - 2 * zero)
    for i in range(len(unit)):
        for j in range(i):
            cross = at(steps[i] + steps[j]) - single[i] - single[j] + zero
            hessian[i, j] = hessian[j, i] = cross
    found = unit * np.linalg.solve(-hessian, gradient)
    parts = np.split(found, np.cumsum(sizes)[:-1])
    return {n: p.reshape(shapes[n]) for n, p in zip(names, parts, strict=True)}
