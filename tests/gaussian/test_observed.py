"""Normal vectors with missing places: density, gradients, machine code, size of the graph."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from numpy.typing import NDArray
from pytensor.gradient import NullTypeGradError
from pytensor.graph.traversal import ancestors
from scipy import stats

from bayes_ptsd.gaussian.observed import MaskedNormal, masked_normal
from bayes_ptsd.models_files import load_model
from bayes_ptsd.simulation.patients import Baseline, Missingness, made_up_trial, simulate_trial
from bayes_ptsd.structures.longitudinal.model import longitudinal_model, pymc_model

Arrays = tuple[NDArray[np.float64], ...]


def vectors(seed: int = 1) -> Arrays:
    """Return value, mean, covariance and what is there of nine patients at five places."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(5, 7))
    there = (rng.random((9, 5)) < 0.7).astype(float)
    there[:2], there[2] = 1.0, 0.0
    return rng.normal(size=(9, 5)), rng.normal(size=(9, 5)), root @ root.T, there


def test_the_density_is_scipys_of_what_is_there() -> None:
    """All there, some there and none there, each patient with the marginal density of the rest."""
    value, mean, covariance, there = vectors()
    expected = 0.0
    for row, center, seen in zip(value, mean, there > 0, strict=True):
        if seen.any():
            marginal = covariance[np.ix_(seen, seen)]
            expected += stats.multivariate_normal(center[seen], marginal).logpdf(row[seen])
    assert float(masked_normal(*vectors())[0]) == pytest.approx(expected, abs=1e-11)


@pytest.mark.parametrize("which", [1, 2])
def test_gradients_are_those_of_finite_differences(which: int) -> None:
    """In each mean and, both elements of a pair moved at once, in the covariance, within 1e-7."""
    found, step = masked_normal(*vectors())[which], 1e-5
    for place in np.ndindex(found.shape):
        direction = np.zeros(found.shape)
        direction[place] = 1.0
        if which == 2:
            direction = (direction + direction.T) / 2
        below, above = (list(vectors()), list(vectors()))
        below[which] = below[which] - step * direction
        above[which] = above[which] + step * direction
        slope = float(masked_normal(*above)[0] - masked_normal(*below)[0]) / (2 * step)
        assert (found * direction).sum() == pytest.approx(slope, rel=1e-7, abs=1e-7)


def test_machine_code_and_python_agree() -> None:
    """What Numba compiles answers what NumPy does, to 1e-12."""
    quick: Any = numba.njit(masked_normal)
    for one, other in zip(quick(*vectors(3)), masked_normal(*vectors(3)), strict=True):
        assert np.abs(one - other).max() < 1e-12


def test_a_covariance_that_is_none_has_no_density() -> None:
    """One that is not positive definite gives NaN, not a number to go on with."""
    value, mean, _, there = vectors()
    with np.errstate(invalid="ignore"):
        assert np.isnan(masked_normal(value, mean, -np.eye(5), there)[0])


def test_second_derivatives_are_refused() -> None:
    """A gradient of a gradient is an error, not zero."""
    mean = pt.dmatrix()
    there = pt.as_tensor(np.ones((9, 5)))
    density = MaskedNormal()(np.ones((9, 5)), mean, np.eye(5), there)[0]
    with pytest.raises(NullTypeGradError, match="second derivatives"):
        pt.grad(pt.grad(density, mean).sum(), mean)


def graph_size(visits: int) -> int:
    """Return the number of variables of density and gradient of a longitudinal model."""
    days = {f"{day}d": 24.0 * day for day in range(1, visits + 1)}
    evidence = simulate_trial(
        made_up_trial("parallel", better="lower", visits=days),
        n_by_sequence={"A": 12, "B": 12}, treatment=6.0, level=40.0, sd_subject=9.0,
        sd_within=8.0, baseline=Baseline(mean=47.0, sd=12.0, correlation=0.4),
        missingness=Missingness(at_random=0.08), seed=1,
    )  # fmt: skip
    model = pymc_model(longitudinal_model(evidence, load_model("longitudinal")))
    assert isinstance(model, pm.Model)
    return sum(1 for _ in ancestors([model.logp(), *pt.grad(model.logp(), model.value_vars)]))


def test_a_model_of_twelve_visits_is_no_larger_than_one_of_three() -> None:
    """Density and gradient grow in no node from 3 to 12 visits: compiling takes as long."""
    assert graph_size(12) <= graph_size(3)
