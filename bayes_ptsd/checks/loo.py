"""Leave-one-subject-out cross-validation on the marginal likelihood, by importance sampling.

Subject effects are integrated out of the likelihood: with the conditional one, leaving out a
patient's scores is not leaving out the patient, and the Pareto shapes fail.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_ptsd.check_roles import Check
from bayes_ptsd.errors import FitError

__all__ = ["compare_fits", "loo_checks", "loo_groups", "loo_table", "pareto_check"]

LIKELIHOOD = "score"
# One good model in a hundred: leave-one-out probabilities lean on each other and test nothing.
UNIFORM = 0.01


def loo_groups(fit: xr.DataTree) -> dict[str, xr.Dataset]:
    """Leave each subject out in turn [1]_.

    Group ``loo`` has ``elpd, se, p, good_k`` and, by subject, ``elpd_i, pareto_k`` and ``pit`` (and
    by period or visit), the probability below the observed score given the other subjects.

    References
    ----------
    .. [1] Vehtari A, Gelman A, Gabry J. Practical Bayesian model evaluation using leave-one-out
       cross-validation and WAIC. Statistics and Computing 2017;27:1413-1432.
    """
    result, table = _loo_table(fit)
    weight = np.exp(result.log_weights - result.log_weights.max(("chain", "draw")))
    weight = weight / weight.sum(("chain", "draw"))
    replicated = fit["posterior_predictive"]["score"]
    observed = fit["observed_data"]["score"]
    pit = (weight * (replicated <= observed)).sum(("chain", "draw")).where(observed.notnull())
    table = table.assign(pit=pit.clip(0, 1))
    return {"loo": table.reset_coords(drop=True).drop_attrs()}


def loo_table(fit: xr.DataTree) -> xr.Dataset:
    """Leave each subject out, for scores that are categories: `loo_groups` without ``pit``."""
    return _loo_table(fit)[1].reset_coords(drop=True).drop_attrs()


def _loo_table(fit: xr.DataTree) -> tuple[Any, xr.Dataset]:
    """Return leave-one-subject-out as ArviZ has it and as a table."""
    result = _loo(fit)
    numbers = {name: float(getattr(result, name)) for name in ("elpd", "se", "p", "good_k")}
    return result, xr.Dataset({**numbers, "elpd_i": result.elpd_i, "pareto_k": result.pareto_k})


def loo_checks(loo: xr.Dataset) -> list[Check]:
    """Judge leave-one-subject-out: reliable importance weights, uniform probabilities.

    The second is the smallest P value, by period or visit where there are several, of a
    Kolmogorov-Smirnov test.
    """
    from scipy import stats

    table = loo["pit"].transpose("subject", ...).values.reshape(loo.sizes["subject"], -1)
    columns = [column[np.isfinite(column)] for column in table.T]
    tests = [stats.kstest(column, "uniform").pvalue for column in columns if len(column)]
    p = float(min(tests))
    return [
        pareto_check(loo),
        Check(
            "loo_pit_uniformity", p, UNIFORM, p >= UNIFORM,
            meaning="the scores of left-out subjects do not spread as the model predicts",
        ),
    ]  # fmt: skip


def pareto_check(loo: xr.Dataset) -> Check:
    """Judge whether the importance weights of leave-one-subject-out are reliable."""
    shape, good = float(loo["pareto_k"].max()), float(loo["good_k"])
    said = "a subject moves the posterior so much that leaving it out is unreliable"
    return Check("loo_pareto_k_max", shape, good, shape <= good, meaning=said)


def compare_fits(fits: Mapping[str, xr.DataTree]) -> pd.DataFrame:
    """Compare models of the same patients by leave-one-subject-out, best first.

    ``elpd_diff`` is from the best, zero or negative. Fits of different data are refused.
    """
    if len(fits) < 2:
        raise FitError("a comparison of models needs at least two fits")
    first = next(iter(fits.values()))["observed_data"].to_dataset()
    for name, fit in fits.items():
        # a joint model predicts baselines as well as scores
        if not fit["observed_data"].to_dataset().equals(first):
            raise FitError(
                f"fit '{name}' is of other data than '{next(iter(fits))}': predictive densities "
                "of different data cannot be compared"
            )
    import arviz_stats  # a second to import, and only fits of patients need it

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = {name: _loo(fit) for name, fit in fits.items()}
        table = pd.DataFrame(arviz_stats.compare(results))
    return table.assign(**_differences([results[str(name)] for name in table.index]))


def _differences(results: Sequence[Any]) -> dict[str, list[float]]:
    """Return the columns that newer versions of ArviZ round for print, unrounded."""
    gaps = [result.elpd_i.values - results[0].elpd_i.values for result in results]
    return {
        **{key: [float(getattr(one, key)) for one in results] for key in ("elpd", "se", "p")},
        "elpd_diff": [float(gap.sum()) for gap in gaps],
        "dse": [float(np.sqrt(len(gap) * gap.var())) for gap in gaps],
    }


def _loo(fit: xr.DataTree) -> Any:
    """Run leave-one-subject-out; unreliable shapes become a check, not a warning of a library."""
    import arviz_stats

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Estimated shape parameter")
        # every k-th draw is nearly independent; ArviZ would divide by the number of all of them
        kept, every = (fit[group].sizes["draw"] for group in ("log_likelihood", "posterior"))
        reff = 1.0 if kept < every else None
        return arviz_stats.loo(fit, var_name=LIKELIHOOD, pointwise=True, reff=reff)
