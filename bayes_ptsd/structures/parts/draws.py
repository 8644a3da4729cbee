"""What draws of the parts of a total say: density and replicates; and draws from their priors."""

from __future__ import annotations

import numpy as np
import xarray as xr

from bayes_ptsd.gaussian.blocks import Blocks, flat_draws, replicated_cells
from bayes_ptsd.gaussian.covariance import correlation_matrix, draw_partials, pair_entries
from bayes_ptsd.gaussian.parameters import draw_parameters, log_prior_densities
from bayes_ptsd.priors import FloatArray, Prior
from bayes_ptsd.structures.parts.model import PartsModel, plane_root

__all__ = [
    "draw_priors",
    "log_matrix",
    "log_priors",
    "part_correlations",
    "patient_blocks",
    "replicated_scores",
]


def patient_blocks(model: PartsModel) -> Blocks:
    """Return scores, columns and covariance of the parts for the common density."""
    each = np.eye(len(model.parts))
    benefit = model.sign * model.contrast
    columns = {
        "level": np.broadcast_to(each, (len(benefit), *each.shape)),
        "endpoint_difference": np.multiply.outer(benefit, each),
    }
    if model.baseline is not None:
        columns["baseline_slope"] = model.baseline[:, :, None] * each
    return Blocks(model.score, model.subject, columns, lambda draws: _covariance(draws, model))


def replicated_scores(draws: xr.Dataset, model: PartsModel, rng: np.random.Generator) -> xr.Dataset:
    """Draw ``score`` (chain, draw, subject, endpoint) of new patients, same arms and baselines."""
    score = replicated_cells(draws, patient_blocks(model), rng)
    coords = {"subject": model.subject, "endpoint": model.names}
    return xr.Dataset({"score": (("chain", "draw", "subject", "endpoint"), score)}, coords=coords)


def draw_priors(model: PartsModel, size: int, *, seed: int) -> xr.Dataset:
    """Draw every parameter from its prior, and the parts' differences, which sum to the total's.

    Dims ``chain`` (1) and ``draw`` first; an improper prior is a SpecError.
    """
    count = len(model.parts)
    coords = {**model.coords, "plane": list(range(count - 1))}
    drawn = draw_parameters(list(model.parameters.values()), coords, size, seed=seed)
    rng = np.random.default_rng([seed, 1])
    noise = rng.normal(size=(1, size, count - 1)) @ plane_root(count).T
    apart = drawn["heterogeneity"] * xr.DataArray(noise, dims=("chain", "draw", "endpoint"))
    weight = xr.DataArray(model.weight, dims="endpoint", coords={"endpoint": model.names})
    partial = draw_partials(model.matrix, count, (1, size), rng)
    correlation = part_correlations(partial, count)
    return drawn.assign(
        endpoint_difference=(weight * drawn["treatment_difference"] + apart).transpose(
            "chain", "draw", "endpoint"
        ),
        part_correlation=(("chain", "draw", "pair"), correlation),
    ).assign_coords(pair=model.pairs)


def log_priors(draws: xr.Dataset, model: PartsModel) -> xr.Dataset:
    """Return the log prior density of each parameter, of the correlations up to a constant."""
    found = log_prior_densities(draws, list(model.parameters.values()))
    logs = log_matrix(model.matrix, _correlation(draws, model))
    shape = draws["treatment_difference"].shape
    return found.assign(part_correlation=(("chain", "draw"), logs.reshape(shape)))


def log_matrix(prior: Prior, correlation: FloatArray) -> FloatArray:
    """Return the log prior density of correlation matrices, first dim draw, up to a constant."""
    log_det = np.linalg.slogdet(correlation)[1]
    if prior.dist == "lkj":
        return np.asarray((prior.params["shape"] - 1) * log_det)
    size = correlation.shape[-1] + 1
    diagonal = np.einsum("dii->di", np.linalg.inv(correlation))
    return np.asarray(-size * log_det - size / 2 * np.log(diagonal).sum(axis=1))


def part_correlations(partial: FloatArray, count: int) -> FloatArray:
    """Return the correlations of the pairs of parts from partial ones, last dim pair."""
    matrix = correlation_matrix("unstructured", count, partial=partial)
    return np.asarray(pair_entries(matrix, count))


def _covariance(draws: xr.Dataset, model: PartsModel) -> FloatArray:
    """Return the covariance of a patient's parts, dims (sample, endpoint, endpoint)."""
    sd = flat_draws(draws, "sd_residual")
    return sd[:, :, None] * sd[:, None, :] * _correlation(draws, model)


def _correlation(draws: xr.Dataset, model: PartsModel) -> FloatArray:
    """Return the correlations of a patient's parts, dims (draw, endpoint, endpoint)."""
    count = len(model.parts)
    flat = flat_draws(draws, "part_correlation")
    matrix = np.broadcast_to(np.eye(count), (len(flat), count, count)).copy()
    for place, (row, column) in enumerate(zip(*np.tril_indices(count, -1), strict=True)):
        matrix[:, row, column] = matrix[:, column, row] = flat[:, place]
    return matrix
