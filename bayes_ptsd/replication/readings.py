"""What readings of a printed crossover row mean for a replication: weights, and precision.

The difference of a reading goes with the precision of the same reading, so an average over readings
is an average of whole predictions and plans, not one plan for an averaged prior.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.published import select_contrast
from bayes_ptsd.evidence.readings import CROSSOVER_READINGS, TREATMENT_READINGS, of_treatment
from bayes_ptsd.exact.summary import likelihood_of
from bayes_ptsd.priors import Prior
from bayes_ptsd.readings.weights import weights_of
from bayes_ptsd.replication.assurance import Case
from bayes_ptsd.replication.designs import ReplicationDesign
from bayes_ptsd.replication.mixtures import mixed

if TYPE_CHECKING:
    from bayes_ptsd.replication.prior import ReplicationPrior

__all__ = [
    "average_predictions",
    "averaged_weights",
    "printed_precision",
    "row_cases",
    "row_design",
]


def averaged_weights(
    evidence: Evidence, weights: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Return the weight of each scale among the readings of the treatment difference.

    Readings of one scale have one difference and one precision, so that one stands for all of its
    scale: ``as_published`` also for ``change``, ``unhalved`` also for ``change_unhalved``. They add
    up to 1; without `weights` the printed rows give them.
    """
    given = of_treatment(weights_of(evidence) if weights is None else weights)
    found: dict[str, float] = {}
    for name, weight in given.items():
        scale = CROSSOVER_READINGS[name].scale
        first = next(n for n in CROSSOVER_READINGS if CROSSOVER_READINGS[n].scale == scale)
        found[first] = found.get(first, 0.0) + weight
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def printed_precision(evidence: Evidence, contrast: str, *, reading: str) -> float | None:
    """Return the variance of a completer's within-patient difference that a printed row implies.

    ``SE^2 (df + 2)``, score units squared: what a balanced crossover of as many completers prints
    the same standard error with. None where the row is no contrast of a crossover.
    """
    row = select_contrast(evidence, contrast, crossover_reading=reading).data["effects"]
    crossover = str(row["analysis"].item()) == "crossover"
    if not crossover or reading not in TREATMENT_READINGS or not np.isfinite(float(row["df"])):
        return None
    error = likelihood_of(row.to_dataset(), "T").params["sigma"]
    return float(error**2 * (float(row["df"]) + 2))


def row_design(
    design: ReplicationDesign, evidence: Evidence, contrast: str, *, reading: str
) -> ReplicationDesign:
    """Return a crossover with the precision of a printed row; another design as it is."""
    variance = printed_precision(evidence, contrast, reading=reading)
    if design.kind != "crossover" or variance is None:
        return design
    return design.with_difference(variance, basis=reading.replace("_", " "))


def row_cases(found: ReplicationPrior, design: ReplicationDesign, evidence: Evidence) -> list[Case]:
    """Return what a plan is averaged over: each reading's prior with the precision of the row.

    One case in all where the design is the same under each.
    """
    if not found.about["crossover"]:
        return [(1.0, found.prior, design)]
    contrast = str(found.about["contrast"])
    cases = [
        (weight, found.by_reading[name], row_design(design, evidence, contrast, reading=name))
        for name, weight in found.about["readings"].items()
    ]
    same = all(one == design for *_, one in cases)
    return [(1.0, found.prior, design)] if same else cases


def average_predictions(
    predictions: Sequence[Mapping[str, Any]],
    weights: Sequence[float],
    predictive: Sequence[Prior],
) -> dict[str, Any]:
    """Return what is foretold averaged over readings.

    Probabilities are weighted means; mean, sd and interval are those of the mixture.
    """
    whole = mixed(predictive, weights)
    averaged = _mean_of(predictions, np.array(weights))
    return averaged | {"mean": whole.mean, "sd": whole.sd, "interval95": list(whole.interval())}


def _mean_of(documents: Sequence[Mapping[str, Any]], weights: np.ndarray) -> dict[str, Any]:
    """Return weighted means of the numbers of documents of one form."""
    found: dict[str, Any] = {}
    for key, value in documents[0].items():
        values = [document[key] for document in documents]
        if isinstance(value, Mapping):
            found[key] = _mean_of(values, weights)
        elif isinstance(value, list):
            found[key] = (weights @ np.array(values)).tolist()
        else:
            found[key] = float(weights @ np.array(values))
    return found
