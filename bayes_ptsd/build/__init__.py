"""One readable `pm.Model` per structure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pymc as pm

from bayes_ptsd.build.categorical import build_categorical
from bayes_ptsd.build.crossover import build_crossover
from bayes_ptsd.build.depression import build_depression
from bayes_ptsd.build.first_period import build_first_period
from bayes_ptsd.build.joint import build_joint_model
from bayes_ptsd.build.longitudinal import build_longitudinal
from bayes_ptsd.build.parts import build_parts
from bayes_ptsd.build.summary import build_summary
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.spec import ModelSpec

__all__ = ["BUILDERS", "build_model"]

BUILDERS: Mapping[str, Callable[[Evidence, ModelSpec], pm.Model]] = {
    "summary": build_summary,
    "crossover": build_crossover,
    "first_period": build_first_period,
    "longitudinal": build_longitudinal,
    "ordinal": build_categorical,
    "binary": build_categorical,
    "depression": build_depression,
    "endpoints": build_joint_model,
    "subscales": build_joint_model,
    "parts": build_parts,
}


def build_model(evidence: Evidence, spec: ModelSpec) -> pm.Model:
    """Build the PyMC model of a specification for some evidence.

    Parameters
    ----------
    evidence : Evidence
        What is analyzed.
    spec : ModelSpec
        Its structure decides the builder.

    Returns
    -------
    pm.Model
        With at least one observed variable.

    Raises
    ------
    SpecError, EvidenceError
        If specification and evidence do not fit together.

    Examples
    --------
    >>> from bayes_ptsd.evidence.published import load_published, select_contrast
    >>> from bayes_ptsd.spec import load_model
    >>> row = select_contrast(load_published(), "T2.IESR.F")
    >>> len(build_model(row, load_model("published-first-period")).observed_RVs)
    1
    """
    return BUILDERS[spec.structure](evidence, spec)
