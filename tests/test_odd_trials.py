"""Odd data through every exact engine: a finite answer with checks, or one true sentence."""

from __future__ import annotations

import runpy
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from bayes_ptsd.errors import FitError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.pairs import CrossoverPairs
from bayes_ptsd.evidence.patients import load_patients
from bayes_ptsd.fit import fit_model, frequentist_document
from bayes_ptsd.priors import Prior, normal
from bayes_ptsd.structures.crossover.exact import crossover_posterior

odd = runpy.run_path(str(Path(__file__).with_name("odd_trials.py")))
EXACT, KINDS, CATEGORIES = odd["EXACT"], odd["KINDS"], odd["CATEGORIES"]
answered, integrated, model_of = odd["answered"], odd["integrated"], odd["model_of"]
odd_evidence, odd_categories = odd["odd_evidence"], odd["odd_categories"]
# three axes of quadrature take a second, the rest hundredths
QUICK = [name for name in EXACT if name != "crossover-bivariate"]
ALIKE = "they are all alike within the arms"
ONE_ARM = "scores under one treatment only"
EXACTLY = "the means of the model fit all scores exactly"
DIFFERENCES = "all 12 within-patient differences between the"
"""What a refusal has to say, by kind of odd data; other kinds have a posterior."""


@pytest.mark.parametrize(
    ("kind", "model", "said"),
    [
        ("constant", "crossover", ALIKE),
        ("constant", "first-period", ALIKE),
        ("constant", "crossover-log", "the logarithms of the scores of period 1 do not vary"),
        ("constant by treatment", "crossover-log", "the logarithms of the scores of period 1"),
        ("constant within patients", "crossover", f"{DIFFERENCES} treatments are 0:"),
        ("identical differences", "crossover", f"{DIFFERENCES} treatments are 5:"),
        ("identical changes", "crossover", f"{DIFFERENCES} periods are 11:"),
        ("one a sequence", "crossover", "no two patients of an arm have one; add it"),
        ("one sequence", "crossover", "all rows have sequence 'AB'"),
        ("no second visit", "crossover-completers", "take patients = all"),
        ("no first visit", "first-period", "in period 1, and this model reads no other: take mod"),
        ("no first visit in AB", "first-period", f"{ONE_ARM} in period 1, so that nothing compare"),
        ("active arm empty", "first-period", f"{ONE_ARM} in period 1"),
        ("active arm empty", "crossover", ONE_ARM),
        ("active arm empty", "crossover-completers", ONE_ARM),
        ("no score", "crossover", "no score at all"),
        ("zero", "crossover-log", "take the model 'crossover'"),
        ("same baseline", "first-period, baseline", "take baseline = 'none'"),
        ("same baseline", "crossover, baseline", "take baseline = 'none'"),
        ("baselines missing", "crossover, baseline", "missing for 2 of 12 patients"),
        ("baseline is the score", "first-period, baseline", EXACTLY),
    ],
)
def test_refusals_say_what_is_the_matter(kind: str, model: str, said: str) -> None:
    """Scores that say nothing about a model are refused by one true sentence."""
    assert said in integrated(lambda: odd_evidence(kind), model_of(model))


@pytest.mark.parametrize("model", QUICK)
@pytest.mark.parametrize(
    "kind",
    [
        "no second visit in BA", "huge", "tiny", "far from zero", "ties", "an outlier",
        "baseline is the arm",
    ],
)  # fmt: skip
def test_odd_scores_have_a_posterior(kind: str, model: str) -> None:
    """A unit of 1e12 or 1e-12, ties, one absurd score or an empty cell leave a proper posterior."""
    needs_both = model == "crossover-completers" and kind == "no second visit in BA"
    said = integrated(lambda: odd_evidence(kind), model_of(model))
    assert ("take patients = all" in said) if needs_both else said == "answer"


def test_advice_of_refusals_works() -> None:
    """Doing what the sentences say gives an answer: a reference SD, another model, no baseline."""
    known = partial(odd_evidence, reference_sd=10.0)
    for kind in ("one a sequence", "no first visit", "constant in period 1 by arm"):
        assert integrated(lambda kind=kind: odd_evidence(kind), model_of("crossover")) != "answer"
        assert integrated(lambda kind=kind: known(kind), model_of("crossover")) == "answer"
    for kind, model in {
        "no second visit": "crossover", "no first visit in AB": "crossover",
        "same baseline": "first-period", "baselines missing": "crossover",
    }.items():  # fmt: skip
        make = partial(odd_evidence, kind)
        assert integrated(make, model_of(model)) == "answer", kind


def test_constant_scores_are_refused_with_a_reference_sd_too() -> None:
    """A reference SD gives priors a scale, but scores that are all alike still no variation."""
    make = partial(odd_evidence, "constant", reference_sd=10.0)
    for model in ("crossover", "first-period", "crossover, baseline"):
        assert integrated(make, model_of(model)).startswith(EXACTLY), model


def test_units_change_nothing() -> None:
    """Scores times 1e12 or 1e-12 have the posterior of the scores, in their unit."""
    spec, found = model_of("crossover"), {}
    for kind, factor in (("plain", 1.0), ("huge", 1e12), ("tiny", 1e-12)):
        problem = spec.room.problem(odd_evidence(kind), spec)
        one = spec.room.exact(problem.model, 1)["exact"].sel(estimand="treatment_difference")
        found[kind] = np.array([float(one[name]) / factor for name in ("mean", "sd")])
    for kind in ("huge", "tiny"):
        np.testing.assert_allclose(found[kind], found["plain"], rtol=1e-9)


def test_one_pair_a_sequence_has_the_posterior_by_hand() -> None:
    """Two pairs under normal priors: quadrature over both standard deviations, by brute force."""
    pairs = CrossoverPairs(np.array([[39.6, 37.9], [35.6, 35.7]]), np.array([True, False]),
                           np.arange(2))  # fmt: skip
    half = Prior("half_normal", {"sigma": 10.5})
    priors = {"level": normal(37.2, 100), "period_effect": normal(-0.8, 100),
              "treatment": normal(0, 100), "sd_subject": half, "sd_within": half}  # fmt: skip
    exact = crossover_posterior(pairs, priors)["exact"].to_dataset()
    # differences d = period 2 - period 1: with change c and benefit t, d[AB] = c - t, d[BA] = c + t
    s, w = np.meshgrid(np.linspace(0.005, 80, 1600), np.linspace(0.005, 80, 1600), indexing="ij")
    weight = half.pdf(s) * half.pdf(w)
    # sums and differences are independent
    change, gain = (0.1 - 1.7) / 2 + 0.8, (0.1 + 1.7) / 2
    for value in (change, gain):
        spread = 100**2 + w**2
        weight = weight * np.exp(-0.5 * value**2 / spread) / np.sqrt(spread)
    between = s**2 + w**2 / 2
    mean = np.array([38.75, 35.65])
    weight = weight * np.exp(-0.25 * (mean[0] - mean[1]) ** 2 / between) / np.sqrt(between)
    common = 100**2 + between / 2
    weight = weight * np.exp(-0.5 * (mean.mean() - 37.2) ** 2 / common) / np.sqrt(common)
    expected = np.sum(weight * gain * 100**2 / (100**2 + w**2)) / weight.sum()
    found = float(exact["mean"].sel(estimand="treatment_difference"))
    assert found == pytest.approx(expected, abs=2e-3)


def test_a_reference_sd_of_another_unit_leaves_a_posterior() -> None:
    """Scores of 1e-12 under a reference SD of 10: the posterior lies where prior and scores meet.

    The log of the SD has a normal prior at log 10.5 with SD 1, and 11 residual degrees of freedom
    but one pull it down by about 10: prior and likelihood balance at log sd = 2.35 - 10.
    """
    evidence = odd_evidence("tiny", reference_sd=10.0)
    groups = model_of("first-period").room
    found = groups.exact(groups.problem(evidence, model_of("first-period")).model, 1)
    sd = float(found["posterior"]["sd_residual"].median())
    assert np.log(sd) == pytest.approx(np.log(10.5) - 10, abs=1.5)


def test_scores_far_below_their_priors_are_refused_and_in_other_units_answered() -> None:
    """Aliased but for one proper prior, scores of 1e-11 leave no digit of it; of 10, they do."""
    rows = ["1,AB,2,B,58.9", "2,BA,1,B,46.4", "3,AB,1,A,45.8", "3,AB,2,B,48.5"]
    rows += ["4,BA,1,B,47.0", "5,AB,2,B,53.8", "6,AB,1,A,57.6", "6,AB,2,B,66.1"]

    def trial(unit: str) -> Evidence:
        header = "subject,sequence,period,treatment,value\n"
        made_up = odd["_with"](odd["made_up_trial"](), reference_sd=10.0, mcid=5.0)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "patients.csv"
            path.write_text(header + "".join(f"S{row}{unit}\n" for row in rows), encoding="utf-8")
            return load_patients(path, made_up)

    spec = model_of("crossover-carryover")
    said = integrated(partial(trial, "e-12"), spec)
    assert said.startswith("the posterior cannot be computed in floating point: the scores vary by")
    assert "give the scores in other units" in said
    assert integrated(partial(trial, ""), spec) == "answer"


def test_heavy_tails_are_still_refused() -> None:
    """A posterior whose standard deviations have no mean is not integrated in a wider box."""
    half_cauchy = Prior("half_cauchy", {"sigma": 10.0})
    one = CrossoverPairs(np.array([[39.6, 37.9], [35.6, 35.7]]), np.array([True, False]),
                         np.arange(2))  # fmt: skip
    flat = Prior("flat")
    priors = {"level": flat, "period_effect": flat, "treatment": flat,
              "sd_subject": half_cauchy, "sd_within": half_cauchy}  # fmt: skip
    with pytest.raises(FitError, match="is largest: it is improper or too heavy-tailed"):
        crossover_posterior(one, priors)


def test_nobody_crossed() -> None:
    """c08: a trial that stopped after period 1 has the posterior of its first period, and says so.

    With a wide prior the difference is that of the means, and its cell of period 2 is named.
    """
    with pytest.warns(match="patients_in_each_cell is 0"):
        fit = fit_model(odd_evidence("no second visit"), model_of("crossover"), engine="exact")
    scores = fit["observed_data"]["score"].sel(period=1)
    means = scores.groupby("sequence").mean()
    expected = float(means.sel(sequence="AB") - means.sel(sequence="BA"))
    exact = fit["exact"].to_dataset()["mean"]
    assert float(exact.sel(estimand="treatment_difference")) == pytest.approx(expected, abs=0.15)


def test_one_sequence_without_period_2_keeps_its_analyses() -> None:
    """c09: REML of all patients exists, and the reason of each missing analysis is true of it."""
    found = frequentist_document(odd_evidence("no second visit in BA"), model_of("crossover"))
    assert found["method"].startswith("REML")
    assert set(found["not_possible"]) == {"hills_armitage", "grizzle", "reml_sequence"}
    for name in ("hills_armitage", "grizzle"):
        assert "6 have both, none of them in one of the sequences" in found["not_possible"][name]


@pytest.mark.parametrize("kind", CATEGORIES)
def test_odd_risks_are_answered(kind: str) -> None:
    """Two separate risks have a posterior whatever occurs; of one arm, or period 2 only, none."""
    said = answered(lambda: odd_categories(kind, 1), model_of("binary-beta-binomial"))
    one_arm = dict.fromkeys(("active arm empty", "no first visit in AB"), "one treatment")
    refused = {"no first visit": "one treatment", **one_arm}
    assert refused[kind] in said if kind in refused else said == "answer"


@settings(max_examples=60)
@given(st.integers(0, 10**6))
def test_random_trials_are_answered_or_refused(seed: int) -> None:
    """Any small trial through an exact engine: finite numbers, or one error of the package."""
    names = QUICK if seed % 10 else list(EXACT)
    integrated(partial(odd["random_evidence"], seed), model_of(names[seed % len(names)]))


def test_a_wrong_answer_is_noticed() -> None:
    """A warning of a library, or a number that is none, is neither an answer nor a refusal."""

    def warned() -> Evidence:
        np.log(np.zeros(1))
        return odd_evidence("plain")

    with pytest.raises(RuntimeWarning):
        answered(warned, model_of("first-period"))
    draws = xr.Dataset({"treatment_difference": ("draw", [1.0, np.nan])})
    fit = xr.DataTree.from_dict({"posterior": draws})
    with pytest.raises(AssertionError, match="treatment_difference"):
        odd["assert_finite"](fit)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("c08-nobody-crossed/b37_noP2.csv", "answer"),
        ("c09-one-sequence-has-no-period-2/b37_noP2_BA.csv", "answer"),
        ("c10-identical-differences/b15_noerr.csv", "all 12 within-patient differences between th"),
        ("f-ok_csv/data.csv", "all 8 within-patient differences between the periods are 11"),
    ],
)
def test_cases(case: str, said: str, shared: Path) -> None:
    """The cases that people handed in have an answer or a true sentence."""
    path = shared / "cases" / case
    trial = next(path.parent.glob("*.toml"))
    spec = model_of("crossover", "weak")
    assert said in answered(lambda: load_patients(path, trial), spec)
