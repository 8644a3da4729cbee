"""The main job: every printed contrast under every prior, stored, compared and reported.

The job resumes where it stopped: an analysis whose result is in the store is found, not repeated.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import xarray as xr

from bayes_ptsd.comparison import compare
from bayes_ptsd.contrasts import Analysis, analyses, contrast_names
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.published import load_published
from bayes_ptsd.exact.printed import SETTINGS, fit_exact
from bayes_ptsd.prior_family import PRIOR_FAMILY
from bayes_ptsd.provenance import DEFAULT_SEED, library_versions, make_result_id
from bayes_ptsd.report import write_report
from bayes_ptsd.store import ResultStore
from bayes_ptsd.store.catalog import read_sidecar

__all__ = ["HEADLINE_PRIORS", "QUICK_PRIORS", "headline_contrasts", "reanalyze", "sampled_checks"]

HEADLINE_PRIORS = ("flat", "skeptical", "enthusiastic", "cochrane")
QUICK_PRIORS = HEADLINE_PRIORS
SAMPLER = {"engine": "nuts", "draws": 1000, "tune": 1000, "chains": 4}
Progress = Callable[[str, int, int], None]


def headline_contrasts(evidence: Evidence) -> list[str]:
    """Return the contrasts of the trial's first endpoint, its primary outcome.

    Parameters
    ----------
    evidence : Evidence
        Of kind ``published``.

    Returns
    -------
    list of str
        Ids of its first-period and crossover contrasts as printed.

    Examples
    --------
    >>> headline_contrasts(load_published())
    ['T2.IESR.X', 'T2.IESR.F']
    """
    primary = next(iter(evidence.trial.endpoints))
    analysis = evidence.data["effects"]["analysis"]
    names = contrast_names(evidence, endpoint=primary)
    kept = ("crossover", "first_period")
    return [name for name in names if str(analysis.sel(contrast=name).item()) in kept]


def reanalyze(
    store: ResultStore,
    *,
    evidence: Evidence | None = None,
    quick: bool = False,
    seed: int = DEFAULT_SEED,
    output: str | Path | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> dict[str, Any]:
    """Reanalyze the printed evidence and write the report.

    Parameters
    ----------
    store : ResultStore
        Where results are found and kept.
    evidence : Evidence, optional
        Of kind ``published``; the ketamine trial of Feder et al. 2014 by default.
    quick : bool
        Convention T and four priors only, and no sampled cross-check.
    seed : int
        Seed of every draw.
    output : str or Path, optional
        Folder of the report; ``report`` inside the store by default.
    progress : callable
        Called with the stage and how much of it is done.

    Returns
    -------
    dict
        JSON-safe: ``results`` (ids), ``computed`` and ``found`` counts, ``sampled`` (ids of
        the cross-checks), ``failed`` (ids that failed a required check), ``headline`` rows,
        ``report`` (path), ``seconds`` by stage.

    Raises
    ------
    StoreError
        If the store cannot be written.

    Examples
    --------
    >>> done = reanalyze(ResultStore("results"), quick=True)  # doctest: +SKIP
    >>> done["computed"], done["report"]  # doctest: +SKIP
    (124, 'results/report/index.html')
    """
    printed = load_published() if evidence is None else evidence
    seconds: dict[str, float] = {}
    store.check_writable()
    with _timed(seconds, "posteriors"):
        outcome = _posteriors(printed, store, quick=quick, seed=seed, progress=progress)
    sampled: list[str] = []
    if not quick:
        with _timed(seconds, "sampled cross-checks"):
            checked = sampled_checks(printed, store, seed=seed, progress=progress)
        outcome = {key: outcome[key] + checked[key] for key in outcome}
        sampled = checked["computed"] + checked["found"]
    folder = Path(output) if output is not None else Path(store.path) / "report"
    with _timed(seconds, "comparison"):
        headline = headline_rows(printed, store, seed=seed)
    progress("report", 0, 1)
    with _timed(seconds, "report"):
        page = write_report(printed, store, folder, seconds=dict(seconds), quick=quick)
    progress("report", 1, 1)
    request = {"quick": quick, "seed": seed, "evidence": printed.digest}
    results = outcome["computed"] + outcome["found"]
    store.record_run(
        "reanalyze",
        request,
        results=results,
        versions=library_versions(),
        notes={"seconds": seconds},
    )
    return {
        "quick": quick,
        "seed": seed,
        "results": results,
        "computed": len(outcome["computed"]),
        "found": len(outcome["found"]),
        "sampled": sampled,
        "failed": outcome["failed"],
        "headline": headline,
        "report": str(page),
        "seconds": {key: round(value, 2) for key, value in seconds.items()},
    }


def sampled_checks(
    evidence: Evidence,
    store: ResultStore,
    *,
    seed: int = DEFAULT_SEED,
    progress: Progress = lambda stage, done, total: None,
) -> dict[str, list[str]]:
    """Sample the headline rows with PyMC, so that the report can hold both engines side by side.

    Parameters
    ----------
    evidence : Evidence
        Of kind ``published``.
    store : ResultStore
        Where results are found and kept.
    seed : int
        Seed of the sampler.
    progress : callable
        Called with the stage and how much of it is done.

    Returns
    -------
    dict of str to list of str
        Result ids ``computed``, ``found`` and, if a convergence check failed, ``failed``.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     done = sampled_checks(load_published(), ResultStore(folder))
    >>> len(done["computed"]), done["failed"]
    (2, [])
    """
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

        return fit_model(*analysis, seed=seed)

    return _kept(rows, store, sample, settings=SAMPLER, seed=seed, progress=progress)


def headline_rows(
    evidence: Evidence, store: ResultStore, *, seed: int = DEFAULT_SEED
) -> list[dict[str, Any]]:
    """Return the headline: primary contrasts under four priors, both readings of the crossover.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     rows = headline_rows(load_published(), ResultStore(folder))
    >>> rows[0]["contrast"], rows[0]["prior"], round(rows[0]["prob_benefit"], 4)
    ('T2.IESR.X', 'flat', 0.9918)
    """
    primary = next(iter(evidence.trial.endpoints))
    table = compare(evidence, endpoint=primary, priors=HEADLINE_PRIORS, store=store, seed=seed)
    rows = []
    for name in headline_contrasts(evidence):
        one = table.sel(contrast=name)
        for reading in one["crossover_reading"].values:
            cell = one.sel(crossover_reading=reading)
            if bool(cell["mean"].notnull().any()):
                rows += [
                    _headline_row(name, str(reading), cell, prior) for prior in HEADLINE_PRIORS
                ]
    return sorted(rows, key=lambda row: row["crossover_reading"] != "as_published")


def _headline_row(name: str, reading: str, cell: xr.Dataset, prior: str) -> dict[str, Any]:
    """Return one line of the headline table."""
    one = cell.sel(prior=prior)
    crossover = str(one["analysis"].item()) == "crossover"
    return {
        "contrast": name,
        "analysis": str(one["analysis"].item()),
        "crossover_reading": reading if crossover else "as_published",
        "prior": prior,
        "published": [float(one[f"published_{key}"]) for key in ("estimate", "low", "high", "p")],
        "mean": float(one["mean"]),
        "eti95": one["eti95"].values.tolist(),
        "prob_benefit": float(one["prob_benefit"]),
        "prob_gt_mcid": float(one["prob_gt_mcid"]),
        "result_id": str(one["result_id"].item()),
    }


def _posteriors(
    evidence: Evidence, store: ResultStore, *, quick: bool, seed: int, progress: Progress
) -> dict[str, list[str]]:
    """Compute what the store lacks of the exact posteriors."""
    priors = QUICK_PRIORS if quick else tuple(PRIOR_FAMILY)
    conventions = ("T",) if quick else ("T", "N")
    rows = list(analyses(evidence, conventions=conventions, priors=priors))
    return _kept(
        rows,
        store,
        lambda analysis: fit_exact(*analysis, seed=seed),
        settings=SETTINGS,
        seed=seed,
        progress=progress,
    )


def _kept(
    rows: list[Analysis],
    store: ResultStore,
    fit: Callable[[Analysis], xr.DataTree],
    *,
    settings: Mapping[str, Any],
    seed: int,
    progress: Progress,
) -> dict[str, list[str]]:
    """Fit and save what the store lacks; find the rest."""
    outcome: dict[str, list[str]] = {"computed": [], "found": [], "failed": []}
    stage = f"{settings['engine']} posteriors"
    for number, analysis in enumerate(rows):
        progress(stage, number, len(rows))
        result_id = make_result_id(*analysis, settings=settings, seed=seed)
        if store.has(result_id):
            outcome["found"].append(result_id)
        else:
            outcome["computed"].append(store.save(fit(analysis)))
        if not read_sidecar(store.path, result_id)["checks_passed"]:
            outcome["failed"].append(result_id)
    progress(stage, len(rows), len(rows))
    return outcome


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Note the wall time of a stage."""
    start = time.perf_counter()
    yield
    seconds[stage] = time.perf_counter() - start
