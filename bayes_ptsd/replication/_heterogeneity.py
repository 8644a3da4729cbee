"""What another trial adds to a posterior: the difference between two trials' own parameters."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy import special

from bayes_ptsd.exact.grid import spread_grid
from bayes_ptsd.exact.history import Heterogeneity
from bayes_ptsd.priors import FloatArray, Prior
from bayes_ptsd.replication.mixtures import mixture_parts

__all__ = ["predictive_grid", "spread_nodes"]

NODES = 141


def spread_nodes(scale: float) -> tuple[FloatArray, FloatArray]:
    """Return sds of the difference between two trials, and weights, under a half-normal prior.

    Both trials scatter around a common mean with sd tau, so that their difference has the variance
    ``2 tau^2``. The trapezoidal rule in log tau.

    Examples
    --------
    >>> sd, weight = spread_nodes(3.0)
    >>> round(float(weight @ sd**2), 6)
    18.0
    """
    x = np.log(scale) + np.linspace(-18, 2.2, NODES)
    tau = np.exp(x)
    weight = np.exp(Heterogeneity("half-normal", scale).logpdf(tau) + x)
    return np.sqrt(2) * tau, weight / weight.sum()


def predictive_grid(posterior: Prior, *, scale: float) -> xr.Dataset:
    """Return the distribution of another trial's difference on a grid.

    Parameters
    ----------
    posterior : Prior
        Of this trial's difference: normal, or a mixture of normals.
    scale : float
        Scale of the half-normal prior of the standard deviation between trials, score units.

    Returns
    -------
    xr.Dataset
        ``value, pdf, cdf`` on dim ``grid``; scalars ``mean, sd``.

    Examples
    --------
    >>> from bayes_ptsd.priors import normal
    >>> round(float(predictive_grid(normal(8, 4.0), scale=3.0)["sd"]) ** 2, 4)
    34.0
    """
    weights, parts = mixture_parts(posterior)
    mu, sigma = (np.array([part.params[key] for part in parts]) for key in ("mu", "sigma"))
    extra, mass = spread_nodes(scale)
    spread = np.hypot(sigma[:, None], extra).ravel()
    center = np.repeat(mu, NODES)
    share = (weights[:, None] * mass).ravel()
    mean = float(share @ center)
    sd = float(np.sqrt(share @ (spread**2 + (center - mean) ** 2)))
    anchors = [*zip(mu.tolist(), np.hypot(sigma, scale).tolist(), strict=True), (mean, sd)]
    points = spread_grid(anchors, heavy=False)
    z = (points[:, None] - center) / spread
    pdf = (np.exp(-0.5 * z**2) / spread) @ share / np.sqrt(2 * np.pi)
    return xr.Dataset({
        "value": ("grid", points), "pdf": ("grid", pdf), "cdf": ("grid", special.ndtr(z) @ share),
        "mean": mean, "sd": sd,
    })  # fmt: skip
