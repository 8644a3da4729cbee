"""Binary analyses against published values, explicit matrices and other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import optimize, stats

from bayes_ptsd.errors import EvidenceError, SpecError
from bayes_ptsd.frequentist import gee_analysis, logistic_analysis, two_risks


def eia(shared: Path) -> tuple[Any, Any]:
    """Return responses and active treatment of the public binary crossover."""
    rows = pd.read_csv(shared / "data" / "senn_eia_ordinal.csv")
    wide = rows.pivot(index="subject", columns="period", values=["score2", "treatment"])
    return wide["score2"].to_numpy(dtype=float), (wide["treatment"] == "F").to_numpy()


def simulated(seed: int, *, subjects: int = 40, sd: float = 1.2) -> tuple[Any, Any]:
    """Return a binary crossover with correlated periods and two missing responses."""
    rng = np.random.default_rng(seed)
    active = np.array([[True, False], [False, True]] * (subjects // 2))
    logit = -0.5 + 1.0 * active + rng.normal(0, sd, (subjects, 1))
    response = (rng.random(active.shape) < 1 / (1 + np.exp(-logit))).astype(float)
    response[2, 1] = response[5, 0] = np.nan
    return response, active


@pytest.mark.shared
def test_published_values_of_the_estimating_equations(shared: Path) -> None:
    """Exchangeable correlation with the plain sandwich prints 3.294 (.952), period -1.182."""
    table = gee_analysis(*eia(shared), correction="none")
    row = table.sel(estimand="log_odds_ratio")
    assert [round(row[name].item(), 3) for name in ("estimate", "se")] == [3.294, 0.952]
    assert round(table["estimate"].sel(estimand="period_effect").item(), 3) == -1.182


@pytest.mark.shared
def test_published_values_of_the_mixed_model(shared: Path) -> None:
    """The subject sd is zero and the estimate 3.288 (.911)."""
    table = logistic_analysis(*eia(shared), profile=False)
    row = table.sel(estimand="log_odds_ratio")
    assert [round(row[name].item(), 3) for name in ("estimate", "se")] == [3.288, 0.911]
    assert table.attrs["sd_subject"] == 0
    assert table.attrs["boundary"] == 1


def explicit_equations(response: Any, active: Any) -> dict[str, Any]:
    """Solve the equations and correct their covariance with one matrix a subject."""
    rows = [np.flatnonzero(np.isfinite(one)) for one in response]
    blocks = [
        (
            response[s, there],
            np.column_stack([active[s, there], there == 1, np.ones(len(there))]).astype(float),
        )
        for s, there in enumerate(rows)
    ]
    beta, rho = np.zeros(3), 0.0
    for _ in range(500):
        standardized = []
        for y, x in blocks:
            mean = 1 / (1 + np.exp(-x @ beta))
            standardized.append((y - mean) / np.sqrt(mean * (1 - mean)))
        scale = np.mean(np.concatenate(standardized) ** 2)
        rho = np.mean([r[0] * r[1] for r in standardized if len(r) == 2]) / scale
        pieces = [_piece(y, x, beta, rho) for y, x in blocks]
        information = sum(d.T @ inverse @ d for d, inverse, _ in pieces)
        score = sum(d.T @ inverse @ e for d, inverse, e in pieces)
        step = np.linalg.solve(information, score)
        beta = beta + step
        if np.abs(step).max() < 1e-12:
            break
    bread = np.linalg.inv(information)
    meats = {"none": np.zeros((3, 3)), "mancl_derouen": np.zeros((3, 3))}
    for d, inverse, e in pieces:
        leverage = d @ bread @ d.T @ inverse
        corrected = np.linalg.solve(np.eye(len(e)) - leverage, e)
        for name, residual in (("none", e), ("mancl_derouen", corrected)):
            u = d.T @ inverse @ residual
            meats[name] += np.outer(u, u)
    se = {name: np.sqrt(np.diag(bread @ meat @ bread)) for name, meat in meats.items()}
    return {"beta": beta, "rho": rho, "se": se}


def _piece(y: Any, x: Any, beta: Any, rho: float) -> tuple[Any, Any, Any]:
    """Return derivative of the mean, inverse working covariance and residual of a subject."""
    mean = 1 / (1 + np.exp(-x @ beta))
    sd = np.sqrt(mean * (1 - mean))
    working = (rho + (1 - rho) * np.eye(len(y))) * np.outer(sd, sd)
    return x * (sd**2)[:, None], np.linalg.inv(working), y - mean


@pytest.mark.parametrize("correction", ["none", "mancl_derouen"])
@pytest.mark.parametrize("seed", [1, 2])
def test_estimating_equations_are_the_textbook_matrices(seed: int, correction: str) -> None:
    """Estimates, correlation and both covariances agree, with single periods."""
    response, active = simulated(seed)
    expected = explicit_equations(response, active)
    table = gee_analysis(response, active, correction=correction)
    np.testing.assert_allclose(table["estimate"], expected["beta"][:2], rtol=1e-5)
    np.testing.assert_allclose(table["se"], expected["se"][correction][:2], rtol=1e-5)
    assert table.attrs["correlation"] == pytest.approx(expected["rho"], rel=1e-4)
    assert table["df"][0].item() == (37 if correction == "mancl_derouen" else np.inf)


def test_independence_is_logistic_regression() -> None:
    """With working independence the estimates are those of the ordinary likelihood."""
    response, active = simulated(3)
    table = gee_analysis(response, active, correlation="independence")
    there = np.isfinite(response)
    period = np.broadcast_to([0.0, 1.0], response.shape)
    design = np.column_stack([active[there], period[there], np.ones(there.sum())])
    theirs = sm.Logit(response[there], design.astype(float)).fit(disp=0)
    np.testing.assert_allclose(table["estimate"], theirs.params[:2], rtol=1e-5)
    plain = logistic_analysis(response, active, subject_effects=False, profile=False)
    np.testing.assert_allclose(plain["estimate"], theirs.params[:2], rtol=1e-6)
    np.testing.assert_allclose(plain["se"], theirs.bse[:2], rtol=1e-6)
    assert plain.attrs["log_likelihood"] == pytest.approx(theirs.llf, rel=1e-9)


def test_corrected_intervals_cover_where_plain_ones_do_not() -> None:
    """In 60 trials of 20 the corrected 95% intervals cover the marginal truth more often."""
    hits = {"mancl_derouen": 0, "none": 0}
    fitted = 0
    for seed in range(60):
        response, active = simulated(seed, subjects=20, sd=0.0)
        try:
            tables = {name: gee_analysis(response, active, correction=name) for name in hits}
        except EvidenceError:
            continue
        fitted += 1
        for name, table in tables.items():
            row = table.sel(estimand="log_odds_ratio")
            hits[name] += bool((row["ci_low"] < 1) & (row["ci_high"] > 1))
    assert fitted > 54
    assert 0.9 < hits["mancl_derouen"] / fitted < 0.99
    assert hits["none"] < hits["mancl_derouen"]


def test_mixed_model_recovers_known_truth() -> None:
    """A large crossover gives back the log odds ratio given the subject, and the sd."""
    table = logistic_analysis(*simulated(4, subjects=2000), profile=False)
    assert abs(table["estimate"][0].item() - 1.0) < 3 * table["se"][0].item()
    assert table.attrs["sd_subject"] == pytest.approx(1.2, abs=0.2)


def test_conditional_odds_ratio_and_fisher() -> None:
    """Limits solve the noncentral hypergeometric tails, and P values are Fisher's."""
    response = np.repeat([1, 0, 1, 0], [7, 15, 1, 18])
    row = two_risks(response, np.arange(41) < 22).sel(estimand="conditional_log_odds_ratio")
    assert row["p_value"].item() == pytest.approx(
        stats.fisher_exact([[7, 15], [1, 18]]).pvalue, rel=1e-12
    )

    def tail(log_ratio: float) -> float:
        law = stats.nchypergeom_fisher(41, 8, 22, np.exp(log_ratio))
        return float(law.sf(6) - 0.025)

    assert row["ci_low"].item() == pytest.approx(optimize.brentq(tail, -3, 3), abs=1e-5)


def test_published_interval_of_a_risk_difference() -> None:
    """Newcombe's example 56/70 against 48/80 prints .2000 (.0524 to .3339)."""
    response = np.repeat([1, 0, 1, 0], [56, 14, 48, 32])
    row = two_risks(response, np.arange(150) < 70).sel(estimand="risk_difference")
    found = [row[name].item() for name in ("estimate", "ci_low", "ci_high")]
    assert np.round(found, 4).tolist() == [0.2, 0.0524, 0.3339]


def test_wald_is_logistic_regression_and_signs_turn() -> None:
    """The Wald row is the likelihood's, and with 1 being worse every row changes its sign."""
    response = np.repeat([1, 0, 1, 0], [9, 13, 4, 15])
    active = np.arange(41) < 22
    better, worse = (two_risks(response, active, benefit_sign=sign) for sign in (1, -1))
    theirs = logistic_analysis(response, active, profile=False)
    wald = better.sel(estimand="log_odds_ratio")
    for name in ("estimate", "se", "ci_low", "ci_high", "p_value"):
        assert wald[name].item() == pytest.approx(theirs[name].item(), rel=1e-6)
    np.testing.assert_allclose(worse["estimate"], -better["estimate"])
    np.testing.assert_allclose(worse["ci_low"], -better["ci_high"])
    np.testing.assert_allclose(worse["p_value"], better["p_value"])


def test_an_empty_cell_has_no_wald_interval() -> None:
    """With no response in an arm the exact limits remain, the Wald row is NaN, and that is said."""
    table = two_risks(np.repeat([1, 0, 0], [5, 14, 19]), np.arange(38) < 19)
    assert np.isnan(table["estimate"].sel(estimand="log_odds_ratio"))
    exact = table.sel(estimand="conditional_log_odds_ratio")
    assert np.isinf(exact["estimate"])
    assert np.isfinite(exact["ci_low"])
    assert "cell of the table is zero" in table.attrs["note"]
    nobody = two_risks(np.zeros(10), np.arange(10) < 5)
    assert nobody["p_value"].sel(estimand="conditional_log_odds_ratio").item() == 1


def test_what_cannot_be_analyzed_is_refused() -> None:
    """Codes other than 0 and 1, empty arms, separation and unknown choices have their message."""
    response, active = simulated(1)
    with pytest.raises(EvidenceError, match="found 2"):
        gee_analysis(response + 1, active)
    with pytest.raises(SpecError, match="did you mean 'exchangeable'"):
        gee_analysis(response, active, correlation="exchangable")
    with pytest.raises(SpecError, match="no choice 'kauermann'"):
        gee_analysis(response, active, correction="kauermann")
    with pytest.raises(EvidenceError, match=r"log_odds_ratio \+infinity"):
        gee_analysis(active.astype(float), active)
    with pytest.raises(EvidenceError, match=r"log_odds_ratio \+infinity"):
        logistic_analysis([0, 0, 0, 1, 1, 0], [0, 0, 0, 1, 1, 1])
    with pytest.raises(EvidenceError, match="an arm has no subject"):
        two_risks([0, 1, 1], [True, True, True])
    with pytest.raises(SpecError, match="have shapes"):
        two_risks([0, 1, 1], [True, True])
