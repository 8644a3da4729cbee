"""Frequentist estimates with their intervals as plain documents."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

__all__ = ["COLUMNS", "analysis_document", "answer", "finite", "line", "no_answer"]

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
        **_spread(one),
    }


def _spread(one: xr.Dataset) -> dict[str, dict[str, float]]:
    """Return the standard deviations of a mixed model; nothing of another analysis."""
    said = {**one.attrs, **one}
    found = {name: float(said[name]) for name in ("sd_subject", "sd_within") if name in said}
    known = {name: value for name, value in found.items() if np.isfinite(value)}
    return {"standard_deviations": known} if known else {}


def answer(name: str, document: dict[str, Any]) -> dict[str, Any]:
    """Return what an analysis says of the treatment difference, its document beside it by name."""
    chosen = document["estimands"]["treatment_difference"]
    return {"method": document["method"], **chosen, "analyses": {name: document}}


def no_answer(reason: object) -> dict[str, Any]:
    """Return the same of an analysis that cannot be done."""
    return {"method": f"none: {reason}", **dict.fromkeys((*COLUMNS, "ci95")), "analyses": {}}


def line(row: xr.Dataset) -> dict[str, Any]:
    """Return one estimate with its interval."""
    found: dict[str, Any] = {key: finite(row[key].item()) for key in COLUMNS}
    found["ci95"] = [finite(row[key].item()) for key in ("ci_low", "ci_high")]
    return found


def finite(value: Any) -> float | None:
    """Return a number that JSON can hold, None for NaN and infinities."""
    return float(value) if np.isfinite(value) else None
