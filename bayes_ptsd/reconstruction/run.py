"""Reconstructions: drawn, assembled, verified, and drawn anew where one number does not print."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.published import load_published
from bayes_ptsd.provenance import DEFAULT_SEED
from bayes_ptsd.reconstruction.assemble import arrange
from bayes_ptsd.reconstruction.draw import draw_patients
from bayes_ptsd.reconstruction.nuisance import Nuisance, load_nuisance
from bayes_ptsd.reconstruction.plan import Plan, plan_of
from bayes_ptsd.reconstruction.verification import Checked, verify

__all__ = ["Reconstruction", "reconstruct", "reconstructions"]

# all 200 sets drawn for the shipped release agreed at once, so ten that do not are no accident
TRIES = 10


@dataclass(frozen=True)
class Reconstruction:
    """One verified reconstruction and what it took.

    Attributes
    ----------
    checked : list of Checked
        Every printed number with the recomputed one; all agree.
    drawn : int
        Sets of patients that were drawn and verified until this one agreed.
    starts : int
        Starts of the search from its first step on.
    seconds, verifying : float
        Time to draw, and to verify.
    """

    patients: Evidence
    checked: list[Checked]
    drawn: int
    starts: int
    seconds: float
    verifying: float


def reconstruct(
    evidence: Evidence | None = None,
    *,
    m: int = 20,
    reading: str = "as_published",
    flow_reading: str = "paper",
    seed: int = DEFAULT_SEED,
    nuisance: str | Path | None = None,
    workers: int = 1,
) -> list[Evidence]:
    """Reconstruct patients whose whole scores print every result of the paper at once.

    Parameters
    ----------
    evidence : Evidence, optional
        Printed numbers as `load_published` returns them; those of the shipped paper otherwise.
    m : int
        How many sets of patients.
    reading : {"as_published", "unhalved", "change", "change_unhalved", "carryover_covariate"}
        How the printed crossover rows are read.
    flow_reading : {"paper", "registry"}
        How the flow of patients is read.
    seed : int
        The same seed gives the same patients, whatever the number of workers.
    nuisance : str or Path, optional
        File of priors for what print leaves open, or the name of one of ``models/nuisance``
        (``wide``, ``low-correlation``, ``high-correlation``); ``reconstruction`` otherwise.
    workers : int
        Processes that share the work.

    Returns
    -------
    list of Evidence
        Of kind ``reconstructed``, laid out as `load_patients` does: every printed number has been
        recomputed from each with statsmodels. They are not the patients of the trial.

    Raises
    ------
    EvidenceError
        If the printed numbers contradict each other, a reading is unknown, or no
        patients are found.
    SpecError
        If the file of priors is not valid.

    Examples
    --------
    >>> patients = reconstruct(m=1, reading="change", seed=7)[0]
    >>> patients.kind, patients.data["outcomes"].sizes["subject"]
    ('reconstructed', 41)
    """
    made = reconstructions(
        evidence, m=m, reading=reading, flow_reading=flow_reading, seed=seed,
        nuisance=nuisance, workers=workers,
    )  # fmt: skip
    return [one.patients for one in made]


def reconstructions(
    evidence: Evidence | None = None,
    *,
    m: int,
    reading: str = "as_published",
    flow_reading: str = "paper",
    seed: int = DEFAULT_SEED,
    nuisance: str | Path | None = None,
    workers: int = 1,
) -> Iterator[Reconstruction]:
    """Yield reconstructions with what each took; arguments and refusals as in `reconstruct`."""
    if m < 1 or workers < 1:
        raise EvidenceError(f"'m' and 'workers' must be at least 1; got {m} and {workers}")
    printed = load_published() if evidence is None else evidence
    priors = load_nuisance(nuisance)
    plan = plan_of(
        printed,
        reading=reading,
        flow_reading=flow_reading,
        without_baseline=priors.without_baseline,
    )
    one = partial(_one, plan, priors, seed)
    yield from map(one, range(m)) if workers == 1 else _shared(one, m, workers)


def _shared(one: Callable[[int], Reconstruction], m: int, workers: int) -> Iterator[Reconstruction]:
    """Yield reconstructions made by several processes, in order."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, m), mp_context=context) as pool:
        yield from pool.map(one, range(m))


def _one(plan: Plan, nuisance: Nuisance, seed: int, index: int) -> Reconstruction:
    """Return one reconstruction, the same whatever the others are."""
    begun, starts, verifying = time.perf_counter(), 0, 0.0
    for drawn in range(1, TRIES + 1):
        rng = np.random.default_rng([seed, index, drawn])
        found = draw_patients(plan, nuisance, rng)
        if found is None:
            continue
        starts += found.attempts
        patients = arrange(plan, found, seed=seed, index=index, rng=rng, priors=nuisance.label)
        checking = time.perf_counter()
        checked = verify(patients, plan.evidence, plan=plan)
        verifying += time.perf_counter() - checking
        if all(number.agrees for number in checked):
            seconds = time.perf_counter() - begun - verifying
            return Reconstruction(patients, checked, drawn, starts, seconds, verifying)
    raise EvidenceError(
        f"reading '{plan.reading}', flow_reading '{plan.flow_reading}': no patients found that "
        "print every number; the evidence may contradict itself (see the audit), or the priors of "
        f"{nuisance.source} leave no room"
    )
