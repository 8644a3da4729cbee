"""The page about what the trial tells holds the numbers that the package computes."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
import xarray as xr

from bayes_ptsd.audit.precision import check_precision
from bayes_ptsd.comparison import compare
from bayes_ptsd.credibility.assess import assess_interval
from bayes_ptsd.evidence.published import load_published
from bayes_ptsd.exact.binary import prob_more_active
from bayes_ptsd.models_files import load_model
from bayes_ptsd.pooling import pool_crossover
from bayes_ptsd.reconstruction.release import load_release
from bayes_ptsd.sensitivity import ranked_assumptions, tipping_points
from bayes_ptsd.structures.joint.exact import joint_posterior, joint_probabilities
from bayes_ptsd.structures.joint.problem import endpoints_model

PAGE = Path(__file__).parents[1] / "docs" / "what-this-trial-tells.md"
TEXT = re.sub(r"\s+", " ", PAGE.read_text(encoding="utf-8"))
VALUES = {
    "posterior mean, points": "mean",
    "P(benefit)": "prob_benefit",
    "P(difference above 7.2)": "prob_gt_mcid",
}
PRIORS = ("flat", "skeptical", "cochrane")


def rows(title: str) -> list[list[str]]:
    """Return the cells of the table with this title, without its head."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {title} |"))
    block = itertools.takewhile(lambda line: line.startswith("|"), lines[start:])
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in block][2:]


def printed(value: float, digits: int) -> str:
    """Return a number as the page prints it."""
    return f"{value:.{digits}f}".removeprefix("0") if abs(value) < 1 else f"{value:.{digits}f}"


def digits_of(text: str) -> int:
    """Return how many digits a printed number has after its point."""
    return len(text.partition(".")[2])


@pytest.fixture(scope="module")
def table() -> xr.Dataset:
    """Return every printed row under the priors of the page."""
    tables = [
        compare(load_published(), endpoint=name, priors=list(PRIORS))
        for name in ("ies_r", "madrs", "qids_sr")
    ]
    return xr.concat([one[list(VALUES.values())] for one in tables], "contrast")


def test_first_period_numbers(table: xr.Dataset) -> None:
    """Each line is the comparison's number for the first-period row of the primary outcome."""
    lines = rows("first period")
    assert len(lines) == 9
    for name, prior, shown in lines:
        cell = table.sel(contrast="T2.IESR.F", crossover_reading="as_published", prior=prior)
        assert shown == printed(float(cell[VALUES[name]]), digits_of(shown))


def test_crossover_numbers_in_two_columns(table: xr.Dataset) -> None:
    """Each line is the comparison's number for the crossover row, one column a reading."""
    lines = rows("crossover")
    assert len(lines) == 4
    for name, prior, *both in lines:
        for reading, shown in zip(("as_published", "unhalved"), both, strict=True):
            cell = table.sel(contrast="T2.IESR.X", crossover_reading=reading, prior=prior)
            assert shown == printed(float(cell[VALUES[name]]), digits_of(shown))


def test_numbers_of_all_endpoints_together() -> None:
    """Joint probabilities are those of the hierarchical model, within 4 Monte Carlo errors."""
    problem = endpoints_model(load_published(), load_model("endpoints")).problem
    found = joint_probabilities(problem, joint_posterior(problem))
    expected = [
        found["at_least_above_zero"].sel(count=3),
        found["at_least_above_zero"].sel(count=5),
        found["at_least_above_mcid"].sel(count=5),
    ]
    error = 4 * float(found["mcse"]) + 0.0005
    shown = [float(line[1]) for line in rows("first period, five endpoints")]
    assert shown == pytest.approx([float(value) for value in expected], abs=error)


def test_numbers_of_the_depression_scales(table: xr.Dataset) -> None:
    """P(benefit) of both scales and both analyses, under a flat prior."""
    names = ("T2.MADR.F", "T2.MADR.X", "T2.QIDS.F", "T2.QIDS.X")
    cells = table["prob_benefit"].sel(crossover_reading="as_published", prior="flat")
    madrs_f, madrs_x, qids_f, qids_x = (printed(float(cells.sel(contrast=c)), 3) for c in names)
    assert f"is {madrs_f} and {madrs_x} for MADRS, {qids_f} and {qids_x} for QIDS-SR" in TEXT


def test_numbers_of_bias() -> None:
    """The known bias that brings P(benefit) to .975, and P(benefit) under an assumed bias."""
    evidence, tip, assumed = load_published(), [], []
    for contrast in ("T2.IESR.F", "T2.IESR.X"):
        points = tipping_points(evidence, contrast)
        tip += [
            p["value"] for p in points if (p["assumption"], p["level"]) == ("known bias", 0.975)
        ]
        ranked = ranked_assumptions(evidence, contrast)
        line = ranked["alternative"].values.tolist().index("bias N(0.3, 0.15²) SD")
        assumed.append(float(ranked["prob_benefit"][line]))
    assert f"bias of {tip[0]:.2f} points in the first period, or {tip[1]:.2f} in the cross" in TEXT
    assert f"brings it to {printed(assumed[0], 3)} and {printed(assumed[1], 3)}" in TEXT


def test_numbers_of_remission_and_of_one_interval() -> None:
    """P(more remissions), the largest Bayes factor, and the chance of a replication."""
    more = float(prob_more_active(7, 22, 1, 19))
    assert f"higher after ketamine is {printed(more, 3)} (Jeffreys prior)" in TEXT
    found = assess_interval(8.6, 0.94, 16.2, df=38)
    bound = 1 / float(found["minimum_bayes_factor"].sel(convention="T"))
    assert f"no Bayes factor exceeds {bound:.1f}" in TEXT
    chance = found["replication_probability"]
    flat, cochrane = (printed(float(chance.sel(prior=p)), 3) for p in ("flat", "cochrane"))
    assert f"with probability {flat} if the flat posterior" in TEXT
    assert f"and {cochrane} after shrinkage" in TEXT


def test_number_that_would_settle_the_reading() -> None:
    """The SD of the within-patient differences is the audit's, and half of it if unhalved."""
    table = check_precision(load_published()).table
    sd = float(table["sd_difference"].sel(endpoint="ies_r"))
    assert f"{sd:.1f} if as published, {sd / 2:.1f} if unhalved" in TEXT


def test_numbers_of_reconstructed_patients() -> None:
    """Pooled means of both models under both readings, by the exact engine."""
    for label, *shown in rows("reconstructed patients, mean in points"):
        spec = load_model(label.split("`")[1])
        means = [
            float(pool_crossover(load_release(reading, m=20), spec, endpoint="ies_r")["mean"])
            for reading in ("as_published", "unhalved")
        ]
        assert shown == [printed(mean, 1) for mean in means]
