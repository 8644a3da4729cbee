"""Each structure's PyMC model has the parameters of its equation and observes scores."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.published import load_published, select_contrast
from bayes_ptsd.fit import build_model
from bayes_ptsd.models_files import load_model
from bayes_ptsd.structures.crossover.example import example_patients
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
