"""The main job: every stage in its order, each resumed where it stopped, and the page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bayes_ptsd.contrasts import left_out
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.published import load_published
from bayes_ptsd.evidence.readings import of_treatment
from bayes_ptsd.provenance import DEFAULT_SEED, library_versions
from bayes_ptsd.readings.notes import average_note
from bayes_ptsd.readings.weights import chosen_weights
from bayes_ptsd.reanalysis.printed import exact_posteriors, headline_rows, sampled_checks
from bayes_ptsd.reanalysis.reconstructed import (
    QUICK_SETS,
    SETS,
    describe_pooled,
    fitting_patients,
    refuse_sets,
)
from bayes_ptsd.reanalysis.replication import replication_document, replication_outlooks
from bayes_ptsd.reanalysis.stages import Outcome, Progress, joined, silent, timed
from bayes_ptsd.report import write_report
from bayes_ptsd.store import ResultStore
from bayes_ptsd.store.catalog import list_results
from bayes_ptsd.store.report_folder import PAGE
from bayes_ptsd.store.report_origin import is_current
from bayes_ptsd.store.results import ROOM

__all__ = ["reanalyze"]

# bytes: the store of a quick run of the shipped evidence has under 25 million, its page 7
QUICK_ROOM = 60_000_000
# three times as many exact results, the draws of the sampled models, and the larger page
WHOLE_ROOM = 250_000_000


def reanalyze(
    store: ResultStore,
    *,
    evidence: Evidence | None = None,
    quick: bool = False,
    reconstructions: int | None = None,
    seed: int = DEFAULT_SEED,
    output: str | Path | None = None,
    workers: int = 1,
    reading_weights: Mapping[str, float] | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Reanalyze printed evidence (default Feder et al. 2014), write the report, describe the run.

    A quick run has convention T and four priors, and samples nothing. `reconstructions` are 20 by
    default, of a quick run 5; `reading_weights` are by default those that the printed standard
    errors give. The JSON-safe document has ``results`` (ids), ``computed`` and ``found`` counts,
    ``sampled`` (ids of the cross-checks), ``pooled`` (what was fitted to reconstructed patients),
    ``notes``, ``failed`` (ids that failed a required check), ``headline`` rows, ``reading_weights``
    (of all readings, of those of the treatment difference, and where they are from),
    ``replication``, ``report`` (path) and ``seconds`` by stage.
    """
    printed = load_published() if evidence is None else evidence
    sets = (QUICK_SETS if quick else SETS) if reconstructions is None else reconstructions
    refuse_sets(printed, sets)
    weights = _describe_weights(*chosen_weights(printed, reading_weights))
    seconds: dict[str, float] = {}
    store.check_writable(_room(store, quick=quick))
    outcomes = _outcomes(printed, store, quick=quick, sets=sets, seed=seed, workers=workers,
                         progress=progress, seconds=seconds)  # fmt: skip
    folder = Path(output) if output is not None else Path(store.path) / "report"
    with timed(seconds, "comparison"):
        headline = headline_rows(printed, store, seed=seed, reading_weights=reading_weights)
    with timed(seconds, "replication"):
        outlooks = replication_outlooks(printed, store, quick=quick, seed=seed, progress=progress,
                                        reading_weights=reading_weights)  # fmt: skip
    progress("report", 0, 1)
    with timed(seconds, "report"):
        decided: dict[str, Any] = {"quick": quick, "seed": seed, "reading_weights": reading_weights}
        page = folder / PAGE
        if not is_current(folder, store.path, printed, **decided):
            write_report(printed, store, folder, seconds=dict(seconds), keep=True, **decided)
    progress("report", 1, 1)
    by_hand = None if reading_weights is None else dict(reading_weights)
    asked = {"quick": quick, "seed": seed, "evidence": printed.digest, "reconstructions": sets,
             "reading_weights": by_hand}  # fmt: skip
    made = _describe_outcomes(store, outcomes)
    made["notes"] = [*left_out(printed), *made["notes"]]
    notes, results = {"seconds": seconds, "reading_weights": weights}, made["results"]
    store.record_run("reanalyze", asked, results=results, versions=library_versions(), notes=notes)
    return {
        **{key: asked[key] for key in ("quick", "seed", "reconstructions")},
        **made,
        "headline": headline,
        "reading_weights": weights,
        "replication": replication_document(outlooks, folder),
        "report": str(page),
        "seconds": {key: round(value, 2) for key, value in seconds.items()},
    }


def _room(store: ResultStore, *, quick: bool) -> int:
    """Return the bytes that a run is going to write, without those that the store has."""
    held: int = sum(entry["size"] for entry in list_results(store.path).entries)
    return max(ROOM, (QUICK_ROOM if quick else WHOLE_ROOM) - held)


def _describe_outcomes(store: ResultStore, outcomes: dict[str, Outcome]) -> dict[str, Any]:
    """Return what the stages made."""
    outcome, fitted = joined(*outcomes.values()), outcomes["reconstructed patients"]
    return {
        "results": outcome["computed"] + outcome["found"],
        "computed": len(outcome["computed"]),
        "found": len(outcome["found"]),
        "sampled": outcomes["sampled cross-checks"]["sampled"],
        "pooled": describe_pooled(store, fitted["pooled"]),
        "notes": fitted["notes"],
        "failed": outcome["failed"],
    }


def _describe_weights(weights: Mapping[str, float], source: str) -> dict[str, Any]:
    """Return what the headline averaged over, and in words; without weights why there are none."""
    return {
        "weights": dict(weights),
        "of_treatment_difference": of_treatment(weights) if weights else {},
        "source": source,
        "note": average_note(weights, source) if weights else source,
    }


def _outcomes(
    printed: Evidence,
    store: ResultStore,
    *,
    quick: bool,
    sets: int,
    seed: int,
    workers: int,
    progress: Progress,
    seconds: dict[str, float],
) -> dict[str, Outcome]:
    """Carry out the stages that make results, and note the seconds of each.

    Processes fit reconstructed patients from the beginning; their stage is what is left to wait.
    """
    found: dict[str, Outcome] = {"sampled cross-checks": joined() | {"sampled": []}}
    with fitting_patients(
        printed, store, m=sets, quick=quick, seed=seed, workers=workers
    ) as finish:
        with timed(seconds, "posteriors"):
            found["posteriors"] = exact_posteriors(
                printed, store, quick=quick, seed=seed, progress=progress
            )
        if not quick:
            with timed(seconds, "sampled cross-checks"):
                checked = sampled_checks(printed, store, seed=seed, progress=progress)
            sampled = checked["computed"] + checked["found"]
            found["sampled cross-checks"] = checked | {"sampled": sampled}
        with timed(seconds, "rest of the reconstructed patients"):
            found["reconstructed patients"] = finish(progress)
    return found
