"""Builders: each structure's PyMC model has the parameters of its equation and observes scores."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from scipy import stats

from bayes_ptsd.categorical.example import example_categories
from bayes_ptsd.categorical.observed import category_shares, observe_repeated
from bayes_ptsd.crossover.example import example_patients
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.published import load_published, select_contrast
from bayes_ptsd.fit import build_model
from bayes_ptsd.models_files import load_model
from bayes_ptsd.structures.depression.example import example_mediation


def printed() -> Evidence:
    """Return the crossover row of the IES-R total."""
    return select_contrast(load_published(), "T2.IESR.X")


@pytest.mark.parametrize(
    ("name", "make", "free", "observed"),
    [
        ("published", printed, "treatment_difference", "estimate"),
        ("crossover", example_patients,
         "level period_effect sd_subject sd_within treatment_difference", "score"),
        ("crossover-bivariate", example_patients,
         "correlation_unit level period_effect sd_period treatment_difference", "score"),
        ("ordinal-first-period", example_categories, "category_share log_odds_ratio", "score"),
        ("ordinal-probit", example_categories,
         "category_share period_effect probit_difference sd_subject", "score"),
        ("depression-adjusted", example_mediation,
         "baseline_slope controlled_direct_effect interaction level mediator_baseline_slope "
         "mediator_difference mediator_level mediator_own_slope mediator_sd mediator_slope "
         "sd_residual", "mediator score"),
        ("endpoints", load_published, "common_standard heterogeneity own_standard", "estimate"),
        ("subscales", load_published, "common_standard heterogeneity own_standard", "estimate"),
    ],
)  # fmt: skip
def test_a_model_has_the_parameters_of_its_equation(
    name: str, make: Callable[[], Evidence], free: str, observed: str
) -> None:
    """Nothing is sampled and nothing observed but what the equation of the structure names."""
    model = build_model(make(), load_model(name))
    assert sorted(variable.name for variable in model.free_RVs) == free.split()
    assert sorted(variable.name for variable in model.observed_RVs) == observed.split()


def test_patients_without_an_effect_have_independent_categories() -> None:
    """With a patient sd of nearly zero two even ratings have probability 1/2 times 1/2."""
    with pm.Model() as model:
        cuts, member = pt.zeros((2, 1)), np.array([[0, 1]])
        observe_repeated(
            "score", np.array([0, 0]), cuts=cuts, spread=pt.constant(1e-9), member=member,
            link="logit", dims=None,
        )  # fmt: skip
    density = model.compile_logp(mode="FAST_COMPILE")({})
    assert float(np.exp(density)) == pytest.approx(0.25, abs=1e-9)


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_shares_are_differences_of_the_distribution_function(link: str) -> None:
    """Cuts at -1 and 0.5 give F(-1), F(0.5) - F(-1) and 1 - F(0.5) of the link.

    To 1e-8: PyMC takes the square root of 2 in the inverse probit in single precision.
    """
    below = (stats.logistic if link == "logit" else stats.norm).cdf([-1.0, 0.5])
    shares = category_shares(pt.constant([[-1.0, 0.5]]), link).eval()[0]
    assert shares == pytest.approx([below[0], below[1] - below[0], 1 - below[1]], abs=1e-8)
