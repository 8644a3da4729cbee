"""Convergence of a sampled fit, and the Monte Carlo error of what it reports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.check_roles import Check, check_table
from bayes_ptsd.errors import FitError
from bayes_ptsd.posteriors import as_tree

__all__ = ["check_fit"]

# Vehtari et al. [1]: R-hat of 1.1, used before, misses chains that differ; 400 effective draws are
# where estimates of R-hat and of the Monte Carlo error become stable themselves.
RHAT, ESS = 1.01, 400.0
# Betancourt [2]: below .3 the momentum is renewed in steps too small for the tails of the energy.
EBFMI = 0.3
# A tenth of a posterior sd makes a reported sd of estimate and simulation together .5% too small.
MCSE = 0.1
DRAW_DIMS = {"chain", "draw"}


def check_fit(fit: Any) -> xr.Dataset:
    """Check the convergence of a sampled fit.

    Parameters
    ----------
    fit : DataTree, InferenceData or Dataset
        With groups ``posterior`` and ``sample_stats``, as `pm.sample` returns them; or a posterior
        alone, dims ``chain`` and ``draw``.

    Returns
    -------
    xr.Dataset
        Dim ``check``, as in `check_table`. Split R-hat below 1.01, bulk and tail effective sample
        size of at least 400 for every parameter [1]_, no divergences, energy Bayesian fraction of
        missing information above 0.3 [2]_, Monte Carlo error of every reported mean below a tenth
        of its posterior standard deviation. A posterior alone does not say of divergences and
        energy, and has the other four.

    Raises
    ------
    FitError
        If there are no draws.
    SpecError
        If it is none of these.

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
    import arviz_stats  # a second to import, and only sampled fits need it

    tree = as_tree(fit)
    if "posterior" not in tree.children:
        raise FitError("this result has no draws whose convergence could be checked")
    posterior = tree["posterior"].to_dataset()
    figures = {
        "rhat_max": _extreme(arviz_stats.rhat(posterior), np.max),
        "ess_bulk_min": _extreme(arviz_stats.ess(posterior, method="bulk"), np.min),
        "ess_tail_min": _extreme(arviz_stats.ess(posterior, method="tail"), np.min),
        **_sampler_figures(tree),
        "mcse_mean_max": _relative_error(posterior),
    }
    limits = {
        "rhat_max": (RHAT, figures["rhat_max"] < RHAT),
        "ess_bulk_min": (ESS, figures["ess_bulk_min"] >= ESS),
        "ess_tail_min": (ESS, figures["ess_tail_min"] >= ESS),
        "divergences": (0.0, figures.get("divergences") == 0),
        "ebfmi_min": (EBFMI, figures.get("ebfmi_min", 0.0) > EBFMI),
        "mcse_mean_max": (MCSE, figures["mcse_mean_max"] < MCSE),
    }
    return check_table([Check(name, figure, *limits[name]) for name, figure in figures.items()])


def _sampler_figures(tree: xr.DataTree) -> dict[str, float]:
    """Return what the sampler noted of its draws, where it did."""
    stats = tree["sample_stats"].data_vars if "sample_stats" in tree.children else {}
    figures = {}
    if "diverging" in stats:
        figures["divergences"] = float(stats["diverging"].sum())
    if "energy" in stats:
        import arviz_stats

        figures["ebfmi_min"] = float(np.min(arviz_stats.bfmi(tree)["energy"]))
    return figures


def _relative_error(posterior: xr.Dataset) -> float:
    """Return the largest Monte Carlo error of a mean, in posterior standard deviations."""
    scalars = posterior[[n for n, v in posterior.data_vars.items() if set(v.dims) == DRAW_DIMS]]
    import arviz_stats

    error = arviz_stats.mcse(scalars, method="mean")
    return _extreme(error / scalars.std(("chain", "draw")), np.max)


def _extreme(dataset: xr.Dataset, reduce: Callable[[Any], Any]) -> float:
    """Return the worst value over every element of every variable."""
    return float(reduce([reduce(variable.values) for variable in dataset.data_vars.values()]))
