"""Printed estimates as evidence: loading, signs, readings, refusals."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import bayes_ptsd.evidence
from bayes_ptsd.errors import EvidenceError, SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.intervals import p_value
from bayes_ptsd.evidence.published import load_published, select_contrast

SHIPPED = Path(bayes_ptsd.evidence.__file__).parent / "feder2014"
TRIAL = """
schema = 1
name = "mine"
design = "parallel"
[treatments]
active = "a"
control = "b"
[endpoints.pain]
kind = "continuous"
better = "lower"
[endpoints.walk]
kind = "continuous"
better = "higher"
"""
HEADER = "id,endpoint,analysis,estimate,ci_low,ci_high,p_value,df,n,sign_as_printed"
GOOD = "r1,pain,parallel,-2.0,-3.5,-0.5,.01,50,52,active-minus-control"


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a folder of printed evidence."""

    def write(*rows: str, header: str = HEADER) -> Path:
        (tmp_path / "trial.toml").write_text(TRIAL, encoding="utf-8")
        (tmp_path / "effects.csv").write_text("\n".join([header, *rows, ""]), encoding="utf-8")
        return tmp_path

    return write


def effects(folder: str | Path | None = None) -> xr.Dataset:
    """Return the rows of a folder."""
    return load_published(folder).data["effects"].to_dataset()


def test_the_shipped_rows() -> None:
    """17 printed intervals, one derived row, three longitudinal and three adjusted ones."""
    evidence = load_published()
    rows = evidence.data["effects"].to_dataset()
    names = rows["contrast"].values.tolist()
    assert evidence.kind == "published"
    assert len(names) == len(set(names)) == 24
    assert int(np.isfinite(rows["ci_low"]).sum()) == 18
    assert set(evidence.data.children) == {
        "effects", "baseline", "flow", "adverse_events", "design", "claims"
    }  # fmt: skip
    assert set(rows["endpoint"].values.tolist()) <= set(evidence.trial.endpoints)


def test_durability_rows_change_their_sign_and_no_other_row_does() -> None:
    """Rows printed ketamine minus midazolam come out positive, all others as printed."""
    rows = effects()
    negative = rows["sign_as_printed"].values == "active-minus-control"
    assert rows["contrast"].values[negative].tolist() == [
        "LG.IESR.TRT", "LG.QIDS.TRT", "LG.MADR.TRT"
    ]  # fmt: skip
    assert rows["estimate"].values[negative].tolist() == [8.32, 2.73, 3.99]
    assert (rows["estimate"].values > 0).all()


def test_degrees_of_freedom_by_analysis() -> None:
    """27 crossover, 38 first period, 36 adjusted, 39 longitudinal; CGI-I 39, QIDS-SR 34 of 37.

    CGI-I has no baseline to adjust for, QIDS-SR one of 22 and 15 patients, and the adjusted rows
    hold beside the first-period row only with the MADRS baseline in the model. The paper's own
    count is kept beside them: 38, 38 and 37.
    """
    rows = effects()
    expected = {
        "crossover": {27}, "first_period": {38, 39, 34}, "first_period_adjusted": {36},
        "first_period_longitudinal": {39},
    }  # fmt: skip
    for analysis, df in expected.items():
        assert set(rows["df"].values[rows["analysis"].values == analysis]) == df
    table = rows[["n", "n_active", "n_control", "df", "n_stated", "df_stated"]].to_dataframe()
    columns = ["n", "n_active", "n_control", "df", "n_stated", "df_stated"]
    assert table.loc["T2.QIDS.F", columns].tolist() == [37, 22, 15, 34, 41, 38]
    assert table.loc["T2.CGII.F", columns].fillna(0).tolist() == [41, 22, 19, 39, 0, 38]
    assert table.loc["RG.DEP.TRT", columns].fillna(0).tolist() == [41, 22, 19, 36, 0, 37]
    other = [name for name in table.index if name[:9] not in ("T2.QIDS.F", "T2.CGII.F")
             and not name.startswith("RG.DEP")]  # fmt: skip
    assert table.loc[other, ["n_stated", "df_stated"]].isna().all(axis=None)


def test_what_the_paper_counts_does_not_enter_a_row() -> None:
    """A selected row has no stated count: ids of posteriors do not depend on it."""
    row = select_contrast(load_published(), "T2.QIDS.F").data["effects"].to_dataset()
    assert not {"n_stated", "df_stated"} & set(row.data_vars)


@pytest.mark.parametrize(
    ("contrast", "se", "low", "high"),
    [
        ("LG.IESR.TRT", 4.04, 0.16, 16.48),
        ("LG.QIDS.TRT", 1.35, 0.00, 5.46),
        ("LG.MADR.TRT", 1.99, -0.04, 8.02),
        ("RG.DEP.TRT", 3.20, 0.01, 12.99),
        ("RG.DEP.MADRS24", 0.231, 0.43, 1.37),
        ("RG.DEP.IESB", 0.094, 0.01, 0.39),
    ],
)
def test_rows_without_an_interval_get_it_from_their_p_value(
    contrast: str, se: float, low: float, high: float
) -> None:
    """Standard error and interval follow from estimate, P and degrees of freedom."""
    row = effects().sel(contrast=contrast)
    assert row["se_source"].item() == "p_value"
    assert np.isnan(row["ci_low"])
    assert float(row["se"]) == pytest.approx(se, abs=0.005 if se > 1 else 0.0005)
    assert float(row["interval_low"]) == pytest.approx(low, abs=0.005)
    assert float(row["interval_high"]) == pytest.approx(high, abs=0.005)


def test_printed_digits_are_known() -> None:
    """The digits of estimate, limits and P are kept, -1 where nothing is printed."""
    rows = effects()
    row = rows.sel(contrast="T2.IESR.F")
    names = ("estimate", "ci_low", "ci_high", "p_value")
    assert [int(row[f"{name}_decimals"]) for name in names] == [1, 2, 1, 2]
    row = rows.sel(contrast="LG.QIDS.TRT")
    assert [int(row[f"{name}_decimals"]) for name in names] == [2, -1, -1, 3]


def test_the_derived_row_differs_from_the_printed_one_in_its_lower_limit() -> None:
    """The avoidance row ships as printed and with -0.2, each saying so."""
    rows = effects()
    printed, derived = rows.sel(contrast="T2.AVOI.F"), rows.sel(contrast="T2.AVOI.F*")
    assert (float(printed["ci_low"]), float(derived["ci_low"])) == (-0.7, -0.2)
    for name in ("estimate", "ci_high", "p_value", "df", "n"):
        assert float(printed[name]) == float(derived[name])
    assert derived["provenance"].item().startswith("derived from T2.AVOI.F")


def test_reading_a_row_scales_score_units_and_nothing_else() -> None:
    """Unhalved: estimate, limits and standard error by 0.5; P, df and n stay."""
    evidence = load_published()
    whole = select_contrast(evidence, "T2.IESR.X").data["effects"].to_dataset()
    half = select_contrast(evidence, "T2.IESR.X", crossover_reading="unhalved")
    row = half.data["effects"].to_dataset()
    assert half.assumptions == {"crossover_reading": "unhalved"}
    assert (float(row["scale"]), float(whole["scale"])) == (0.5, 1.0)
    values = [float(row[name]) for name in ("estimate", "ci_low", "ci_high")]
    assert values == [6.35, 1.25, 11.4]
    assert float(row["se"]) == pytest.approx(float(whole["se"]) / 2)
    for name in ("p_value", "df", "n"):
        assert float(row[name]) == float(whole[name])
    assert p_value(row["estimate"], row["se"], df=27) == pytest.approx(
        float(p_value(whole["estimate"], whole["se"], df=27))
    )


def test_a_reading_is_part_of_what_the_evidence_is() -> None:
    """Two readings of a row have different digests, two loads have the same."""
    first, second = load_published(), load_published()
    assert first.digest == second.digest
    digests = {
        select_contrast(first, "T2.IESR.X", crossover_reading=name).digest
        for name in ("as_published", "unhalved", "change")
    }
    assert len(digests) == 3


def test_readings_are_for_crossover_rows() -> None:
    """Another row takes no other reading than as published."""
    evidence = load_published()
    assert select_contrast(evidence, "T2.IESR.F").assumptions["crossover_reading"] == "as_published"
    with pytest.raises(EvidenceError, match="for crossover rows"):
        select_contrast(evidence, "T2.IESR.F", crossover_reading="unhalved")
    with pytest.raises(EvidenceError, match=r"did you mean 'T2\.IESR\.X'"):
        select_contrast(evidence, "T2.IESRX")


def test_a_users_folder(folder: Callable[..., Path]) -> None:
    """Own rows load with their sign converted by their own endpoint; other tables are optional."""
    rows = effects(
        folder(
            GOOD,
            "r2,walk,parallel,12,,,.04,,,active-minus-control",
            "r3,walk,parallel,\N{MINUS SIGN}4,\N{MINUS SIGN}9,1,.11,50,52,control-minus-active",
        )
    )
    assert rows["estimate"].values.tolist() == [2.0, 12.0, 4.0]
    assert rows["ci_low"].values[[0, 2]].tolist() == [0.5, -1.0]
    assert rows["ci_high"].values[[0, 2]].tolist() == [3.5, 9.0]
    assert np.isinf(rows["df"].values[1])
    assert float(rows["se"][1]) == pytest.approx(12 / 2.0537489)


def test_limits_take_their_digits_along_when_the_sign_changes(folder: Callable[..., Path]) -> None:
    """The digits of the lower limit as printed belong to the upper limit as converted."""
    rows = effects(folder("r1,pain,parallel,-2.0,-3.51,-0.5,.01,50,52,active-minus-control"))
    row = rows.isel(contrast=0)
    assert (float(row["ci_high"]), int(row["ci_high_decimals"])) == (3.51, 2)
    assert (float(row["ci_low"]), int(row["ci_low_decimals"])) == (0.5, 1)


@given(
    estimate=st.integers(-50, 50), below=st.integers(1, 40), above=st.integers(1, 40),
    sign=st.sampled_from(["benefit-positive", "active-minus-control", "control-minus-active"]),
)  # fmt: skip
def test_conversion_keeps_the_interval_around_the_estimate(
    tmp_path_factory: pytest.TempPathFactory, estimate: int, below: int, above: int, sign: str
) -> None:
    """Whatever the printed sign, the limits stay ordered and the width stays."""
    place = tmp_path_factory.mktemp("rows")
    (place / "trial.toml").write_text(TRIAL, encoding="utf-8")
    row = f"r1,pain,parallel,{estimate},{estimate - below},{estimate + above},,9,,{sign}"
    (place / "effects.csv").write_text(f"{HEADER}\n{row}\n", encoding="utf-8")
    got = effects(place).isel(contrast=0)
    assert float(got["ci_low"]) <= float(got["estimate"]) <= float(got["ci_high"])
    assert float(got["ci_high"] - got["ci_low"]) == below + above
    assert abs(float(got["estimate"])) == abs(estimate)


@pytest.mark.parametrize(
    ("row", "column", "words"),
    [
        ("r1,pain,parallel,2,3,1,,50,52,benefit-positive", "ci_low", "swapped"),
        ("r1,pain,parallel,5,1,3,,50,52,benefit-positive", "estimate", "outside its interval"),
        ("r1,pain,parallel,2,1,3,,0.5,52,benefit-positive", "df", "below 1"),
        ("r1,pain,parallel,2,1,3,0,50,52,benefit-positive", "p_value", "not above 0"),
        ("r1,pain,parallel,2,1,3,1.2,50,52,benefit-positive", "p_value", "at most 1"),
        ("r1,pian,parallel,2,1,3,,50,52,benefit-positive", "endpoint", "did you mean 'pain'"),
        ("r1,pain,paralell,2,1,3,,50,52,benefit-positive", "analysis", "did you mean 'parallel'"),
        ("r1,pain,parallel,two,1,3,,50,52,benefit-positive", "estimate", "not a number"),
        ("r1,pain,parallel,2,1,nan,,50,52,benefit-positive", "ci_high", "not a number"),
        ("r1,pain,parallel,2,1,1e9,,50,52,benefit-positive", "ci_high", "not a number"),
        ("r1,pain,parallel,,1,3,,50,52,benefit-positive", "estimate", "is empty"),
        ("r1,pain,parallel,2,1,,,50,52,benefit-positive", "ci_high", "both limits"),
        ("r1,pain,parallel,2,,,,50,52,benefit-positive", "p_value", "give ci_low and ci_high"),
        ("r1,pain,parallel,0,,,.5,50,52,benefit-positive", "p_value", "give ci_low and ci_high"),
        ("r1,pain,parallel,2,1,3,,50,5.5,benefit-positive", "n", "number of patients"),
        ("r1,pain,parallel,2,1,3,,50,52,benefit", "sign_as_printed", "benefit-positive"),
        ("r1,pain,parallel,2,1,3,,50,52,", "sign_as_printed", "is empty; say which way"),
        (",pain,parallel,2,1,3,,50,52,benefit-positive", "id", "is empty"),
    ],
)
def test_bad_cells_are_refused_by_line_and_column(
    folder: Callable[..., Path], row: str, column: str, words: str
) -> None:
    """The message names file, line and column and says what to do."""
    with pytest.raises(EvidenceError, match=words) as caught:
        load_published(folder(GOOD.replace("r1", "r0"), row))
    assert "effects.csv, line 3" in str(caught.value)
    assert f"column '{column}'" in str(caught.value)


def test_repeated_ids_are_refused(folder: Callable[..., Path]) -> None:
    """The second row with an id is named with the line of the first."""
    with pytest.raises(EvidenceError, match=r"line 3.*also the id of line 2"):
        load_published(folder(GOOD, GOOD))


@pytest.mark.parametrize(
    ("header", "row", "words"),
    [
        (HEADER.replace("p_value", "pvalue"), GOOD, "did you mean 'p_value'"),
        (HEADER.replace("ci_low", "quote"), GOOD, "unknown key 'quote'"),
        (HEADER.replace(",estimate", ""), GOOD, "column 'estimate' is missing"),
        (HEADER.replace("df", "n"), GOOD, "stands twice"),
        (HEADER, GOOD + ",7", "line 2: 11 cells where the header has 10"),
        (HEADER.replace(",", ";"), GOOD.replace(",", ";"), "comma-separated"),
        (HEADER, "", "no rows"),
        ("", "", "is empty"),
        (HEADER, '"r1,pain', "not valid CSV"),
    ],
)
def test_bad_files_are_refused(
    folder: Callable[..., Path], header: str, row: str, words: str
) -> None:
    """A file that is not the table it should be is named with its fault."""
    with pytest.raises(EvidenceError, match=words) as caught:
        load_published(folder(row, header=header))
    assert "effects.csv" in str(caught.value)


def test_missing_and_unreadable_files_are_refused(folder: Callable[..., Path]) -> None:
    """A folder without its files, or with bytes that are no text, is refused by name."""
    place = folder(GOOD)
    (place / "effects.csv").write_bytes(b"id,\xff\xfe\n")
    with pytest.raises(EvidenceError, match="cannot be read as UTF-8"):
        load_published(place)
    (place / "effects.csv").unlink()
    with pytest.raises(EvidenceError, match=r"effects\.csv: no such file"):
        load_published(place)
    with pytest.raises(EvidenceError, match=r"trial\.toml: no such file"):
        load_published(place / "nowhere")


def test_a_covariate_has_no_sign(folder: Callable[..., Path]) -> None:
    """A coefficient of a covariate keeps its sign and refuses to be given one."""
    header = HEADER + ",term"
    row = "c1,pain,parallel,-2.0,-3.5,-0.5,,50,52,,age"
    assert float(effects(folder(row, header=header))["estimate"][0]) == -2.0
    with pytest.raises(EvidenceError, match="leave it empty for a covariate"):
        load_published(folder(row.replace(",,age", ",benefit-positive,age"), header=header))


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        (
            "baseline",
            "B.FEM,Sex,Female,count_pct,22,13",
            "B.FEM,Sex,Female,count_pct,22,23",
            "more",
        ),
        ("baseline", "B.AGE,Age y,,mean_sd", "B.AGE,Age y,,mean", "did you mean 'mean_sd'"),
        ("baseline", "B.AGE,Age y,,mean_sd,22", "B.AGE,Age y,,mean_sd,", "is empty"),
        ("flow", ",screened,57", ",screened,5.7", "number of people"),
        ("flow", ",screened,57", ",screened,", "is empty"),
        ("flow", ",screened,57", ",screend,57", "did you mean 'screened'"),
        ("flow", "13,KM,paper", "13,KX,paper", "not allowed"),
        ("flow", "13,KM,paper", "13,KM,papers", "did you mean 'paper'"),
        ("adverse_events", "vision,36", "vision,136", "between 0 and 100"),
        ("adverse_events", "69,42,27", "69,42,-27", "number of people"),
        ("claims", "time,present", "time,significant", "not allowed"),
        ("design", "D.KET", "", "is empty"),
    ],
)
def test_bad_cells_of_the_other_tables_are_refused(
    tmp_path: Path, name: str, old: str, new: str, words: str
) -> None:
    """Each table beside the effects is checked as strictly, by file and line."""
    place = shutil.copytree(SHIPPED, tmp_path / "copy")
    path = place / f"{name}.csv"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(EvidenceError, match=words) as caught:
        load_published(place)
    assert f"{name}.csv, line" in str(caught.value)


def test_a_copy_of_the_shipped_folder_is_the_same_evidence(tmp_path: Path) -> None:
    """Where the files are does not matter, what they say does."""
    place = shutil.copytree(SHIPPED, tmp_path / "copy")
    assert load_published(place).digest == load_published().digest


def test_a_bad_trial_file_is_a_bad_specification(folder: Callable[..., Path]) -> None:
    """The trial file of a folder is checked by its own rules."""
    place = folder(GOOD)
    (place / "trial.toml").write_text("schema = 2", encoding="utf-8")
    with pytest.raises(SpecError, match="schema"):
        load_published(place)


def test_selected_rows_are_evidence_of_one_row() -> None:
    """A selection holds 0-d variables only, with the trial that gives endpoint constants."""
    row = select_contrast(load_published(), "TX.CAPS.X")
    assert isinstance(row, Evidence)
    assert row.data["effects"].to_dataset().sizes == {}
    assert row.trial.endpoint(str(row.data["effects"]["endpoint"].item())).reference_sd == 13.1
