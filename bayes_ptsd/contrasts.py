"""Every analysis of the printed evidence: which contrasts, under which readings and models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, partial
from itertools import product

import xarray as xr

from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.published import contrast_names, select_contrast
from bayes_ptsd.exact.printed import needs_sd
from bayes_ptsd.models_files import load_model
from bayes_ptsd.prior_family import PRIOR_FAMILY
from bayes_ptsd.priors import Prior
from bayes_ptsd.specification import ModelSpec
from bayes_ptsd.trial import Endpoint

__all__ = ["READINGS", "Analysis", "analyses", "left_out", "model_of"]

READINGS = ("as_published", "unhalved")
"""The two scales on which every crossover claim in score units is reported."""

Analysis = tuple[Evidence, ModelSpec]


def model_of(row: Evidence, *, convention: str, prior: str | Prior) -> ModelSpec:
    """Return the shipped model by which a selected printed row is analyzed: `published-...`."""
    analysis = str(row.data["effects"]["analysis"].item())
    reading = row.assumptions["crossover_reading"]
    names = {
        ("crossover", "as_published"): "published-crossover",
        ("crossover", "unhalved"): "published-crossover-unhalved",
        ("first_period", "as_published"): "published-first-period",
    }
    spec = _shipped(names.get((analysis, reading), "published"))
    options = {"convention": convention}
    if analysis == "crossover":
        options["crossover_reading"] = reading
    return spec.having(options=options, priors={"treatment": prior})


@cache
def _shipped(name: str) -> ModelSpec:
    """Return a shipped model, whose file does not change while a program runs."""
    return load_model(name)


def analyses(
    evidence: Evidence,
    *,
    contrasts: Sequence[str] | None = None,
    conventions: Sequence[str] = ("T",),
    priors: Sequence[str | Prior] = tuple(PRIOR_FAMILY),
    readings: Sequence[str] = READINGS,
) -> Iterator[Analysis]:
    """Yield every analysis of the printed evidence: a selected row and the model for it.

    Readings apply to crossover rows; other rows have one. Priors that are multiples of a reference
    SD are left out where the endpoint has none (`left_out` says so).
    """
    for name in contrast_names(evidence) if contrasts is None else contrasts:
        first = select_contrast(evidence, name)
        printed = first.data["effects"].to_dataset()
        crossover = str(printed["analysis"].item()) == "crossover"
        endpoint = evidence.trial.endpoint(str(printed["endpoint"].item()))
        kept = [prior for prior in priors if not needs_sd(prior, endpoint)]
        for reading in readings:
            if not crossover and reading != "as_published":
                continue
            row = first
            if reading != "as_published":
                row = select_contrast(evidence, name, crossover_reading=reading)
            for convention, prior in product(conventions, kept):
                yield row, model_of(row, convention=convention, prior=prior)


def left_out(evidence: Evidence, priors: Sequence[str | Prior] = tuple(PRIOR_FAMILY)) -> list[str]:
    """Say in a line an endpoint under which priors its rows are not analyzed, and what to add."""
    endpoints = {one.id: one for one in map(partial(_endpoint_of, evidence),
                                            contrast_names(evidence))}  # fmt: skip
    lines = []
    for endpoint in endpoints.values():
        names = [str(prior) for prior in priors if needs_sd(prior, endpoint)]
        if names:
            lines.append(
                f"endpoint '{endpoint.id}' has no 'reference_sd' in {evidence.trial.source}: left "
                f"out {', '.join(names)}, which are multiples of it"
            )
    return lines


def _endpoint_of(evidence: Evidence, name: str) -> Endpoint:
    """Return the endpoint of a printed row."""
    return evidence.trial.endpoint(str(_row_of(evidence, name)["endpoint"].item()))


def _row_of(evidence: Evidence, name: str) -> xr.Dataset:
    """Return one printed row, or refuse an unknown id by the loader's own message."""
    return select_contrast(evidence, name).data["effects"].to_dataset()
