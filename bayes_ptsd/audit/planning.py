"""Planned power and the number of contrasts."""

from __future__ import annotations

import math

import numpy as np
import xarray as xr
from scipy import stats

from bayes_ptsd.audit.finding import Figure, Finding, Section, printed_rows, severity_of
from bayes_ptsd.evidence import Evidence

__all__ = ["check_multiplicity", "check_power", "paper_alpha", "t_test_power"]

PLAN = {"n": "D.N", "power": "D.POWER", "effect": "D.EFF", "alpha": "D.ALPHA"}
# between two periods, as none is printed: then a difference within a patient has the SD of a score
CORRELATION = 0.5
# of power: plans name round powers, and .80 for a computed .792 is the same plan
CLOSE = 0.02


def t_test_power(noncentrality: float, *, df: float, alpha: float) -> float:
    """Return the chance that a two-sided P is below alpha; noncentrality in standard errors."""
    limit = float(stats.t.isf(alpha / 2, df))
    upper, lower = stats.nct.sf(limit, df, noncentrality), stats.nct.cdf(-limit, df, noncentrality)
    return float(upper + lower)


def check_power(evidence: Evidence) -> Section:
    """Compute the power of the planned size as a parallel and as a crossover trial.

    Reads D.N, D.POWER (percent), D.EFF (SD units) and D.ALPHA of node `design`.
    """
    design = evidence.data["design"].to_dataset()
    if not set(PLAN.values()) <= set(design["item"].values.tolist()):
        return Section("power", None, [])
    plan = {name: float(design["number"].sel(item=item)) for name, item in PLAN.items()}
    half, effect = plan["n"] / 2, plan["effect"]
    parallel = t_test_power(effect / math.sqrt(2 / half), df=plan["n"] - 2, alpha=plan["alpha"])
    paired = effect / math.sqrt(2 * (1 - CORRELATION) / plan["n"])
    crossover = t_test_power(paired, df=plan["n"] - 2, alpha=plan["alpha"])
    planned = plan["power"] / 100
    table = xr.Dataset({"planned": planned, "parallel": parallel, "crossover": crossover})
    match = abs(parallel - planned) < CLOSE
    text = (
        f"A difference of {effect:g} SD with {plan['n']:g} patients has power {parallel:.3f} in "
        f"two groups of {half:g} and {crossover:.4f} in a crossover with correlation {CORRELATION} "
        f"between periods; planned {planned:.2f}."
    )
    if match and evidence.trial.design == "crossover":
        text += " The planned difference is therefore one between patients."
    severity = severity_of(not (match and crossover - planned > CLOSE), otherwise="information")
    if not match and abs(crossover - planned) >= CLOSE:
        severity = "caution"
    figures: dict[str, Figure] = {
        **plan, "parallel": parallel, "crossover": crossover, "correlation": CORRELATION
    }  # fmt: skip
    place = ", ".join(PLAN.values())
    finding = Finding("power.planned", "power", severity, place, text, figures)
    return Section("power", table, [finding])


def check_multiplicity(evidence: Evidence) -> Section:
    """Count the printed treatment contrasts with a P value, by analysis."""
    rows = printed_rows(evidence)
    rows = rows.isel(contrast=np.isfinite(rows["p_value"].values))
    if rows.sizes["contrast"] < 2:
        return Section("multiplicity", None, [])
    p, alpha = rows["p_value"].values, paper_alpha(evidence)
    analyses, counts = np.unique(rows["analysis"].values, return_counts=True)
    endpoints = len(np.unique(rows["endpoint"].values))
    positive = int((rows["estimate"].values > 0).sum())
    below = int((p < alpha).sum())
    people = f"at most {int(rows['n'].max())} patients" if rows["n"].notnull().any() else "patients"
    text = (
        f"{len(p)} treatment contrasts on {endpoints} outcomes of {people} are printed with a P "
        f"value; {below} of them are below {alpha:g}, {alpha * len(p):.1f} would be expected if "
        f"there were no difference at all; {positive} favor the active treatment. The contrasts "
        f"share patients. The smallest P times their number is {min(1, p.min() * len(p)):.3f}."
    )
    figures: dict[str, Figure] = {
        "contrasts": len(p), "endpoints": endpoints, "below_alpha": below, "positive": positive,
        "alpha": alpha, "smallest_p": float(p.min()),
        "smallest_p_times_contrasts": float(min(1, p.min() * len(p))),
    }  # fmt: skip
    place = "all treatment rows with a P value"
    finding = Finding("multiplicity.count", "multiplicity", "caution", place, text, figures)
    table = xr.Dataset({"contrasts": ("analysis", counts)}, {"analysis": analyses})
    return Section("multiplicity", table, [finding])


def paper_alpha(evidence: Evidence) -> float:
    """Return the two-sided level of the paper, 0.05 where none is printed."""
    if "design" in evidence.data.children:
        design = evidence.data["design"].to_dataset()
        if PLAN["alpha"] in design["item"].values:
            return float(design["number"].sel(item=PLAN["alpha"]))
    return 0.05
