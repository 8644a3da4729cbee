"""Subscales of a total under one coherent prior.

The differences of the parts add up to that of the total, in the prior too::

    tau[k] = w[k] tau_total + d[k],   sum of d = 0,   d ~ Normal(0, omega^2) on that plane
    tau_total ~ prior of the treatment difference,   omega ~ HalfNormal(1.5)
    estimate ~ Normal(tau, S R S),   R the one correlation that the printed errors imply

with w the share of the items of each part in the total.
"""

from __future__ import annotations

import numpy as np

from bayes_ptsd.errors import EvidenceError, SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.audit.subscales import mean_correlation
from bayes_ptsd.joint.problem import JointProblem, analysis_rows, equicorrelated, normal_errors
from bayes_ptsd.prior_family import resolve_prior
from bayes_ptsd.priors import FloatArray, Prior

__all__ = ["subscales_problem"]

HETEROGENEITY = Prior("half_normal", {"sigma": 1.5})


def subscales_problem(
    evidence: Evidence,
    *,
    total: str,
    analysis: str,
    crossover_reading: str = "as_published",
    prior: str | Prior = "skeptical",
    heterogeneity: Prior = HETEROGENEITY,
) -> JointProblem:
    """Set up the parts of a total in one analysis.

    Parameters
    ----------
    evidence : Evidence
        Of kind ``published``.
    total : str
        Id of the total; endpoints whose id begins with it and an underscore are its parts.
    analysis : str
        Such as ``crossover`` or ``first_period``.
    crossover_reading : str
        How crossover rows are read.
    prior : str or Prior
        Of the total's treatment difference: a normal, or a name of the family that is one.
    heterogeneity : Prior
        Of omega, score units.

    Returns
    -------
    JointProblem
        In score units; a part's weight is its range over the total's.

    Raises
    ------
    EvidenceError
        If there are no parts, or a range is missing.
    SpecError
        If the prior is not normal.

    Examples
    --------
    >>> from bayes_ptsd.evidence.published import load_published
    >>> problem = subscales_problem(load_published(), total="ies_r", analysis="crossover")
    >>> round(float(problem.sampling.sum()) ** 0.5, 2)
    5.18
    """
    endpoint = evidence.trial.endpoint(total)
    parts = [name for name in evidence.trial.endpoints if name.startswith(f"{total}_")]
    if len(parts) < 2:
        raise EvidenceError(f"endpoint '{total}' has no parts; their ids begin with '{total}_'")
    chosen = prior if isinstance(prior, Prior) else resolve_prior(
        prior, sd=endpoint.reference_sd or 1.0, se=1.0
    )  # fmt: skip
    if chosen.dist != "normal":
        raise SpecError(f"prior {chosen.name}: the parts of a total need a normal prior")
    names = [total, *parts]
    rows = analysis_rows(evidence, analysis, names, crossover_reading=crossover_reading)
    estimate, se = normal_errors(rows)
    correlation = mean_correlation(se[0], se[1:])
    weight = _weights(evidence, total, parts)
    plane = np.eye(len(parts)) - 1 / len(parts)
    ends = [evidence.trial.endpoint(name).mcid for name in parts]
    return JointProblem(
        endpoint=tuple(parts),
        estimate=estimate[1:],
        sampling=equicorrelated(se[1:], correlation),
        fixed=chosen.params["sigma"] ** 2 * np.outer(weight, weight),
        spread=plane,
        center=chosen.params["mu"] * weight,
        heterogeneity=heterogeneity,
        unit=np.ones(len(parts)),
        mcid=np.array([np.nan if end is None else end for end in ends]),
        evidence_kind=evidence.kind,
        analysis=analysis,
        crossover_reading=crossover_reading,
        assumptions=(f"one correlation, {correlation:.3f}, between the parts' estimates",),
    )


def _weights(evidence: Evidence, total: str, parts: list[str]) -> FloatArray:
    """Return the share of each part in the total's range."""
    widths = []
    for name in parts:
        limits = evidence.trial.endpoint(name).range
        if limits is None:
            raise EvidenceError(f"endpoint '{name}' has no 'range', which weighs it in '{total}'")
        widths.append(limits[1] - limits[0])
    return np.array(widths) / sum(widths)
