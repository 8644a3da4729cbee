"""What one posterior of this trial promises of a replication: prior, predictions, assurance, size.

Everything that `bayes-ptsd replicate` answers one question at a time, for one printed row, reading
and center, under the designs that this trial suggests. Closed forms and quadrature only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import xarray as xr

from bayes_ptsd.errors import EvidenceError, SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.prior_family import resolve_prior
from bayes_ptsd.replication.assurance import Goal, assurance_curve, goal_ceiling
from bayes_ptsd.replication.designs import ReplicationDesign
from bayes_ptsd.replication.document import curve_document, original_estimate, prior_document
from bayes_ptsd.replication.prediction import predict_replication
from bayes_ptsd.replication.prior import ReplicationPrior, replication_prior
from bayes_ptsd.replication.sample_size import smallest_size
from bayes_ptsd.sensitivity import missing_shares

__all__ = [
    "CENTERS",
    "CORRELATIONS",
    "Outlook",
    "outlook_document",
    "planned_designs",
    "replication_outlook",
]

CENTERS = ("cochrane", "flat")
"""Priors of the family whose posteriors replication priors are centered on, the default first."""
CORRELATIONS = (0.2, 0.5, 0.8)
"""Correlations of a patient's two scores under which a crossover is priced."""
VISITS = 4
SIZES = (20, 30, 40, 60, 80, 120, 160, 240, 320, 480)
QUICK_SIZES = (20, 40, 80, 160, 320)
RELATIVE_SIZES = (1.0, 2.0)
TARGETS = (0.5, 0.6, 0.7, 0.8)
TRADE_OFF = 0.6
WORTHWHILE_LEVEL = 0.8


@dataclass(frozen=True)
class Outlook:
    """What is foretold of a replication from one printed row, one reading and one center.

    Attributes
    ----------
    contrast, reading, center : str
        The row, how its crossover contrast is read, and the prior its posterior was made under.
    found : ReplicationPrior
        The replication prior.
    original : tuple of float
        Estimate and standard error of the row, convention N, score units, benefit-positive.
    predictions : list of dict
        A document a relative size, from `predict_replication`, with ``relative_size`` and ``se``.
    designs : mapping of str to ReplicationDesign
        Designs by name.
    curves : mapping of str to mapping of str to xr.Dataset
        Assurance by goal and design.
    sizes : list of dict
        A line a goal, design and target: ``n`` or None where no size reaches it, ``per_group``,
        ``complete``, ``treatments``, ``assurance``, ``ceiling``, ``patient_worth``.
    trade_off : list of dict
        A line a correlation: smallest crossover and parallel trial for one target.
    quick : bool
        Whether parts were left out to save time.

    Examples
    --------
    >>> list(Outlook.__dataclass_fields__)[:3]
    ['contrast', 'reading', 'center']
    """

    contrast: str
    reading: str
    center: str
    found: ReplicationPrior
    original: tuple[float, float]
    predictions: list[dict[str, Any]]
    designs: Mapping[str, ReplicationDesign]
    curves: Mapping[str, Mapping[str, xr.Dataset]]
    sizes: list[dict[str, Any]]
    trade_off: list[dict[str, Any]]
    quick: bool = False

    @property
    def name(self) -> str:
        """Name of its file: contrast, reading of a crossover row, center."""
        parts = [self.contrast, self.reading if self.found.about["crossover"] else "", self.center]
        return "-".join(part for part in parts if part).replace(".", "-").replace("_", "-")


def planned_designs(evidence: Evidence, *, sd: float) -> dict[str, ReplicationDesign]:
    """Return the designs of a replication that a trial suggests.

    Parameters
    ----------
    evidence : Evidence
        Of kind ``published``; its flow of patients, where it has one, says who does not cross.
    sd : float
        Total standard deviation of the score, score units.

    Returns
    -------
    dict of str to ReplicationDesign
        ``parallel``; ``repeated``, the mean of four visits; of a trial with sequences also
        ``crossover``, everybody crosses, and ``crossover_leavers``, with the shares of this trial
        that were too well to cross (the gate) or left. All with a correlation of .5 between two
        scores of a patient.

    Examples
    --------
    >>> from bayes_ptsd.evidence.published import load_published
    >>> designs = planned_designs(load_published(), sd=14.4)
    >>> designs["crossover_leavers"].label
    'AB/BA crossover, correlation 0.5, sd 14.4, drop-out 0.17, gate 0.27 and 0'
    """
    designs = {
        "parallel": ReplicationDesign("parallel", sd=sd),
        "repeated": ReplicationDesign("repeated", sd=sd, visits=VISITS),
    }
    if not evidence.trial.sequences:
        return designs
    designs["crossover"] = ReplicationDesign("crossover", sd=sd)
    try:
        well, gone = (missing_shares(evidence, reason=reason) for reason in ("remitted", "all"))
    except EvidenceError:
        return designs
    gate = (well.active_first, well.control_first)
    # the others who left, as a share of those who were not held back
    left = 1 - (2 - gone.active_first - gone.control_first) / (2 - sum(gate))
    designs["crossover_leavers"] = ReplicationDesign(
        "crossover", sd=sd, gate=gate, dropout=round(left, 3)
    )
    return designs


def replication_outlook(fit: xr.DataTree, evidence: Evidence, *, quick: bool = False) -> Outlook:
    """Return what one fit of a printed row foretells of a replication.

    Parameters
    ----------
    fit : xr.DataTree
        Exact fit of a printed row of `evidence`.
    evidence : Evidence
        Of kind ``published``.
    quick : bool
        Fewer sizes, one relative size, no skeptical analysis and one heterogeneity.

    Returns
    -------
    Outlook
        Under the default replication prior: half-normal(SD/4) between trials, and a robust
        component of weight .2 and one patient's worth.

    Raises
    ------
    SpecError
        If the endpoint has no reference SD.

    Examples
    --------
    >>> from bayes_ptsd.evidence.published import load_published
    >>> from bayes_ptsd.replication.document import row_fits
    >>> evidence = load_published()
    >>> fits = row_fits(evidence, "T2.IESR.F", center="cochrane", convention="T",
    ...     readings=["as_published"])
    >>> outlook = replication_outlook(fits["as_published"], evidence, quick=True)
    >>> outlook.name, round(outlook.predictions[0]["p_below_05"], 2)
    ('T2-IESR-F-cochrane', 0.38)
    """
    reading = str(fit.attrs["crossover_reading"]) or "as_published"
    found = replication_prior({reading: fit})
    about = found.about
    original = original_estimate(evidence, about["contrast"], reading=reading)
    total = float(about["sd"])
    designs = planned_designs(evidence, sd=total)
    goals = _goals(about, total, quick=quick)
    sizes = QUICK_SIZES if quick else SIZES
    return Outlook(
        contrast=str(about["contrast"]),
        reading=reading,
        center=str(about["center"]),
        found=found,
        original=original,
        predictions=[
            _prediction(found, original, relative)
            for relative in (RELATIVE_SIZES[:1] if quick else RELATIVE_SIZES)
        ],
        designs=designs,
        curves={
            name: {
                design: assurance_curve(found.prior, plan, sizes=sizes, goal=goal)
                for design, plan in designs.items()
            }
            for name, goal in goals.items()
        },
        sizes=[
            {"goal": name, **line}
            for name, goal in goals.items()
            if goal.exact
            for line in _sizes(found, designs, goal)
        ],
        trade_off=_trade_off(found, designs, goals["benefit"]),
        quick=quick,
    )


def outlook_document(outlook: Outlook) -> dict[str, Any]:
    """Return an outlook as a plain document.

    Parameters
    ----------
    outlook : Outlook
        From `replication_outlook`.

    Returns
    -------
    dict
        JSON values: the prior with its worth, exports and sources, ``original``, ``predictions``,
        ``assurance`` by goal and design, ``sample_sizes``, ``trade_off``.

    Examples
    --------
    >>> from bayes_ptsd.evidence.published import load_published
    >>> from bayes_ptsd.replication.document import row_fits
    >>> evidence = load_published()
    >>> fits = row_fits(evidence, "T2.IESR.F", center="flat", convention="T",
    ...     readings=["as_published"])
    >>> document = outlook_document(replication_outlook(fits["as_published"], evidence, quick=True))
    >>> sorted(document["assurance"]), len(document["sample_sizes"])
    (['benefit', 'worthwhile'], 32)
    """
    found = outlook.found
    priced = {
        name: outlook.designs[name] for name in ("parallel", "crossover") if name in outlook.designs
    }
    return {
        "name": outlook.name,
        **prior_document(found, priced, sensitivity=not outlook.quick),
        "reading": outlook.reading if found.about["crossover"] else "",
        "original": dict(zip(("estimate", "se"), outlook.original, strict=True)),
        "predictions": outlook.predictions,
        "assurance": {
            goal: {design: curve_document(curve) for design, curve in curves.items()}
            for goal, curves in outlook.curves.items()
        },
        "sample_sizes": outlook.sizes,
        "trade_off": outlook.trade_off,
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
    found: ReplicationPrior, original: tuple[float, float], relative: float
) -> dict[str, Any]:
    """Return what a replication of a relative size would print."""
    se = original[1] / relative**0.5
    skeptic = resolve_prior("skeptical", sd=float(found.about["sd"]))
    predicted = predict_replication(
        found.prior, se=se, original=original, mcid=found.about["mcid"], skeptic=skeptic
    )
    return {**predicted, "relative_size": relative, "se": se}


def _sizes(
    found: ReplicationPrior, designs: Mapping[str, ReplicationDesign], goal: Goal
) -> list[dict[str, Any]]:
    """Return the smallest size of each design for each target, None where no size reaches it."""
    ceiling = goal_ceiling(found.prior, goal)
    worth = designs["parallel"].information
    lines = []
    for name, design in designs.items():
        periods = 1 + design.complete if design.kind == "crossover" else 1.0
        for target in TARGETS:
            size = _smallest(found, design, goal, target)
            n = size.get("n")
            lines.append({
                "goal_words": goal.label, "design": name, "label": design.label, "target": target,
                "n": n, "per_group": size.get("per_group"), "complete": size.get("complete"),
                "treatments": None if n is None else n * periods,
                "assurance": size.get("assurance"), "ceiling": ceiling,
                "patient_worth": design.information / worth,
            })  # fmt: skip
    return lines


def _smallest(
    found: ReplicationPrior, design: ReplicationDesign, goal: Goal, target: float
) -> dict[str, Any]:
    """Return the smallest size that reaches a target, or nothing where none does."""
    try:
        return smallest_size(found.prior, design, goal=goal, target=target)
    except SpecError:
        # the ceiling is in the line; a target just below it may need more than anybody can treat
        return {}


def _trade_off(
    found: ReplicationPrior, designs: Mapping[str, ReplicationDesign], goal: Goal
) -> list[dict[str, Any]]:
    """Return crossover against parallel by the correlation of a patient's two scores."""
    names = [name for name in designs if designs[name].kind == "crossover"]
    if not names:
        return []
    parallel = _smallest(found, designs["parallel"], goal, TRADE_OFF).get("n")
    lines = []
    for correlation in CORRELATIONS:
        line: dict[str, Any] = {
            "target": TRADE_OFF, "correlation": correlation, "parallel": parallel
        }  # fmt: skip
        for name in names:
            design = designs[name].with_nuisance(sd=designs[name].sd, correlation=correlation)
            line[name] = _smallest(found, design, goal, TRADE_OFF).get("n")
            line[f"{name}_worth"] = design.information / designs["parallel"].information
        lines.append(line)
    return lines
