"""One printed contrast, the estimate of a row with its interval.

Two conventions, `delta` the treatment difference, benefit-positive in score units::

    N:  estimate ~ Normal(delta, s),          s = (high - low) / (2 * 1.96)
    T:  center of the interval ~ delta + se t(df),   se = (high - low) / (2 t_df)
    delta ~ treatment prior

Under T a flat prior returns the printed interval exactly; N is what a normal approximation of the
same row says. Nothing but `delta` is unknown, so its prior is the only belief: whoever reads the
result under several of the family sees what each of them adds to the printed numbers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import xarray as xr

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.measured_rows import printed_words
from bayes_ptsd.evidence.published import (
    contrast_names,
    load_published,
    select_contrast,
    sole_contrast,
)
from bayes_ptsd.exact.printed import (
    accepted_row,
    describe_row,
    draw_printed,
    fit_exact,
    needs_sd,
    row_prior,
)
from bayes_ptsd.exact.summary import likelihood_of
from bayes_ptsd.frequentist.documents import COLUMNS, finite
from bayes_ptsd.prior_family import ess_patients
from bayes_ptsd.priors import Prior
from bayes_ptsd.specification import (
    Groups,
    ModelSpec,
    Problem,
    Request,
    Structure,
)

if TYPE_CHECKING:
    import pymc as pm

__all__ = ["SUMMARY", "PrintedModel", "pymc_model"]


@dataclass(frozen=True)
class PrintedModel:
    """One printed contrast and the prior of its treatment difference, in score units."""

    evidence: Evidence
    spec: ModelSpec
    row: xr.Dataset
    prior: Prior


def _select(spec: ModelSpec, request: Request) -> Evidence:
    """Return the printed row that is asked for, read as the model reads it."""
    evidence = load_published(request.folder)
    name = sole_contrast(evidence) if request.contrast is None else request.contrast
    reading = str(spec.options["crossover_reading"])
    return select_contrast(evidence, name, crossover_reading=reading)


def _applied(spec: ModelSpec, row: Evidence) -> tuple[ModelSpec, str]:
    """Return a specification under flat where its own prior needs an SD that the endpoint lacks."""
    endpoint = row.trial.endpoint(str(row.data["effects"]["endpoint"].item()))
    if not needs_sd(spec.priors["treatment"], endpoint):
        return spec, ""
    return spec.under("flat"), (
        f"endpoint '{endpoint.id}' has no 'reference_sd' in {row.trial.source}, of which the prior "
        f"'{spec.priors['treatment']}' is a multiple: fitted under 'flat' instead; --prior "
        "cochrane needs none either"
    )


def _problem(evidence: Evidence, spec: ModelSpec) -> Problem:
    """Bring the row and the specification together."""
    row, prior = accepted_row(evidence, spec), row_prior(spec, evidence)
    return Problem(
        model=PrintedModel(evidence, spec, row, prior),
        endpoint=evidence.trial.endpoint(str(row["endpoint"].item())),
        attrs=describe_row(row, spec, prior),
        notes=(),
        compiled=json.dumps(["summary", spec.options["convention"], prior.table()], sort_keys=True),
    )


def pymc_model(printed: PrintedModel) -> pm.Model:
    """Build the PyMC model of one printed contrast, from the likelihood of its convention."""
    import pymc as pm

    from bayes_ptsd.pymc_priors import prior_variable

    likelihood = likelihood_of(printed.row, printed.spec.options["convention"])
    df = likelihood.params.get("nu", math.inf)
    with pm.Model() as model:
        center = pm.Data("estimate_printed", likelihood.params["mu"])
        se = pm.Data("se", likelihood.params["sigma"])
        difference = prior_variable("treatment_difference", printed.prior)
        if math.isinf(df):
            pm.Normal("estimate", mu=difference, sigma=se, observed=center)
        else:
            degrees = pm.Data("df", df)
            pm.StudentT("estimate", nu=degrees, mu=difference, sigma=se, observed=center)
    return model


def _groups(_: PrintedModel, groups: Groups, seed: int, built: pm.Model | None) -> Groups:
    """Return predictive, likelihood and prior groups of a sampled fit."""
    if built is None:
        return {}
    from bayes_ptsd.sampler import derived_groups

    return derived_groups(built, groups, seed=seed)


def _counterpart(model: PrintedModel) -> dict[str, Any]:
    """Return the contrast as printed, benefit-positive in score units, its limits as read."""
    row = model.row
    printed: Mapping[str, Any] = {key: finite(row[key].item()) for key in COLUMNS}
    limits = [finite(row[key].item()) for key in ("interval_low", "interval_high")]
    place = row["cell"].item() or f"row {row['contrast'].item()}"
    if printed_words(row):
        place = f"{place}, from {row['se_source'].item()}"
    return {"method": f"as printed: {place}", **printed, "ci95": limits}


def _prior_lines(model: PrintedModel) -> tuple[dict[str, str], bool]:
    """Return the prior in score units, and whether it is proper."""
    prior, fit = model.prior, fit_exact(model.evidence, model.spec)
    lines = {"prior": f"treatment: {prior.name}, {prior.formula} for {fit.attrs['contrast']}"}
    if prior.proper:
        replicated = fit["prior_predictive"]["estimate"].quantile([0.025, 0.975]).values
        low, high = prior.interval()
        lines["prior interval"] = f"95% from {low:.2f} to {high:.2f} score units"
        lines["prior predictive"] = (
            f"95% of estimates from {replicated[0]:.2f} to {replicated[1]:.2f}"
        )
    endpoint = model.evidence.trial.endpoint(fit.attrs["endpoint"])
    if prior.dist in ("normal", "student_t", "mixture") and endpoint.reference_sd:
        worth = ess_patients(prior, sd=endpoint.reference_sd)
        lines["prior worth"] = f"{worth:.1f} patients of a 1:1 parallel trial (ELIR)"
    return lines, prior.proper


def _example(spec: ModelSpec) -> Evidence:
    """Return the first printed contrast that a model accepts."""
    evidence = load_published()
    for name in contrast_names(evidence):
        try:
            row = select_contrast(
                evidence, name, crossover_reading=spec.options["crossover_reading"]
            )
            accepted_row(row, spec)
        except EvidenceError:
            continue
        return row
    raise EvidenceError(f"model '{spec.name}' accepts no contrast of the shipped evidence")


SUMMARY = Structure(
    name="summary",
    options={
        "analysis": ("any", "crossover", "first_period"),
        "convention": ("N", "T"),
        "crossover_reading": (
            "as_published", "carryover_covariate", "unhalved", "change", "change_unhalved"
        ),
    },
    priors=("treatment",),
    equation="estimate | delta ~ delta + se * t(df)  (T)  or  Normal(delta, s)  (N);  "
    "delta ~ treatment prior",
    room="bayes_ptsd/structures/summary.py",
    uses=lambda _: ("treatment",),
    conflict=lambda _: "",
    reads="rows",
    select=_select,
    applied=_applied,
    problem=_problem,
    pymc_model=pymc_model,
    exact=lambda model, seed: fit_exact(model.evidence, model.spec, seed=seed),
    groups=_groups,
    checks=lambda *_: {},
    redrawn=draw_printed,
    counterpart=_counterpart,
    prior_lines=_prior_lines,
    example=_example,
)  # fmt: skip
