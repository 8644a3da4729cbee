"""The checks of patients' results on the page: thresholds, predictive figures, power-scaling."""

from __future__ import annotations

import json
import re
from html import escape

import numpy as np
import pandas as pd
import xarray as xr

from bayes_ptsd.plots import figure_svg, predictive_figure
from bayes_ptsd.report.markup import (
    ABSENT,
    Section,
    bullets,
    details,
    figure_html,
    gallery,
    join,
    number,
    paragraph,
)
from bayes_ptsd.report.patient_contents import PatientOutcome
from bayes_ptsd.report.table import table_html

__all__ = ["check_section"]


def check_section(outcome: PatientOutcome, name: str) -> Section:
    """Return checks with thresholds, predictive figures, power-scaling and warnings; CSV of all."""
    frame = pd.concat([_check_frame(fit) for fit in outcome.fits], ignore_index=True)
    failed = frame[~frame["passed"]]
    said = _warnings(outcome)
    figures, parts = {}, []
    for model in outcome.models:
        fit = outcome.of_model(model)[0]
        if "predictive_summary" in fit.children:
            key = f"{name}-predictive-{model}"
            figures[key] = figure_svg(predictive_figure(fit))
            features = (
                "numbers of patients in each category"
                if "categories" in fit.children
                else "means, standard deviations and correlations"
            )
            alt = (
                f"Observed {features} over the range of replicated trials, {model}; all figures in "
                "the table of checks."
            )
            parts.append(figure_html(figures[key], alt=alt, name=key))
    summary = (
        f"{len(frame) - len(failed)} of {len(frame)} checks passed, {_required(frame)}. Required "
        "checks mark a result as failed; the others warn, and some figures are only shown."
    )
    table = table_html(
        pd.DataFrame(_check_lines(frame)),
        caption="Every check with its figure and threshold.",
        kind=outcome.kind, name=f"{name}-checks", group="result", stub="check", left=["meaning"],
    )  # fmt: skip
    html = join(
        paragraph(summary),
        "" if not said else join("<h3>What to know</h3>", bullets(said)),
        gallery(parts) if parts else "",
        _sensitivity(outcome, name),
        _prior_scores(outcome, name),
        details("All checks", table),
    )
    title = f"{outcome.constants['label']}: checks"
    return Section(f"{name}-checks", title, html, {f"{name}-checks": frame}, figures)


def _required(frame: pd.DataFrame) -> str:
    """Say of how many results every required check passed."""
    passed = (frame["passed"] | ~frame["required"].astype(bool)).groupby(frame["result_id"]).all()
    return f"all required ones in {int(passed.sum())} of {len(passed)} results"


def _warnings(outcome: PatientOutcome) -> list[str]:
    """Return what to know, once where results under several priors say the same in other digits."""
    found: dict[tuple[str, str], tuple[str, list[str]]] = {}
    for fit in outcome.fits:
        for note in json.loads(fit.attrs["warnings"]):
            key = (str(fit.attrs["model"]), re.sub(r"[\d.e-]+", "", note))
            found.setdefault(key, (note, []))[1].append(str(fit.attrs["prior"]))
    return [
        escape(f"{model} ({', '.join(dict.fromkeys(priors))}): {note}")
        for (model, _), (note, priors) in found.items()
    ]


def _check_frame(fit: xr.DataTree) -> pd.DataFrame:
    """Return the checks of one result as numbers."""
    frame = fit["checks"].to_dataset().to_dataframe().reset_index()
    return frame.assign(
        model=fit.attrs["model"], prior=fit.attrs["prior"], result_id=fit.attrs["result_id"],
        evidence_kind=fit.attrs["evidence_kind"], passed=frame["passed"].astype(bool),
    )  # fmt: skip


def _check_lines(frame: pd.DataFrame) -> list[dict[str, str]]:
    """Return checks as texts."""
    return [
        {
            "result": f"{row['model']}, {row['prior']} prior",
            "check": str(row["check"]).replace("_", " "),
            "figure": f"{row['figure']:.4g}" if np.isfinite(row["figure"]) else ABSENT,
            "threshold": f"{row['threshold']:.4g}" if np.isfinite(row["threshold"]) else ABSENT,
            "passed": "yes" if row["passed"] else "no",
            "role": str(row["role"]),
            "meaning": str(row.get("meaning", "")),
        }
        for row in frame.to_dict("records")
    ]


def _sensitivity(outcome: PatientOutcome, name: str) -> str:
    """Return how the answer moves when a kind of prior, or the data, are made stronger."""
    lines = []
    for fit in outcome.fits:
        checks = fit["checks"].to_dataset()
        for check in checks["check"].values:
            if str(check).startswith("power_scaling_"):
                one = checks.sel(check=check)
                lines.append(
                    {"model, prior": f"{fit.attrs['model']}, {fit.attrs['prior']}",
                     "made stronger": str(check).removeprefix("power_scaling_"),
                     "sensitivity": number(float(one["figure"]), 3),
                     "what it says": "" if check == "power_scaling_likelihood" and one["passed"]
                     else str(one["meaning"].item())}
                )  # fmt: skip
    if not lines:
        return ""
    return table_html(
        pd.DataFrame(lines),
        caption="Power-scaling: what moves the treatment difference, in its own unit.",
        kind=outcome.kind, name=f"{name}-checks", left=["made stronger", "what it says"],
        notes=[
            "0.05 and more is a sensitive answer. The treatment prior is meant to inform, nuisance "
            "priors (levels, slopes, spreads) are not; the prior of each parameter alone is in the "
            "stored result. Positive = active treatment better.",
        ],
    )  # fmt: skip


def _prior_scores(outcome: PatientOutcome, name: str) -> str:
    """Return what the priors alone make of scores: shown, and no check."""
    lines = []
    for fit in outcome.fits:
        if "prior_scores" not in fit.children:
            continue
        frame = fit["prior_scores"].to_dataset().expand_dims("row").to_dataframe().reset_index()
        lines += [
            {"model, prior": f"{fit.attrs['model']}, {fit.attrs['prior']}",
             "endpoint": str(row.get("endpoint", fit.attrs["endpoint"])),
             "95% of scores": f"{number(row['low'], 1)} to {number(row['high'], 1)}",
             "share inside the range": number(row["inside"], 3)
             if np.isfinite(row["inside"]) else ABSENT}
            for row in frame.to_dict("records")
        ]  # fmt: skip
    if not lines:
        return ""
    return table_html(
        pd.DataFrame(lines),
        caption="Scores under the priors alone, before any score was seen.",
        kind=outcome.kind, name=f"{name}-checks", left=["endpoint"],
        notes=[
            "Shown, and never a check: priors of levels are so wide that they cannot move the "
            "difference, and therefore reach beyond the scale.",
        ],
    )  # fmt: skip
