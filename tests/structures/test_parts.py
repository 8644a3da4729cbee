"""Subscales of patients under one coherent prior: they add up, and the sampler finds them."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from sampled import ERRORS, moments
from scipy import stats
from typer.testing import CliRunner

from bayes_ptsd.checks.predictive import feature_table, predictive_checks
from bayes_ptsd.cli import app
from bayes_ptsd.errors import EvidenceError, FitError, SpecError, StatisticalWarning
from bayes_ptsd.evidence.outcome import select_outcomes
from bayes_ptsd.fit import fit_model, frequentist_document
from bayes_ptsd.fit_view import fit_document
from bayes_ptsd.gaussian.covariance import log_matrix_density
from bayes_ptsd.models_files import load_model
from bayes_ptsd.priors import Prior, normal
from bayes_ptsd.reconstruction.release import load_release
from bayes_ptsd.structures.parts import PARTS
from bayes_ptsd.structures.parts.draws import draw_priors, log_matrix, part_correlations
from bayes_ptsd.structures.parts.example import example_parts
from bayes_ptsd.structures.parts.model import part_names, parts_model, plane_root
from bayes_ptsd.structures.parts.room import part_features
from bayes_ptsd.trial import load_trial

SPEC = load_model("subscales-patients")
NAMES = ["ies_r_intrusion", "ies_r_avoidance", "ies_r_hyperarousal"]
WIDE = {
    "treatment": normal(0, 1e3),
    "heterogeneity": Prior("log_normal", {"mu": 3.4, "sigma": 0.05}),
}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Leave failed checks to the tests that are about them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StatisticalWarning)
        yield


def test_sampled_parts_are_those_of_least_squares_and_add_up() -> None:
    """Wide priors, no baseline: the mean differences of the parts, and their sum draw by draw.

    Given the covariance V of the estimates, a normal prior with covariance P has the posterior mean
    P (V + P)^-1 times them; here that pull is below .02 points. V is uncertain by a quarter or so:
    the pull once more bounds what averaging over it does. Everything else is Monte Carlo error.
    """
    evidence = example_parts(seed=2)
    spec = SPEC.having(options={"baseline": "none"}, priors=WIDE)
    fit = fit_model(evidence, spec, engine="nuts", draws=600, tune=600, chains=2, seed=5)
    model = parts_model(evidence, spec)
    # lower is better: control minus active
    apart = model.score[~model.active].mean(axis=0) - model.score[model.active].mean(axis=0)
    residual = np.concatenate(
        [
            model.score[rows] - model.score[rows].mean(axis=0)
            for rows in (model.active, ~model.active)
        ]
    )
    posterior = fit["posterior"].to_dataset()
    spread = float(posterior["heterogeneity"].mean())
    prior = 1e6 * np.outer(model.weight, model.weight) + spread**2 * (np.eye(3) - 1 / 3)
    sampling = residual.T @ residual / 38 * (1 / 20 + 1 / 20)
    pull = sampling @ np.linalg.solve(sampling + prior, apart)
    assert np.abs(pull).max() < 0.02
    mean, error = (one.values for one in moments(posterior, "endpoint_difference")["mean"])
    gap = np.abs(mean - (apart - pull))
    assert (gap < ERRORS * error + np.abs(pull)).all(), gap / error
    parts = posterior["endpoint_difference"]
    # all of them rounded to 24 binary digits
    off = abs(parts.sum("endpoint") - posterior["treatment_difference"])
    assert bool((off <= 2.0**-23 * abs(parts).sum("endpoint")).all())
    document = json.loads(json.dumps(fit_document(fit, evidence, spec)))
    assert document["estimands"]["difference[ies_r_avoidance]"]["unit"] == "points"
    mirror = document["frequentist"]["analyses"]["ancova"]["estimands"]
    assert mirror["difference[ies_r_avoidance]"]["estimate"] == pytest.approx(apart[1])
    assert document["n"]["by_sequence"] == {"midazolam": 20, "ketamine": 20}
    found = posterior["part_correlation"].mean(("chain", "draw")).values
    seen = np.corrcoef(residual.T)[np.tril_indices(3, -1)]
    # LKJ(2) shrinks correlations a little
    assert found == pytest.approx(seen, abs=0.12)
    with pytest.raises(FitError, match="no exact engine"):
        fit_model(evidence, spec, engine="exact")


def test_prior_is_coherent() -> None:
    """The sum of the parts has the prior of the total; correlations are LKJ(2)."""
    model = parts_model(example_parts(), SPEC.having(priors={"treatment": "skeptical"}))
    draws = draw_priors(model, 20_000, seed=1)
    total = draws["endpoint_difference"].sum("endpoint")
    assert float(total.std()) == pytest.approx(7.879, rel=0.03)
    # marginal of one correlation of LKJ(eta) in d dims: (1 + r)/2 ~ Beta(eta - 1 + d/2), here 2.5
    for pair in model.pairs:
        unit = (1 + draws["part_correlation"].sel(pair=pair).values.ravel()) / 2
        assert stats.kstest(unit, stats.beta(2.5, 2.5).cdf).pvalue > 1e-3, pair
    share = draws["endpoint_difference"].mean() / draws["treatment_difference"].mean()
    assert np.isfinite(share)


@pytest.mark.parametrize("dist", ["lkj", "uniform_correlations"])
def test_prior_of_the_matrix_is_a_choice(dist: str) -> None:
    """Drawn, as a density, and in PyMC alike; under the second every correlation is uniform."""
    prior = Prior(dist, {"shape": 3.0} if dist == "lkj" else {})
    spec = SPEC.having(priors={"correlations": prior})
    model = parts_model(example_parts(subjects=8), spec)
    draws = draw_priors(model, 20_000, seed=1)["part_correlation"].values[0]
    marginal = stats.beta(3.5, 3.5) if dist == "lkj" else stats.uniform()
    assert stats.kstest((1 + draws.ravel()[::3]) / 2, marginal.cdf).pvalue > 1e-3
    partial = np.random.default_rng(1).uniform(-0.9, 0.9, size=(20, 3))
    matrix = np.broadcast_to(np.eye(3), (20, 3, 3)).copy()
    rows, columns = np.tril_indices(3, -1)
    found = part_correlations(partial, 3)
    matrix[:, rows, columns] = matrix[:, columns, rows] = found
    # the volume of matrices in partial correlations is the density of LKJ(1)
    known = log_matrix_density(prior, partial, 3)
    known = known - log_matrix_density(Prior("lkj", {"shape": 1.0}), partial, 3)
    assert np.ptp(log_matrix(prior, matrix) - known) < 1e-9
    assert spec.room.problem(example_parts(subjects=8), spec).compiled.count(dist) == 1


def test_likelihood_is_that_of_scipy() -> None:
    """The density of a patient's parts together equals SciPy's multivariate normal."""
    model = parts_model(example_parts(), SPEC)
    draws = draw_priors(model, 3, seed=2)
    groups = PARTS.groups(model, {"posterior": draws}, 2, None)
    one = draws.isel(chain=0, draw=1)
    sd = one["sd_residual"].values
    matrix = np.eye(3)
    matrix[np.tril_indices(3, -1)] = one["part_correlation"].values
    matrix = matrix + matrix.T - np.eye(3)
    assert model.baseline is not None
    for patient in (0, 1, 7):
        mean = one["level"].values
        mean = mean - (model.active[patient] - 0.5) * one["endpoint_difference"].values
        mean = mean + one["baseline_slope"].values * model.baseline[patient]
        expected = stats.multivariate_normal.logpdf(
            model.score[patient], mean=mean, cov=np.outer(sd, sd) * matrix
        )
        found = groups["log_likelihood"]["score"].values[0, 1, patient]
        assert float(found) == pytest.approx(expected, rel=1e-9)


def test_reconstructed_subscales_have_the_printed_differences() -> None:
    """Analyses of covariance of a reconstruction's parts print Table 2, and so does their sum."""
    patients = select_outcomes(load_release(m=1)[0], NAMES, visit="24h")
    mirror = frequentist_document(patients, SPEC)
    found = mirror["analyses"]["ancova"]["estimands"]
    printed = dict(zip(NAMES, (2.6, 3.3, 2.6), strict=True))
    for name, number in printed.items():
        assert round(found[f"difference[{name}]"]["estimate"], 1) == number
    assert round(mirror["estimate"], 1) == 8.6


def test_checks_notice_parts_that_no_longer_go_together() -> None:
    """Shuffling one part over the patients of an arm breaks the correlations, and that is seen."""
    model = parts_model(example_parts(subjects=60), SPEC)
    rng = np.random.default_rng(1)
    draws = draw_priors(model, 400, seed=1)
    middle = {"baseline_slope": 0.4, "endpoint_difference": 3.0, "part_correlation": 0.6}
    middle |= {"level": model.score.mean(axis=0), "sd_residual": model.score.std(axis=0)}
    near = draws.assign({name: draws[name] * 0 + value for name, value in middle.items()})
    groups = PARTS.groups(model, {"posterior": near}, 1, None)
    observed = groups["observed_data"]["score"]
    broken = observed.copy()
    for arm in (True, False):
        rows = np.flatnonzero(model.active == arm)
        broken[rows, 0] = observed.values[rng.permutation(rows), 0]
    name = "correlation_ies_r_intrusion_ies_r_avoidance"
    for scores, passed in ((observed, True), (broken, False)):
        groups["observed_data"] = scores.to_dataset(name="score")
        fit = xr.DataTree.from_dict(groups)
        feature = {name: part_features(scores, model)[name]}
        assert predictive_checks(feature_table(fit, feature))[0].passed is passed


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    """No parts, a part without scores or range, a missing baseline, a named endpoint."""
    evidence = example_parts()
    with pytest.raises(SpecError, match="madrs"):
        parts_model(evidence, SPEC.having(options={"total": "madrs"}))
    with pytest.raises(EvidenceError, match="no endpoint 'ies_r_avoidance'"):
        parts_model(select_outcomes(evidence, NAMES[:1]), SPEC)
    outcomes = evidence.data["outcomes"].to_dataset()
    outcomes["baseline"][0, 0, 1] = np.nan
    outcomes["value"][3, 0, 0, 2] = np.nan
    gap = replace(evidence, data=xr.DataTree.from_dict({"outcomes": outcomes}))
    with pytest.raises(EvidenceError, match="missing for 1 patients"):
        parts_model(gap, SPEC)
    model = parts_model(gap, SPEC.having(options={"baseline": "none"}))
    assert model.size["subjects"] == 39
    assert "1 subjects without all parts" in model.notes[0]
    ends = {n: replace(one, range=None) for n, one in evidence.trial.endpoints.items()}
    with pytest.raises(EvidenceError, match="has no 'range'"):
        parts_model(replace(evidence, trial=replace(evidence.trial, endpoints=ends)), SPEC)
    trial = Path(__file__).parents[1] / "trials" / "fev.toml"
    done = CliRunner().invoke(
        app,
        ["fit", "subscales-patients", "--trial", str(trial), "--data", str(trial), "--endpoint",
         "x", "--store", str(tmp_path)],
    )  # fmt: skip
    assert "--option total=x" in str(done.exception)


def test_parts_are_named_after_their_total() -> None:
    """The shipped trial has three subscales of IES-R; MADRS has none and cannot be split."""
    assert part_names(load_trial(), "ies_r") == NAMES
    with pytest.raises(EvidenceError, match="madrs"):
        part_names(load_trial(), "madrs")


@pytest.mark.parametrize("count", [2, 3, 5])
def test_what_is_added_to_the_shares_sums_to_zero(count: int) -> None:
    """The root of the plane has covariance I - 1/count, orthonormal columns and columns' sums 0."""
    root = plane_root(count)
    np.testing.assert_allclose(root @ root.T, np.eye(count) - 1 / count, atol=1e-12)
    np.testing.assert_allclose(root.T @ root, np.eye(count - 1), atol=1e-12)
    np.testing.assert_allclose(root.sum(axis=0), 0, atol=1e-12)


def test_the_prior_is_told_in_score_units() -> None:
    """The reference prior is ten reference SDs wide: 1.96 times 144 either way."""
    lines, proper = PARTS.prior_lines(parts_model(example_parts(), SPEC))
    assert proper
    assert lines["prior interval"] == "treatment: 95% from -282.23 to 282.23 score units"
    assert {f"prior difference {name}" for name in NAMES} <= set(lines)
