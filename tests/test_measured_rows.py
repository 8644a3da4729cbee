"""Rows of effects.csv that say what they are: measures, levels, standard errors, counts, bounds."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy import stats
from typer.testing import CliRunner

from bayes_ptsd.audit import audit_evidence, audit_frame
from bayes_ptsd.cli import app
from bayes_ptsd.errors import BayesPtsdError, EvidenceError
from bayes_ptsd.evidence.measured_rows import printed_scale
from bayes_ptsd.evidence.published import EFFECTS, load_published, select_contrast

TRIAL = """
schema = 1
name = "mine"
design = "parallel"
[treatments]
active = "a"
control = "b"
"""
HR: dict[str, str] = {"measure": "hr", "estimate": "0.75", "ci_low": "0.55", "ci_high": "1.02"}
COUNTS = {"counts": "89/1108 101/1096"}
SE = {"estimate": "3.07", "se": "1.19"}
LEVEL = {"estimate": "3.07", "ci_low": "1.11", "ci_high": "5.03", "level": "0.90"}


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a folder, a row and an endpoint for each dict of cells."""

    def write(*rows: dict[str, str], better: str = "lower", about: str = "") -> Path:
        place = tmp_path / f"folder{len(list(tmp_path.iterdir()))}"
        place.mkdir()
        text, lines = TRIAL, [",".join(EFFECTS)]
        for number, own in enumerate(rows):
            name = own.get("endpoint", f"e{number}")
            if f"[endpoints.{name}]" not in text:
                text += f'[endpoints.{name}]\nkind = "continuous"\nbetter = "{better}"\n{about}\n'
            row = {
                "id": f"R{number}", "endpoint": name, "analysis": "parallel",
                "sign_as_printed": "active-minus-control", **own,
            }  # fmt: skip
            lines.append(",".join(row.get(column, "") for column in EFFECTS))
        (place / "trial.toml").write_text(text, "utf-8")
        (place / "effects.csv").write_text("\n".join(lines) + "\n", "utf-8")
        return place

    return write


def row_of(folder: Path, name: str = "R0") -> xr.Dataset:
    """Return one row as analyzed."""
    return select_contrast(load_published(folder), name).data["effects"].to_dataset()


def run(*words: str) -> Any:
    """Run one command line."""
    return CliRunner().invoke(app, list(words))


def document(*words: str) -> dict[str, Any]:
    """Return the JSON of one command line."""
    done = run(*words, "--json")
    assert done.exit_code == 0, (done.stderr, done.exception)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def fitted(folder: Path, tmp_path: Path, *words: str) -> dict[str, Any]:
    """Return the fit of the first row under a flat prior."""
    return document(
        "fit", "published", "--evidence", str(folder), "--contrast", "R0", "--prior", "flat",
        "--store", str(tmp_path / "store"), *words,
    )  # fmt: skip


def test_a_hazard_ratio_is_answered_as_one(folder: Callable[..., Path], tmp_path: Path) -> None:
    """HR 0.75 (0.55 to 1.02) has P(benefit) .967 and its flat posterior is the printed interval."""
    found = fitted(folder(HR), tmp_path, "--threshold", "0.9")
    ratio = found["printed_scale"]
    assert ratio["prob_benefit"] == pytest.approx(0.967, abs=5e-4)
    assert ratio["eti95"] == pytest.approx([0.55, 1.02], abs=1e-6)
    assert ratio["median"] == pytest.approx(math.sqrt(0.55 * 1.02), abs=1e-6)
    # the normal of the logarithm, from the closed form
    se = math.log(1.02 / 0.55) / (2 * stats.norm.ppf(0.975))
    expected = stats.norm.cdf((math.log(0.9) - math.log(ratio["median"])) / se)
    assert ratio["beyond"] == [{"threshold": 0.9, "probability": pytest.approx(expected, abs=1e-6)}]
    assert found["estimands"]["treatment_difference"]["unit"] == "log hazard ratio"


def test_the_same_result_on_the_log_scale(folder: Callable[..., Path], tmp_path: Path) -> None:
    """A ratio typed as its logarithm with its standard error has the same P(benefit)."""
    se = math.log(1.02 / 0.55) / (2 * 1.959963984540054)
    middle = math.log(0.55 * 1.02) / 2
    logarithm = {"measure": "md", "estimate": f"{middle:.12f}", "se": f"{se:.12f}"}
    ratio, difference = (fitted(folder(one), tmp_path) for one in (HR, logarithm))
    known = [one["estimands"]["treatment_difference"] for one in (ratio, difference)]
    assert known[0]["prob_benefit"] == pytest.approx(known[1]["prob_benefit"], abs=1e-9)
    assert known[0]["mean"] == pytest.approx(known[1]["mean"], abs=1e-9)
    assert "printed_scale" not in difference


def test_relabelling_the_arms_changes_nothing(folder: Callable[..., Path]) -> None:
    """Control over active, or the other outcome, of the reciprocal ratio is the same benefit."""
    other = HR | {
        "estimate": "1.3333333",
        "ci_low": f"{1 / 1.02:.9f}",
        "ci_high": f"{1 / 0.55:.9f}",
    }
    rows = [
        row_of(folder(HR)),
        row_of(folder(other | {"sign_as_printed": "control-minus-active"})),
        row_of(folder(other, better="higher")),
    ]
    for row in rows[1:]:
        for name in ("estimate", "ci_low", "ci_high", "se", "interval_low", "interval_high"):
            assert float(row[name]) == pytest.approx(float(rows[0][name]), abs=1e-6)
    shown = [printed_scale(row) for row in rows]
    assert shown[0] is not None
    assert shown[1] is not None
    assert shown[0].printed(float(rows[0]["estimate"])) == pytest.approx(0.75)
    assert shown[1].printed(float(rows[1]["estimate"])) == pytest.approx(1 / 0.75, abs=1e-6)


def test_standard_errors_of_every_kind_of_row(folder: Callable[..., Path]) -> None:
    """Counts by Wald, a printed SE, a 90% interval by its own quantile, t, Welch of two arms."""
    arms = {"mean_active": "12", "sd_active": "4", "n_active": "20", "mean_control": "9",
            "sd_control": "6", "n_control": "30"}  # fmt: skip
    place = folder(COUNTS, SE, LEVEL, {"estimate": "6", "t": "2", "df": "20"}, arms)
    rows = [row_of(place, f"R{number}") for number in range(5)]
    wald = math.sqrt(1 / 89 + 1 / 1019 + 1 / 101 + 1 / 995)
    welch = math.sqrt(16 / 20 + 36 / 30)
    expected = [wald, 1.19, 3.92 / (2 * stats.norm.ppf(0.95)), 3.0, welch]
    assert [float(row["se"]) for row in rows] == pytest.approx(expected, abs=1e-9)
    assert float(rows[0]["estimate"]) == pytest.approx(-math.log(89 * 995 / (1019 * 101)))
    # of lower scores that are better, active minus control has the other sign
    assert float(rows[4]["estimate"]) == -3.0
    assert float(rows[4]["df"]) == pytest.approx(2.0**2 / (0.8**2 / 19 + 1.2**2 / 29))
    # every row has the 95% interval of its standard error
    for row in rows:
        half = stats.t.ppf(0.975, float(row["df"])) * float(row["se"])
        width = float(row["interval_high"] - row["interval_low"])
        assert width == pytest.approx(2 * half)


def test_credibility_takes_the_row_as_it_is_typed(folder: Callable[..., Path]) -> None:
    """The words of a row are those of the options: one document, of counts two binomials."""
    asked = ["--prior", "normal(0, 0.35)", "--prior", "flat", "--threshold", "0.9"]
    place = folder(HR, COUNTS | {"measure": "rr"}, LEVEL, SE | {"df": "30"}, better="lower")
    typed = (
        ["--measure", "hr", "--estimate", "0.75", "--ci", "0.55", "1.02"],
        ["--measure", "rr", "--counts", "89/1108", "101/1096"],
        ["--measure", "md", "--estimate", "3.07", "--ci", "1.11", "5.03", "--level", "0.9"],
        ["--measure", "md", "--estimate", "3.07", "--se", "1.19", "--df", "30"],
    )
    for number, words in enumerate(typed):
        row = ["--evidence", str(place), "--contrast", f"R{number}"]
        here = document("credibility", *row, *asked)
        there = document("credibility", *words, "--better", "lower", *asked)
        assert here == there


def test_a_comparison_shows_ratios_as_printed(folder: Callable[..., Path], tmp_path: Path) -> None:
    """Published and answered numbers of a ratio are ratios; counts say how they enter."""
    words = ["--evidence", str(folder(HR, COUNTS, LEVEL)), "--prior", "flat"]
    found = document("compare", *words, "--store", str(tmp_path / "store"))
    ratio, counts, level = found["rows"]
    printed = [ratio[f"published_{key}"] for key in ("estimate", "low", "high")]
    assert printed == pytest.approx([0.75, 0.55, 1.02])
    answer = [ratio[f"answer_{key}"] for key in ("median", "low", "high")]
    assert answer == pytest.approx([0.749, 0.55, 1.02], abs=5e-4)
    assert counts["published_estimate"] == pytest.approx(89 * 995 / (1019 * 101))
    assert level["answer"] is None
    assert level["published_level"] == 0.90
    assert any("two binomials" in note for note in found["notes"])


BOUNDS = {
    "<.001": ("contradiction", "P < 0.001"),
    "< .10": ("consistent", "printed < 0.10"),
    ">.05": ("consistent", "printed > 0.05"),
    "> .10": ("contradiction", "P > 0.10"),
}


@pytest.mark.parametrize("bound", BOUNDS)
def test_a_bound_on_p_is_audited(folder: Callable[..., Path], bound: str) -> None:
    """P of the ratio is .067: it is within a bound or contradicts it."""
    place = folder(HR | {"p_value": bound})
    row = row_of(place)
    assert math.isnan(float(row["p_value"]))
    frame = audit_frame(audit_evidence(load_published(place)))
    severity, text = BOUNDS[bound]
    finding = frame[frame["place"] == "R0"].iloc[0]
    assert finding["severity"] == severity
    assert text in finding["statement"]


def test_the_audit_of_a_ratio_is_one_of_logarithms(folder: Callable[..., Path]) -> None:
    """P of 0.75 (0.55 to 1.02) printed .07 agrees; an upper limit of 1.20 is mended to 1.02.

    The 90% interval of the same numbers has the larger standard error that its quantile gives.
    """
    good, off = HR | {"p_value": ".07"}, HR | {"ci_high": "1.20"}
    ninety = HR | {"level": "0.90", "p_value": ".13"}
    frame = audit_frame(audit_evidence(load_published(folder(good, off, ninety))))
    first, second, third = (frame[frame["place"] == f"R{one}"].iloc[0] for one in range(3))
    assert first["severity"] == "consistent"
    assert second["severity"] == "contradiction"
    assert "of logarithms" in second["statement"]
    assert "ci_high 1.02" in second["statement"]
    # z of the estimate by a 90% interval
    se = math.log(1.02 / 0.55) / (2 * stats.norm.ppf(0.95))
    expected = 2 * stats.norm.sf(-math.log(0.75) / se)
    assert third["severity"] == "consistent"
    assert f"{expected:.3g}" in third["statement"]


def test_a_printed_standard_error_is_held_against_p(folder: Callable[..., Path]) -> None:
    """3.07 with SE 1.19 has P .0099: .010 agrees, .05 does not."""
    place = folder(SE | {"p_value": ".010"}, SE | {"p_value": ".05"})
    frame = audit_frame(audit_evidence(load_published(place)))
    severities = [frame[frame["place"] == name].iloc[0]["severity"] for name in ("R0", "R1")]
    assert severities == ["consistent", "contradiction"]


def test_units_and_margins_follow_the_measure(folder: Callable[..., Path]) -> None:
    """The MCID of a ratio is the size of its logarithm; a standardized difference has SD 1."""
    ratio = load_published(folder(HR, about="mcid = 0.8")).trial.endpoint("e0")
    assert ratio.mcid == pytest.approx(-math.log(0.8))
    assert ratio.unit == "log hazard ratio"
    smd = load_published(folder({"measure": "smd"} | SE)).trial.endpoint("e0")
    assert (smd.unit, smd.reference_sd) == ("SD", 1.0)


REFUSED: dict[str, tuple[list[dict[str, str]], str, str]] = {
    "bound for a standard error": (
        [{"measure": "hr", "estimate": "0.75", "p_value": "< .001"}], "",
        "'<.001' is a bound, from which no standard error follows; give ci_low and ci_high, se",
    ),
    "bound of words": ([HR | {"p_value": "< small"}], "", "column 'p_value': 'small' is not"),
    "estimate alone": ([{"measure": "hr", "estimate": "0.75"}], "", "give its interval"),
    "unknown measure": ([HR | {"measure": "hzr"}], "", "unknown measure 'hzr'"),
    "a ratio of 0": ([HR | {"ci_low": "0"}], "", "a ratio is above 0"),
    "level in percent": ([LEVEL | {"level": "90"}], "", "between 0 and 1, as 0.95"),
    "counts the other way": (
        [COUNTS | {"sign_as_printed": "benefit-positive"}], "", "say active-minus-control",
    ),
    "two measures of one endpoint": (
        [HR | {"endpoint": "e"}, SE | {"endpoint": "e"}], "", "an endpoint of its own",
    ),
    "a ratio of scores": ([HR], "range = [0, 60]", "has a range of scores"),
    "no measure": (
        [{key: text for key, text in HR.items() if key != "measure"}], "",
        "what is 0.75 (0.55 to 1.02)?",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", REFUSED)
def test_rows_that_cannot_be_used(folder: Callable[..., Path], fault: str) -> None:
    """A row that cannot be used is refused by file, line and column, with what to do."""
    rows, about, message = REFUSED[fault]
    place = folder(*rows, about=about)
    with pytest.raises(EvidenceError) as refused:
        load_published(place)
    assert message in str(refused.value)
    assert "effects.csv, line " in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_a_file_without_the_column_has_differences(folder: Callable[..., Path]) -> None:
    """A folder without the columns of words reads as before: no difference is asked about."""
    place = folder({key: text for key, text in HR.items() if key != "measure"})
    path = place / "effects.csv"
    lines = [line.split(",") for line in path.read_text("utf-8").splitlines()]
    kept = EFFECTS.index("measure")
    path.write_text("\n".join(",".join(line[:kept]) for line in lines) + "\n", "utf-8")
    row = row_of(place)
    assert not {"measure", "printed", "print_sign", "level", "p_bound"} & set(row.coords)
    assert float(row["estimate"]) == -0.75
    assert np.isclose(float(row["se"]), 0.47 / (2 * stats.norm.ppf(0.975)))


def test_the_p_of_counts_is_audited(folder: Callable[..., Path]) -> None:
    """Counts with a P, and a log hazard ratio's SE with one, are held against Wald's P."""
    place = folder(COUNTS | {"p_value": ".03"}, {"measure": "hr", "estimate": "0.75", "se": "0.158",
                                                 "p_value": ".07"})  # fmt: skip
    frame = audit_frame(audit_evidence(load_published(place))).set_index("place")
    wald = math.log(89 / 1019 / (101 / 995)) / math.sqrt(1 / 89 + 1 / 1019 + 1 / 101 + 1 / 995)
    assert f"P is {2 * stats.norm.sf(abs(wald)):.3g}, printed 0.03" in str(frame["statement"]["R0"])
    wald = math.log(0.75) / 0.158
    assert f"P is {2 * stats.norm.sf(abs(wald)):.3g}, printed 0.07" in str(frame["statement"]["R1"])


def test_a_replication_of_a_ratio_is_foretold_as_one(folder: Callable[..., Path]) -> None:
    """The intervals of its prior and prediction are the exponentials of those of the logarithm."""
    words = ["--evidence", str(folder(HR)), "--contrast", "R0", "--sd", "1"]
    prior = document("replicate", "prior", *words)["prior"]
    for found in (prior, document("replicate", "predict", *words)["predictions"][0]):
        low, high = found["interval95"]
        assert found["printed_scale"]["label"] == "hazard ratio"
        expected = [math.exp(-high), math.exp(-low)]
        assert found["printed_scale"]["interval95"] == pytest.approx(expected)
    middle = -math.log(prior["printed_scale"]["median"])
    below = [part["weight"] * stats.norm.cdf((middle - part["mu"]) / part["sigma"])
             for part in prior["components"]]  # fmt: skip
    assert sum(below) == pytest.approx(0.5)


def test_counts_say_the_patients(folder: Callable[..., Path]) -> None:
    """A row of counts has its numbers of patients; those that are filled in stay."""
    rows = [row_of(folder(COUNTS)), row_of(folder(COUNTS | {"n_active": "1107"}))]
    sizes = [[float(row[key]) for key in ("n_active", "n_control", "n")] for row in rows]
    assert sizes == [[1108.0, 1096.0, 2204.0], [1107.0, 1096.0, 2204.0]]


COMMANDS = (
    "audit", "readings", "credibility --contrast {}", "fit published --contrast {}",
    "replicate prior --contrast {} --sd 1", "replicate predict --contrast {} --sd 1",
    "replicate predict --contrast {}", "sensitivity {} --reconstructions 0", "compare",
    "reconstruct --m 1 --workers 1", "report",
)  # fmt: skip


def test_every_command_takes_such_folders(folder: Callable[..., Path], tmp_path: Path) -> None:
    """A row of each kind goes through every command: an answer, or one line on what is missing."""
    place = folder(
        HR | {"p_value": "<.10"}, COUNTS, SE, {"estimate": "3.07", "p_value": ".01"}, LEVEL
    )
    answered = 0
    for command in COMMANDS:
        for name in [f"R{number}" for number in range(5)] if "{}" in command else [""]:
            words = [*command.format(name).split(), "--evidence", str(place)]
            if words[0] in ("compare", "fit", "report"):
                words += ["--store", str(tmp_path / "store")]
            done = run(*words)
            answered += done.exit_code == 0
            if done.exit_code:
                assert isinstance(done.exception, BayesPtsdError), (words, done.exception)
                assert len(str(done.exception).splitlines()) == 1
    # one of each row in five commands, audit, comparison and page
    assert answered == 4 * 5 + 3
