"""What the text states against the numbers: power, number of tests, claims, signs, analyses."""

from __future__ import annotations

import math

import numpy as np
import xarray as xr
from scipy import stats

from bayes_ptsd.audit.finding import Figure, Finding, Section, printed_rows, severity_of
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.intervals import p_value, se_from_interval
from bayes_ptsd.evidence.measured_rows import level_of, p_bound

__all__ = [
    "check_claims",
    "check_directions",
    "check_multiplicity",
    "check_power",
    "check_unstated",
    "paper_alpha",
    "t_test_power",
]

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


def check_claims(evidence: Evidence) -> Section:
    """Compare what the text says about an effect with whether the P of its row is below the level.

    A claim is "present", "near", "absent" or "unchanged".
    """
    claims, alpha = evidence.data["claims"].to_dataset(), paper_alpha(evidence)
    rows = evidence.data["effects"].to_dataset()
    known = np.isin(claims["contrast"].values, rows["contrast"].values)
    claims = claims.isel(claim_row=known)
    if claims.sizes["claim_row"] == 0:
        return Section("claims", None, [])
    rows = rows.sel(contrast=claims["contrast"].values)
    p = rows["p_value"].values
    findings = [
        _claim_finding(claims.isel(claim_row=index), rows.isel(contrast=index), alpha)
        for index in range(len(p))
    ]
    table = xr.Dataset(
        {"p_value": ("claim_row", p), "below_alpha": ("claim_row", p < alpha)},
        {"claim_row": claims["claim_row"].values, "claim": ("claim_row", claims["claim"].values)},
    )
    return Section("claims", table, findings)


def _claim_finding(claim: xr.Dataset, row: xr.Dataset, alpha: float) -> Finding:
    """Return the finding on one claim."""
    p, digits = float(row["p_value"]), int(row["p_value_decimals"])
    word, contrast = str(claim["claim"].item()), str(claim["contrast"].item())
    section, below = str(claim["section"].item()), p < alpha
    bound = p_bound(row)
    prints = f"P {p:.{max(digits, 0)}f}" if p == p else f"P {bound}" if bound else "no P"
    says = {
        "present": "names the effect as found",
        "near": "describes the effect as nearly found",
        "absent": "names no effect",
        "unchanged": "names no change",
    }[word]
    text = f"The text {says}; the row prints {prints}, the paper's level is {alpha:g}."
    if p != p:
        p = float(p_value(float(row["estimate"]), float(row["se"]), df=float(row["df"])))
        source = "interval" if np.isfinite(row["ci_low"]) else "standard error"
        text += f" P from its {source} is {p:.3g}."
        below = p < alpha or (bound[:1] == "<" and float(bound[1:]) <= alpha)
    holds = below if word == "present" else (not below and word != "near")
    name = str(claim["claim_row"].item())
    return Finding(
        f"claims.{name}", "claims", severity_of(holds, otherwise="caution"),
        f"{contrast}, {name}, {section}", text, {"p_value": p, "alpha": alpha, "claim": word},
    )  # fmt: skip


def check_directions(evidence: Evidence) -> Section:
    """Look for rows whose direction differs from all other rows of their outcome.

    An outcome with fewer than three rows is compared with the rows of every outcome.
    """
    rows = printed_rows(evidence)
    sign, endpoint = np.sign(rows["estimate"].values), rows["endpoint"].values
    findings = []
    for index, name in enumerate(rows["contrast"].values.tolist()):
        same = endpoint == endpoint[index]
        peers = np.flatnonzero(same if same.sum() > 2 else np.ones_like(same))
        others = sign[peers[peers != index]]
        if len(others) > 1 and sign[index] and (others == -sign[index]).all():
            text = (
                f"The difference is {float(rows['estimate'][index]):+g} where the other "
                f"{len(others)} rows it is compared with have the opposite sign; check "
                f"sign_as_printed '{rows['sign_as_printed'].values[index]}'."
            )
            findings.append(
                Finding(f"direction.{name}", "direction", "caution", name, text,
                        {"estimate": float(rows["estimate"][index]), "others": len(others)})
            )  # fmt: skip
    if not findings and len(sign) > 2:
        figures: dict[str, Figure] = {
            "rows": len(sign), "positive": int((sign > 0).sum()), "negative": int((sign < 0).sum())
        }  # fmt: skip
        text = (
            f"No row stands alone in its direction: {figures['positive']} favor the active "
            f"treatment, {figures['negative']} the control."
        )
        findings = [Finding("direction.rows", "direction", "consistent", "all rows", text, figures)]
    return Section("direction", None, findings)


def check_unstated(evidence: Evidence) -> Section:
    """Compute P under each analysis for rows whose analysis is not stated.

    A row is taken as such if its `df_basis` says "not stated".
    """
    rows = printed_rows(evidence)
    findings = []
    for index, basis in enumerate(rows["df_basis"].values.tolist()):
        row = rows.isel(contrast=index)
        if "not stated" in basis and np.isfinite(row["ci_low"]):
            findings.append(_unstated_finding(rows, row))
    return Section("unstated", None, findings)


def _unstated_finding(rows: xr.Dataset, row: xr.Dataset) -> Finding:
    """Return the finding on one row whose analysis is not stated."""
    digits, printed = int(row["p_value_decimals"]), float(row["p_value"])
    known = rows.isel(contrast=np.isfinite(rows["ci_low"].values))
    figures: dict[str, Figure] = {"p_printed": printed}
    words = []
    for analysis in np.unique(known["analysis"].values).tolist():
        df = float(known["df"].values[known["analysis"].values == analysis][0])
        ends = float(row["ci_low"]), float(row["ci_high"])
        se = se_from_interval(*ends, df=df, level=level_of(row))
        p = float(p_value(float(row["estimate"]), se, df=df))
        figures[f"p_{analysis}"] = p
        words.append(f"{p:.{max(digits, 0) + 2}f} as {analysis} (df {df:g})")
    text = (
        f"The analysis is not stated and is taken as {row['analysis'].item()}; P from the interval "
        f"is {', '.join(words)}; "
        + (f"printed {printed:.{max(digits, 0)}f}." if digits >= 0 else "no P is printed.")
    )
    name = str(row["contrast"].item())
    return Finding(f"unstated.{name}", "unstated", "caution", name, text, figures)
