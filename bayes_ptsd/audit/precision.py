"""Precision of the crossover rows against the first-period rows of the same outcomes.

A crossover compares each patient with him- or herself, a first-period analysis compares patients.
The printed standard errors imply a within-patient and a between-patient standard deviation, and
together a correlation between the two periods that can be compared with what is possible.
"""

from __future__ import annotations

import math

import numpy as np
import xarray as xr
from scipy import stats

from bayes_ptsd.audit.finding import Figure, Finding, Section, printed_rows, severity_of
from bayes_ptsd.audit.flow import completers, total_count
from bayes_ptsd.audit.rows import narrowed_se, printed_of
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.measured_rows import of_scores
from bayes_ptsd.evidence.readings import CROSSOVER_READINGS

__all__ = [
    "ORDINARY",
    "SD_FACTORS",
    "check_precision",
    "implied_correlation",
    "largest_sd",
    "needed_sd",
]

# total over residual SD, 1 / sqrt(1 - r^2) where the baseline correlates by r: none, .55 and .70
SD_FACTORS = (1.0, 1.2, 1.4)
# the factor that findings speak of: r = .55, the middle of the three
ORDINARY = 1.2
READINGS = ("as_published", "unhalved")
SE_BASES = ("width", "with_p")
PLACE = "crossover rows against first_period rows"


def implied_correlation(sd_difference: float, sd: float) -> float:
    """Return the correlation of two periods of equal SD that gives a SD of differences.

    ``1 - sd_difference^2 / (2 sd^2)``; below -1 where no correlation does.
    """
    return 1 - sd_difference**2 / (2 * sd**2)


def needed_sd(sd_difference: float, sd: float, *, correlation: float) -> float:
    """Return the second-period SD that gives a SD of differences, NaN where none does.

    `sd` is that of the first period.
    """
    root = (correlation * sd) ** 2 - sd**2 + sd_difference**2
    return correlation * sd + math.sqrt(root) if root >= 0 else np.nan


def largest_sd(limits: tuple[float, float], sizes: dict[str, int]) -> float:
    """Return the largest pooled within-sequence SD of a scale, all scores at its two ends."""
    spread = limits[1] - limits[0]
    squares = sum(spread**2 * (n // 2) * (n - n // 2) / n for n in sizes.values())
    return math.sqrt(squares / (sum(sizes.values()) - len(sizes)))


def check_precision(evidence: Evidence, *, flow_reading: str = "paper") -> Section:
    """Compare the standard errors of crossover and first-period rows, score units.

    `sd_difference` and `sd_within` are of the crossover as published, `sd_residual` of the first
    period, `needed_sd` and `largest_sd` of a second period. `correlation` is over `se_basis` (width
    of the interval, or all numbers that print as estimate, interval and P), reading and
    `sd_factor`.
    """
    sizes = completers(evidence, flow_reading=flow_reading)
    crossover = printed_rows(evidence, ["crossover"], corrected=True)
    first = printed_rows(evidence, ["first_period"], corrected=True)
    partner = {outcome: index for index, outcome in enumerate(_outcomes(first)) if outcome}
    pairs = [
        (crossover.isel(contrast=index), first.isel(contrast=partner[outcome]))
        for index, outcome in enumerate(_outcomes(crossover))
        if outcome in partner
    ]
    if not pairs or not sizes:
        return Section("precision", None, [])
    records = [_record(evidence, sizes, *pair) for pair in pairs]
    table = _table(records)
    findings = [_endpoint_finding(record) for record in records]
    estimates = _estimates(table, _early_completers(evidence))
    return Section("precision", table, [_overall(table), *findings, estimates])


def _outcomes(rows: xr.Dataset) -> list[str]:
    """Return endpoint and time of each row, empty where no interval is printed."""
    labels = zip(
        rows["endpoint"].values, rows["timepoint"].values,
        np.isfinite(rows["ci_low"].values) & of_scores(rows), strict=True,
    )  # fmt: skip
    return [f"{endpoint} {time}" if kept else "" for endpoint, time, kept in labels]


def _record(
    evidence: Evidence, sizes: dict[str, int], crossover: xr.Dataset, first: xr.Dataset
) -> dict[str, Figure]:
    """Return the implied standard deviations of one outcome."""
    endpoint = str(crossover["endpoint"].item())
    se_x, se_f = float(crossover["se"]), float(first["se"])
    h_x = math.sqrt(sum(1 / n for n in sizes.values()))
    h_f = math.sqrt(1 / float(first["n_active"]) + 1 / float(first["n_control"]))
    difference, residual = 2 * se_x / h_x, se_f / h_f
    within = difference / math.sqrt(2)
    ratio = (within / residual) ** 2
    limits = evidence.trial.endpoint(endpoint).range
    total = ORDINARY * residual
    estimate_x, estimate_f = float(crossover["estimate"]), float(first["estimate"])
    return {
        "endpoint": endpoint,
        "crossover": str(crossover["contrast"].item()),
        "first_period": str(first["contrast"].item()),
        "se_crossover": se_x,
        "se_first_period": se_f,
        "ratio": se_x / se_f,
        "sd_difference": difference,
        "sd_within": within,
        "sd_residual": residual,
        "variance_ratio": ratio,
        "f_p": float(stats.f.sf(ratio, float(crossover["df"]), float(first["df"]))),
        "chance_of_sd": float(_chance(difference, total, float(crossover["df"]))),
        "needed_sd": needed_sd(difference, total, correlation=0.0),
        "needed_sd_rho_0.3": needed_sd(difference, total, correlation=0.3),
        "largest_sd": largest_sd(limits, sizes) if limits else np.nan,
        "half_below_first": estimate_x / 2 < estimate_f,
        "above_first": estimate_x > estimate_f,
        **_correlations("width", difference, residual),
        **_correlations(
            "with_p", 2 * _narrowed(crossover, se_x) / h_x, _narrowed(first, se_f) / h_f
        ),
    }


def _narrowed(row: xr.Dataset, fallback: float) -> float:
    """Return the standard error that the printed P narrows, the width's where that is empty."""
    se = narrowed_se(printed_of(row), df=float(row["df"]))
    return fallback if np.isnan(se) else se


def _chance(sd_difference: float, sd: float, df: float) -> float:
    """Return the chance of so large a SD of differences if periods are uncorrelated."""
    return float(stats.chi2.sf(df * sd_difference**2 / (2 * sd**2), df))


def _correlations(basis: str, difference: float, residual: float) -> dict[str, Figure]:
    """Return implied correlations by scale of the reading and factor of the SD."""
    return {
        f"correlation_{basis}_{name}_{factor}": implied_correlation(
            CROSSOVER_READINGS[name].scale * difference, factor * residual
        )
        for name in READINGS
        for factor in SD_FACTORS
    }


def _table(records: list[dict[str, Figure]]) -> xr.Dataset:
    """Return the records along `endpoint`, the correlations over reading and factor."""
    endpoints = [str(record["endpoint"]) for record in records]
    plain = [key for key in records[0] if key != "endpoint" and not key.startswith("correlation_")]
    variables = {key: ("endpoint", [record[key] for record in records]) for key in plain}
    table = xr.Dataset(variables, {"endpoint": endpoints})
    table["correlation"] = xr.DataArray(
        [
            [
                [[float(r[f"correlation_{b}_{n}_{f}"] or 0) for f in SD_FACTORS] for n in READINGS]
                for b in SE_BASES
            ]
            for r in records
        ],
        dims=("endpoint", "se_basis", "crossover_reading", "sd_factor"),
    )
    return table.assign_coords(
        se_basis=list(SE_BASES), crossover_reading=list(READINGS), sd_factor=list(SD_FACTORS)
    )


def _overall(table: xr.Dataset) -> Finding:
    """Return the finding on all outcomes together."""
    ratio = table["ratio"].values
    at = table["correlation"].sel(sd_factor=ORDINARY, se_basis="with_p")
    published, unhalved = (at.sel(crossover_reading=name).values for name in READINGS)
    impossible = int((published < -1).sum())
    text = (
        f"In {int((ratio > 1).sum())} of {len(ratio)} outcomes the crossover standard error, each "
        "patient compared with him- or herself, is larger than the first-period one (ratio "
        f"{ratio.min():.2f} to {ratio.max():.2f}). Read as published, with equal standard "
        f"deviations of {ORDINARY} x the first-period residual in both periods, it needs a "
        f"correlation between a patient's two scores of {published.min():.2f} to "
        f"{published.max():.2f}, {impossible} of them below -1; with the contrast read as not "
        f"halved, {unhalved.min():.2f} to {unhalved.max():.2f}. The published P value does not "
        "depend on the reading; every statement in points does."
    )
    figures: dict[str, Figure] = {
        "outcomes": len(ratio), "larger": int((ratio > 1).sum()), "ratio_min": float(ratio.min()),
        "ratio_max": float(ratio.max()), "impossible": impossible,
        "correlation_min": float(published.min()), "correlation_max": float(published.max()),
    }  # fmt: skip
    larger = bool((ratio > 1).any())
    severity = "contradiction" if impossible else severity_of(not larger, otherwise="caution")
    return Finding("precision.overall", "precision", severity, PLACE, text, figures)


def _endpoint_finding(record: dict[str, Figure]) -> Finding:
    """Return the finding on one outcome."""
    rho, half = (float(record[f"correlation_with_p_{name}_{ORDINARY}"] or 0) for name in READINGS)
    wide = float(record[f"correlation_width_as_published_{ORDINARY}"] or 0)
    text = (
        f"Standard error {record['se_crossover']:.3g} (crossover) against "
        f"{record['se_first_period']:.3g} (first period), ratio {record['ratio']:.2f}. As "
        f"published: SD of within-patient differences {record['sd_difference']:.3g}, "
        f"within-patient SD {record['sd_within']:.3g} against a residual SD of "
        f"{record['sd_residual']:.3g} (variance ratio {record['variance_ratio']:.2f}, F test P "
        f"{record['f_p']:.2g}); correlation between periods, at equal SDs of {ORDINARY} x the "
        f"residual, {rho:.2f} ({wide:.2f} without the digits of P, {half:.2f} if not halved). "
        f"Uncorrelated periods need a second-period SD of {record['needed_sd']:.3g}; the largest "
        f"possible on the scale is {record['largest_sd']:.3g}."
    )
    larger = float(record["ratio"] or 0) > 1
    severity = "contradiction" if rho < -1 else severity_of(not larger, otherwise="caution")
    return Finding(
        f"precision.{record['endpoint']}", "precision", severity,
        f"{record['crossover']}, {record['first_period']}", text, record,
    )  # fmt: skip


def _early_completers(evidence: Evidence) -> dict[str, int]:
    """Return those who completed after the first infusion, by first treatment."""
    flow = evidence.data["flow"].to_dataset()
    return {
        order[0]: total_count(flow, "completed_first", sequence=sequence, reading=None)
        for sequence, order in evidence.trial.sequences.items()
    }


def _estimates(table: xr.Dataset, early: dict[str, int]) -> Finding:
    """Return the finding on point estimates under both scales."""
    below, above = int(table["half_below_first"].sum()), int(table["above_first"].sum())
    count = table.sizes["endpoint"]
    text = (
        f"The crossover estimate exceeds the first-period one in {above} of {count} outcomes; half "
        f"of it is below the first-period one in {below} of {count}."
    )
    if any(early.values()):
        words = " and ".join(f"{number} after {treatment}" for treatment, number in early.items())
        text += (
            f" The crossover leaves out those who had completed after the first infusion: {words}. "
            "Leaving out people who did well lowers the estimate of the treatment they had."
        )
    figures: dict[str, Figure] = {"outcomes": count, "above": above, "half_below": below}
    figures |= {f"completed_after_{treatment}": number for treatment, number in early.items()}
    return Finding("precision.estimates", "precision", "information", PLACE, text, figures)
