"""The one form in which checks are kept, and what failed in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

__all__ = ["Check", "check_table", "checks_passed", "failed_checks", "joined_checks"]


class Check(NamedTuple):
    """One check.

    Attributes
    ----------
    name : str
        What is looked at.
    figure, threshold : float
        What was found and what it is compared with.
    passed : bool
        Whether the figure is on the right side of the threshold.
    required : bool
        Whether a result that fails is marked as failed; other checks warn.
    meaning : str
        What failing means, in words.
    """

    name: str
    figure: float
    threshold: float
    passed: bool
    required: bool = False
    meaning: str = ""


def check_table(checks: Sequence[Check]) -> xr.Dataset:
    """Return checks in the form in which a fit keeps them.

    Parameters
    ----------
    checks : sequence of Check
        At least one.

    Returns
    -------
    xr.Dataset
        ``figure, threshold, passed, required, meaning`` on dim ``check``.

    Examples
    --------
    >>> check_table([Check("rhat_max", 1.2, 1.01, False, True)])["passed"].values
    array([False])
    """
    columns = zip(*checks, strict=True)
    names, figures, thresholds, passed, required, meaning = columns
    return xr.Dataset(
        {
            "figure": ("check", np.array(figures, dtype=float)),
            "threshold": ("check", np.array(thresholds, dtype=float)),
            "passed": ("check", np.array(passed, dtype=bool)),
            "required": ("check", np.array(required, dtype=bool)),
            "meaning": ("check", list(meaning)),
        },
        coords={"check": list(names)},
    )


def joined_checks(tables: Sequence[xr.Dataset]) -> xr.Dataset:
    """Put tables of checks under each other.

    Examples
    --------
    >>> one, two = (check_table([Check(name, 0.0, 1.0, True)]) for name in "ab")
    >>> joined_checks([one, two])["check"].values.tolist()
    ['a', 'b']
    """
    return xr.concat(list(tables), dim="check")


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
    meanings = failed["meaning"].values if "meaning" in failed else [""] * failed.sizes["check"]
    rows = zip(*(failed[key].values for key in ("check", "figure", "threshold")), strict=True)
    return [
        f"check failed: {name} is {figure:.4g}, threshold {limit:g}"
        + (f" ({meaning})" if str(meaning) else "")
        for (name, figure, limit), meaning in zip(rows, meanings, strict=True)
    ]
