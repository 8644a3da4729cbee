"""What one posterior of this trial promises of a replication: prior, predictions, assurance, size.

Everything that `bayes-ptsd replicate` answers one question at a time, for one printed row, reading
and center, under the designs that this trial suggests. Closed forms and quadrature only.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import xarray as xr

from bayes_ptsd.errors import SpecError, StatisticalWarning
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.readings import AVERAGED
from bayes_ptsd.prior_family import resolve_prior
from bayes_ptsd.priors import Prior
from bayes_ptsd.replication.assurance import Case, Goal, assurance_curve, goal_ceiling
from bayes_ptsd.replication.designs import ReplicationDesign, planned_designs
from bayes_ptsd.replication.document import curve_document, original_estimate, prior_document
from bayes_ptsd.replication.mixtures import mixed
from bayes_ptsd.replication.prediction import predict_replication, predictive_distribution
from bayes_ptsd.replication.prior import ReplicationPrior, replication_prior
from bayes_ptsd.replication.readings import average_predictions, row_cases
from bayes_ptsd.replication.sample_size import smallest_size

__all__ = [
    "CENTERS",
    "CORRELATIONS",
    "Outlook",
    "outlook_document",
    "replication_outlook",
]

CENTERS = ("cochrane", "flat")
"""Priors of the family whose posteriors replication priors are centered on, the default first."""
CORRELATIONS = (0.2, 0.5, 0.8)
"""Correlations of a patient's two scores under which a crossover is priced."""
# Patients in all, by turns half and a third more, which is even on a log axis: from one half to
# twelve times the 41 of this trial.
SIZES = (20, 30, 40, 60, 80, 120, 160, 240, 320, 480)
# the same range in doublings, where time is short
QUICK_SIZES = (20, 40, 80, 160, 320)
# as precise as the original, and with half its variance
RELATIVE_SIZES = (1.0, 2.0)
# from even chances to the usual power of .8, which half of the headline rows cannot reach
TARGETS = (0.5, 0.6, 0.7, 0.8)
# the highest target below the ceiling of every headline row, the lowest of which is .70
TRADE_OFF = 0.6
# Four to one: it asks for an estimate .84 standard errors above the MCID, where .975 asks for 1.96.
WORTHWHILE_LEVEL = 0.8


@dataclass(frozen=True)
class Outlook:
    """What is foretold of a replication from one printed row, one reading and one center."""

    contrast: str
    reading: str  # how a crossover contrast is read, "averaged" over its readings
    center: str  # the prior that the posterior of the row was made under
    found: ReplicationPrior
    # by reading, estimate and standard error, convention N, score units, benefit-positive
    originals: Mapping[str, tuple[float, float]]
    predictions: list[dict[str, Any]]  # of `predict_replication`, one a relative size
    # of a crossover row with the row's precision, under an average that of the most weight
    designs: Mapping[str, ReplicationDesign]
    curves: Mapping[str, Mapping[str, xr.Dataset]]  # assurance by goal and design
    # a line a goal, design and target; ``n`` is None where no size reaches it
    sizes: list[dict[str, Any]]
    # a line a correlation: smallest crossover and parallel trial for one target
    trade_off: list[dict[str, Any]]
    quick: bool = False  # parts were left out to save time

    @property
    def original(self) -> tuple[float, float]:
        """Estimate and standard error of the row, averaged over its readings."""
        weights = self.found.about["readings"]
        estimate, se = (
            sum(weights[name] * pair[index] for name, pair in self.originals.items())
            for index in (0, 1)
        )
        return float(estimate), float(se)

    def predictive(self, *, relative_size: float = 1.0) -> Prior:
        """Return the distribution of the estimate of a replication of a relative size."""
        weights = self.found.about["readings"]
        parts = [
            predictive_distribution(self.found.by_reading[name], se=se / relative_size**0.5)
            for name, (_, se) in self.originals.items()
        ]
        return mixed(parts, [weights[name] for name in self.originals])

    @property
    def name(self) -> str:
        """Name of its file: contrast, reading of a crossover row, center."""
        parts = [self.contrast, self.reading if self.found.about["crossover"] else "", self.center]
        return "-".join(part for part in parts if part).replace(".", "-").replace("_", "-")


def replication_outlook(
    fits: xr.DataTree | Mapping[str, xr.DataTree],
    evidence: Evidence,
    *,
    quick: bool = False,
    reading_weights: Mapping[str, float] | None = None,
) -> Outlook:
    """Return what a printed row foretells of a replication, under a reading or averaged.

    Under the default replication prior: half-normal(SD/4) between trials, and a robust component of
    weight .2 and one patient's worth. `reading_weights` are equal by default; `quick` asks for
    fewer sizes, one relative size, no skeptical analysis and one heterogeneity.
    """
    if isinstance(fits, xr.DataTree):
        fits = {str(fits.attrs["crossover_reading"]) or "as_published": fits}
    with warnings.catch_warnings():
        # kept with the prior, and shown with it
        warnings.simplefilter("ignore", StatisticalWarning)
        found = replication_prior(fits, reading_weights=reading_weights)
    about = found.about
    contrast, total = str(about["contrast"]), float(about["sd"])
    originals = {name: original_estimate(evidence, contrast, reading=name) for name in fits}
    plans = {
        name: row_cases(found, design, evidence)
        for name, design in planned_designs(evidence, sd=total).items()
    }
    goals = _goals(about, total, quick=quick)
    sizes = QUICK_SIZES if quick else SIZES
    designs = {name: max(cases, key=lambda case: case[0])[2] for name, cases in plans.items()}
    return Outlook(
        contrast=contrast,
        reading=next(iter(fits)) if len(fits) == 1 else AVERAGED,
        center=str(about["center"]),
        found=found,
        originals=originals,
        predictions=[
            _prediction(found, originals, relative)
            for relative in (RELATIVE_SIZES[:1] if quick else RELATIVE_SIZES)
        ],
        designs=designs,
        curves=_curves(found, plans, goals, sizes),
        sizes=[
            {"goal": name, **line}
            for name, goal in goals.items()
            if goal.exact
            for line in _sizes(found, designs, plans, goal)
        ],
        trade_off=_trade_off(found, designs, plans, goals["benefit"]),
        quick=quick,
    )


def outlook_document(outlook: Outlook) -> dict[str, Any]:
    """Return an outlook as JSON values: the prior with worth and exports, predictions, plans."""
    found = outlook.found
    priced = {
        name: outlook.designs[name] for name in ("parallel", "crossover") if name in outlook.designs
    }
    return {
        "name": outlook.name,
        **prior_document(found, priced, sensitivity=not outlook.quick),
        "reading": outlook.reading if found.about["crossover"] else "",
        "original": dict(zip(("estimate", "se"), outlook.original, strict=True)),
        "originals": {
            name: dict(zip(("estimate", "se"), pair, strict=True))
            for name, pair in outlook.originals.items()
        },
        "predictions": outlook.predictions,
        "assurance": {
            goal: {design: curve_document(curve) for design, curve in curves.items()}
            for goal, curves in outlook.curves.items()
        },
        "sample_sizes": outlook.sizes,
        "trade_off": outlook.trade_off,
    }


def _curves(
    found: ReplicationPrior,
    plans: Mapping[str, list[Case]],
    goals: Mapping[str, Goal],
    sizes: Sequence[int],
) -> dict[str, dict[str, xr.Dataset]]:
    """Return the assurance of every design for every goal."""
    return {
        name: {
            design: assurance_curve(found.prior, cases[0][2], sizes=sizes, goal=goal, cases=cases)
            for design, cases in plans.items()
        }
        for name, goal in goals.items()
    }


def _goals(about: Mapping[str, Any], sd: float, *, quick: bool) -> dict[str, Goal]:
    """Return what a replication may have to show, by name."""
    goals = {"benefit": Goal()}
    if about["mcid"] is not None:
        goals["worthwhile"] = Goal(margin=float(about["mcid"]), level=WORTHWHILE_LEVEL)
    if not quick:
        goals["benefit_skeptical"] = Goal(analysis=resolve_prior("skeptical", sd=sd))
    return goals


def _prediction(
    found: ReplicationPrior, originals: Mapping[str, tuple[float, float]], relative: float
) -> dict[str, Any]:
    """Return what a replication of a relative size would print, averaged over readings."""
    skeptic = resolve_prior("skeptical", sd=float(found.about["sd"]))
    errors = {name: se / relative**0.5 for name, (_, se) in originals.items()}
    predicted = [
        predict_replication(
            found.by_reading[name], se=errors[name], original=original,
            mcid=found.about["mcid"], skeptic=skeptic,
        )
        for name, original in originals.items()
    ]  # fmt: skip
    weights = [found.about["readings"][name] for name in originals]
    predictive = [
        predictive_distribution(found.by_reading[name], se=errors[name]) for name in originals
    ]
    averaged = average_predictions(predicted, weights, predictive)
    se = sum(weight * error for weight, error in zip(weights, errors.values(), strict=True))
    return {**averaged, "relative_size": relative, "se": se}


def _sizes(
    found: ReplicationPrior,
    designs: Mapping[str, ReplicationDesign],
    plans: Mapping[str, list[Case]],
    goal: Goal,
) -> list[dict[str, Any]]:
    """Return the smallest size of each design for each target, None where no size reaches it."""
    ceiling = goal_ceiling(found.prior, goal)
    worth = designs["parallel"].information
    lines = []
    for name, design in designs.items():
        periods = 1 + design.complete if design.kind == "crossover" else 1.0
        for target in TARGETS:
            size = _smallest(plans[name], goal, target)
            n = size.get("n")
            lines.append({
                "goal_words": goal.label, "design": name, "label": design.label, "target": target,
                "n": n, "per_group": size.get("per_group"), "complete": size.get("complete"),
                "treatments": None if n is None else n * periods,
                "assurance": size.get("assurance"), "ceiling": ceiling,
                "patient_worth": design.information / worth,
            })  # fmt: skip
    return lines


def _smallest(cases: list[Case], goal: Goal, target: float) -> dict[str, Any]:
    """Return the smallest size that reaches a target, or nothing where none does."""
    _, prior, design = cases[0]
    try:
        return smallest_size(prior, design, goal=goal, target=target, cases=cases)
    except SpecError:
        # the ceiling is in the line; a target just below it may need more than anybody can treat
        return {}


def _trade_off(
    found: ReplicationPrior,
    designs: Mapping[str, ReplicationDesign],
    plans: Mapping[str, list[Case]],
    goal: Goal,
) -> list[dict[str, Any]]:
    """Return crossover against parallel by the correlation of a patient's two scores."""
    names = [name for name in designs if designs[name].kind == "crossover"]
    if not names:
        return []
    total = float(found.about["sd"])
    parallel = _smallest(plans["parallel"], goal, TRADE_OFF).get("n")
    lines = []
    for correlation in CORRELATIONS:
        line: dict[str, Any] = {
            "target": TRADE_OFF, "correlation": correlation, "parallel": parallel
        }  # fmt: skip
        for name in names:
            design = designs[name].with_nuisance(sd=total, correlation=correlation)
            cases = [(weight, prior, design) for weight, prior, _ in plans[name]]
            line[name] = _smallest(cases, goal, TRADE_OFF).get("n")
            line[f"{name}_worth"] = design.information / designs["parallel"].information
        lines.append(line)
    return lines
