"""The release set: reconstructions shipped as whole numbers, the same on every machine."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.patient_arrays import outcome_tree
from bayes_ptsd.evidence.readings import crossover_reading_of, flow_reading_of
from bayes_ptsd.trial import Trial, load_trial

__all__ = ["OTHER_PRIORS", "load_release", "release_digest", "shipped_digest", "write_release"]

# the largest number of one byte; no score of an endpoint is above 136
MISSING = 255
OTHER_PRIORS = ("wide", "low-correlation", "high-correlation")
"""Files of nuisance priors under which sets of two readings are shipped beside the default."""


def load_release(
    reading: str = "as_published",
    flow_reading: str = "paper",
    *,
    m: int | None = None,
    nuisance: str | None = None,
) -> list[Evidence]:
    """Load the first `m` shipped reconstructions of the paper, or all; others are refused.

    Sets under other priors, "wide", "low-correlation" or "high-correlation", are shipped for
    ``as_published`` and ``unhalved`` with the paper's flow.
    """
    crossover_reading_of(reading)
    flow_reading_of(flow_reading)
    with np.load(io.BytesIO(_bytes(reading, flow_reading, nuisance)), allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    count = len(arrays["value"])
    if m is not None and not 1 <= m <= count:
        raise EvidenceError(f"{count} reconstructions are shipped; asked for {m}")
    trial = load_trial()
    return [_evidence(arrays, index, trial) for index in range(count if m is None else m)]


def release_digest(
    reading: str = "as_published", flow_reading: str = "paper", *, nuisance: str | None = None
) -> str:
    """Return the SHA-256 of the digests of a shipped set, in order, hexadecimal."""
    digests = [
        patients.digest for patients in load_release(reading, flow_reading, nuisance=nuisance)
    ]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


@cache
def shipped_digest() -> str:
    """Return the SHA-256 of all shipped files, which do not change while a program runs."""
    summary = hashlib.sha256()
    folder = resources.files("bayes_ptsd.reconstruction") / "release"
    for file in sorted(folder.iterdir(), key=lambda one: one.name):
        if file.name.endswith(".npz"):
            summary.update(file.name.encode() + hashlib.sha256(file.read_bytes()).digest())
    return summary.hexdigest()


def write_release(patients: Sequence[Evidence], folder: str | Path) -> Path:
    """Write reconstructions of one reading as whole numbers to ``READING-FLOW[-PRIORS].npz``.

    `PRIORS` is there for other priors than the shipped default; a file of the same name is
    replaced.
    """
    arrays: dict[str, list[np.ndarray]] = {}
    for one in patients:
        outcomes = one.data["outcomes"].to_dataset()
        covariates = one.data["covariates"].to_dataset()
        parts = {name: outcomes[name].values for name in ("value", "baseline")}
        parts |= {str(name): covariates[name].values for name in covariates.data_vars}
        parts["sequence"] = outcomes["sequence"].values
        parts["assumptions"] = np.array(json.dumps(dict(one.assumptions)))
        for name, values in parts.items():
            arrays.setdefault(name, []).append(_small(values))
    labels = {name: outcomes[name].values for name in ("subject", "visit", "endpoint")}
    said = patients[0].assumptions
    path = Path(folder) / _name(
        said["crossover_reading"], said["flow_reading"], said.get("nuisance_priors")
    )
    stacked: dict[str, Any] = {name: np.stack(values) for name, values in arrays.items()}
    stacked |= labels
    np.savez_compressed(path, **stacked)
    return path


def _small(values: np.ndarray) -> np.ndarray:
    """Return scores in one byte each, texts as they are."""
    if values.dtype.kind != "f":
        return values
    return np.where(np.isnan(values), MISSING, values).astype(np.uint8)


def _scores(values: np.ndarray) -> np.ndarray:
    """Return scores as numbers, NaN where missing."""
    return np.where(values == MISSING, np.nan, values.astype(float))


def _name(reading: str, flow_reading: str, nuisance: str | None) -> str:
    """Return the name of a file of one reading, flow and file of priors."""
    return "-".join([reading, flow_reading, *([nuisance] if nuisance else [])]) + ".npz"


def _bytes(reading: str, flow_reading: str, nuisance: str | None) -> bytes:
    """Return a shipped file."""
    folder = resources.files("bayes_ptsd.reconstruction") / "release"
    file = folder / _name(reading, flow_reading, nuisance)
    if not file.is_file():
        shipped = ", ".join(sorted(one.name.removesuffix(".npz") for one in folder.iterdir()))
        raise EvidenceError(
            f"no reconstructions of reading '{reading}' and flow_reading '{flow_reading}' under "
            f"nuisance priors '{nuisance}' are shipped; there are {shipped}; "
            "make them with 'reconstruct'"
        )
    return file.read_bytes()


def _evidence(arrays: dict[str, np.ndarray], index: int, trial: Trial) -> Evidence:
    """Return one set of patients."""
    sequence = arrays["sequence"][index]
    coords = {
        "subject": arrays["subject"],
        "period": [1, 2],
        "visit": arrays["visit"],
        "endpoint": arrays["endpoint"],
        "sequence": ("subject", sequence),
        "treatment": (("subject", "period"), [list(trial.sequences[name]) for name in sequence]),
        "hours": ("visit", [trial.visits[name] for name in arrays["visit"].tolist()]),
    }
    dims = ("subject", "period", "visit", "endpoint")
    values = xr.DataArray(_scores(arrays["value"][index]), dims=dims, coords=coords)
    baseline = values.isel(visit=0, drop=True).copy(data=_scores(arrays["baseline"][index]))
    known = {"value", "baseline", "sequence", "assumptions", "subject", "visit", "endpoint"}
    further = {
        name: ("subject", stored[index] if stored.dtype.kind == "U" else _scores(stored[index]))
        for name, stored in arrays.items()
        if name not in known
    }
    covariates = xr.Dataset(further, coords={"subject": arrays["subject"]})
    return Evidence(
        "reconstructed",
        trial,
        outcome_tree(values, baseline=baseline.rename("baseline"), covariates=covariates),
        assumptions=json.loads(str(arrays["assumptions"][index])),
        source="reconstruct",
    )
