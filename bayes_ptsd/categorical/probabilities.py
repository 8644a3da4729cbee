"""Probabilities of categories from draws of the parameters, patient effects integrated out.

A patient effect is a normal variable; what depends on it is averaged by the trapezoidal rule, which
for smooth functions on the whole line converges faster than Gauss-Hermite nodes [1].
``p(categories of a patient | parameters)`` is what leave-one-subject-out needs, and replicates are
of new patients. Equations in ``docs/methods/ordinal.md``.

[1] Trefethen LN, Weideman JAC. The exponentially convergent trapezoidal rule. SIAM Review
2014;56:385-458.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy import special

from bayes_ptsd.categorical.model import CategoricalModel
from bayes_ptsd.priors import FloatArray

__all__ = [
    "cell_probabilities",
    "replicated_categories",
    "subject_log_likelihood",
    "subject_nodes",
]

NODES = np.linspace(-8.0, 8.0, 81)
"""Patient effects in standard deviations. The error is about exp(-2 pi^2 / (0.2 sd)) for the logit
and exp(-2 pi^2 / (0.2 sd)^2) for the probit link: 1e-8 and less up to a patient sd of 5."""


def subject_nodes() -> tuple[FloatArray, FloatArray]:
    """Return nodes and weights of a standard normal variable."""
    weights = np.exp(-(NODES**2) / 2)
    return NODES, weights / weights.sum()


def cell_probabilities(
    draws: xr.Dataset,
    model: CategoricalModel,
    *,
    active: FloatArray,
    second: FloatArray,
    baseline: FloatArray,
) -> FloatArray:
    """Return category probabilities of new patients, dims (sample, cell, category).

    Patient effects are integrated out; of each cell `active` and `second` (period) are 0 or 1 and
    the baseline is centered.
    """
    flat = _flat(draws)
    cuts = _cuts(flat, model, active=active, second=second, baseline=baseline)
    if "sd_subject" not in flat:
        return _shares(cuts, model.link)
    spread = flat["sd_subject"].values[:, None, None]
    if model.link == "probit":
        # a normal effect in front of a normal response is again normal
        return _shares(cuts / np.sqrt(1 + spread**2), "probit")
    total = np.zeros((*cuts.shape[:2], cuts.shape[2] + 1))
    for node, weight in zip(*subject_nodes(), strict=True):
        total += weight * _shares(cuts - spread * node, model.link)
    return total


def subject_log_likelihood(draws: xr.Dataset, model: CategoricalModel) -> xr.DataArray:
    """Return the log probability of each subject's categories, dims (chain, draw, subject).

    The patient's effect is integrated out.
    """
    flat, scores = _flat(draws), model.scores
    patterns, which = _patterns(model)
    found = np.stack([_pattern_log_likelihood(flat, model, int(i)) for i in patterns], axis=1)
    shape = (draws.sizes["chain"], draws.sizes["draw"], len(scores.subject))
    coords = {"chain": draws["chain"], "draw": draws["draw"], "subject": scores.subject}
    values = found[:, which].reshape(shape)
    return xr.DataArray(values, dims=("chain", "draw", "subject"), coords=coords)


def replicated_categories(
    draws: xr.Dataset, model: CategoricalModel, rng: np.random.Generator
) -> xr.Dataset:
    """Draw the categories of new patients with the same sequences and the same missing cells.

    ``score`` has dims (chain, draw, subject, period), as recorded, NaN where there is none.
    """
    flat, scores = _flat(draws), model.scores
    count = flat.sizes["sample"]
    effect = np.zeros((count, len(scores.subject)))
    if "sd_subject" in flat:
        effect = flat["sd_subject"].values[:, None] * rng.normal(size=effect.shape)
    drawn = np.empty((count, *scores.place.shape))
    for column in range(scores.place.shape[1]):
        cuts = _period_cuts(flat, model, np.arange(len(scores.subject)), column)
        below = _below(cuts - effect[:, :, None], model.link)
        rank = (rng.uniform(size=effect.shape)[:, :, None] > below).sum(axis=-1)
        drawn[:, :, column] = np.where(scores.there[:, column], model.categories[rank], np.nan)
    shape = (draws.sizes["chain"], draws.sizes["draw"], *scores.place.shape)
    data = {"score": (("chain", "draw", "subject", "period"), drawn.reshape(shape))}
    coords = {name: draws[name] for name in ("chain", "draw")}
    return xr.Dataset(data, coords={**coords, **model.observed.drop_vars(["score"]).coords})


def _flat(draws: xr.Dataset) -> xr.Dataset:
    """Return draws with one dim for all samples, in front."""
    return draws.stack(sample=("chain", "draw")).transpose("sample", ...)


def _cuts(
    flat: xr.Dataset,
    model: CategoricalModel,
    *,
    active: FloatArray,
    second: FloatArray,
    baseline: FloatArray,
) -> FloatArray:
    """Return cutpoint less linear predictor of each cell, dims (sample, cell, cut)."""
    if model.separate_risks:
        risks = np.stack([flat["risk_control"].values, flat["risk_active"].values], axis=1)
        return np.asarray(-special.logit(risks)[:, active.astype(int), None])
    cut, treatment = flat["cutpoint"].values[:, None, :], active - 0.5
    if "log_gap_ratio" in flat:
        ratio = flat["log_gap_ratio"].values[:, None, :] * treatment[:, None]
        cut = spaced_cutpoints(cut, ratio)
    eta = model.sign * flat[model.effect].values[:, None] * treatment
    if "period_effect" in flat:
        eta = eta + flat["period_effect"].values[:, None] * (second - 0.5)
    if "baseline_slope" in flat:
        eta = eta + flat["baseline_slope"].values[:, None] * baseline
    return np.asarray(cut - eta[:, :, None])


def spaced_cutpoints(cutpoint: FloatArray, log_ratio: FloatArray) -> FloatArray:
    """Return cutpoints with gaps times ``exp(log_ratio)`` and the same mean, last dim cut."""
    gaps = np.diff(cutpoint, axis=-1) * np.exp(log_ratio)
    start = np.zeros_like(gaps[..., :1])
    steps = np.concatenate([start, np.cumsum(gaps, axis=-1)], axis=-1)
    center = cutpoint.mean(axis=-1, keepdims=True) - steps.mean(axis=-1, keepdims=True)
    return np.asarray(steps + center)


def _below(cuts: FloatArray, link: str) -> FloatArray:
    """Return the distribution function of the latent response."""
    return np.asarray(special.expit(cuts) if link == "logit" else special.ndtr(cuts))


def _shares(cuts: FloatArray, link: str) -> FloatArray:
    """Return the probabilities of the categories between cuts, the last axis one longer."""
    below = _below(cuts, link)
    # each difference is taken in the tail where the numbers are small
    above = _below(-cuts, link)
    inner = np.where(cuts[..., :-1] > 0, above[..., :-1] - above[..., 1:], np.diff(below))
    return np.concatenate([below[..., :1], inner, above[..., -1:]], axis=-1)


def _period_cuts(
    flat: xr.Dataset, model: CategoricalModel, rows: np.ndarray, column: int
) -> FloatArray:
    """Return the cuts of subjects in one period, dims (sample, subject, cut)."""
    scores = model.scores
    baseline = np.zeros(len(scores.subject)) if scores.baseline is None else scores.baseline
    return _cuts(
        flat, model,
        active=scores.active[rows, column],
        second=np.full(len(rows), float(column)),
        baseline=baseline[rows],
    )  # fmt: skip


def _patterns(model: CategoricalModel) -> tuple[np.ndarray, np.ndarray]:
    """Return a subject of each pattern of data, and which pattern each subject has."""
    scores = model.scores
    columns = [np.where(scores.there, scores.place, -1), scores.active]
    columns += [] if scores.baseline is None else [scores.baseline[:, None]]
    _, first, which = np.unique(
        np.concatenate(columns, axis=1), axis=0, return_index=True, return_inverse=True
    )
    return first, which.ravel()


def _pattern_log_likelihood(flat: xr.Dataset, model: CategoricalModel, row: int) -> FloatArray:
    """Return the log probability of one subject's categories, dim (sample)."""
    scores, rows = model.scores, np.array([row])
    columns = np.flatnonzero(scores.there[row])
    cuts = [_period_cuts(flat, model, rows, int(column))[:, 0] for column in columns]
    nodes, weights = subject_nodes() if "sd_subject" in flat else (np.zeros(1), np.ones(1))
    spread = flat["sd_subject"].values if "sd_subject" in flat else np.zeros(len(cuts[0]))
    log_p = np.zeros((len(spread), len(nodes)))
    with np.errstate(divide="ignore"):
        for cut, column in zip(cuts, columns, strict=True):
            moved = cut[:, None, :] - (spread[:, None] * nodes)[:, :, None]
            log_p += np.log(_one_share(moved, int(scores.place[row, column]), model.link))
        return np.asarray(special.logsumexp(log_p, b=weights, axis=1))


def _one_share(cuts: FloatArray, place: int, link: str) -> FloatArray:
    """Return the probability of one category."""
    around = cuts[..., max(place - 1, 0) : place + 1]
    shares = _shares(around, link)
    return np.asarray(shares[..., min(place, 1)])
