"""Builders: each structure's PyMC model has the parameters of its equation and observes scores."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pymc as pm
import pytest
from scipy import stats

from bayes_ptsd.build.longitudinal import partial_correlations
from bayes_ptsd.crossover.example import example_patients
from bayes_ptsd.depression.example import example_mediation
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.published import load_published, select_contrast
from bayes_ptsd.fit import build_model
from bayes_ptsd.longitudinal.example import example_trajectories
from bayes_ptsd.models_files import load_model
from bayes_ptsd.parts.example import example_parts
from bayes_ptsd.priors import Prior
from bayes_ptsd.pymc_priors import prior_distribution
from bayes_ptsd.sampler import model_graph


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
        ("first-period", example_patients,
         "baseline_slope level sd_residual treatment_difference", "score"),
        ("longitudinal", example_trajectories,
         "baseline_slope level partial_unit sd_visit visit_difference", "score"),
        ("longitudinal-ar", example_trajectories,
         "baseline_slope half_life level sd_visit visit_difference", "score"),
        ("depression-adjusted", example_mediation,
         "baseline_slope controlled_direct_effect interaction level mediator_baseline_slope "
         "mediator_difference mediator_level mediator_own_slope mediator_sd mediator_slope "
         "sd_residual", "mediator score"),
        ("endpoints", load_published, "common_standard heterogeneity own_standard", "estimate"),
        ("subscales", load_published, "common_standard heterogeneity own_standard", "estimate"),
        ("subscales-patients", example_parts,
         "baseline_slope heterogeneity level partial_unit plane_standard sd_residual "
         "treatment_difference", "score"),
    ],
)  # fmt: skip
def test_a_model_has_the_parameters_of_its_equation(
    name: str, make: Callable[[], Evidence], free: str, observed: str
) -> None:
    """Nothing is sampled and nothing observed but what the equation of the structure names."""
    model = build_model(make(), load_model(name))
    assert sorted(variable.name for variable in model.free_RVs) == free.split()
    assert sorted(variable.name for variable in model.observed_RVs) == observed.split()


def test_the_graph_names_every_variable() -> None:
    """A reader of the mermaid graph sees each parameter and the score."""
    model = build_model(example_patients(), load_model("first-period"))
    graph = model_graph(model)
    assert all(variable.name in graph for variable in [*model.free_RVs, *model.observed_RVs])


def test_degrees_of_freedom_have_their_prior_above_the_floor() -> None:
    """A prior inside a truncated variable has its density over what lies above the limit."""
    prior = Prior("gamma", {"shape": 2.0, "rate": 0.1})
    with pm.Model():
        nu = pm.Truncated.dist(prior_distribution("nu", prior), lower=2)
    density = float(pm.logp(nu, 5.0).eval())
    gamma = stats.gamma(2.0, scale=10.0)
    assert density == pytest.approx(gamma.logpdf(5.0) - gamma.logsf(2.0), abs=1e-9)


def test_partial_correlations_carry_the_prior_of_their_matrix() -> None:
    """One pair under uniform correlations, 1/2 on (-1, 1), has the density of a unit interval."""
    with pm.Model(coords={"pair": [0]}) as model:
        found = partial_correlations(Prior("uniform_correlations"), 2, dim="pair")
    point = {"partial_unit_interval__": np.array([0.3])}
    unit = 1 / (1 + np.exp(-0.3))
    jacobian = np.log(unit * (1 - unit))
    assert len(found) == 1
    assert float(model.compile_logp(mode="FAST_COMPILE")(point)) == pytest.approx(
        jacobian, abs=1e-9
    )
