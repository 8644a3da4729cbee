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
    """Return estimates (score units) with their t-based intervals and two-sided P values.

    ``estimate, se, df, ci_low, ci_high, p_value`` on dim ``estimand``; a standard error that is
    zero or undefined is refused.
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
