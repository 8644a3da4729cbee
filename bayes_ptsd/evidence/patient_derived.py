"""What a patient file leaves to its trial file: sequences, treatments and means of replicates.

Sequence and treatment of a crossover follow from each other where [sequences] has the orders, and
scores of the same thing are averaged where [data] says so. Nothing is derived without being asked
for, and a note says what was.
"""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from bayes_ptsd.trial import Trial

__all__ = ["average_replicates", "averaged", "fill_labels", "followed", "remedy", "to_average"]

REPLICATE = ["subject", "period", "visit", "endpoint"]
"""Rows that agree in these are measurements of the same thing."""


def followed(columns: Collection[str], trial: Trial) -> str | None:
    """Return the role without a column that follows from the other by [sequences]."""
    if trial.design != "crossover" or not trial.sequences:
        return None
    missing = [role for role in ("sequence", "treatment") if role not in columns]
    return missing[0] if len(missing) == 1 else None


def remedy(role: str, columns: Collection[str], trial: Trial) -> str:
    """Return what the trial file may say in place of a column that is missing."""
    if trial.design != "crossover" or role in trial.columns:
        return ""
    if role == "period":
        return "; for one column per period write period_1 and period_2 under [columns]"
    other = {"sequence": "treatment", "treatment": "sequence"}.get(role)
    if other not in columns or trial.sequences:
        return ""
    first, second = f'"{trial.active}"', f'"{trial.control}"'
    return (
        f"; or write [sequences] in the trial file, label = [{first}, {second}] and label = "
        f"[{second}, {first}], and it follows from {other}"
    )


def fill_labels(
    parsed: pd.DataFrame, columns: Collection[str], trial: Trial
) -> tuple[pd.DataFrame, list[str]]:
    """Fill in the sequences or treatments that the file has no column of, with a note.

    The sequence of a patient is that of the first row with a treatment; rows that contradict it
    are left to the checks.
    """
    role = followed(columns, trial)
    if role is None:
        return parsed, []
    places = [
        (label, period, treatment)
        for label, order in trial.sequences.items()
        for period, treatment in enumerate(order, 1)
    ]
    if role == "treatment":
        treatments = {(label, period): treatment for label, period, treatment in places}
        given = zip(parsed["sequence"], parsed["period"], strict=True)
        found = [treatments.get(place) for place in given]
        filled = pd.Series(found, index=parsed.index, dtype=object)
        said = "treatments follow from sequence and period"
    else:
        labels = {(period, treatment): label for label, period, treatment in places}
        given = zip(parsed["period"], parsed["treatment"], strict=True)
        found = [labels.get(place) for place in given]
        each = pd.Series(found, index=parsed.index, dtype=object)
        filled = each.groupby(parsed["subject"]).transform("first")
        said = "sequences follow from the treatments by period"
    note = f"{said}, by [sequences] of the trial file: the patient file has no column of them"
    return parsed.assign(**{role: filled}), [note]


def averaged(parsed: pd.DataFrame, trial: Trial) -> pd.Series:
    """Tell the rows of endpoints whose replicates the trial file has averaged: continuous ones."""
    asked = trial.data.replicates == "mean"
    kept = [key for key, one in trial.endpoints.items() if asked and one.kind == "continuous"]
    return parsed["endpoint"].isin(kept)


def to_average(endpoint: str, trial: Trial) -> str:
    """Return what the trial file may say of scores of the same thing, to end a refusal of them."""
    kind = trial.endpoints[endpoint].kind if endpoint in trial.endpoints else ""
    if kind == "continuous":
        return '; if both were measured, replicates = "mean" under [data] averages them'
    return f"; a {kind} endpoint has no mean" if trial.data.replicates == "mean" else ""


def average_replicates(parsed: pd.DataFrame, trial: Trial) -> tuple[pd.DataFrame, list[str]]:
    """Average scores of one patient, period, visit and endpoint, without missing ones; and say so.

    Means are arithmetic, of scores as recorded, also of endpoints analyzed by their logarithm.
    Whatever else belongs to such rows is the same in all of them.
    """
    asked = averaged(parsed, trial)
    again = asked & parsed.duplicated(REPLICATE, keep=False) if asked.any() else asked
    if not again.any():
        return parsed, []
    groups = parsed[again].groupby(REPLICATE, sort=False)
    changed = parsed.copy()
    changed.loc[again, "value"] = groups["value"].transform("mean")
    changed.loc[again, "baseline"] = groups["baseline"].transform("first")
    counts = groups["value"].count()
    scored, lost = int(counts.sum()), int(again.sum() - counts.sum())
    note = f"{scored} scores of the same subject, period, visit and endpoint averaged to "
    note += f"{(counts > 0).sum()}" + (f"; {lost} missing ones left out" if lost else "")
    return changed.drop_duplicates(REPLICATE), [note]
