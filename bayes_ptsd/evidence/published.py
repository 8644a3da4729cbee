"""Printed estimates as data: read once, signs converted once, with their place in the paper.

Every treatment difference is positive when the active treatment is better, whatever sign it was
printed with. A row keeps the digits it was printed with, so that an audit can ask which numbers
could have been rounded to it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayes_ptsd.display import listed
from bayes_ptsd.errors import EvidenceError, SpecError, nearest
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.csv_table import Table, read_table
from bayes_ptsd.evidence.intervals import FloatArray, interval, se_from_interval, se_from_p
from bayes_ptsd.evidence.measured_rows import (
    ROW_WORDS,
    WORDS,
    MeasuredRow,
    analyzed_trial,
    ask_for_measures,
    p_bound,
    printed_words,
    read_measured,
    split_bounds,
)
from bayes_ptsd.evidence.readings import crossover_reading_of
from bayes_ptsd.evidence.side_tables import SIDE_TABLES, read_side_table
from bayes_ptsd.trial import PRINTED_SIGNS, Trial, load_trial, printed_sign

__all__ = [
    "ANALYSES",
    "EFFECTS",
    "contrast_names",
    "load_published",
    "primary_contrasts",
    "select_contrast",
    "sole_contrast",
]

ANALYSES = (
    "crossover", "first_period", "first_period_adjusted", "first_period_longitudinal", "parallel"
)  # fmt: skip
EFFECTS = (
    "id", "endpoint", "analysis", "timepoint", "term", "estimate", "ci_low", "ci_high", "p_value",
    "n", "n_active", "n_control", "df", "df_basis", "n_stated", "df_stated", "sign_as_printed",
    "section", "cell", "provenance", *WORDS,
)  # fmt: skip
"""Columns of effects.csv, in the order of a template."""
MAIN_ANALYSES = ("crossover", "first_period", "parallel")
REQUIRED = ("id", "endpoint", "analysis", "estimate", "sign_as_printed")
OPTIONAL = tuple(name for name in EFFECTS if name not in REQUIRED)
IntArray: TypeAlias = NDArray[np.int64]
TEXTS = (
    "endpoint", "analysis", "timepoint", "term", "section", "cell", "provenance",
    "sign_as_printed", "df_basis",
)  # fmt: skip
PRINTED = ("estimate", "ci_low", "ci_high", "p_value")
STATED = ("n_stated", "df_stated")
SCORE_UNITS = ("estimate", "ci_low", "ci_high", "interval_low", "interval_high", "se")


def load_published(folder: str | Path | None = None) -> Evidence:
    """Read what a trial report printed.

    Parameters
    ----------
    folder : str or Path, optional
        A folder with `trial.toml` and `effects.csv`, and any of `baseline.csv`, `flow.csv`,
        `adverse_events.csv`, `design.csv` and `claims.csv`, which may be without rows; without it,
        the numbers of Feder et al. 2014 [1]_. A row needs its estimate with an interval or a P, or
        the words of any measure (`bayes_ptsd.evidence.measures.ROW`).

    Returns
    -------
    Evidence
        Of kind ``"published"``. Node `effects` has one row per printed estimate along `contrast`:
        estimate, ci_low, ci_high (as printed, NaN where not), interval_low, interval_high (for
        every row), se and their score units; p_value; df (infinite where none is given); n,
        n_active, n_control; n_stated and df_stated, by the paper's own count where the analysis
        has others, else NaN; and the digits each number was printed with (-1: not printed). The
        standard error comes from the width of the interval and the quantile of t, or from P where
        no interval is printed (coordinate `se_source`). Differences are positive when the active
        treatment is better; coefficients of covariates (coordinate `term`) keep their sign. Ratios
        are natural logarithms; what was printed of them is in coordinate `printed` (JSON), and a P
        printed as a bound in `p_bound`.

    Raises
    ------
    EvidenceError
        If a file is missing or a cell cannot be used; file, line and column are named.
    SpecError
        If `trial.toml` is not a valid trial description.

    References
    ----------
    .. [1] Feder A et al. Efficacy of intravenous ketamine for treatment of chronic posttraumatic
       stress disorder. JAMA Psychiatry 2014;71(6):681-688.

    Examples
    --------
    >>> effects = load_published().data["effects"]
    >>> float(effects["estimate"].sel(contrast="LG.IESR.TRT"))
    8.32
    """
    if folder is None:
        place: Traversable = resources.files("bayes_ptsd.evidence") / "feder2014"
        trial, source = load_trial(), "feder2014"
    else:
        place, source = Path(folder), str(folder)
        _require_files(Path(folder))
        trial = load_trial(Path(folder) / "trial.toml")
    table = read_table(
        place / "effects.csv", f"{source}/effects.csv", required=REQUIRED, optional=OPTIONAL
    )
    table, bounds = split_bounds(table)
    measured = _check(table, trial, bounds)
    trial = analyzed_trial(table, trial, measured)
    nodes = {"effects": _effects(table, trial, measured, bounds)}
    for name in SIDE_TABLES:
        path = place / f"{name}.csv"
        if path.is_file():
            read = read_side_table(name, path, f"{source}/{name}.csv", trial=trial)
            nodes |= {} if read is None else {name: read}
    return Evidence("published", trial, xr.DataTree.from_dict(nodes), source=source)


def select_contrast(
    evidence: Evidence, contrast: str, *, crossover_reading: str = "as_published"
) -> Evidence:
    """Select one printed row, read in one way.

    Parameters
    ----------
    evidence : Evidence
        Printed numbers, as `load_published` reads them.
    contrast : str
        Id of the row, such as ``T2.IESR.X``.
    crossover_reading : str
        What the printed number of a crossover row is; other rows are read as published.

    Returns
    -------
    Evidence
        With this row only: 0-d variables. Estimate, limits and standard error (score units,
        positive when the active treatment is better) have been multiplied by ``scale``, 1 or 0.5;
        P does not change.

    Raises
    ------
    EvidenceError
        If there is no such row, or a row that is none of a crossover is read otherwise.
    SpecError
        If there is no such reading.

    Examples
    --------
    >>> row = select_contrast(load_published(), "T2.IESR.X", crossover_reading="unhalved")
    >>> row.data["effects"]["estimate"].item()
    6.35
    """
    reading = crossover_reading_of(crossover_reading)
    effects = evidence.data["effects"].to_dataset()
    known = effects["contrast"].values.tolist()
    if contrast not in known:
        raise EvidenceError(f"no printed row '{contrast}'{nearest(contrast, known)}")
    row = effects.sel(contrast=contrast)
    analysis = str(row["analysis"].item())
    if analysis != "crossover" and reading.name != "as_published":
        raise EvidenceError(
            f"'{contrast}' is a {analysis} row: crossover_reading '{reading.name}' is for "
            "crossover rows; leave it at 'as_published'"
        )
    row = row.assign({name: row[name] * reading.scale for name in SCORE_UNITS})
    # what the paper counts is for the audit: a posterior does not depend on it, nor does its id
    row = row.assign(scale=reading.scale).drop_vars(STATED)
    row = _of_its_own(row)
    return Evidence(
        evidence.kind,
        evidence.trial,
        xr.DataTree.from_dict({"effects": row}),
        assumptions={**evidence.assumptions, "crossover_reading": reading.name},
        source=evidence.source,
    )


def _of_its_own(row: xr.Dataset) -> xr.Dataset:
    """Return a row without words that it does not say: what other rows do is not part of it."""
    said = {name: bool(printed_words(row)) for name in ROW_WORDS} | {"p_bound": bool(p_bound(row))}
    return row.drop_vars([name for name in ROW_WORDS if not said[name]], errors="ignore")


def _require_files(folder: Path) -> None:
    """Refuse a folder without the two files that every printed trial needs."""
    for name in ("trial.toml", "effects.csv"):
        if not (folder / name).is_file():
            raise EvidenceError(
                f"{folder / name}: no such file; a folder of printed evidence needs trial.toml "
                "and effects.csv"
            )


def _check(table: Table, trial: Trial, bounds: list[str]) -> dict[int, MeasuredRow]:
    """Refuse rows that cannot be used, and return those that say what they are."""
    _check_words(table, trial)
    measured = read_measured(table, _signs(table, trial), bounds)
    _check_numbers(table, measured)
    ask_for_measures(table, trial, measured)
    return measured


def _effects(
    table: Table, trial: Trial, measured: Mapping[int, MeasuredRow], bounds: list[str]
) -> xr.Dataset:
    """Build the node `effects`: convert signs, then derive what is missing."""
    sign = _signs(table, trial)
    printed = _converted(table, sign)
    df = table.number("df", default=np.inf)
    variables = {**printed, **_standard_errors(table, printed, df, measured), "df": df}
    variables |= {name: table.number(name) for name in ("n", "n_active", "n_control", *STATED)}
    source = np.where(np.isnan(printed["ci_low"]), "p_value", "interval").astype(object)
    for index, row in measured.items():
        source[index] = row.result.source
        for name, value in row.cells.items():
            variables[name][index] = value
        for name, value in row.sizes.items():
            if np.isnan(variables[name][index]):
                variables[name][index] = value
    coords = {name: table.text(name) for name in TEXTS}
    coords["term"] = np.where(coords["term"] == "", "treatment", coords["term"])
    coords["se_source"] = source.astype(str)
    coords |= _words(table, measured, sign, bounds)
    coords["contrast"] = table.text("id")
    return xr.Dataset(
        {name: ("contrast", values) for name, values in variables.items()},
        {name: ("contrast", values) for name, values in coords.items()},
    )


def _words(
    table: Table, measured: Mapping[int, MeasuredRow], sign: IntArray, bounds: list[str]
) -> dict[str, NDArray[Any]]:
    """Return what rows say of themselves and the bounds on P, nothing where no row has any."""
    found: dict[str, NDArray[Any]] = {}
    if measured:
        rows = [measured.get(index) for index in range(len(table.rows))]
        found["measure"] = np.array([row.words["measure"] if row else "" for row in rows])
        found["printed"] = np.array([json.dumps(row.words) if row else "" for row in rows])
        found["print_sign"] = sign
        found["level"] = table.number("level", default=0.95)
    if any(bounds):
        found["p_bound"] = np.array(bounds)
    return found


def _check_words(table: Table, trial: Trial) -> None:
    """Refuse unknown endpoints, analyses and signs; a covariate has no sign to convert."""
    table.one_of("endpoint", tuple(trial.endpoints))
    table.one_of("analysis", ANALYSES)
    for index, row in enumerate(table.rows):
        sign, is_treatment = row["sign_as_printed"], row.get("term", "") in ("", "treatment")
        if is_treatment and not sign:
            table.refuse(
                index, "sign_as_printed",
                f"is empty; say which way the difference is printed: {', '.join(PRINTED_SIGNS)}",
            )  # fmt: skip
        if is_treatment and sign not in PRINTED_SIGNS:
            table.refuse(
                index, "sign_as_printed", f"'{sign}' is not allowed{nearest(sign, PRINTED_SIGNS)}"
            )
        if not is_treatment and sign:
            table.refuse(index, "sign_as_printed", "leave it empty for a covariate")


def _check_numbers(table: Table, measured: Mapping[int, MeasuredRow]) -> None:
    """Refuse rows whose numbers cannot be an estimate with its interval, P, df and sizes.

    Of rows that say what they are, the estimate and its precision have been read already.
    """
    sizes, freedom = ("n", "n_active", "n_control", "n_stated"), ("df", "df_stated")
    columns = {name: table.number(name) for name in (*PRINTED, *freedom, *sizes)}
    for index in range(len(table.rows)):
        row = {name: float(values[index]) for name, values in columns.items()}
        if index not in measured:
            if np.isnan(row["estimate"]):
                table.refuse(index, "estimate", "is empty; every row needs its printed estimate")
            _check_interval(table, index, row)
        if not (np.isnan(row["p_value"]) or 0 < row["p_value"] <= 1):
            table.refuse(index, "p_value", f"{row['p_value']:g} is not above 0 and at most 1")
        for name in freedom:
            if row[name] < 1:
                table.refuse(
                    index, name, f"{row[name]:g} is below 1; leave it empty for the normal"
                )
        for name in sizes:
            if row[name] < 1 or row[name] % 1 > 0:
                table.refuse(index, name, f"{row[name]:g} is not a number of patients")


def _check_interval(table: Table, index: int, row: dict[str, float]) -> None:
    """Refuse half an interval, swapped limits, an estimate outside, or neither interval nor P."""
    low, high = row["ci_low"], row["ci_high"]
    if np.isnan(low) != np.isnan(high):
        table.refuse(
            index, "ci_low" if np.isnan(low) else "ci_high", "is empty; give both limits or none"
        )
    if np.isnan(low):
        if not 0 < row["p_value"] < 1 or row["estimate"] == 0:
            table.refuse(
                index,
                "p_value",
                "without limits, a standard error needs a P value between 0 and 1 and an estimate "
                "other than 0; give ci_low and ci_high, or se",
            )
    elif low >= high:
        table.refuse(index, "ci_low", f"{low:g} is not below ci_high {high:g}; are they swapped?")
    elif not low <= row["estimate"] <= high:
        table.refuse(
            index, "estimate", f"{row['estimate']:g} is outside its interval {low:g} to {high:g}"
        )


def _signs(table: Table, trial: Trial) -> IntArray:
    """Return the factor that makes each printed number benefit-positive, +1 for covariates."""
    signs = []
    for index, row in enumerate(table.rows):
        printed = row["sign_as_printed"]
        try:
            signs.append(printed_sign(printed, trial.endpoint(row["endpoint"])) if printed else 1)
        except SpecError as error:
            table.refuse(index, "sign_as_printed", str(error))
    return np.array(signs, dtype=np.int64)


def _converted(table: Table, sign: IntArray) -> dict[str, FloatArray]:
    """Return printed numbers and decimals with the sign converted, limits in their new order."""
    low, high = table.number("ci_low"), table.number("ci_high")
    low_digits, high_digits = table.decimals("ci_low"), table.decimals("ci_high")
    flipped = sign < 0
    return {
        "estimate": sign * table.number("estimate"),
        "ci_low": np.where(flipped, -high, low),
        "ci_high": np.where(flipped, -low, high),
        "p_value": table.number("p_value"),
        "estimate_decimals": table.decimals("estimate"),
        "ci_low_decimals": np.where(flipped, high_digits, low_digits),
        "ci_high_decimals": np.where(flipped, low_digits, high_digits),
        "p_value_decimals": table.decimals("p_value"),
    }


def _standard_errors(
    table: Table,
    printed: dict[str, FloatArray],
    df: FloatArray,
    measured: Mapping[int, MeasuredRow],
) -> dict[str, FloatArray]:
    """Return standard error and interval of every row: from the width, else from P.

    NaN for rows that say what they are.
    """
    size = len(table.rows)
    se = np.full(size, np.nan)
    low, high = printed["ci_low"].copy(), printed["ci_high"].copy()
    for index in set(range(size)) - measured.keys():
        estimate, degrees = printed["estimate"][index], df[index]
        if np.isnan(low[index]):
            se[index] = se_from_p(estimate, printed["p_value"][index], df=degrees)
            low[index], high[index] = interval(estimate, se[index], df=degrees)
        else:
            se[index] = se_from_interval(low[index], high[index], df=degrees)
    return {"se": se, "interval_low": low, "interval_high": high}


def sole_contrast(evidence: Evidence) -> str:
    """Return the id of the only printed treatment contrast; refuse where one has to be named."""
    names = contrast_names(evidence)
    if len(names) != 1:
        known = f"one of {listed(names)}" if names else "but no treatment contrast is printed"
        raise SpecError(f"{evidence.source}: name a printed row: add --contrast, {known}")
    return names[0]


def primary_contrasts(evidence: Evidence) -> list[str]:
    """Return the main rows of the first endpoint that has any: crossover, first period, parallel.

    All its treatment rows where it has none of these.
    """
    effects = evidence.data["effects"].to_dataset()
    names = contrast_names(evidence)
    label = {one: dict(zip(effects["contrast"].values.tolist(), effects[one].values.tolist(),
                           strict=True)) for one in ("endpoint", "analysis")}  # fmt: skip
    printed = [label["endpoint"][name] for name in names]
    first = next((one for one in evidence.trial.endpoints if one in printed), None)
    own = [name for name in names if label["endpoint"][name] == first]
    return [name for name in own if label["analysis"][name] in MAIN_ANALYSES] or own


def contrast_names(evidence: Evidence, *, endpoint: str | None = None) -> list[str]:
    """Return the ids of the printed treatment contrasts in order, without those of covariates."""
    effects = evidence.data["effects"].to_dataset()
    keep = effects["term"] == "treatment"
    if endpoint is not None:
        keep = keep & (effects["endpoint"] == evidence.trial.endpoint(endpoint).id)
    return [str(name) for name in effects["contrast"].values[keep.values]]
