"""Patient and trial files out: templates to fill in, and patients that the reader takes back."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayes_ptsd.errors import EvidenceError, SpecError, shown
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.patient_arrays import outcomes_of
from bayes_ptsd.evidence.patient_columns import KIND_COLUMN
from bayes_ptsd.evidence.published import EFFECTS
from bayes_ptsd.evidence.side_tables import COLUMNS
from bayes_ptsd.trial import DESIGNS, Endpoint, Trial
from bayes_ptsd.whole_files import write_new

__all__ = [
    "patients_csv",
    "trial_toml",
    "write_patients",
    "write_printed_template",
    "write_template",
]

HEADER = """\
# Describe the trial, then fill patients.csv. Lines that begin with # can stay or go.
# In patients.csv: one row per subject, period, visit and endpoint; an empty score is a missing one.
"""
PRINTED_HEADER = """\
# Describe the trial, then fill effects.csv: a row per printed difference, with its interval or P;
# a ratio, a standard error or counts in the columns from measure on. The other tables are
# optional; a row there is a printed line. Lines that begin with # can go.
"""
PRINTED_HINTS = """\
# range = [0, 60]        # lowest and highest possible score, whole numbers; optional
# mcid = 5.0             # minimal clinically important difference; optional
# reference_sd = 9.0     # total SD of the score, of which most priors are multiples; optional
"""
# the endpoint of a template: every field that a trial file can give has a value to be replaced
SCORE = Endpoint("score", "Name for people", "continuous", "lower", range=(0.0, 100.0), mcid=5.0)
PRINTED_SCORE = Endpoint("score", "Name for people", "continuous", "lower")
# a spreadsheet computes these; -7d and +24h are labels of visits
FORMULA = re.compile(r"[=@\t\r]|[-+](?!\d[\w.]*$)")
HINTS = {
    "[treatments]": "# a positive difference will mean that the active treatment is better",
    "[sequences]": "# label in the data = order of treatments",
    "[visits]": "# label in the data = hours after treatment, in order; only if there are several",
    "kind": '# or "ordinal", "binary"',
    "better": '# or "higher"',
    "range": "# lowest and highest possible score; optional",
    "mcid": "# minimal clinically important difference; optional",
}


def trial_toml(trial: Trial) -> str:
    """Return a trial as TOML that `load_trial` reads back, without ``columns`` and ``data``.

    What is written with it is long, has role names and decimal points, and needs neither.
    """
    lines = ["schema = 1", *_pairs({k: getattr(trial, k) for k in ("name", "title", "design")})]
    lines += ["", "[treatments]", *_pairs({"active": trial.active, "control": trial.control})]
    lines += ["", "[sequences]", *_pairs(trial.sequences)] if trial.sequences else []
    lines += ["", "[visits]", *_pairs(trial.visits)] if trial.visits else []
    for key, endpoint in trial.endpoints.items():
        given = {
            name: value
            for name, value in vars(endpoint).items()
            if name != "id" and value not in (None, "")
        }
        lines += ["", f"[endpoints.{_key(key)}]", *_pairs(given)]
    return "\n".join(lines) + "\n"


def write_template(
    folder: str | Path, trial: Trial | None = None, *, design: str = "crossover"
) -> tuple[Path, Path]:
    """Write ``trial.toml`` and ``patients.csv`` without patients, to be filled in.

    Files that exist are not overwritten. Without a trial, the trial file has places to fill in.
    """
    text = trial_toml(trial) if trial else HEADER + _with_hints(trial_toml(_to_describe(design)))
    files = (Path(folder) / "trial.toml", Path(folder) / "patients.csv")
    names = _names(trial or _to_describe(design), visits=bool(trial and trial.visits))
    contents = (text, ",".join(names) + "\n")
    _write_new(dict(zip(files, contents, strict=True)))
    return files


def write_printed_template(
    folder: str | Path, trial: Trial | None = None, *, design: str = "crossover"
) -> list[Path]:
    """Write ``trial.toml`` and the tables of a folder of printed numbers, to be filled in.

    ``effects.csv`` has a row per endpoint with its id and analysis, the other tables their header.
    Files that exist are not overwritten. Without a trial, the trial file has places to fill in.
    """
    described = trial or replace(_to_describe(design), endpoints={"score": PRINTED_SCORE})
    text = trial_toml(described)
    contents = {"trial.toml": text if trial else PRINTED_HEADER + _with_hints(text, PRINTED_HINTS)}
    contents["effects.csv"] = "\n".join([",".join(EFFECTS), *_rows_to_fill(described)]) + "\n"
    for name, (required, optional) in COLUMNS.items():
        contents[f"{name}.csv"] = ",".join((*required, *optional)) + "\n"
    files = {Path(folder) / name: content for name, content in contents.items()}
    _write_new(files)
    return list(files)


def _rows_to_fill(trial: Trial) -> list[str]:
    """Return a row of effects.csv per endpoint, empty but for its id, endpoint and analysis."""
    analysis = "crossover" if trial.design == "crossover" else "parallel"
    known = {"analysis": analysis}
    rows = [known | {"id": key.upper(), "endpoint": key} for key in trial.endpoints]
    return [",".join(row.get(column, "") for column in EFFECTS) for row in rows]


def write_patients(
    evidence: Evidence, path: str | Path, *, trial_file: str | Path | None = None
) -> Path:
    """Write `patients_csv` to a new file that `load_patients` takes back.

    With `trial_file` the trial is written there; both files are written, or neither.
    """
    path = Path(path)
    if path.suffix.lower() != ".csv":
        raise EvidenceError(f"{path}: patients are written as CSV; end the name in .csv")
    contents = {path: patients_csv(evidence)}
    if trial_file is not None:
        contents[Path(trial_file)] = trial_toml(evidence.trial)
    _write_new(contents)
    return path


def patients_csv(evidence: Evidence) -> str:
    """Return patients as long CSV: one row per subject, period, visit and endpoint.

    Missing scores are empty. What is not a real patient says so in the column ``evidence_kind``,
    and is read back as what it is.
    """
    return _table(evidence).to_csv(index=False, lineterminator="\n")


def _to_describe(design: str) -> Trial:
    """Return a trial with places to fill in."""
    if design not in DESIGNS:
        raise SpecError(f"design '{design}' is none of {', '.join(DESIGNS)}")
    active, control = "active drug", "control drug"
    orders = {"AB": (active, control), "BA": (control, active)}
    return Trial(
        name="my-trial",
        title="Title for people",
        design="crossover" if design == "crossover" else "parallel",
        active=active,
        control=control,
        endpoints={"score": SCORE},
        sequences=orders if design == "crossover" else {},
    )


def _with_hints(text: str, more: str = "") -> str:
    """Put a hint behind the lines that need one, and `more` behind the endpoint."""
    lines = [*text.splitlines(), *more.splitlines()]
    lines += ["", "# [visits]", HINTS["[visits]"], '# "24h" = 24.0']
    hinted = (
        f"{line}  {hint}" if (hint := HINTS.get(line.partition(" ")[0])) else line for line in lines
    )
    return "\n".join(hinted) + "\n"


def _names(trial: Trial, *, visits: bool) -> list[str]:
    """Return the columns that a patient file of this trial needs, and the baseline."""
    names = ["subject", *(["sequence", "period"] if trial.design == "crossover" else [])]
    names += ["treatment", *(["visit"] if visits else [])]
    names += ["endpoint"] if len(trial.endpoints) > 1 else []
    return [*names, "value", "baseline"]


def _table(evidence: Evidence) -> pd.DataFrame:
    """Return one row per subject, period and scored pair of visit and endpoint, as text."""
    outcomes, trial = outcomes_of(evidence), evidence.trial
    scored = outcomes["value"].notnull().any(("subject", "period")).rename("scored")
    dims = list(outcomes["value"].dims)
    table = outcomes.assign(scored=scored).to_dataframe(dim_order=dims).reset_index()
    table = table[table["scored"]]
    names = _names(trial, visits=len(trial.visits) > 1 or outcomes.sizes["visit"] > 1)
    if "covariates" in evidence.data.children:
        further = evidence.data["covariates"].to_dataset().to_dataframe()
        table = table.join(further, on="subject")
        names += list(map(str, further.columns))
    if evidence.kind != "patients":
        table[KIND_COLUMN] = evidence.kind
        names.append(KIND_COLUMN)
    return table[[name for name in names if name in table]].map(_text)


def _text(value: object) -> str:
    """Return a cell as text: whole numbers without a point, nothing where missing."""
    if isinstance(value, float):
        return "" if np.isnan(value) else repr(int(value) if value.is_integer() else value)
    text = str(value)
    if FORMULA.match(text):
        raise EvidenceError(
            f"the label '{shown(text)}' is a formula to a spreadsheet that opens the file; begin "
            "it with a letter"
        )
    return text


def _pairs(table: Mapping[str, Any]) -> list[str]:
    """Return lines of TOML."""
    return [
        f"{_key(key)} = {json.dumps(value, ensure_ascii=False)}" for key, value in table.items()
    ]


def _key(key: str) -> str:
    """Return a key of TOML, quoted where it has to be."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key, ensure_ascii=False)


def _write_new(contents: Mapping[Path, str]) -> None:
    """Write files that are not there yet, all or none, and the folders they are in."""
    encoded = {path: text.encode() for path, text in contents.items()}
    write_new(encoded, error=EvidenceError, parents=True)
