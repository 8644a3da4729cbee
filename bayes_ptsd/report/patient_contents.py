"""What the page says of patients: the results of one outcome that a store holds, without rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import xarray as xr

from bayes_ptsd.store import ResultStore

__all__ = [
    "PATIENT_KINDS",
    "PatientOutcome",
    "fit_structure",
    "only_patients",
    "patient_outcomes",
]

PATIENT_KINDS = ("patients", "simulated")


@dataclass(frozen=True)
class PatientOutcome:
    """Every stored result of one outcome of patients: one evidence digest, oldest first."""

    fits: tuple[xr.DataTree, ...]
    created: Mapping[str, str]  # time by result id

    @property
    def attrs(self) -> dict[str, Any]:
        """Attributes of the first fit: trial, endpoint and treatments are those of all."""
        return {str(key): value for key, value in self.fits[0].attrs.items()}

    @property
    def kind(self) -> str:
        """Kind of evidence, for every caption."""
        return str(self.attrs["evidence_kind"])

    @property
    def constants(self) -> dict[str, Any]:
        """Label, unit, MCID and reference SD of the endpoint."""
        found: dict[str, Any] = json.loads(self.attrs["endpoint_constants"])
        return found

    @property
    def digits(self) -> int:
        """Decimals that numbers in the unit of the endpoint deserve."""
        sd = self.constants["reference_sd"]
        if any("categories" in fit.children for fit in self.fits):
            return 3
        return 2 if sd is None or sd >= 3 else 3 if sd >= 0.3 else 4

    @property
    def models(self) -> list[str]:
        """Names of the models, in the order in which they were fitted."""
        return list(dict.fromkeys(str(fit.attrs["model"]) for fit in self.fits))

    def of_model(self, model: str) -> list[xr.DataTree]:
        """Return the fits under one model, one per prior: the newest of each."""
        chosen = [fit for fit in self.fits if fit.attrs["model"] == model]
        return list({(fit.attrs["prior"], fit.attrs["prior_formula"]): fit
                     for fit in chosen}.values())  # fmt: skip


def fit_structure(fit: xr.DataTree) -> str:
    """Return the structure of the model of a fit."""
    return str(json.loads(fit.attrs["spec"])["structure"])


def only_patients(store: ResultStore) -> bool:
    """Tell whether a store holds results of patients and nothing else."""
    kinds = {entry["evidence_kind"] for entry in store.catalog()}
    return bool(kinds) and kinds <= set(PATIENT_KINDS)


def patient_outcomes(store: ResultStore | None) -> list[PatientOutcome]:
    """Return a store's outcomes of patients, by first result; all have a treatment difference."""
    if store is None:
        return []
    grouped: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for entry in store.catalog():
        scalar = "treatment_difference" in (entry.get("summary") or {})
        if entry["evidence_kind"] in PATIENT_KINDS and scalar:
            key = (str(entry["evidence_digest"]), str(entry["endpoint"]))
            grouped.setdefault(key, []).append(entry)
    return [
        PatientOutcome(
            tuple(store.load(entry["result_id"]) for entry in group),
            {entry["result_id"]: str(entry["created"]) for entry in group},
        )
        for group in grouped.values()
    ]
