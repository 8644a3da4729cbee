"""The frequentist analysis that answers for the same estimand as a model, by structure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bayes_ptsd.evidence import Evidence
from bayes_ptsd.mirrors.binary import binary_mirror
from bayes_ptsd.mirrors.crossover import crossover_mirror
from bayes_ptsd.mirrors.depression import depression_mirror
from bayes_ptsd.mirrors.first_period import first_period_mirror
from bayes_ptsd.mirrors.joint import joint_mirror
from bayes_ptsd.mirrors.longitudinal import longitudinal_mirror
from bayes_ptsd.mirrors.ordinal import ordinal_mirror
from bayes_ptsd.mirrors.parts import parts_mirror
from bayes_ptsd.mirrors.printed import printed_mirror
from bayes_ptsd.spec import ModelSpec

__all__ = ["MIRRORS", "frequentist_document"]

MIRRORS: Mapping[str, Callable[[Evidence, ModelSpec], dict[str, Any]]] = {
    "summary": printed_mirror,
    "crossover": crossover_mirror,
    "ordinal": ordinal_mirror,
    "binary": binary_mirror,
    "first_period": first_period_mirror,
    "longitudinal": longitudinal_mirror,
    "depression": depression_mirror,
    "endpoints": joint_mirror,
    "subscales": joint_mirror,
    "parts": parts_mirror,
}


def frequentist_document(evidence: Evidence, spec: ModelSpec) -> dict[str, Any]:
    """Return the frequentist analysis of the estimand of a model.

    ``method, estimate, se, df, ci95, p_value`` of the treatment difference (benefit-positive, score
    units); for patients also ``analyses``, every estimand of every analysis; for a crossover
    ``periods``, lines as `period_lines` has them. Numbers that do not exist are None; if the
    analysis cannot be done the method says ``none`` and why.
    """
    return MIRRORS[spec.structure](evidence, spec)
