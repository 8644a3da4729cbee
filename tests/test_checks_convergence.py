"""Limits of convergence are those of the literature, on both sides of each."""

from __future__ import annotations

import arviz_stats
import numpy as np
import pytest
import xarray as xr

from bayes_ptsd.checks import check_fit
from bayes_ptsd.priors import FloatArray

CHAINS, DRAWS = 4, 1000


def fit_of(
    values: FloatArray, *, diverging: int = 0, energy: FloatArray | None = None
) -> xr.DataTree:
    """Return a sampled fit of one parameter."""
    shape = (CHAINS, values.shape[1])
    coords = {"chain": np.arange(CHAINS), "draw": np.arange(shape[1])}
    flags = np.zeros(shape, dtype=bool)
    flags.ravel()[:diverging] = True
    noise = np.random.default_rng(9).normal(size=shape) if energy is None else energy
    stats = {"diverging": (("chain", "draw"), flags), "energy": (("chain", "draw"), noise)}
    return xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset({"x": (("chain", "draw"), values)}, coords),
            "sample_stats": xr.Dataset(stats, coords),
        }
    )


def independent(draws: int = DRAWS) -> FloatArray:
    """Return independent normal draws."""
    return np.random.default_rng(1).normal(size=(CHAINS, draws))


def failed(fit: xr.DataTree) -> set[str]:
    """Return the checks that failed."""
    table = check_fit(fit)
    return set(table["check"].values[~table["passed"].values].tolist())


def test_independent_chains_pass() -> None:
    """4,000 independent draws pass every check."""
    assert failed(fit_of(independent())) == set()


@pytest.mark.parametrize(("shift", "fails"), [(0.12, False), (0.35, True)])
def test_chains_apart_by_little_fail_at_rhat_of_one_percent(shift: float, fails: bool) -> None:
    """R-hat of 1.02, which the old limits of 1.05 and 1.1 let pass, fails; 1.005 does not."""
    values = independent() + shift * np.array([[-1.0], [-1.0], [1.0], [1.0]]) / 2
    found = float(arviz_stats.rhat(fit_of(values))["x"])
    assert (1.01 < found < 1.05) if fails else found < 1.01
    assert ("rhat_max" in failed(fit_of(values))) is fails


@pytest.mark.parametrize(("draws", "fails"), [(60, True), (150, False)])
def test_few_effective_draws_fail_below_four_hundred(draws: int, fails: bool) -> None:
    """240 independent draws in all are too few, 600 are not: the limit is 400."""
    checks = failed(fit_of(independent(draws)))
    assert ("ess_bulk_min" in checks) is fails
    assert ("ess_tail_min" in checks) is fails


@pytest.mark.parametrize("count", [0, 1])
def test_one_divergence_fails(count: int) -> None:
    """No divergence is none."""
    assert ("divergences" in failed(fit_of(independent(), diverging=count))) is bool(count)


@pytest.mark.parametrize(("step", "fails"), [(0.45, True), (0.65, False)])
def test_energy_that_creeps_fails_below_three_tenths(step: float, fails: bool) -> None:
    """The mean squared step over the variance, of a walk that returns: .2 fails, .4 passes."""
    rng, keep = np.random.default_rng(2), 1 - step**2 / 2
    energy = np.empty((CHAINS, DRAWS))
    energy[:, 0] = rng.normal(size=CHAINS)
    for place in range(1, DRAWS):
        noise = rng.normal(size=CHAINS) * np.sqrt(1 - keep**2)
        energy[:, place] = keep * energy[:, place - 1] + noise
    spread = ((energy.T - energy.mean(axis=1)) ** 2).sum(axis=0)
    found = (np.diff(energy, axis=1) ** 2).sum(axis=1) / spread
    assert bool(found.min() < 0.3) is fails
    assert ("ebfmi_min" in failed(fit_of(independent(), energy=energy))) is fails
