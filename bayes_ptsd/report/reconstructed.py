"""Models of reconstructed patients: what print identifies, and what it leaves open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.evidence.intervals import center, p_value
from bayes_ptsd.plots.reconstructed import reconstruction_figure
from bayes_ptsd.plots.style import figure_svg
from bayes_ptsd.reconstructed.results import pooled_entries, pooled_results
from bayes_ptsd.reconstructed.sets import is_shipped
from bayes_ptsd.reconstruction.release import OTHER_PRIORS, load_release
from bayes_ptsd.report.contents import Contents
from bayes_ptsd.report.markup import bullets, number, paragraph, plain, probability
from bayes_ptsd.report.reconstructed_tables import (
    DIFFERENCE,
    by_model,
    check_lines,
    estimands,
    nuisances,
    periods,
    predictions,
    readings,
    readings_frame,
    sampled_models,
    sets_frame,
    two_columns,
)
from bayes_ptsd.report.section import Figure, Part, Section, Table, details, gallery

__all__ = ["beyond_print", "reconstructed_section"]

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
SURER = (
    "The model crossover has a P(benefit) of {benefit}, more than the printed analyses give each "
    "(one-sided, t: {words}). It is sure because of what is assumed: in the sets those who left in "
    "remission are among the best of the first period, which nothing printed says; the model has "
    "one treatment difference where those of the two periods are as far apart as above; and it has "
    "one standard deviation for two periods that need not be alike."
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
    frame = readings_frame([*entries, *files])
    sets = max(int(entry["reconstructions"]) for entry in entries)
    parts: list[Part] = [
        paragraph(WHAT.format(sets=sets)),
        two_columns(contents, entries, files, frame),
        periods(contents, entries),
        beyond_print(contents, entries),
        gallery(_figures(contents, sampled)),
        _paradox(contents),
        readings(contents, entries, frame),
        paragraph(PRIORS),
        *(_sampled(contents, sampled) if sampled else []),
    ]
    if is_shipped(contents.evidence):
        title = "What print leaves open: priors and accepted values"
        parts.append(details(title, nuisances(load_release(m=sets))))
    return Section("reconstructed", "Reconstructed patients", parts)


def _chosen(contents: Contents) -> dict[str, str]:
    """Return which pooled results belong to the page: of its evidence and its first outcome."""
    return {
        "printed": contents.evidence.digest,
        "endpoint": next(iter(contents.trial.endpoints)),
    }


def _sampled(contents: Contents, sampled: list[xr.DataTree]) -> list[Part]:
    """Return the sampled models: variance parts, checks, other estimands, predictions."""
    said = [
        escape(
            f"{fit.attrs['model']}, {plain(fit.attrs['crossover_reading'])}: "
            f"{'; '.join(check_lines(fit))}"
        )
        for fit in sampled
    ]
    return [
        sampled_models(contents, sampled),
        details("Checks that failed or warned, by model", bullets(said)),
        details("Other estimands", estimands(contents, sampled)),
        details("What each model predicts of its sets", predictions(sampled)),
        Table("reconstructed-sets", sets_frame(sampled)),
    ]


def _figures(contents: Contents, sampled: list[xr.DataTree]) -> Iterator[Figure]:
    """Yield every set under both readings of the crossover: models sampled, else exact."""
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
        alt = (
            f"Mean and 95% interval of the treatment difference in each reconstructed set of "
            f"patients and pooled, {plain(reading)}, one row a model; the numbers are "
            "in the CSV files."
        )
        svg = figure_svg(reconstruction_figure(fits))
        yield Figure(f"reconstructed-{reading.replace('_', '-')}", svg, alt)


def _paradox(contents: Contents) -> str:
    """Say how much more variable the second period has to be under each reading."""
    said = []
    for fit in pooled_results(
        contents.store, engine="exact", model="crossover-completers", flow_reading="paper",
        prior="reference", **_chosen(contents),
    ):  # fmt: skip
        sd = fit["periods"].to_dataset()["sd"].sel(patients="completers")
        ratio = (sd.sel(period=2) / sd.sel(period=1)).values
        said.append(
            f"{number(float(np.median(ratio)), 1)} times ({number(ratio.min(), 1)} to "
            f"{number(ratio.max(), 1)}) under {plain(fit.attrs['crossover_reading'])}"
        )
    if not said:
        return ""
    return paragraph(
        "The precision paradox in the sets: among patients rated twice, the standard deviation of "
        f"period 2 within a sequence is that of period 1 times, median and range over sets: "
        f"{'; '.join(said)}. A model with one standard deviation for both periods does not "
        "describe sets that need two; crossover-bivariate does, and weighs period 2 less."
    )


def beyond_print(contents: Contents, entries: Sequence[Mapping[str, Any]]) -> str:
    """Say why all patients together look surer than either printed analysis, where they do."""
    key = {"model": "crossover", "prior": "reference", "crossover_reading": "as_published",
           "flow_reading": "paper"}  # fmt: skip
    found = [one for one in entries if all(one[name] == value for name, value in key.items())]
    names = dict.fromkeys(name for name, _ in contents.primary)
    printed = [contents.rows[name] for name in names]
    alone = [
        1 - float(p_value(center(row["interval_low"], row["interval_high"]), row["se"],
                          df=row["df"])) / 2
        for row in printed
    ]  # fmt: skip
    benefit = found[0]["summary"][DIFFERENCE]["prob_benefit"] if found else 0.0
    if len(alone) < 2 or benefit <= max(alone):
        return ""
    words = ", ".join(f"{probability(p)} of {name}" for name, p in zip(names, alone, strict=True))
    return paragraph(SURER.format(benefit=probability(benefit), words=words))
