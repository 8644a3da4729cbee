"""Words and signs against numbers: claims, directions, and rows whose analysis is not stated."""

from __future__ import annotations

import numpy as np
import xarray as xr

from bayes_ptsd.audit.finding import Figure, Finding, Section, printed_rows, severity_of
from bayes_ptsd.audit.planning import paper_alpha
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.intervals import p_value, se_from_interval

__all__ = ["check_claims", "check_directions", "check_unstated"]


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
    says = {
        "present": "names the effect as found",
        "near": "describes the effect as nearly found",
        "absent": "names no effect",
        "unchanged": "names no change",
    }[word]
    text = (
        f"The text {says}; the row prints P {p:.{max(digits, 0)}f}, the paper's level is {alpha:g}."
    )
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
        se = se_from_interval(float(row["ci_low"]), float(row["ci_high"]), df=df)
        p = float(p_value(float(row["estimate"]), se, df=df))
        figures[f"p_{analysis}"] = p
        words.append(f"{p:.{max(digits, 0) + 2}f} as {analysis} (df {df:g})")
    text = (
        f"The analysis is not stated and is taken as {row['analysis'].item()}; P from the interval "
        f"is {', '.join(words)}; printed {printed:.{max(digits, 0)}f}."
    )
    name = str(row["contrast"].item())
    return Finding(f"unstated.{name}", "unstated", "caution", name, text, figures)
