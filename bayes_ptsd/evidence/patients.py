"""Patient files as evidence: read, validated, without the ids of the subjects.

The steps: `patient_files` reads cells, `patient_layouts` makes a row of each period,
`patient_columns` says which column holds what, `patient_subjects` replaces ids, `patient_cells`
says what cells mean, `patient_derived` fills in what the trial file tells, `patient_checks`
refuses, `suspicions` warns, and what is left becomes one dense labelled array here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd
import xarray as xr

from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.patient_arrays import crossover_arrays, flow, outcome_tree
from bayes_ptsd.evidence.patient_cells import parse_rows
from bayes_ptsd.evidence.patient_checks import Orders, check_design, check_rows, refuse
from bayes_ptsd.evidence.patient_columns import KIND_COLUMN, find_columns, score_rows
from bayes_ptsd.evidence.patient_derived import average_replicates, fill_labels
from bayes_ptsd.evidence.patient_files import Refusal, read_patient_table
from bayes_ptsd.evidence.patient_layouts import rows_by_period
from bayes_ptsd.evidence.patient_subjects import (
    check_factors,
    file_key,
    known_ids,
    pseudonym,
    read_covariates,
    read_subjects,
)
from bayes_ptsd.evidence.patient_writers import write_patients, write_template
from bayes_ptsd.evidence.suspicions import (
    covariate_notes,
    ids_alike,
    nobody_crossed,
    refuse_swapped,
    score_notes,
)
from bayes_ptsd.trial import Trial, load_trial

__all__ = [
    "crossover_arrays",
    "flow",
    "load_patients",
    "pseudonym",
    "write_patients",
    "write_template",
]

PatientKind = Literal["patients", "simulated", "reconstructed"]


def load_patients(
    path: str | Path,
    trial: Trial | str | Path,
    *,
    endpoint: str | None = None,
    covariates: Sequence[str] = (),
    key: str | bytes | None = None,
) -> Evidence:
    r"""Read and validate a patient file.

    Parameters
    ----------
    path : str or Path
        CSV, TSV, Parquet, Excel, SAS (xpt, sas7bdat), Stata or SPSS; one row per subject, period
        and visit, with one column of scores for all endpoints or one per endpoint; or one row per
        subject with one column per period.
    trial : Trial, str or Path
        What the file must agree with, or its trial file. Its ``columns`` map names of the file;
        CDISC ADaM names and the role names themselves need no mapping.
    endpoint : str, optional
        Read this endpoint only.
    covariates : sequence of str, optional
        Further columns to keep, one value a subject. Columns that nobody asks for are not kept.
    key : str or bytes, optional
        Key of the pseudonyms. Without it the key is a digest of the file: the same file gives the
        same pseudonyms (and the same digest of evidence), another file gives others. Give one to
        link the patients of several files.

    Returns
    -------
    Evidence
        Of kind ``patients``, or what the column ``evidence_kind`` of the file says. Node
        ``outcomes`` has ``value(subject, period, visit, endpoint)`` and, where given,
        ``baseline(subject, period, endpoint)``, NaN where missing, in the unit of the endpoint as
        recorded (higher is not necessarily better), with coordinates ``sequence(subject)``,
        ``treatment(subject, period)`` and, where the trial has them, ``hours(visit)``; node
        ``covariates`` has one variable per covariate. Subjects are sorted by pseudonym.

    Raises
    ------
    EvidenceError
        If the file cannot be read or lacks columns, or with every row that is refused and why.
    SpecError
        If the trial is a crossover of other than two sequences and periods, or has no such
        endpoint.

    Examples
    --------
    >>> import tempfile
    >>> from bayes_ptsd.trial import Endpoint, Trial
    >>> pef = Endpoint("pef", "Peak flow", "continuous", "higher", unit="L/min")
    >>> trial = Trial("asthma", "Asthma", "crossover", "F", "S", {"pef": pef})
    >>> path = Path(tempfile.mkdtemp()) / "asthma.csv"
    >>> _ = path.write_text(
    ...     "subject,sequence,period,treatment,value\n"
    ...     "1,FS,1,F,310\n1,FS,2,S,270\n2,SF,1,S,370\n2,SF,2,F,385\n"
    ... )
    >>> load_patients(path, trial).data["outcomes"]["value"].mean("subject").values.ravel()
    array([340. , 327.5])
    """
    trial = trial if isinstance(trial, Trial) else load_trial(trial)
    check_design(trial)
    if endpoint is not None:
        trial.endpoint(endpoint)
    table, where = read_patient_table(path), str(path)
    table, named = rows_by_period(table, trial, where=where)
    layout = find_columns(table, named, where=where, endpoint=endpoint)
    check_factors(trial.data, covariates, list(table.cells.columns), where)
    quoted = known_ids(table.cells[layout.columns["subject"]])
    rows, refusals, notes = score_rows(
        table, layout, covariates=covariates, where=where, quoted=quoted
    )
    refuse_swapped(rows, trial, layout, where=where)
    secret = file_key(table.digest) if key is None else key
    subjects = read_subjects(rows, secret)
    rows["subject"] = subjects.labels
    parsed, wrong = parse_rows(
        rows, trial, layout=layout, labels=table.labels, quoted=quoted, endpoint=endpoint
    )
    if endpoint is not None:
        parsed = parsed[parsed["endpoint"] == endpoint]
    parsed, derived = fill_labels(parsed, layout.columns, trial)
    orders, unfit = check_rows(parsed, trial, quoted=quoted)
    doubtful, alike = ids_alike(parsed, subjects, trial)
    kept, varying = read_covariates(
        rows, covariates, labels=table.labels, key=secret, rules=trial.data
    )
    kind, unkind = _kind(rows)
    refusals += [
        *table.refusals, *subjects.refusals, *wrong, *unfit, *doubtful, *varying, *unkind
    ]  # fmt: skip
    if parsed.empty and not refusals:
        refusals = [(0, f"no row is of endpoint '{endpoint}'")]
    refuse(refusals, where=where, unit=table.unit)
    notes = [*table.notes, *layout.notes, *notes, *derived, *alike]
    notes += [*nobody_crossed(parsed, trial), *score_notes(parsed, trial), *covariate_notes(kept)]
    if trial.design == "crossover":
        trial = replace(trial, sequences=orders)
    parsed, means = average_replicates(parsed, trial)
    values = _values(parsed, trial, orders)
    tree = outcome_tree(values, baseline=_baseline(parsed, values), covariates=kept)
    return Evidence(kind, trial, tree, source=where, notes=(*notes, *means))


def _kind(rows: pd.DataFrame) -> tuple[PatientKind, list[Refusal]]:
    """Return what the file says about its patients; real ones where it says nothing."""
    kinds: tuple[PatientKind, ...] = get_args(PatientKind)
    said = rows.dropna(subset=[KIND_COLUMN])
    found = {str(name) for name in said[KIND_COLUMN]}
    if found <= set(kinds) and len(found) <= 1:
        return next((kind for kind in kinds if kind in found), "patients"), []
    reason = f"{KIND_COLUMN} must be one of {', '.join(kinds)}, the same in all rows"
    return "patients", [(int(said["row"].iloc[0]), reason)]


def _values(parsed: pd.DataFrame, trial: Trial, orders: Orders) -> xr.DataArray:
    """Return the scores as a dense array with its coordinates."""
    visits = [name for name in trial.visits if (parsed["visit"] == name).any()]
    visits = visits or list(parsed["visit"].unique())
    endpoints = [name for name in trial.endpoints if (parsed["endpoint"] == name).any()]
    periods = [1, 2] if trial.design == "crossover" else [1]
    label = "sequence" if trial.design == "crossover" else "treatment"
    # by now every row of a subject has the same label
    each = parsed.drop_duplicates("subject").sort_values("subject")
    subjects = each["subject"].to_numpy(dtype=object)
    codes, names = pd.factorize(each[label].to_numpy(dtype=object))
    sequence = np.array(names, dtype=str)[codes]
    treatment = np.array([orders[name] for name in names], dtype=str)[codes]
    values = xr.DataArray(
        np.full((len(subjects), len(periods), len(visits), len(endpoints)), np.nan),
        dims=("subject", "period", "visit", "endpoint"),
        coords={
            "subject": subjects,
            "period": periods,
            "visit": visits,
            "endpoint": endpoints,
            "sequence": ("subject", sequence),
            "treatment": (("subject", "period"), treatment),
        },
    )
    if trial.visits:
        values = values.assign_coords(hours=("visit", [trial.visits[name] for name in visits]))
    values.values[_cells(parsed, values)] = parsed["value"].to_numpy()
    return values


def _cells(parsed: pd.DataFrame, values: xr.DataArray) -> tuple[np.ndarray, ...]:
    """Return the place of each row in the dense array."""
    return tuple(values.indexes[str(dim)].get_indexer(parsed[dim]) for dim in values.dims)


def _baseline(parsed: pd.DataFrame, values: xr.DataArray) -> xr.DataArray | None:
    """Return the baselines as a dense array; None if there is not one."""
    given = parsed.dropna(subset=["baseline"])
    if given.empty:
        return None
    baseline = xr.full_like(values.isel(visit=0, drop=True), np.nan)
    subject, period, _, endpoint = _cells(given, values)
    baseline.values[subject, period, endpoint] = given["baseline"].to_numpy()
    return baseline.rename("baseline")
