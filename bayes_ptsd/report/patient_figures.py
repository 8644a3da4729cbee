"""Figures of patients' results on the page: prior to posterior, margins, visits, categories."""

from __future__ import annotations

import json

import numpy as np
import xarray as xr

from bayes_ptsd.plots import (
    benefit_figure,
    categories_figure,
    drawn_estimand,
    figure_svg,
    patient_update_figure,
    trajectory_figure,
    visit_forest_figure,
)
from bayes_ptsd.report.markup import Section, figure_html, gallery, join, number, paragraph
from bayes_ptsd.report.patient_contents import PatientOutcome

__all__ = ["arm_section", "figure_section"]


def figure_section(outcome: PatientOutcome, name: str) -> Section:
    """Return prior to posterior and P(difference > m), one figure each a model.

    P(difference > m) stands only where the endpoint has a reference SD, which scales its axis.
    """
    figures, updates, curves = {}, [], []
    for model in outcome.models:
        fits = outcome.of_model(model)
        means = "; ".join(f"{fit.attrs['prior']} {_mean(outcome, fit)}" for fit in fits
                          if drawn_estimand(fit) in json.loads(fit.attrs["summary"]))  # fmt: skip
        if means:
            key = f"{name}-update-{model}"
            figures[key] = figure_svg(patient_update_figure(fits))
            alt = f"Prior, frequentist and posterior densities, {model}: posterior means {means}."
            updates.append(figure_html(figures[key], alt=alt, name=key))
        if outcome.constants["reference_sd"] is not None:
            key = f"{name}-curve-{model}"
            figures[key] = figure_svg(benefit_figure(fits))
            alt = (
                f"Probability that the treatment difference exceeds each margin, {model}, one "
                "falling curve per prior; values at 0 and at the MCID are in the table of "
                "estimates."
            )
            curves.append(figure_html(figures[key], alt=alt, name=key))
    text = (
        "Prior times likelihood gives the posterior; the broken line is what the frequentist "
        "analysis of the same estimand says alone."
    )
    if curves:
        text += (
            " The falling curves answer readers who hold another difference to be the smallest "
            "that matters."
        )
    html = join(paragraph(text), *(gallery(group) for group in (updates, curves) if group))
    title = f"{outcome.constants['label']}: from prior to posterior"
    return Section(f"{name}-figures", title, html, figures=figures)


def arm_section(outcome: PatientOutcome, name: str) -> Section | None:
    """Return each arm's course over visits or its shares of categories; None without either."""
    figures: dict[str, str] = {}
    parts: list[str] = []
    for fit in outcome.fits:
        mark = f"{fit.attrs['model']}-{fit.attrs['result_id'][:10]}"
        for what, svg, alt in _arm_figures(outcome, fit):
            key = f"{name}-{what}-{mark}"
            figures[key] = svg
            parts.append(figure_html(svg, alt=alt, name=key))
    if not parts:
        return None
    text = (
        "What the model says of each arm, drawn from summaries: intervals hold 95% of the "
        "posterior, and the observed means or shares stand beside them."
    )
    pairs = [gallery(parts[start : start + 2]) for start in range(0, len(parts), 2)]
    html = join(paragraph(text), *pairs)
    title = f"{outcome.constants['label']}: the arms"
    return Section(f"{name}-arms", title, html, figures=figures)


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
