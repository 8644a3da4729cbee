"""The main job: every stage in its order, each resumed where it stopped, and the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.published import load_published
from bayes_ptsd.provenance import DEFAULT_SEED, library_versions
from bayes_ptsd.reanalysis.printed import exact_posteriors, headline_rows, sampled_checks
from bayes_ptsd.reanalysis.replication import replication_document, replication_outlooks
from bayes_ptsd.reanalysis.stages import Progress, joined, silent, timed
from bayes_ptsd.report import write_report
from bayes_ptsd.store import ResultStore

__all__ = ["reanalyze"]


def reanalyze(
    store: ResultStore,
    *,
    evidence: Evidence | None = None,
    quick: bool = False,
    seed: int = DEFAULT_SEED,
    output: str | Path | None = None,
    progress: Progress = silent,
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
        ``replication`` (paths of its document and priors, and what each foretells), ``report``
        (path), ``seconds`` by stage.

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
    with timed(seconds, "posteriors"):
        outcomes = [exact_posteriors(printed, store, quick=quick, seed=seed, progress=progress)]
    sampled: list[str] = []
    if not quick:
        with timed(seconds, "sampled cross-checks"):
            checked = sampled_checks(printed, store, seed=seed, progress=progress)
        outcomes.append(checked)
        sampled = checked["computed"] + checked["found"]
    outcome = joined(*outcomes)
    folder = Path(output) if output is not None else Path(store.path) / "report"
    with timed(seconds, "comparison"):
        headline = headline_rows(printed, store, seed=seed)
    with timed(seconds, "replication"):
        outlooks = replication_outlooks(printed, store, quick=quick, seed=seed, progress=progress)
    progress("report", 0, 1)
    with timed(seconds, "report"):
        page = write_report(
            printed, store, folder, seconds=dict(seconds), quick=quick, seed=seed, outlooks=outlooks
        )
    progress("report", 1, 1)
    asked = {"quick": quick, "seed": seed, "evidence": printed.digest}
    results = outcome["computed"] + outcome["found"]
    store.record_run(
        "reanalyze", asked, results=results, versions=library_versions(), notes={"seconds": seconds}
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
        "replication": replication_document(outlooks, folder),
        "report": str(page),
        "seconds": {key: round(value, 2) for key, value in seconds.items()},
    }
