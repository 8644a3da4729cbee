"""Every analysis of the printed evidence: which contrasts, under which readings and models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import xarray as xr

from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.published import select_contrast
from bayes_ptsd.prior_family import PRIOR_FAMILY
from bayes_ptsd.priors import Prior
from bayes_ptsd.spec import ModelSpec, load_model

__all__ = ["READINGS", "Analysis", "analyses", "contrast_names", "model_of"]

READINGS = ("as_published", "unhalved")
"""The two scales on which every crossover claim in score units is reported."""

Analysis = tuple[Evidence, ModelSpec]


def contrast_names(evidence: Evidence, *, endpoint: str | None = None) -> list[str]:
    """Return the ids of the printed treatment contrasts, in the order of the evidence.

    Parameters
    ----------
    evidence : Evidence
        Of kind ``published``.
    endpoint : str, optional
        Keep the contrasts of this endpoint only.

    Returns
    -------
    list of str
        Ids; coefficients of covariates are left out.

    Raises
    ------
    SpecError
        If the trial has no such endpoint.

    Examples
    --------
    >>> from bayes_ptsd.evidence.published import load_published
    >>> contrast_names(load_published(), endpoint="caps")
    ['TX.CAPS.X']
    """
    effects = evidence.data["effects"].to_dataset()
    keep = effects["term"] == "treatment"
    if endpoint is not None:
        keep = keep & (effects["endpoint"] == evidence.trial.endpoint(endpoint).id)
    return [str(name) for name in effects["contrast"].values[keep.values]]


def model_of(row: Evidence, *, convention: str, prior: str | Prior) -> ModelSpec:
    """Return the shipped model that a selected row is analyzed with.

    Parameters
    ----------
    row : Evidence
        One selected contrast.
    convention : {"N", "T"}
        Likelihood convention.
    prior : str or Prior
        Name in the prior family, or a prior in score units.

    Returns
    -------
    ModelSpec
        ``published-crossover``, ``published-crossover-unhalved``, ``published-first-period`` or,
        for the other analyses, ``published``.

    Examples
    --------
    >>> from bayes_ptsd.evidence.published import load_published
    >>> row = select_contrast(load_published(), "T2.IESR.F")
    >>> model_of(row, convention="T", prior="flat").name
    'published-first-period'
    """
    analysis = str(row.data["effects"]["analysis"].item())
    reading = row.assumptions["crossover_reading"]
    names = {
        ("crossover", "as_published"): "published-crossover",
        ("crossover", "unhalved"): "published-crossover-unhalved",
        ("first_period", "as_published"): "published-first-period",
    }
    spec = load_model(names.get((analysis, reading), "published"))
    options = {"convention": convention}
    if analysis == "crossover":
        options["crossover_reading"] = reading
    return spec.having(options=options, priors={"treatment": prior})


def analyses(
    evidence: Evidence,
    *,
    contrasts: Sequence[str] | None = None,
    conventions: Sequence[str] = ("T",),
    priors: Sequence[str | Prior] = tuple(PRIOR_FAMILY),
    readings: Sequence[str] = READINGS,
) -> Iterator[Analysis]:
    """Yield every analysis of the printed evidence: a selected row and the model for it.

    Parameters
    ----------
    evidence : Evidence
        Of kind ``published``.
    contrasts : sequence of str, optional
        Ids; all treatment contrasts by default.
    conventions, priors, readings : sequence
        What to cross them with; priors are names of the family or values. Readings apply to
        crossover rows, other rows have one.

    Yields
    ------
    tuple of Evidence and ModelSpec
        One selected contrast under one reading, and its specification.

    Examples
    --------
    >>> from bayes_ptsd.evidence.published import load_published
    >>> len(list(analyses(load_published(), contrasts=["T2.IESR.X", "T2.IESR.F"])))
    18
    """
    for name in contrast_names(evidence) if contrasts is None else contrasts:
        for reading in readings:
            crossover = str(_row_of(evidence, name)["analysis"].item()) == "crossover"
            if not crossover and reading != "as_published":
                continue
            row = select_contrast(evidence, name, crossover_reading=reading)
            for convention, prior in product(conventions, priors):
                yield row, model_of(row, convention=convention, prior=prior)


def _row_of(evidence: Evidence, name: str) -> xr.Dataset:
    """Return one printed row, or refuse an unknown id by the loader's own message."""
    return select_contrast(evidence, name).data["effects"].to_dataset()
