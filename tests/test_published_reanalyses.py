"""Published Bayesian reanalyses, each as one command line on its printed scale."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bayes_ptsd.cli import app

PARTS = (0.95, 0.90, 0.85, 0.80)  # risk ratios below which CABANA's table has probabilities


def judged(*words: str) -> dict[str, Any]:
    """Return the document of one command line."""
    done = CliRunner().invoke(app, ["credibility", *words, "--json"])
    assert done.exit_code == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def benefit(document: dict[str, Any], position: int = -1) -> float:
    """Return P(benefit) under one of the priors, the last by default."""
    return float(document["posteriors"][position]["prob_benefit"])


def beyond(document: dict[str, Any], position: int = 0) -> float:
    """Return P(beyond a threshold) under the last prior."""
    return float(document["posteriors"][-1]["beyond"][position]["probability"])


def median(document: dict[str, Any]) -> float:
    """Return the median under the last prior."""
    return float(document["posteriors"][-1]["median"])


def limit(document: dict[str, Any], position: int) -> float:
    """Return a limit of the 95% interval under the last prior."""
    return float(document["posteriors"][-1]["eti95"][position])


def spread(document: dict[str, Any]) -> float:
    """Return the SD of a normal posterior under the last prior."""
    return (limit(document, 1) - limit(document, 0)) / (2 * 1.959964)


def spread_of_log(document: dict[str, Any]) -> float:
    """Return the SD of the logarithm of a ratio under the last prior, as if it were normal."""
    return math.log(limit(document, 1) / limit(document, 0)) / (2 * 1.959964)


@dataclass(frozen=True)
class Answer:
    """One number of a reanalysis: how the document has it, recomputed, and as printed."""

    of: Callable[[dict[str, Any]], float]
    recomputed: float
    printed: float | None = None  # None: not printed, or contradicted by its own print
    within: float = 0.01  # of the recomputed number


def at(position: int) -> Callable[[dict[str, Any]], float]:
    """Return what reads the probability at one threshold."""
    return lambda document: beyond(document, position)


def prior(position: int, *, harm: bool = False) -> Callable[[dict[str, Any]], float]:
    """Return what reads P(benefit) under one prior, or of harm."""
    return lambda document: abs(float(harm) - benefit(document, position))


# the risk ratios at which the risk falls by 1, 2 and 3 points from 22/79
LAPTOOK = [f"{1 - points / 100 / (22 / 79):.4f}" for points in (1, 2, 3)]

ROWS: dict[str, tuple[str, list[Answer]]] = {
    "ANDROMEDA-skeptical": (
        "--measure hr --estimate 0.75 --ci 0.55 1.02 --prior-mass 1 0.525 0.05",
        [Answer(median, 0.780, 0.78), Answer(lambda d: limit(d, 0), 0.587, 0.59),
         Answer(lambda d: limit(d, 1), 1.038, 1.04), Answer(benefit, 0.956, 0.95)],
    ),
    "ANDROMEDA-flat": (
        "--measure hr --estimate 0.75 --ci 0.55 1.02 --prior flat",
        [Answer(benefit, 0.967, 0.97)],
    ),
    "DIAMOND-KAUL-fig2": (
        "--measure md --estimate 0.12 --se 0.06 --prior flat --prior normal(0,0.07)",
        [Answer(median, 0.0692, 0.07), Answer(spread, 0.0456, 0.05),
         Answer(prior(0, harm=True), 0.0228, 0.021)],
    ),
    "DECAF": (
        "--counts 47/100 64/100 --prior normal(0.525,0.3) --threshold 0.9",
        # its text says .79 and .62, its own table N(-0.117, 0.209), which is .712 and .522
        [Answer(lambda d: math.log(median(d)), -0.117, -0.117),
         Answer(spread_of_log, 0.209, 0.209), Answer(benefit, 0.712), Answer(at(0), 0.522)],
    ),
    "DECAF, normal approximation": (
        "--measure or --estimate 0.49882 --se 0.28853 --prior normal(0.525,0.3)",
        [Answer(lambda d: math.log(median(d)), -0.108, -0.117),
         Answer(spread_of_log, 0.208, 0.209), Answer(benefit, 0.698)],
    ),
    "ART-tool": (
        "--measure or --estimate 1.27 --ci 0.99 1.63 --prior flat --prior normal(0,0.355) "
        "--prior normal(0,0.205)",
        # print: above .93 under every prior of the grid
        [Answer(prior(0, harm=True), 0.970), Answer(prior(1, harm=True), 0.962),
         Answer(prior(2, harm=True), 0.945)],
    ),
    "LAPTOOK": (
        # the Wald estimate of 19/78 against 22/79; their own model is adjusted: .86, .76
        "--measure rr --estimate 0.87470 --se 0.26946 --prior normal(0,0.35)",
        [Answer(median, 0.919), Answer(lambda d: limit(d, 0), 0.605),
         Answer(lambda d: limit(d, 1), 1.397), Answer(benefit, 0.653)],
    ),
    "LAPTOOK, its counts": (
        "--measure rr --counts 19/78 22/79 --prior normal(0,0.35)",
        # 41 events are few for the normal approximation that was recomputed: .668 and 1.387
        [Answer(median, 0.919), Answer(lambda d: limit(d, 0), 0.605),
         Answer(lambda d: limit(d, 1), 1.397, within=0.015), Answer(benefit, 0.653, within=0.015)],
    ),
    "LAPTOOK, its printed posterior": (
        "--measure rr --estimate 0.86 --ci 0.58 1.29 --prior flat --control-risk 0.278 "
        + " ".join(f"--threshold {one}" for one in LAPTOOK),
        [Answer(benefit, 0.77, 0.76), Answer(at(0), 0.71, 0.71), Answer(at(1), 0.64, 0.64),
         Answer(at(2), 0.56, 0.56)],
    ),
    "EOLIA": (
        "--measure rr --estimate 0.76 --ci 0.55 1.04 --prior flat",
        [Answer(benefit, 0.954)],
    ),
    "EOLIA, its counts": (
        "--measure rr --counts 44/124 57/125 --prior flat",
        [Answer(benefit, 0.947)],
    ),
    "INCEPTION": (
        "--measure rd --better higher --estimate 3.6 --ci -9.5 16.7 --prior flat --threshold 5",
        [Answer(at(0), 0.417, 0.42), Answer(prior(0, harm=True), 0.295, 0.29)],
    ),
    "ESKETAMINE-RoE": (
        "--measure md --estimate 3.07 --se 1.19 --prior flat --threshold 0 --threshold 3 "
        "--threshold -3 --claim -3 --claim 0 --claim 3 --claim-level 0.975",
        [Answer(at(0), 0.995), Answer(at(1), 0.523), Answer(at(2), 1.0)],
    ),
}  # fmt: skip
NO_INPUTS = ("RECOVERY-plasma", "SPORTIF-V", "MISTIE-III", "PSILOCYBIN")
"""Reanalyses whose inputs are not in public text."""


@pytest.fixture(scope="module")
def published(shared: Path) -> dict[str, dict[str, str]]:
    """Return the rows of published reanalyses by their id."""
    path = shared / "evidence" / "published_reanalyses.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


@pytest.mark.shared
def test_every_row_has_its_command(published: dict[str, dict[str, str]]) -> None:
    """A row is one of the table below, one of CABANA, or has no inputs."""
    cabana = {name for name in published if name.startswith("CABANA")}
    own = {name for name in ROWS if "," not in name}
    assert own | cabana | set(NO_INPUTS) == set(published)
    assert len(cabana) == 13


@pytest.mark.parametrize("name", ROWS)
def test_reanalyses_are_one_command(name: str) -> None:
    """Answers are within a point of the recomputed and two points of the printed ones."""
    words, answers = ROWS[name]
    document = judged(*words.split())
    for answer in answers:
        found = answer.of(document)
        assert found == pytest.approx(answer.recomputed, abs=answer.within)
        if answer.printed is not None:
            assert found == pytest.approx(answer.printed, abs=0.02)


@pytest.mark.shared
@pytest.mark.parametrize("number", range(1, 14))
def test_cabana_is_one_command(published: dict[str, dict[str, str]], number: int) -> None:
    """Each of 13 priors: risk ratio and five probabilities from counts, and the warned data use."""
    row = published[f"CABANA-primary-{number:02d}"]
    match = re.search(r"N\((-?[\d.]+), ([\d.]+)\^2\)", row["prior"])
    assert match
    counts = row["other_printed_input"].replace(" v", "").split()
    words = ["--counts", *counts, "--prior", f"normal({match[1]}, {match[2]})", "--answer", "rr"]
    for part in PARTS:
        words += ["--threshold", str(part)]
    document = judged(*words)
    found = [benefit(document), *(beyond(document, one) for one in range(4))]
    recomputed, printed = (
        _table(row[key]) for key in ("recomputed_here", "printed_bayesian_answers")
    )
    assert [median(document), limit(document, 0), limit(document, 1)] == pytest.approx(
        recomputed[0], abs=0.0101
    )
    assert [100 * one for one in found] == pytest.approx(recomputed[1], abs=1)
    if number == 1:
        # the printed median .87 lies above .85, so that P(RR < .85) must be below the printed .50
        assert printed[1][3] == 50
        assert printed[0][0] > 0.85
        del found[3], printed[1][3]
    assert [100 * one for one in found] == pytest.approx(printed[1], abs=2)
    assert bool(document["warnings"]) == ("data are used twice" in row["notes"])


def _table(text: str) -> tuple[list[float], list[float]]:
    """Return the risk ratio with its interval and the five probabilities of a text."""
    match = re.search(r"RR ([\d.]+) \(([\d.]+); ([\d.]+)\); (?:.*= )?((?:\d+ ?){5})", text)
    assert match, text
    ratio = [float(match[one]) for one in (1, 2, 3)]
    return ratio, [float(one) for one in match[4].split()]
