"""Every check of a fit of ordered categories beyond convergence, with the tables behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import stats

from bayes_ptsd.categorical.cells import LATENT_SD
from bayes_ptsd.check_roles import Check, check_table
from bayes_ptsd.checks.loo import loo_table, pareto_check
from bayes_ptsd.checks.predictive import feature_table, predictive_checks
from bayes_ptsd.checks.sensitivity import boundary_check, sensitivity_checks, sensitivity_table
from bayes_ptsd.priors import Prior
from bayes_ptsd.specification import Groups
from bayes_ptsd.structures.categorical.model import CategoricalModel
from bayes_ptsd.structures.categorical.posterior import arm_probabilities

__all__ = [
    "category_features",
    "category_table",
    "checks",
    "prior_conflict_check",
    "proportional_odds_check",
]

# Below a tenth of the latent sd, differences between patients are a correlation of less than .01.
NEAR_ZERO = 0.1
# A side of a 95% interval; divided by the number of gaps, which are all looked at.
ONE_SIDE = 0.025
# The usual 5%: an estimate that one trial in twenty shows under the prior is no news.
CONFLICT = 0.05
# Both ends of the central 95%.
CUTS = [0.025, 0.975]
Scores = xr.DataArray


def checks(model: CategoricalModel, fit: xr.DataTree, counterpart: Mapping[str, Any]) -> Groups:
    """Run the predictive, cross-validation, sensitivity, boundary and proportionality checks.

    Beside ``checks`` are the tables behind them, so that a figure needs no patients' rows.
    `counterpart` has ``estimate`` and ``se`` of the effect by maximum likelihood, for
    `prior_conflict_check`; it may be empty.
    """
    features = feature_table(fit, category_features(model))
    sensitivity, loo = sensitivity_table(fit), loo_table(fit)
    posterior = fit["posterior"].to_dataset()
    # two separate risks have a prior each, and none of their contrast
    about = "treatment_difference" if model.separate_risks else model.effect
    found = [
        *predictive_checks(features),
        pareto_check(loo),
        *sensitivity_checks(sensitivity, estimand=about),
        *prior_conflict_check(model.priors.get("treatment"), counterpart),
        *_boundary_checks(posterior, model),
        *proportional_odds_check(posterior),
    ]
    return {
        "checks": check_table(found),
        "predictive_summary": features,
        "loo": loo,
        "sensitivity": sensitivity,
        "categories": category_table(posterior, model),
    }


def category_features(model: CategoricalModel) -> dict[str, Callable[[Scores], Scores]]:
    """Return the features of categories that an analysis leans on, by name.

    Numbers in each category by arm and period; of two periods, the share of patients who are in one
    category in both; of several categories, the spread of the log odds ratios at the cuts (standard
    deviation, half a patient added to each count), small where odds are proportional.
    """
    found: dict[str, Callable[[Scores], Scores]] = {}
    # of a binary outcome one number says both
    categories = model.categories[1:].tolist() if model.binary else model.categories.tolist()
    for arm, label in ((1, "active"), (0, "control")):
        for column in range(model.scores.place.shape[1]):
            rows = np.flatnonzero(model.scores.active[:, column] == arm)
            for category in categories if len(rows) else []:
                name = f"number_{label}_{column + 1}_in_{category}"
                found[name] = _number_in(rows, column, category)
    if model.two_periods and int(model.scores.there.all(axis=1).sum()) > 2:
        found["agreement"] = _agreement
    if len(model.categories) > 2:
        found["spread_of_log_odds_ratios"] = _spread(model)
    return found


def category_table(posterior: xr.Dataset, model: CategoricalModel) -> xr.Dataset:
    """Summarize the probability of each category by arm beside what was seen.

    Posterior mean and 95% interval, periods averaged, of ``share_*`` (arm, category) and
    ``at_most_*`` (arm, at_most); ``seen`` has the numbers of scores, dims (arm, period, category).
    """
    shares = arm_probabilities(posterior, model).mean("period")
    below = shares.cumsum("category").isel(category=slice(0, -1)).rename(category="at_most")
    found = {"seen": _seen(model)}
    for name, values in (("share", shares), ("at_most", below)):
        low, high = values.quantile(CUTS, dim=("chain", "draw")).drop_vars("quantile")
        found |= {f"{name}_mean": values.mean(("chain", "draw"))}
        found |= {f"{name}_low": low, f"{name}_high": high}
    return xr.Dataset(found)


def prior_conflict_check(prior: Prior | None, estimate: Mapping[str, Any]) -> list[Check]:
    """Judge whether the estimate from the data alone lies where the prior expects it.

    The figure is the two-sided prior predictive probability of an estimate as far from the prior
    mean [1]_, at least 0.05; no check without an estimate or a prior with a standard deviation.

    References
    ----------
    .. [1] Box GEP. Sampling and Bayes' inference in scientific modelling and robustness. Journal
       of the Royal Statistical Society A 1980;143:383-430.
    """
    found, se = estimate.get("estimate"), estimate.get("se")
    if prior is None or found is None or se is None:
        return []
    if not (prior.proper and np.isfinite(prior.sd)):
        return []
    distance = abs(found - prior.mean) / np.hypot(prior.sd, se)
    p = float(2 * stats.norm.sf(distance))
    said = (
        f"maximum likelihood alone gives {found:.3g} (SE {se:.3g}), far from the prior "
        f"{prior.formula}: the posterior is pulled toward the prior"
    )
    return [Check("prior_conflict", p, CONFLICT, p >= CONFLICT, meaning=said)]


def proportional_odds_check(posterior: xr.Dataset) -> list[Check]:
    """Judge whether the treatments' difference is the same at every cut of the scale.

    The smaller tail probability at zero of the log ratio of the arms' gaps, the smallest over the
    gaps, against 0.025 divided by their number; only a model with cutpoints by arm has it.
    """
    if "log_gap_ratio" not in posterior:
        return []
    above = (posterior["log_gap_ratio"] > 0).mean(("chain", "draw")).values
    tail = float(np.minimum(above, 1 - above).min())
    limit = ONE_SIDE / above.size
    said = "the difference between the treatments depends on where the scale is cut"
    return [Check("proportional_odds", tail, limit, tail >= limit, meaning=said)]


def _boundary_checks(posterior: xr.Dataset, model: CategoricalModel) -> list[Check]:
    """Say whether the data push the sd of the patients toward zero, more than its prior does."""
    if "sd_subject" not in posterior:
        return []
    edge = NEAR_ZERO * LATENT_SD[model.link]
    before = float(model.priors["sd_subject"].cdf(edge))
    share = float((posterior["sd_subject"] < edge).mean())
    said = (
        f"the data favor a subject standard deviation near its boundary, zero: P(< {edge:.2g}) was "
        f"{before:.2g} before; the categories of a patient hardly go together"
    )
    return [boundary_check("sd_subject_at_zero", share, before, said)]


def _number_in(rows: NDArray[np.intp], column: int, category: int) -> Callable[[Scores], Scores]:
    """Return the number of subjects of one arm and period in a category."""
    return lambda scores: (scores.isel(subject=rows, period=column) == category).sum("subject")


def _agreement(scores: Scores) -> Scores:
    """Return the share of subjects with both periods who are in the same category twice."""
    first, second = scores.isel(period=0, drop=True), scores.isel(period=1, drop=True)
    same = (first == second).where(first.notnull() & second.notnull())
    return same.mean("subject")


def _spread(model: CategoricalModel) -> Callable[[Scores], Scores]:
    """Return the standard deviation over the cuts of the log odds ratio at each."""
    active = xr.DataArray(model.scores.active == 1, dims=("subject", "period"))

    def feature(scores: Scores) -> Scores:
        ratios = []
        for cut in model.categories[:-1]:
            low = (scores <= cut).astype(float).where(scores.notnull())
            odds = [
                np.log(part.sum(("subject", "period")) + 0.5)
                - np.log((1 - part).sum(("subject", "period")) + 0.5)
                for part in (low.where(active), low.where(~active))
            ]
            ratios.append(odds[0] - odds[1])
        spread: Scores = xr.concat(ratios, dim="cut").std("cut")
        return spread

    return feature


def _seen(model: CategoricalModel) -> xr.DataArray:
    """Return the numbers of scores by arm, period and category."""
    scores = model.scores
    periods = scores.place.shape[1]
    counts = np.zeros((2, periods, len(model.categories)), dtype=int)
    subject, period = np.nonzero(scores.there)
    np.add.at(
        counts,
        (scores.active[subject, period].astype(int), period, scores.place[subject, period]),
        1,
    )
    dims = ("arm", "period", "category")
    return xr.DataArray(counts, dims=dims, coords={name: model.coords[name] for name in dims})
