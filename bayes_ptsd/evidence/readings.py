"""Named readings of what the paper leaves open: the crossover contrast and the flow of patients.

The paper does not say how its crossover contrast was formed, nor in which order the patients who
left early had been treated. Each reading is a named assumption that every result carries; none is
a judgment about the paper. How well each explains what was printed is weighed in
`bayes_ptsd.readings.weights`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bayes_ptsd.errors import EvidenceError, SpecError, nearest, shown

__all__ = [
    "AVERAGED",
    "CROSSOVER_READINGS",
    "FLOW_READINGS",
    "TREATMENT_READINGS",
    "CrossoverReading",
    "FlowReading",
    "crossover_reading_of",
    "flow_reading_of",
    "of_treatment",
    "parse_weights",
]


@dataclass(frozen=True)
class CrossoverReading:
    """One way to read a printed crossover row.

    Attributes
    ----------
    letter : str
        Name in the methods pages (H_A to H_E).
    scale : float
        Factor that turns the printed estimate, limits and standard error into the treatment
        difference of one patient, in score units.
    estimand : str
        What the printed number then is.
    supports, conflicts : str
        What among the printed numbers agrees with the reading and what does not.
    treatment : bool
        Whether the printed number is, in its scale, the treatment difference of one patient.
    """

    name: str
    letter: str
    scale: float
    estimand: str
    supports: str
    conflicts: str
    treatment: bool = True


@dataclass(frozen=True)
class FlowReading:
    """One account of how many patients of each sequence reached each stage.

    Attributes
    ----------
    randomized, second_infusion, completers : mapping of str to int
        Patients by sequence: randomized, infused a second time, rated in both periods.
    supports, conflicts : str
        What among the printed numbers agrees with the reading and what does not.
    """

    name: str
    source: str
    randomized: Mapping[str, int]
    second_infusion: Mapping[str, int]
    completers: Mapping[str, int]
    supports: str
    conflicts: str


# scales: 1.0 where print is the treatment difference (or none), 0.5 where it is twice that
CROSSOVER_READINGS: Mapping[str, CrossoverReading] = MappingProxyType(
    {
        "as_published": CrossoverReading(
            "as_published",
            "H_A",
            1.0,
            "half the sum of the two within-sequence mean differences, as printed",
            "the usual crossover estimator, under the label that the table prints",
            "implies a between-period correlation of about -0.7 for the IES-R and below -1 for "
            "CGI-S, QIDS-SR and MADRS if period 2 varies as much as period 1",
        ),
        "carryover_covariate": CrossoverReading(
            "carryover_covariate",
            "H_B",
            1.0,
            "first-period difference among those rated in both periods, because a first-order "
            "carryover term in the model takes up the second period",
            "total standard deviations that fit IES-R, its subscales, QIDS-SR and CGI",
            "does not fit MADRS; the completers' first-period difference would exceed that of "
            "all patients although early leavers under active treatment had improved most",
            treatment=False,
        ),
        "unhalved": CrossoverReading(
            "unhalved",
            "H_C",
            0.5,
            "sum of the two within-sequence mean differences: twice the treatment difference",
            "between-period correlations of 0.3 to 0.6 for every 24-hour row but MADRS; half the "
            "crossover estimate is below the first-period one for all eight endpoints",
            "does not fit MADRS, unless that row is a contrast of patient totals",
        ),
        "change": CrossoverReading(
            "change",
            "H_D",
            1.0,
            "half the sum of within-sequence differences of change from each period's baseline",
            "the outcome is worded as change; possible within sampling error for the IES-R",
            "CGI-I has no baseline; does not fit MADRS",
        ),
        "change_unhalved": CrossoverReading(
            "change_unhalved",
            "H_E",
            0.5,
            "sum of within-sequence differences of change: twice the treatment difference",
            "the best single formula for all standard errors once MADRS is included",
            "wider than the printed interval for the IES-R",
        ),
    }
)

AVERAGED = "averaged"
"""Label of what is averaged over the readings of the treatment difference; itself no reading."""
TREATMENT_READINGS = tuple(name for name, one in CROSSOVER_READINGS.items() if one.treatment)

# patients as the two sources have them; both add up to 41 randomized, 31 infused twice and 29 rated
FLOW_READINGS: Mapping[str, FlowReading] = MappingProxyType(
    {
        "paper": FlowReading(
            "paper",
            "Figure 1, a treatment in parentheses read as that of the only infusion received",
            MappingProxyType({"KM": 22, "MK": 19}),
            MappingProxyType({"KM": 13, "MK": 18}),
            MappingProxyType({"KM": 13, "MK": 16}),
            "40 received ketamine and 32 midazolam, enough for the 39 and 31 behind the "
            "adverse-event percentages",
            "the registry record posts the completers the other way round",
        ),
        "registry": FlowReading(
            "registry",
            "registry record NCT00749203, participant flow",
            MappingProxyType({"KM": 22, "MK": 19}),
            MappingProxyType({"KM": 16, "MK": 15}),
            MappingProxyType({"KM": 16, "MK": 13}),
            "posted by the trial's sponsor",
            "37 received ketamine, fewer than the 39 behind the adverse-event percentages",
        ),
    }
)


def crossover_reading_of(name: str) -> CrossoverReading:
    """Return the crossover reading called `name`, or refuse it with the nearest name."""
    if name not in CROSSOVER_READINGS:
        raise EvidenceError(f"crossover_reading '{name}'{nearest(name, CROSSOVER_READINGS)}")
    return CROSSOVER_READINGS[name]


def flow_reading_of(name: str) -> FlowReading:
    """Return the flow reading called `name`, or refuse it with the nearest name."""
    if name not in FLOW_READINGS:
        raise EvidenceError(f"flow_reading '{name}'{nearest(name, FLOW_READINGS)}")
    return FLOW_READINGS[name]


def of_treatment(weights: Mapping[str, float]) -> dict[str, float]:
    """Return the weights among the readings of the treatment difference, adding up to 1.

    `carryover_covariate` is left out: its contrast is another estimand, the first-period difference
    of those who completed. Weights with none on the other readings are refused.
    """
    kept = {name: weights[name] for name in TREATMENT_READINGS if weights.get(name, 0.0) > 0}
    total = sum(kept.values())
    if total == 0:
        raise SpecError(
            "reading weights: no reading of the treatment difference has any; give one of "
            f"{', '.join(TREATMENT_READINGS)} a weight above 0"
        )
    return {name: weight / total for name, weight in kept.items()}


def parse_weights(text: str) -> dict[str, float]:
    """Read weights from text such as ``"as_published=0.2, unhalved=0.8"``; they add up to 1.

    Readings that are not named have none.
    """
    found: dict[str, float] = {}
    for part in text.split(","):
        name, _, number = (piece.strip() for piece in part.partition("="))
        if name not in CROSSOVER_READINGS:
            raise SpecError(f"reading weights: '{shown(name)}'{nearest(name, CROSSOVER_READINGS)}")
        try:
            found[name] = float(number)
        except ValueError:
            raise SpecError(
                f"reading weights: '{shown(part.strip())}' has no number; write {name}=0.5"
            ) from None
    if not (all(0 <= value < math.inf for value in found.values()) and sum(found.values()) > 0):
        raise SpecError(
            f"reading weights: '{shown(text)}': give numbers from 0, at least one above 0"
        )
    total = sum(found.values())
    return {name: value / total for name, value in found.items()}
