"""Prior draws and prior densities of a model of ordered categories, by parameter.

The shares of the categories at the reference (midway between the treatments and between the periods
on the scale of the link, average baseline, a patient effect of zero) have a Dirichlet distribution
with all shapes 1; the cutpoints are where the link's distribution function cuts these shares.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy import special

from bayes_ptsd.categorical.model import CategoricalModel
from bayes_ptsd.priors import FloatArray, Prior

__all__ = ["draw_priors", "induced_cutpoints", "log_priors", "prior_shapes"]


RISKS = ("risk_active", "risk_control")


def prior_shapes(model: CategoricalModel) -> dict[str, tuple[str, Prior, str | None]]:
    """Return name in the posterior, prior and dim of every parameter of a specification."""
    if model.separate_risks:
        return {name: (name, model.priors["risk"], None) for name in RISKS}
    names = {"treatment": model.effect, "gap_ratio": "log_gap_ratio"}
    return {
        key: (names.get(key, key), prior, "gap" if key == "gap_ratio" else None)
        for key, prior in model.priors.items()
    }


def induced_cutpoints(shares: FloatArray, link: str) -> FloatArray:
    """Return the cutpoints at which a link's distribution function cuts shares of categories.

    Shares sum to one over the last axis, which is one shorter in what is returned; it increases.
    """
    below = np.cumsum(shares, axis=-1)[..., :-1]
    above = np.cumsum(shares[..., ::-1], axis=-1)[..., ::-1][..., 1:]
    if link == "logit":
        return np.asarray(np.log(below) - np.log(above))
    return np.asarray(np.where(below < above, special.ndtri(below), -special.ndtri(above)))


def draw_priors(model: CategoricalModel, size: int, *, seed: int) -> xr.Dataset:
    """Draw every parameter of a model from its prior; an improper one is refused.

    Dims ``chain`` (1) and ``draw``; ``cutpoint`` by the category at or below which it cuts.
    """
    rng = np.random.default_rng(seed)
    drawn: dict[str, xr.Variable] = {}
    for name, prior, dim in prior_shapes(model).values():
        shape = (1, size) if dim is None else (1, size, len(model.coords[dim]))
        dims = ("chain", "draw") if dim is None else ("chain", "draw", dim)
        drawn[name] = xr.Variable(dims, prior.quantile(rng.uniform(size=shape)))
    coords = {"chain": [0], "draw": np.arange(size)}
    if model.separate_risks:
        return xr.Dataset(drawn, coords=coords)
    shares = rng.dirichlet(np.ones(len(model.categories)), size=(1, size))
    cuts = induced_cutpoints(shares, model.link)
    drawn["cutpoint"] = xr.Variable(("chain", "draw", "at_most"), cuts)
    labels = {name: model.coords[name] for name in ("at_most", "gap")}
    found = xr.Dataset(drawn, coords={**coords, **labels})
    return found if model.by_arm else found.drop_vars("gap")


def log_priors(draws: xr.Dataset, model: CategoricalModel) -> xr.Dataset:
    """Return the log prior density of each parameter at each draw.

    The Dirichlet prior of the shares is a constant, so that raising it to a power changes nothing.
    """
    found = {
        name: draws[name].copy(data=prior.logpdf(draws[name].values))
        for name, prior, _ in prior_shapes(model).values()
    }
    if model.separate_risks:
        return xr.Dataset(found)
    constant = float(special.gammaln(len(model.categories)))
    found["category_share"] = xr.full_like(draws[model.effect], constant)
    return xr.Dataset(found)
