"""Cumulative-link models against published values, numerical integration and other programs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, optimize, stats
from statsmodels.miscmodels.ordinal_model import OrderedModel

from bayes_ptsd.errors import EvidenceError, SpecError
from bayes_ptsd.frequentist import ordinal_analysis
from bayes_ptsd.frequentist.cumulative import (
    CategoryData,
    evaluate,
    infinite_coefficients,
    maximize_likelihood,
)
from bayes_ptsd.frequentist.ordinal import responses

LAWS = {"logit": stats.logistic, "probit": stats.norm}


def eia(shared: Path, column: str = "score4") -> tuple[Any, Any]:
    """Return categories and active treatment of the public ordinal crossover."""
    rows = pd.read_csv(shared / "data" / "senn_eia_ordinal.csv")
    wide = rows.pivot(index="subject", columns="period", values=[column, "treatment"])
    return wide[column].to_numpy(dtype=float), (wide["treatment"] == "F").to_numpy()


def simulated(seed: int, *, subjects: int = 60, sd: float = 1.5) -> tuple[Any, Any]:
    """Return a crossover of five categories: log odds ratio 1.2, period .4, some missing."""
    rng = np.random.default_rng(seed)
    active = np.array([[True, False], [False, True]] * (subjects // 2))
    latent = 1.2 * active + [0.0, 0.4] + rng.normal(0, sd, (subjects, 1))
    latent = latent + rng.logistic(size=latent.shape)
    category = np.digitize(latent, [-2.0, -0.5, 0.8, 2.5]).astype(float)
    category[3, 1] = category[8, 0] = np.nan
    return category, active


def mixed_data(seed: int, link: str, points: int = 15) -> CategoryData:
    """Return arranged categories with a quadrature."""
    category, active = simulated(seed)
    found = responses(category, active, None, link=link, benefit_sign=1)
    return replace(found.data, points=points)


THETA = np.array([-2.2, -0.4, 0.9, 2.6, 1.1, 0.3, 1.7])


@pytest.mark.shared
def test_published_values_of_the_mixed_model(shared: Path) -> None:
    """Adaptive quadrature prints the reference: 4.187 (1.575), period -1.432, sd 1.274."""
    table = ordinal_analysis(*eia(shared), profile=False)
    row = table.sel(estimand="log_odds_ratio")
    assert [round(row[name].item(), 3) for name in ("estimate", "se")] == [4.187, 1.575]
    assert round(table["estimate"].sel(estimand="period_effect").item(), 3) == -1.432
    assert round(table.attrs["sd_subject"], 3) == 1.274
    assert table.attrs["boundary"] == 0
    assert table.attrs["quadrature_error"] < 1e-6


@pytest.mark.shared
def test_published_values_without_subject_effects(shared: Path) -> None:
    """The plain cumulative logit model prints the reference: 3.362 (.890)."""
    table = ordinal_analysis(*eia(shared), subject_effects=False, profile=False)
    row = table.sel(estimand="log_odds_ratio")
    assert [round(row[name].item(), 3) for name in ("estimate", "se")] == [3.362, 0.890]


@pytest.mark.shared
def test_one_node_is_the_published_laplace_approximation(shared: Path) -> None:
    """The likelihood with one node has its maximum where Laplace's has: 3.822, sd .910."""
    category, active = eia(shared)
    found = responses(category, active, None, link="logit", benefit_sign=1)
    data = replace(found.data, points=1)
    best = optimize.minimize(
        lambda theta: -evaluate(data, theta).value,
        [-2.5, -1.5, 0.3, 3.8, -1.3, 1.0],
        method="Nelder-Mead",
        options={"xatol": 1e-6, "fatol": 1e-9, "maxiter": 4000},
    )
    assert best.x[3] == pytest.approx(3.822, abs=5e-4)
    assert best.x[5] == pytest.approx(0.910, abs=5e-4)


@pytest.mark.parametrize("link", LAWS)
def test_likelihood_is_the_integral(link: str) -> None:
    """At one point the quadrature equals SciPy's adaptive integration, subject by subject."""
    data = mixed_data(4, link)
    law = LAWS[link]
    cuts = np.concatenate([[-np.inf], THETA[:4], [np.inf]])
    total = 0.0
    for category, design in zip(data.category, data.design, strict=True):
        seen = category >= 0

        def integrand(u: float, codes: Any = category[seen], x: Any = design[seen]) -> float:
            shift = x @ THETA[4:6] + THETA[6] * u
            chance = law.cdf(cuts[codes + 1] - shift) - law.cdf(cuts[codes] - shift)
            return float(np.prod(chance) * stats.norm.pdf(u))

        total += np.log(integrate.quad(integrand, -9, 9, epsabs=1e-13, limit=200)[0])
    assert evaluate(replace(data, points=31), THETA).value == pytest.approx(total, abs=1e-7)
    assert evaluate(data, THETA).value == pytest.approx(total, abs=1e-4)


@pytest.mark.parametrize("link", LAWS)
@pytest.mark.parametrize("points", [0, 31])
def test_derivatives_are_exact(link: str, points: int) -> None:
    """Gradient and Hessian agree with differences, with and without subject effects."""
    data = mixed_data(5, link, points)
    theta = THETA[: data.size]
    at = evaluate(data, theta)
    step = 1e-5
    for number, unit in enumerate(step * np.eye(data.size)):
        high, low = evaluate(data, theta + unit), evaluate(data, theta - unit)
        slope = (high.value - low.value) / (2 * step)
        assert at.gradient[number] == pytest.approx(slope, rel=1e-5, abs=1e-5)
        bend = (high.gradient - low.gradient) / (2 * step)
        np.testing.assert_allclose(at.hessian[number], bend, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("link", LAWS)
def test_plain_model_is_that_of_statsmodels(link: str) -> None:
    """One period with a covariate: estimates and standard errors of another program."""
    category, active = simulated(7)
    covariate = np.random.default_rng(1).normal(30, 5, len(category))
    first = np.isfinite(category[:, 0])
    table = ordinal_analysis(
        category[:, 0], active[:, 0], covariates=covariate, link=link, profile=False
    )
    design = np.column_stack([active[first, 0], covariate[first] - covariate[first].mean()])
    theirs = OrderedModel(category[first, 0].astype(int), design.astype(float), distr=link).fit(
        method="bfgs", disp=0, gtol=1e-8
    )
    assert table["estimate"].item() == pytest.approx(theirs.params[0], rel=1e-4)
    assert table["se"].item() == pytest.approx(theirs.bse[0], rel=1e-3)
    assert table.attrs["log_likelihood"] == pytest.approx(theirs.llf, abs=1e-6)
    assert table.attrs["subjects"] == 59


def test_known_truth_is_recovered() -> None:
    """A large trial gives back log odds ratio, period effect, sd and cutpoints."""
    table = ordinal_analysis(*simulated(1, subjects=3000), profile=False)
    assert abs(table["estimate"][0].item() - 1.2) < 3 * table["se"][0].item()
    assert abs(table["estimate"][1].item() - 0.4) < 3 * table["se"][1].item()
    assert table.attrs["sd_subject"] == pytest.approx(1.5, abs=0.15)
    np.testing.assert_allclose(table["cutpoint"], [-2.0, -0.5, 0.8, 2.5], atol=0.2)


def test_profile_limits_cut_the_likelihood_at_the_chi_squared_quantile() -> None:
    """At both limits twice the loss of log likelihood is 3.84, and the P value is that of zero."""
    category, active = simulated(9)
    table = ordinal_analysis(category, active).sel(estimand="log_odds_ratio")
    found = responses(category, active, None, link="logit", benefit_sign=1)
    data = replace(found.data, points=15)

    def loss(value: float) -> float:
        held = maximize_likelihood(data, THETA, fixed={4: value})[1].value
        return 2 * (table.attrs["log_likelihood"] - held)

    for limit in ("profile_low", "profile_high"):
        assert loss(table[limit].item()) == pytest.approx(stats.chi2.ppf(0.95, 1), abs=1e-4)
    assert table["lr_p_value"].item() == pytest.approx(stats.chi2.sf(loss(0.0), 1), rel=1e-4)


def test_labels_order_and_sign() -> None:
    """Only the order of categories counts, and lower-better flips the treatment alone."""
    category, active = simulated(3)
    plain = ordinal_analysis(category, active, profile=False)
    spaced = ordinal_analysis(category**3 + 7, active, profile=False)
    flipped = ordinal_analysis(category, active, benefit_sign=-1, profile=False)
    np.testing.assert_allclose(spaced["estimate"], plain["estimate"], rtol=1e-9)
    np.testing.assert_allclose(flipped["estimate"], plain["estimate"] * [-1, 1], rtol=1e-6)
    mirrored = ordinal_analysis(-category, active, profile=False)
    np.testing.assert_allclose(mirrored["estimate"], -plain["estimate"], rtol=1e-6)


def test_a_subject_sd_of_zero_is_named() -> None:
    """With negatively correlated periods the sd is zero, errors those without subject effects."""
    rng = np.random.default_rng(2)
    active = np.array([[True, False], [False, True]] * 30)
    latent = 1.2 * active + rng.normal(0, 1.5, (60, 1)) * [1.0, -1.0] + rng.logistic(size=(60, 2))
    category = np.digitize(latent, [-1.0, 0.5, 2.0])
    mixed = ordinal_analysis(category, active, profile=False)
    assert mixed.attrs["boundary"] == 1
    assert mixed.attrs["sd_subject"] == 0
    assert "boundary" in mixed.attrs["note"]
    plain = ordinal_analysis(category, active, subject_effects=False, profile=False)
    for name in ("estimate", "se"):
        np.testing.assert_allclose(mixed[name], plain[name], rtol=1e-5)


def test_separation_is_refused_by_name() -> None:
    """Complete and partial separation are seen, named with the direction; overlap is not."""
    with pytest.raises(EvidenceError, match=r"separated.*log_odds_ratio \+infinity"):
        ordinal_analysis([1, 1, 2, 2, 3], [0, 0, 1, 1, 1])
    with pytest.raises(EvidenceError, match="log_odds_ratio -infinity"):
        ordinal_analysis([3, 2, 3, 2, 1, 1, 2], [0, 0, 0, 0, 1, 1, 1])
    with pytest.raises(EvidenceError, match="covariate 1"):
        ordinal_analysis([1, 2, 1, 2], [0, 0, 1, 1], covariates=[1.0, 5, 2, 6])
    category, active = simulated(1)
    found = responses(category, active, None, link="logit", benefit_sign=1)
    assert infinite_coefficients(found.data) == []


def test_what_cannot_be_analyzed_is_refused() -> None:
    """Links, dims, points, empty arms and single categories have their message."""
    category, active = simulated(1)
    with pytest.raises(SpecError, match="did you mean 'logit'"):
        ordinal_analysis(category, active, link="logi")
    with pytest.raises(SpecError, match="points is 3"):
        ordinal_analysis(category, active, points=3)
    with pytest.raises(SpecError, match="both need dims"):
        ordinal_analysis(category, active[:, 0])
    with pytest.raises(EvidenceError, match="one category"):
        ordinal_analysis(np.ones(8), np.arange(8) < 4)
    with pytest.raises(EvidenceError, match="do not determine"):
        ordinal_analysis(category[:, 0], np.ones(len(category)))
    with pytest.raises(EvidenceError, match="two periods"):
        ordinal_analysis(category[:, 0], active[:, 0], subject_effects=True)
    with pytest.raises(EvidenceError, match="covariate is missing"):
        ordinal_analysis(category, active, covariates=np.where(np.arange(60) < 5, np.nan, 1.0))


def test_nodes_are_added_until_the_quadrature_is_exact() -> None:
    """Five nodes are too few for strongly correlated periods: more are taken, and said."""
    category, active = simulated(1, sd=3.0)
    begun, enough = (
        ordinal_analysis(category, active, points=points, profile=False) for points in (5, 41)
    )
    assert begun.attrs["points"] > 5
    assert begun.attrs["quadrature_error"] < 1e-4
    assert begun.attrs["sd_subject"] == pytest.approx(enough.attrs["sd_subject"], rel=1e-3)
    np.testing.assert_allclose(begun["estimate"], enough["estimate"], rtol=1e-3)


def test_an_infinite_sd_between_subjects_is_refused() -> None:
    """Where periods agree too well the likelihood rises with the sd for ever, and that is said."""
    pairs = [(1, 1), (0, 0), (1, 1), (1, 1), (1, 0), (0, 1), (0, 0), (1, 1), (1, 0)]
    first = np.isin(np.arange(9), [1, 4, 8])
    active = np.column_stack([first, ~first])
    with pytest.raises(EvidenceError, match="keeps rising"):
        ordinal_analysis(np.array(pairs), active, profile=False)
    found = responses(np.array(pairs), active, None, link="logit", benefit_sign=1)
    data = replace(found.data, points=151)
    rising = [
        maximize_likelihood(data, np.array([0.0, 2, 0, sd]), fixed={3: sd})[1].value
        for sd in (1.0, 3.0, 8.0)
    ]
    assert (np.diff(rising) > 0.1).all()
    plain = ordinal_analysis(np.array(pairs), active, subject_effects=False, profile=False)
    assert np.isfinite(plain["se"]).all()
