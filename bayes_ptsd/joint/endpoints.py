"""Hierarchical shrinkage over endpoints: an answer to many unadjusted contrasts.

Standardized effects of one domain scatter around a mean of their own::

    theta[e] = treatment difference[e] / SD[e]
    theta[e] ~ Normal(mu[domain of e], omega^2),  mu ~ Normal(0, 0.5^2),  omega ~ HalfNormal(0.3)
    estimate / SD ~ Normal(theta, S R S),  R one correlation between the estimates

The correlation between estimates of one set of patients is not printed: it is an assumption, 0.5
by default. A total and its subscales never enter together.
"""

from __future__ import annotations

import numpy as np

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.joint.problem import JointProblem, analysis_rows, equicorrelated, normal_errors
from bayes_ptsd.priors import Prior

__all__ = ["endpoints_problem"]

MEAN_SD = 0.5
HETEROGENEITY = Prior("half_normal", {"sigma": 0.3})


def endpoints_problem(
    evidence: Evidence,
    *,
    analysis: str,
    crossover_reading: str = "as_published",
    correlation: float = 0.5,
    mean_sd: float = MEAN_SD,
    heterogeneity: Prior = HETEROGENEITY,
) -> JointProblem:
    """Set up the endpoints of one analysis that have a domain.

    Parameters
    ----------
    evidence : Evidence
        Of kind ``published``; endpoints of the trial that share effects have a ``domain``.
    analysis : str
        Such as ``crossover`` or ``first_period``.
    crossover_reading : str
        How crossover rows are read.
    correlation : float
        Between the estimates of any two endpoints.
    mean_sd : float
        Prior sd of a domain's mean effect, in reference SDs.
    heterogeneity : Prior
        Of omega, in reference SDs.

    Returns
    -------
    JointProblem
        In reference SDs, ``unit`` turns them into scores.

    Raises
    ------
    EvidenceError
        If no endpoint has a domain, or one has no reference SD.
    SpecError
        If no estimates can have the correlation.

    Examples
    --------
    >>> from bayes_ptsd.evidence.published import load_published
    >>> endpoints_problem(load_published(), analysis="first_period").endpoint
    ('ies_r', 'cgi_s', 'cgi_i', 'qids_sr', 'madrs')
    """
    trial = evidence.trial
    chosen = {name: one for name, one in trial.endpoints.items() if one.domain}
    if not chosen:
        raise EvidenceError(f"{trial.source}: no endpoint has a 'domain'; add it to those to join")
    lacking = [name for name, one in chosen.items() if one.reference_sd is None]
    if lacking:
        raise EvidenceError(f"{trial.source}: no 'reference_sd' for {', '.join(lacking)}; add it")
    rows = analysis_rows(evidence, analysis, list(chosen), crossover_reading=crossover_reading)
    unit = np.array([float(one.reference_sd or np.nan) for one in chosen.values()])
    estimate, se = normal_errors(rows)
    domains = [one.domain for one in chosen.values()]
    same = np.array([[a == b for b in domains] for a in domains], dtype=float)
    return JointProblem(
        endpoint=tuple(chosen),
        estimate=estimate / unit,
        sampling=equicorrelated(se / unit, correlation),
        fixed=mean_sd**2 * same,
        spread=np.eye(len(chosen)),
        center=np.zeros(len(chosen)),
        heterogeneity=heterogeneity,
        unit=unit,
        mcid=np.array([np.nan if one.mcid is None else one.mcid for one in chosen.values()]),
        evidence_kind=evidence.kind,
        analysis=analysis,
        crossover_reading=crossover_reading,
        assumptions=(f"correlation {correlation:g} between the estimates, not printed",),
    )
