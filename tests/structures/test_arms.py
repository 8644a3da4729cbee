"""What comparisons of two arms share: their PyMC parameters, both arms alike, whole baselines."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from bayes_ptsd.crossover.example import example_patients
from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.fit import build_model
from bayes_ptsd.frequentist.documents import answer, no_answer
from bayes_ptsd.models_files import load_model
from bayes_ptsd.structures.arms import arm_means, centered_baseline, constant_data, left_out
from bayes_ptsd.structures.first_period.model import first_period_model
from bayes_ptsd.structures.longitudinal.example import example_trajectories
from bayes_ptsd.structures.parts.example import example_parts


@pytest.mark.parametrize(
    ("name", "make", "free"),
    [
        ("first-period", example_patients,
         "baseline_slope level sd_residual treatment_difference"),
        ("longitudinal", example_trajectories,
         "baseline_slope level partial_unit sd_visit visit_difference"),
        ("longitudinal-ar", example_trajectories,
         "baseline_slope half_life level sd_visit visit_difference"),
        ("longitudinal-shrunk", example_trajectories,
         "baseline_slope level partial_unit sd_visit shrinkage_mean shrinkage_sd visit_standard"),
        ("subscales-patients", example_parts,
         "baseline_slope heterogeneity level partial_unit plane_standard sd_residual "
         "treatment_difference"),
    ],
)  # fmt: skip
def test_a_model_has_the_parameters_of_its_equation(
    name: str, make: Callable[[], Evidence], free: str
) -> None:
    """Nothing is sampled and nothing observed but what the equation of the structure names."""
    model = build_model(make(), load_model(name))
    assert sorted(variable.name for variable in model.free_RVs) == free.split()
    assert [variable.name for variable in model.observed_RVs] == ["score"]


def test_a_level_lies_between_the_arms() -> None:
    """Lower is better: the active arm is half the difference below the level, control above."""
    model = first_period_model(example_patients(), load_model("first-period"))
    level = xr.DataArray([[40.0]], dims=("chain", "draw"))
    found = arm_means(level, xr.full_like(level, 6.0), model)
    assert model.sign == -1
    assert found["treatment"].values.tolist() == ["midazolam", "ketamine"]
    assert found.values.tolist() == [[[43.0, 37.0]]]
    assert sum(model.by_arm.values()) == len(model.active)
    assert set(model.contrast[model.active]) == {0.5}
    kept = constant_data(model, covariates=model.covariates)
    assert sorted(kept.data_vars) == ["active", "baseline_centered"]


def test_a_missing_baseline_is_refused_and_a_missing_score_counted() -> None:
    """Both say how many; whole baselines are centered."""
    assert centered_baseline(np.array([1.0, 5.0]), instead="another").tolist() == [-2.0, 2.0]
    with pytest.raises(EvidenceError, match=r"missing for 1 of 2 patients .* or take another"):
        centered_baseline(np.array([1.0, np.nan]), instead="another")
    arrays = xr.Dataset(attrs={"subjects_without_score": 2})
    assert left_out(arrays, "at this visit") == [
        "2 subjects without a score at this visit are left out"
    ]
    assert left_out(arrays.assign_attrs(subjects_without_score=0), "at this visit") == []


def test_a_counterpart_names_its_analysis_or_why_there_is_none() -> None:
    """The treatment difference stands in front of the whole document; without one there is none."""
    line = {"estimate": 1.0, "se": 0.5, "df": 9.0, "p_value": 0.1, "ci95": [0.0, 2.0]}
    document = {"method": "t test", "note": "", "estimands": {"treatment_difference": line}}
    found = answer("ancova", document)
    assert found == {"method": "t test", **line, "analyses": {"ancova": document}}
    refused = no_answer(EvidenceError("too few"))
    assert refused["method"] == "none: too few"
    assert refused.keys() == found.keys()
    assert refused["estimate"] is refused["ci95"] is None
