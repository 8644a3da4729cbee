"""One comparison for both kinds of evidence: printed numbers and patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import xarray as xr

from bayes_ptsd.comparison.patients import PATIENT_MODELS, compare_patients
from bayes_ptsd.comparison.published import compare_published
from bayes_ptsd.errors import SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.outcome import select_outcome
from bayes_ptsd.prior_family import PRIOR_FAMILY
from bayes_ptsd.priors import Prior
from bayes_ptsd.provenance import DEFAULT_SEED
from bayes_ptsd.store import ResultStore

__all__ = ["compare"]


def compare(
    evidence: Evidence,
    *,
    endpoint: str | None = None,
    visit: str | None = None,
    convention: str | None = None,
    models: Sequence[str] | None = None,
    priors: Sequence[str | Prior] = tuple(PRIOR_FAMILY),
    store: ResultStore | None = None,
    seed: int = DEFAULT_SEED,
    reading_weights: Mapping[str, float] | None = None,
) -> xr.Dataset:
    """Put frequentist and Bayesian results side by side, with the reason for each gap.

    Parameters
    ----------
    evidence : Evidence
        Printed numbers or patients of a crossover.
    endpoint : str, optional
        Keep this endpoint only; of patients with several, the one to compare.
    visit : str, optional
        Visit of patients.
    convention : {"T", "N"}, optional
        Likelihood convention of printed rows; T by default.
    models : sequence of str, optional
        Crossover models of patients; all shipped ones with a scalar treatment difference by
        default.
    priors : sequence of str or Prior
        Names in the prior family, or priors in score units, labelled by their formula.
    store : ResultStore, optional
        Read what it holds; what it lacks is computed by an exact engine and not stored.
    seed : int
        Seed of the draws, part of the identity of a stored result.
    reading_weights : mapping of str to float, optional
        Of printed crossover rows: weights of their readings, set by hand.

    Returns
    -------
    xr.Dataset
        As `compare_published` or `compare_patients` says. Differences are positive when the active
        treatment is better, in score units.

    Raises
    ------
    SpecError
        If a convention is asked of patients or a model of printed rows, or a name is unknown.

    Examples
    --------
    >>> from bayes_ptsd.evidence.published import load_published
    >>> table = compare(load_published(), endpoint="ies_r", priors=["flat", "skeptical"])
    >>> row = table.sel(contrast="T2.IESR.X", crossover_reading="as_published", prior="flat")
    >>> row["eti95"].values.round(2)
    array([ 2.5, 22.8])
    """
    if "outcomes" not in evidence.data.children:
        if models is not None or visit is not None:
            raise SpecError("models and visits are those of patients; this evidence is printed")
        return compare_published(
            evidence, endpoint=endpoint, convention=convention or "T", priors=priors, store=store,
            seed=seed, reading_weights=reading_weights,
        )  # fmt: skip
    if convention is not None:
        raise SpecError("a convention is that of a printed row; patients have their scores")
    if reading_weights is not None:
        raise SpecError("reading weights are those of printed crossover rows, not of patients")
    outcome = select_outcome(evidence, endpoint, visit=visit)
    return compare_patients(
        outcome, models=models or PATIENT_MODELS, priors=priors, store=store, seed=seed
    )
