"""The numbers in the README are those that the package computes."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from bayes_ptsd.comparison import compare
from bayes_ptsd.evidence import Evidence

LABELS = {
    "crossover, averaged": ("T2.IESR.X", "averaged"),
    "crossover, as published": ("T2.IESR.X", "as_published"),
    "crossover, unhalved": ("T2.IESR.X", "unhalved"),
    "first period": ("T2.IESR.F", "as_published"),
}


def rows() -> list[list[str]]:
    """Return the lines of the README's table of results, the analysis filled in."""
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line] for line in lines if len(line) == 7][1:]
    for above, below in itertools.pairwise(cells):
        below[0] = below[0] or above[0]
    return cells


def test_every_number_of_the_headline_table(counted: Evidence) -> None:
    """Mean, interval and probabilities of each line equal the comparison, to the printed digits."""
    table = compare(counted, endpoint="ies_r", priors=["flat", "skeptical", "cochrane"])
    assert len(rows()) == 12
    for label, _, prior, mean, interval, better, above in rows():
        contrast, reading = LABELS[label]
        cell = table.sel(contrast=contrast, crossover_reading=reading, prior=prior)
        assert float(mean) == pytest.approx(float(cell["mean"]), abs=0.00501)
        limits = [float(x) for x in re.findall(r"-?[\d.]+", interval)]
        assert limits == pytest.approx(cell["eti95"].values, abs=0.00501)
        assert float(better) == pytest.approx(float(cell["prob_benefit"]), abs=0.000501)
        assert float(above) == pytest.approx(float(cell["prob_gt_mcid"]), abs=0.000501)
