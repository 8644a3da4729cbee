"""The repeated-measures model against published values, dense algebra and other programs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.regression.mixed_linear_model import MixedLM

from bayes_ptsd.errors import EvidenceError, SpecError
from bayes_ptsd.frequentist import (
    clda_analysis,
    contrast_table,
    fit_repeated_measures,
    mmrm_analysis,
)
from bayes_ptsd.gaussian.marginal_covariance import (
    STRUCTURES,
    Covariance,
    natural_covariance,
    starting_values,
    working_covariance,
)
from bayes_ptsd.gaussian.restricted import gradient, hessian, restricted_likelihood
from bayes_ptsd.gaussian.small_sample import contrast_inference

TIMES = np.array([1.0, 2.0, 3.0, 7.0])
FORMS = {"working": working_covariance, "natural": natural_covariance}
# SAS PROC MIXED, FEV1 ~ ARMCD, ddfm=kenwardroger, as published with R's mmrm; visits 1 apart
SAS = {
    "compound_symmetric": (3890.9790, 4.1966, 0.7965, 177, 0.5560, 187),
    "compound_symmetric_heterogeneous": (3754.1849, 3.7709, 0.6741, 191, 0.4656, 191),
    "autoregressive": (3855.1243, 4.2257, 0.9587, 188, 0.6651, 194),
    "autoregressive_heterogeneous": (3715.2804, 3.7267, 0.7590, 188, 0.5226, 186),
}
SAS_UNSTRUCTURED = (
    108.39, 45.4113, 40.1721, -2.6971, 0.7771, 24.6058, -47.0103, -13.0998, 18.7346, 152.36,
)  # fmt: skip


def simulated(seed: int, *, subjects: int = 41, missing: float = 0.1) -> tuple[Any, Any]:
    """Return scores of a parallel trial with a true benefit of 5 at every visit, and the arms."""
    rng = np.random.default_rng(seed)
    active = np.arange(subjects) % 2 == 0
    root = np.linalg.cholesky(60 * 0.6 ** np.abs(np.subtract.outer(TIMES, TIMES)) + 40)
    scores = 45 - 5.0 * active[:, None] + rng.normal(size=(subjects, 4)) @ root.T
    scores[rng.random(scores.shape) < missing] = np.nan
    return scores, active


def theta_of(structure: str) -> Any:
    """Return parameters of a structure away from any special point."""
    start = starting_values(structure, np.diag([60.0, 90, 70, 110]) + 30)
    return start + 0.1 * np.random.default_rng(3).normal(size=len(start))


def fev(shared: Path) -> dict[str, Any]:
    """Return scores, arms and covariates of the public parallel trial."""
    rows = pd.read_csv(shared / "data" / "fev.csv")
    wide = rows.pivot(index="USUBJID", columns="AVISIT", values="FEV1")
    first = rows.groupby("USUBJID").first()
    groups = pd.get_dummies(first[["RACE", "SEX"]], drop_first=True, dtype=float)
    return {
        "score": wide.to_numpy(),
        "visits": list(wide.columns),
        "active": (first["ARMCD"] == "TRT").to_numpy(),
        "baseline": first["FEV1_BL"].to_numpy(),
        "groups": groups.to_numpy(),
    }


def arm_design(data: dict[str, Any]) -> Any:
    """Return an intercept and the arm, the same at every visit."""
    arm = np.repeat(data["active"][:, None], 4, axis=1).astype(float)
    return np.stack([np.ones_like(arm), arm], axis=-1)


@pytest.mark.shared
def test_published_value_of_r_mmrm(shared: Path) -> None:
    """Unstructured, arm only: likelihood, estimate, standard error and df of R's mmrm."""
    data = fev(shared)
    fit = fit_repeated_measures(data["score"], arm_design(data))
    row = contrast_table(fit, {"arm": [0, 1]}, inference="kenward_roger_mmrm")
    assert round(fit.minus_two_reml, 4) == 3667.9628
    assert [round(row[name].item(), digits) for name, digits in
            [("estimate", 4), ("se", 4), ("df", 1)]] == [3.8197, 0.6510, 160.7]  # fmt: skip


@pytest.mark.shared
def test_published_value_of_sas_unstructured(shared: Path) -> None:
    """At the parameters that SAS printed its inference is met; at the maximum, .6613 for .6612.

    SAS stopped at a relative step of 1e-8: one Newton step from its parameters lies the maximum.
    """
    data = fev(shared)
    fit = fit_repeated_measures(data["score"], arm_design(data))
    here = natural_covariance("unstructured", fit.theta, fit.times)
    matrix = np.zeros((4, 4))
    matrix[np.tril_indices(4)] = SAS_UNSTRUCTURED
    printed = replace(here, value=(matrix + np.tril(matrix, -1).T)[None])
    at = restricted_likelihood(fit.tables, printed)
    weights = np.array([[0.0, 1], [1, 0]])
    estimate, se, df = contrast_inference(fit.tables, printed, at, weights, adjust=True)
    assert at.value == pytest.approx(3667.96276376, abs=2e-6)
    assert estimate.round(4).tolist() == pytest.approx([3.8197, 41.0058])
    assert se.round(4).tolist() == [0.6612, 0.4547]
    assert df.round().tolist() == [161, 162]
    step = np.linalg.solve(hessian(fit.tables, printed, at), gradient(fit.tables, printed, at))
    maximum = here.value[0][np.tril_indices(4)]
    np.testing.assert_allclose(SAS_UNSTRUCTURED - step, maximum, rtol=1e-5, atol=1e-5)
    row = contrast_table(fit, {"arm": [0, 1]})
    assert [round(row[name].item(), 4) for name in ("estimate", "se")] == [3.8197, 0.6613]
    assert round(row["df"].item()) == 161


@pytest.mark.shared
@pytest.mark.parametrize("structure", SAS)
def test_published_values_of_sas(shared: Path, structure: str) -> None:
    """Four structures meet SAS's likelihood, and its estimates to a unit of the last digit."""
    data = fev(shared)
    design = arm_design(data)
    fit = fit_repeated_measures(data["score"], design, structure=structure, times=np.arange(4))
    table = contrast_table(fit, {"arm": [0, 1], "mean": [1, 0]})
    likelihood, estimate, se, df, mean_se, mean_df = SAS[structure]
    assert fit.minus_two_reml == pytest.approx(likelihood, abs=5e-5)
    assert table["estimate"][0].item() == pytest.approx(estimate, abs=1.2e-4)
    assert table["se"].values.tolist() == pytest.approx([se, mean_se], abs=1.3e-4)
    assert table["df"].values.round().tolist() == [df, mean_df]


@pytest.mark.shared
def test_published_table_of_changes(shared: Path) -> None:
    """Change from baseline by visit prints the published REML row and residual sds."""
    data = fev(shared)
    change = xr.DataArray(
        data["score"] - data["baseline"][:, None],
        dims=("subject", "visit"),
        coords={"visit": data["visits"]},
    )
    covariates = np.column_stack([data["groups"], data["baseline"]])
    table = mmrm_analysis(change, data["active"], covariates=covariates, inference="satterthwaite")
    visits = table.sel(estimand=[f"treatment_difference[{name}]" for name in data["visits"]])
    assert visits["estimate"].values.round(3).tolist() == [3.983, 3.931, 2.984, 4.404]
    assert visits["se"].values.round(3).tolist() == [1.045, 0.814, 0.666, 1.660]
    assert table["residual_sd"].values.round(3).tolist() == [6.151, 4.853, 3.715, 9.642]
    assert table.attrs["subjects"] == 197


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("form", FORMS)
def test_covariance_derivatives_are_exact(structure: str, form: str) -> None:
    """First and second derivatives agree with differences, in both sets of parameters."""
    theta = theta_of(structure)
    here = FORMS[form](structure, theta, TIMES)
    # derivatives along the working parameters, by the chain rule from either form
    rates = _rates(structure, form, theta)
    step = 1e-5
    for number in range(len(theta)):
        shift = step * np.eye(len(theta))[number]
        high, low = (FORMS[form](structure, theta + sign * shift, TIMES) for sign in (1, -1))
        by_value = (high.value - low.value) / (2 * step)
        along = np.einsum("h,hgab->gab", rates[number], here.first)
        np.testing.assert_allclose(along, by_value, rtol=1e-7, atol=1e-6)
        by_first = (high.first - low.first) / (2 * step)
        bent = np.einsum("k,hkgab->hgab", rates[number], here.second)
        np.testing.assert_allclose(bent, by_first, rtol=1e-6, atol=1e-6)


def _rates(structure: str, form: str, theta: Any) -> Any:
    """Return derivatives of the parameters of a form in the working ones, [working, own]."""
    if form == "working":
        return np.eye(len(theta))
    working = working_covariance(structure, theta, TIMES)
    natural = natural_covariance(structure, theta, TIMES)
    # natural first derivatives span the same space: solve for the coordinates
    basis = natural.first.reshape(len(theta), -1).T
    moves = working.first.reshape(len(theta), -1).T
    return np.linalg.lstsq(basis, moves)[0].T


def dense(scores: Any, design: Any, matrix: Any) -> tuple[Any, Any, Any]:
    """Return observed scores, their design and their whole covariance matrix."""
    there = np.isfinite(scores)
    whole = np.kron(np.eye(len(scores)), matrix)[np.ix_(there.ravel(), there.ravel())]
    return scores[there], design[there], whole


def dense_criterion(scores: Any, design: Any, matrix: Any) -> float:
    """Return twice the negative restricted log likelihood from whole matrices."""
    y, x, v = dense(scores, design, matrix)
    inverse = np.linalg.inv(v)
    information = x.T @ inverse @ x
    residual = y - x @ np.linalg.solve(information, x.T @ inverse @ y)
    constant = (len(y) - x.shape[1]) * np.log(2 * np.pi)
    determinants = np.linalg.slogdet(v)[1] + np.linalg.slogdet(information)[1]
    return float(determinants + residual @ inverse @ residual + constant)


def differences(function: Any, theta: Any, step: float) -> tuple[list[Any], list[list[Any]]]:
    """Return first and second central differences."""
    unit = step * np.eye(len(theta))
    first = [(function(theta + u) - function(theta - u)) / (2 * step) for u in unit]
    second = [
        [
            (
                function(theta + u + w) - function(theta + u - w)
                - function(theta - u + w) + function(theta - u - w)
            ) / (4 * step**2)
            for w in unit
        ]
        for u in unit
    ]  # fmt: skip
    return first, second


def dense_kenward_roger(scores: Any, design: Any, function: Any, theta: Any, c: Any) -> Any:
    """Return standard error and df of a contrast as the paper of 1997 writes them."""
    _, x, v = dense(scores, design, function(theta))
    there = np.isfinite(scores).ravel()
    slopes, bends = differences(function, theta, 1e-3)

    def whole(matrix: Any) -> Any:
        return np.kron(np.eye(len(scores)), matrix)[np.ix_(there, there)]

    inverse = np.linalg.inv(v)
    phi = np.linalg.inv(x.T @ inverse @ x)
    half = [inverse @ whole(one) for one in slopes]
    p = [-x.T @ one @ inverse @ x for one in half]
    curvature = differences(lambda t: dense_criterion(scores, design, function(t)), theta, 1e-3)
    w = 2 * np.linalg.inv(np.array(curvature[1]))
    count = range(len(theta))
    middle = sum(
        w[i, j]
        * (
            x.T @ half[i] @ half[j] @ inverse @ x
            - p[i] @ phi @ p[j]
            - x.T @ inverse @ whole(bends[i][j]) @ inverse @ x / 4
        )
        for i in count
        for j in count
    )
    adjusted = phi + 2 * phi @ middle @ phi
    ratio = np.array([c @ phi @ one @ phi @ c for one in p]) / (c @ phi @ c)
    return np.sqrt(c @ adjusted @ c), 2 / (ratio @ w @ ratio)


@pytest.mark.parametrize("structure", ["unstructured", "autoregressive_heterogeneous"])
def test_inference_is_that_of_whole_matrices(structure: str) -> None:
    """Block formulas equal whole matrices and differences of the likelihood, values missing."""
    scores, active = simulated(4, subjects=20, missing=0.15)
    arm = np.repeat(active[:, None], 4, axis=1).astype(float)
    design = np.stack([np.ones_like(arm), arm, arm * TIMES], axis=-1)
    fit = fit_repeated_measures(scores, design, structure=structure, times=TIMES)
    assert fit.minus_two_reml == pytest.approx(
        dense_criterion(scores, design, fit.covariance), rel=1e-10
    )
    c = np.array([0.0, 1.0, 3.25])
    row = contrast_table(fit, {"arm": c}, inference="kenward_roger_mmrm")

    def matrix(theta: Any) -> Any:
        return working_covariance(structure, theta, TIMES).value[0]

    se, df = dense_kenward_roger(scores, design, matrix, fit.theta, c)
    assert row["se"].item() == pytest.approx(se, rel=1e-4)
    assert row["df"].item() == pytest.approx(df, rel=1e-4)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_gradient_and_hessian_of_the_likelihood(structure: str) -> None:
    """Both are those of the likelihood away from its maximum, whatever is missing."""
    scores, active = simulated(6, missing=0.2)
    arm = np.repeat(active[:, None], 4, axis=1).astype(float)
    design = np.stack([np.ones_like(arm), arm], axis=-1)
    tables = fit_repeated_measures(scores, design, structure="compound_symmetric").tables
    theta = theta_of(structure)

    def criterion(values: Any) -> float:
        return restricted_likelihood(tables, working_covariance(structure, values, TIMES)).value

    here = working_covariance(structure, theta, TIMES)
    at = restricted_likelihood(tables, here)
    slopes, bends = differences(criterion, theta, 1e-3)
    np.testing.assert_allclose(gradient(tables, here, at), slopes, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(hessian(tables, here, at), bends, rtol=1e-3, atol=1e-3)


def test_compound_symmetry_is_the_random_intercept_of_statsmodels() -> None:
    """Likelihood and estimates agree with the mixed model of another program."""
    scores, active = simulated(8, missing=0.1)
    arm = np.repeat(active[:, None], 4, axis=1).astype(float)
    design = np.stack([np.ones_like(arm), arm], axis=-1)
    fit = fit_repeated_measures(scores, design, structure="compound_symmetric")
    there = np.isfinite(scores)
    theirs = MixedLM(scores[there], design[there], groups=np.nonzero(there)[0]).fit(reml=True)
    assert fit.minus_two_reml == pytest.approx(-2 * theirs.llf, abs=1e-5)
    table = contrast_table(fit, {"mean": [1, 0], "arm": [0, 1]}, inference="satterthwaite")
    np.testing.assert_allclose(table["estimate"], theirs.params[:2], rtol=1e-4)
    np.testing.assert_allclose(table["se"], theirs.bse[:2], rtol=1e-3)


@settings(max_examples=10)
@given(seed=st.integers(0, 10_000))
def test_complete_data_are_t_tests(seed: int) -> None:
    """Without missing values each visit, and the mean of the visits, is SciPy's t test."""
    scores, active = simulated(seed, missing=0.0)
    table = mmrm_analysis(scores, active, benefit_sign=-1)
    for column, estimand in [
        (scores.mean(axis=1), "treatment_difference"),
        (scores[:, 2], "treatment_difference[3]"),
    ]:
        theirs = stats.ttest_ind(column[active], column[~active])
        row = table.sel(estimand=estimand)
        assert row["p_value"].item() == pytest.approx(theirs.pvalue, rel=1e-6)
        assert row["df"].item() == pytest.approx(len(active) - 2, rel=1e-6)
        assert row["ci_low"].item() == pytest.approx(-theirs.confidence_interval().high, abs=1e-6)


@settings(max_examples=10)
@given(seed=st.integers(0, 10_000), shift=st.floats(-1e4, 1e4), factor=st.floats(0.01, 100))
def test_analysis_is_equivariant(seed: int, shift: float, factor: float) -> None:
    """A new unit scales estimates and errors, a constant moves nothing, hours may be days."""
    scores, active = simulated(seed)
    kind: dict[str, Any] = {"structure": "autoregressive_heterogeneous"}
    before = mmrm_analysis(scores, active, times=TIMES, **kind)
    after = mmrm_analysis(factor * scores + shift, active, times=TIMES, **kind)
    np.testing.assert_allclose(
        after["estimate"], factor * before["estimate"], rtol=1e-4, atol=1e-4 * factor
    )
    np.testing.assert_allclose(after["se"], factor * before["se"], rtol=1e-4)
    np.testing.assert_allclose(after["df"], before["df"], rtol=1e-3)


def test_unit_of_time_does_not_matter() -> None:
    """Hours instead of days change the parameters, not estimates or degrees of freedom."""
    scores, active = simulated(5)
    days, hours = (
        mmrm_analysis(
            scores, active, structure="autoregressive", times=TIMES * unit,
            inference="satterthwaite",
        )
        for unit in (1.0, 24.0)
    )  # fmt: skip
    np.testing.assert_allclose(days["correlation"], hours["correlation"], rtol=1e-5)
    np.testing.assert_allclose(days["df"], hours["df"], rtol=1e-4)


@pytest.mark.parametrize("seed", [1, 2])
def test_constrained_baseline_of_complete_data_is_covariance_adjustment(seed: int) -> None:
    """Estimates equal those with the baseline as covariate at each visit, whatever the arms had."""
    scores, active = simulated(seed, missing=0.0)
    joint = clda_analysis(scores[:, 1:], scores[:, 0], active, benefit_sign=-1)
    given = mmrm_analysis(scores[:, 1:], active, covariates_by_visit=scores[:, 0], benefit_sign=-1)
    np.testing.assert_allclose(joint["estimate"], given["estimate"], rtol=1e-6)
    np.testing.assert_allclose(joint["se"], given["se"], rtol=0.1)
    assert joint["visit"].values.tolist() == ["baseline", "1", "2", "3"]
    assert joint.attrs["method"].startswith("Constrained baseline")


def test_constrained_baseline_keeps_everybody() -> None:
    """Subjects without a baseline, and with nothing but one, stay; shapes are checked."""
    scores, active = simulated(7, missing=0.0)
    scores[3, 0] = scores[5, 1:] = np.nan
    table = clda_analysis(
        scores[:, 1:], scores[:, 0], active,
        structure="autoregressive_heterogeneous", times=[0.0, 1.0, 2.0, 6.0],
    )  # fmt: skip
    assert table.attrs["subjects"] == 41
    assert table.attrs["observations"] == 160
    with pytest.raises(SpecError, match="there are 41 subjects"):
        clda_analysis(scores[:, 1:], scores[1:, 0], active)


def test_intervals_cover() -> None:
    """95% intervals of 150 trials of 20 with 15% missing cover; those without adjustment less."""
    hits = {"kenward_roger": 0, "satterthwaite": 0}
    fitted = 0
    for seed in range(150):
        scores, active = simulated(seed + 100, subjects=20, missing=0.15)
        visit = np.broadcast_to(np.eye(4), (20, 4, 4))
        design = np.concatenate([visit * -active[:, None, None].astype(float), visit], axis=2)
        fit = fit_repeated_measures(scores, design)
        fitted += 1
        for name in hits:
            mean = {"mean": np.repeat([0.25, 0], 4)}
            row = contrast_table(fit, mean, inference=name)
            hits[name] += bool((row["ci_low"] < 5) & (row["ci_high"] > 5))
    assert 0.92 < hits["kenward_roger"] / fitted < 0.99
    assert hits["satterthwaite"] <= hits["kenward_roger"]


def test_a_singular_covariance_is_refused() -> None:
    """Where visits become collinear the likelihood has no maximum inside, and that is said."""
    scores, active = simulated(380, subjects=20, missing=0.15)
    with pytest.raises(EvidenceError, match="no maximum inside"):
        mmrm_analysis(scores, active)
    assert mmrm_analysis(scores, active, structure="compound_symmetric")["df"][0].item() > 10


def test_covariates_and_labels() -> None:
    """A covariate that explains scores narrows the interval, and visits keep their names."""
    scores, active = simulated(11, missing=0.0)
    covariate = scores.mean(axis=1) + np.random.default_rng(1).normal(0, 3, len(active))
    labelled = xr.DataArray(
        scores, dims=("subject", "visit"), coords={"visit": ["24h", "48h", "72h", "7d"]}
    )
    plain = mmrm_analysis(labelled, active)
    adjusted = mmrm_analysis(labelled, active, covariates=covariate)
    varying = mmrm_analysis(labelled, active, covariates_by_visit=covariate)
    assert str(plain["estimand"].values[-1]) == "treatment_difference[7d]"
    assert adjusted["se"][0].item() < 0.6 * plain["se"][0].item()
    assert varying["residual_sd"].sel(visit="7d").item() < adjusted["residual_sd"][-1].item()


def test_what_cannot_be_analyzed_is_refused() -> None:
    """Wrong names and shapes, missing covariates, empty arms and too few subjects are named."""
    scores, active = simulated(2)
    with pytest.raises(SpecError, match="did you mean 'unstructured'"):
        mmrm_analysis(scores, active, structure="unstructurd")
    with pytest.raises(SpecError, match="needs the times"):
        mmrm_analysis(scores, active, structure="autoregressive")
    with pytest.raises(SpecError, match="increasing times"):
        mmrm_analysis(scores, active, times=[1, 1, 2, 3])
    with pytest.raises(SpecError, match="did you mean 'kenward_roger'"):
        mmrm_analysis(scores, active, inference="kenward-roger")
    with pytest.raises(SpecError, match="active has shape"):
        mmrm_analysis(scores, active[:-1])
    with pytest.raises(SpecError, match="needs dims"):
        mmrm_analysis(scores[:, 0], active)
    with pytest.raises(EvidenceError, match="covariate is missing"):
        mmrm_analysis(scores, active, covariates=np.full(len(active), np.nan))
    with pytest.raises(EvidenceError, match="do not determine"):
        mmrm_analysis(scores, np.ones(len(active), dtype=bool))
    with pytest.raises(EvidenceError, match="too few subjects"):
        mmrm_analysis(scores[:5, :], active[:5])
    with pytest.raises(EvidenceError, match="do not vary"):
        mmrm_analysis(np.ones((12, 3)), np.arange(12) < 6)
    fit = fit_repeated_measures(scores, np.ones((*scores.shape, 1)))
    with pytest.raises(SpecError, match="each needs 1 weights"):
        contrast_table(fit, {"arm": [0, 1]})


def test_negative_correlation_has_no_autoregressive_answer() -> None:
    """Alternating scores put the correlation at its boundary: refused, not approximated."""
    rng = np.random.default_rng(4)
    scores = rng.normal(0, 1, (30, 1)) * np.array([1.0, -1, 1, -1]) + rng.normal(0, 0.5, (30, 4))
    with pytest.raises(EvidenceError, match="boundary"):
        mmrm_analysis(scores, np.arange(30) < 15, structure="autoregressive", times=TIMES)
    symmetric = mmrm_analysis(scores, np.arange(30) < 15, structure="compound_symmetric")
    assert symmetric["correlation"][0, 1].item() < 0


def test_a_matrix_that_is_not_positive_definite_is_left_to_the_caller() -> None:
    """The likelihood raises where it is not defined; the search treats that as infinitely bad."""
    scores, _ = simulated(3)
    fit = fit_repeated_measures(scores, np.ones((*scores.shape, 1)))
    bad = Covariance(-np.eye(4)[None], np.zeros((1, 1, 4, 4)), np.zeros((1, 1, 1, 4, 4)))
    with pytest.raises(np.linalg.LinAlgError):
        restricted_likelihood(fit.tables, bad)
