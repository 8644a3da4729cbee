"""What is odd about a patient file that could be read: columns swapped, codes, ids alike.

What would be certain to mislead is refused; the rest is a note, which a stored result keeps among
its warnings. The rules are held against public files and simulated scores in the tests, so that
ordinary data raise no alarm.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence.cell_values import cell_text
from bayes_ptsd.evidence.patient_cells import distinct_cells
from bayes_ptsd.evidence.patient_columns import Layout
from bayes_ptsd.evidence.patient_files import Refusal
from bayes_ptsd.evidence.patient_subjects import Subjects
from bayes_ptsd.trial import Trial

__all__ = [
    "covariate_notes",
    "ids_alike",
    "nobody_crossed",
    "refuse_swapped",
    "score_notes",
    "strangers",
]

FloatArray = npt.NDArray[np.float64]

# the repeated digits, and their neighbors, that statistical programs and forms use for missing;
# single 7, 8 and 9 are counts and categories too often
CODES = frozenset(
    float(sign * number)
    for sign in (1, -1)
    for number in (99, 98, 97, 88, 77, 999, 998, 997, 888, 777, 9999, 9998, 9997, 8888, 7777,
                   99999, 88888, 999999)
) | {-9.0, -8.0, -7.0}  # fmt: skip
# codes that are ordinary scores now and then: once is not enough
REPEATED = frozenset({98.0, 97.0, 88.0, 77.0, -98.0, -97.0, -88.0, -77.0, -8.0, -7.0})
# fewer distinct scores have no extent that something could be far outside of
DISTINCT = 5
# a code is outside by twice the widest gap between the other scores, and by a tenth of their range
GAPS, TENTH = 2.0, 0.1
# any other number by three times the range of at least ten others, on the logarithmic scale, too,
# by their range: of 1,600 trials each of 12 to 200 scores, normal, lognormal of SD 1.5, t with 3
# degrees of freedom, and counts, fewer than one in a hundred has one
RANGES, OTHERS = 3.0, 10
# no more than a tenth of the scores can be typing errors
FEW = 0.1


# rows that show whether it is worth while to look at all of them
SOME = 50


def refuse_swapped(rows: pd.DataFrame, trial: Trial, layout: Layout, *, where: str) -> None:
    """Refuse a file whose column of subjects holds the labels of another column.

    Everything else that could be said of such a file would quote ids.
    """
    known = {
        "treatment": {trial.active, trial.control},
        "sequence": set(trial.sequences),
        "visit": set(trial.visits),
        "endpoint": set(trial.endpoints),
    }
    first = {cell_text(cell)[0] for cell in rows["subject"].head(SOME)} - {None}
    for role, labels in known.items():
        column = layout.columns.get(role)
        if column is None or not first or not first <= labels:
            continue
        ids = {cell_text(cell)[0] for cell in distinct_cells(rows["subject"])[1]} - {None}
        found = {cell_text(cell)[0] for cell in distinct_cells(rows[role])[1]} - {None}
        if ids <= labels and not found & labels:
            raise EvidenceError(
                f"{where}: column '{column}' has {len(found)} different labels, none of them a "
                f"{role} of the trial, and column '{layout.columns['subject']}' has the {role}s; "
                "are the two columns swapped?"
            )


def strangers(values: FloatArray) -> list[tuple[FloatArray, FloatArray]]:
    """Return the scores far outside the others, each kind of them with these others."""
    scores = np.asarray(values, dtype=float)
    scores = scores[np.isfinite(scores)]
    found = []
    codes = np.isin(scores, [*CODES])
    others = scores[~codes]
    for code in np.unique(scores[codes]):
        once = (scores == code).sum() == 1
        if not (once and code in REPEATED) and _code_stands_out(code, np.unique(others)):
            found.append((np.array([code]), others))
    apart = np.concatenate([code for code, _ in found]) if found else np.array([])
    rest = scores[~np.isin(scores, apart)]
    extreme = _far_apart(rest)
    if extreme.size:
        found.append((extreme, rest[~np.isin(rest, extreme)]))
    return found


def _code_stands_out(code: float, others: FloatArray) -> bool:
    """Tell a code of missing from a score that happens to be 99, by the gaps of the others."""
    if len(others) < DISTINCT or others[0] <= code <= others[-1]:
        return False
    distance = max(others[0] - code, code - others[-1])
    gap, extent = float(np.diff(others).max()), others[-1] - others[0]
    return bool(distance >= GAPS * gap and distance >= TENTH * extent)


def _far_apart(scores: FloatArray) -> FloatArray:
    """Return the few distinct scores beyond a gap that is wider than all others are apart."""
    levels = np.unique(scores)
    if len(levels) <= DISTINCT:
        return np.array([])
    place = int(np.argmax(np.diff(levels))) + 1
    parts = levels[:place], levels[place:]
    few, many = sorted(parts, key=lambda part: int(np.isin(scores, part).sum()))
    share = np.isin(scores, few).mean()
    gap, extent = levels[place] - levels[place - 1], many[-1] - many[0]
    if len(many) < OTHERS or share > FEW or gap <= RANGES * extent:
        return np.array([])
    if levels[0] >= 0:
        logs = np.log1p(levels) if levels[0] < 1 else np.log(levels)
        ends = np.log1p(many[[0, -1]]) if levels[0] < 1 else np.log(many[[0, -1]])
        if logs[place] - logs[place - 1] <= ends[1] - ends[0]:
            return np.array([])
    return few


def score_notes(parsed: pd.DataFrame, trial: Trial) -> list[str]:
    """Warn of scores and baselines that are far outside the others of their endpoint."""
    notes = []
    for key, rows in parsed.groupby("endpoint", sort=False):
        if trial.endpoint(str(key)).kind == "binary":
            continue
        of = f"endpoint '{key}': " if len(trial.endpoints) > 1 else ""
        notes += [of + note for note in _notes(rows["value"].to_numpy(), "score")]
        baselines = rows.drop_duplicates(["subject", "period"])["baseline"]
        notes += [of + note for note in _notes(baselines.to_numpy(), "baseline")]
    return notes


def _notes(values: FloatArray, what: str) -> list[str]:
    """Say which numbers are far outside the others."""
    notes = []
    for few, others in strangers(values):
        count = int(np.isin(values, few).sum())
        listed = " and ".join(f"{one:g}" for one in few) if len(few) < 3 else (
            f"{few[0]:g} to {few[-1]:g}"
        )  # fmt: skip
        verb = f"s are {listed}" if count > 1 else f" is {listed}"
        question = "a code of missing?" if set(few) <= CODES else "a code of missing, or an error?"
        notes.append(
            f"{count} {what}{verb}, far outside the others ({others.min():g} to "
            f"{others.max():g}): {question}"
        )
    return notes


def nobody_crossed(parsed: pd.DataFrame, trial: Trial) -> list[str]:
    """Say that no patient of a crossover has a score in both periods."""
    if trial.design != "crossover" or parsed.empty:
        return []
    scored = parsed.dropna(subset=["value"])[["subject", "period"]].drop_duplicates()
    if scored["subject"].duplicated().any():
        return []
    return ["no patient has a score in both periods; if some should, look at how ids are written"]


def ids_alike(
    parsed: pd.DataFrame, subjects: Subjects, trial: Trial
) -> tuple[list[Refusal], list[str]]:
    """Refuse ids that differ in writing only and complete each other, warn of others alike.

    Two ids complete each other if no period, visit and endpoint has a score of both and, in a
    crossover, both have the same sequence.
    """
    if not subjects.why_alike:
        return [], []
    alike = pd.Series(subjects.alike)[parsed.index]
    known = parsed.assign(alike=alike)[alike.isin([*subjects.why_alike])]
    label = "sequence" if trial.design == "crossover" else "treatment"
    places = ["alike", "period", "visit", "endpoint"]
    owners = known.groupby(places, sort=False)["subject"].nunique()
    collide = set(owners.index.get_level_values("alike")[owners > 1])
    orders = known.dropna(subset=[label]).groupby("alike", sort=False)[label].nunique()
    collide |= set(orders.index[orders > 1])
    refusals: list[Refusal] = []
    notes = []
    for why in sorted(set(subjects.why_alike.values())):
        groups = {one for one, reason in subjects.why_alike.items() if reason == why}
        rows = known[known["alike"].isin(groups - collide)]
        if len(rows):
            reason = (
                f"subject: these rows have {rows['subject'].nunique()} ids, but only "
                f"{rows['alike'].nunique()} if {why} do not count, and they complete each other: "
                "write the id of one patient in one way, or make ids differ by more"
            )
            refusals += [(row, reason) for row in rows["row"]]
        if count := known[known["alike"].isin(groups & collide)]["alike"].nunique():
            notes.append(
                f"{count} times two ids differ only in {why}; they were read as different patients"
            )
    return refusals, notes


# a whole number of 20 categories at most is a code more often than a measurement; ages of adults
# have more values, and two values are the same model as a slope or as categories
MOST_CATEGORIES = 20
# patients a value has on average: fewer, and it would make a poor category
SHARED = 3
FACTOR_NAMES = ("site", "center", "centre", "race", "ethnic", "country", "region", "strat", "block",
                "hospital", "clinic", "school", "ward", "investigator", "arm", "group")  # fmt: skip


def covariate_notes(covariates: xr.Dataset | None) -> list[str]:
    """Warn of covariates that are read as numbers and look like codes, or have a number far out."""
    notes = []
    for name, values in ({} if covariates is None else covariates.data_vars).items():
        if values.dtype.kind not in "fiub":
            continue
        there = values.values[np.isfinite(values.values)]
        levels = np.unique(there)
        whole = bool((levels % 1 == 0).all())
        named = any(part in str(name).casefold() for part in FACTOR_NAMES)
        few = len(levels) <= MOST_CATEGORIES and len(there) >= SHARED * len(levels)
        if whole and len(levels) > 2 and (few or named):
            notes.append(
                f"covariate '{name}' is {len(levels)} different whole numbers ({levels[0]:g} to "
                f"{levels[-1]:g}) and was read as a number, one slope; if they are codes of "
                f'categories, write factors = ["{name}"] below [data] in the trial file'
            )
        notes += [f"covariate '{name}': {note}" for note in _notes(there, "value")]
    return notes
