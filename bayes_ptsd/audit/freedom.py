"""Degrees of freedom that intervals and P values of several rows imply together."""

from __future__ import annotations

import numpy as np
import xarray as xr

from bayes_ptsd.audit.finding import Figure, Finding, Section, printed_rows, severity_of
from bayes_ptsd.audit.polygon import admissible_polygon, share_between, slopes_printing_p
from bayes_ptsd.audit.repair import boxes
from bayes_ptsd.audit.rows import printed_of
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.intervals import rounding_box

__all__ = ["DF_GRID", "check_freedom", "df_weights"]

# below 3 a t statistic has no variance; with 60 its 97.5% point, 2.000, is 2% above the normal one,
# which the digits of printed rows do not tell apart: an end at 60 is called open
DF_GRID = np.arange(3, 61)
# one row allows almost any df, two can agree by chance; a joint profile needs more
FEWEST_ROWS = 3


def df_weights(rows: xr.Dataset) -> xr.DataArray:
    """Return the share of each row's admissible polygon that prints its P, dims (contrast, df).

    The product over rows is the likelihood of df with unrounded numbers uniform on the polygons.
    """
    names = rows["contrast"].values.tolist()
    shares = np.zeros((len(names), len(DF_GRID)))
    for index, name in enumerate(names):
        printed = printed_of(rows.sel(contrast=name))
        polygon = admissible_polygon(*boxes(printed))
        low, high = rounding_box(printed.p, printed.decimals[3])
        slopes = np.stack(slopes_printing_p((float(low), float(high)), df=DF_GRID), axis=1)
        share = [
            share_between(polygon, shallow=shallow, steep=steep)
            for shallow, steep in slopes.tolist()
        ]
        shares[index] = np.nan_to_num(share)
    return xr.DataArray(shares, {"contrast": names, "df": DF_GRID}, ("contrast", "df"))


def check_freedom(evidence: Evidence) -> Section:
    """Find the degrees of freedom that the rows of each analysis imply together.

    Weights add up to 1 over the grid. Rows whose numbers fit no degrees of freedom are left out and
    named.
    """
    weights, findings = {}, []
    rows = printed_rows(evidence, corrected=True)
    both = np.isfinite(rows["ci_low"].values) & np.isfinite(rows["p_value"].values)
    rows = rows.isel(contrast=both)
    for analysis in np.unique(rows["analysis"].values).tolist():
        here = rows.isel(contrast=rows["analysis"].values == analysis)
        if here.sizes["contrast"] < FEWEST_ROWS:
            continue
        share = df_weights(here)
        fits = share.isel(contrast=(share > 0).any("df").values)
        joint = fits.prod("contrast").values
        findings.append(_finding(analysis, here, fits, joint))
        weights[analysis] = joint / joint.sum() if joint.sum() > 0 else joint
    if not findings:
        return Section("freedom", None, [])
    table = xr.Dataset(
        {"weight": (("analysis", "df"), np.array(list(weights.values())))},
        {"analysis": list(weights), "df": DF_GRID},
    )
    return Section("freedom", table, findings)


def _finding(analysis: str, rows: xr.Dataset, fits: xr.DataArray, joint: np.ndarray) -> Finding:
    """Return the finding on one analysis."""
    used = fits["contrast"].values.tolist()
    left_out = [name for name in rows["contrast"].values.tolist() if name not in used]
    assumed = sorted({float(value) for value in rows["df"].values})
    place = ", ".join(used)
    figures: dict[str, Figure] = {"rows": len(used), "left_out": ", ".join(left_out)}
    words = f"{analysis}: intervals and P values of {len(used)} rows"
    if joint.sum() == 0:
        text = f"{words} fit no common degrees of freedom from {DF_GRID[0]} to {DF_GRID[-1]}."
        return Finding(f"freedom.{analysis}", "freedom", "contradiction", place, text, figures)
    possible = DF_GRID[joint > 0]
    mass = np.cumsum(joint / joint.sum())
    low, high = (int(DF_GRID[np.searchsorted(mass, tail)]) for tail in (0.025, 0.975))
    peak = int(DF_GRID[int(np.argmax(joint))])
    open_ended = possible[-1] == DF_GRID[-1]
    upper = f"{possible[-1]} or more" if open_ended else f"{possible[-1]}"
    text = f"{words} allow degrees of freedom from {possible[0]} to {upper} together"
    text += "" if open_ended else f", most easily {peak} (95% of the weight on {low} to {high})"
    text += f"; assumed here: {', '.join(f'{df:g}' for df in assumed)}."
    text += "" if open_ended else _upper_end(fits)
    text += f" Left out, no degrees of freedom fit: {', '.join(left_out)}." if left_out else ""
    holds = all(possible[0] <= df and (open_ended or df <= possible[-1]) for df in assumed)
    figures |= {
        "possible_low": int(possible[0]), "possible_high": int(possible[-1]),
        "open_ended": bool(open_ended), "peak": peak, "low": low, "high": high,
        "upper_end_from": ", ".join(_bounding(fits)),
    }  # fmt: skip
    severity = severity_of(holds, otherwise="caution")
    return Finding(f"freedom.{analysis}", "freedom", severity, place, text, figures)


def _bounding(fits: xr.DataArray) -> list[str]:
    """Return the rows that fit no more degrees of freedom than all rows together do."""
    highest = DF_GRID[-1] - np.argmax(fits.values[:, ::-1] > 0, axis=1)
    kept = (highest == highest.min()) & (highest < DF_GRID[-1])
    return [str(name) for name in fits["contrast"].values[kept]]


def _upper_end(fits: xr.DataArray) -> str:
    """Say which rows the upper end comes from; one row alone is no joint evidence."""
    names = _bounding(fits)
    if len(names) != 1:
        return ""
    others = fits.drop_sel(contrast=names).prod("contrast").values
    reach = int(DF_GRID[others > 0][-1])
    more = " or more" if reach == DF_GRID[-1] else ""
    return (
        f" The upper end is that of {names[0]} alone; the other rows allow {reach}{more}. The "
        "profile is shown and not used: no reading is weighed by it."
    )
