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

# median, quartiles and the 95% interval
PROBABILITIES = (0.025, 0.25, 0.5, 0.75, 0.975)


@dataclass(frozen=True)
class MapPrior:
    """A meta-analytic-predictive prior and everything that is said about it."""

    trials: HistoricalTrials
    mean: Prior  # of the mean of the trials' parameters
    heterogeneity: Heterogeneity  # prior of the sd between trials
    exact: xr.Dataset  # distribution of a new trial's parameter on a grid, from `map_posterior`
    fitted: FittedMixture  # the mixture that stands for it
    weak: Prior | None  # weakly informative component of the robust prior
    weak_worth: float  # of that component alone, in patients; NaN where there is none, or no unit
    robust: Prior | None
    information: float  # Fisher's, of one patient about a normal parameter; NaN without `sigma`

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

    `mean` and `heterogeneity`, the sd between trials, are priors in the unit of the trials, log
    odds of binomial ones. The robust component of weight `robust_weight` has the MAP mean and the
    sd of one patient (`sigma`) by default; of binomial trials it is uniform. It warns where it is
    worth less than 0.1 or more than 2 patients. Without `components` the mixture has as many as its
    distance needs.
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
    """Return a MAP prior as JSON values; what does not exist is None."""
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
    """Return the components of a mixture as rows: weight, family, parameters."""
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
