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

from bayes_ptsd.errors import EvidenceError, SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.outcome import select_outcome
from bayes_ptsd.gaussian.problem import solve_problem
from bayes_ptsd.gaussian.summaries import DRAW_TOLERANCE, solution_summaries
from bayes_ptsd.priors import FloatArray
from bayes_ptsd.specification import ModelSpec
from bayes_ptsd.structures.crossover.exact import (
    REACH,
    batch_with_tails,
    exact_priors,
    stacked_pairs,
    why_not_exact,
)
from bayes_ptsd.structures.crossover.model import crossover_model
from bayes_ptsd.structures.first_period.exact import first_period_problem
from bayes_ptsd.structures.first_period.model import first_period_model

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

    The sets are of one reading, flow and file of nuisance priors; the model has a normal
    likelihood.
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
    """Fit one first-period model to every reconstruction, exactly, and pool the posteriors."""
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
    """Pool draws of one estimand, shape (reconstruction, draw), with equal weight.

    `null` is its value if the treatments are alike, NaN where it compares none.
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
    """Summarize the equal mixture of posteriors, given P(> limit) at increasing limits.

    `above` has shape (reconstruction, limit), and the limits reach into both tails of all
    posteriors; `null` is NaN where treatments are not compared. The mixture has ``value, pdf, cdf``
    on dim ``grid``, ``mean, sd, low, high`` (95% equal-tailed) and probabilities;
    ``between_set_share`` is the between variance over the total variance [1]_, its Monte Carlo
    standard error from the relative error ``sqrt(2 / (m - 1))`` of a variance of m posteriors.

    References
    ----------
    .. [1] Rubin DB. Multiple Imputation for Nonresponse in Surveys. Wiley; 1987. Chapter 3.
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
    """Return pooled posteriors as a flat table of a line each."""
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
    """Return the crossover and flow reading that all reconstructions share, or refuse a mixture."""
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
