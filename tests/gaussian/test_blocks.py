"""The common density and replicates of patients' scores are those of SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from bayes_ptsd.gaussian.blocks import (
    Blocks,
    flat_draws,
    patient_groups,
    patient_means,
    replicated_cells,
    subject_log_likelihood,
)
from bayes_ptsd.priors import FloatArray

SUBJECTS, CELLS, DRAWS = 9, 3, 4


def made(*, groups: bool = False, nu: bool = False) -> tuple[xr.Dataset, Blocks]:
    """Return draws and patients with a number, a vector and missing cells."""
    rng = np.random.default_rng(3)
    values = rng.normal(10, 4, (SUBJECTS, CELLS))
    values[0, 1] = values[1, 0] = values[1, 2] = np.nan
    group = np.arange(SUBJECTS) % 2 if groups else None
    shape = (DRAWS, 2, CELLS, CELLS) if groups else (DRAWS, CELLS, CELLS)
    root = rng.normal(size=shape)
    covariance = root @ np.swapaxes(root, -1, -2) + np.eye(CELLS)
    columns = {
        "treatment_difference": rng.normal(size=(SUBJECTS, CELLS)),
        "level": np.broadcast_to(np.eye(CELLS), (SUBJECTS, CELLS, CELLS)),
    }
    draws = {
        "treatment_difference": (("chain", "draw"), rng.normal(size=(2, 2))),
        "level": (("chain", "draw", "cell"), rng.normal(10, 1, (2, 2, CELLS))),
    }
    if nu:
        draws["nu"] = (("chain", "draw"), rng.uniform(3, 9, (2, 2)))
    blocks = Blocks(values, np.arange(SUBJECTS), columns, lambda _: covariance, group)
    return xr.Dataset(draws), blocks


def by_hand(draws: xr.Dataset, blocks: Blocks) -> FloatArray:
    """Return the log density of every patient's observed cells by SciPy."""
    found = np.empty((DRAWS, SUBJECTS))
    for sample in range(DRAWS):
        chain, draw = divmod(sample, 2)
        one = draws.isel(chain=chain, draw=draw)
        for i in range(SUBJECTS):
            mean = (
                one["level"].values
                + float(one["treatment_difference"]) * (blocks.columns["treatment_difference"][i])
            )
            matrix = blocks.covariance(draws)[sample]
            matrix = matrix if blocks.group is None else matrix[blocks.group[i]]
            seen = np.isfinite(blocks.values[i])
            own = matrix[np.ix_(seen, seen)]
            if "nu" in draws:
                law = stats.multivariate_t(mean[seen], own, df=float(one["nu"]))
            else:
                law = stats.multivariate_normal(mean[seen], own)
            found[sample, i] = law.logpdf(blocks.values[i][seen])
    return found


@pytest.mark.parametrize("nu", [False, True], ids=["normal", "student"])
@pytest.mark.parametrize("groups", [False, True], ids=["one covariance", "one a group"])
def test_density_is_that_of_scipy(groups: bool, nu: bool) -> None:
    """Each patient's observed cells, missing ones integrated out, have SciPy's density."""
    draws, blocks = made(groups=groups, nu=nu)
    found = subject_log_likelihood(draws, blocks)
    assert found.dims == ("chain", "draw", "subject")
    np.testing.assert_allclose(
        found.values.reshape(DRAWS, SUBJECTS), by_hand(draws, blocks), rtol=1e-10
    )


def test_means_of_some_patients_are_those_of_all() -> None:
    """The means of chosen rows are rows of the means of all."""
    draws, blocks = made()
    np.testing.assert_array_equal(
        patient_means(draws, blocks, np.array([4, 2])), patient_means(draws, blocks)[:, [4, 2]]
    )


@pytest.mark.parametrize("nu", [None, 8.0], ids=["normal", "student"])
def test_replicates_have_the_covariance_of_their_group(nu: float | None) -> None:
    """Scores of 40,000 new patients have their means and covariances within 5 errors of these."""
    count = 40_000
    scale = np.array([[[4.0, 1.0], [1.0, 2.0]], [[1.0, -0.5], [-0.5, 3.0]]])
    shares = {"level": (("chain", "draw"), np.full((1, count), 5.0))}
    if nu is not None:
        shares["nu"] = (("chain", "draw"), np.full((1, count), nu))
    blocks = Blocks(
        np.zeros((2, 2)), ["a", "b"], {"level": np.ones((2, 2))},
        lambda _: np.broadcast_to(scale, (count, 2, 2, 2)), np.array([0, 1]),
    )  # fmt: skip
    drawn = replicated_cells(xr.Dataset(shares), blocks, np.random.default_rng(1))[0]
    spread = 1.0 if nu is None else nu / (nu - 2)
    # kurtosis of a t with 8 df makes the error of a variance 1.9 times that of a normal
    error = 5 * (1.0 if nu is None else 1.9) * spread * 4 * np.sqrt(2 / count)
    for place in (0, 1):
        np.testing.assert_allclose(drawn[:, place].mean(axis=0), 5, atol=5 * 2.4 / np.sqrt(count))
        np.testing.assert_allclose(np.cov(drawn[:, place].T), spread * scale[place], atol=error)


def test_improper_priors_leave_out_the_prior_groups() -> None:
    """Without proper priors there are neither prior draws nor what they predict."""
    draws, blocks = made()
    shared = {
        "observed": xr.Dataset({"score": (("subject", "cell"), blocks.values)}),
        "constants": xr.Dataset(),
        "replicated": lambda one, rng: xr.Dataset(
            {"score": (("chain", "draw", "subject", "cell"), replicated_cells(one, blocks, rng))}
        ),
        "log_likelihood": lambda one: subject_log_likelihood(one, blocks),
        "log_prior": lambda one: xr.Dataset(),
        "seed": 1,
    }
    without = patient_groups(draws, prior=None, **shared)
    both = patient_groups(draws, prior=lambda: draws, **shared)
    assert both.keys() - without.keys() == {"prior", "prior_predictive"}
    # posterior and prior replicates are of streams of their own
    same = both["posterior_predictive"]["score"] == both["prior_predictive"]["score"]
    assert not bool(same.any())


def test_chains_are_kept_apart_in_order() -> None:
    """Draws are laid out chain by chain."""
    draws, _ = made()
    np.testing.assert_array_equal(
        flat_draws(draws, "treatment_difference"), draws["treatment_difference"].values.ravel()
    )
