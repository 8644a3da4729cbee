"""The one form in which a frequentist analysis is returned."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike
from scipy import stats

from bayes_ptsd.errors import EvidenceError, SpecError

__all__ = ["inference_table"]


def inference_table(
    estimate: Mapping[str, float],
    *,
    se: ArrayLike,
    df: ArrayLike,
    level: float,
    attrs: Mapping[str, str | int | float],
) -> xr.Dataset:
    """Return estimates with their t-based intervals and two-sided P values.

    Parameters
    ----------
    estimate : mapping of str to float
        Estimates by estimand, in score units.
    se, df : array_like
        Standard errors and degrees of freedom, one for all or one each.
    level : float
        Confidence level, between 0 and 1.
    attrs : mapping
        Method, note and numbers of patients.

    Returns
    -------
    xr.Dataset
        ``estimate, se, df, ci_low, ci_high, p_value`` on dim ``estimand``.

    Raises
    ------
    SpecError
        If `level` is not between 0 and 1.
    EvidenceError
        If a standard error is zero or undefined.

    Examples
    --------
    >>> table = inference_table({"treatment_difference": 4.0}, se=2.0, df=27, level=0.95, attrs={})
    >>> round(float(table["ci_low"].item()), 3)
    -0.104
    """
    if not 0 < level < 1:
        raise SpecError(f"level is {level}; it lies between 0 and 1, such as 0.95")
    center = np.array(list(estimate.values()), dtype=float)
    spread = np.broadcast_to(np.asarray(se, dtype=float), center.shape)
    freedom = np.broadcast_to(np.asarray(df, dtype=float), center.shape)
    if not ((spread > 1e-12 * np.abs(center)) & np.isfinite(spread) & (freedom > 0)).all():
        raise EvidenceError(
            "a standard error is zero or undefined: the scores do not vary or there are too few "
            "patients"
        )
    half = stats.t.ppf((1 + level) / 2, freedom) * spread
    columns = {
        "estimate": center,
        "se": spread,
        "df": freedom,
        "ci_low": center - half,
        "ci_high": center + half,
        "p_value": 2 * stats.t.sf(np.abs(center / spread), freedom),
    }
    return xr.Dataset(
        {name: ("estimand", column) for name, column in columns.items()},
        coords={"estimand": list(estimate)},
        attrs={**attrs, "level": level},
    )
