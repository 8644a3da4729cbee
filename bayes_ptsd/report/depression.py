"""Adjusted for depression: the printed regression as a mediation, on reconstructed patients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_ptsd.models_files import load_model
from bayes_ptsd.plots.mediation import error_correlation_figure
from bayes_ptsd.plots.style import figure_svg
from bayes_ptsd.reconstructed.mediation import pool_depression
from bayes_ptsd.reconstructed.sets import is_shipped
from bayes_ptsd.reconstruction.release import load_release, release_digest
from bayes_ptsd.report.answers import Question, answered, on_sets
from bayes_ptsd.report.contents import Contents, PatientOutcome
from bayes_ptsd.report.markup import (
    bullets,
    interval_text,
    number,
    paragraph,
    plain,
    probability,
)
from bayes_ptsd.report.section import Figure, Line, Part, Section, Table, gallery

__all__ = ["depression_section", "mediation_section"]

MODEL = "depression-adjusted"
PRIORS, QUICK_PRIORS = ("reference", "skeptical"), ("reference",)
NAMES = {
    "treatment_difference": "total",
    "natural_direct_effect": "natural direct",
    "natural_indirect_effect": "natural indirect",
    "controlled_direct_effect": "controlled direct",
    "mediator_difference": "difference in the mediator",
}
CAVEATS = (
    "The mediator is a result of treatment and was not randomized. Direct and indirect effects are "
    "causal only if nothing unmeasured moves both scales; the total needs no such assumption.",
    "Both scales are rated at the same visit, so that neither comes first: this tells which part "
    "of one difference goes together with the other, and shows no chain of causes.",
    "What the figure varies, the correlation of the two scales' errors, is told by no data, "
    "printed or reconstructed.",
    "The baseline of the mediator is not printed: each reconstruction has its own, from stated "
    "priors, and the total, adjusted for it, is not the printed first-period difference.",
)


def depression_section(contents: Contents) -> Section | None:
    """Return direct, indirect and total effects of the reconstructed patients, with a figure.

    None where the printed numbers are not those that the shipped reconstructions print.
    """
    if not is_shipped(contents.evidence):
        return None
    trees = [_pooled(contents, prior) for prior in (QUICK_PRIORS if contents.quick else PRIORS)]
    frame = pd.concat([_frame(tree) for tree in trees], ignore_index=True)
    errors = pd.concat([_errors(tree, _origin(tree)) for tree in trees], ignore_index=True)
    label, other = (contents.trial.endpoint(trees[0].attrs[k]) for k in ("endpoint", "mediator"))
    mediation = [(tree["mediation"].to_dataset(), str(tree.attrs["prior"])) for tree in trees]
    svg = figure_svg(
        error_correlation_figure(
            mediation[0][0], label=label.label, mediator=other.label, unit=label.unit,
            active=contents.trial.active, kind=str(trees[0].attrs["evidence_kind"]),
        )
    )  # fmt: skip
    alt = (
        f"Natural direct and indirect effect over the correlation of the errors from -0.5 to 0.5, "
        f"{contents.sets} reconstructed sets of patients; the numbers are in the CSV file."
    )
    rests = str(trees[0].attrs["rests_on"])
    shares = [_share(*one) for one in mediation]
    parts: list[Part] = [
        paragraph(_text(contents, label.label, other.label)),
        _table(frame, other.label),
        Figure("depression-errors", svg, alt),
        Table("depression-errors", errors, link="The figure as CSV"),
        bullets([*shares, f"{rests[0].upper()}{rests[1:]}.", *CAVEATS]),
    ]
    return Section("depression", f"Adjusted for depression: {other.label}", parts)


def _pooled(contents: Contents, prior: str) -> xr.DataTree:
    """Return the pooled effects under one prior of both differences, stored or computed."""
    spec = load_model(MODEL).having(priors={"treatment": prior, "mediator_treatment": prior})
    outcome = next(iter(contents.trial.endpoints))

    def pool() -> xr.DataTree:
        made = pool_depression(
            load_release(m=contents.sets), spec, endpoint=outcome, seed=contents.seed
        )
        made.attrs["release_digest"] = release_digest(
            made.attrs["crossover_reading"], made.attrs["flow_reading"]
        )
        return xr.DataTree(children={"effects": made})

    asked = Question(
        f"{MODEL}-pooled",
        "total, direct and indirect effect, score units, positive = active better",
        prior,
        {"spec_id": spec.spec_id, "endpoint": outcome, **on_sets(contents)},
        pool,
        kind="reconstructed",
    )
    return answered(contents, asked).children["effects"]


def mediation_section(outcome: PatientOutcome, name: str) -> Section | None:
    """Return what correlated errors would make of each result with a mediator, or None without one.

    `name` is a prefix of anchors and file names, unique on the page.
    """
    fits = [fit for fit in outcome.fits if "mediation" in fit.children]
    if not fits:
        return None
    figures, frames, shares = [], [], []
    for fit in fits:
        table, prior = fit["mediation"].to_dataset(), str(fit.attrs["prior"])
        label, unit = (str(outcome.constants[word]) for word in ("label", "unit"))
        svg = figure_svg(
            error_correlation_figure(
                table, label=label, mediator=str(fit.attrs["mediator"]), unit=unit,
                active=str(fit.attrs["active"]), kind=outcome.kind,
            )
        )  # fmt: skip
        alt = f"Direct and indirect effect over the correlation of the errors, {prior}"
        file = f"{name}-errors-{fit.attrs['result_id'][:10]}"
        figures.append(Figure(file, svg, f"{alt}; in the CSV file."))
        known = ("model", "prior", "result_id", "evidence_kind")
        frames.append(_errors(fit, {key: fit.attrs[key] for key in known}))
        shares.append(_share(table, prior))
    parts: list[Part] = [
        gallery(figures),
        Table(f"{name}-errors", pd.concat(frames, ignore_index=True), link="The figures as CSV"),
        bullets([*shares, *CAVEATS[:3]]),
    ]
    title = f"{outcome.constants['label']}: unmeasured causes of both scales"
    return Section(f"{name}-errors", title, parts)


def _text(contents: Contents, outcome: str, mediator: str) -> str:
    """Return what was printed and what is done with it."""
    rows = contents.effects
    adjusted = rows.sel(contrast=rows["analysis"].values == "first_period_adjusted")
    adjusted = adjusted.sel(contrast=adjusted["term"].values == "treatment").isel(contrast=0)
    p = f"{float(adjusted['p_value']):.4f}".removeprefix("0").rstrip("0")
    return (
        f"The paper's regression of {outcome} on treatment and on {mediator} at the same visit has "
        f"a treatment coefficient of {float(adjusted['estimate']):g} (P = {p}). With a second "
        f"regression, of {mediator} on treatment, it splits the total difference into a part that "
        "goes together with the mediator (indirect) and one that does not (direct); the slope on "
        "the mediator may differ between the arms. Natural direct: every patient keeps the "
        "mediator of the control arm. Controlled direct: every patient has the mean mediator."
    )


def _frame(tree: xr.DataTree) -> pd.DataFrame:
    """Return the pooled effects as numbers with their provenance."""
    pooled = tree["pooled"].to_dataset()
    scalars = pooled[[str(name) for name, value in pooled.items() if value.ndim == 1]]
    frame = scalars.to_dataframe().reset_index()
    means = pooled["reconstruction_mean"]
    frame["lowest_mean"], frame["highest_mean"] = (
        values.sel(estimand=frame["estimand"].to_list()).values
        for values in (means.min("reconstruction"), means.max("reconstruction"))
    )
    return frame.assign(**_origin(tree))


def _errors(fit: xr.DataTree, known: Mapping[str, Any]) -> pd.DataFrame:
    """Return effects by the correlation of the errors as numbers with their provenance."""
    table = fit["mediation"].to_dataset()[["mean", "low", "high", "prob_benefit"]]
    return table.to_dataframe().reset_index().assign(**known)


def _origin(tree: xr.DataTree) -> dict[str, str | int]:
    """Return what decides the numbers: model, prior, reconstructions, seed."""
    named = (
        "model", "spec_id", "prior", "endpoint", "mediator", "timepoint", "crossover_reading",
        "flow_reading", "reconstructions", "seed", "evidence_kind",
    )  # fmt: skip
    return {
        **{key: tree.attrs[key] for key in named},
        "engine": "exact",
        "release_digest": tree.attrs["release_digest"],
    }


def _table(frame: pd.DataFrame, mediator: str) -> Table:
    """Return the pooled effects."""
    first = frame.iloc[0]

    def texts(line: Line) -> Line:
        return {
            "prior": f"{line['prior']} prior of both differences",
            "effect": NAMES[str(line["estimand"])].replace("the mediator", mediator),
            "mean": number(line["mean"]),
            "95% ETI": interval_text(line["low"], line["high"]),
            "P(> 0)": probability(line["prob_benefit"]),
            "P(> MCID)": probability(line["prob_gt_mcid"]),
            "sd within": number(line["within_sd"]),
            "sd between": number(line["between_sd"]),
        }

    return Table(
        "depression", frame, texts,
        caption=f"Direct, indirect and total effect at {first['timepoint']} after the first "
        f"treatment, {first['reconstructions']} reconstructed sets of patients pooled.",
        group="prior", stub="effect",
        notes=[
            f"Model '{MODEL}' ({first['spec_id'][:10]}), exact engine, reconstructions of reading "
            f"{plain(first['crossover_reading'])}. Within: of one posterior. Between: of the means "
            "of the reconstructions, what print leaves open.",
        ],
    )  # fmt: skip


def _share(mediation: xr.Dataset, prior: str) -> str:
    """Return the share mediated in words, or why there is none."""
    middle, low, high = (float(value) for value in mediation["share"].values)
    certain = probability(float(mediation["prob_total"]))
    at = float(mediation["vanishing"].values[0])
    vanishing = f"The indirect effect is zero at a correlation of the errors of {number(at, 2)}."
    if np.isnan(middle):
        return (
            f"Share mediated, {prior} prior: not given, because the total is positive with "
            f"probability {certain} and the share needs more than .99. {vanishing}"
        )
    return (
        f"Share mediated, {prior} prior: median {number(middle, 2)}, 95% interval "
        f"{interval_text(low, high, 1)}. An interval from below 0 to 1 does not tell the share. "
        f"{vanishing}"
    )
