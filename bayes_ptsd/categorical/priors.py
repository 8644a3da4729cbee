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
    """Return name in the posterior, prior and dim of every parameter of a specification.

    Examples
    --------
    >>> from bayes_ptsd.categorical.example import example_categories
    >>> from bayes_ptsd.categorical.model import categorical_model
    >>> from bayes_ptsd.spec import load_model
    >>> shapes = prior_shapes(categorical_model(example_categories(), load_model("ordinal")))
    >>> shapes["treatment"][0]
    'log_odds_ratio'
    """
    if model.separate_risks:
        return {name: (name, model.priors["risk"], None) for name in RISKS}
    names = {"treatment": model.effect, "gap_ratio": "log_gap_ratio"}
    return {
        key: (names.get(key, key), prior, "gap" if key == "gap_ratio" else None)
        for key, prior in model.priors.items()
    }


def induced_cutpoints(shares: FloatArray, link: str) -> FloatArray:
    """Return the cutpoints at which a link's distribution function cuts shares of categories.

    Parameters
    ----------
    shares : ndarray
        Probabilities of the categories, last axis, summing to one.
    link : {"logit", "probit"}
        Logistic or normal latent response.

    Returns
    -------
    ndarray
        Increasing; the last axis is one shorter.

    Examples
    --------
    >>> induced_cutpoints(np.array([0.25, 0.5, 0.25]), "logit").round(4)
    array([-1.0986,  1.0986])
    """
    below = np.cumsum(shares, axis=-1)[..., :-1]
    above = np.cumsum(shares[..., ::-1], axis=-1)[..., ::-1][..., 1:]
    if link == "logit":
        return np.asarray(np.log(below) - np.log(above))
    return np.asarray(np.where(below < above, special.ndtri(below), -special.ndtri(above)))


def draw_priors(model: CategoricalModel, size: int, *, seed: int) -> xr.Dataset:
    """Draw every parameter of a model from its prior.

    Parameters
    ----------
    model : CategoricalModel
        With proper priors.
    size : int
        Number of draws.
    seed : int
        Seed of the draws.

    Returns
    -------
    xr.Dataset
        Dims ``chain`` (1) and ``draw``; ``cutpoint`` by the category at or below which it cuts.

    Raises
    ------
    SpecError
        If a prior is improper.

    Examples
    --------
    >>> from bayes_ptsd.categorical.example import example_categories
    >>> from bayes_ptsd.categorical.model import categorical_model
    >>> from bayes_ptsd.spec import load_model
    >>> model = categorical_model(example_categories(), load_model("ordinal"))
    >>> draw_priors(model, 5, seed=1)["cutpoint"].dims
    ('chain', 'draw', 'at_most')
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

    Parameters
    ----------
    draws : xr.Dataset
        Parameters of the model, dims ``chain`` and ``draw``.
    model : CategoricalModel
        Its priors.

    Returns
    -------
    xr.Dataset
        One variable a parameter, with its dims. The Dirichlet prior of the shares is a constant,
        so that raising it to a power changes nothing.

    Examples
    --------
    >>> from bayes_ptsd.categorical.example import example_categories
    >>> from bayes_ptsd.categorical.model import categorical_model
    >>> from bayes_ptsd.spec import load_model
    >>> model = categorical_model(example_categories(), load_model("ordinal"))
    >>> sorted(log_priors(draw_priors(model, 10, seed=1), model))
    ['category_share', 'log_odds_ratio', 'period_effect', 'sd_subject']
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
