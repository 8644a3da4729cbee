"""Patients of any AB/BA or parallel trial, recomputed from its few printed rows with SciPy."""

from __future__ import annotations

import csv
import math
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from typer.testing import CliRunner

from bayes_ptsd.cli import app
from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.patient_writers import write_patients
from bayes_ptsd.evidence.patients import load_patients
from bayes_ptsd.evidence.published import load_published
from bayes_ptsd.reconstruction.boxes import printed_row
from bayes_ptsd.reconstruction.exclusions import impossibilities
from bayes_ptsd.reconstruction.plan import plan_of
from bayes_ptsd.reconstruction.run import reconstruct
from bayes_ptsd.reconstruction.verification import verify

HEAD = "id,endpoint,analysis,timepoint,estimate,ci_low,ci_high,p_value,n,n_active,n_control,df,"
HEAD += "sign_as_printed"
# Lapidus 2014, MADRS at 24 h: 7.6 (3.9 to 11.3), 18 completers
MADRS = "M,madrs,crossover,24h,7.6,3.9,11.3,,18,,,16,benefit-positive"
MADRS_SCALE = ("madrs", "lower", "range = [0, 60]")
BASELINE = "id,characteristic,kind,n_active,value_active,spread_active,n_control,value_control,"
BASELINE += "spread_control,endpoint"


def folder(
    place: Path, design: str, endpoints: list[tuple[str, str, str]], *rows: str, **tables: str
) -> Evidence:
    """Write a folder of printed numbers and load it."""
    place.mkdir()
    lines = ["schema = 1", 'name = "own"', f'design = "{design}"']
    lines += ["[treatments]", 'active = "A"', 'control = "B"']
    for name, better, more in endpoints:
        lines += [f"[endpoints.{name}]", 'kind = "continuous"', f'better = "{better}"', more]
    place.joinpath("trial.toml").write_text("\n".join(lines))
    place.joinpath("effects.csv").write_text("\n".join([HEAD, *rows]) + "\n")
    for name, text in tables.items():
        place.joinpath(f"{name}.csv").write_text(text)
    return load_published(place)


def crossover_test(patients: Evidence, endpoint: str) -> tuple[float, float, float]:
    """Return half the t test of the two sequences' period differences: estimate and limits."""
    outcomes = patients.data["outcomes"].to_dataset().sel(endpoint=endpoint)
    score = outcomes["value"].isel(visit=0)
    moved = (score.sel(period=1) - score.sel(period=2)).values
    groups = [moved[(outcomes["sequence"].values == name) & np.isfinite(moved)]
              for name in ("BA", "AB")]  # fmt: skip
    low, high = stats.ttest_ind(*groups).confidence_interval(0.95)
    difference = groups[0].mean() - groups[1].mean()
    return tuple(float(one) / 2 for one in (difference, low, high))  # type: ignore[return-value]


@pytest.fixture(scope="module")
def lapidus(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """One crossover row of an AB/BA trial, nothing else."""
    place = tmp_path_factory.mktemp("folders") / "lapidus"
    return folder(place, "crossover", [MADRS_SCALE], MADRS)


def test_one_crossover_row_is_printed_by_whole_scores(lapidus: Evidence) -> None:
    """SciPy's t test of the sequences rounds to 7.6 (3.9 to 11.3); scores are whole, 0 to 60."""
    for patients in reconstruct(lapidus, m=2):
        found = crossover_test(patients, "madrs")
        assert [round(one, 1) for one in found] == [7.6, 3.9, 11.3]
        scores = patients.data["outcomes"]["value"].values
        assert scores.shape == (18, 2, 1, 1)
        assert ((scores % 1 == 0) & (scores >= 0) & (scores <= 60)).all()


@pytest.mark.shared
def test_the_row_is_that_of_the_collected_trials(shared: Path) -> None:
    """Estimate and limits of `MADRS` are those collected for Lapidus 2014."""
    with (shared / "evidence" / "later_trials.csv").open(encoding="utf-8") as file:
        row = next(one for one in csv.DictReader(file) if one["trial"] == "Lapidus 2014")
    kept = [row[name] for name in ("estimate_active_better", "ci_low", "ci_high")]
    assert MADRS.split(",")[4:7] == kept


@pytest.mark.parametrize("reading", ["unhalved", "carryover_covariate"])
def test_other_readings_print_it_too(lapidus: Evidence, reading: str) -> None:
    """Read as not halved the t test itself prints; as a carryover model the first period's."""
    patients = reconstruct(lapidus, m=1, reading=reading)[0]
    assert all(one.agrees for one in verify(patients, lapidus))
    if reading == "unhalved":
        assert [round(2 * one, 1) for one in crossover_test(patients, "madrs")] == [7.6, 3.9, 11.3]


def test_groups_of_which_higher_is_better(tmp_path: Path) -> None:
    """A parallel trial: P .016 by SciPy's t test, the baseline of Table 1, the active group higher.

    The second row's df is one less than two groups leave: its analysis has a slope on baseline.
    """
    evidence = folder(
        tmp_path / "groups", "parallel",
        [("gaf", "higher", "range = [0, 100]"), ("sds", "lower", "range = [0, 30]")],
        "G,gaf,parallel,,6.1,1.2,11.0,.016,47,30,17,45,active-minus-control",
        "S,sds,parallel,,-3.2,,,.08,47,30,17,44,active-minus-control",
        baseline=f"{BASELINE}\nB,GAF,mean_sd,30,48.2,8.1,17,47.1,7.7,gaf\n",
    )  # fmt: skip
    patients = reconstruct(evidence, m=1)[0]
    outcomes = patients.data["outcomes"].to_dataset()
    active = outcomes["treatment"].isel(period=0).values == "A"
    gaf = outcomes["value"].sel(endpoint="gaf", period=1).isel(visit=0).values
    test = stats.ttest_ind(gaf[active], gaf[~active])
    low, high = test.confidence_interval(0.95)
    printed = (round(gaf[active].mean() - gaf[~active].mean(), 1), round(low, 1), round(high, 1))
    assert (*printed, round(test.pvalue, 3)) == (6.1, 1.2, 11.0, 0.016)
    before = outcomes["baseline"].sel(endpoint="gaf", period=1).values
    assert [round(before[active].mean(), 1), round(before[active].std(ddof=1), 1)] == [48.2, 8.1]
    methods = {one.id: one for one in verify(patients, evidence)}
    assert methods["S"].agrees
    assert outcomes["baseline"].sel(endpoint="sds").notnull().all()


def test_measured_scores_are_exact(tmp_path: Path) -> None:
    """Without a range scores are any numbers; without df limits are 1.96 standard errors."""
    row = "F,fev,crossover,,0.34,0.12,0.56,,23,,,,active-minus-control"
    evidence = folder(tmp_path / "fev", "crossover", [("fev", "higher", "")], row)
    patients = reconstruct(evidence, m=1)[0]
    estimate, low, high = (-one for one in crossover_test(patients, "fev"))
    se = abs(high - low) / 2 / stats.t.ppf(0.975, 21)
    limits = (estimate - 1.959964 * se, estimate + 1.959964 * se)
    assert [round(one, 2) for one in (estimate, *limits)] == [0.34, 0.12, 0.56]
    assert (patients.data["outcomes"]["value"].values % 1 != 0).any()


@pytest.mark.parametrize(
    ("row", "printed"),
    [("0.086,-0.002,0.174,0.053,14,,,12", "0.086 -0.002 0.174 0.053"),
     ("0.145,0.057,0.234,0.0055,10,,,8", "0.145 0.057 0.234 0.0055")],
)  # fmt: skip
def test_rows_that_print_at_the_ends_of_their_boxes_are_reconstructed(
    row: str, printed: str, tmp_path: Path
) -> None:
    """Rows of trials that took place are not called impossible, however little room is left.

    Nothing prints them 3% inside all four boxes; SciPy's t test of the sets has their numbers.
    """
    line = f"X,score,crossover,,{row},active-minus-control"
    evidence = folder(tmp_path / "own", "crossover", [("score", "higher", "")], line)
    for patients in reconstruct(evidence, m=3):
        estimate, low, high = (-one for one in crossover_test(patients, "score"))
        found = [f"{one:.3f}" for one in (estimate, high, low)]
        assert found == printed.split()[:3]


@given(st.floats(-6, 6), st.floats(-4, 4), st.integers(3, 200))
def test_what_an_interval_prints_is_never_refused(t: float, size: float, df: int) -> None:
    """Whatever estimate, standard error and df: the row they print has targets that print it."""
    se = 10**size
    digits, reach = max(0, 1 - math.floor(size)), float(stats.t.ppf(0.975, df))
    p = f"{2 * stats.t.sf(abs(t), df):.2g}"
    places = {"estimate": digits, "ci_low": digits, "ci_high": digits,
              "p_value": max(0, -int(Decimal(p).as_tuple().exponent))}  # fmt: skip
    shown = [round(x * se, digits) for x in (t, t - reach, t + reach)]
    values = dict(zip(places, [*shown, float(p)], strict=True)) | {"df": float(df)}
    values |= {f"{name}_decimals": count for name, count in places.items()}
    words = dict.fromkeys(("endpoint", "analysis", "term"), "x")
    row = xr.Dataset({key: ("contrast", [value]) for key, value in (values | words).items()},
                     {"contrast": ["X"]})  # fmt: skip
    found = printed_row(row, "X").targets(20, np.random.default_rng(1))
    ends = np.stack([found[0], found[0] - reach * found[1], found[0] + reach * found[1]])
    half = 0.5 * 10.0**-digits * (1 + 1e-6)
    assert (np.abs(ends - np.array(shown)[:, None]) <= half).all()


def test_everybody_rated_twice_prints_one_difference_under_carryover(tmp_path: Path) -> None:
    """Both rows have the same difference; each of 39 sets prints both, which has to be drawn so."""
    rows = [
        "F,score,first_period,,-0.009,-0.139,0.120,0.88,14,7,7,12,active-minus-control",
        "X,score,crossover,,-0.009,-0.126,0.108,0.86,14,,,12,active-minus-control",
    ]
    evidence = folder(tmp_path / "own", "crossover", [("score", "higher", "")], *rows)
    assert len(reconstruct(evidence, m=39, reading="carryover_covariate", seed=1)) == 39


def test_files_come_back(lapidus: Evidence, tmp_path: Path) -> None:
    """Patients written and read again are the same scores and still verify."""
    patients = reconstruct(lapidus, m=1)[0]
    trial = tmp_path / "out.toml"
    path = write_patients(patients, tmp_path / "out.csv", trial_file=trial)
    again = load_patients(path, trial)
    assert again.kind == "reconstructed"
    both = [one.data["outcomes"]["value"].values.ravel() for one in (patients, again)]
    assert sorted(both[0]) == sorted(both[1])


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    """No number of patients, an SD beyond the range, no row that scores could print."""
    cases = {
        "sizes": (MADRS.replace(",18,", ",,"), r"row 'M': .* fill in n, or n_active and n_control"),
        "spread": (MADRS.replace("3.9,11.3", "-63.9,79.1"), r"row 'M' needs an SD .* at most"),
        "rows": (MADRS.replace("crossover", "first_period_adjusted"), r"nothing to reconstruct"),
        "small": (MADRS.replace(",18,", ",3,"), r"2 of them|1 patients"),
    }
    for name, (row, message) in cases.items():
        evidence = folder(tmp_path / name, "crossover", [MADRS_SCALE], row)
        with pytest.raises(EvidenceError, match=message):
            reconstruct(evidence, m=1)


def test_rows_that_are_not_matched_are_named(tmp_path: Path) -> None:
    """Claims are not needed; a second row of an analysis and a regression are left out by name."""
    second = MADRS.replace("M,", "M2,").replace("24h", "7d")
    other = "R,madrs,first_period_adjusted,24h,5.1,1.0,9.2,,20,10,10,17,benefit-positive"
    place = tmp_path / "more"
    evidence = folder(place, "crossover", [MADRS_SCALE], MADRS, second, other)
    assert [line.partition(":")[0] for line in plan_of(evidence).unmatched] == ["M2", "R"]
    assert impossibilities(evidence) == []
    words = ["reconstruct", "--evidence", str(place), "--m", "1", "--quiet"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "not matched: M2" in done.output
