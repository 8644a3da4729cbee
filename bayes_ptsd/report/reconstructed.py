"""Models of reconstructed patients: what print identifies, and what it leaves open."""

from __future__ import annotations

from html import escape

import numpy as np
import pandas as pd
import xarray as xr

from bayes_ptsd.plots.reconstructed import reconstruction_figure
from bayes_ptsd.plots.style import figure_svg
from bayes_ptsd.reconstructed.results import pooled_entries, pooled_results
from bayes_ptsd.reconstructed.sets import is_shipped
from bayes_ptsd.reconstruction.release import OTHER_PRIORS, load_release
from bayes_ptsd.report.contents import Contents
from bayes_ptsd.report.markup import (
    Section,
    bullets,
    details,
    figure_html,
    gallery,
    join,
    number,
    paragraph,
)
from bayes_ptsd.report.nuisance import nuisance_frame, nuisance_table
from bayes_ptsd.report.reconstructed_periods import beyond_print, period_frame, period_table
from bayes_ptsd.report.reconstructed_predictive import predictive_frame, predictive_table
from bayes_ptsd.report.reconstructed_tables import (
    by_model,
    check_lines,
    estimand_frame,
    estimand_table,
    reading_table,
    readings_frame,
    sampled_frame,
    sampled_table,
    sets_frame,
    two_column_table,
)

__all__ = ["reconstructed_section"]

WHAT = (
    "The patients of the trial are not public. A reconstruction is a table of as many made-up "
    "patients whose whole scores print every published result at once, verified with an "
    "independent library; many such tables exist. A model is fitted to each of {sets} sets alone "
    "and the posteriors are mixed with equal weight: sets are never stacked, so more sets are not "
    "more patients. What all sets share is known from print. What differs between them is not, "
    "and comes from stated priors and from how the sets are searched for: the share of the "
    "posterior variance between sets says how far they disagree, no more. Nothing "
    "here is a finding about the trial's own patients."
)
PRIORS = (
    "The treatment prior is the models' own, reference, nearly flat, and where an exact engine "
    "makes it cheap skeptical as well. A fit that fails a required check stays in the pool, "
    "because leaving sets out by how hard they are to sample would select them by what was not "
    "printed; how many passed stands beside each result."
)


def reconstructed_section(contents: Contents) -> Section | None:
    """Return the models of reconstructed patients that the store holds; None where there is none.

    Nothing is computed; both readings stand side by side.
    """
    entries = by_model(pooled_entries(contents.store, **_chosen(contents)))
    if not entries:
        return None
    files = [
        entry
        for nuisance in OTHER_PRIORS
        for entry in pooled_entries(contents.store, nuisance=nuisance, **_chosen(contents))
    ]
    sampled = by_model(pooled_results(contents.store, engine="nuts", **_chosen(contents)))
    kind = str(entries[0]["evidence_kind"])
    tables = {"reconstructed-readings": readings_frame([*entries, *files])}
    periods = period_frame(entries)
    tables |= {} if periods.empty else {"reconstructed-periods": periods}
    figures, parts = _figures(contents, sampled)
    html = join(
        paragraph(WHAT.format(sets=max(int(entry["reconstructions"]) for entry in entries))),
        two_column_table(contents, entries, kind, files=files),
        period_table(contents, entries, kind),
        beyond_print(contents, entries),
        gallery(parts),
        _paradox(contents),
        reading_table(contents, entries, kind),
        paragraph(PRIORS),
    )
    if sampled:
        html, more = join(html, _sampled(contents, sampled, kind)), _sampled_frames(sampled)
        tables |= more
    if is_shipped(contents.evidence):
        sets = max(int(entry["reconstructions"]) for entry in entries)
        left_open = nuisance_frame(load_release(m=sets))
        title = "What print leaves open: priors and accepted values"
        html = join(html, details(title, nuisance_table(left_open, kind)))
        tables["reconstructed-nuisance"] = left_open
    return Section("reconstructed", "Reconstructed patients", html, tables, figures)


def _chosen(contents: Contents) -> dict[str, str]:
    """Return which pooled results belong to the page: of its evidence and its first outcome."""
    return {
        "printed": contents.evidence.digest,
        "endpoint": next(iter(contents.trial.endpoints)),
    }


def _sampled(contents: Contents, sampled: list[xr.DataTree], kind: str) -> str:
    """Return the sampled models: variance parts, checks, other estimands, predictions."""
    said = [
        escape(
            f"{fit.attrs['model']}, {str(fit.attrs['crossover_reading']).replace('_', ' ')}: "
            f"{'; '.join(check_lines(fit))}"
        )
        for fit in sampled
    ]
    return join(
        sampled_table(contents, sampled, kind),
        details("Checks that failed or warned, by model", bullets(said)),
        details("Other estimands", estimand_table(contents, sampled, kind)),
        details("What each model predicts of its sets", predictive_table(sampled, kind)),
    )


def _sampled_frames(sampled: list[xr.DataTree]) -> dict[str, pd.DataFrame]:
    """Return the numbers behind the sampled models."""
    return {
        "reconstructed-sampled": sampled_frame(sampled),
        "reconstructed-estimands": estimand_frame(sampled),
        "reconstructed-sets": sets_frame(sampled),
        "reconstructed-predictive": predictive_frame(sampled),
    }


def _figures(contents: Contents, sampled: list[xr.DataTree]) -> tuple[dict[str, str], list[str]]:
    """Draw every set under both readings of the crossover: models sampled, else exact."""
    figures, parts = {}, []
    for reading in ("as_published", "unhalved"):
        fits = [fit for fit in sampled if fit.attrs["crossover_reading"] == reading]
        known = {fit.attrs["model"] for fit in fits}
        exact = pooled_results(
            contents.store, engine="exact", crossover_reading=reading, flow_reading="paper",
            prior="reference", **_chosen(contents),
        )  # fmt: skip
        fits = by_model([*fits, *(one for one in exact if one.attrs["model"] not in known)])
        if not fits:
            continue
        name = f"reconstructed-{reading.replace('_', '-')}"
        figures[name] = figure_svg(reconstruction_figure(fits))
        alt = (
            f"Mean and 95% interval of the treatment difference in each reconstructed set of "
            f"patients and pooled, {reading.replace('_', ' ')}, one row a model; the numbers are "
            "in the CSV files."
        )
        parts.append(figure_html(figures[name], alt=alt, name=name))
    return figures, parts


def _paradox(contents: Contents) -> str:
    """Say how much more variable the second period has to be under each reading."""
    said = []
    for fit in pooled_results(
        contents.store, engine="exact", model="crossover-completers", flow_reading="paper",
        prior="reference", **_chosen(contents),
    ):  # fmt: skip
        sd = fit["periods"].to_dataset()["sd"].sel(patients="completers")
        ratio = (sd.sel(period=2) / sd.sel(period=1)).values
        reading = str(fit.attrs["crossover_reading"]).replace("_", " ")
        said.append(
            f"{number(float(np.median(ratio)), 1)} times ({number(ratio.min(), 1)} to "
            f"{number(ratio.max(), 1)}) under {reading}"
        )
    if not said:
        return ""
    return paragraph(
        "The precision paradox in the sets: among patients rated twice, the standard deviation of "
        f"period 2 within a sequence is that of period 1 times, median and range over sets: "
        f"{'; '.join(said)}. A model with one standard deviation for both periods does not "
        "describe sets that need two; crossover-bivariate does, and weighs period 2 less."
    )
