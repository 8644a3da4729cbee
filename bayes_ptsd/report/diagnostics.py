"""Sampled cross-checks: the same rows by NUTS beside the exact engine."""

from __future__ import annotations

from typing import Any

import pandas as pd
import xarray as xr

from bayes_ptsd.estimands import estimate
from bayes_ptsd.evidence.published import select_contrast
from bayes_ptsd.plots import agreement_figure, figure_svg
from bayes_ptsd.report.contents import Contents, Row
from bayes_ptsd.report.headline import row_heading
from bayes_ptsd.report.markup import (
    Section,
    figure_html,
    gallery,
    interval_text,
    join,
    number,
    paragraph,
    probability,
)
from bayes_ptsd.report.table import table_html

__all__ = ["diagnostics_section", "sampled_fits"]

SAMPLED = "nuts"
# Heading, and decimals that tell a value from its threshold (R-hat from 1.01); counts have none.
CHECKS = {
    "rhat_max": ("largest R-hat", 4),
    "ess_bulk_min": ("least bulk ESS", 0),
    "ess_tail_min": ("least tail ESS", 0),
    "divergences": ("divergences", 0),
    "ebfmi_min": ("least E-BFMI", 2),
}


def diagnostics_section(contents: Contents) -> Section:
    """Return the stored sampled cross-checks, their agreement with the exact engine in MCSE."""
    sampled = sampled_fits(contents)
    text = (
        "Every number above comes from an exact engine: closed form, or quadrature with a relative "
        "error below 1e-8, so it has no Monte Carlo error. The same model in PyMC, sampled with "
        "NUTS, is an independent check of it."
    )
    if not sampled:
        return Section(
            "diagnostics",
            "Diagnostics",
            join(
                paragraph(text),
                paragraph(
                    "The store holds no sampled result for these rows; 'bayes-ptsd reanalyze' "
                    "without --quick makes them."
                ),
            ),
        )
    numbers = pd.DataFrame([_numbers(contents, fit) for fit in sampled])
    figures = {}
    parts = []
    for fit in sampled:
        exact = _exact_of(contents, fit)
        if exact is not None:
            name = f"sampled-{fit.attrs['result_id'][:10]}"
            figures[name] = figure_svg(agreement_figure(fit, exact))
            alt = (
                f"Histogram of sampled draws under the exact posterior density, "
                f"{row_heading(contents, _row_of(fit))}, {fit.attrs['prior']} prior."
            )
            parts.append(figure_html(figures[name], alt=alt, name=name))
    html = join(
        paragraph(text),
        _agreement_table(contents, sampled),
        _check_table(contents, sampled),
        gallery(parts) if parts else "",
    )
    return Section("diagnostics", "Diagnostics", html, {"diagnostics": numbers}, figures)


def sampled_fits(contents: Contents) -> list[xr.DataTree]:
    """Return the sampled results of the headline rows that the store holds, oldest first."""
    if contents.store is None:
        return []
    digests = {
        select_contrast(contents.evidence, name, crossover_reading=reading).digest
        for name, reading in contents.primary
    }
    return [
        contents.store.load(entry["result_id"])
        for entry in contents.sidecars.values()
        if entry["engine"] == SAMPLED and entry["evidence_digest"] in digests
    ]


def _row_of(fit: xr.DataTree) -> Row:
    """Return contrast and reading of a fit."""
    return str(fit.attrs["contrast"]), str(fit.attrs["crossover_reading"]) or "as_published"


def _exact_of(contents: Contents, fit: xr.DataTree) -> xr.DataTree | None:
    """Return the exact fit of the same row, prior and convention, if the page has it."""
    for exact in contents.fits.get(_row_of(fit), []):
        if all(exact.attrs[key] == fit.attrs[key] for key in ("prior", "convention")):
            return exact
    return None


def _summary(fit: xr.DataTree) -> dict[str, float]:
    """Return the figures that are compared between engines."""
    one = estimate(fit).sel(estimand="treatment_difference")
    low, high = one["eti95"].values
    keys = ("mean", "sd", "mcse_mean", "prob_benefit", "prob_gt_mcid")
    return {key: float(one[key]) for key in keys} | {"low": float(low), "high": float(high)}


def _numbers(contents: Contents, fit: xr.DataTree) -> dict[str, Any]:
    """Return one sampled fit as numbers."""
    exact = _exact_of(contents, fit)
    checks = fit["checks"].to_dataset()
    figures = {str(c): float(checks["figure"].sel(check=c)) for c in checks["check"].values}
    other = {} if exact is None else {f"exact_{k}": v for k, v in _summary(exact).items()}
    return {
        "contrast": _row_of(fit)[0],
        "crossover_reading": _row_of(fit)[1],
        "prior": fit.attrs["prior"],
        "convention": fit.attrs["convention"],
        **{f"sampled_{key}": value for key, value in _summary(fit).items()},
        **other,
        **figures,
        "result_id": fit.attrs["result_id"],
        "evidence_kind": fit.attrs["evidence_kind"],
    }


def _agreement_table(contents: Contents, sampled: list[xr.DataTree]) -> str:
    """Return sampled and exact summaries line by line."""
    lines = []
    for fit in sampled:
        exact = _exact_of(contents, fit)
        digits = contents.digits(_row_of(fit)[0]) + 1
        one = _summary(fit)
        group = f"{row_heading(contents, _row_of(fit))}, {fit.attrs['prior']} prior"
        lines.append({"fit": group, "engine": "NUTS"} | _texts(one, digits))
        if exact is not None:
            two = _summary(exact)
            lines.append({"fit": group, "engine": "exact"} | _texts(two, digits))
            gap = (one["mean"] - two["mean"]) / one["mcse_mean"]
            lines[-2]["gap, MCSE"] = number(gap, 2, sign=True)
    return table_html(
        pd.DataFrame(lines),
        caption="Sampled and exact posteriors, score units.",
        kind=contents.kind,
        convention=str(sampled[0].attrs["convention"]),
        name="diagnostics",
        group="fit",
        stub="engine",
        notes=["gap: sampled minus exact mean, in Monte Carlo standard errors (MCSE)."],
    )


def _texts(one: dict[str, float], digits: int) -> dict[str, str]:
    """Return the summary of one engine as texts."""
    return {
        "mean": number(one["mean"], digits),
        "MCSE": number(one["mcse_mean"], digits + 1),
        "sd": number(one["sd"], digits),
        "95% ETI": interval_text(one["low"], one["high"], digits),
        "P(> 0)": probability(one["prob_benefit"]),
        "P(> MCID)": probability(one["prob_gt_mcid"]),
    }


def _check_table(contents: Contents, sampled: list[xr.DataTree]) -> str:
    """Return the convergence checks, a line per fit."""
    lines = []
    for fit in sampled:
        checks = fit["checks"].to_dataset()
        line = {"fit": f"{row_heading(contents, _row_of(fit))}, {fit.attrs['prior']} prior"}
        for key, (head, digits) in CHECKS.items():
            if key in checks["check"].values:
                one = checks.sel(check=key)
                line[f"{head} ({_limit(key)} {float(one['threshold']):g})"] = number(
                    float(one["figure"]), digits
                )
        line["all passed"] = "yes" if bool(fit.attrs["checks_passed"]) else "no"
        lines.append(line)
    return table_html(
        pd.DataFrame(lines),
        caption="Convergence checks of the sampled fits.",
        kind=contents.kind,
        name="diagnostics",
        stub="fit",
    )


def _limit(key: str) -> str:
    """Return the direction of a threshold."""
    if key == "divergences":
        return "exactly"
    return "below" if key == "rhat_max" else "at least"
