"""Layouts of real crossovers give what the long file gives, or one message that can be followed."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyreadstat
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.outcome import select_outcome
from bayes_ptsd.evidence.patients import load_patients
from bayes_ptsd.fit import frequentist_document
from bayes_ptsd.frequentist import hills_armitage
from bayes_ptsd.models_files import load_model
from bayes_ptsd.structures.crossover.model import crossover_model
from bayes_ptsd.trial import DataRules, Endpoint, Trial, load_trial, period_keys

HERE = Path(__file__).parent
SCORE = Endpoint("score", "Score", "continuous", "higher", range=(0.0, 100.0))
ORDERS = {"AB": ("act", "pbo"), "BA": ("pbo", "act")}
BARE = Trial("toy", "Toy", "crossover", "act", "pbo", {"score": SCORE})
TRIAL = replace(BARE, sequences=ORDERS)
TWO = replace(TRIAL, endpoints={key: replace(SCORE, id=key) for key in ("pef", "fev")})
MEANS = DataRules(replicates="mean")

WIDE = """\
subject,sequence,period1,period2
1,AB,56,50
2,AB,46,
3,BA,29,34
4,BA,43,56
"""
LONG = """\
subject,sequence,period,treatment,value
1,AB,1,act,56
1,AB,2,pbo,50
2,AB,1,act,46
3,BA,1,pbo,29
3,BA,2,act,34
4,BA,1,pbo,43
4,BA,2,act,56
"""


def read(folder: Path, text: str, trial: Trial = TRIAL, **more: Any) -> Evidence:
    """Return the patients of a text file; pseudonyms do not hang on the file."""
    path = folder / f"{len(list(folder.iterdir()))}.csv"
    path.write_text(text, encoding="utf-8")
    return load_patients(path, trial, key="k", **more)


def refused(folder: Path, text: str, trial: Trial = TRIAL, **more: Any) -> str:
    """Return the message with which a text file is refused."""
    with pytest.raises(EvidenceError) as error:
        read(folder, text, trial, **more)
    return str(error.value)


def columns(trial: Trial = TRIAL, /, **names: str) -> Trial:
    """Return the trial with names of columns."""
    return replace(trial, columns=names)


def without(text: str, column: str) -> str:
    """Return a table of text without a column."""
    rows = [line.split(",") for line in text.splitlines()]
    place = rows[0].index(column)
    return "\n".join(",".join(row[:place] + row[place + 1 :]) for row in rows) + "\n"


NAMES = {
    "period1": "period2", "Period_1": "Period_2", "PERIOD 1": "PERIOD 2", "period.01": "period.02",
    "p1": "p2", "P-1": "P-2", "Period I": "Period II", "score1": "score2", "Score_1": "Score_2",
}  # fmt: skip


@pytest.mark.parametrize(("first", "second"), NAMES.items())
def test_names_that_say_the_period_need_no_key(first: str, second: str, tmp_path: Path) -> None:
    """One column per period gives the digest of the long file, and a note names the columns."""
    text = WIDE.replace("period1", first).replace("period2", second)
    evidence = read(tmp_path, text)
    assert evidence.digest == read(tmp_path, LONG).digest
    assert f"{first} and {second}" in evidence.notes[0]


@pytest.mark.shared
def test_the_case_of_one_column_per_period_is_read(shared: Path) -> None:
    """Case 16: Hills-Armitage of the twelve patients as computed from the file by hand."""
    folder = shared / "cases" / "c16-wide-by-period"
    evidence = load_patients(folder / "b30_wide.csv", folder / "toy.toml")
    table = pd.read_csv(folder / "b30_wide.csv")
    step = (table["period1"] - table["period2"]).groupby(table["sequence"]).mean()
    model = crossover_model(evidence, load_model("crossover"))
    found = hills_armitage(model.pairs, benefit_sign=1).sel(estimand="treatment_difference")
    assert float(found["estimate"]) == pytest.approx((step["AB"] - step["BA"]) / 2)
    assert evidence.data["outcomes"].sizes["subject"] == 12


@pytest.mark.shared
@pytest.mark.parametrize("name", ["senn_pef", "patel_fev1", "raynaud_attacks", "mental_fatigue"])
def test_public_crossovers_by_period_are_the_same_patients(
    name: str, shared: Path, tmp_path: Path
) -> None:
    """Published files turned to a row a patient give the scores and baselines of the long file.

    The estimate is the one that another program has for the long file.
    """
    trial = load_trial(HERE / "trials" / f"{name}.toml")
    (key,) = trial.endpoints
    path = shared / "data" / f"{name}.csv"
    expected = load_patients(path, trial, key="k")
    table, score = pd.read_csv(path), trial.columns[key]
    held = [score, *(["baseline"] if "baseline" in table else [])]
    wide = table.pivot(index=["subject", "sequence"], columns="period", values=held).reset_index()
    wide.columns = pd.Index([f"{one} {period}".strip() for one, period in wide.columns])
    names = {f"period_{period}": f"{score} {period}" for period in (1, 2)}
    described = replace(expected.trial, columns=names)
    found = read(tmp_path, wide.to_csv(index=False), described)
    xr.testing.assert_identical(found.data["outcomes"], expected.data["outcomes"])
    model = crossover_model(
        found, load_model("crossover").having(options={"patients": "completers"})
    )
    one = hills_armitage(model.pairs, benefit_sign=trial.endpoint(key).benefit_sign)
    known = pd.read_csv(shared / "data" / "reference_values.csv")
    chosen = known[(known["dataset"] == name) & known["analysis"].str.contains("Hills")]
    estimate = abs(float(one["estimate"].sel(estimand="treatment_difference")))
    assert estimate == pytest.approx(abs(float(chosen["estimate"].iloc[0])), abs=6e-4)


KEYED = {
    "scores": (columns(period_1="y1", period_2="Y2"), "y1,y2"),
    "the endpoint's": (columns(score_1="first", score_2="second"), "first,second"),
    "beside names that could be periods": (
        columns(period_1="auc_1", period_2="auc_2"),
        "auc_1,auc_2",
    ),
}


@pytest.mark.parametrize(("trial", "header"), KEYED.values(), ids=KEYED.keys())
def test_keys_name_the_columns(trial: Trial, header: str, tmp_path: Path) -> None:
    """Named columns give the digest of the long file: the layout is no part of the evidence."""
    evidence = read(tmp_path, WIDE.replace("period1,period2", header), trial)
    assert evidence.digest == read(tmp_path, LONG).digest


def test_baselines_and_treatments_by_period(tmp_path: Path) -> None:
    """A baseline and a treatment per period are those of the long file; sequences follow."""
    wide = (
        "id,trt1,base_1,y1,trt2,base_2,y2\n1,act,40,56,pbo,44,50\n2,act,41,46,,,\n"
        "3,pbo,30,29,act,31,34\n4,pbo,33,43,act,35,56\n"
    )
    names = {"period_1": "y1", "period_2": "y2", "baseline_1": "base_1", "baseline_2": "base_2"}
    message = refused(tmp_path, wide, columns(subject="id", **names))
    assert message.endswith("line 3: treatment is missing")
    evidence = read(tmp_path, wide.replace("46,,,", "46,pbo,,"), columns(subject="id", **names))
    bases = iter([40, 44, 41, 30, 31, 33, 35])
    lines = LONG.replace("value", "value,baseline").splitlines()
    long = "\n".join([lines[0], *(f"{line},{next(bases)}" for line in lines[1:])])
    expected = read(tmp_path, without(long, "sequence"), TRIAL)
    xr.testing.assert_identical(evidence.data["outcomes"], expected.data["outcomes"])
    assert "treatment: trt1 and trt2" in evidence.notes[0]
    assert "sequences follow from the treatments" in evidence.notes[1]


def test_a_baseline_before_period_1_alone(tmp_path: Path) -> None:
    """A column `baseline` is of neither period until the trial file says so; then of period 1."""
    wide = "subject,sequence,baseline,period1,period2\n1,AB,40,56,50\n2,BA,41,46,51\n"
    message = refused(tmp_path, wide)
    assert "column 'baseline' has one cell for two periods" in message
    assert 'write baseline_1 = "baseline" under [columns]' in message
    evidence = read(tmp_path, wide, columns(baseline_1="baseline"))
    baseline = evidence.data["outcomes"]["baseline"].squeeze("endpoint")
    assert sorted(baseline.sel(period=1).values) == [40, 41]
    assert np.isnan(baseline.sel(period=2)).all()
    named = wide.replace("baseline", "BASELINE_1")
    xr.testing.assert_identical(read(tmp_path, named).data["outcomes"], evidence.data["outcomes"])


def test_two_endpoints_have_a_pair_each(tmp_path: Path) -> None:
    """A pair of columns an endpoint is the wide file by endpoint; one pair of two is refused."""
    wide = "subject,sequence,pef_1,pef_2,FEV 1,FEV 2\n1,AB,56,50,2,3\n2,BA,46,51,4,\n"
    long = (
        "subject,sequence,period,treatment,pef,fev\n1,AB,1,act,56,2\n1,AB,2,pbo,50,3\n"
        "2,BA,1,pbo,46,4\n2,BA,2,act,51,\n"
    )
    assert read(tmp_path, wide, TWO).digest == read(tmp_path, long, TWO).digest
    one = read(tmp_path, wide, TWO, endpoint="fev")
    assert one.digest == read(tmp_path, long, TWO, endpoint="fev").digest
    message = refused(tmp_path, WIDE, TWO, endpoint="fev")
    assert "period1 and period2 could be of any of 2 endpoints" in message
    assert "write pef_1 and pef_2, or fev_1 and fev_2 under [columns]" in message
    told = columns(TWO, pef_1="period1", pef_2="period2")
    assert read(tmp_path, WIDE, told).data["outcomes"]["endpoint"].values.tolist() == ["pef"]
    message = refused(
        tmp_path, WIDE.replace("sequence", "sequence,fev").replace("B,", "B,1,"), told
    )
    assert "column 'fev' has one cell for two periods; write fev_1 and fev_2" in message


def test_an_endpoint_column_goes_with_columns_of_periods(tmp_path: Path) -> None:
    """One row per patient and endpoint, one column per period."""
    wide = (
        "subject,sequence,endpoint,period1,period2\n1,AB,pef,56,50\n1,AB,fev,2,3\n"
        "2,BA,pef,46,51\n2,BA,fev,4,\n"
    )
    pairs = "subject,sequence,pef1,pef2,fev1,fev2\n1,AB,56,50,2,3\n2,BA,46,51,4,\n"
    assert read(tmp_path, wide, TWO).digest == read(tmp_path, pairs, TWO).digest


BAD: Mapping[str, tuple[str, Trial, str]] = {
    "keys are given": (
        WIDE.replace("period", "auc"), TRIAL,
        "if 'auc1' and 'auc2' are the scores of periods 1 and 2, write period_1 = \"auc1\" and "
        'period_2 = "auc2" under [columns]',
    ),
    "one column per treatment": (
        WIDE.replace("period1", "Act").replace("period2", "pbo"), TRIAL,
        "columns 'Act' and 'pbo' are called like the treatments",
    ),
    "a third period": (
        "subject,sequence,period1,period2,period3\n1,AB,56,50,40\n", TRIAL,
        "columns period1, period2, period3 are more than two periods",
    ),
    "two pairs": (
        "subject,sequence,period1,period2,p1,p2\n1,AB,56,50,.1,.2\n", TRIAL,
        "name those of two periods that can stand alone under [columns]: period_1 and period_2",
    ),
    "scores or dates of periods": (
        "subject,sequence,period1,period2,score1,score2\n1,AB,56,50,40,41\n", TRIAL,
        "leave open which columns are the scores of a period",
    ),
    "half a pair": (WIDE, columns(period_1="period1"), "period_1 and period_2 go together"),
    "no such column": (
        WIDE, columns(period_1="period1", period_2="perod2"),
        "no column 'perod2' for period_2; did you mean 'period2'?",
    ),
    "one column twice": (
        WIDE, columns(period_1="period1", period_2="period1"), "column 'period1' holds one thing",
    ),
    "a column that is the subject": (
        WIDE, columns(period_1="period1", period_2="subject", subject="subject"),
        "column 'subject' holds one thing",
    ),
    "both layouts named": (
        WIDE, columns(period_1="period1", period_2="period2", value="period1"),
        "period_1, period_2, value leave open",
    ),
    "baseline alone": (
        LONG.replace("value", "score"), columns(baseline_1="value", score="score"),
        "no column 'value' for baseline_1",
    ),
    "an order called treatment": (
        WIDE.replace("sequence", "treatment"), TRIAL,
        'if it is the order of treatments, write sequence = "treatment" under [columns]',
    ),
    "a period beside the periods": (
        "subject,sequence,period,y1,y2\n1,AB,1,3,4\n", columns(period_1="y1", period_2="y2"),
        "column 'period' has one cell for two periods",
    ),
    "a parallel trial": (
        WIDE, replace(columns(period_1="period1", period_2="period2"), design="parallel"),
        "a parallel trial has one period; leave period_1, period_2 out",
    ),
    "a wrong score of period 2": (WIDE.replace("34", "x34"), TRIAL, "line 4: value 'x34'"),
    "a score out of range": (WIDE.replace(",43,", ",430,"), TRIAL, "line 5: value 430 is outside"),
    "a date in a column called period": (
        WIDE.replace("56,50", "2020-01-02,2020-02-03"), TRIAL, "line 2: value",
    ),
    "a patient on two lines": (
        f"{WIDE}3,BA,29,34\n", TRIAL, "line 6: repeats row 4 (subject, period, visit and endpoint",
    ),
    "two sequences of a patient": (f"{WIDE}3,AB,29,34\n", TRIAL, "line 6: sequence differs from"),
    "no header": ("1,AB,21,22\n2,BA,30,31\n", TRIAL, "no column 'subject'"),
    "no order of treatments": (
        WIDE, BARE, "or write [sequences] in the trial file, label = [\"act\", \"pbo\"]",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "trial", "message"), BAD.values(), ids=BAD.keys())
def test_layouts_that_leave_it_open_are_refused(
    text: str, trial: Trial, message: str, tmp_path: Path
) -> None:
    """What could be read in two ways is refused, with the keys to write and the line it is in."""
    assert message in refused(tmp_path, text, trial)


def test_what_the_refusals_say_works(tmp_path: Path) -> None:
    """The keys of the messages, written into the trial file, read the refused files."""
    expected = read(tmp_path, LONG)
    auc = columns(period_1="auc1", period_2="auc2")
    assert read(tmp_path, BAD["keys are given"][0], auc).digest == expected.digest
    assert read(tmp_path, BAD["no order of treatments"][0], TRIAL).digest == expected.digest
    # the name of a role's column is part of the trial: other digests, the same patients
    called = read(tmp_path, BAD["an order called treatment"][0], columns(sequence="treatment"))
    xr.testing.assert_identical(called.data["outcomes"], expected.data["outcomes"])


def test_value_labels_of_both_columns_are_used(tmp_path: Path) -> None:
    """Labelled treatments in two columns of a Stata file are the labels, whatever their codes."""
    codes = pd.DataFrame(
        {"subject": [1.0, 2.0], "trt1": [1.0, 2.0], "trt2": [2.0, 1.0], "period1": [5.0, 6.0],
         "period2": [7.0, 8.0]}
    )  # fmt: skip
    labels = {name: {1.0: "act", 2.0: "pbo"} for name in ("trt1", "trt2")}
    path = tmp_path / "wide.dta"
    pyreadstat.write_dta(codes, str(path), variable_value_labels=labels)
    outcomes = load_patients(path, TRIAL).data["outcomes"]
    assert sorted(outcomes["sequence"].values) == ["AB", "BA"]


@pytest.mark.parametrize("column", ["treatment", "sequence"])
def test_treatment_and_sequence_follow_from_each_other(column: str, tmp_path: Path) -> None:
    """Without the column the digest is that of the file that has it, and a note says so."""
    derived = read(tmp_path, without(LONG, column))
    assert derived.digest == read(tmp_path, LONG).digest
    (note,) = derived.notes
    assert note.startswith(f"{column}s follow from")
    assert not read(tmp_path, LONG).notes


@pytest.mark.parametrize("column", ["treatment", "sequence"])
def test_one_endpoint_of_several_is_derived_by_its_own_rows(column: str, tmp_path: Path) -> None:
    """Rows of other endpoints in between leave sequences and treatments where they belong."""
    lines = LONG.replace("value", "endpoint,value").splitlines()
    both = [
        line.rpartition(",")[0] + f",{key}," + line.rpartition(",")[2]
        for line in lines[1:]
        for key in ("fev", "pef")
    ]
    text = "\n".join([lines[0], *both]) + "\n"
    expected = read(tmp_path, text, TWO, endpoint="pef")
    assert read(tmp_path, without(text, column), TWO, endpoint="pef").digest == expected.digest


@pytest.mark.parametrize("column", ["treatment", "sequence"])
def test_nothing_follows_without_the_orders(column: str, tmp_path: Path) -> None:
    """Without [sequences] the message says what to write, which then reads the file."""
    message = refused(tmp_path, without(LONG, column), BARE)
    assert f"no column '{column}'" in message
    assert (
        'write [sequences] in the trial file, label = ["act", "pbo"] and label = ["pbo", "act"]'
        in (message)
    )


def test_contradictions_are_refused_where_one_is_derived(tmp_path: Path) -> None:
    """The active treatment twice, an unknown sequence and a sequence nobody has are found."""
    text = without(LONG, "sequence")
    assert "line 3: treatment 'act' in period 2 contradicts sequence 'AB' (act, then pbo)" in (
        refused(tmp_path, text.replace("1,2,pbo", "1,2,act"))
    )
    assert "line 7: sequence 'BB' is unknown" in (
        refused(tmp_path, without(LONG, "treatment").replace("4,BA,1", "4,BB,1"))
    )
    only = "subject,period,treatment,value\n1,1,act,5\n1,2,pbo,6\n2,1,act,7\n"
    assert "all rows have sequence 'AB'" in refused(tmp_path, only)
    assert "treatment is missing" in refused(tmp_path, text.replace("4,2,act", "4,2,"))


def test_a_patient_of_period_2_alone_gets_the_sequence_of_it(tmp_path: Path) -> None:
    """One row is enough: period 2 under the active treatment is sequence BA."""
    text = f"{without(LONG, 'sequence')}5,2,act,70\n6,1,act,71\n"
    outcomes = read(tmp_path, text).data["outcomes"]
    value = outcomes["value"].squeeze(("visit", "endpoint"))
    late = outcomes["sequence"].values[(value.sel(period=2) == 70).values]
    early = outcomes["sequence"].values[(value.sel(period=1) == 71).values]
    assert (late.tolist(), early.tolist()) == (["BA"], ["AB"])


REPLICATES = """\
subject,sequence,period,treatment,value,baseline
1,AB,1,act,56,9
1,AB,1,act,58,9
1,AB,1,act,,9
1,AB,2,pbo,50,8
2,BA,1,pbo,29,7
2,BA,1,pbo,30,
2,BA,2,act,,6
2,BA,2,act,,6
"""


def test_replicates_are_averaged_by_choice(tmp_path: Path) -> None:
    """Means of the rows with a score, counted in a note; nothing is averaged unasked."""
    evidence = read(tmp_path, REPLICATES, replace(TRIAL, data=MEANS))
    text = (
        "subject,sequence,period,treatment,value,baseline\n1,AB,1,act,57,9\n1,AB,2,pbo,50,8\n"
        "2,BA,1,pbo,29.5,7\n2,BA,2,act,,6\n"
    )
    assert evidence.digest == read(tmp_path, text).digest
    assert evidence.notes == (
        "4 scores of the same subject, period, visit and endpoint averaged to 2; 3 missing ones "
        "left out",
    )
    message = refused(tmp_path, REPLICATES)
    assert (
        "lines 3, 4: repeats row 2 (subject, period, visit and endpoint are the same);" in message
    )
    assert 'if both were measured, replicates = "mean" under [data] averages them' in message


def test_replicates_in_columns_of_periods(tmp_path: Path) -> None:
    """A line per reading, one column per period: readings missing in one period are left out."""
    text = "subject,sequence,period1,period2\n1,AB,10,20\n1,AB,14,\n2,BA,30,40\n"
    value = read(tmp_path, text, replace(TRIAL, data=MEANS)).data["outcomes"]["value"]
    assert sorted(value.values.ravel().tolist()) == [12, 20, 30, 40]


def test_what_makes_replicates_something_else_is_refused(tmp_path: Path) -> None:
    """Other treatments, sequences or baselines in the same period, and categories, have no mean."""
    means = replace(TRIAL, data=MEANS)
    other = REPLICATES.replace("1,AB,1,act,58", "1,AB,1,pbo,58")
    assert "line 3: treatment 'pbo' in period 1 contradicts sequence 'AB'" in (
        refused(tmp_path, other, means)
    )
    other = REPLICATES.replace("58,9", "58,10")
    assert "line 3: baseline differs from row 2" in refused(tmp_path, other, means)
    for kind in ("ordinal", "binary"):
        scale = replace(SCORE, kind=kind, range=None)
        text = "subject,sequence,period,treatment,value\n1,AB,1,act,1\n1,AB,1,act,0\n2,BA,1,pbo,1\n"
        message = refused(tmp_path, text, replace(means, endpoints={"score": scale}))
        assert (
            f"line 3: repeats row 2 (subject, period, visit and endpoint are the same); a {kind}"
            in (message)
        )
        unasked = refused(tmp_path, text, replace(TRIAL, endpoints={"score": scale}))
        assert "averages them" not in unasked


def test_visits_are_no_replicates(tmp_path: Path) -> None:
    """Scores of two visits stay two, also where replicates are averaged."""
    trial = replace(TRIAL, data=MEANS, visits={"1h": 1.0, "2h": 2.0})
    text = (
        "subject,sequence,visit,period1,period2\n1,AB,1h,10,20\n1,AB,2h,14,24\n1,AB,2h,16,24\n"
        "2,BA,1h,30,40\n"
    )
    evidence = read(tmp_path, text, trial)
    value = evidence.data["outcomes"]["value"].squeeze("endpoint")
    assert np.nanmean(value.sel(visit="2h", period=1)) == 15
    assert evidence.notes[-1].startswith("4 scores")


def test_keys_of_periods_are_those_of_trial_files(tmp_path: Path) -> None:
    """A trial file takes the keys of its own endpoints, and its digest leaves them out."""
    path = tmp_path / "trial.toml"
    head = (
        'schema = 1\nname = "toy"\ntitle = "Toy"\ndesign = "crossover"\n[treatments]\n'
        'active = "act"\ncontrol = "pbo"\n[endpoints.score_1]\nkind = "continuous"\n'
        'better = "higher"\n[endpoints.score]\nkind = "continuous"\nbetter = "higher"\n'
    )
    path.write_text(f'{head}[columns]\nbaseline_2 = "b2"\nscore_2 = "s"\nscore_1 = "x"\n')
    trial = load_trial(path)
    path.write_text(f'{head}[columns]\nscore_1 = "x"\n')
    assert trial.digest == load_trial(path).digest
    # an endpoint's own name is that endpoint's column, and no period of another's
    assert "score_1" not in period_keys(trial.endpoints)
    path.write_text(f'{head}[columns]\nscore_3 = "s"\n')
    with pytest.raises(ValueError, match="unknown key 'score_3'"):
        load_trial(path)


BE = """\
subject,sequence,period1,period2
1,TR,112.4,100.1
2,TR,90.2,101.7
3,TR,71,66.3
4,RT,80.5,85.9
5,RT,130,120.4
6,RT,100.3,96
"""


def closed_form(text: str) -> tuple[float, float, float]:
    """Return ratio T over R with its 90% interval, Hills and Armitage of logs, from the text."""
    rows = [line.split(",") for line in text.splitlines()[1:]]
    steps = {
        label: [math.log(float(a)) - math.log(float(b)) for _, own, a, b in rows if own == label]
        for label in ("TR", "RT")
    }
    means = {label: sum(step) / len(step) for label, step in steps.items()}
    squares = sum((x - means[label]) ** 2 for label, step in steps.items() for x in step)
    error = math.sqrt(squares / 4 * (1 / 3 + 1 / 3)) / 2
    # the 95% point of t with 4 degrees of freedom, from tables
    reach, middle = 2.131847 * error, (means["TR"] - means["RT"]) / 2
    return math.exp(middle), math.exp(middle - reach), math.exp(middle + reach)


def test_a_textbook_bioequivalence_file_runs_as_it_is(tmp_path: Path) -> None:
    """No logarithm, no treatment column: the ratio and its 90% interval are the closed form."""
    auc = replace(SCORE, id="auc", range=None)
    trial = replace(
        BARE, active="T", control="R", endpoints={"auc": auc},
        sequences={"TR": ("T", "R"), "RT": ("R", "T")},
    )  # fmt: skip
    evidence = select_outcome(read(tmp_path, BE, trial), None)
    spec = load_model("crossover-log").having(options={"patients": "completers"})
    found = frequentist_document(evidence, spec)["ratio"]
    ratio, low, high = closed_form(BE)
    assert found["estimate"] == pytest.approx(ratio, rel=1e-9)
    assert found["ci90"] == pytest.approx([low, high], rel=1e-6)


def guide() -> tuple[str, dict[str, dict[str, str]]]:
    """Return the trial file of the guide to own data, and the blocks of each of its layouts."""
    text = (HERE.parent / "docs" / "guides" / "your-own-data.md").read_text(encoding="utf-8")
    fence = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
    trial = next(block for language, block in fence.findall(text) if language == "toml")
    layouts = text.partition("\n## Layouts\n")[2].partition("\n## ")[0].split("\n### ")[1:]
    return trial, {one.splitlines()[0]: dict(fence.findall(one)) for one in layouts}


@pytest.mark.parametrize("name", guide()[1])
def test_layouts_of_the_guide_hold_the_same_patients(name: str, tmp_path: Path) -> None:
    """Every example file of the guide, with its lines of the trial file, gives the same scores."""
    described, layouts = guide()
    first = next(iter(layouts.values()))
    path = tmp_path / "trial.toml"
    path.write_text(described)
    expected = read(tmp_path, first["csv"], load_trial(path))
    path.write_text(described + layouts[name].get("toml", ""))
    found = read(tmp_path, layouts[name]["csv"], load_trial(path))
    xr.testing.assert_identical(found.data["outcomes"], expected.data["outcomes"])
    assert found.data["outcomes"].sizes["subject"] == 3
    assert len(layouts) == 6


CELLS = st.sampled_from(["", "1", "2", "AB", "BA", "act", "pbo", "5", "x", "3.5", "NA"])
HEADS = st.lists(
    st.sampled_from(
        ["subject", "sequence", "treatment", "period", "value", "score", "baseline", "period1",
         "period2", "Period 1", "p2", "period3", "trt1", "trt2", "score_1", "score_2", "baseline1",
         "visit", "act", "pbo", "PERIOD1"]
    ),
    min_size=1, max_size=7, unique=True,
)  # fmt: skip
KEYS = st.dictionaries(
    st.sampled_from([*period_keys(["score"]), "subject", "sequence", "score", "value", "period"]),
    st.sampled_from(["period1", "period2", "p2", "act", "score_1", "baseline1", "nowhere"]),
    max_size=4,
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(heads=HEADS, keys=KEYS, data=st.data())
def test_any_header_is_read_or_refused(
    tmp_path: Path, heads: list[str], keys: dict[str, str], data: st.DataObject
) -> None:
    """Any columns and any keys: patients, or one message; never another error."""
    rows = data.draw(
        st.lists(st.lists(CELLS, min_size=len(heads), max_size=len(heads)), max_size=5)
    )
    path = tmp_path / "any.csv"
    path.write_text("\n".join(",".join(row) for row in [heads, *rows]) + "\n", encoding="utf-8")
    try:
        evidence = load_patients(path, replace(TRIAL, columns=keys, data=MEANS))
    except EvidenceError:
        return
    assert set(evidence.data["outcomes"]["sequence"].values) == {"AB", "BA"}
