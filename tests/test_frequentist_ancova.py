"""The analysis of covariance against least squares, Welch's test and whole matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from bayes_ptsd.errors import EvidenceError, SpecError
from bayes_ptsd.evidence.pairs import CrossoverPairs
from bayes_ptsd.frequentist import ancova_analysis, first_period


def simulated(seed: int, *, subjects: int = 41) -> tuple[Any, Any, Any]:
    """Return scores with a true difference of -6 and unequal spread, arms and two covariates."""
    rng = np.random.default_rng(seed)
    active = np.arange(subjects) % 3 > 0
    covariates = rng.normal(0, 10, (subjects, 2)) + 40
    noise = rng.normal(0, np.where(active, 5.0, 11.0))
    scores = covariates @ [0.5, 0.2] - 6.0 * active + noise
    return scores, active, covariates


@settings(max_examples=10)
@given(seed=st.integers(0, 10_000))
def test_without_covariates_it_is_a_t_test(seed: int) -> None:
    """One variance is Student's test and two are Welch's, as SciPy computes them."""
    scores, active, _ = simulated(seed)
    for equal in (True, False):
        ours = ancova_analysis(scores, active, equal_variances=equal, benefit_sign=-1)
        theirs = stats.ttest_ind(scores[active], scores[~active], equal_var=equal)
        assert ours["p_value"].item() == pytest.approx(theirs.pvalue, rel=1e-6)
        assert ours["df"].item() == pytest.approx(theirs.df, rel=1e-6)
        interval = theirs.confidence_interval(0.95)
        assert ours["ci_low"].item() == pytest.approx(-interval.high, rel=1e-6)


def test_one_variance_is_least_squares() -> None:
    """Estimate, standard error and P value are those of statsmodels, with two covariates."""
    scores, active, covariates = simulated(3)
    design = np.column_stack([active, np.ones(len(active)), covariates]).astype(float)
    theirs = sm.OLS(scores, design).fit()
    ours = ancova_analysis(scores, active, covariates=covariates)
    assert ours["estimate"].item() == pytest.approx(theirs.params[0], rel=1e-9)
    assert ours["se"].item() == pytest.approx(theirs.bse[0], rel=1e-9)
    assert ours["p_value"].item() == pytest.approx(theirs.pvalues[0], rel=1e-7)
    assert ours.attrs["sd_active"] == pytest.approx(np.sqrt(theirs.mse_resid), rel=1e-9)


def test_own_slopes_are_the_difference_at_the_mean_covariates() -> None:
    """With an interaction the difference is that at the means, and its slope comes with it."""
    scores, active, covariates = simulated(5)
    centered = covariates[:, 0] - covariates[:, 0].mean()
    design = np.column_stack([active, active * centered, np.ones(len(active)), centered])
    theirs = sm.OLS(scores, design.astype(float)).fit()
    ours = ancova_analysis(scores, active, covariates=covariates[:, 0], interaction=True)
    assert ours["estimand"].values.tolist() == ["treatment_difference", "interaction[1]"]
    np.testing.assert_allclose(ours["estimate"], theirs.params[:2], rtol=1e-9)
    np.testing.assert_allclose(ours["se"], theirs.bse[:2], rtol=1e-9)


def test_two_variances_maximize_the_restricted_likelihood() -> None:
    """Variances and estimate agree with a general optimizer on whole matrices."""
    scores, active, covariates = simulated(7)
    design = np.column_stack([active, np.ones(len(active)), covariates]).astype(float)

    def parts(logs: Any) -> tuple[float, Any, Any]:
        weight = np.exp(-np.where(active, logs[1], logs[0]))
        information = design.T @ (weight[:, None] * design)
        beta = np.linalg.solve(information, design.T @ (weight * scores))
        residual = scores - design @ beta
        value = -np.log(weight).sum() + np.linalg.slogdet(information)[1]
        return float(value + weight @ residual**2), beta, information

    exact = {"xatol": 1e-9, "fatol": 1e-12}
    best = optimize.minimize(
        lambda logs: parts(logs)[0], [4.0, 3.0], method="Nelder-Mead", options=exact
    )
    ours = ancova_analysis(
        scores, active, covariates=covariates, equal_variances=False, inference="satterthwaite"
    )
    sds = np.exp(best.x / 2)
    assert [ours.attrs["sd_control"], ours.attrs["sd_active"]] == pytest.approx(sds, rel=1e-6)
    _, beta, information = parts(best.x)
    assert ours["estimate"].item() == pytest.approx(beta[0], rel=1e-6)
    assert ours["se"].item() == pytest.approx(np.sqrt(np.linalg.inv(information)[0, 0]), rel=1e-6)
    adjusted = ancova_analysis(scores, active, covariates=covariates, equal_variances=False)
    assert adjusted["se"].item() > ours["se"].item()
    assert adjusted["df"].item() == ours["df"].item()


def test_it_is_the_first_period_of_a_crossover() -> None:
    """First-period scores give what the crossover's own first-period analysis gives."""
    scores, active, covariates = simulated(9)
    scores[4] = np.nan
    pairs = CrossoverPairs(
        np.column_stack([scores, np.roll(scores, 1)]),
        active,
        np.arange(len(scores)),
        covariates[:, 0],
    )
    theirs = first_period(pairs, benefit_sign=-1, adjusted=True)
    ours = ancova_analysis(scores, active, covariates=covariates[:, 0], benefit_sign=-1)
    assert ours.attrs["subjects"] == 40
    for name in ("estimate", "se", "df", "ci_low", "p_value"):
        assert ours[name].item() == pytest.approx(theirs[name].item(), rel=1e-9)


def test_what_cannot_be_analyzed_is_refused() -> None:
    """Shapes, names, missing covariates, empty arms and arms that do not vary have a message."""
    scores, active, covariates = simulated(1)
    with pytest.raises(SpecError, match="did you mean 'satterthwaite'"):
        ancova_analysis(scores, active, inference="satterthwait")
    with pytest.raises(SpecError, match="have shapes"):
        ancova_analysis(scores, active[1:])
    with pytest.raises(SpecError, match="there are 41 subjects"):
        ancova_analysis(scores, active, covariates=covariates[1:])
    with pytest.raises(SpecError, match="needs covariates"):
        ancova_analysis(scores, active, interaction=True)
    with pytest.raises(EvidenceError, match="covariate is missing"):
        ancova_analysis(scores, active, covariates=np.full(41, np.nan))
    with pytest.raises(EvidenceError, match="do not determine"):
        ancova_analysis(scores, np.ones(41, dtype=bool))
    flat = np.where(active, 3.0, scores)
    with pytest.raises(EvidenceError, match="do not vary"):
        ancova_analysis(flat, active, equal_variances=False)
