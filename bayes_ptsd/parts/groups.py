"""Prior draws, likelihood and predictions of the parts of a total, from draws of the parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.gaussian.covariance import correlation_entries, draw_partials
from bayes_ptsd.gaussian.parameters import draw_parameters, log_prior_densities
from bayes_ptsd.parts.model import PartsModel, plane_root
from bayes_ptsd.priors import FloatArray, Prior

__all__ = ["draw_priors", "log_matrix", "part_correlations", "parts_groups"]

# prior draws serve figures and checks; a probability has a Monte Carlo error of at most .016
PRIOR_DRAWS = 1000


def part_correlations(partial: Any, count: int) -> list[Any]:
    """Return the correlations of the pairs of parts, by pair, from partial ones, last dim pair."""
    pairs = range(count * (count - 1) // 2)
    entries = correlation_entries("unstructured", count, partial=[partial[..., k] for k in pairs])
    return [entries[i][j] for i in range(count) for j in range(i)]


def draw_priors(model: PartsModel, size: int, *, seed: int) -> xr.Dataset:
    """Draw every parameter from its prior, and the parts' differences, which sum to the total's.

    Dims ``chain`` (1) and ``draw`` first; an improper prior is a SpecError.
    """
    count = len(model.parts)
    coords = {**model.coords, "plane": list(range(count - 1))}
    drawn = draw_parameters(model.parameters, coords, size, seed=seed)
    rng = np.random.default_rng([seed, 1])
    noise = rng.normal(size=(1, size, count - 1)) @ plane_root(count).T
    apart = drawn["heterogeneity"] * xr.DataArray(noise, dims=("chain", "draw", "endpoint"))
    weight = xr.DataArray(model.weight, dims="endpoint", coords={"endpoint": model.names})
    partial = draw_partials(model.matrix, count, (1, size), rng)
    correlation = np.stack(part_correlations(partial, count), axis=-1)
    return drawn.assign(
        endpoint_difference=(weight * drawn["treatment_difference"] + apart).transpose(
            "chain", "draw", "endpoint"
        ),
        part_correlation=(("chain", "draw", "pair"), correlation),
    ).assign_coords(pair=model.pairs)


def parts_groups(posterior: xr.Dataset, model: PartsModel, *, seed: int) -> dict[str, xr.Dataset]:
    """Compute data, predictive, likelihood and prior groups from draws of the parameters.

    ``log_likelihood`` is by subject, of all parts together.
    """
    after, before = np.random.default_rng(seed).spawn(2)
    drawn = draw_priors(model, PRIOR_DRAWS, seed=seed)
    constants: dict[str, Any] = {"active": ("subject", model.active)}
    if model.baseline is not None:
        constants["baseline_centered"] = (("subject", "endpoint"), model.baseline)
    return {
        "observed_data": model.observed,
        "constant_data": xr.Dataset(constants, coords={"subject": model.subject}),
        "posterior_predictive": _replicated(posterior, model, after),
        "log_likelihood": _log_likelihood(posterior, model),
        "log_prior": _log_prior(posterior, model),
        "prior": drawn,
        "prior_predictive": _replicated(drawn, model, before),
    }


def _log_prior(draws: xr.Dataset, model: PartsModel) -> xr.Dataset:
    """Return the log prior density of each parameter, of the correlations up to a constant."""
    found = log_prior_densities(draws, model.parameters)
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


def _correlation(draws: xr.Dataset, model: PartsModel) -> FloatArray:
    """Return the correlations of a patient's parts, dims (draw, endpoint, endpoint)."""
    count = len(model.parts)
    table = draws["part_correlation"].transpose("chain", "draw", "pair").values
    flat = table.reshape(-1, table.shape[-1])
    matrix = np.broadcast_to(np.eye(count), (len(flat), count, count)).copy()
    for place, (row, column) in enumerate(zip(*np.tril_indices(count, -1), strict=True)):
        matrix[:, row, column] = matrix[:, column, row] = flat[:, place]
    return matrix


def _moments(draws: xr.Dataset, model: PartsModel) -> tuple[FloatArray, FloatArray]:
    """Return means (draw, subject, endpoint) and covariances (draw, endpoint, endpoint)."""

    def flat(name: str) -> FloatArray:
        values = draws[name].transpose("chain", "draw", "endpoint").values
        return np.asarray(values.reshape(-1, values.shape[-1]))

    treatment = model.sign * model.contrast
    mean = flat("level")[:, None, :]
    mean = mean + treatment[None, :, None] * flat("endpoint_difference")[:, None, :]
    if model.baseline is not None:
        mean = mean + flat("baseline_slope")[:, None, :] * model.baseline
    sd = flat("sd_residual")
    covariance = sd[:, :, None] * sd[:, None, :] * _correlation(draws, model)
    return mean, covariance


def _log_likelihood(draws: xr.Dataset, model: PartsModel) -> xr.Dataset:
    """Return the log density of each patient's parts together."""
    mean, covariance = _moments(draws, model)
    root = np.linalg.cholesky(covariance)
    away = np.swapaxes(model.score - mean, 1, 2)
    standard = np.linalg.solve(root, away)
    log_det = np.log(np.einsum("dii->di", root)).sum(axis=1)
    constant = 0.5 * len(model.parts) * np.log(2 * np.pi)
    logs = -0.5 * (standard**2).sum(axis=1) - log_det[:, None] - constant
    shape = (*draws["treatment_difference"].shape, len(model.score))
    coords = {"subject": model.subject}
    return xr.Dataset({"score": (("chain", "draw", "subject"), logs.reshape(shape))}, coords=coords)


def _replicated(draws: xr.Dataset, model: PartsModel, rng: np.random.Generator) -> xr.Dataset:
    """Draw the parts of new patients with the same arms and baselines."""
    mean, covariance = _moments(draws, model)
    root = np.linalg.cholesky(covariance)
    score = mean + np.einsum("dij,dsj->dsi", root, rng.normal(size=mean.shape))
    shape = (*draws["treatment_difference"].shape, *model.score.shape)
    return xr.Dataset(
        {"score": (("chain", "draw", "subject", "endpoint"), score.reshape(shape))},
        coords={"subject": model.subject, "endpoint": model.names},
    )
