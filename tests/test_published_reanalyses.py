"""Published Bayesian reanalyses, each as one command line on its printed scale, and their page."""

from __future__ import annotations

import csv
import math
import re
from pathlib import Path

import pytest
from reanalyses import (
    CABANA,
    NO_INPUTS,
    REPORTS,
    ROWS,
    Reanalysis,
    at,
    benefit,
    cabana_words,
    gallery,
    high,
    judged,
    low,
    median,
    report_contradictions,
)

ROOT = Path(__file__).parents[1]
Shares = tuple[float, ...]
Published = dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def published(shared: Path) -> Published:
    """Return the rows of published reanalyses by their id."""
    path = shared / "evidence" / "published_reanalyses.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


@pytest.mark.shared
def test_every_row_has_its_command(published: Published) -> None:
    """A row is one of the table, one of CABANA, or has no inputs; no id is there twice."""
    cabana = {name for name in published if name.startswith("CABANA")}
    own = {row.id for row in ROWS if "," not in row.id}
    assert own | cabana | set(NO_INPUTS) == set(published)
    assert len(cabana) == len(CABANA) == 13
    assert len({row.id for row in ROWS}) == len(ROWS)


@pytest.mark.shared
def test_the_table_has_what_was_found_in_print(published: Published) -> None:
    """Counts, priors, printed and recomputed numbers of CABANA are those of the evidence."""
    for number, (_, mean, sd, *typed) in enumerate(CABANA, start=1):
        row = published[f"CABANA-primary-{number:02d}"]
        assert f"N({mean}, {sd}^2)" in row["prior"]
        assert row["other_printed_input"] == "89/1108 v 101/1096"
        answers = (row["printed_bayesian_answers"], row["recomputed_here"])
        for text, ratio, shares in zip(answers, typed[::2], typed[1::2], strict=True):
            assert _table(text) == (list(ratio), list(map(float, shares)))


def _table(text: str) -> tuple[list[float], list[float]]:
    """Return the risk ratio with its interval and the five probabilities of a text."""
    match = re.search(r"RR ([\d.]+) \(([\d.]+); ([\d.]+)\); (?:.*= )?((?:\d+ ?){5})", text)
    assert match, text
    ratio = [float(match[one]) for one in (1, 2, 3)]
    return ratio, [float(one) for one in match[4].split()]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_reanalyses_are_one_command(row: Reanalysis) -> None:
    """Answers are within a point of the recomputed and two points of the printed ones."""
    document = judged(row.words)
    for answer in row.answers:
        found = answer.of(document)
        assert found == pytest.approx(answer.recomputed, abs=answer.within)
        if answer.printed is not None:
            assert found == pytest.approx(answer.printed, abs=0.02)


@pytest.mark.parametrize("row", CABANA, ids=lambda row: row[0])
def test_cabana_is_one_command(
    row: tuple[str, str, str, Shares, Shares, Shares, Shares],
) -> None:
    """Each of 13 priors: risk ratio and five probabilities from counts, and the warned data use.

    The first prints P(RR < .85) of 50% beside a median of .87, where it must be below.
    """
    name, mean, sd, _, shares, ratio, recomputed = row
    document = judged(cabana_words(mean, sd))
    assert [median(document), low(document), high(document)] == pytest.approx(ratio, abs=0.0101)
    found = [100 * one(document) for one in (benefit, *map(at, range(4)))]
    assert found == pytest.approx(recomputed, abs=1)
    kept = [place for place in range(5) if (name, place) != ("Noninformative", 3)]
    assert [found[one] for one in kept] == pytest.approx([shares[one] for one in kept], abs=2)
    assert bool(document["warnings"]) == (abs(float(mean)) == 0.15)


def test_a_median_bounds_its_probability() -> None:
    """CABANA's first row contradicts itself and is none that another normal prior would print."""
    _, _, _, ratio, shares, _, _ = CABANA[0]
    assert ratio[0] > 0.85
    assert shares[3] == 50
    assert 100 * at(2)(judged(cabana_words("0", "100"))) < 50


def test_contradictions_of_reports() -> None:
    """The audit of posteriors names CABANA's P, RECOVERY's priors and DECAF's text."""
    cabana, recovery, decaf = map(report_contradictions, REPORTS)
    assert ["'P(<0.85)=50%'" in one for one in cabana] == [True]
    assert sum("the likelihood behind vague gives" in one for one in recovery) == 3
    assert any("'P(>0.01)=18%' and 'P(>0.01)=20%'" in one for one in recovery)
    assert ["'P(<0.9)=62%'" in one for one in decaf] == [True]


def test_the_gallery_is_what_the_commands_answer() -> None:
    """Every line of docs/gallery.md is written again from the table and the commands.

    `python benchmarks/reanalyses.py --write` does it.
    """
    page = (ROOT / "docs" / "gallery.md").read_text("utf-8")
    assert page.splitlines() == gallery().splitlines()


def test_the_logarithm_of_the_counts() -> None:
    """Estimates and standard errors typed for DECAF and Late Hypothermia are of their counts."""
    words = {row.id: row.words.split() for row in ROWS}
    odds = 47 * 36 / (53 * 64)
    spread = math.sqrt(1 / 47 + 1 / 53 + 1 / 64 + 1 / 36)
    typed = words["DECAF, normal approximation"]
    assert [float(typed[3]), float(typed[5])] == pytest.approx([odds, spread], abs=1e-5)
    risk = (19 / 78) / (22 / 79)
    spread = math.sqrt(1 / 19 - 1 / 78 + 1 / 22 - 1 / 79)
    typed = words["LAPTOOK"]
    assert [float(typed[3]), float(typed[5])] == pytest.approx([risk, spread], abs=1e-5)
