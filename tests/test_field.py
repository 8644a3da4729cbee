"""Many trials of one question: audited, pooled, each predicted from the others."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from typer.testing import CliRunner

from bayes_ptsd.cli import app
from bayes_ptsd.errors import BayesPtsdError, EvidenceError, SpecError
from bayes_ptsd.evidence.studies import Studies, read_studies
from bayes_ptsd.exact.history import Heterogeneity
from bayes_ptsd.field.audit import audit_study
from bayes_ptsd.field.document import (
    default_heterogeneity,
    field_document,
    field_rows,
    history_of,
    pooled_se,
)
from bayes_ptsd.plots.field import field_figure
from bayes_ptsd.priors import normal

Reader = Callable[[str], Studies]
FOUR = [("A", 2.7, 2.24), ("B", 7.6, 1.75), ("C", 3.7, 2.85), ("D", 9.9, 2.12)]
SPREAD = Heterogeneity("half-normal", 2.0)


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    """Return what reads a text as a table of studies."""

    def reader(text: str) -> Studies:
        path = tmp_path / "studies.csv"
        path.write_text(text, encoding="utf-8")
        return read_studies(path)

    return reader


def text_of(rows: list[tuple[str, float, float]], better: str = "higher") -> str:
    """Return differences with standard errors as a table."""
    lines = [f"{name},md,{y!r},{se!r},{better}" for name, y, se in rows]
    return "\n".join(["study,measure,estimate,se,better", *lines]) + "\n"


def field(read: Reader, rows: list[tuple[str, float, float]], **asked: Any) -> dict[str, Any]:
    """Return the field document of differences."""
    better = asked.pop("better", "higher")
    asked.setdefault("heterogeneity", SPREAD)
    return field_document(read(text_of(rows, better)), **asked)


def test_each_study_alone_is_its_closed_form(read: Reader) -> None:
    """Flat P(benefit) is Phi of the estimate in standard errors; cochrane shrinks toward 0."""
    for one, (_, y, se) in zip(field(read, FOUR)["studies"], FOUR, strict=True):
        flat, shrunken = one["posteriors"]["flat"], one["posteriors"]["cochrane"]
        assert flat["prob_benefit"] == pytest.approx(stats.norm.cdf(y / se), abs=1e-9)
        assert 0 < shrunken["median"] < y
        assert 0.5 < shrunken["prob_benefit"] < flat["prob_benefit"]


def test_shift_unit_order_and_direction(read: Reader) -> None:
    """Pooling follows a shift, a unit and relabeling; arms exchanged with the direction mirror."""
    found = field(read, FOUR)
    shifted = field(read, [(n, y + 10, se) for n, y, se in FOUR])
    scaled = field(
        read, [(n, 3 * y, 3 * se) for n, y, se in FOUR],
        heterogeneity=Heterogeneity("half-normal", 6.0),
    )  # fmt: skip
    mirrored = field(read, [(n, -y, se) for n, y, se in FOUR], better="lower")
    turned = field(read, FOUR[::-1])
    for name in ("mean", "new_trial"):
        one = found["field"][name]
        low, high = one["eti95"]
        assert shifted["field"][name]["eti95"] == pytest.approx([low + 10, high + 10], abs=1e-6)
        assert scaled["field"][name]["eti95"] == pytest.approx([3 * low, 3 * high], abs=1e-5)
        assert mirrored["field"][name]["eti95"] == pytest.approx([-high, -low], abs=1e-6)
        assert mirrored["field"][name]["prob_benefit"] == pytest.approx(one["prob_benefit"])
        assert turned["field"][name]["eti95"] == pytest.approx([low, high], abs=1e-9)
    for other in (shifted, scaled, mirrored):
        pits = [one["pit"] for one in other["leave_one_out"]["trials"]]
        assert pits == pytest.approx(
            [one["pit"] for one in found["leave_one_out"]["trials"]], abs=1e-9
        )
    lost = found["leave_one_out"]["mean_log_score"] - math.log(3)
    assert scaled["leave_one_out"]["mean_log_score"] == pytest.approx(lost, abs=1e-9)


def test_without_differences_between_trials_it_is_the_common_effect(read: Reader) -> None:
    """A heterogeneity next to none leaves the mean weighted by precision, and so each new trial."""
    found = field(read, FOUR, heterogeneity=Heterogeneity("uniform", 1e-6))["field"]
    weight = np.array([se**-2 for *_, se in FOUR])
    mean = float(weight @ [y for _, y, _ in FOUR] / weight.sum())
    half = stats.norm.ppf(0.975) / math.sqrt(weight.sum())
    for name in ("mean", "new_trial"):
        assert found[name]["eti95"] == pytest.approx([mean - half, mean + half], abs=1e-5)


def test_two_trials_predict_each_other(read: Reader) -> None:
    """PIT of one from the other is Phi of their gap, averaged over the prior of tau; it says so."""
    found = field(read, FOUR[:2])
    (_, y, s), (_, z, t) = FOUR[:2]
    wanted = integrate.quad(
        lambda tau: stats.norm.cdf((y - z) / math.sqrt(s**2 + t**2 + 2 * tau**2))
        * stats.halfnorm.pdf(tau, scale=2),
        0, 30,
    )[0]  # fmt: skip
    pits = [one["pit"] for one in found["leave_one_out"]["trials"]]
    assert pits == pytest.approx([wanted, 1 - wanted], abs=1e-7)
    assert found["cannot_say"][0].startswith("two studies")


def test_one_trial_predicts_a_new_one_and_says_what_it_cannot(read: Reader) -> None:
    """With one study there is no leave-one-out, and a new trial has variance se^2 + 2 E(tau^2)."""
    found = field(read, FOUR[:1], new_se=3.0)
    assert found["leave_one_out"] is None
    assert found["cannot_say"][0].startswith("one study")
    new = found["field"]["new_trial"]
    assert new["median"] == pytest.approx(2.7, abs=1e-9)
    assert new["eti95"][1] - 2.7 > stats.norm.ppf(0.975) * 2.24
    tau = stats.halfnorm.ppf(0.5, scale=2)
    assert found["field"]["heterogeneity"]["0.5"] == pytest.approx(tau, rel=1e-3)
    wider = found["field"]["new_estimate"]
    assert wider["eti95"][1] > new["eti95"][1]
    assert field_figure(found).get_suptitle() == "One trial"


def test_predictions_are_calibrated() -> None:
    """Over 400 simulated fields, the PIT of a trial left out is uniform (Kolmogorov P > .001).

    Four trials with the sd between them drawn from its prior; the flat mean is exact for any mean.
    """
    from bayes_ptsd.exact.history import normal_trials
    from bayes_ptsd.exact.meta import normal_mixtures
    from bayes_ptsd.priors import Prior

    rng = np.random.default_rng(11)
    se = np.array([2.2, 1.7, 2.9, 2.1])
    pits = []
    for _ in range(400):
        tau = abs(rng.normal(0, 2))
        y = rng.normal(5, np.sqrt(tau**2 + se**2))
        others = normal_trials(list("ABC"), y=y[:3], se=se[:3])
        new = normal_mixtures(others, mean=Prior("flat"), heterogeneity=SPREAD)[1]
        pits.append(float(new.widened(se[3]).below(y[3:])[0]))
    assert stats.kstest(pits, "uniform").pvalue > 0.001


def test_pooled_likelihoods_have_the_printed_interval(read: Reader) -> None:
    """With degrees of freedom, the normal that is pooled has the study's own 95% interval."""
    study = read("study,measure,estimate,ci_low,ci_high,df\nA,md,7.6,3.9,11.3,16\n").studies[0]
    assert study.result.se == pytest.approx(3.7 / stats.t.ppf(0.975, 16))
    assert pooled_se(study.result) == pytest.approx(3.7 / stats.norm.ppf(0.975))
    assert float(history_of([study]).se[0]) == pooled_se(study.result)


def test_the_table_of_the_guide_is_what_its_studies_make(tmp_path: Path) -> None:
    """Every number of the guide's table follows from the table of studies above it."""
    guide = (Path(__file__).parents[1] / "docs/guides/many-trials.md").read_text(encoding="utf-8")
    block = re.search(r"```text\n(.*?)```", guide, re.DOTALL)
    assert block is not None
    path = tmp_path / "studies.csv"
    path.write_text(block[1], encoding="utf-8")
    studies = read_studies(path)
    found = field_document(studies, heterogeneity=default_heterogeneity(studies, 8.3))
    for one, other in zip(found["studies"], found["leave_one_out"]["trials"], strict=True):
        (low, high), (least, most) = one["ci95"], other["predicted95"]
        flat, shrunken = one["posteriors"]["flat"], one["posteriors"]["cochrane"]
        line = (
            f"| {one['study']} | {one['estimate']:.2f} ({low:.2f} to {high:.2f}) "
            f"| {flat['prob_benefit']:.3f} | {shrunken['median']:.2f} "
            f"| {other['predicted_median']:.2f} ({least:.2f} to {most:.2f}) | {other['pit']:.3f} |"
        )
        assert line.replace(" 0.", " .").replace("(.", "(0.") in guide, line
    mean, new = found["field"]["mean"], found["field"]["new_trial"]
    low, middle, high = found["field"]["heterogeneity"].values()
    for words in (
        f"{mean['median']:.2f} points ({mean['eti95'][0]:.2f} to {mean['eti95'][1]:.2f})",
        f"{new['median']:.2f} ({new['eti95'][0]:.2f} to {new['eti95'][1]:.2f})",
        f"P(benefit) {new['prob_benefit']:.3f}".replace("0.", "."),
        f"{middle:.2f} ({low:.2f} to {high:.2f})",
    ):
        assert words in " ".join(guide.split()), words
    assert [one["inside"] for one in found["leave_one_out"]["coverage"]] == [1, 2, 4]


def test_coverage_counts_the_trials_inside(read: Reader) -> None:
    """Levels count PIT values in their central interval, as the printed intervals do."""
    found = field(read, FOUR)["leave_one_out"]
    for one in found["coverage"]:
        name = f"predicted{100 * one['level']:.0f}"
        inside = [part[name][0] <= part["estimate"] <= part[name][1] for part in found["trials"]]
        assert one["inside"] == sum(inside)
        assert one["of"] == 4


def test_ratios_come_back_as_ratios(read: Reader) -> None:
    """A hazard ratio is pooled as a logarithm, lower better; P(benefit) is P(ratio < 1)."""
    found = field_document(
        read("study,measure,estimate,ci_low,ci_high\nA,hr,0.75,0.55,1.02\nB,hr,0.6,0.4,0.9\n"),
        heterogeneity=Heterogeneity("half-normal", 0.5),
        new_se=0.1,
    )
    assert found["studies"][0]["posteriors"]["flat"]["prob_benefit"] == pytest.approx(
        0.9667, abs=1e-4
    )
    mean = found["field"]["mean"]
    assert 0.6 < mean["median"] < 0.75
    assert mean["eti95"][0] < mean["median"] < mean["eti95"][1]
    assert mean["prob_benefit"] > 0.9


def test_an_arm_without_events_keeps_the_field(read: Reader) -> None:
    """No event in one arm: no flat posterior, a shrunken one, and the reader is told."""
    found = field_document(
        read("study,measure,counts\nA,or,0/20 3/20\nB,or,4/30 9/31\n"),
        heterogeneity=Heterogeneity("half-normal", 0.5),
    )
    assert found["studies"][0]["posteriors"]["flat"] is None
    assert found["studies"][0]["posteriors"]["cochrane"]["prob_benefit"] > 0.8
    assert any("(A)" in line for line in found["cannot_say"])
    assert field_rows(found)[0]["prob_benefit_flat"] is None


@pytest.mark.parametrize(
    ("text", "check", "severity"),
    [
        # T2.AVOI.F of Feder 2014, whose lower limit is not around the estimate
        ("md,3.3,-0.7,6.8,,,", "middle", "contradiction"),
        ("md,8.6,0.94,16.2,,0.03,38", "p", "consistent"),
        ("md,8.6,0.94,16.2,,0.3,38", "p", "contradiction"),
        ("md,2.7,-1.7,7.1,2.2,,", "se", "consistent"),
        ("md,2.7,-1.7,7.1,4.4,,", "se", "contradiction"),
        ("hr,0.75,0.55,1.02,,.07,", "p", "consistent"),
        ("hr,0.75,0.55,1.02,,.7,", "p", "caution"),
        ("md,2.5,,,1.0,.012,", "p", "consistent"),
        ("md,2.5,,,1.0,.2,", "p", "contradiction"),
    ],
)
@pytest.mark.filterwarnings("ignore::bayes_ptsd.errors.StatisticalWarning")
def test_printed_numbers_of_a_study_are_audited(
    read: Reader, text: str, check: str, severity: str
) -> None:
    """Interval, standard error and P are held to each other with the digits of print."""
    head = "study,measure,estimate,ci_low,ci_high,se,p_value,df\n"
    found = {one.check: one for one in audit_study(read(head + f"A,{text}\n").studies[0])}
    assert found[check].severity == severity, found[check].statement


def test_counts_and_arms_are_held_to_the_estimate(read: Reader) -> None:
    """Counts that make the printed odds ratio agree; others are a caution that names both."""
    head = "study,measure,estimate,counts\n"
    right = audit_study(read(head + "A,or,8.0,10/15 3/15\n").studies[0])
    wrong = audit_study(read(head + "A,or,2.0,10/15 3/15\n").studies[0])
    assert [one.severity for one in right] == ["consistent"]
    assert wrong[0].severity == "caution"
    assert "the counts give 8, printed 2" in wrong[0].statement
    alone = audit_study(read("study,measure,counts\nA,or,10/15 3/15\n").studies[0])
    assert (alone[0].check, alone[0].severity) == ("alone", "information")


def test_an_interval_that_does_not_hold_its_estimate_is_refused(read: Reader) -> None:
    """0.25 beside a 95% interval of 0.57 to 17.02, as one meta-analysis prints, is no study."""
    with pytest.raises(EvidenceError, match=r"line 2.*does not hold 0\.25"):
        read("study,measure,estimate,ci_low,ci_high\nA,smd,0.25,0.57,17.02\n")


def test_heterogeneity_follows_from_the_measure(read: Reader) -> None:
    """A quarter of the SD for scores, .5 for log ratios; without a unit it is asked for."""
    smd = read("study,measure,estimate,se\nA,smd,.3,.2\n")
    ratio = read("study,measure,estimate,se\nA,hr,.7,.2\n")
    md = read(text_of(FOUR))
    assert default_heterogeneity(smd, None) == Heterogeneity("half-normal", 0.25)
    assert default_heterogeneity(ratio, None) == Heterogeneity("half-normal", 0.5)
    assert default_heterogeneity(md, 8.3) == Heterogeneity("half-normal", 2.075)
    with pytest.raises(SpecError, match="or --sd, of which a quarter"):
        default_heterogeneity(md, None)
    with pytest.raises(SpecError, match="give --heterogeneity"):
        default_heterogeneity(smd, 8.3)


def test_a_prior_of_the_mean_is_as_one_more_trial(read: Reader) -> None:
    """A normal prior of the mean pulls it; a wide one is the flat one."""
    flat = field(read, FOUR)["field"]["mean"]["median"]
    wide = field(read, FOUR, mean=normal(0, 1e4))["field"]["mean"]["median"]
    tight = field(read, FOUR, mean=normal(0, 1))["field"]["mean"]["median"]
    assert wide == pytest.approx(flat, abs=1e-4)
    assert 0 < tight < flat / 2


@settings(max_examples=40)
@given(
    rows=st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(1e-4, 1e6)), min_size=1, max_size=5),
    measure=st.sampled_from(["md", "hr"]),
    scale=st.floats(1e-3, 1e3),
)
def test_any_studies_make_a_document_or_one_message(
    rows: list[tuple[float, float]],
    measure: str,
    scale: float,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Whatever is printed, the document has finite numbers and rows, or one line says why not."""
    path = tmp_path_factory.getbasetemp() / "field.csv"
    lines = [f"S{i},{measure},{y:.6f},{se:.6f}" for i, (y, se) in enumerate(rows)]
    path.write_text("study,measure,estimate,se\n" + "\n".join(lines) + "\n", encoding="utf-8")
    message, found = "", None
    try:
        found = field_document(
            read_studies(path), heterogeneity=Heterogeneity("half-normal", scale), new_se=1.0
        )
    except BayesPtsdError as error:
        message = str(error)
    if found is None:
        assert len(message.splitlines()) == 1
        return
    json.dumps(found, allow_nan=False)
    assert len(field_rows(found)) == len(rows)
    low, high = found["field"]["new_trial"]["eti95"]
    assert low <= found["field"]["new_trial"]["median"] <= high


def test_the_command_writes_what_it_says(tmp_path: Path) -> None:
    """JSON, a row per study as CSV and the figure are of the same numbers; names are not reused."""
    path, figure, rows = tmp_path / "s.csv", tmp_path / "f.svg", tmp_path / "r.csv"
    path.write_text(text_of(FOUR), encoding="utf-8")
    asked = ["field", str(path), "--sd", "8", "--figure", str(figure), "--csv", str(rows)]
    done = CliRunner().invoke(app, [*asked, "--json"], catch_exceptions=False)
    assert done.exit_code == 0
    document = json.loads(done.stdout)
    with rows.open(encoding="utf-8", newline="") as file:
        written = list(csv.DictReader(file))
    assert [one["study"] for one in written] == list("ABCD")
    for one, row in zip(document["leave_one_out"]["trials"], written, strict=True):
        assert float(row["pit"]) == one["pit"]
    assert figure.read_text(encoding="utf-8").startswith("<svg")
    with pytest.raises(Exception, match=r"f\.svg"):
        CliRunner().invoke(app, asked, catch_exceptions=False)
    shown = CliRunner().invoke(
        app, ["field", str(path), "--heterogeneity", "half-normal 2", "--new-se", "3"]
    )
    assert shown.exit_code == 0
    assert "a new trial's effect" in shown.stdout
    with pytest.raises(SpecError, match=r"svg or \.png"):
        CliRunner().invoke(app, ["field", str(path), "--figure", "x.pdf"], catch_exceptions=False)


def test_a_figure_can_be_a_bitmap(tmp_path: Path) -> None:
    """A name that ends in .png is one."""
    path, figure = tmp_path / "s.csv", tmp_path / "f.png"
    path.write_text("study,measure,estimate,se\nA,hr,.7,.2\nB,hr,.8,.3\n", encoding="utf-8")
    done = CliRunner().invoke(app, ["field", str(path), "--figure", str(figure)])
    assert done.exit_code == 0
    assert figure.read_bytes().startswith(b"\x89PNG")
