"""The checks of patients' results on the page: thresholds, predictive figures, power-scaling."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import escape

import numpy as np
import pandas as pd
import xarray as xr

from bayes_ptsd.plots import drawn_estimand, figure_svg, predictive_figure
from bayes_ptsd.report.contents import PatientOutcome
from bayes_ptsd.report.markup import ABSENT, bullets, number, paragraph, plain
from bayes_ptsd.report.section import Figure, Part, Section, Table, details, gallery

__all__ = ["check_section"]


def check_section(outcome: PatientOutcome, name: str) -> Section:
    """Return checks with thresholds, predictive figures, power-scaling and warnings; CSV of all."""
    frame = pd.concat([_check_frame(fit) for fit in outcome.fits], ignore_index=True)
    figures = [one for model in outcome.models for one in _predictive(outcome, model, name)]
    said = _warnings(outcome)
    summary = (
        f"{frame['passed'].sum()} of {len(frame)} checks passed, {_required(frame)}. Required "
        "checks mark a result as failed; the others warn, and some figures are only shown."
    )
    every = Table(
        f"{name}-checks", frame,
        lambda line: {
            "result": f"{line['model']}, {line['prior']} prior",
            "check": plain(line["check"]),
            "figure": _short(line["figure"]),
            "threshold": _short(line["threshold"]),
            "passed": "yes" if line["passed"] else "no",
            "role": str(line["role"]),
            "meaning": str(line.get("meaning", "")),
        },
        caption="Every check with its figure and threshold.", group="result", stub="check",
        left=["meaning"],
    )  # fmt: skip
    known: list[Part] = ["<h3>What to know</h3>", bullets(said)] if said else []
    parts = [
        paragraph(summary),
        *known,
        gallery(figures),
        _sensitivity(frame, name),
        _prior_scores(outcome, frame, name),
        details("All checks", every),
    ]
    return Section(f"{name}-checks", f"{outcome.constants['label']}: checks", parts)


def _predictive(outcome: PatientOutcome, model: str, name: str) -> Iterator[Figure]:
    """Yield the predictive figure of a model that has one, and ranks where it was sampled."""
    fit = outcome.of_model(model)[0]
    if "predictive_summary" in fit.children:
        features = (
            "numbers of patients in each category"
            if "categories" in fit.children
            else "means, standard deviations and correlations"
        )
        alt = (
            f"Observed {features} over the range of replicated trials, {model}; all figures in "
            "the table of checks."
        )
        yield Figure(f"{name}-predictive-{model}", figure_svg(predictive_figure(fit)), alt)
    if fit["posterior"].sizes["chain"] > 1:
        # ArviZ takes a second to import, and only sampled fits have ranks
        from bayes_ptsd.plots.arviz_checks import rank_figure

        alt = (
            f"Density by chain and ranks of the draws, {drawn_estimand(fit)}, {model}, as ArviZ "
            "draws them: chains that mix have uniform ranks, inside the band."
        )
        svg = figure_svg(rank_figure(fit, [drawn_estimand(fit)]))
        yield Figure(f"{name}-ranks-{model}", svg, alt)


def _short(value: float) -> str:
    """Return a figure of a check, a dash where it has none."""
    return f"{value:.4g}" if np.isfinite(value) else ABSENT


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


def _sensitivity(frame: pd.DataFrame, name: str) -> Table:
    """Return how the answer moves when a kind of prior, or the data, are made stronger."""
    scaled = frame[frame["check"].str.startswith("power_scaling_")]
    return Table(
        f"{name}-checks", frame,
        lambda line: {
            "model, prior": f"{line['model']}, {line['prior']}",
            "made stronger": str(line["check"]).removeprefix("power_scaling_"),
            "sensitivity": number(line["figure"], 3),
            "what it says": "" if line["check"] == "power_scaling_likelihood" and line["passed"]
            else str(line["meaning"]),
        },
        lines=scaled.to_dict("records"),
        caption="Power-scaling: what moves the treatment difference, in its own unit.",
        left=["made stronger", "what it says"],
        notes=[
            "0.05 and more is a sensitive answer. The treatment prior is meant to inform, nuisance "
            "priors (levels, slopes, spreads) are not; the prior of each parameter alone is in the "
            "stored result. Positive = active treatment better.",
        ],
    )  # fmt: skip


def _prior_scores(outcome: PatientOutcome, frame: pd.DataFrame, name: str) -> Table:
    """Return what the priors alone make of scores: shown, and no check."""
    lines = []
    for fit in outcome.fits:
        if "prior_scores" in fit.children:
            scores = fit["prior_scores"].to_dataset().expand_dims("row").to_dataframe()
            lines += [
                {"model, prior": f"{fit.attrs['model']}, {fit.attrs['prior']}",
                 "endpoint": str(row.get("endpoint", fit.attrs["endpoint"])),
                 "95% of scores": f"{number(row['low'], 1)} to {number(row['high'], 1)}",
                 "share inside the range": number(row["inside"], 3)}
                for row in scores.reset_index().to_dict("records")
            ]  # fmt: skip
    return Table(
        f"{name}-checks", frame, lines=lines,
        caption="Scores under the priors alone, before any score was seen.", left=["endpoint"],
        notes=[
            "Shown, and never a check: priors of levels are so wide that they cannot move the "
            "difference, and therefore reach beyond the scale.",
        ],
    )  # fmt: skip
