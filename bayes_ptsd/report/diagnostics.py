"""Sampled cross-checks: the same rows by NUTS beside the exact engine."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import xarray as xr

from bayes_ptsd.estimands import estimate
from bayes_ptsd.evidence.published import select_contrast
from bayes_ptsd.plots import agreement_figure, figure_svg
from bayes_ptsd.report.contents import Contents, Row
from bayes_ptsd.report.headline import row_heading
from bayes_ptsd.report.markup import interval_text, number, paragraph, probability
from bayes_ptsd.report.section import Figure, Line, Part, Section, Table, gallery
from bayes_ptsd.store.results import load_whole

__all__ = ["diagnostics_section", "sampled_fits"]

SAMPLED = "nuts"
# Heading, and decimals that tell a value from its threshold (R-hat from 1.01); counts have none.
CHECKS = {
    "rhat_max": ("largest R-hat (below", 4),
    "ess_bulk_min": ("least bulk ESS (at least", 0),
    "ess_tail_min": ("least tail ESS (at least", 0),
    "divergences": ("divergences (exactly", 0),
    "ebfmi_min": ("least E-BFMI (at least", 2),
}
SUMMARY = ("mean", "sd", "mcse_mean", "prob_benefit", "prob_gt_mcid")


def diagnostics_section(contents: Contents) -> Section:
    """Return the stored sampled cross-checks, their agreement with the exact engine in MCSE."""
    sampled = sampled_fits(contents)
    text = (
        "Every number above comes from an exact engine: closed form, or quadrature with a relative "
        "error below 1e-8, so it has no Monte Carlo error. The same model in PyMC, sampled with "
        "NUTS, is an independent check of it."
    )
    if not sampled:
        none = (
            "The store holds no sampled result for these rows; 'bayes-ptsd reanalyze' without "
            "--quick makes them."
        )
        return Section("diagnostics", "Diagnostics", [paragraph(text), paragraph(none)])
    found = [(fit, _exact_of(contents, fit)) for fit in sampled]
    frame = pd.DataFrame([_numbers(fit, exact) for fit, exact in found])
    figures = [
        Figure(
            f"sampled-{fit.attrs['result_id'][:10]}", figure_svg(agreement_figure(fit, exact)),
            "Histogram of sampled draws under the exact posterior density, "
            f"{_name(contents, line)}.",
        )
        for (fit, exact), line in zip(found, frame.to_dict("records"), strict=True)
        if exact is not None
    ]  # fmt: skip
    parts: list[Part] = [
        paragraph(text),
        _agreement(contents, frame),
        _checks(contents, sampled, frame),
        gallery(figures),
    ]
    return Section("diagnostics", "Diagnostics", parts)


def sampled_fits(contents: Contents) -> list[xr.DataTree]:
    """Return the sampled results of the headline rows that the store holds, oldest first."""
    if contents.store is None:
        return []
    digests = {
        select_contrast(contents.evidence, name, crossover_reading=reading).digest
        for name, reading in contents.primary
    }
    ids = [
        entry["result_id"]
        for entry in contents.sidecars.values()
        if entry["engine"] == SAMPLED and entry["evidence_digest"] in digests
    ]
    return load_whole(contents.store, ids)


def _row_of(fit: xr.DataTree) -> Row:
    """Return contrast and reading of a fit."""
    return str(fit.attrs["contrast"]), str(fit.attrs["crossover_reading"]) or "as_published"


def _exact_of(contents: Contents, fit: xr.DataTree) -> xr.DataTree | None:
    """Return the exact fit of the same row, prior and convention, if the page has it."""
    for exact in contents.fits.get(_row_of(fit), []):
        if all(exact.attrs[key] == fit.attrs[key] for key in ("prior", "convention")):
            return exact
    return None


def _summary(fit: xr.DataTree, engine: str) -> dict[str, float]:
    """Return the figures that are compared between engines."""
    one = estimate(fit).sel(estimand="treatment_difference")
    low, high = one["eti95"].values
    found = {key: float(one[key]) for key in SUMMARY} | {"low": float(low), "high": float(high)}
    return {f"{engine}_{key}": value for key, value in found.items()}


def _numbers(fit: xr.DataTree, exact: xr.DataTree | None) -> dict[str, Any]:
    """Return one sampled fit as numbers."""
    checks = fit["checks"].to_dataset()
    return {
        **dict(zip(("contrast", "crossover_reading"), _row_of(fit), strict=True)),
        "prior": fit.attrs["prior"],
        "convention": fit.attrs["convention"],
        **_summary(fit, "sampled"),
        **({} if exact is None else _summary(exact, "exact")),
        **{str(c): float(checks["figure"].sel(check=c)) for c in checks["check"].values},
        "result_id": fit.attrs["result_id"],
        "evidence_kind": fit.attrs["evidence_kind"],
    }


def _name(contents: Contents, line: Line) -> str:
    """Return the heading of a sampled fit."""
    row = (line["contrast"], line["crossover_reading"])
    return f"{row_heading(contents, row)}, {line['prior']} prior"


def _agreement(contents: Contents, frame: pd.DataFrame) -> Table:
    """Return sampled and exact summaries line by line."""

    def texts(line: Line) -> Line:
        digits = contents.digits(line["contrast"]) + 1
        one = {key: line[f"{line['engine']}_{key}"] for key in (*SUMMARY, "low", "high")}
        gap = one["mean"] - line.get("exact_mean", math.nan)
        return {
            "fit": _name(contents, line),
            "engine": "NUTS" if line["engine"] == "sampled" else "exact",
            "mean": number(one["mean"], digits),
            "MCSE": number(one["mcse_mean"], digits + 1),
            "sd": number(one["sd"], digits),
            "95% ETI": interval_text(one["low"], one["high"], digits),
            "P(> 0)": probability(one["prob_benefit"]),
            "P(> MCID)": probability(one["prob_gt_mcid"]),
        } | (
            {"gap, MCSE": number(gap / one["mcse_mean"], 2, sign=True)}
            if line["engine"] == "sampled" and not math.isnan(gap)
            else {}
        )

    return Table(
        "diagnostics", frame, texts,
        lines=[
            {**line, "engine": engine}
            for line in frame.to_dict("records")
            for engine in ("sampled", "exact")
            if not math.isnan(line.get(f"{engine}_mean", math.nan))
        ],
        caption="Sampled and exact posteriors, score units.",
        convention=str(frame["convention"].iloc[0]), group="fit", stub="engine",
        notes=["gap: sampled minus exact mean, in Monte Carlo standard errors (MCSE)."],
    )  # fmt: skip


def _checks(contents: Contents, sampled: list[xr.DataTree], frame: pd.DataFrame) -> Table:
    """Return the convergence checks, a line per fit."""
    lines = []
    for fit, line in zip(sampled, frame.to_dict("records"), strict=True):
        limits = fit["checks"].to_dataset()["threshold"].to_series()
        figures = {
            f"{head} {limits[key]:g})": number(line[key], digits)
            for key, (head, digits) in CHECKS.items()
            if key in limits
        }
        passed = "yes" if bool(fit.attrs["checks_passed"]) else "no"
        lines.append({"fit": _name(contents, line), **figures, "all passed": passed})
    return Table(
        "diagnostics", frame, lines=lines, caption="Convergence checks of the sampled fits."
    )
