"""Tables of studies, plain and by the metapsy data standard: read, or refused in one message."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayes_ptsd.errors import BayesPtsdError, EvidenceError, StatisticalWarning
from bayes_ptsd.evidence.measures import ROW, printed_result
from bayes_ptsd.evidence.studies import Studies, read_studies

METAPSY = (
    "study;condition_arm1;condition_arm2;multi_arm1;outcome_type;instrument;time;"
    "mean_arm1;sd_arm1;n_arm1;mean_arm2;sd_arm2;n_arm2;"
    "event_arm1;totaln_arm1;event_arm2;totaln_arm2;.g;.g_se\n"
)
SMITH = "Smith, 2011;cbt;wlc;NA;msd;bdi;post;12,7;7,6;20;16,4;10,0;19;NA;NA;NA;NA;-0,41;0,32\n"
DOE = "Doe, 2012;cbt;wlc;NA;msd;bdi;post;NA;NA;NA;NA;NA;NA;NA;NA;NA;NA;-0,6;0,3\n"
ROE = "Roe, 2013;cbt;wlc;NA;response;bdi;post;NA;NA;NA;NA;NA;NA;10;20;5;21;NA;NA\n"


def table(folder: Path, text: str, **asked: object) -> Studies:
    """Read a text as a table of studies."""
    path = folder / "studies.csv"
    path.write_text(text, encoding="utf-8")
    return read_studies(path, **asked)  # type: ignore[arg-type]


def refused(folder: Path, text: str, **asked: object) -> str:
    """Return the message with which a text is refused."""
    with pytest.raises(EvidenceError) as caught:
        table(folder, text, **asked)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_each_row_is_the_printed_result_of_its_words(tmp_path: Path) -> None:
    """Intervals, standard errors, arms and counts read as `printed_result` reads the same words."""
    found = table(
        tmp_path,
        "study,measure,estimate,ci_low,ci_high,level,se,mean_active,sd_active,n_active,"
        "mean_control,sd_control,n_control,better\n"
        "A,md,7.6,3.9,11.3,.9,,,,,,,,higher\nB,md,2.12,,,,1.06,,,,,,,\n"
        "C,md,,,,,,12.7,7.6,20,16.4,10.0,19,lower\n",
    )
    a, b, c = found.studies
    assert a.result == printed_result(
        {"measure": "md", "estimate": 7.6, "ci_low": 3.9, "ci_high": 11.3, "level": 0.9,
         "better": "higher"}
    )  # fmt: skip
    assert (b.result.estimate, b.result.se, b.line) == (2.12, 1.06, 3)
    assert c.estimate == pytest.approx(3.7)
    assert (c.result.estimate, c.result.better) == (pytest.approx(3.7), "higher")
    assert (c.row["mean_active"], c.row["better"]) == (12.7, "lower")
    assert found.notes == ("turned, so that higher is better throughout: C",)
    assert (a.decimals["estimate"], b.decimals["se"]) == (1, 2)
    assert (found.measure, found.better) == ("md", "higher")


def test_turned_counts_are_those_without_the_event(tmp_path: Path) -> None:
    """A risk difference of the other direction becomes that of the event's absence."""
    text = "study,measure,counts,better\nA,rd,10/15 3/15,higher\nB,rd,4/20 9/21,lower\n"
    b = table(tmp_path, text).studies[1].result
    assert b.counts is not None
    assert b.counts.text == "16/20 12/21"
    assert b.estimate == pytest.approx(b.counts.wald("rd")[0])


def test_measure_and_direction_can_be_said_once(tmp_path: Path) -> None:
    """A table without the columns takes both from the request; a cell that says more is kept."""
    text = "study,counts\nA,10/15 3/15\nB,8/18 1/18\n"
    found = table(tmp_path, text, measure="or", better="higher")
    assert [one.result.better for one in found.studies] == ["higher", "higher"]
    assert found.studies[0].estimate == pytest.approx(math.log(10 * 12 / (5 * 3)))
    assert "measure" in refused(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("study,measure,estimate\nA,md,1\n", ("line 2", "'A'", "no precision")),
        ("study,measure,estimate,se\nA,md,1,x\n", ("line 2", "'A'", "'se'", "not a number")),
        ("study,measure,estimate,se\nA,md,1,1\nA,md,2,1\n", ("line 3", "'study'", "line 2")),
        ("study,measure,estimate,se\nA,md,1,1\nB,smd,2,1\n", ("line 3", "'measure'", "not pooled")),
        ("study,measure,estimate,se\nA,mdx,1,1\n", ("line 2", "did you mean 'md'")),
        ("study,measure,esitmate,se\nA,md,1,1\n", ("line 1", "did you mean 'estimate'")),
        ("study,measure,estimate,se,better\nA,hr,.7,.1,lower\nB,hr,1.2,.1,higher\n",
         ("line 3", "'better'", "one direction")),
        ("study,measure,counts\nA,md,3/5 4/5\n", ("line 2", "or, rr, rd")),
        ("measure,estimate,se\nmd,1,1\n", ("line 1", "'study' is missing")),
        ("study,measure,estimate,se\n", ("no rows",)),
        ("study,measure,estimate,se\n,md,1,1\n", ("line 2", "'study'", "is empty")),
    ],
)  # fmt: skip
def test_what_no_study_prints_is_refused_by_place(
    tmp_path: Path, text: str, words: tuple[str, ...]
) -> None:
    """Each message names the line, the study or column, and what to do."""
    message = refused(tmp_path, text)
    assert message.startswith("studies.csv")
    for word in words:
        assert word in message, message


def test_odd_intervals_are_warned_of_by_study(tmp_path: Path) -> None:
    """An estimate that is not the middle of its interval is a warning with the study's name."""
    text = "study,measure,estimate,ci_low,ci_high\nA,md,3.3,-.7,6.8\n"
    with pytest.warns(StatisticalWarning, match=r"^A: .*not the middle"):
        table(tmp_path, text)


def test_metapsy_rows_by_measure(tmp_path: Path) -> None:
    """Means with decimal commas make g and md, events or and rr; the rest is left out and said."""
    text = METAPSY + SMITH + DOE + ROE
    found = table(tmp_path, text)
    assert [one.name for one in found.studies] == ["Smith, 2011", "Doe, 2012"]
    arms = {"mean_active": 12.7, "sd_active": 7.6, "n_active": 20,
            "mean_control": 16.4, "sd_control": 10.0, "n_control": 19}  # fmt: skip
    g = printed_result({"measure": "smd", **arms, "better": "lower"})
    assert found.studies[0].result == g
    assert found.studies[1].estimate == pytest.approx(0.6)
    assert found.left_out == (
        "line 4 (Roe, 2013): no means or changes with SDs and n of both arms, no g whose sign is "
        "known",
    )
    assert table(tmp_path, text, measure="md").studies[0].estimate == pytest.approx(3.7)
    odds = table(tmp_path, text, measure="or")
    assert odds.better == "higher"
    assert odds.studies[0].estimate == pytest.approx(math.log(10 * 16 / (10 * 5)))


@pytest.mark.parametrize(("written", "estimate"), [("-0,41", 0.6), ("0,41", -0.6)])
def test_the_sign_of_g_is_that_beside_means(tmp_path: Path, written: str, estimate: float) -> None:
    """Where .g is turned beside means, it is turned back where it stands alone."""
    text = METAPSY + SMITH.replace("-0,41", written) + DOE
    assert table(tmp_path, text).studies[1].estimate == pytest.approx(estimate)


def test_contradicting_signs_of_g_are_left_out(tmp_path: Path) -> None:
    """Where rows contradict on the sign of .g, a row that has only .g is left out."""
    other = SMITH.replace("Smith", "Poe").replace("-0,41", "0,41")
    found = table(tmp_path, METAPSY + SMITH + DOE + other)
    assert [one.name for one in found.studies] == ["Smith, 2011", "Poe, 2011"]
    assert "sign" in found.left_out[0]


def test_several_rows_of_a_study_ask_for_a_choice(tmp_path: Path) -> None:
    """The message names the columns that differ, and following it works."""
    text = METAPSY + SMITH + SMITH.replace("post", "fu") + SMITH.replace("Smith", "Poe")
    message = refused(tmp_path, text)
    assert "differ in time: choose, as --where 'time=post'" in message
    assert "line 3" in message
    assert len(table(tmp_path, text, where=["time=post"]).studies) == 2
    assert "did you mean 'time'" in refused(tmp_path, text, where=["tme=post"])
    assert "no row" in refused(tmp_path, text, where=["time=never"])
    assert "COLUMN=VALUE" in refused(tmp_path, text, where=["time"])
    assert "'event_arm1'" in refused(tmp_path, METAPSY + ROE.replace(";10;", ";1,5;"), measure="or")


def assert_read_or_refused(path: Path, **asked: str) -> None:
    """Hold a file to be studies with finite estimates, or refused in one line."""
    message, found = "", None
    try:
        found = read_studies(path, **asked)
    except BayesPtsdError as error:
        message = str(error)
    if found is None:
        assert len(message.splitlines()) == 1
        return
    assert all(math.isfinite(one.estimate) and one.result.se > 0 for one in found.studies)


HEADERS = st.lists(
    st.sampled_from(["study", *ROW, "condition_arm1", "condition_arm2", "mean_arm1", ".g", "x"]),
    max_size=8,
)
CELLS = st.one_of(
    st.sampled_from(["md", "or", "smd", "lower", "3/5 4/9", "NA", "", "-1,5", "1e400", "inf", "A"]),
    st.text(max_size=6),
    st.floats().map(str),
)


@settings(max_examples=150)
@given(
    text=st.one_of(
        st.text(max_size=200),
        st.tuples(HEADERS, st.lists(st.lists(CELLS, max_size=8), max_size=4)).map(
            lambda parts: "\n".join(",".join(cells) for cells in [parts[0], *parts[1]])
        ),
    )
)
def test_any_text_is_read_or_refused_in_one_message(
    text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever a file holds, it is a table of studies or one line that says why not."""
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StatisticalWarning)
        assert_read_or_refused(path)


@settings(max_examples=60)
@given(
    cells=st.lists(
        st.lists(
            st.sampled_from(["NA", "", "0", "1", "20", "-3", "7,6", "0,5", "x", "1e20", "-0"]),
            min_size=12, max_size=12,
        ),
        min_size=1, max_size=4,
    ),
    measure=st.sampled_from(["", "smd", "md", "or", "rr", "rd", "hr"]),
)  # fmt: skip
def test_any_metapsy_cells_are_read_or_refused(
    cells: list[list[str]], measure: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever its cells hold, a metapsy table makes finite estimates or one message."""
    rows = [f"S{i};cbt;wlc;NA;msd;bdi;post;" + ";".join(row) for i, row in enumerate(cells)]
    path = tmp_path_factory.getbasetemp() / "metapsy.csv"
    path.write_text(METAPSY + "\n".join(rows) + "\n", encoding="utf-8")
    assert_read_or_refused(path, measure=measure)
