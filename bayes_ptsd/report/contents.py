"""What the page is made of, read or computed once: printed numbers, and patients of a store."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd
import xarray as xr

from bayes_ptsd.audit import audit_evidence
from bayes_ptsd.comparison import compare, comparison_frame
from bayes_ptsd.contrasts import READINGS, model_of
from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.measured_rows import printed_scale
from bayes_ptsd.evidence.published import contrast_names, primary_contrasts, select_contrast
from bayes_ptsd.evidence.readings import AVERAGED
from bayes_ptsd.exact.printed import fit_exact, needs_sd
from bayes_ptsd.prior_family import PRIOR_FAMILY
from bayes_ptsd.provenance import DEFAULT_SEED, EXACT_SETTINGS, OWN_ENGINE, make_result_id
from bayes_ptsd.readings.weights import chosen_weights
from bayes_ptsd.store import ResultStore
from bayes_ptsd.store.report_origin import PATIENT_KINDS
from bayes_ptsd.store.results import load_whole
from bayes_ptsd.trial import Endpoint, Trial

__all__ = [
    "HEADLINE_PRIORS",
    "Contents",
    "PatientOutcome",
    "Row",
    "analysis_name",
    "patient_outcomes",
    "primary_rows",
]

HEADLINE_PRIORS = ("flat", "skeptical", "enthusiastic", "cochrane")
Cell = tuple[str, str, str, str]
Row = tuple[str, str]
"""A contrast and the reading it is seen under."""

# Reconstructed sets for the page: as many as a run pools (`bayes_ptsd.reanalysis`), few on a quick
# page, where the spread between sets is told roughly.
SETS, QUICK_SETS = 20, 5
NAMES = {
    "crossover": "crossover",
    "first_period": "first period",
    "first_period_adjusted": "first period, adjusted for a later measurement",
    "first_period_longitudinal": "first period, averaged over visits",
    "parallel": "parallel groups",
}


@dataclass(frozen=True)
class Contents:
    """Everything the sections draw on; each part is read or computed when it is first used.

    What `store` lacks is computed, and not stored unless it `keeps`. `EvidenceError` if no
    treatment contrast is printed.
    """

    evidence: Evidence  # of kind "published"
    store: ResultStore | None = None
    priors: tuple[str, ...] = tuple(PRIOR_FAMILY)  # names in the family
    conventions: tuple[str, ...] = ("T", "N")  # ("T",) for a shorter page
    seconds: Mapping[str, float] = field(default_factory=dict)  # by stage of the run
    seed: int = DEFAULT_SEED  # of the draws, part of the identity of a stored result
    reading_weights: Mapping[str, float] | None = None  # set by hand; else those of print
    keeps: bool = False  # store what sections compute beyond the posteriors of their rows

    def __post_init__(self) -> None:
        """Refuse evidence without a contrast."""
        if not contrast_names(self.evidence):
            raise EvidenceError(
                f"{self.evidence.source}: no printed treatment contrast to report; effects.csv "
                "needs a row whose term is 'treatment'"
            )

    @cached_property
    def table(self) -> xr.Dataset:
        """Comparison under convention T."""
        return self._compare("T")

    @cached_property
    def normal(self) -> xr.Dataset | None:
        """Comparison under convention N, unless left out."""
        return None if self.quick else self._compare("N")

    @cached_property
    def cells(self) -> dict[Cell, dict[str, Any]]:
        """Comparison by convention, contrast, reading and prior, as plain values."""
        keys = ("convention", "contrast", "crossover_reading", "prior")
        tables = [self.table] if self.normal is None else [self.table, self.normal]
        records = [line for table in tables for line in _records(comparison_frame(table))]
        return {
            (line[keys[0]], line[keys[1]], line[keys[2]], line[keys[3]]): line for line in records
        }

    @cached_property
    def rows(self) -> dict[str, dict[str, Any]]:
        """Printed rows by contrast, as plain values."""
        return {
            line["contrast"]: line for line in _records(self.effects.to_dataframe().reset_index())
        }

    @cached_property
    def primary(self) -> list[Row]:
        """Contrast and reading of the headline rows."""
        return primary_rows(self.evidence)

    @property
    def quick(self) -> bool:
        """Whether the page is the shorter one, under convention T alone."""
        return "N" not in self.conventions

    @property
    def sets(self) -> int:
        """Number of reconstructed sets of patients that sections load."""
        return QUICK_SETS if self.quick else SETS

    @property
    def main(self) -> Endpoint:
        """Endpoint of the headline rows."""
        return self.endpoint(self.primary[0][0])

    @cached_property
    def weights(self) -> tuple[dict[str, float], str]:
        """Weight of each reading of the crossover contrast and where it is from, or why none."""
        return chosen_weights(self.evidence, self.reading_weights)

    @cached_property
    def headline(self) -> list[Row]:
        """Columns of the headline: the headline rows, a crossover first averaged over readings."""
        found: list[Row] = []
        for name, reading in self.primary:
            crossed = self.analysis(name) == "crossover" and reading == "as_published"
            found += [(name, AVERAGED)] if crossed and self.weights[0] else []
            found.append((name, reading))
        return found

    @cached_property
    def fits(self) -> dict[Row, list[xr.DataTree]]:
        """Exact fits of the headline rows under convention T, one per prior."""
        return {row: self._fits(row) for row in self.primary}

    @cached_property
    def findings(self) -> xr.DataTree:
        """The audit."""
        return audit_evidence(self.evidence)

    @cached_property
    def sidecars(self) -> dict[str, dict[str, Any]]:
        """What the store says about each of its results, by id."""
        entries = [] if self.store is None else self.store.catalog()
        return {str(entry["result_id"]): entry for entry in entries}

    @property
    def trial(self) -> Trial:
        """The trial."""
        return self.evidence.trial

    @property
    def kind(self) -> str:
        """Kind of evidence, for every caption."""
        return self.evidence.kind

    @cached_property
    def effects(self) -> xr.Dataset:
        """Printed rows."""
        return self.evidence.data["effects"].to_dataset()

    @cached_property
    def contrasts(self) -> list[str]:
        """Ids of the treatment contrasts."""
        return contrast_names(self.evidence)

    def analysis(self, contrast: str) -> str:
        """Return the analysis of a contrast."""
        return str(self.rows[contrast]["analysis"])

    def endpoint(self, contrast: str) -> Endpoint:
        """Return the endpoint of a contrast."""
        return self.trial.endpoint(str(self.rows[contrast]["endpoint"]))

    def digits(self, contrast: str) -> int:
        """Return the decimals that numbers in the unit of a contrast deserve."""
        sd = self.endpoint(contrast).reference_sd
        ratio = printed_scale(self.rows[contrast]) is not None
        return 1 if not ratio and (sd is None or sd >= 3) else 2

    def priors_of(self, contrast: str) -> list[str]:
        """Return the priors that a contrast has: all, or those that need no reference SD."""
        return [one for one in self.priors if not needs_sd(one, self.endpoint(contrast))]

    def row_name(self, contrast: str) -> str:
        """Return the name of a contrast for people: endpoint, analysis, time."""
        star = " *" if contrast.endswith("*") else ""
        when = str(self.rows[contrast]["timepoint"])
        parts = [self.endpoint(contrast).label + star, analysis_name(self.analysis(contrast)), when]
        return ", ".join(part for part in parts if part)

    def _compare(self, convention: str) -> xr.Dataset:
        """Return the comparison under one convention."""
        return compare(
            self.evidence,
            convention=convention,
            priors=self.priors,
            store=self.store,
            seed=self.seed,
            reading_weights=self.reading_weights,
        )

    def _fits(self, row: Row) -> list[xr.DataTree]:
        """Return the exact fits of one headline row, from the store where it has them."""
        selected = select_contrast(self.evidence, row[0], crossover_reading=row[1])
        fits = []
        for prior in self.priors_of(row[0]):
            spec = model_of(selected, convention="T", prior=prior)
            result_id = make_result_id(selected, spec, settings=EXACT_SETTINGS, seed=self.seed)
            known = [result_id] if result_id in self.sidecars else []
            found = [] if self.store is None else load_whole(self.store, known)
            fits += found or [fit_exact(selected, spec, seed=self.seed)]
        return fits


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the lines of a table as plain values."""
    return [{str(key): value for key, value in line.items()} for line in frame.to_dict("records")]


def analysis_name(analysis: str) -> str:
    """Return the name of an analysis for people."""
    return NAMES.get(analysis, analysis.replace("_", " "))


def primary_rows(evidence: Evidence) -> list[Row]:
    """Return the first endpoint's main rows, each a contrast and reading; a crossover in both.

    All rows of that endpoint if it has no crossover, first-period or parallel one.
    """
    analysis = evidence.data["effects"]["analysis"]
    rows = []
    for name in primary_contrasts(evidence):
        crossover = str(analysis.sel(contrast=name).item()) == "crossover"
        rows += [(name, reading) for reading in (READINGS if crossover else READINGS[:1])]
    return rows


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
    def arms(self) -> dict[str, str]:
        """Names of the active and the control treatment."""
        return {arm: str(self.attrs[arm]) for arm in ("active", "control")}

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
        """Return the fits under one model, one per prior: the newest of each, sampled here first.

        What somebody sampled outside this package stands in where it has nothing of its own.
        """
        chosen = [fit for fit in self.fits if fit.attrs["model"] == model]
        chosen.sort(key=lambda fit: fit.attrs["engine"] != OWN_ENGINE)
        return list({(fit.attrs["prior"], fit.attrs["prior_formula"]): fit
                     for fit in chosen}.values())  # fmt: skip


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
    outcomes = []
    for group in grouped.values():
        fits = load_whole(store, (entry["result_id"] for entry in group))
        created = {entry["result_id"]: str(entry["created"]) for entry in group}
        outcomes += [PatientOutcome(tuple(fits), created)] if fits else []
    return outcomes
