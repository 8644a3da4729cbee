"""Checks of a sampled fit: each a name, a figure, a threshold and whether it passed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import arviz_stats
import numpy as np
import xarray as xr

__all__ = ["check_fit", "checks_passed", "failed_checks"]

RHAT, ESS, EBFMI = 1.01, 400.0, 0.3


def check_fit(fit: xr.DataTree) -> xr.Dataset:
    """Check the convergence of a sampled fit.

    Parameters
    ----------
    fit : xr.DataTree
        With groups ``posterior`` and ``sample_stats``.

    Returns
    -------
    xr.Dataset
        Dim ``check``: ``figure, threshold, passed, required``. Split R-hat below 1.01, bulk and
        tail effective sample size of at least 400 for every parameter [1]_, no divergences, energy
        Bayesian fraction of missing information above 0.3 [2]_.

    References
    ----------
    .. [1] Vehtari A, Gelman A, Simpson D, Carpenter B, Bürkner P-C. Rank-normalization, folding,
       and localization: an improved R-hat. Bayesian Analysis 2021;16:667-718.
    .. [2] Betancourt M. Diagnosing suboptimal cotangent disintegrations in Hamiltonian Monte Carlo.
       arXiv:1604.00695.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> draws = ("chain", "draw"), rng.normal(size=(4, 1000))
    >>> stats = {"diverging": (draws[0], np.zeros((4, 1000), bool)), "energy": draws}
    >>> coords = {"chain": np.arange(4), "draw": np.arange(1000)}
    >>> fit = xr.DataTree.from_dict({
    ...     "posterior": xr.Dataset({"x": draws}, coords),
    ...     "sample_stats": xr.Dataset(stats, coords)})
    >>> bool(check_fit(fit)["passed"].all())
    True
    """
    posterior = fit["posterior"].to_dataset()
    figures = {
        "rhat_max": _extreme(arviz_stats.rhat(posterior), np.max),
        "ess_bulk_min": _extreme(arviz_stats.ess(posterior, method="bulk"), np.min),
        "ess_tail_min": _extreme(arviz_stats.ess(posterior, method="tail"), np.min),
        "divergences": float(fit["sample_stats"]["diverging"].sum()),
        "ebfmi_min": float(np.min(arviz_stats.bfmi(fit)["energy"])),
    }
    thresholds = [RHAT, ESS, ESS, 0.0, EBFMI]
    passed = [
        figures["rhat_max"] < RHAT,
        figures["ess_bulk_min"] >= ESS,
        figures["ess_tail_min"] >= ESS,
        figures["divergences"] == 0,
        figures["ebfmi_min"] > EBFMI,
    ]
    return xr.Dataset(
        {
            "figure": ("check", list(figures.values())),
            "threshold": ("check", thresholds),
            "passed": ("check", passed),
            "required": ("check", [True] * len(passed)),
        },
        coords={"check": list(figures)},
    )


def checks_passed(fit: xr.DataTree) -> bool:
    """Tell whether every required check of a fit passed.

    Examples
    --------
    >>> checks = {"passed": ("check", [True, False]), "required": ("check", [True, False])}
    >>> checks_passed(xr.DataTree.from_dict({"checks": xr.Dataset(checks)}))
    True
    """
    checks = fit["checks"].to_dataset()
    return bool((checks["passed"] | ~checks["required"]).all())


def failed_checks(fit: xr.DataTree) -> list[str]:
    """Say in words which checks of a fit failed, with figure and threshold.

    Examples
    --------
    >>> columns = {"figure": [1.2], "threshold": [1.01], "passed": [False]}
    >>> checks = xr.Dataset(
    ...     {key: ("check", value) for key, value in columns.items()},
    ...     coords={"check": ["rhat_max"]})
    >>> failed_checks(xr.DataTree.from_dict({"checks": checks}))
    ['check failed: rhat_max is 1.2, threshold 1.01']
    """
    checks = fit["checks"].to_dataset()
    failed = checks.isel(check=np.flatnonzero(~checks["passed"].values))
    rows = zip(*(failed[key].values for key in ("check", "figure", "threshold")), strict=True)
    return [
        f"check failed: {name} is {figure:.4g}, threshold {limit:g}" for name, figure, limit in rows
    ]


def _extreme(dataset: xr.Dataset, reduce: Callable[[Any], Any]) -> float:
    """Return the worst value over every element of every variable."""
    return float(reduce([reduce(variable.values) for variable in dataset.data_vars.values()]))
