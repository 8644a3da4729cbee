"""Reconstructed patients of the printed evidence: the shipped sets, or sets made now."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.outcome import select_outcome
from bayes_ptsd.evidence.published import load_published
from bayes_ptsd.evidence.trajectories import select_endpoint
from bayes_ptsd.provenance import DEFAULT_SEED
from bayes_ptsd.reconstruction.release import load_release
from bayes_ptsd.reconstruction.run import reconstruct
from bayes_ptsd.specification import ModelSpec

__all__ = ["is_shipped", "outcome_for", "reconstructed_sets", "sets_digest"]


def is_shipped(evidence: Evidence) -> bool:
    """Tell whether printed numbers are those that the shipped sets were made from."""
    return evidence.digest == load_published().digest


def reconstructed_sets(
    evidence: Evidence,
    *,
    m: int,
    reading: str = "as_published",
    flow_reading: str = "paper",
    nuisance: str | None = None,
    seed: int = DEFAULT_SEED,
    workers: int = 1,
) -> list[Evidence]:
    """Return `m` sets of reconstructed patients that print the given evidence.

    These are the first shipped sets if the shipped numbers are given (20 at most under the
    registry's flow of patients or under other nuisance priors), else sets made now.
    """
    if is_shipped(evidence):
        # fewer sets are shipped beside those of the paper's flow under the default priors
        fewer = flow_reading != "paper" or nuisance is not None
        shipped = load_release(reading, flow_reading, m=None if fewer else m, nuisance=nuisance)
        return shipped[:m]
    return reconstruct(
        evidence, m=m, reading=reading, flow_reading=flow_reading, seed=seed,
        nuisance=nuisance, workers=workers,
    )  # fmt: skip


def sets_digest(patients: Sequence[Evidence]) -> str:
    """Return the SHA-256 of several sets of patients, in their order, as hexadecimal digits."""
    return hashlib.sha256("".join(one.digest for one in patients).encode()).hexdigest()


def outcome_for(spec: ModelSpec, patients: Evidence, endpoint: str, visit: str = "24h") -> Evidence:
    """Select the endpoint and visit that a model analyzes; a longitudinal one has all visits.

    The first visit that has scores where the trial has none called `visit`.
    """
    if spec.room.reads == "visits":
        return select_endpoint(patients, endpoint)
    scores = patients.data["outcomes"].to_dataset()["value"].sel(endpoint=endpoint)
    known = scores["visit"].values[scores.notnull().any(("subject", "period")).values].tolist()
    return select_outcome(patients, endpoint, visit=visit if visit in known else str(known[0]))
