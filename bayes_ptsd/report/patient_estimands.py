"""Every estimand of patients' results: comparisons at each visit, odds, wins, shares by arm."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_ptsd.report.contents import PatientOutcome
from bayes_ptsd.report.markup import SPACE, around, interval_text, number, plain, probability
from bayes_ptsd.report.section import Line, Part, Table, details
from bayes_ptsd.structures import structure_of_fit

__all__ = ["estimand_name", "estimand_tables"]

DIFFERENCE = "treatment_difference"
NAMES = {
    "win_probability": "P(better) + half P(tie)",
    "interaction_max": "largest departure of a visit from the mean",
    "sd_visit": "SD",
    "visit_correlation": "correlation",
}
RATIOS = {"log_odds_ratio": "odds ratio", "log_risk_ratio": "risk ratio"}
# two one-sided tests at 5% each: the interval that is held against the limits of bioequivalence
RATIO_LEVEL = 0.9
SHARES = ("prob_at_most", "risk_active", "risk_control", "interaction_max")


def estimand_name(name: str, arms: dict[str, str]) -> str:
    """Return in words what an estimand is called; `arms` names the active and the control."""
    stem, _, label = name.rstrip("]").partition("[")
    if stem == "prob_at_most":
        arm, _, category = label.partition(", ")
        return f"P(at most {category}), {arms.get(arm, arm)}"
    if stem in ("risk_active", "risk_control"):
        return f"risk, {arms[stem.removeprefix('risk_')]}"
    words = NAMES.get(stem, plain(stem))
    return f"{words}, {label}" if label else words


def estimand_tables(outcome: PatientOutcome, name: str) -> list[Part]:
    """Return every estimand beside the frequentist estimate of the same.

    The null is the value of a comparison if the treatments are alike; parameters are folded away.
    """
    frame = pd.DataFrame([row for fit in outcome.fits for row in _rows(fit)])
    main = np.isfinite(frame["null"]) | frame["estimand"].map(_of_an_arm)
    parts: list[Part] = [_table(outcome, frame, main, name, "Comparisons of the arms")]
    if len(ratios := _ratios(outcome)):
        parts.append(_ratio_table(ratios, name))
    if len(shares := _shares(outcome)):
        parts.append(_share_table(outcome, shares, name))
    if not main.all():
        rest = _table(outcome, frame, ~main, name, "Other parameters")
        parts.append(details("Other parameters", rest))
    return parts


def _of_an_arm(name: object) -> bool:
    """Tell whether an estimand is about an arm, or about how visits differ."""
    return str(name).startswith(SHARES)


def _rows(fit: xr.DataTree) -> list[dict[str, Any]]:
    """Return the estimands of one result as numbers, ratios after their logarithms."""
    counterpart = _counterpart(fit)
    rows = []
    for name, one in json.loads(fit.attrs["summary"]).items():
        row = {
            **{key: fit.attrs[key] for key in ("model", "prior")},
            "estimand": name,
            "unit": one.get("unit", ""),
            "null": _nan(one.get("null", 0.0 if name == DIFFERENCE else None)),
            **{key: _nan(one.get(key)) for key in
               ("mean", "median", "sd", "prob_benefit", "prob_gt_mcid", "mcse_mean")},
            **_ends("eti95", one["eti95"]),
            "frequentist_estimate": _nan(counterpart.get(name, {}).get("estimate")),
            **_ends("frequentist_ci95", counterpart.get(name, {}).get("ci95")),
            "result_id": fit.attrs["result_id"],
            "evidence_kind": fit.attrs["evidence_kind"],
        }  # fmt: skip
        rows.append(row)
        if name in RATIOS:
            rows.append(_ratio(row, RATIOS[name]))
    return rows


def _counterpart(fit: xr.DataTree) -> dict[str, dict[str, Any]]:
    """Return frequentist estimates by estimand: of the counterpart, then of others."""
    document = json.loads(fit.attrs.get("frequentist", "{}"))
    found: dict[str, dict[str, Any]] = {}
    for analysis in (document.get("analyses") or {}).values():
        if analysis["method"] == document["method"] or structure_of_fit(fit).kinds == ("binary",):
            found = analysis["estimands"] | found
    # what stands first in the document is what answers for the posterior
    return found | {document.get("estimand", DIFFERENCE): document}


def _ratio(row: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a ratio from its logarithm; quantiles keep their probabilities, moments do not."""
    kept = ("median", "eti95_low", "eti95_high", "frequentist_estimate", "frequentist_ci95_low",
            "frequentist_ci95_high", "null")  # fmt: skip
    lost = dict.fromkeys(("mean", "sd", "mcse_mean", "prob_gt_mcid"), math.nan)
    ends = {key: math.exp(row[key]) for key in kept}
    return {**row, **lost, **ends, "estimand": name.replace(" ", "_"), "unit": "ratio"}


def _ends(name: str, pair: list[float | None] | None) -> dict[str, float]:
    """Return both ends of an interval under their names."""
    low, high = pair or (None, None)
    return {f"{name}_low": _nan(low), f"{name}_high": _nan(high)}


def _nan(value: float | None) -> float:
    """Return a number, NaN where there is none."""
    return math.nan if value is None else float(value)


def _table(
    outcome: PatientOutcome, frame: pd.DataFrame, shown: pd.Series, name: str, caption: str
) -> Table:
    """Return some of the estimands; without a null, nothing is said of exceeding it."""
    chosen, digits = frame[shown], outcome.digits
    compared = not chosen["null"].isna().all()

    def texts(row: Line) -> Line:
        beyond = {
            "null": "" if math.isnan(row["null"]) else f"{row['null']:g}",
            "P(> null)": probability(row["prob_benefit"]),
            "P(> MCID)": probability(row["prob_gt_mcid"]),
        }
        low, high = row["frequentist_ci95_low"], row["frequentist_ci95_high"]
        return {
            "result": f"{row['model']}, {row['prior']} prior",
            "estimand": estimand_name(str(row["estimand"]), outcome.arms),
            "unit": str(row["unit"]) or SPACE,
            "mean": number(row["mean"], digits),
            "median": number(row["median"], digits),
            "sd": number(row["sd"], digits),
            "95% ETI": interval_text(row["eti95_low"], row["eti95_high"], digits),
            **(beyond if compared else {}),
            "estimate": number(row["frequentist_estimate"], digits),
            "95% CI": interval_text(low, high, digits),
        }

    beyond = ["null", "P(> null)", "P(> MCID)"] if compared else []
    return Table(
        f"{name}-estimands", frame, texts, lines=chosen.to_dict("records"),
        caption=f"{caption}: posterior beside the frequentist estimate of the same estimand.",
        group="result", stub="estimand", left=["unit"],
        spanners={"posterior": ["mean", "median", "sd", "95% ETI", *beyond],
                  "frequentist": ["estimate", "95% CI"]},
        notes=["Null: the value of a comparison if the treatments are alike."] * compared,
    )  # fmt: skip


def _shares(outcome: PatientOutcome) -> pd.DataFrame:
    """Return the share of each category in each arm, of every fit that is about categories."""
    frames = []
    for fit in outcome.fits:
        if "categories" in fit.children:
            table = fit["categories"].to_dataset()
            shares = table[["share_mean", "share_low", "share_high"]]
            shares = shares.assign(seen=table["seen"].sum("period"))
            known = {key: fit.attrs[key] for key in ("model", "prior", "result_id")}
            frame = shares.to_dataframe().reset_index()
            frames.append(frame.assign(**known, evidence_kind=outcome.kind))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _ratios(outcome: PatientOutcome) -> pd.DataFrame:
    """Return ratios of geometric means with 90% intervals, of every fit of logarithms."""
    rows = []
    for fit in outcome.fits:
        if "ratio" in fit.children:
            one = fit["ratio"].to_dataset()
            widest = one.sel(level=RATIO_LEVEL)
            beside = json.loads(fit.attrs.get("frequentist", "{}")).get("ratio") or {}
            rows.append(
                {**{key: fit.attrs[key] for key in ("model", "prior", "result_id")},
                 "median": float(one["median"]),
                 **_ends("eti90", [float(widest["low"]), float(widest["high"])]),
                 "prob_within": float(one["within"]),
                 "frequentist_estimate": _nan(beside.get("estimate")),
                 **_ends("frequentist_ci90", beside.get("ci90")),
                 "evidence_kind": outcome.kind}
            )  # fmt: skip
    return pd.DataFrame(rows)


def _ratio_table(frame: pd.DataFrame, name: str) -> Table:
    """Return ratios of geometric means, active over control as recorded."""

    def texts(row: Line) -> Line:
        low, high = row["frequentist_ci90_low"], row["frequentist_ci90_high"]
        return {
            "result": f"{row['model']}, {row['prior']} prior",
            "median": number(row["median"], 4),
            "90% ETI": interval_text(row["eti90_low"], row["eti90_high"], 4),
            "P(.80 to 1.25)": probability(row["prob_within"]),
            "estimate": number(row["frequentist_estimate"], 4),
            "90% CI": interval_text(low, high, 4),
        }

    return Table(
        f"{name}-ratios", frame, texts, lines=frame.to_dict("records"), stub="result",
        caption="Ratio of geometric means, active over control as recorded.",
        spanners={"posterior": ["median", "90% ETI", "P(.80 to 1.25)"],
                  "frequentist": ["estimate", "90% CI"]},
    )  # fmt: skip


def _share_table(outcome: PatientOutcome, frame: pd.DataFrame, name: str) -> Table:
    """Return shares with one line a category and the arms beside each other."""
    lines: dict[tuple[str, int], dict[str, str]] = {}
    for row in frame.to_dict("records"):
        result, category = f"{row['model']}, {row['prior']} prior", row["category"]
        arm = outcome.arms[row["arm"]]
        share = around(row["share_mean"], row["share_low"], row["share_high"], 3)
        lines.setdefault((result, category), {"result": result, "category": str(category)}).update(
            {f"{arm}: share (95% ETI)": share, f"{arm}: seen": str(row["seen"])}
        )
    return Table(
        f"{name}-shares", frame, lines=lines.values(),
        caption="Share of each category by arm: posterior, and the numbers seen in all periods.",
        group="result", stub="category",
    )  # fmt: skip
