"""Frequentist estimates with their intervals as plain documents."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

__all__ = ["COLUMNS", "analysis_document", "finite", "line"]

COLUMNS = ("estimate", "se", "df", "p_value")


def analysis_document(one: xr.Dataset) -> dict[str, Any]:
    """Return one frequentist analysis, alone or out of several, with the estimands it has."""
    said = {key: one[key].item() if key in one else one.attrs[key] for key in ("method", "note")}
    found = one.isel(estimand=np.flatnonzero(np.isfinite(one["estimate"].values)))
    return {
        "method": str(said["method"]),
        "note": str(said["note"]),
        "estimands": {
            str(name): line(found.sel(estimand=name)) for name in found["estimand"].values
        },
    }


def line(row: xr.Dataset) -> dict[str, Any]:
    """Return one estimate with its interval."""
    found: dict[str, Any] = {key: finite(row[key].item()) for key in COLUMNS}
    found["ci95"] = [finite(row[key].item()) for key in ("ci_low", "ci_high")]
    return found


def finite(value: Any) -> float | None:
    """Return a number that JSON can hold, None for NaN and infinities."""
    return float(value) if np.isfinite(value) else None
