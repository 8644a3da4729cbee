"""Posteriors pooled over reconstructed patients: what print identifies, and what it leaves open.

Each reconstruction prints the same numbers and has a posterior of its own. The pooled posterior is
their equal mixture, as if the same number of draws of each were put together: the data are never
stacked. Within and between variances say how much of the spread is due to what was not printed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy import optimize
from scipy.interpolate import PchipInterpolator

from bayes_ptsd.crossover.batch import REACH, batch_with_tails, stacked_pairs
from bayes_ptsd.crossover.exact import exact_priors, why_not_exact
from bayes_ptsd.crossover.model import crossover_model
from bayes_ptsd.errors import EvidenceError, SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.outcome import select_outcome
from bayes_ptsd.exact._problem import solve_problem
from bayes_ptsd.exact._summaries import DRAW_TOLERANCE, solution_summaries
from bayes_ptsd.first_period.exact import first_period_problem
from bayes_ptsd.first_period.model import first_period_model
from bayes_ptsd.priors import FloatArray
from bayes_ptsd.spec import ModelSpec

__all__ = [
    "pool_crossover",
    "pool_draws",
    "pool_first_period",
    "pooled_frame",
    "pooled_summary",
    "shared_assumptions",
]

ESTIMAND = "treatment_difference"
STEPS, QUANTILES = 161, 801


def pool_crossover(
    patients: Sequence[Evidence], spec: ModelSpec, *, endpoint: str, visit: str = "24h"
) -> xr.Dataset:
    """Fit one crossover model to every reconstruction, exactly, and pool the posteriors.

    Parameters
    ----------
    patients : sequence of Evidence
        Reconstructions of one reading and flow, two or more.
    spec : ModelSpec
        Of structure ``crossover``, with a normal likelihood.
    endpoint, visit : str
        Which outcome.

    Returns
    -------
    xr.Dataset
        As `pooled_summary`, with the posterior of each reconstruction on dim ``reconstruction``.

    Raises
    ------
    EvidenceError
        If there are fewer than two, or they are not of one reading, flow and file of nuisance
        priors.
    SpecError
        If the exact engine does not cover the model.

    Examples
    --------
    >>> from bayes_ptsd.evidence.reconstruct.release import load_release
    >>> from bayes_ptsd.spec import load_model
    >>> pooled = pool_crossover(load_release(m=3), load_model("crossover"), endpoint="ies_r")
    >>> pooled.attrs["evidence_kind"], pooled.sizes["reconstruction"]
    ('reconstructed', 3)
    """
    shared_assumptions(patients)
    if reason := why_not_exact(spec.options):
        raise SpecError(f"model '{spec.name}' has no exact engine: {reason}")
    models = [crossover_model(select_outcome(one, endpoint, visit=visit), spec) for one in patients]
    first = models[0]
    settings: dict[str, Any] = {
        "benefit_sign": first.sign,
        "covariance": str(spec.options["form"]),
    }
    found = batch_with_tails(stacked_pairs(models), exact_priors(first), STEPS, **settings)
    summary = pooled_summary(
        found["mean"].values,
        found["sd"].values,
        limits=found["threshold"].values,
        above=found["prob_greater"].values,
        mcid=first.endpoint.mcid,
    )
    return _named(summary, patients, spec, endpoint)


def pool_first_period(
    patients: Sequence[Evidence], spec: ModelSpec, *, endpoint: str, visit: str = "24h"
) -> xr.Dataset:
    """Fit one first-period model to every reconstruction, exactly, and pool the posteriors.

    Parameters
    ----------
    patients, endpoint, visit
        As in `pool_crossover`.
    spec : ModelSpec
        Of structure ``first_period``, with a normal likelihood.

    Returns
    -------
    xr.Dataset
        As `pool_crossover`.

    Raises
    ------
    EvidenceError, SpecError
        As in `pool_crossover`.

    Examples
    --------
    >>> from bayes_ptsd.evidence.reconstruct.release import load_release
    >>> from bayes_ptsd.spec import load_model
    >>> pooled = pool_first_period(load_release(m=2), load_model("first-period"), endpoint="ies_r")
    >>> pooled.sizes["reconstruction"]
    2
    """
    shared_assumptions(patients)
    models = [
        first_period_model(select_outcome(one, endpoint, visit=visit), spec) for one in patients
    ]
    solved = [
        solve_problem(first_period_problem(model), tolerance=DRAW_TOLERANCE) for model in models
    ]
    rough = [solution_summaries(one, (0.0,)).sel(estimand=ESTIMAND) for one in solved]
    mean, sd = (np.array([one[key].item() for one in rough]) for key in ("mean", "sd"))
    limits = np.linspace((mean - REACH * sd).min(), (mean + REACH * sd).max(), STEPS)
    found = [solution_summaries(one, limits.tolist()).sel(estimand=ESTIMAND) for one in solved]
    above = np.stack([one["prob_greater"].values[0] for one in found])
    summary = pooled_summary(mean, sd, limits=limits, above=above, mcid=models[0].endpoint.mcid)
    return _named(summary, patients, spec, endpoint)


def pool_draws(draws: FloatArray, *, null: float = 0.0, mcid: float | None = None) -> xr.Dataset:
    """Pool draws of one estimand with equal weight over reconstructions.

    Parameters
    ----------
    draws : ndarray
        Shape (reconstruction, draw).
    null : float
        Value of the estimand if the treatments are alike; NaN where it compares none.
    mcid : float, optional
        In the unit of the estimand.

    Returns
    -------
    xr.Dataset
        As `pooled_summary`; the mixture is that of all draws together.

    Raises
    ------
    EvidenceError
        If there are draws of fewer than two reconstructions.

    Examples
    --------
    >>> drawn = np.random.default_rng(1).normal([[4.0], [6.0]], 2.0, size=(2, 4000))
    >>> round(float(pool_draws(drawn)["mean"]), 1)
    5.0
    """
    if len(draws) < 2:
        raise EvidenceError(f"draws of {len(draws)} reconstruction given; pooling needs two")
    ordered = np.sort(draws, axis=1)
    spread = np.quantile(draws, np.linspace(0, 1, QUANTILES))
    edge = max(np.ptp(spread), 1e-9)
    named = [value for value in (null, mcid) if value is not None and np.isfinite(value)]
    limits = np.unique([spread[0] - edge, *spread, spread[-1] + edge, *named])
    above = np.stack([1 - np.searchsorted(one, limits, side="right") / len(one) for one in ordered])
    mean, sd = draws.mean(axis=1), draws.std(axis=1, ddof=1)
    return pooled_summary(mean, sd, limits=limits, above=above, null=null, mcid=mcid)


def pooled_summary(
    mean: FloatArray,
    sd: FloatArray,
    *,
    limits: FloatArray,
    above: FloatArray,
    null: float = 0.0,
    mcid: float | None = None,
) -> xr.Dataset:
    """Summarize the equal mixture of several posteriors.

    Parameters
    ----------
    mean, sd : ndarray
        Of each posterior, score units, shape (reconstruction,).
    limits : ndarray
        Increasing values that reach into both tails of all posteriors.
    above : ndarray
        P(> limit) of each posterior, shape (reconstruction, limit).
    null : float
        Value if the treatments are alike; NaN where they are not compared.
    mcid : float, optional
        Score units.

    Returns
    -------
    xr.Dataset
        ``reconstruction_mean, reconstruction_sd, reconstruction_low, reconstruction_high,
        reconstruction_prob_benefit`` on dim ``reconstruction``; of the mixture ``value, pdf, cdf``
        on dim ``grid`` as an exact posterior has them, ``mean, sd, low, high`` (95% equal-tailed),
        ``prob_benefit, prob_gt_mcid``; ``within_sd`` and ``between_sd``, ``between_set_share`` =
        between variance over total variance and its Monte Carlo standard error, from the relative
        error ``sqrt(2 / (m - 1))`` of a variance of m posteriors.

    References
    ----------
    .. [1] Rubin DB. Multiple Imputation for Nonresponse in Surveys. Wiley; 1987. Chapter 3.

    Examples
    --------
    >>> from scipy import stats
    >>> limits = np.linspace(-10, 20, 301)
    >>> above = np.stack([stats.norm.sf(limits, mu, 2.0) for mu in (4.0, 6.0)])
    >>> found = pooled_summary(np.array([4.0, 6.0]), np.full(2, 2.0), limits=limits, above=above)
    >>> round(float(found["mean"]), 3), round(float(found["between_set_share"]), 3)
    (5.0, 0.333)
    """
    count = len(mean)
    within, between = float(np.mean(sd**2)), float(np.var(mean, ddof=1))
    # the mixture of m posteriors has their variance about its mean; the next m would differ
    total = within + between
    fraction = between / total
    mixed = PchipInterpolator(limits, above.mean(axis=0))
    parts = [PchipInterpolator(limits, one) for one in above]
    (low, high), own = _limits(mixed), np.array([_limits(part) for part in parts])
    relative = np.sqrt(2 / (count - 1))
    benefit = [float(part(null)) for part in (mixed, *parts)]
    return xr.Dataset(
        {
            "reconstruction_mean": ("reconstruction", mean),
            "reconstruction_sd": ("reconstruction", sd),
            "reconstruction_low": ("reconstruction", own[:, 0]),
            "reconstruction_high": ("reconstruction", own[:, 1]),
            "reconstruction_prob_benefit": ("reconstruction", benefit[1:]),
            "value": ("grid", limits),
            "pdf": ("grid", -mixed.derivative()(limits)),
            "cdf": ("grid", 1 - above.mean(axis=0)),
            "mean": float(mean.mean()),
            "sd": float(np.sqrt(total)),
            "low": low,
            "high": high,
            "prob_benefit": benefit[0],
            "prob_gt_mcid": float("nan") if mcid is None else float(mixed(mcid)),
            "within_sd": float(np.sqrt(within)),
            "between_sd": float(np.sqrt(between)),
            "between_set_share": fraction,
            "between_set_share_mcse": float(fraction * (1 - fraction) * relative),
        },
        coords={"reconstruction": np.arange(1, count + 1)},
    )


def _named(
    summary: xr.Dataset, patients: Sequence[Evidence], spec: ModelSpec, endpoint: str
) -> xr.Dataset:
    """Say what was pooled."""
    return summary.assign_attrs(
        evidence_kind=patients[0].kind,
        model=spec.name,
        prior=str(spec.document()["priors"]["treatment"]),
        endpoint=endpoint,
        **shared_assumptions(patients),
    )


def _limits(above: PchipInterpolator) -> tuple[float, float]:
    """Return the central 95% interval of a distribution from its tail probabilities."""
    ends = [
        optimize.brentq(lambda x, p=p: float(above(x)) - p, above.x[0], above.x[-1])
        for p in (0.975, 0.025)
    ]
    return float(ends[0]), float(ends[1])


def pooled_frame(pooled: Sequence[xr.Dataset]) -> pd.DataFrame:
    """Return pooled posteriors as a flat table.

    Parameters
    ----------
    pooled : sequence of xr.Dataset
        From `pool_crossover`.

    Returns
    -------
    pd.DataFrame
        A line each: readings, model, prior, number of reconstructions, the mixture, range of the
        means, kind of evidence.

    Examples
    --------
    >>> from bayes_ptsd.evidence.reconstruct.release import load_release
    >>> from bayes_ptsd.spec import load_model
    >>> one = pool_crossover(load_release(m=2), load_model("crossover"), endpoint="ies_r")
    >>> pooled_frame([one])["reconstructions"].tolist()
    [2]
    """
    return pd.DataFrame([_line(one) for one in pooled])


def _line(one: xr.Dataset) -> dict[str, Any]:
    """Return one pooled posterior as plain values."""
    means = one["reconstruction_mean"].values
    scalars = {str(name): float(value) for name, value in one.data_vars.items() if value.ndim == 0}
    named = ("crossover_reading", "flow_reading", "model", "prior", "endpoint")
    return {
        **{key: one.attrs[key] for key in named},
        "reconstructions": len(means),
        **scalars,
        "lowest_mean": float(means.min()),
        "highest_mean": float(means.max()),
        "evidence_kind": one.attrs["evidence_kind"],
    }


def shared_assumptions(patients: Sequence[Evidence]) -> dict[str, str]:
    """Return the readings that all reconstructions share, or refuse a mixture of readings.

    Parameters
    ----------
    patients : sequence of Evidence
        Reconstructions, two or more.

    Returns
    -------
    dict of str to str
        ``crossover_reading`` and ``flow_reading``.

    Raises
    ------
    EvidenceError
        If there are fewer than two, or they are not of one reading and flow.

    Examples
    --------
    >>> from bayes_ptsd.evidence.reconstruct.release import load_release
    >>> shared_assumptions(load_release("unhalved", m=2))["crossover_reading"]
    'unhalved'
    """
    if len(patients) < 2:
        raise EvidenceError(f"{len(patients)} reconstruction given; pooling needs two or more")
    named = ("crossover_reading", "flow_reading", "nuisance_priors")
    found = {tuple(one.assumptions.get(key, "") for key in named) for one in patients}
    if len(found) > 1:
        raise EvidenceError(
            f"reconstructions of several readings, {', '.join(map(str, sorted(found)))}: pool "
            "those of one reading and one file of nuisance priors at a time"
        )
    return {key: said for key, said in zip(named, found.pop(), strict=True) if said}
