"""Figures of patients' results on the page: posterior, margins, visits, categories, carryover."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import xarray as xr

from bayes_ptsd.plots import (
    benefit_figure,
    carryover_figure,
    categories_figure,
    drawn_estimand,
    figure_svg,
    patient_update_figure,
    trajectory_figure,
    visit_forest_figure,
)
from bayes_ptsd.report.contents import PatientOutcome
from bayes_ptsd.report.markup import number, paragraph
from bayes_ptsd.report.section import Figure, Section, Table, gallery
from bayes_ptsd.structures import structure_of_fit

__all__ = ["arm_section", "carryover_section", "figure_section"]

CARRYOVER_COMMAND = "bayes-ptsd carryover --trial TRIAL --data DATA"


def figure_section(outcome: PatientOutcome, name: str) -> Section:
    """Return prior to posterior and P(difference > m), one figure each a model.

    P(difference > m) stands only where the endpoint has a reference SD, which scales its axis.
    """
    updates, curves = [], []
    for model in outcome.models:
        fits = outcome.of_model(model)
        means = "; ".join(f"{fit.attrs['prior']} {_mean(outcome, fit)}" for fit in fits
                          if drawn_estimand(fit) in json.loads(fit.attrs["summary"]))  # fmt: skip
        if means:
            alt = f"Prior, frequentist and posterior densities, {model}: posterior means {means}."
            svg = figure_svg(patient_update_figure(fits))
            updates.append(Figure(f"{name}-update-{model}", svg, alt))
        if outcome.constants["reference_sd"] is not None:
            alt = (
                f"Probability that the treatment difference exceeds each margin, {model}, one "
                "falling curve per prior; values at 0 and at the MCID are in the table of "
                "estimates."
            )
            curves.append(Figure(f"{name}-curve-{model}", figure_svg(benefit_figure(fits)), alt))
    text = (
        "Prior times likelihood gives the posterior; the broken line is what the frequentist "
        "analysis of the same estimand says alone."
    )
    if curves:
        text += (
            " The falling curves answer readers who hold another difference to be the smallest "
            "that matters."
        )
    title = f"{outcome.constants['label']}: from prior to posterior"
    return Section(f"{name}-figures", title, [paragraph(text), gallery(updates), gallery(curves)])


def arm_section(outcome: PatientOutcome, name: str) -> Section | None:
    """Return each arm's course over visits or its shares of categories; None without either."""
    figures = [
        Figure(f"{name}-{what}-{fit.attrs['model']}-{fit.attrs['result_id'][:10]}", svg, alt)
        for fit in outcome.fits
        for what, svg, alt in _arm_figures(outcome, fit)
    ]
    if not figures:
        return None
    text = (
        "What the model says of each arm, drawn from summaries: intervals hold 95% of the "
        "posterior, and the observed means or shares stand beside them."
    )
    pairs = [gallery(figures[start : start + 2]) for start in range(0, len(figures), 2)]
    title = f"{outcome.constants['label']}: the arms"
    return Section(f"{name}-arms", title, [paragraph(text), *pairs])


def carryover_section(outcome: PatientOutcome, name: str) -> Section | None:
    """Return the sweep of carryover, or how to get it; None where nobody changed treatment."""
    if all(structure_of_fit(fit).reads != "periods" for fit in outcome.fits):
        return None
    swept = [fit for fit in outcome.fits if "carryover" in fit.children]
    title = f"{outcome.constants['label']}: carryover"
    if not swept:
        text = f"No result here has a carryover prior; '{CARRYOVER_COMMAND}' makes one."
        return Section(f"{name}-carryover", title, [paragraph(text)])
    figures, lines = [], []
    for fit in swept:
        study = fit["carryover"].to_dataset()
        ends = [number(float(study["mean"].isel(carryover_sd=i)), outcome.digits) for i in (0, -1)]
        alt = (
            f"Treatment difference and probability of benefit against the carryover prior, "
            f"{fit.attrs['prior']} prior: mean {ends[0]} without carryover, {ends[1]} with a flat "
            "carryover prior; all values in the CSV file."
        )
        file = f"{name}-carryover-{fit.attrs['result_id'][:10]}"
        figures.append(Figure(file, figure_svg(carryover_figure(fit)), alt))
        sweep = study[["mean", "sd", "prob_benefit"]].to_dataframe().reset_index()
        lines.append(sweep.assign(prior=fit.attrs["prior"], evidence_kind=outcome.kind))
    text = (
        "The prior of the carryover is swept from none, where the model is the crossover analysis, "
        "to flat, where it is the first-period analysis; no test chooses between them. Diamonds "
        "mark where P(benefit) falls to 0.95."
    )
    sweeps = Table(
        f"{name}-carryover", pd.concat(lines, ignore_index=True), link="The sweep as CSV"
    )
    return Section(f"{name}-carryover", title, [paragraph(text), gallery(figures), sweeps])


def _arm_figures(outcome: PatientOutcome, fit: xr.DataTree) -> list[tuple[str, str, str]]:
    """Return name, drawing and words of every figure about the arms of one result."""
    said = f"{fit.attrs['model']}, {fit.attrs['prior']} prior"
    found = []
    if "trajectory_summary" in fit.children:
        table = fit["trajectory_summary"].to_dataset()
        courses = f"Mean of each arm by visit, {said}: {_course(outcome, table, 'arm_mean')}."
        found.append(("courses", figure_svg(trajectory_figure(fit)), courses))
        if np.isfinite(float(table["baseline"])):
            words = f"Mean change from baseline by visit, {said}: "
            words += f"{_course(outcome, table, 'change')}."
            found.append(("changes", figure_svg(trajectory_figure(fit, change=True)), words))
        words = f"Treatment difference at each visit and on average, {said}; all values in the "
        words += "table of comparisons."
        found.append(("visits", figure_svg(visit_forest_figure(fit)), words))
    if "categories" in fit.children:
        words = f"Shares of the categories by arm and probability of each or a lower one, {said}; "
        words += "all values in the table of shares."
        found.append(("categories", figure_svg(categories_figure(fit)), words))
    return found


def _course(outcome: PatientOutcome, table: xr.Dataset, name: str) -> str:
    """Return the posterior means of each arm in words."""
    visits = [str(label) for label in table["visit"].values]
    return "; ".join(
        f"{arm} "
        + ", ".join(
            f"{visit} {number(float(value), outcome.digits)}"
            for visit, value in zip(visits, table[name].sel(treatment=arm).values, strict=True)
        )
        for arm in table["treatment"].values
    )


def _mean(outcome: PatientOutcome, fit: xr.DataTree) -> str:
    """Return the posterior mean of the comparison that is drawn."""
    return number(json.loads(fit.attrs["summary"])[drawn_estimand(fit)]["mean"], outcome.digits)
