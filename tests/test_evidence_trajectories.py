"""Scores by visit before anybody changes treatment, and covariates as columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.trajectories import arm_trajectories, covariate_columns
from bayes_ptsd.simulation.patients import Missingness, simulate_trial


def test_a_crossover_gives_its_first_period() -> None:
    """Scores, arms and who has none are those of period 1; half had the active treatment then."""
    evidence = simulate_trial(n_by_sequence=10, seed=1, missingness=Missingness(at_random=0.3))
    first = evidence.data["outcomes"].to_dataset().sel(period=1).isel(endpoint=0)
    scored = first["value"].notnull().any("visit").values
    arrays = arm_trajectories(evidence)
    assert 0 < scored.sum() < 20
    assert arrays.attrs["subjects_without_score"] == 20 - scored.sum()
    assert np.array_equal(arrays["score"], first["value"].transpose("subject", "visit")[scored])
    active = (first["treatment"] == evidence.trial.active).values
    assert active.sum() == 10
    assert arrays["active"].values.tolist() == active[scored].tolist()


def with_covariate(values: list[Any]) -> Evidence:
    """Return four simulated patients with a covariate."""
    evidence = simulate_trial(n_by_sequence=2, seed=1)
    subject = evidence.data["outcomes"]["subject"]
    evidence.data["covariates"] = xr.DataTree(
        xr.Dataset({"it": ("subject", values)}, coords={"subject": subject})
    )
    return evidence


@pytest.mark.parametrize(
    ("values", "columns"),
    [
        (["f", "m", "f", "m"], {"it: m": [-0.5, 0.5, -0.5, 0.5]}),
        (
            ["a", "b", "c", "a"],
            {"it: b": [-0.25, 0.75, -0.25, -0.25], "it: c": [-0.25, -0.25, 0.75, -0.25]},
        ),
        ([1.0, 2.0, 4.0, 5.0], {"it": list(np.array([-2.0, -1.0, 1.0, 2.0]) / (10 / 3) ** 0.5)}),
    ],
)
def test_covariates_are_centered(values: list[Any], columns: dict[str, list[float]]) -> None:
    """A text makes a column less its share for each category but the first, a number z scores."""
    evidence = with_covariate(values)
    found = covariate_columns(evidence, evidence.data["outcomes"]["subject"], ["it"])
    assert found["column"].values.tolist() == list(columns)
    assert np.allclose(found.values.T, list(columns.values()))


@pytest.mark.parametrize(
    ("values", "name", "message"),
    [
        (["f", "", "f", "m"], "it", "missing for 1 of 4 patients"),
        ([1.0, 1.0, 1.0, 1.0], "it", "the same for all patients"),
        ([1.0, 2.0, 4.0, 5.0], "its", "did you mean 'it'"),
    ],
)
def test_covariates_that_say_nothing_are_refused(
    values: list[Any], name: str, message: str
) -> None:
    """A covariate that is missing, constant or unknown is named with what to do."""
    evidence = with_covariate(values)
    with pytest.raises(EvidenceError, match=message):
        covariate_columns(evidence, evidence.data["outcomes"]["subject"], [name])
