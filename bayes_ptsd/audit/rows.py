"""Each printed row against itself, and the degrees of freedom that several rows imply together."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import xarray as xr

from bayes_ptsd.audit.finding import Figure, Finding, Section, Severity, printed_rows, severity_of
from bayes_ptsd.audit.polygon import (
    LEAST_RATIO,
    Printed,
    admissible_polygon,
    boxes,
    mean_half_width,
    p_range,
    repairs,
    share_between,
    share_printing_p,
    slopes_printing_p,
)
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.intervals import (
    center,
    critical_value,
    half_unit,
    p_value,
    rounding_box,
    se_from_interval,
    se_from_p,
)
from bayes_ptsd.evidence.measured_rows import level_of, p_bound, printed_scale, printed_words

__all__ = [
    "DF_GRID",
    "RowCheck",
    "check_freedom",
    "check_row",
    "check_rows",
    "df_weights",
    "narrowed_se",
    "printed_of",
]

# below one in ten, the printed P needs unrounded numbers in a corner of what the others allow
LOW_SHARE = 0.10


@dataclass(frozen=True)
class RowCheck:
    """What one printed estimate, interval and P value say about each other.

    Attributes
    ----------
    se, se_upper, se_lower : float
        Standard error from the width, from the upper and from the lower limit alone.
    asymmetry : float
        Printed estimate minus the middle of the interval.
    t, p : float
        Statistic and two-sided P value of the printed estimate over `se`.
    p_upper, p_lower : float
        P value with `se_upper` and with `se_lower`.
    p_low, p_high : float
        Range of P over the rounding boxes of estimate and width, whether or not they are centered.
    admissible_low, admissible_high : float
        Range of P over the admissible polygon; NaN where it is empty.
    centered : bool
        Whether some estimate and symmetric interval print as the three numbers.
    share : float
        Share of the polygon that also prints the printed P; NaN without P or polygon.
    consistent : bool
        Whether the polygon is not empty and its range of P meets the box of the printed P.
    """

    se: float
    se_upper: float
    se_lower: float
    asymmetry: float
    t: float
    p: float
    p_upper: float
    p_lower: float
    p_low: float
    p_high: float
    admissible_low: float
    admissible_high: float
    centered: bool
    share: float
    consistent: bool


def check_row(printed: Printed, *, df: float) -> RowCheck:
    """Check one printed estimate, interval and P, benefit-positive; infinite df for the normal."""
    quantile = float(critical_value(df=df, level=printed.level))
    middle, bottom, top = printed.analyzed
    se = (top - bottom) / 2 / quantile
    se_upper = (top - middle) / quantile
    se_lower = (middle - bottom) / quantile
    estimate, low, high = boxes(printed)
    polygon = admissible_polygon(estimate, low, high)
    least, most = p_range(polygon, df=df, level=printed.level)
    p_box = printed.p_box
    meets = np.isnan(printed.p) or (least <= p_box[1] + 1e-9 and most >= p_box[0] - 1e-9)
    widths = max(high[0] - low[1], 1e-300) / 2 / quantile, (high[1] - low[0]) / 2 / quantile
    sizes = (
        sorted(map(abs, estimate))
        if estimate[0] * estimate[1] > 0
        else [0.0, max(map(abs, estimate))]
    )
    return RowCheck(
        se=se,
        se_upper=se_upper,
        se_lower=se_lower,
        asymmetry=middle - float(center(bottom, top)),
        t=middle / se,
        p=float(p_value(middle, se, df=df)),
        p_upper=_p(middle, se_upper, df),
        p_lower=_p(middle, se_lower, df),
        p_low=float(p_value(sizes[1], widths[0], df=df)),
        p_high=float(p_value(sizes[0], widths[1], df=df)),
        admissible_low=least,
        admissible_high=most,
        centered=len(polygon) > 0,
        share=share_printing_p(polygon, p_box, df=df, level=printed.level)
        if printed.p == printed.p
        else np.nan,
        consistent=bool(len(polygon) > 0 and meets),
    )


def check_rows(evidence: Evidence) -> Section:
    """Check every row of node `effects` against itself, one finding per row.

    The table has NaN for rows without an interval; the standard error in their finding is from P.
    """
    effects = evidence.data["effects"].to_dataset()
    names = effects["contrast"].values.tolist()
    checks: list[RowCheck | None] = []
    findings = []
    for name in names:
        row = effects.sel(contrast=name)
        check = None
        if np.isnan(row["ci_low"]) or int(row["estimate_decimals"]) < 0:
            measured = printed_words(row)
            say = _of_its_words if measured and row["se_source"] != "p_value" else _without_interval
            findings.append(say(name, row))
        else:
            printed = printed_of(row)
            check = check_row(printed, df=float(row["df"]))
            findings.append(_with_interval(name, row, printed, check))
        checks.append(check)
    return Section("rows", _table(names, effects, checks), findings)


def narrowed_se(printed: Printed, *, df: float) -> float:
    """Return the mean SE of the unrounded numbers that print as all four, NaN if none do."""
    p_box = printed.p_box if printed.p == printed.p else (0.0, 1.0)
    level = printed.level
    half = mean_half_width(admissible_polygon(*boxes(printed)), p_box, df=df, level=level)
    return half / float(critical_value(df=df, level=level))


def printed_of(row: xr.Dataset) -> Printed:
    """Return the printed numbers of one row of node `effects`."""
    columns = ("estimate", "ci_low", "ci_high", "p_value")
    estimate, low, high, p = (float(row[name]) for name in columns)
    digits = [int(row[f"{name}_decimals"]) for name in columns]
    scale = printed_scale(row)
    if scale is not None:
        words = printed_words(row)
        estimate, low, high = (float(words.get(name, np.nan)) for name in columns[:3])
        # decimals were converted with the limits
        digits[1:3] = digits[1:3][:: scale.sign]
    bound = p_bound(row)
    if bound:
        p, digits[3] = float(bound[1:]), len(bound.partition(".")[2])
    return Printed(
        estimate, low, high, p, (digits[0], digits[1], digits[2], digits[3]),
        level=level_of(row), ratio=scale is not None, bound=bound[:1],
    )  # fmt: skip


def _p(estimate: float, se: float, df: float) -> float:
    """P value, NaN where a limit is on the wrong side of the estimate."""
    return float(p_value(estimate, se, df=df)) if se > 0 else np.nan


def _box(value: float, decimals: int) -> tuple[float, float]:
    """Return a rounding box as floats."""
    low, high = rounding_box(value, decimals)
    return float(low), float(high)


def _table(names: list[str], effects: xr.Dataset, checks: list[RowCheck | None]) -> xr.Dataset:
    """One variable per field, NaN (or False) for rows without an interval."""
    flags = {"centered": False, "consistent": False}
    empty = dict.fromkeys(RowCheck.__annotations__, np.nan) | flags
    columns = [asdict(check) if check else empty for check in checks]
    variables = {name: ("contrast", [column[name] for column in columns]) for name in empty}
    table = xr.Dataset(variables, {"contrast": names})
    table["se"] = effects["se"].drop_vars(set(effects.coords) - {"contrast"})
    return table.assign(checked=("contrast", [check is not None for check in checks]))


def _with_interval(name: str, row: xr.Dataset, printed: Printed, check: RowCheck) -> Finding:
    """Return the finding on a row that prints an interval."""
    figures: dict[str, Figure] = {**asdict(check), "df": float(row["df"])}
    derived = " (a derived row)" if name.endswith("*") else ""
    if not check.consistent:
        found = repairs(printed, df=float(row["df"]))
        figures |= {f"repair_{column}": ", ".join(values) for column, values in found.items()}
        text = _disagreement(printed, check, found)
        return _row_finding(name, "contradiction", text, figures, row)
    shown = "Estimate, limits and P" if printed.p == printed.p else "Estimate and limits"
    text = f"{shown} agree within rounding{derived}: P from the width is {check.p:.3g}"
    text += f", printed {printed.p_text}" if printed.p == printed.p else "; no P printed"
    if check.share < LOW_SHARE:
        text += (
            f"; only {check.share:.0%} of the unrounded numbers that print as this estimate and "
            "interval also print this P"
        )
    low_share = bool(check.share < LOW_SHARE)
    severity: Severity = "caution" if low_share else "consistent"
    return _row_finding(name, severity, text + ".", figures, row)


def _disagreement(printed: Printed, check: RowCheck, found: dict[str, list[str]]) -> str:
    """Words for a row whose numbers cannot all hold."""
    if not check.centered:
        text = (
            f"No estimate with a symmetric interval{' of logarithms' if printed.ratio else ''} "
            f"prints as {printed.text('estimate')} ({printed.text('ci_low')} to "
            f"{printed.text('ci_high')}): the estimate is {check.asymmetry:+.3g} from the middle; "
            f"{_p_words(check)}"
        )
    else:
        text = (
            f"Estimate and interval give P between {check.admissible_low:.3g} and "
            f"{check.admissible_high:.3g}"
        )
    if printed.p == printed.p:
        text += f"; printed P {printed.p_text}"
    words = "; ".join(f"{column} {' or '.join(values)}" for column, values in found.items())
    reason = (
        f"All four numbers agree if one alone is different: {words}"
        if words
        else ("No change of one number alone makes all four agree")
    )
    return f"{text}. {reason}."


def _p_words(check: RowCheck) -> str:
    """P value by width and by each limit that lies on its own side of the estimate."""
    parts = {"upper limit": check.p_upper, "lower limit": check.p_lower, "width": check.p}
    words = ", ".join(
        f"{value:.3f} by the {name}" for name, value in parts.items() if value == value
    )
    return f"P is {words}"


def _without_interval(name: str, row: xr.Dataset) -> Finding:
    """Return the finding on a row whose standard error comes from its P value."""
    digits = int(row["p_value_decimals"])
    low, high = _box(float(row["p_value"]), digits)
    estimate, df = float(row["estimate"]), float(row["df"])
    narrow, wide = (float(se_from_p(estimate, p, df=df)) for p in (max(low, 1e-300), min(high, 1)))
    se, limits = float(row["se"]), (float(row["interval_low"]), float(row["interval_high"]))
    freedom = f"{df:g} degrees of freedom" if np.isfinite(df) else "the normal distribution"
    text = (
        f"No interval is printed; P {float(row['p_value']):.{digits}f} with {freedom} gives a "
        f"standard error of {se:.3g} ({narrow:.3g} to {wide:.3g} over the rounding of P) and a 95% "
        f"interval of {limits[0]:.2f} to {limits[1]:.2f}."
    )
    figures: dict[str, Figure] = {
        "se": se, "se_low": narrow, "se_high": wide, "df": df,
        "interval_low": limits[0], "interval_high": limits[1],
    }  # fmt: skip
    return _row_finding(name, "information", text, figures, row)


def _of_its_words(name: str, row: xr.Dataset) -> Finding:
    """Return the finding on a row whose standard error is printed, or follows from t or two arms.

    Its P is held against the normal or t of that standard error where both are printed.
    """
    estimate, se, df = (float(row[key]) for key in ("estimate", "se", "df"))
    scale, ends = printed_scale(row), (float(row["interval_low"]), float(row["interval_high"]))
    figures: dict[str, Figure] = {"se": se, "df": df, "interval_low": ends[0],
                                  "interval_high": ends[1]}  # fmt: skip
    shown = ends if scale is None else scale.limits(*ends)
    text = (
        f"No interval is printed; standard error {se:.3g} (from {row['se_source'].item()}), 95% "
        f"interval {shown[0]:.3g} to {shown[1]:.3g}"
    )
    p, bound = float(row["p_value"]), p_bound(row)
    severity: Severity = "information"
    least, most = _p_of_rounded(row)
    figures |= {"p_low": least, "p_high": most}
    if p != p and not bound:
        return _row_finding(name, "information", f"{text}; no P printed.", figures, row)
    printed = printed_of(row)
    low, high = printed.p_box
    text += f"; P is {float(p_value(estimate, se, df=df)):.3g}, printed {printed.p_text}"
    exact = "the printed standard error" in str(row["se_source"].item())
    if exact:
        holds = least <= high + 1e-9 and most >= low - 1e-9
        severity = "consistent" if holds else "contradiction"
        text += "" if holds else f"; rounding allows {least:.3g} to {most:.3g}"
    return _row_finding(name, severity, f"{text}.", figures, row)


def _p_of_rounded(row: xr.Dataset) -> tuple[float, float]:
    """Return the least and the largest P over what prints as an estimate and its standard error."""
    words, df = printed_words(row), float(row["df"])
    if not {"estimate", "se"} <= words.keys():
        same = float(p_value(float(row["estimate"]), float(row["se"]), df=df))
        return same, same
    digits = int(row["estimate_decimals"])
    box = np.array(rounding_box(words["estimate"], digits))
    if printed_scale(row) is not None:
        box = np.log(np.maximum(box, LEAST_RATIO))
    half = half_unit(words["se"])
    sizes = np.abs(box)
    least = 0.0 if box[0] * box[1] < 0 else float(sizes.min())
    narrow, wide = max(words["se"] - half, np.finfo(float).tiny), words["se"] + half
    return (float(p_value(float(sizes.max()), narrow, df=df)),
            float(p_value(least, wide, df=df)))  # fmt: skip


def _row_finding(
    name: str, severity: Severity, text: str, figures: dict[str, Figure], row: xr.Dataset
) -> Finding:
    """Return a finding at one row, with the paper's own count where the analysis has another."""
    stated, df = float(row["df_stated"]), float(row["df"])
    if np.isfinite(stated):
        se = _se(row, df=stated)
        p = float(p_value(float(row["estimate"]), se, df=stated))
        n, counted = (float(row[name].fillna(row["n"])) for name in ("n", "n_stated"))
        figures = {**figures, "n": n, "n_stated": counted,
                   "df_stated": stated, "se_stated": se, "p_stated": p}  # fmt: skip
        text += (
            f" Degrees of freedom {df:g} ({row['df_basis'].item()}); by the paper's own count "
            f"(n = {counted:g}) {stated:g}, with a standard error of {se:.4g} in "
            f"place of {float(row['se']):.4g} and P {p:.3g}."
        )
    return Finding(f"rows.{name}", "rows", severity, name, text, figures)


def _se(row: xr.Dataset, *, df: float) -> float:
    """Return the standard error of a row at other degrees of freedom, score units."""
    if np.isnan(row["ci_low"]):
        if str(row["se_source"].item()) not in ("p_value", "P"):
            return float(row["se"])
        return float(se_from_p(float(row["estimate"]), float(row["p_value"]), df=df))
    ends = float(row["ci_low"]), float(row["ci_high"])
    return float(se_from_interval(*ends, df=df, level=level_of(row)))


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
        box, level = printed.p_box, printed.level
        slopes = np.stack(slopes_printing_p(box, df=DF_GRID, level=level), axis=1)
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
        findings.append(_freedom_finding(analysis, here, fits, joint))
        weights[analysis] = joint / joint.sum() if joint.sum() > 0 else joint
    if not findings:
        return Section("freedom", None, [])
    table = xr.Dataset(
        {"weight": (("analysis", "df"), np.array(list(weights.values())))},
        {"analysis": list(weights), "df": DF_GRID},
    )
    return Section("freedom", table, findings)


def _freedom_finding(
    analysis: str, rows: xr.Dataset, fits: xr.DataArray, joint: np.ndarray
) -> Finding:
    """Return the finding on one analysis."""
    used = fits["contrast"].values.tolist()
    left_out = [name for name in rows["contrast"].values.tolist() if name not in used]
    assumed = sorted({float(value) for value in rows["df"].values})
    place = ", ".join(used)
    figures: dict[str, Figure] = {"rows": len(used), "left_out": ", ".join(left_out)}
    words = f"{analysis}: intervals and P values of {len(used)} rows"
    if not used or joint.sum() == 0:
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
