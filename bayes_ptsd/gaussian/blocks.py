"""Patients' scores as blocks: columns times coefficients, a covariance, missing cells left out.

    y[i, cell] ~ Normal or Student-t( sum_j coefficient[j] column[i, cell, j], Sigma[group of i] )

A room says its columns and its covariance; density, replicates and the groups of a fit follow. The
scores of a patient are one vector with everything that belongs to the patient integrated out, which
is what leave-one-subject-out needs; replicates are of new patients.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import special

from bayes_ptsd.priors import FloatArray

__all__ = [
    "Blocks",
    "flat_draws",
    "patient_groups",
    "patient_means",
    "replicated_cells",
    "subject_log_likelihood",
    "thinned",
]

# Numbers of patients by draw that a group holds, 32 MB of one cell: 4,000 draws of 1,000 patients.
MOST_POINTWISE = 4_000_000
# Draws that are kept of any number of patients: a tail of half a percent is two of them.
FEWEST_DRAWS = 400


@dataclass(frozen=True)
class Blocks:
    """Patients' scores and what their means and covariance are made of."""

    values: FloatArray  # as recorded, (subject, cell), NaN where missing
    subject: Any  # labels of the patients
    # by name of the coefficient in the posterior: (subject, cell), of a vector of coefficients
    # (subject, cell, element)
    columns: Mapping[str, FloatArray]
    # draws to the covariance, of Student-t scores its scale matrix: (sample, cell, cell), with
    # groups (sample, group, cell, cell)
    covariance: Callable[[xr.Dataset], FloatArray]
    group: NDArray[np.intp] | None = (
        None  # place of each subject's covariance; None where all share
    )


def flat_draws(draws: xr.Dataset, name: str) -> FloatArray:
    """Return draws of one parameter, chains and draws first and together: (sample, ...)."""
    values = draws[name].transpose("chain", "draw", ...).values
    return np.asarray(values.reshape(-1, *values.shape[2:]))


def patient_means(draws: xr.Dataset, blocks: Blocks, rows: Any = slice(None)) -> FloatArray:
    """Return the means of some patients' cells under each draw, (sample, subject, cell).

    Parameters
    ----------
    draws : xr.Dataset
        Every coefficient that `blocks` has a column of, dims ``chain`` and ``draw`` first.
    blocks : Blocks
        Its columns.
    rows : slice or array of int
        The patients.

    Returns
    -------
    ndarray
        Score units, as recorded.

    Examples
    --------
    >>> coords = {"chain": [0], "draw": [0, 1]}
    >>> draws = xr.Dataset({"level": (("chain", "draw"), [[40.0, 50.0]])}, coords=coords)
    >>> blocks = Blocks(np.zeros((1, 2)), ["s1"], {"level": np.ones((1, 2))}, lambda _: np.eye(2))
    >>> patient_means(draws, blocks)[:, 0].tolist()
    [[40.0, 40.0], [50.0, 50.0]]
    """
    samples = draws.sizes["chain"] * draws.sizes["draw"]
    mean = np.zeros((samples, *blocks.values[rows].shape))
    for name, column in blocks.columns.items():
        value = flat_draws(draws, name)
        if column.ndim == 2:
            mean += value[:, None, None] * column[rows]
        else:
            mean += np.tensordot(value, column[rows], axes=(1, 2))
    return mean


def subject_log_likelihood(draws: xr.Dataset, blocks: Blocks) -> xr.DataArray:
    """Return the log density of each patient's observed cells, dims (chain, draw, subject).

    Parameters
    ----------
    draws : xr.Dataset
        Parameters of the model, dims ``chain`` and ``draw`` first; with ``nu`` the scores are
        Student-t.
    blocks : Blocks
        Patients, columns and covariance.

    Returns
    -------
    xr.DataArray
        Missing cells integrated out.

    Examples
    --------
    A standard normal at 0, and a patient of whom one of two cells is missing:

    >>> draws = xr.Dataset({"level": (("chain", "draw"), [[0.0]])})
    >>> values = np.array([[0.0, 0.0], [0.0, np.nan]])
    >>> blocks = Blocks(values, ["a", "b"], {"level": np.ones((2, 2))}, lambda _: np.eye(2)[None])
    >>> subject_log_likelihood(draws, blocks).values.round(4).tolist()
    [[[-1.8379, -0.9189]]]
    """
    covariance = blocks.covariance(draws)
    nu = flat_draws(draws, "nu") if "nu" in draws else None
    there = np.isfinite(blocks.values)
    density = np.empty((len(covariance), len(there)))
    for rows, cells, place in _patterns(there, blocks.group):
        own = covariance if place is None else covariance[:, place]
        residual = (
            blocks.values[np.ix_(rows, cells)] - patient_means(draws, blocks, rows)[..., cells]
        )
        density[:, rows] = _log_density(residual, own[:, cells][:, :, cells], nu)
    shape = (draws.sizes["chain"], draws.sizes["draw"], len(there))
    coords = {name: draws[name] for name in ("chain", "draw") if name in draws.coords}
    return xr.DataArray(
        density.reshape(shape),
        dims=("chain", "draw", "subject"),
        coords={**coords, "subject": blocks.subject},
    )


def replicated_cells(draws: xr.Dataset, blocks: Blocks, rng: np.random.Generator) -> FloatArray:
    """Draw the scores of new patients, (chain, draw, subject, cell), none of them missing.

    Parameters
    ----------
    draws : xr.Dataset
        Parameters of the model, dims ``chain`` and ``draw`` first; with ``nu`` the scores are
        Student-t.
    blocks : Blocks
        Their columns and covariance.
    rng : Generator
        Source of randomness.

    Returns
    -------
    ndarray
        Score units, as recorded.

    Examples
    --------
    >>> draws = xr.Dataset({"level": (("chain", "draw"), np.zeros((1, 4000)))})
    >>> covariance = np.broadcast_to([[4.0]], (4000, 1, 1))
    >>> blocks = Blocks(np.zeros((1, 1)), ["a"], {"level": np.ones((1, 1))}, lambda _: covariance)
    >>> float(replicated_cells(draws, blocks, np.random.default_rng(1)).std().round(1))
    2.0
    """
    root = np.linalg.cholesky(blocks.covariance(draws))
    mean = patient_means(draws, blocks)
    standard = rng.normal(size=mean.shape)
    if blocks.group is None:
        noise = np.einsum("sij,snj->sni", root, standard)
    else:
        noise = np.einsum("snij,snj->sni", root[:, blocks.group], standard)
    if "nu" in draws:
        nu = flat_draws(draws, "nu")[:, None]
        noise /= np.sqrt(rng.chisquare(nu, size=mean.shape[:2]) / nu)[:, :, None]
    shape = (draws.sizes["chain"], draws.sizes["draw"], *mean.shape[1:])
    return np.asarray((mean + noise).reshape(shape))


def patient_groups(
    posterior: xr.Dataset,
    *,
    observed: xr.Dataset,
    constants: xr.Dataset,
    replicated: Callable[[xr.Dataset, np.random.Generator], xr.Dataset],
    log_likelihood: Callable[[xr.Dataset], xr.DataArray],
    log_prior: Callable[[xr.Dataset], xr.Dataset],
    prior: Callable[[], xr.Dataset] | None,
    seed: int,
) -> dict[str, xr.Dataset]:
    """Return the groups that belong to every fit of patients, whichever engine drew its posterior.

    Parameters
    ----------
    posterior : xr.Dataset
        Draws of the parameters.
    observed, constants : xr.Dataset
        Groups ``observed_data`` and ``constant_data``.
    replicated : callable
        Draws and a generator to the scores of new patients.
    log_likelihood : callable
        Draws to that of each patient, dims (chain, draw, subject).
    log_prior : callable
        Draws to the log prior density by parameter.
    prior : callable, optional
        Draws the parameters from their priors; None where one of these is improper, and then there
        are no ``prior`` and ``prior_predictive``.
    seed : int
        Seed of the replicates.

    Returns
    -------
    dict of str to xr.Dataset
        ``observed_data, constant_data, posterior_predictive, log_likelihood, log_prior`` and,
        where there are proper priors, ``prior, prior_predictive``. Of more than a thousand patients
        they have every second, third, ... draw (`thinned`), whose numbers are their coordinate.
    """
    after, before = np.random.default_rng(seed).spawn(2)
    patients = observed.sizes["subject"]
    draws = thinned(posterior, patients)
    found = {
        "observed_data": observed,
        "constant_data": constants,
        "posterior_predictive": replicated(draws, after),
        "log_likelihood": xr.Dataset({"score": log_likelihood(draws)}),
        "log_prior": log_prior(draws),
    }
    if prior is None:
        return found
    drawn = prior()
    return found | {
        "prior": drawn, "prior_predictive": replicated(thinned(drawn, patients), before)
    }  # fmt: skip


def thinned(draws: xr.Dataset, patients: int) -> xr.Dataset:
    """Return all draws, or every k-th where all would give patients too many numbers to keep.

    Examples
    --------
    >>> draws = xr.Dataset({"level": (("chain", "draw"), np.zeros((1, 4000)))})
    >>> [thinned(draws, patients).sizes["draw"] for patients in (29, 1000, 2900, 29_000)]
    [4000, 4000, 1334, 400]
    """
    total = draws.sizes["chain"] * draws.sizes["draw"]
    step = min(-(-total * patients // MOST_POINTWISE), total // FEWEST_DRAWS)
    return draws.isel(draw=slice(None, None, step)) if step > 1 else draws


def _patterns(
    there: NDArray[np.bool_], group: NDArray[np.intp] | None
) -> list[tuple[NDArray[np.intp], NDArray[np.intp], int | None]]:
    """Return patients with the same cells and the same covariance: rows, cells, its place."""
    places: Sequence[int | None] = [None] if group is None else np.unique(group).tolist()
    found = []
    for place in places:
        mine = np.ones(len(there), dtype=bool) if place is None else group == place
        for pattern in np.unique(there[mine], axis=0):
            rows = np.flatnonzero(mine & (there == pattern).all(axis=1))
            found.append((rows, np.flatnonzero(pattern), place))
    return found


def _log_density(residual: FloatArray, covariance: FloatArray, nu: FloatArray | None) -> FloatArray:
    """Return the normal or Student-t log density of residuals (sample, subject, cell)."""
    size = residual.shape[-1]
    root = np.linalg.cholesky(covariance)
    log_det = 2 * np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)[:, None]
    square = np.sum(np.linalg.solve(root, np.swapaxes(residual, 1, 2)) ** 2, axis=1)
    if nu is None:
        return np.asarray(-0.5 * (size * np.log(2 * np.pi) + log_det + square))
    nu = nu[:, None]
    constant = special.gammaln((nu + size) / 2) - special.gammaln(nu / 2)
    constant = constant - 0.5 * (size * np.log(nu * np.pi) + log_det)
    return np.asarray(constant - (nu + size) / 2 * np.log1p(square / nu))
