"""The stage of the main job that looks ahead: what the stored posteriors say of a replication."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bayes_ptsd.evidence import Evidence
from bayes_ptsd.provenance import DEFAULT_SEED
from bayes_ptsd.reanalysis.stages import Progress, silent
from bayes_ptsd.replication.outlook import CENTERS, Outlook
from bayes_ptsd.report.contents import Contents
from bayes_ptsd.report.replication import DOCUMENT, centered_fits, foretold
from bayes_ptsd.store import ResultStore

__all__ = ["replication_document", "replication_outlooks"]


def replication_outlooks(
    evidence: Evidence,
    store: ResultStore,
    *,
    quick: bool = False,
    seed: int = DEFAULT_SEED,
    progress: Progress = silent,
    reading_weights: Mapping[str, float] | None = None,
) -> list[Outlook]:
    """Foretell a replication from the headline rows, averaged and under each reading and center.

    Nothing is sampled: an outlook is a function of posteriors that the store has, and names them.
    It is stored, and the report has it in ``priors``. The averages over readings come first; there
    are none where the first endpoint has no reference SD. A quick run has fewer sizes,
    one relative size and no skeptical analysis.
    """
    contents = Contents(
        evidence, store, priors=CENTERS, conventions=("T",) if quick else ("T", "N"), seed=seed,
        reading_weights=reading_weights, keeps=True,
    )  # fmt: skip
    fits = centered_fits(contents)
    outlooks = []
    for number, named in enumerate(fits):
        progress("replication", number, len(fits))
        outlooks.append(foretold(contents, named)[0])
    progress("replication", len(fits), len(fits))
    return outlooks


def replication_document(outlooks: Sequence[Outlook], report: Path) -> dict[str, Any]:
    """Return what a run says about a replication: files, and the numbers to begin with.

    ``document`` is the path of everything, or None without an outlook. ``priors`` has an entry
    each: ``path`` of the mixture for RBesT, contrast, reading, center, ``results`` it was made
    from, mean and sd, ELIR in parallel patients, and probabilities of a replication as precise as
    the original.
    """
    folder = report / "priors"
    return {
        "document": str(folder / f"{DOCUMENT}.json") if outlooks else None,
        "priors": [
            {
                "path": str(folder / f"{outlook.name}.json"),
                "contrast": outlook.contrast,
                "crossover_reading": outlook.reading,
                "center": outlook.center,
                "evidence_kind": outlook.found.about["evidence_kind"],
                "results": outlook.found.about["results"],
                "mean": outlook.found.prior.mean,
                "sd": outlook.found.prior.sd,
                "elir_parallel": outlook.found.worth(outlook.designs["parallel"])["robust"]["elir"],
                "same_sign": outlook.predictions[0]["same_sign"],
                "p_below_05": outlook.predictions[0]["p_below_05"],
                "sceptical_p_golden": outlook.predictions[0]["sceptical_p"]["golden"],
            }
            for outlook in outlooks
        ],
    }
