"""The stages of the main job that need printed numbers only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import xarray as xr

from bayes_ptsd.comparison import compare
from bayes_ptsd.comparison.published import ANSWER
from bayes_ptsd.contrasts import Analysis, analyses
from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.published import primary_contrasts
from bayes_ptsd.evidence.readings import AVERAGED
from bayes_ptsd.exact.printed import fit_exact
from bayes_ptsd.frequentist.documents import finite
from bayes_ptsd.prior_family import PRIOR_FAMILY
from bayes_ptsd.provenance import DEFAULT_SEED, EXACT_SETTINGS
from bayes_ptsd.reanalysis.stages import Outcome, Progress, kept, silent
from bayes_ptsd.store import ResultStore

__all__ = [
    "HEADLINE_PRIORS",
    "QUICK_PRIORS",
    "exact_posteriors",
    "headline_contrasts",
    "headline_rows",
    "sampled_checks",
]

HEADLINE_PRIORS = ("flat", "skeptical", "enthusiastic", "cochrane")
QUICK_PRIORS = HEADLINE_PRIORS
# the defaults of `fit_model`, by which the rows are sampled: the identity needs them beforehand
SAMPLER = {"engine": "nuts", "draws": 1000, "tune": 1000, "chains": 4}


def headline_contrasts(evidence: Evidence) -> list[str]:
    """Return the ids of the first endpoint's main printed contrasts; others if it has none."""
    names = primary_contrasts(evidence)
    if not names:
        raise EvidenceError(
            f"{evidence.source}: no printed treatment contrast to reanalyze; effects.csv needs a "
            "row whose term is 'treatment'"
        )
    return names


def exact_posteriors(
    evidence: Evidence, store: ResultStore, *, quick: bool, seed: int, progress: Progress
) -> Outcome:
    """Compute what the store lacks of the exact posteriors of the printed evidence."""
    priors = QUICK_PRIORS if quick else tuple(PRIOR_FAMILY)
    conventions = ("T",) if quick else ("T", "N")
    rows = list(analyses(evidence, conventions=conventions, priors=priors))
    return kept(
        rows,
        store,
        lambda analysis: fit_exact(*analysis, seed=seed, drawn=False),
        settings=EXACT_SETTINGS,
        seed=seed,
        progress=progress,
    )


def sampled_checks(
    evidence: Evidence,
    store: ResultStore,
    *,
    seed: int = DEFAULT_SEED,
    progress: Progress = silent,
) -> Outcome:
    """Sample the headline rows with PyMC, so that the report can hold both engines side by side."""
    rows = list(
        analyses(
            evidence,
            contrasts=headline_contrasts(evidence),
            priors=["skeptical"],
            readings=["as_published"],
        )
    )

    def sample(analysis: Analysis) -> xr.DataTree:
        # only a fit that is not in the store pays for the import of PyMC
        from bayes_ptsd.fit import fit_model

        return fit_model(*analysis, engine="nuts", seed=seed)

    return kept(rows, store, sample, settings=SAMPLER, seed=seed, progress=progress)


def headline_rows(
    evidence: Evidence,
    store: ResultStore,
    *,
    seed: int = DEFAULT_SEED,
    reading_weights: Mapping[str, float] | None = None,
) -> list[dict[str, Any]]:
    """Return the headline: primary contrasts under four priors, both readings of the crossover.

    The average over readings comes first, with weights of `reading_weights` or else of print.
    """
    names = headline_contrasts(evidence)
    endpoint = evidence.data["effects"]["endpoint"].sel(contrast=names[0])
    table = compare(
        evidence, endpoint=str(endpoint.item()), priors=HEADLINE_PRIORS, store=store, seed=seed,
        reading_weights=reading_weights,
    )  # fmt: skip
    rows = []
    for name in names:
        one = table.sel(contrast=name)
        for reading in one["crossover_reading"].values:
            cell = one.sel(crossover_reading=reading)
            rows += [
                _headline_row(name, str(reading), cell, prior)
                for prior in HEADLINE_PRIORS
                if bool(cell["median"].sel(prior=prior).notnull())
            ]
    order = {AVERAGED: 0, "as_published": 1}
    return sorted(rows, key=lambda row: order.get(row["crossover_reading"], 2))


def _headline_row(name: str, reading: str, cell: xr.Dataset, prior: str) -> dict[str, Any]:
    """Return one line of the headline table."""
    one = cell.sel(prior=prior)
    crossover = str(one["analysis"].item()) == "crossover"
    return {
        "contrast": name,
        "analysis": str(one["analysis"].item()),
        "crossover_reading": reading if crossover else "as_published",
        "prior": prior,
        "published": [finite(one[f"published_{key}"].item())
                      for key in ("estimate", "low", "high", "p")],
        "mean": float(one["mean"]),
        "eti95": one["eti95"].values.tolist(),
        "prob_benefit": float(one["prob_benefit"]),
        "prob_gt_mcid": finite(one["prob_gt_mcid"].item()),
        **_as_printed(one),
        # an average over readings is no stored result
        "result_id": str(one["result_id"].item()) or None,
    }  # fmt: skip


def _as_printed(one: xr.Dataset) -> dict[str, Any]:
    """Return the answer about a ratio on its printed scale, nothing of a difference."""
    label = one["answer"].item() if "answer" in one else ""
    if not isinstance(label, str) or not label:
        return {}
    median, low, high = (float(one[key]) for key in ANSWER)
    return {"printed_scale": {"label": label, "median": median, "eti95": [low, high]}}
