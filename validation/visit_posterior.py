"""Posterior of an unstructured longitudinal model without a chain: for the studies and the tests.

Given the covariance the coefficients are normal in closed form; covariances are drawn from an
inverse-Wishart distribution that fits the residuals, and weighted by importance. Nothing of the
PyMC builder is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayes_ptsd.priors import Prior
from bayes_ptsd.scaled_priors import PriorVector
from bayes_ptsd.structures.longitudinal.model import LongitudinalModel

__all__ = ["VisitPosterior", "VisitProblem", "problem_of", "visit_posterior"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class VisitProblem:
    """Scores, linear columns and priors.

    Attributes
    ----------
    values : ndarray
        Dims ``(subject, occasion)``, NaN where missing.
    columns : ndarray
        Dims ``(subject, occasion, coefficient)``.
    names : sequence of str
        Of the coefficients.
    location, scale : ndarray
        Normal priors of the coefficients.
    sd : sequence of Prior
        Priors of the standard deviations, one an occasion.
    matrix : Prior
        Of the correlations.
    """

    values: Floats
    columns: Floats
    names: Sequence[str]
    location: Floats
    scale: Floats
    sd: Sequence[Prior]
    matrix: Prior


@dataclass(frozen=True)
class VisitPosterior:
    """A posterior as weighted covariances, each with normal coefficients.

    Attributes
    ----------
    weight : ndarray
        Sums to one, dim ``(draw,)``.
    covariance : ndarray
        Dims ``(draw, occasion, occasion)``.
    mean : ndarray
        Dims ``(draw, coefficient)``.
    spread : ndarray
        Covariance of the coefficients, dims ``(draw, coefficient, coefficient)``.
    """

    weight: Floats
    covariance: Floats
    mean: Floats
    spread: Floats

    @property
    def effective(self) -> float:
        """Number of equally weighted draws that are worth as much."""
        return float(1 / (self.weight**2).sum())

    def moments(self, vector: Floats) -> tuple[float, float]:
        """Return mean and sd of a linear combination of the coefficients."""
        center, variance = self.combination(vector)
        mean = float(self.weight @ center)
        return mean, float(np.sqrt(self.weight @ (variance + (center - mean) ** 2)))

    def combination(self, vector: Floats) -> tuple[Floats, Floats]:
        """Return mean and variance of a linear combination given each covariance."""
        return self.mean @ vector, np.einsum("a,nab,b->n", vector, self.spread, vector)


def problem_of(model: LongitudinalModel) -> VisitProblem:
    """Return a longitudinal model with normal priors of its coefficients as arrays."""
    parameters = model.parameters
    columns, names, location, scale = [], [], [], []
    for key, table in _columns(model).items():
        prior = parameters[key].prior
        each = prior.priors if isinstance(prior, PriorVector) else (prior,) * len(table)
        for number, (one, own) in enumerate(zip(table, each, strict=True)):
            columns.append(one)
            names.append(f"{key}[{number}]")
            location.append(own.params["mu"])
            scale.append(own.params["sigma"])
    sd, matrix = parameters["sd_visit"].prior, model.priors["correlations"]
    assert isinstance(matrix, Prior)
    each_sd = sd.priors if isinstance(sd, PriorVector) else (sd,) * len(model.occasions)
    return VisitProblem(
        model.values, np.stack(columns, axis=-1), names, np.array(location), np.array(scale),
        each_sd, matrix,
    )  # fmt: skip


def visit_posterior(problem: VisitProblem, *, draws: int, seed: int) -> VisitPosterior:
    """Weight covariances around the residuals by their posterior density."""
    rng = np.random.default_rng(seed)
    whole = np.isfinite(problem.values).all(axis=1)
    squares, freedom = _residual_squares(problem.values[whole], problem.columns[whole])
    covariance, inverse = _inverse_wishart(squares, freedom, draws, rng)
    log_det = np.linalg.slogdet(covariance)[1]
    precision, pull, fit = _prior_terms(problem, draws)
    log_likelihood = np.zeros(draws)
    there = np.isfinite(problem.values)
    for pattern in np.unique(there, axis=0):
        rows, cells = np.flatnonzero((there == pattern).all(axis=1)), np.flatnonzero(pattern)
        part = covariance[:, cells[:, None], cells]
        weight = inverse if pattern.all() else np.linalg.inv(part)
        y, x = problem.values[np.ix_(rows, cells)], problem.columns[np.ix_(rows, cells)]
        precision += np.einsum("nab,iap,ibq->npq", weight, x, x, optimize=True)
        pull += np.einsum("nab,iap,ib->np", weight, x, y, optimize=True)
        fit += np.einsum("nab,ia,ib->n", weight, y, y, optimize=True)
        part_det = log_det if pattern.all() else np.linalg.slogdet(part)[1]
        log_likelihood -= 0.5 * len(rows) * part_det
    spread = np.linalg.inv(precision)
    mean = (spread @ pull[..., None])[..., 0]
    log_likelihood -= 0.5 * (fit - (mean * pull).sum(axis=1) + np.linalg.slogdet(precision)[1])
    log_weight = (
        log_likelihood
        + _log_prior(problem, covariance, inverse, log_det)
        - _log_proposal(squares, freedom, inverse, log_det)
    )
    weight = np.exp(log_weight - log_weight.max())
    return VisitPosterior(weight / weight.sum(), covariance, mean, spread)


def _columns(model: LongitudinalModel) -> dict[str, list[Floats]]:
    """Return the columns of each parameter, dims (subject, occasion)."""
    count, first = len(model.occasions), int(model.joint)
    unit = np.eye(count)
    ones = np.ones(len(model.active))
    benefit = model.sign * model.contrast
    found = {
        "treatment": [np.outer(benefit, unit[place]) for place in range(first, count)],
        "level": [np.outer(ones, unit[place]) for place in range(count)],
    }
    if model.baseline is not None:
        common = model.options["baseline"] == "common_slope"
        rows = [np.ones(count)] if common else list(unit)
        found["baseline_slope"] = [np.outer(model.baseline, row) for row in rows]
    if model.covariates.size:
        found["covariate"] = [np.outer(c, np.ones(count)) for c in model.covariates.values.T]
    return found


def _residual_squares(values: Floats, columns: Floats) -> tuple[Floats, float]:
    """Return cross-products of the residuals of least squares at each occasion, and their df."""
    found = np.empty_like(values)
    most = 0
    for place in range(values.shape[1]):
        table = columns[:, place]
        table = table[:, np.abs(table).max(axis=0) > 0]
        found[:, place] = values[:, place] - table @ np.linalg.lstsq(table, values[:, place])[0]
        most = max(most, table.shape[1])
    return found.T @ found, float(len(values) - most)


def _inverse_wishart(
    squares: Floats, freedom: float, draws: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Draw covariances and their inverses, by Bartlett's decomposition."""
    count = len(squares)
    lower = np.tril(rng.normal(size=(draws, count, count)), -1)
    places = np.arange(count)
    lower[:, places, places] = np.sqrt(rng.chisquare(freedom - places, size=(draws, count)))
    root = np.linalg.cholesky(np.linalg.inv(squares)) @ lower
    inverse = root @ np.swapaxes(root, 1, 2)
    return np.linalg.inv(inverse), inverse


def _log_proposal(squares: Floats, freedom: float, inverse: Floats, log_det: Floats) -> Floats:
    """Return the log density of the proposal, up to a constant."""
    trace = np.einsum("ab,nab->n", squares, inverse)
    return np.asarray(-0.5 * ((freedom + len(squares) + 1) * log_det + trace))


def _log_prior(
    problem: VisitProblem, covariance: Floats, inverse: Floats, log_det: Floats
) -> Floats:
    """Return the log prior density of covariances, up to a constant, as it is published."""
    variance = np.einsum("naa->na", covariance)
    sd, count = np.sqrt(variance), covariance.shape[1]
    log_det = log_det - np.log(variance).sum(axis=1)
    if problem.matrix.dist == "lkj":
        density = (problem.matrix.params["shape"] - 1) * log_det
    else:
        scaled = np.einsum("naa->na", inverse) * variance
        density = -(count + 1) * log_det - (count + 1) / 2 * np.log(scaled).sum(axis=1)
    # from standard deviations and correlations to covariances
    density = density - count * np.log(sd).sum(axis=1)
    each = [prior.logpdf(sd[:, place]) for place, prior in enumerate(problem.sd)]
    return np.asarray(density + np.sum(each, axis=0))


def _prior_terms(problem: VisitProblem, draws: int) -> tuple[Floats, Floats, Floats]:
    """Return precision, pull and square of the normal priors, repeated for every draw."""
    share = problem.scale**-2
    return (
        np.tile(np.diag(share), (draws, 1, 1)),
        np.tile(share * problem.location, (draws, 1)),
        np.full(draws, float(share @ problem.location**2)),
    )


def coefficient(problem: VisitProblem, weights: Mapping[str, float] | str) -> Floats:
    """Return the vector of a coefficient by name, or of a combination of several."""
    chosen: Mapping[str, Any] = {weights: 1.0} if isinstance(weights, str) else weights
    return np.array([float(chosen.get(name, 0.0)) for name in problem.names])
