"""Subscales of a total under one coherent prior.

The differences of the parts add up to that of the total, in the prior too::

    tau[k] = w[k] tau_total + d[k],   sum of d = 0,   d ~ Normal(0, omega^2) on that plane
    tau_total ~ prior of the treatment difference,   omega ~ HalfNormal(1.5)
    estimate ~ Normal(tau, S R S),   R the one correlation that the printed errors imply

with w the share of each part in the total's range.
"""

from __future__ import annotations

import numpy as np

from bayes_ptsd.audit.relations import mean_correlation
from bayes_ptsd.errors import EvidenceError, SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.joint.problem import JointProblem, analysis_rows, equicorrelated, normal_errors
from bayes_ptsd.prior_family import resolve_prior
from bayes_ptsd.priors import FloatArray, Prior

__all__ = ["subscales_problem"]

# score units: about .3, as between endpoints, of a part's share (6 or 8 items of 22) of the total's
# reference SD, 14.4
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
    """Set up the parts of a total, endpoints ``<total>_...``, in one analysis, in score units.

    A part's weight is its range over the sum of all; `prior` is a normal, or the name of one, of
    the total's difference.
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
