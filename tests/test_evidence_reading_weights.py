"""Weights of the readings: the numbers of the specification, brute force, invariances, limits."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from bayes_ptsd.errors import EvidenceError, SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.published import load_published, select_contrast
from bayes_ptsd.evidence.readings import (
    CROSSOVER_READINGS,
    TREATMENT_READINGS,
    of_treatment,
    parse_weights,
)
from bayes_ptsd.readings import weights as reading_weights
from bayes_ptsd.readings.notes import (
    average_note,
    counted_in,
    readings_document,
    readings_notes,
    weight_text,
    weights_text,
)
from bayes_ptsd.readings.precision_pairs import RowPair, row_pairs
from bayes_ptsd.readings.weights import (
    DEFAULT,
    READINGS,
    Assumption,
    assumptions,
    foretold_correlation,
    outside_correlations,
    ratio_density,
    weigh_readings,
    weights_of,
)

# as_published, unhalved, change, change_unhalved, carryover_covariate, of the specification
SPECIFIED = {
    "default": (0.000, 0.265, 0.011, 0.255, 0.469),
    "without madrs": (0.002, 0.286, 0.028, 0.182, 0.502),
    "correlation uniform from 0 to 0.8": (0.003, 0.309, 0.013, 0.241, 0.433),
    "correlation uniform from -1 to 1": (0.062, 0.116, 0.026, 0.247, 0.549),
}
TAILS = (0.032, 0.042, 0.036, 0.023, 0.016, 0.011, 0.009, 0.0004)
DRAWS = 400_000


@pytest.fixture(scope="module")
def table(counted: Evidence) -> xr.Dataset:
    """Return the weights under every assumption."""
    return weigh_readings(counted)


@pytest.fixture(scope="module")
def pairs(counted: Evidence) -> tuple[RowPair, ...]:
    """Return the eight endpoints."""
    return row_pairs(counted)


def test_weights_are_the_specified_ones(table: xr.Dataset) -> None:
    """Default, without MADRS and both uniform correlations, to the three digits specified."""
    for name, expected in SPECIFIED.items():
        found = table["weight"].sel(assumption=name).values
        assert found == pytest.approx(expected, abs=0.0006), name
    rest = table["weight"].sel(assumption="readings of the treatment difference only")
    assert float(rest.sel(reading="unhalved")) == pytest.approx(0.50, abs=0.005)
    assert float(rest.sel(reading="change_unhalved")) == pytest.approx(0.48, abs=0.005)
    assert np.isnan(float(rest.sel(reading="carryover_covariate")))


def test_tails_are_the_specified_ones(table: xr.Dataset) -> None:
    """P(so large a ratio, as published), from IES-R .032 to MADRS .0004."""
    order = ["ies_r", "ies_r_intrusion", "ies_r_avoidance", "ies_r_hyperarousal", "cgi_s",
             "cgi_i", "qids_sr", "madrs"]  # fmt: skip
    for name, expected in zip(order, TAILS, strict=True):
        digits = 0.00005 if expected < 0.001 else 0.0005
        assert float(table["tail"].sel(endpoint=name)) == pytest.approx(expected, abs=digits), name


def test_outside_correlations_foretell_the_specified_distribution() -> None:
    """14 correlations; Fisher's z of a new trial is normal with mean .7022 and sd .2747."""
    correlation, n = outside_correlations()
    assert (len(correlation), (correlation == 0.5).sum(), n.sum()) == (14, 0, 364)
    assert foretold_correlation() == pytest.approx((0.7022, 0.2747, 0.0671), abs=5e-5)


@pytest.mark.shared
def test_outside_correlations_are_those_of_the_source(shared: Path) -> None:
    """Every shipped correlation and size is in the source, in its order; exact halves are not."""
    with (shared / "evidence" / "within_patient_correlations.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["exactly_half"] == "no"]
    correlation, n = outside_correlations()
    assert correlation.tolist() == [float(row["correlation"]) for row in rows]
    assert n.tolist() == [float(row["patients"]) for row in rows]


def simulated_likelihoods(pair: RowPair, assumption: Assumption, seed: int) -> np.ndarray:
    """Return the density of a printed ratio under each reading, by drawing every unknown.

    Written from the formulas of docs/methods/readings.md with SciPy's F distribution; shares
    nothing with the quadrature.
    """
    rng = np.random.default_rng(seed)
    z = foretold_correlation()
    rho = np.tanh(rng.normal(z.mean, z.sd, DRAWS))
    if assumption.correlation is not None:
        rho = rng.uniform(*assumption.correlation, DRAWS)
    q = assumption.sd_ratio * np.exp(rng.normal(0, assumption.log_sd_ratio, DRAWS))
    r = rng.uniform(0.1, 0.8, DRAWS) * pair.baseline
    b, rho_c = np.exp(rng.normal(0, 0.2, DRAWS)), rng.uniform(-0.3, 0.7, DRAWS)
    v0 = 1 + q**2 - 2 * rho * q
    w = (1 + b**2 - 2 * r * b) * (1 + q**2 - 2 * rho_c * q) if pair.baseline else v0
    v = (v0 / 4, v0, w / 4, w, (1 + q**2) / 2)
    se = []
    for width, halves, df in zip(
        pair.widths, pair.rounding, (pair.df_crossover, pair.df_first), strict=True
    ):
        error = sum(rng.uniform(-half, half, DRAWS) for half in halves)
        se.append((width + error) / (2 * stats.t.ppf(0.975, df)))
    ratio = (se[0] / se[1]) ** 2
    law = stats.f(pair.df_crossover, pair.df_first)
    at = [ratio / (pair.design * one / (1 - r**2)) for one in v]
    return np.array([np.mean(law.pdf(one) * one) for one in at])


@pytest.mark.parametrize(
    "assumption",
    [DEFAULT, replace(DEFAULT, correlation=(-1.0, 1.0)),
     replace(DEFAULT, sd_ratio=1.5, log_sd_ratio=0.2, exponent=0.5)],
    ids=["default", "correlation free", "period 2 more variable"],
)  # fmt: skip
def test_quadrature_and_brute_force_agree(
    pairs: tuple[RowPair, ...], assumption: Assumption
) -> None:
    """400,000 draws of everything unknown, rounding included, give the weights within .002."""
    drawn = np.array(
        [simulated_likelihoods(pair, assumption, seed) for seed, pair in enumerate(pairs)]
    )
    power = assumption.exponent * np.log(drawn).sum(axis=0)
    expected = np.exp(power - power.max()) / np.exp(power - power.max()).sum()
    found = list(reading_weights._weights(pairs, assumption).values())
    assert found == pytest.approx(expected, abs=0.002)


def test_nodes_are_enough(pairs: tuple[RowPair, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice as many nodes an axis move no weight by more than .0005."""
    shown = [one for one in assumptions(pairs) if not one.without][:5]
    coarse = [reading_weights._weights(pairs, one) for one in shown]
    for name in ("_uniform", "_normal"):
        monkeypatch.setattr(getattr(reading_weights, name), "__defaults__", (24,))
    monkeypatch.setattr(reading_weights, "FEW", 10)
    for memo in (reading_weights._log_v, reading_weights.log_likelihoods):
        memo.cache_clear()
    try:
        fine = [reading_weights._weights(pairs, one) for one in shown]
    finally:
        for memo in (reading_weights._log_v, reading_weights.log_likelihoods):
            memo.cache_clear()
    for one, other in zip(coarse, fine, strict=True):
        assert list(one.values()) == pytest.approx(list(other.values()), abs=0.0005)


def test_order_and_units_of_endpoints_do_not_matter(pairs: tuple[RowPair, ...]) -> None:
    """Rows permuted, or every score of an endpoint multiplied by ten, give the same weights."""
    expected = reading_weights._weights(pairs, DEFAULT)
    permuted = reading_weights._weights(pairs[::-1], DEFAULT)
    scaled = tuple(
        replace(
            pair,
            widths=(10 * pair.widths[0], 10 * pair.widths[1]),
            rounding=tuple((10 * low, 10 * high) for low, high in pair.rounding),
        )
        for pair in pairs
    )
    for other in (permuted, reading_weights._weights(scaled, DEFAULT)):
        assert list(other.values()) == pytest.approx(list(expected.values()), abs=1e-12)


def test_power_and_rows_left_out_have_their_limits(pairs: tuple[RowPair, ...]) -> None:
    """At power 0 the odds stay equal; at a large one the likeliest reading has all weight."""
    even = reading_weights._weights(pairs, replace(DEFAULT, exponent=0.0))
    assert list(even.values()) == pytest.approx([0.2] * 5)
    sure = reading_weights._weights(pairs, replace(DEFAULT, exponent=50.0))
    assert sure["carryover_covariate"] > 0.999
    one = reading_weights._weights(pairs[:1], DEFAULT)
    kept = reading_weights._weights(pairs[:2], replace(DEFAULT, without=pairs[1].endpoint))
    assert kept == pytest.approx(one)


def test_without_a_baseline_change_is_the_score(pairs: tuple[RowPair, ...]) -> None:
    """CGI-I has no baseline: change has the likelihood of as_published, unhalved likewise."""
    number = [pair.endpoint for pair in pairs].index("cgi_i")
    assert not pairs[number].baseline
    assert sum(pair.baseline for pair in pairs) == 7
    row = dict(zip(READINGS, reading_weights.log_likelihoods(pairs, DEFAULT)[number], strict=True))
    assert row["change"] == row["as_published"]
    assert row["change_unhalved"] == row["unhalved"]


# one true reading, printed with many digits: k at correlation .5 and equal SDs of all kinds
TRUE_V = {"as_published": 0.25, "unhalved": 1.0}


@pytest.mark.parametrize("reading", TRUE_V)
def test_a_paper_of_one_reading_is_recognized(pairs: tuple[RowPair, ...], reading: str) -> None:
    """Correlation .5, slope .45, formed as the reading says: that reading leads the other scale.

    As published is far from all others and takes most of the weight; unhalved has its neighbors.
    """
    made = []
    for pair in pairs:
        k = pair.design * TRUE_V[reading] / (1 - (0.45 * pair.baseline) ** 2)
        ratio = np.sqrt(k) * stats.t.ppf(0.975, pair.df_crossover)
        widths = (ratio / stats.t.ppf(0.975, pair.df_first), 1.0)
        made.append(replace(pair, widths=widths, rounding=((1e-9, 1e-9), (1e-9, 1e-9))))
    found = reading_weights._weights(tuple(made), DEFAULT)
    assert max(of_treatment(found), key=found.__getitem__) == reading
    if reading == "as_published":
        assert found[reading] > 0.6
    else:
        assert found["as_published"] < 0.05


TRIAL = """schema = 1
name = "other"
title = "Other"
design = "crossover"
[treatments]
active = "a"
control = "b"
[sequences]
AB = ["a", "b"]
BA = ["b", "a"]
[endpoints.pain]
label = "Pain"
kind = "continuous"
better = "lower"
"""
HEAD = "id,endpoint,analysis,estimate,ci_low,ci_high,n,n_active,n_control,df,sign_as_printed\n"
CROSSED = "X,pain,crossover,2.0,{low},{high},30,30,30,{df},benefit-positive\n"
FIRST = "F,pain,first_period,2.0,0.0,4.0,40,{active},20,37,benefit-positive\n"


def other_evidence(folder: Path, *lines: str) -> Evidence:
    """Return printed evidence of another trial, without a flow of patients."""
    (folder / "trial.toml").write_text(TRIAL, encoding="utf-8")
    (folder / "effects.csv").write_text(HEAD + "".join(lines), encoding="utf-8")
    return load_published(folder)


def test_any_trial_with_both_rows_is_weighed(tmp_path: Path) -> None:
    """Without a flow of patients sequences are taken as equal; a narrow crossover is as published.

    SE ratio of a correlation of .5 as published: half the contrast of 30 patients.
    """
    evidence = other_evidence(
        tmp_path, CROSSED.format(low="1.0", high="3.0", df=28), FIRST.format(active=20)
    )
    (pair,) = row_pairs(evidence)
    assert pair.design == pytest.approx((4 / 30) / (1 / 20 + 1 / 20))
    assert pair.baseline
    weights = weights_of(evidence)
    assert max(weights, key=weights.__getitem__) == "as_published"
    table = weigh_readings(evidence)
    assert not [name for name in table["assumption"].values if str(name).startswith("without")]
    assert "MADRS" not in " ".join(readings_notes(table))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ((FIRST.format(active=20),), "no endpoint has both"),
        ((CROSSED.format(low="1.0", high="3.0", df=""), FIRST.format(active=20)), "'X': 'df' is"),
        ((CROSSED.format(low="1.0", high="3.0", df=28), FIRST.format(active="")), "'n_active' is"),
    ],
    ids=["no crossover", "no df", "no arms"],
)
def test_what_cannot_be_weighed_says_what_to_do(
    tmp_path: Path, lines: tuple[str, ...], message: str
) -> None:
    """A missing row, df or number of patients is named, and weights by hand are offered."""
    evidence = other_evidence(tmp_path, *lines)
    with pytest.raises(EvidenceError, match=message):
        weights_of(evidence)
    with pytest.raises(EvidenceError, match="--reading-weights"):
        weights_of(evidence)


@pytest.mark.parametrize("reading", READINGS)
def test_a_ratio_has_a_density_whose_logarithm_is_its_likelihood(
    pairs: tuple[RowPair, ...], reading: str
) -> None:
    """It integrates to 1; at the printed ratio it is the likelihood but for 3% of rounding."""
    x = np.linspace(-12, 12, 4001)
    for pair in (pairs[0], next(pair for pair in pairs if not pair.baseline)):
        density = ratio_density(x, pair, reading)
        assert np.trapezoid(density, x) == pytest.approx(1.0, abs=1e-4)
        here = ratio_density(np.array([pair.log_ratio]), pair, reading)[0]
        logs = reading_weights.log_likelihoods((pair,), DEFAULT)[0]
        assert here == pytest.approx(np.exp(logs[READINGS.index(reading)]), rel=0.03)


def test_a_row_of_two_quantities_is_said_to_be_one() -> None:
    """Half of 6 and 12, .9 and .9, .4 and .8; without an MCID nothing is said of it."""
    averaged = {"mean": 6.0, "prob_benefit": 0.9, "prob_gt_mcid": 0.4, "prior": "flat"}
    printed = {"mean": 12.0, "prob_benefit": 0.9, "prob_gt_mcid": 0.8}
    assert counted_in(averaged, printed, 0.5) == (
        "Counted in with weight .50 it would make the row, under flat, mean 9.00, "
        "P(better) .900 and P(> MCID) .600: a mixture of two quantities."
    )
    assert "MCID" not in counted_in(averaged, printed | {"prob_gt_mcid": np.nan}, 0.5)


def test_weights_in_words() -> None:
    """Weights below .05 are told as below .05; weights by hand add up to 1 or are refused."""
    told = weights_text({"as_published": 0.2, "carryover_covariate": 0.01, "unhalved": 0.79})
    assert told == "unhalved .79, as published .20, carryover covariate below .05"
    assert (weight_text(0.0004), weight_text(0.05), weight_text(1.0)) == (
        "below .05", ".05", "1.00",
    )  # fmt: skip
    assert parse_weights("unhalved=3, as_published=1") == {"unhalved": 0.75, "as_published": 0.25}
    for text, message in {
        "unhaved=1": "did you mean 'unhalved'",
        "unhalved": "has no number",
        "unhalved=-1": "numbers from 0",
        "unhalved=0": "at least one above 0",
        "unhalved=nan": "numbers from 0",
    }.items():
        with pytest.raises(SpecError, match=message):
            parse_weights(text)


def test_average_is_over_readings_of_the_treatment_difference() -> None:
    """carryover_covariate is another estimand: left out, and its weight is named."""
    assert set(CROSSOVER_READINGS) - set(TREATMENT_READINGS) == {"carryover_covariate"}
    weights = {"as_published": 0.1, "unhalved": 0.3, "carryover_covariate": 0.6}
    assert of_treatment(weights) == pytest.approx({"as_published": 0.25, "unhalved": 0.75})
    with pytest.raises(SpecError, match="no reading of the treatment difference"):
        of_treatment({"carryover_covariate": 1.0})
    note = average_note(weights, "set by hand")
    assert "carryover covariate, weight .60 of all five" in note
    assert "Not in the average" not in average_note({"unhalved": 1.0}, "set by hand")


def test_notes_say_it_fairly(table: xr.Dataset) -> None:
    """As published is below about .05 and not .0004; every caveat of the method is there."""
    said = " ".join(readings_notes(table))
    for words in (
        "Nothing here is proof", "as published below .05", "below about .05, not by its digits",
        "blood pressure", "one sample of patients", "is calibrated on simulated papers",
        "is assumed", "another estimand", "unhalved has .50 and change unhalved .48",
        "second infusion late", "MADRS", "Not used: estimates and P values",
    ):  # fmt: skip
        assert words in said, words
    assert "0004" not in said


def test_document_is_json_and_adds_up(table: xr.Dataset) -> None:
    """Weights of every assumption add up to 1, and nothing is NaN."""
    document = json.loads(json.dumps(readings_document(table), allow_nan=False))
    for line in document["assumptions"]:
        assert sum(line["weights"].values()) == pytest.approx(1.0), line["assumption"]
    assert sum(document["weights_of_treatment_difference"].values()) == pytest.approx(1.0)
    assert len(document["rows"]) == 8
    assert [one["reading"] for one in document["readings"]] == list(READINGS)


def test_change_unhalved_reads_a_printed_row_as_unhalved_does() -> None:
    """Estimate, limits and standard error are half of print; P stays; the reading is recorded."""
    printed = load_published()
    changed, unhalved = (
        select_contrast(printed, "T2.IESR.X", crossover_reading=name)
        for name in ("change_unhalved", "unhalved")
    )
    xr.testing.assert_identical(
        changed.data["effects"].to_dataset(), unhalved.data["effects"].to_dataset()
    )
    assert changed.assumptions["crossover_reading"] == "change_unhalved"
    assert changed.digest != unhalved.digest
