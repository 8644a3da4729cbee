"""A MAP prior from historical trials: density, mixture, robust mixture, worth in patients."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.errors import SpecError
from bayes_ptsd.exact.grid import grid_quantile
from bayes_ptsd.exact.history import Heterogeneity, HistoricalTrials
from bayes_ptsd.exact.meta import map_posterior
from bayes_ptsd.priors import Prior, normal
from bayes_ptsd.replication.mixtures import FittedMixture, fit_mixture, mixture_parts, robustify
from bayes_ptsd.replication.worth import effective_sizes, weak_component_worth

__all__ = ["MapPrior", "map_document", "map_prior", "mixture_rows"]

PROBABILITIES = (0.025, 0.25, 0.5, 0.75, 0.975)


@dataclass(frozen=True)
class MapPrior:
    """A meta-analytic-predictive prior and everything that is said about it.

    Attributes
    ----------
    trials : HistoricalTrials
        What it was computed from.
    mean : Prior
        Prior of the mean of the trials' parameters.
    heterogeneity : Heterogeneity
        Prior of the standard deviation between trials.
    exact : xr.Dataset
        Predictive distribution of a new trial's parameter on a grid, see `map_posterior`.
    fitted : FittedMixture
        The mixture that stands for it.
    weak : Prior or None
        Weakly informative component of the robust prior.
    weak_worth : float
        What that component is worth by itself, in patients; NaN where there is none, or no unit.
    robust : Prior or None
        The robust prior.
    information : float
        Fisher information of one patient about a normal parameter; NaN where `sigma` is unknown.

    Examples
    --------
    >>> MapPrior.__dataclass_fields__["robust"].name
    'robust'
    """

    trials: HistoricalTrials
    mean: Prior
    heterogeneity: Heterogeneity
    exact: xr.Dataset
    fitted: FittedMixture
    weak: Prior | None
    weak_worth: float
    robust: Prior | None
    information: float

    @property
    def unit(self) -> str:
        """What the effective sample sizes count."""
        if self.trials.likelihood == "binomial":
            return "patients of one arm, binary outcome"
        if math.isnan(self.information):
            return "not known without the sd of one patient's outcome (sigma)"
        return f"patients of one arm, outcome with sd {self.trials.sigma:g}"

    def sizes(self, prior: Prior) -> dict[str, float]:
        """Return the effective sample sizes of a prior in `unit`, NaN where there is none."""
        if self.trials.likelihood == "normal" and math.isnan(self.information):
            return dict.fromkeys(("elir", "moment", "morita"), math.nan)
        return effective_sizes(prior, information=self.information)


def map_prior(
    trials: HistoricalTrials,
    *,
    mean: Prior,
    heterogeneity: Heterogeneity,
    robust_weight: float | None = None,
    robust_mean: float | None = None,
    robust_sd: float | None = None,
    components: int | None = None,
) -> MapPrior:
    """Compute a MAP prior, its mixture, and a robust mixture if asked for.

    Parameters
    ----------
    trials : HistoricalTrials
        Normal or binomial, one or many.
    mean : Prior
        Normal (or, for normal trials, flat) prior of the mean; log odds for binomial trials.
    heterogeneity : Heterogeneity
        Prior of the standard deviation between trials, same unit.
    robust_weight : float, optional
        Weight of a weakly informative component, as 0.2.
    robust_mean : float, optional
        Its mean: by default the MAP mean, and 0.5 for binomial trials.
    robust_sd : float, optional
        Its standard deviation; by default it is worth one patient of normal trials (the sd is
        `sigma`), and uniform for binomial trials, where it must stay below that of a coin.
    components : int, optional
        Components of the mixture; by default as many as its distance needs.

    Returns
    -------
    MapPrior
        All of it.

    Raises
    ------
    SpecError
        If a prior or the robust component is not possible.
    FitError
        If the quadrature does not reach its accuracy.

    Warns
    -----
    StatisticalWarning
        If the robust component is worth less than 0.1 or more than 2 patients.

    Examples
    --------
    >>> from bayes_ptsd.exact.history import normal_trials
    >>> trials = normal_trials(["A", "B"], y=[3.0, 5.0], n=[40, 60], sigma=8.0)
    >>> found = map_prior(trials, mean=normal(0, 50), robust_weight=0.2, components=2,
    ...     heterogeneity=Heterogeneity("half-normal", 1.0))
    >>> round(found.weak_worth, 6), len(found.robust.weights)
    (1.0, 3)
    """
    exact = map_posterior(trials, mean=mean, heterogeneity=heterogeneity)
    binomial = trials.likelihood == "binomial"
    fitted = fit_mixture(exact, family="beta" if binomial else "normal", components=components)
    information = trials.sigma**-2
    weak = robust = None
    worth = math.nan
    if robust_weight is not None:
        weak = _weak(trials, exact, robust_mean, robust_sd)
        robust = robustify(fitted.prior, weak, weight=robust_weight)
        if binomial or not math.isnan(information):
            worth = weak_component_worth(weak, information=information)
    return MapPrior(trials, mean, heterogeneity, exact, fitted, weak, worth, robust, information)


def map_document(found: MapPrior) -> dict[str, Any]:
    """Return a MAP prior as a plain document, for JSON and for tables.

    Parameters
    ----------
    found : MapPrior
        From `map_prior`.

    Returns
    -------
    dict
        JSON values; what does not exist is None.

    Examples
    --------
    >>> from bayes_ptsd.exact.history import normal_trials
    >>> trials = normal_trials(["A"], y=[3.0], se=[1.0])
    >>> document = map_document(map_prior(trials, mean=normal(0, 50), components=1,
    ...     heterogeneity=Heterogeneity("half-normal", 1.0)))
    >>> document["evidence_kind"], document["robust"]
    ('published', None)
    """
    exact = found.exact
    quantiles = grid_quantile(exact, np.array(PROBABILITIES))
    robust = None
    if found.robust is not None and found.weak is not None:
        robust = {
            "components": mixture_rows(found.robust),
            "weak_component": {
                "formula": found.weak.formula,
                "effective_size": _plain(found.weak_worth),
            },
            "effective_size": _all_plain(found.sizes(found.robust)),
        }
    return {
        "evidence_kind": "published",
        "likelihood": found.trials.likelihood,
        "scale": "probability" if found.trials.likelihood == "binomial" else "score",
        "studies": _studies(found.trials),
        "priors": {"mean": found.mean.formula, "heterogeneity": found.heterogeneity.formula},
        "heterogeneity": {
            "scale": "log odds" if found.trials.likelihood == "binomial" else "score",
            "mean": _plain(float(exact["tau_mean"])),
            "sd": _plain(float(exact["tau_sd"])),
            "quantiles": dict(zip(
                ("0.025", "0.5", "0.975"), exact["tau_quantile"].values.tolist(), strict=True
            )),
        },
        "mean": {"mean": float(exact["mu_mean"]), "sd": float(exact["mu_sd"])},
        "map": {
            "mean": float(exact["mean"]),
            "sd": _plain(float(exact["sd"])),
            "quantiles": dict(zip(map(str, PROBABILITIES), quantiles.tolist(), strict=True)),
            "quadrature_error": float(exact["quadrature_error"]),
        },
        "mixture": {
            "components": mixture_rows(found.fitted.prior),
            "divergence": found.fitted.divergence,
            "effective_size": _all_plain(found.sizes(found.fitted.prior)),
        },
        "robust": robust,
        "effective_size_unit": found.unit,
    }  # fmt: skip


def mixture_rows(prior: Prior) -> list[dict[str, Any]]:
    """Return the components of a mixture as rows: weight, family, parameters.

    Examples
    --------
    >>> mixture_rows(normal(2, 3))
    [{'weight': 1.0, 'dist': 'normal', 'mu': 2.0, 'sigma': 3.0}]
    """
    weights, parts = mixture_parts(prior)
    return [{"weight": float(w), **part.table()} for w, part in zip(weights, parts, strict=True)]


def _weak(
    trials: HistoricalTrials, exact: xr.Dataset, mean: float | None, sd: float | None
) -> Prior:
    """Return the weakly informative component that was asked for."""
    if sd is not None and not (math.isfinite(sd) and sd > 0):
        raise SpecError(f"the sd of the robust component must be positive, got {sd}")
    if trials.likelihood == "normal":
        spread = trials.sigma if sd is None else sd
        if math.isnan(spread):
            raise SpecError(
                "the robust component needs a standard deviation: give its sd, or sigma, the sd "
                "of one patient's outcome"
            )
        return normal(float(exact["mean"]) if mean is None else mean, spread)
    center = 0.5 if mean is None else mean
    if not 0 < center < 1:
        raise SpecError(f"the mean of the robust component is a probability, got {center}")
    count = 2.0 if sd is None else center * (1 - center) / sd**2 - 1
    if not count > 0:
        raise SpecError(f"no beta distribution has mean {center:g} and sd {sd:g}")
    return Prior("beta", {"shape1": center * count, "shape2": (1 - center) * count})


def _studies(trials: HistoricalTrials) -> list[dict[str, Any]]:
    """Return the trials as rows."""
    return [
        {"study": name, "estimate": float(y), "se": float(se), "n": _plain(float(n))}
        for name, y, se, n in zip(
            trials.study, trials.estimate, trials.se, trials.size, strict=True
        )
    ]


def _plain(value: float) -> float | None:
    """Return a number that JSON can hold."""
    return value if math.isfinite(value) else None


def _all_plain(values: dict[str, float]) -> dict[str, float | None]:
    """Return numbers that JSON can hold."""
    return {key: _plain(value) for key, value in values.items()}
