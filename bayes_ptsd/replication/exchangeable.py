"""Another trial's difference from this trial's: the two are exchangeable.

``theta_1, theta_2 | mu ~ N(mu, t^2)`` and ``mu ~ N(m, A^2 - t^2)``, so that this trial's difference
keeps the prior N(m, A^2) that it was estimated under. Then ``theta_2 | theta_1`` has the mean
``m + r (theta_1 - m)`` and the variance ``A^2 (1 - r^2)``, with ``r = 1 - t^2/A^2``, t the smaller
of tau and A. What shrank the estimate of this trial shrinks that of the other as well,
and more heterogeneity shrinks it more. Under a flat prior the two differ by N(0, 2 tau^2). Data say
nothing about tau, which is integrated over its half-normal prior. A mixture is treated component by
component.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy import special, stats

from bayes_ptsd.errors import SpecError
from bayes_ptsd.exact.grid import grid_of_density, spread_grid
from bayes_ptsd.exact.mixture import Mixture
from bayes_ptsd.priors import FloatArray, Prior, normal, prior_from_table, student_t
from bayes_ptsd.replication.mixtures import fit_mixture, mixed, mixture_of_draws, mixture_parts

__all__ = [
    "OwnEffect",
    "heterogeneity_nodes",
    "other_trial",
    "own_effect",
    "posterior_mixture",
    "predictive_grid",
    "prior_components",
    "stated_prior",
]

DIFFERENCE = "treatment_difference"
# Beyond 5.4 lies 7e-8 of a normal; steps of twice these .45 are still exact to 1e-7.
SCORES = np.linspace(-5.4, 5.4, 25)
SCORE_WEIGHT = np.exp(-0.5 * SCORES**2) / np.exp(-0.5 * SCORES**2).sum()
"""A t distribution as a mixture of 25 normals, whose variances are at equal normal scores."""
NODE, NODE_WEIGHT = np.polynomial.legendre.leggauss(48)
DEPTH = 25.0
"""Nodes of tau are even in its logarithm, down to e^-25 of the largest: 48 of them give moments
and probabilities to 1e-7."""
FAR = 7.0
"""Scales beyond which a half-normal has a mass of 3e-12."""
LEAST = 1e-9
"""Share below which a component moves no probability that is printed."""


@dataclass(frozen=True)
class OwnEffect:
    """The difference of this trial before and after its data, component by component."""

    weight: FloatArray  # posterior weight of each component
    center: FloatArray  # mean of its prior, score units
    width: FloatArray  # sd of its prior; infinite for a flat one
    mean: FloatArray  # mean of its posterior, which is normal
    sd: FloatArray  # sd of its posterior

    @classmethod
    def of_normal(cls, likelihood: Prior, prior: Prior) -> OwnEffect:
        """Return it from a likelihood, normal or Student-t, and the prior."""
        share, scale = _as_normals(likelihood)
        weight, center, width = prior_components(prior)
        estimate = likelihood.params["mu"]
        total = np.hypot(scale[:, None], width)
        logs = np.log(share)[:, None] + np.log(weight)
        if np.isfinite(width).all():
            logs = logs - 0.5 * ((estimate - center) / total) ** 2 - np.log(total)
        keep = np.where(np.isfinite(width), scale[:, None] ** 2 / total**2, 0.0)
        mean = estimate + keep * (center - estimate)
        sd = scale[:, None] * np.sqrt(1 - keep)
        posterior = np.exp(logs - special.logsumexp(logs))
        shape = posterior.shape
        return cls(
            posterior.ravel(), np.broadcast_to(center, shape).ravel(),
            np.broadcast_to(width, shape).ravel(), mean.ravel(), sd.ravel(),
        )  # fmt: skip

    @classmethod
    def of_posterior(cls, posterior: Prior, prior: Prior) -> OwnEffect:
        """Return it from a posterior, a mixture of normals, and the prior that it was made under.

        Under a prior with components, each has the posterior times its share of the prior density,
        which mixtures of normals approximate.
        """
        weight, center, width = prior_components(prior)
        if len(weight) == 1:
            return cls._under_one(posterior, float(center[0]), float(width[0]))
        parts = [normal(m, s) for m, s in zip(center, width, strict=True)]
        anchors = [(part.mean, part.sd) for part in mixture_parts(posterior)[1]]
        points = spread_grid(anchors, heavy=False)
        found = []
        for w, part in zip(weight, parts, strict=True):

            def log_density(x: FloatArray, w: float = w, part: Prior = part) -> FloatArray:
                shares = np.log(weight) + np.stack([one.logpdf(x) for one in parts], axis=-1)
                own = math.log(w) + part.logpdf(x) - special.logsumexp(shares, axis=-1)
                return np.asarray(posterior.logpdf(x) + own)

            exact, log_mass = grid_of_density(log_density, points)
            if math.exp(log_mass) > LEAST:
                one = cls._under_one(fit_mixture(exact).prior, part.mean, part.sd)
                found.append((math.exp(log_mass), one))
        return cls(*(
            np.concatenate([getattr(one, name) * (mass if name == "weight" else 1.0)
                            for mass, one in found])
            for name in ("weight", "center", "width", "mean", "sd")
        ))  # fmt: skip

    @classmethod
    def _under_one(cls, posterior: Prior, center: float, width: float) -> OwnEffect:
        """Return it from a posterior under a prior of one component."""
        weight, parts = mixture_parts(posterior)
        mean, sd = (np.array([part.params[key] for part in parts]) for key in ("mu", "sigma"))
        return cls(weight, np.full_like(mean, center), np.full_like(mean, width), mean, sd)

    @property
    def posterior(self) -> Prior:
        """The posterior of this trial's difference, a mixture of normals."""
        kept = self.weight > LEAST
        parts = [normal(m, s) for m, s in zip(self.mean[kept], self.sd[kept], strict=True)]
        return mixed(parts, (self.weight[kept] / self.weight[kept].sum()).tolist())

    def capped(self, scale: float) -> list[dict[str, float]]:
        """Return, by prior sd, its posterior weight and the mass of tau that is capped there."""
        widths = np.unique(self.width[np.isfinite(self.width)])
        return [
            {
                "prior_sd": float(width),
                "weight": float(self.weight[self.width == width].sum()),
                "capped_mass": _capped(scale, float(width)),
            }
            for width in widths
        ]


def own_effect(fit: xr.DataTree) -> OwnEffect:
    """Return a fit's treatment difference with the prior that it was estimated under.

    Of a printed row the likelihood is used, else the density of the posterior where it is exact,
    else its draws.
    """
    data = fit["constant_data"].to_dataset() if "constant_data" in fit.children else xr.Dataset()
    if {"se", "df"} <= set(data):
        se, df = float(data["se"]), float(data["df"])
        estimate = float(fit["observed_data"]["estimate"])
        exact = student_t(df, estimate, se)
        return OwnEffect.of_normal(exact, stated_prior(fit))
    return OwnEffect.of_posterior(posterior_mixture(fit), stated_prior(fit))


def posterior_mixture(fit: xr.DataTree) -> Prior:
    """Return the posterior of the treatment difference as a mixture of a few normals.

    Fitted to the exact density where there is one, else to the draws (components by BIC).
    """
    groups = {key: fit.children[key].to_dataset() for key in fit.children}
    if "exact" in groups and DIFFERENCE in groups["exact"]["estimand"].to_numpy():
        return fit_mixture(groups["exact"].sel(estimand=DIFFERENCE)).prior
    if "posterior" in groups and DIFFERENCE in groups["posterior"]:
        return mixture_of_draws(groups["posterior"][DIFFERENCE].to_numpy().ravel())
    raise SpecError("this result has no treatment difference, so it cannot become a prior of one")


def stated_prior(fit: xr.DataTree) -> Prior:
    """Return the prior that a fit's treatment difference was estimated under, or refuse."""
    if "prior_table" not in fit.attrs:
        raise SpecError(
            f"{fit.attrs.get('result_id', 'this result')} does not keep the prior of its "
            "treatment difference, which another trial's depends on; fit it anew"
        )
    return prior_from_table(json.loads(fit.attrs["prior_table"]))


def heterogeneity_nodes(scale: float, cap: float) -> tuple[FloatArray, FloatArray]:
    """Return values of ``min(tau, cap)`` and weights under a half-normal prior of tau."""
    if not scale > 0:
        return np.zeros(1), np.ones(1)
    top = min(cap, FAR * scale)
    tau = top * np.exp(-DEPTH * (1 - NODE) / 2)
    weight = NODE_WEIGHT * DEPTH / 2 * tau * 2 * stats.norm.pdf(tau / scale) / scale
    capped = _capped(scale, cap)
    weight *= (1 - capped) / weight.sum()
    return np.append(tau, top), np.append(weight, capped)


def prior_components(prior: Prior) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return weights, means and sds of a prior's normals; a flat one has an infinite sd."""
    weights, parts = mixture_parts(prior)
    found = []
    for weight, part in zip(weights, parts, strict=True):
        if part.dist == "flat":
            return np.ones(1), np.zeros(1), np.array([np.inf])
        if part.dist not in ("normal", "student_t", "cauchy"):
            raise SpecError(
                f"the prior of this trial's difference is {part.formula}; for a replication it "
                "must be flat, normal, Student-t or a mixture of these: fit under one of them"
            )
        share, width = _as_normals(part)
        found.append((weight * share, np.full_like(width, part.params["mu"]), width))
    columns = [np.concatenate(column) for column in zip(*found, strict=True)]
    return columns[0], columns[1], columns[2]


def predictive_grid(own: OwnEffect, *, scale: float) -> xr.Dataset:
    """Return the distribution of another trial's difference: ``value, pdf, cdf``, dim ``grid``.

    `scale` is that of the half-normal prior of the sd between trials, score units.
    """
    found = other_trial(own, scale=scale)
    share, center, spread = found.weight, found.center, found.spread
    mean, sd = found.mean, found.sd
    narrow = int(np.argmin(np.where(share > 0.01 * share.max(), spread, np.inf)))
    points = spread_grid([(mean, sd), (float(center[narrow]), float(spread[narrow]))], heavy=False)
    z = (points[:, None] - center) / spread
    pdf = (np.exp(-0.5 * z**2) / spread) @ share / np.sqrt(2 * np.pi)
    return xr.Dataset({
        "value": ("grid", points), "pdf": ("grid", pdf), "cdf": ("grid", special.ndtr(z) @ share),
        "mean": mean, "sd": sd,
    })  # fmt: skip


def other_trial(own: OwnEffect, *, scale: float) -> Mixture:
    """Return another trial's difference as a mixture over components and tau, score units.

    `scale` is that of the half-normal prior of the sd between trials.
    """
    parts = []
    for width in np.unique(own.width):
        one = own.width == width
        tau, mass = heterogeneity_nodes(scale, float(width))
        lost = (tau / width) ** 2
        # A^2 (1 - r^2) with r = 1 - t^2/A^2; its limit under a flat prior is 2 t^2
        extra = tau**2 * (2 - lost)
        mean, sd, middle = own.mean[one, None], own.sd[one, None], own.center[one, None]
        parts.append((
            (own.weight[one, None] * mass).ravel(),
            (mean + lost * (middle - mean)).ravel(),
            np.sqrt(((1 - lost) * sd) ** 2 + extra).ravel(),
        ))  # fmt: skip
    share, center, spread = (np.concatenate(column) for column in zip(*parts, strict=True))
    kept = share > LEAST / len(share)
    return Mixture(share[kept] / share[kept].sum(), center[kept], spread[kept])


def _capped(scale: float, width: float) -> float:
    """Return the half-normal mass of tau beyond the prior's own standard deviation."""
    return float(2 * special.ndtr(-width / scale))


def _as_normals(likelihood: Prior) -> tuple[FloatArray, FloatArray]:
    """Return weights and sds of normals around one location that make up a normal or a t."""
    sigma = likelihood.params["sigma"]
    if likelihood.dist == "normal":
        return np.ones(1), np.array([sigma])
    nu = likelihood.params.get("nu", 1.0)
    chi_square = 2 * special.gammaincinv(nu / 2, special.ndtr(SCORES))
    return SCORE_WEIGHT, sigma * np.sqrt(nu / chi_square)
