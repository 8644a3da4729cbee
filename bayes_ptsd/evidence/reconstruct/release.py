"""The release set: reconstructions shipped as whole numbers, the same on every machine."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
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

__all__ = ["OTHER_PRIORS", "load_release", "release_digest", "write_release"]

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
    """Load shipped reconstructions of the paper.

    Parameters
    ----------
    reading : {"as_published", "unhalved", "change", "change_unhalved", "carryover_covariate"}
        How the printed crossover rows are read.
    flow_reading : {"paper", "registry"}
        How the flow of patients is read.
    m : int, optional
        The first so many; all otherwise.
    nuisance : {"wide", "low-correlation", "high-correlation"}, optional
        Sets made under other priors for what print leaves open, shipped for ``as_published`` and
        ``unhalved`` with the paper's flow; those of ``reconstruction.toml`` otherwise.

    Returns
    -------
    list of Evidence
        As `reconstruct` returns them.

    Raises
    ------
    EvidenceError
        If there is no such set, or not so many in it; the message says which there are.

    Examples
    --------
    >>> patients = load_release("unhalved", m=2)
    >>> len(patients), patients[0].assumptions["crossover_reading"]
    (2, 'unhalved')
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
    """Return the SHA-256 of the digests of a shipped set, in order.

    Parameters
    ----------
    reading, flow_reading, nuisance : str
        As in `load_release`.

    Returns
    -------
    str
        Hexadecimal.

    Examples
    --------
    >>> len(release_digest())
    64
    """
    digests = [
        patients.digest for patients in load_release(reading, flow_reading, nuisance=nuisance)
    ]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def write_release(patients: Sequence[Evidence], folder: str | Path) -> Path:
    """Write reconstructions of one reading as a file of whole numbers.

    Parameters
    ----------
    patients : sequence of Evidence
        As `reconstruct` returns them.
    folder : str or Path
        Where the file goes; a file of the same reading is replaced.

    Returns
    -------
    Path
        The file, ``READING-FLOW.npz``, or ``READING-FLOW-PRIORS.npz`` for other priors of what
        print leaves open than the shipped default.

    Examples
    --------
    >>> import tempfile
    >>> write_release(load_release(m=1), tempfile.mkdtemp()).name
    'as_published-paper.npz'
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
    folder = resources.files("bayes_ptsd.evidence.reconstruct") / "release"
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
