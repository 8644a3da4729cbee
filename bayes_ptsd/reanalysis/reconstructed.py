"""The stage of the main job that fits models to reconstructed patients and pools them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from bayes_ptsd.errors import EvidenceError, SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.readings import FLOW_READINGS
from bayes_ptsd.models_files import load_model
from bayes_ptsd.provenance import DEFAULT_SEED
from bayes_ptsd.reanalysis.stages import Outcome, Progress, silent
from bayes_ptsd.reconstructed.sets import is_shipped, outcome_for, reconstructed_sets
from bayes_ptsd.reconstructed.tasks import Task
from bayes_ptsd.reconstructed.workers import working
from bayes_ptsd.reconstruction.plan import READINGS
from bayes_ptsd.reconstruction.release import OTHER_PRIORS, load_release
from bayes_ptsd.store import ResultStore
from bayes_ptsd.store.catalog import read_sidecar

__all__ = [
    "QUICK_SETS",
    "SETS",
    "describe_pooled",
    "fitting_patients",
    "reconstructed_patients",
    "refuse_sets",
]

SETS, QUICK_SETS, FEWEST = 20, 5, 2
STAGE = "reconstructed patients"
SAMPLED = (
    "longitudinal-ar", "longitudinal", "crossover-student-t", "crossover-bivariate",
    "crossover-carryover", "crossover", "first-period",
)  # fmt: skip
"""Models that are sampled on every set of the default reading, the slowest first."""
ONLY_SAMPLED = "crossover-student-t"
EXACT = (
    "crossover-bivariate", "first-period", "crossover-completers", "crossover",
    "crossover-carryover",
)  # fmt: skip
BETWEEN_FILES = ("crossover", "crossover-bivariate")
"""Models that are also pooled over sets made under other nuisance priors: the one that takes all
patients, and the one that these files move most; the others would only cost time."""
PRIORS = ("reference", "skeptical")
HEADLINE = (("as_published", "paper"), ("unhalved", "paper"))
"""Readings under which score-unit claims about the crossover always stand, under both priors."""


def reconstructed_patients(
    evidence: Evidence,
    store: ResultStore,
    *,
    m: int = SETS,
    quick: bool = False,
    seed: int = DEFAULT_SEED,
    workers: int = 1,
    progress: Progress = silent,
) -> Outcome:
    """Fit models to `m` reconstructions of the printed evidence and pool them.

    The outcome also has the ids ``pooled``, and ``notes``: why there is none, or which sets could
    not be sampled.
    """
    with fitting_patients(evidence, store, m=m, quick=quick, seed=seed, workers=workers) as finish:
        return finish(progress)


@contextmanager
def fitting_patients(
    evidence: Evidence,
    store: ResultStore,
    *,
    m: int = SETS,
    quick: bool = False,
    seed: int = DEFAULT_SEED,
    workers: int = 1,
) -> Iterator[Callable[[Progress], Outcome]]:
    """Have processes fit models to `m` reconstructions while this one does something else.

    What is yielded takes where to report progress, waits for the end and returns what
    `reconstructed_patients` does; with one worker all is done in the end, by this process. Every
    model with an exact engine is pooled exactly under every reading of the crossover and both
    readings of the flow of patients, and two of them over sets made under other nuisance priors;
    the default reading is also sampled, model by model, and the crossover that can only be sampled
    under ``unhalved`` too. A quick run has the exact engines, one prior and the paper's flow only.
    """
    refuse_sets(evidence, m)
    outcome: Outcome = {key: [] for key in ("computed", "found", "failed", "pooled", "notes")}
    tasks: list[Task] = []
    try:
        tasks = list(_tasks(evidence, m=m, quick=quick, seed=seed, workers=workers))
        if not is_shipped(evidence):
            tasks, lines = _possible(tasks)
            outcome["notes"] += lines
    except EvidenceError as error:
        if is_shipped(evidence):
            raise
        outcome["notes"].append(f"no reconstructed patients: {error}")
    total = sum(1 + len(task.member_ids(seed)) for task in tasks)
    with working(tasks, store, seed=seed, workers=workers) as work:

        def finish(progress: Progress) -> Outcome:
            # lines about models that are not fitted, which are no part of the work
            told = len(outcome["notes"])

            def report(kind: str, text: str) -> None:
                outcome["notes" if kind == "lost" else kind].append(text)
                done = sum(len(outcome[key]) for key in ("computed", "found", "notes")) - told
                progress(STAGE, done, total)

            if tasks:
                progress(STAGE, 0, total)
            work(report)
            return outcome | {
                "pooled": [one for task in tasks if store.has(one := task.pooled_id(seed))],
                "failed": [one for one in outcome["computed"] + outcome["found"]
                           if not read_sidecar(store.path, one)["checks_passed"]],
            }  # fmt: skip

        yield finish


def refuse_sets(evidence: Evidence, m: int) -> None:
    """Refuse fewer than two reconstructions, which cannot be pooled, and more than are shipped."""
    if m < FEWEST:
        raise SpecError(f"--reconstructions {m}: pooling needs {FEWEST} or more sets of patients")
    if is_shipped(evidence):
        try:
            load_release(m=m)
        except EvidenceError as error:
            raise EvidenceError(f"--reconstructions {m}: {error}") from error


def describe_pooled(store: ResultStore, ids: list[str]) -> list[dict[str, Any]]:
    """Return pooled results as JSON-safe documents, from their sidecars alone."""
    named = ("model", "prior", "engine", "crossover_reading", "flow_reading", "reconstructions")
    documents = []
    for one in ids:
        entry = read_sidecar(store.path, one)
        document = {"result_id": one, **{key: entry[key] for key in named}}
        document |= {"nuisance_priors": entry.get("nuisance_priors") or "reconstruction"}
        document |= {"checks_passed": bool(entry["checks_passed"])}
        documents.append(document | {"estimands": entry["summary"]})
    return documents


def _tasks(evidence: Evidence, *, m: int, quick: bool, seed: int, workers: int) -> Iterator[Task]:
    """Yield the work, the longest pieces first."""
    made: dict[tuple[str, str], list[Evidence]] = {}
    for reading, flow in _readings(is_shipped(evidence), quick=quick):
        made[reading, flow] = reconstructed_sets(
            evidence, m=m, reading=reading, flow_reading=flow, seed=seed, workers=workers
        )
    first = made["as_published", "paper"]
    endpoint = str(first[0].data["outcomes"].to_dataset()["endpoint"].values[0])

    def task(name: str, sets: list[Evidence], engine: str, prior: str = "") -> Task:
        spec = load_model(name)
        spec = spec.under(prior) if prior else spec
        chosen = tuple(outcome_for(spec, one, endpoint) for one in sets)
        return Task(spec, chosen, engine, evidence.digest)

    if not quick:
        yield from (task(name, first, "nuts") for name in SAMPLED)
        # crossover claims stand under both readings, and this model has no exact engine
        yield task(ONLY_SAMPLED, made["unhalved", "paper"], "nuts")
    for name in EXACT:
        for (reading, flow), sets in made.items():
            headline = (reading, flow) in HEADLINE and not quick
            priors = PRIORS if headline else PRIORS[:1]
            yield from (task(name, sets, "exact", prior) for prior in priors)
    if not quick and is_shipped(evidence):
        for (reading, flow), file in itertools.product(HEADLINE, OTHER_PRIORS):
            sets = reconstructed_sets(
                evidence, m=m, reading=reading, flow_reading=flow, nuisance=file
            )
            yield from (task(name, sets, "exact", PRIORS[0]) for name in BETWEEN_FILES)


def _possible(tasks: list[Task]) -> tuple[list[Task], list[str]]:
    """Return the tasks whose model takes the patients, and a line for every other model."""
    kept, lines = [], {}
    for task in tasks:
        try:
            task.spec.room.problem(task.patients[0], task.spec)
        except (EvidenceError, SpecError) as error:
            lines[task.spec.name] = (
                f"not fitted to reconstructed patients: {task.spec.name}: {error}"
            )
            continue
        kept.append(task)
    return kept, list(lines.values())


def _readings(shipped: bool, *, quick: bool) -> list[tuple[str, str]]:
    """Return the readings to reconstruct under; of other evidence those of the headline."""
    if not shipped:
        return list(HEADLINE)
    flows = ("paper",) if quick else tuple(FLOW_READINGS)
    return [(reading, flow) for flow in flows for reading in READINGS]
