"""What the treatment difference hangs on: power-scaling of prior and likelihood, boundaries."""

from __future__ import annotations

import warnings

import arviz_stats
import numpy as np
import xarray as xr

from bayes_ptsd.checks.table import Check

__all__ = ["boundary_checks", "sensitivity_checks", "sensitivity_table"]

SENSITIVE = 0.05
EDGE = 0.05
NEAR_ZERO = 0.1
NEAR_ONE = 0.95
ESTIMANDS = (
    "treatment_difference", "controlled_direct_effect", "carryover", "log_odds_ratio",
    "probit_difference",
)  # fmt: skip


def sensitivity_table(fit: xr.DataTree) -> xr.Dataset:
    """Measure how the treatment difference moves when prior or likelihood is made stronger.

    Parameters
    ----------
    fit : xr.DataTree
        With ``posterior``, ``log_prior`` and ``log_likelihood``.

    Returns
    -------
    xr.Dataset
        ``prior`` and ``likelihood`` on dim ``estimand`` (treatment difference, carryover, effect on
        the scale of a link): gradient of the cumulative Jensen-Shannon distance at power 1 [1]_.
        Zero where nothing moves.

    References
    ----------
    .. [1] Kallioinen N, Paananen T, Bürkner P-C, Vehtari A. Detecting and diagnosing prior and
       likelihood sensitivity with power-scaling. Statistics and Computing 2024;34:57.

    Examples
    --------
    >>> from bayes_ptsd.checks.example import example_fit
    >>> table = sensitivity_table(example_fit())
    >>> bool(table["likelihood"].sel(estimand="treatment_difference") > 0.05)
    True
    """
    posterior = fit["posterior"].to_dataset()
    names = [name for name in ESTIMANDS if name in posterior]
    found = {part: _scaled(fit, names, part) for part in ("prior", "likelihood")}
    return xr.Dataset(
        {part: ("estimand", values) for part, values in found.items()}, coords={"estimand": names}
    )


def _scaled(fit: xr.DataTree, names: list[str], part: str) -> list[float]:
    """Return the sensitivities of the estimands to prior or likelihood."""
    group = fit[f"log_{part}"].to_dataset()
    if all(float(np.ptp(values.values)) == 0 for values in group.data_vars.values()):
        return [0.0] * len(names)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Estimated shape parameter")
        table = arviz_stats.psense(fit, var_names=names, group=part)
    return [float(table[name]) for name in names]


def sensitivity_checks(table: xr.Dataset, *, estimand: str = "treatment_difference") -> list[Check]:
    """Judge power-scaling sensitivity: whether the prior moves the answer, and whether the data do.

    Parameters
    ----------
    table : xr.Dataset
        From `sensitivity_table`.
    estimand : str
        The one that the prior of the treatment is about.

    Returns
    -------
    list of Check
        Prior sensitivity of the estimand below 0.05, and likelihood sensitivity of at
        least 0.05: both sensitive means that they disagree, the prior alone that the data say
        little.

    Examples
    --------
    >>> from bayes_ptsd.checks.example import example_fit
    >>> [check.passed for check in sensitivity_checks(sensitivity_table(example_fit()))]
    [True, True]
    """
    one, it = table.sel(estimand=estimand), f"the {estimand.replace('_', ' ')}"
    prior, likelihood = float(one["prior"]), float(one["likelihood"])
    if likelihood >= SENSITIVE:
        said = f"prior and data pull {it} apart, or the prior is informative"
    else:
        said = f"the prior decides {it}, the data say little"
    weak = f"the data hardly move {it}"
    return [
        Check("power_scaling_prior", prior, SENSITIVE, prior < SENSITIVE, meaning=said),
        Check(
            "power_scaling_likelihood", likelihood, SENSITIVE, likelihood >= SENSITIVE,
            meaning=weak,
        ),
    ]  # fmt: skip


def boundary_checks(posterior: xr.Dataset) -> list[Check]:
    """Warn where a standard deviation or correlation piles up at the end of its range.

    Parameters
    ----------
    posterior : xr.Dataset
        Draws.

    Returns
    -------
    list of Check
        Of a random intercept, the probability that the subject standard deviation is below a tenth
        of that within subjects; of a bivariate model, that the correlation is beyond +-0.95.

    Examples
    --------
    >>> draws = xr.Dataset({"correlation": (("chain", "draw"), [[0.2, 0.4, 0.99, 0.98]])})
    >>> boundary_checks(draws)[0].passed
    False
    """
    checks = []
    if "sd_subject" in posterior:
        within = posterior["sd_within"]
        within = within.min("period") if "period" in within.dims else within
        share = float((posterior["sd_subject"] < NEAR_ZERO * within).mean())
        said = (
            "the subject standard deviation is at its boundary, zero: the scores of a patient may "
            "not be positively correlated; see crossover-bivariate"
        )
        checks.append(Check("sd_subject_at_zero", share, EDGE, share < EDGE, meaning=said))
    if "correlation" in posterior:
        share = float((np.abs(posterior["correlation"]) > NEAR_ONE).mean())
        said = "the correlation between periods is at an end of its range"
        checks.append(Check("correlation_at_an_end", share, EDGE, share < EDGE, meaning=said))
    return checks
