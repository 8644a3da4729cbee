"""Simulated patients have the moments they were asked for, and lose scores as they were told to."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy import special, stats

from bayes_ptsd.errors import SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.patients import crossover_arrays, flow
from bayes_ptsd.simulation.draws import Variation, lost, to_categories
from bayes_ptsd.simulation.patients import Baseline, Missingness, made_up_trial, simulate_trial
from bayes_ptsd.trial import Trial, load_trial

N = 20_000
HOURS = {"24h": 24.0, "48h": 48.0, "72h": 72.0, "7d": 168.0}


def values(evidence: Evidence) -> xr.DataArray:
    """Return the scores of the only endpoint, dims (subject, period, visit)."""
    return evidence.data["outcomes"]["value"].isel(endpoint=0)


def close(found: Any, expected: Any, sd: Any, n: int, *, sigmas: float = 5.0) -> None:
    """Check means of n values each against the truth, within Monte Carlo error."""
    error = sigmas * np.asarray(sd) / math.sqrt(n)
    assert (np.abs(np.asarray(found) - np.asarray(expected)) < error).all(), (found, expected)


def check_moments(evidence: Evidence, n: int) -> None:
    """Check the means of each cell and all variances and correlations against the stored truth."""
    truth = evidence.data["truth"]
    scores = values(evidence)
    expected = truth["covariance"].values
    before = expected.shape[0] - scores[0].size
    sd = np.sqrt(np.diag(expected))
    for sequence in truth["sequence"].values:
        group = scores.sel(subject=(scores["sequence"] == sequence).values)
        mean = truth["mean"].sel(sequence=sequence).values
        close(group.mean("subject").values, mean, sd[before:].reshape(mean.shape), n)
    residual = scores - scores.groupby("sequence").mean("subject").sel(sequence=scores["sequence"])
    table = residual.values.reshape(len(scores), -1)
    if before:
        first = evidence.data["outcomes"]["baseline"].isel(endpoint=0)
        first = first - first.groupby("sequence").mean("subject").sel(sequence=first["sequence"])
        table = np.concatenate([first.values[:, :before], table], axis=1)
    np.testing.assert_allclose(table.std(axis=0), sd, rtol=5 / math.sqrt(2 * 2 * n))
    correlation = expected / np.outer(sd, sd)
    np.testing.assert_allclose(np.corrcoef(table.T), correlation, atol=5 / math.sqrt(2 * n))


SPREADS: dict[str, dict[str, Any]] = {
    "random intercept": {"sd_subject": 3.0, "sd_within": 4.0},
    "unequal periods": {"sd_subject": 3.0, "sd_within": (2.0, 6.0)},
    "negative correlation": {"sd_total": (5.0, 8.0), "correlation": -0.6},
    "no variation between": {"sd_subject": 0.0, "sd_within": 4.0},
}


@pytest.mark.parametrize("spread", SPREADS.values(), ids=SPREADS.keys())
@pytest.mark.parametrize("better", ["lower", "higher"])
def test_crossover_moments(spread: dict[str, Any], better: Any) -> None:
    """Cell means, standard deviations and the correlation of periods are those asked for."""
    trial = made_up_trial(better=better)
    evidence = simulate_trial(
        trial, n_by_sequence=N, treatment=5.0, period=-2.0, carryover=1.5, level=40.0, seed=1,
        **spread,
    )  # fmt: skip
    check_moments(evidence, N)
    sign = 1 if better == "higher" else -1
    mean = evidence.data["truth"]["mean"][..., 0]
    assert mean.sel(sequence="AB").values.tolist() == [40 + 5 * sign, 38 + 1.5 * sign]
    assert mean.sel(sequence="BA").values.tolist() == [40, 38 + 5 * sign]


def test_the_crossover_contrast_estimates_treatment_less_half_the_carryover() -> None:
    """The within-patient contrast of complete pairs is treatment minus half of carryover."""
    trial = made_up_trial(better="lower")
    evidence = simulate_trial(
        trial, n_by_sequence=N, treatment=5.0, period=3.0, carryover=2.0, sd_subject=9.0, seed=2
    )
    y = crossover_arrays(evidence, "score")["y"]
    gain = (y.sel(period=2) - y.sel(period=1)) / 2
    means = gain.groupby("sequence").mean()
    contrast = (means.sel(sequence="AB") - means.sel(sequence="BA")).item()
    close(contrast, 5.0 - 2.0 / 2, 1.0, N)


@pytest.mark.parametrize("structure", ["compound", "autoregressive"])
@pytest.mark.parametrize("design", ["crossover", "parallel"])
def test_visits_go_together_as_asked(structure: Any, design: Any) -> None:
    """Correlations of visits follow the structure and the real gaps; effects differ by visit."""
    trial = made_up_trial(design, better="lower", visits=HOURS)
    effects = [6.0, 4.0, 3.0, 0.0]
    evidence = simulate_trial(
        trial, n_by_sequence=N, treatment=effects, level=[40.0, 41.0, 42.0, 45.0], seed=3,
        sd_subject=2.0, sd_within=3.0, visit_correlation=0.6, visit_structure=structure,
    )  # fmt: skip
    check_moments(evidence, N)
    correlation = evidence.data["truth"]["covariance"].values[0, :4] / 13
    gaps = np.array([0, 1, 2, 6])
    within = 0.6**gaps if structure == "autoregressive" else np.where(gaps == 0, 1, 0.6)
    np.testing.assert_allclose(correlation, (4 + 9 * within) / 13)
    active, control = ("AB", "BA") if design == "crossover" else ("A", "B")
    mean = evidence.data["truth"]["mean"].sel(period=1)
    np.testing.assert_allclose(mean.sel(sequence=control) - mean.sel(sequence=active), effects)


@pytest.mark.parametrize("each_period", [False, True])
def test_baselines_correlate_as_asked(each_period: bool) -> None:
    """Baselines have their mean, spread, correlation with every score, and their own carryover."""
    baseline = Baseline(47.0, 14.0, 0.4, each_period=each_period, carryover=3.0 * each_period)
    evidence = simulate_trial(
        made_up_trial(better="lower"), n_by_sequence=N, sd_subject=9.0, sd_within=8.0,
        baseline=baseline, seed=4,
    )  # fmt: skip
    check_moments(evidence, N)
    found = evidence.data["outcomes"]["baseline"].isel(endpoint=0)
    close(found.sel(period=1).mean().item(), 47.0, 14.0, 2 * N)
    if each_period:
        means = found.sel(period=2).groupby("sequence").mean()
        close(means.sel(sequence=["AB", "BA"]).values, [44.0, 47.0], 14.0, N)
    else:
        assert found.sel(period=2).isnull().all()


def test_scores_are_written_as_a_rater_would() -> None:
    """Scores are rounded, and held to the range of the instrument."""
    trial = made_up_trial(range=(0.0, 20.0))
    evidence = simulate_trial(trial, n_by_sequence=500, sd_within=8.0, decimals=0, seed=5)
    scores = values(evidence).values
    assert (scores == np.round(scores)).all()
    assert (scores.min(), scores.max()) == (0.0, 20.0)
    assert evidence.data["truth"]["mean"].values.ravel().tolist() == [10.0] * 4


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_ordinal_categories_have_their_probabilities(link: Any) -> None:
    """Without patient effects categories have the probabilities of the cumulative link model."""
    trial = made_up_trial(kind="ordinal", better="lower", range=(1.0, 4.0))
    cuts = [-1.0, 0.3, 1.2]
    evidence = simulate_trial(
        trial, n_by_sequence=N, treatment=0.8, period=0.5, cutpoints=cuts, sd_subject=0.0,
        link=link, seed=6,
    )  # fmt: skip
    inverse = special.expit if link == "logit" else special.ndtr
    shift = np.array([[-0.8, 0.5], [0.0, 0.5 - 0.8]])
    scores = values(evidence)[..., 0]
    for sequence, row in zip(["AB", "BA"], shift, strict=True):
        group = scores.sel(subject=(scores["sequence"] == sequence).values)
        for category in (1, 2, 3):
            expected = inverse(cuts[category - 1] - row)
            close((group <= category).mean("subject").values, expected, 0.5, N)
    assert set(np.unique(scores)) == {1.0, 2.0, 3.0, 4.0}


def test_binary_patients_share_their_effect() -> None:
    """A binary outcome has its marginal probability, and periods agree more than by chance."""
    trial = made_up_trial(kind="binary")
    evidence = simulate_trial(trial, n_by_sequence=N, sd_subject=2.0, level=0.4, seed=7)
    scores = values(evidence)[..., 0].values
    nodes, weights = np.polynomial.hermite_e.hermegauss(61)
    probability = special.expit(0.4 + 2.0 * nodes)
    weights = weights / weights.sum()
    close(scores.mean(axis=0), weights @ probability, 0.5, 2 * N)
    close((scores[:, 0] * scores[:, 1]).mean(), weights @ probability**2, 0.5, 2 * N)


def test_ordinal_visits_go_together() -> None:
    """Latent errors of two visits have the normal-copula correlation asked for."""
    trial = made_up_trial("parallel", kind="binary", visits={"a": 24.0, "b": 48.0})
    evidence = simulate_trial(
        trial, n_by_sequence=N, sd_subject=0.0, visit_correlation=0.5, link="probit", seed=8
    )
    both = values(evidence).isel(period=0).prod("visit").mean().item()
    close(both, 0.25 + math.asin(0.5) / (2 * math.pi), 0.5, 2 * N)


def test_scores_get_lost_at_random() -> None:
    """Each score is missing with its probability, whatever its value."""
    evidence = simulate_trial(
        n_by_sequence=N, missingness=Missingness(at_random=0.3), sd_subject=3.0, seed=9
    )
    missing = values(evidence).isnull().values[..., 0]
    complete = evidence.data["truth"]["complete"].values[..., 0]
    close(missing.mean(axis=0), 0.3, 0.46, 2 * N)
    assert stats.pearsonr(missing.ravel(), complete.ravel()).pvalue > 1e-4
    assert (values(evidence).values[..., 0][~missing] == complete[~missing]).all()


def test_dropouts_do_not_come_back() -> None:
    """After dropout every later visit and period is missing; the first is always there."""
    evidence = simulate_trial(
        made_up_trial(visits=HOURS), n_by_sequence=N, missingness=Missingness(dropout=0.1), seed=10
    )
    there = values(evidence).notnull().values.reshape(2 * N, -1)
    assert (np.diff(there.astype(int), axis=1) <= 0).all()
    close(there.mean(axis=0), 0.9 ** np.arange(8), 0.5, 2 * N)


@pytest.mark.parametrize("after", ["active", "any"])
@pytest.mark.parametrize("better", ["lower", "higher"])
def test_remission_ends_the_trial(after: Any, better: Any) -> None:
    """Who is better than the threshold after period 1 has no period 2, and no second baseline."""
    evidence = simulate_trial(
        made_up_trial(better=better), n_by_sequence=400, treatment=1.0, level=30.0, sd_within=5.0,
        baseline=Baseline(30.0, 5.0, each_period=True), seed=11,
        missingness=Missingness(remission=28.0, remission_after=after),
    )  # fmt: skip
    scores = values(evidence)[..., 0]
    first = scores.sel(period=1)
    remitted = (first < 28.0) if better == "lower" else (first > 28.0)
    remitted = remitted & ((scores["sequence"] == "AB") | (after == "any"))
    assert (scores.sel(period=2).isnull() == remitted).all()
    assert first.notnull().all()
    before = evidence.data["outcomes"]["baseline"].isel(endpoint=0)
    assert (before.sel(period=2).isnull() == remitted).all()
    assert 0 < remitted.sum() < 800


def test_scores_get_lost_by_their_value() -> None:
    """With a slope, the chance of being missing rises with the score as the logistic curve says."""
    lost_by = Missingness(by_value=0.2, by_value_slope=1.0)
    evidence = simulate_trial(n_by_sequence=N, missingness=lost_by, seed=12)
    complete = evidence.data["truth"]["complete"].values.ravel()
    missing = values(evidence).isnull().values.ravel()
    standard = (complete - complete.mean()) / complete.std()
    for low, high in ((-2.0, -1.0), (-0.5, 0.5), (1.0, 2.0)):
        inside = (standard > low) & (standard < high)
        expected = special.expit(special.logit(0.2) + standard[inside]).mean()
        close(missing[inside].mean(), expected, 0.5, int(inside.sum()))


def test_the_design_of_the_ketamine_trial() -> None:
    """The shipped trial simulates with its own labels, visits and instrument bounds."""
    trial = load_trial()
    evidence = simulate_trial(
        trial, "ies_r", n_by_sequence={"KM": 22, "MK": 19}, treatment=8.6, level=38.0,
        sd_subject=9.0, sd_within=12.0, visit_correlation=0.7, decimals=0, seed=13,
        missingness=Missingness(remission=25.0),
    )  # fmt: skip
    assert evidence.kind == "simulated"
    assert values(evidence).sizes == {"subject": 41, "period": 2, "visit": 4}
    assert evidence.data["outcomes"]["hours"].values.tolist() == [24.0, 48.0, 72.0, 168.0]
    assert flow(evidence)["subjects"].to_series().to_dict() == {"KM": 22, "MK": 19}
    assert 0 <= values(evidence).min() <= values(evidence).max() <= 88


def test_seeds_decide() -> None:
    """One seed gives one evidence, down to its digest; another seed gives another."""
    runs = [simulate_trial(n_by_sequence=5, seed=seed) for seed in (1, 1, 2)]
    assert runs[0].digest == runs[1].digest != runs[2].digest
    unnamed = replace(made_up_trial(), sequences={})
    assert set(simulate_trial(unnamed, n_by_sequence=5, seed=1).trial.sequences) == {"AB", "BA"}


PARALLEL = made_up_trial("parallel")
ORDINAL = made_up_trial(kind="ordinal", range=(1.0, 4.0))
BAD: dict[str, tuple[Trial | None, dict[str, Any], str]] = {
    "period in parallel": (PARALLEL, {"period": 1.0}, "a parallel trial has one period"),
    "carryover in parallel": (PARALLEL, {"carryover": 1.0}, "a parallel trial has one period"),
    "both forms": (None, {"sd_within": 1.0, "sd_total": 2.0, "correlation": 0.1}, "not both"),
    "half a form": (None, {"correlation": 0.1}, "come together"),
    "negative sd": (None, {"sd_subject": -1.0}, "'sd_subject' must not be negative"),
    "sd of three periods": (None, {"sd_within": (1.0, 2.0, 3.0)}, "3 values for 2 period"),
    "correlation": (None, {"sd_total": 1.0, "correlation": 1.5}, "between -1 and 1"),
    "structure": (None, {"visit_structure": "toeplitz"}, "compound or autoregressive"),
    "negative decay": (
        None, {"visit_structure": "autoregressive", "visit_correlation": -0.5}, "must not be neg",
    ),
    "impossible baseline": (
        None, {"sd_total": 1.0, "correlation": -0.9, "baseline": Baseline(0.0, 1.0, 0.9)},
        "no patients can have these correlations",
    ),
    "ordinal sd": (ORDINAL, {"sd_within": 1.0}, "the link sets the variation"),
    "ordinal baseline": (ORDINAL, {"baseline": Baseline(0.0, 1.0)}, "shares the patient effect"),
    "cutpoints": (ORDINAL, {"cutpoints": [0.0]}, "needs 3 cutpoints, got 1"),
    "cutpoint order": (ORDINAL, {"cutpoints": [0.0, 2.0, 1.0]}, "cutpoints must increase"),
    "no cutpoints": (made_up_trial(kind="ordinal"), {}, "has no range: give its cutpoints"),
    "continuous cutpoints": (None, {"cutpoints": [0.0]}, "is continuous and has no cutpoints"),
    "link": (ORDINAL, {"link": "cauchit"}, "'link' is 'cauchit'"),
    "effects": (None, {"treatment": [1.0, 2.0]}, "or one for each of 1 visits"),
    "infinite": (None, {"level": math.inf}, "needs one finite number"),
    "nobody": (None, {"n_by_sequence": 0}, "at least 1 patient"),
    "sequence": (None, {"n_by_sequence": {"AB": 3, "BB": 2}}, "unknown key 'BB'; known: AB, BA"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD.values(), ids=BAD.keys())
def test_contradictions_are_refused(case: tuple[Trial | None, dict[str, Any], str]) -> None:
    """Parameters that contradict the design, the endpoint or each other are refused."""
    trial, parameters, message = case
    with pytest.raises(SpecError, match=message):
        simulate_trial(trial, **{"n_by_sequence": 4, "seed": 1, **parameters})


def test_parts_refuse_what_they_cannot_be() -> None:
    """Probabilities, correlations and rules are checked where they are made."""
    for wrong in ({"at_random": 1.0}, {"dropout": -0.1}, {"by_value": 2.0}):
        with pytest.raises(SpecError, match="must be a probability below 1"):
            Missingness(**wrong)
    with pytest.raises(SpecError, match="active or any"):
        Missingness(remission=1.0, remission_after="control")  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="must not be negative"):
        Baseline(0.0, -1.0)
    with pytest.raises(SpecError, match="-1 to 1"):
        Baseline(0.0, 1.0, 1.1)
    with pytest.raises(SpecError, match="cutpoints must increase"):
        to_categories(np.zeros(2), [], lowest=0)
    assert Variation().covariance(1, [0.0]).tolist() == [[2.0]]
    scores = np.ones((3, 2, 1))
    active = np.ones((3, 2), dtype=bool)
    rng = np.random.default_rng(1)
    assert not lost(Missingness(), scores, active=active, benefit_sign=1, rng=rng).any()
