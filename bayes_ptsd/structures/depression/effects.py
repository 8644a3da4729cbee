"""What both regressions say together: direct, indirect and total effects, of draws or estimates.

`s` and `s_m` are the benefit signs of outcome and mediator, t the treatment difference in the
mediator, a its mean over both treatments and m the mediator's mean over the patients; treatment
is 1/2 (active) or -1/2 (control), so that the slope on the mediator is ``theta + omega / 2`` under
the active treatment and the mediator's mean is ``a - s_m t / 2`` under control::

    natural direct effect   = tau_c + s omega (a - s_m t / 2 - m)
    natural indirect effect = s s_m (theta + omega / 2) t
    treatment difference    = their sum, the total effect

With a correlation rho between the errors of mediator and outcome, the regression of the outcome on
the mediator takes ``kappa = rho / sqrt(1 - rho^2) sd_residual / mediator_sd`` for slope. Each
regression then belongs to one structural model: theta is lower by kappa, tau_c higher by
``s s_m kappa t``, and the total is what it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from scipy import linalg

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.frequentist.inference import inference_table
from bayes_ptsd.priors import FloatArray
from bayes_ptsd.structures.depression.model import (
    DepressionModel,
    mediator_columns,
    outcome_columns,
)

__all__ = [
    "EFFECTS",
    "RHO",
    "error_slope",
    "estimand_units",
    "least_squares_effects",
    "mediation_document",
    "mediation_effects",
    "mediation_summary",
    "proportion_mediated",
]

EFFECTS = (
    "treatment_difference",
    "controlled_direct_effect",
    "natural_direct_effect",
    "natural_indirect_effect",
    "mediator_difference",
)
"""Comparisons of the treatments, positive = benefit."""
RHO: tuple[float, ...] = tuple(round(-0.5 + 0.1 * step, 1) for step in range(11))
"""Correlations between the errors of mediator and outcome that are tried."""
# P(total > 0) from which a share of the total is told: with a total that may be zero it has no
# scale
CERTAIN = 0.99
# the level of the intervals of every analysis and posterior
LEVEL = 0.95
METHOD = "Least squares: outcome on treatment and mediator"
NOTE = (
    "natural effects from products of coefficients, standard errors by the delta method with the "
    "degrees of freedom of the outcome's regression"
)


def error_slope(draws: xr.Dataset, rho: float | xr.DataArray) -> xr.DataArray:
    """Return the slope on the mediator that errors with correlation `rho` alone make.

    Score units of the outcome per unit of the mediator.
    """
    ratio = draws["sd_residual"] / draws["mediator_sd"]
    slope: xr.DataArray = ratio * (rho / np.sqrt(1 - rho**2))
    return slope


def mediation_effects(
    draws: xr.Dataset, model: DepressionModel, *, rho: float | xr.DataArray = 0.0
) -> xr.Dataset:
    """Return the effects of each draw, score units of the outcome, positive = benefit.

    The controlled direct effect is at the mean mediator. `rho` is the correlation between the
    errors of mediator and outcome; 0 is the model's assumption, on which the priors are, too. An
    array adds its dim. Sources: Imai K, Keele L, Yamamoto T, Statistical Science 2010;25:51-71,
    section 5; VanderWeele TJ, Vansteelandt S, Statistics and Its Interface 2009;2:457-468.
    """
    sign, both = model.signs[0], model.signs[0] * model.signs[1]
    moved = both * draws["mediator_difference"]
    omega = draws.get("interaction", 0.0)
    kappa = error_slope(draws, rho)
    controlled = draws["controlled_direct_effect"] + kappa * moved
    # where the mediator lies under control, from its mean over the patients
    away = draws["mediator_level"] - float(model.mediator_score.mean())
    away = away - model.signs[1] * draws["mediator_difference"] / 2
    direct = controlled + sign * omega * away
    indirect = (draws["mediator_slope"] - kappa + omega / 2) * moved
    return xr.Dataset(
        {
            "treatment_difference": direct + indirect,
            "controlled_direct_effect": controlled,
            "natural_direct_effect": direct,
            "natural_indirect_effect": indirect,
        }
    ).drop_attrs()


def proportion_mediated(
    effects: xr.Dataset, *, prob_total: float | None = None
) -> dict[str, float]:
    """Return the natural indirect effect as a share of the total: ``median, low, high`` (95%).

    NaN unless ``prob_total``, P(total > 0), exceeds .99: with a total that may be zero the share
    has no scale, and it has no mean anyway.
    """
    total = effects["treatment_difference"].values.ravel()
    share = effects["natural_indirect_effect"].values.ravel() / total
    above = float((total > 0).mean()) if prob_total is None else prob_total
    known = above > CERTAIN
    middle, low, high = np.quantile(share, [0.5, 0.025, 0.975]) if known else [np.nan] * 3
    return {
        "median": float(middle), "low": float(low), "high": float(high), "prob_total": above
    }  # fmt: skip


def mediation_summary(
    draws: Sequence[xr.Dataset],
    models: Sequence[DepressionModel],
    *,
    rhos: Sequence[float] = RHO,
    prob_total: float | None = None,
) -> xr.Dataset:
    """Summarize what the effects would be under correlated errors, and the share mediated.

    Sets of patients are pooled with equal weight. ``mean, low, high`` (95% equal-tailed) and
    ``prob_benefit`` on dims (effect, rho); ``share`` on dim ``part`` from `proportion_mediated`;
    ``vanishing``, on dim ``part``, the correlation at which the indirect effect is zero.
    """
    names = ["treatment_difference", "natural_direct_effect", "natural_indirect_effect"]
    each = xr.DataArray(list(rhos), dims="rho")
    parts = [mediation_effects(d, m, rho=each) for d, m in zip(draws, models, strict=True)]
    values = np.stack([_by_rho(parts, name) for name in names])
    low, high = np.quantile(values, [0.025, 0.975], axis=2)
    columns = {
        "mean": values.mean(axis=2), "low": low, "high": high,
        "prob_benefit": (values > 0).mean(axis=2),
    }  # fmt: skip
    at_zero = [mediation_effects(one, model) for one, model in zip(draws, models, strict=True)]
    share = proportion_mediated(
        xr.Dataset({name: ("draw", _together(at_zero, name)) for name in names}),
        prob_total=prob_total,
    )
    found: Mapping[str, object] = {
        key: (("effect", "rho"), value) for key, value in columns.items()
    }
    labels = ["median", "low", "high"]
    vanishing = np.concatenate([_vanishing(one).values.ravel() for one in draws])
    return xr.Dataset(
        {
            **found,
            "share": ("part", [share[label] for label in labels]),
            "vanishing": ("part", np.quantile(vanishing, [0.5, 0.025, 0.975])),
            "prob_total": share["prob_total"],
        },
        coords={"effect": names, "rho": list(rhos), "part": labels},
    )


# what correlated errors move; the total stays
DIRECT = ("natural_direct_effect", "natural_indirect_effect")


def mediation_document(summary: xr.Dataset) -> dict[str, Any]:
    """Return a summary of mediation as a JSON-safe document; ``share`` is None where it is NaN."""

    def three(name: str) -> dict[str, float] | None:
        found = {str(part): float(summary[name].sel(part=part)) for part in summary["part"].values}
        return found if np.isfinite(list(found.values())).all() else None

    def line(rho: float) -> dict[str, Any]:
        at = summary.sel(rho=rho)
        keys = ("mean", "low", "high", "prob_benefit")
        effects = {name: {key: float(at[key].sel(effect=name)) for key in keys} for name in DIRECT}
        return {"error_correlation": rho, **effects}

    return {
        "share": three("share"),
        "vanishing_error_correlation": three("vanishing"),
        "prob_total": float(summary["prob_total"]),
        "by_error_correlation": [line(float(rho)) for rho in summary["rho"].values],
    }


def estimand_units(model: DepressionModel) -> dict[str, str]:
    """Return the unit of every parameter and effect that has one."""
    own = (*EFFECTS[:4], "level", "sd_residual")
    others = ("mediator_difference", "mediator_level", "mediator_sd")
    return dict.fromkeys(own, model.endpoint.unit) | dict.fromkeys(others, model.mediator.unit)


def least_squares_effects(model: DepressionModel) -> xr.Dataset:
    """Return coefficients of both regressions and the effects by least squares, dim ``estimand``.

    Names are those of the posterior; each coefficient has the degrees of freedom of its regression.
    Patients who do not tell the coefficients apart are an EvidenceError.
    """
    outcome = _least_squares(model.score, outcome_columns(model))
    mediator = _least_squares(model.mediator_score, mediator_columns(model))
    both = outcome[0] | mediator[0]
    names = list(both)
    covariance = linalg.block_diag(outcome[1], mediator[1])
    sign, product = model.signs[0], model.signs[0] * model.signs[1]
    moved = product * both["mediator_difference"]
    omega = both.get("interaction", 0.0)
    away = both["mediator_level"] - float(model.mediator_score.mean())
    away = away - model.signs[1] * both["mediator_difference"] / 2
    slope = both["mediator_slope"] + omega / 2
    direct = {
        "controlled_direct_effect": 1.0,
        "interaction": sign * away,
        "mediator_level": sign * omega,
        "mediator_difference": -product * omega / 2,
    }
    indirect = {
        "mediator_slope": moved,
        "interaction": moved / 2,
        "mediator_difference": product * slope,
    }
    keys = direct | indirect
    total = {key: direct.get(key, 0.0) + indirect.get(key, 0.0) for key in keys}
    effects = {
        "treatment_difference": (
            both["controlled_direct_effect"] + sign * omega * away + slope * moved, total
        ),
        "natural_direct_effect": (both["controlled_direct_effect"] + sign * omega * away, direct),
        "natural_indirect_effect": (slope * moved, indirect),
    }  # fmt: skip
    errors = {name: _delta(gradient, names, covariance) for name, (_, gradient) in effects.items()}
    own = dict(zip(names, np.sqrt(np.diag(covariance)), strict=True))
    freedom = {name: outcome[2] if name in outcome[0] else mediator[2] for name in names}
    every = list(effects) + names
    return inference_table(
        {name: value for name, (value, _) in effects.items()} | both,
        se=[(errors | own)[name] for name in every],
        df=[freedom.get(name, outcome[2]) for name in every],
        level=LEVEL,
        attrs={"method": METHOD, "note": NOTE},
    )


def _by_rho(parts: Sequence[xr.Dataset], name: str) -> FloatArray:
    """Return the draws of all sets of patients after each other, dims (rho, draw)."""
    tables = [part[name].transpose("rho", ...).values for part in parts]
    return np.concatenate([table.reshape(len(table), -1) for table in tables], axis=1)


def _together(parts: Sequence[xr.Dataset], name: str) -> FloatArray:
    """Return the draws of all sets of patients after each other."""
    return np.concatenate([part[name].values.ravel() for part in parts])


def _vanishing(draws: xr.Dataset) -> xr.DataArray:
    """Return the correlation of the errors at which the indirect effect is zero."""
    omega = draws.get("interaction", 0.0)
    ratio = (draws["mediator_slope"] + omega / 2) * draws["mediator_sd"] / draws["sd_residual"]
    return ratio / np.sqrt(1 + ratio**2)


def _least_squares(
    score: FloatArray, columns: Mapping[str, FloatArray]
) -> tuple[dict[str, float], FloatArray, float]:
    """Return coefficients, their covariance and the degrees of freedom."""
    x = np.stack(list(columns.values()), axis=1)
    freedom = len(score) - x.shape[1]
    if freedom < 1 or np.linalg.matrix_rank(x) < x.shape[1]:
        raise EvidenceError(f"{len(score)} patients do not tell {x.shape[1]} coefficients apart")
    inverse = np.linalg.inv(x.T @ x)
    found = inverse @ x.T @ score
    variance = float(((score - x @ found) ** 2).sum()) / freedom
    return dict(zip(columns, found.tolist(), strict=True)), variance * inverse, float(freedom)


def _delta(gradient: Mapping[str, float], names: list[str], covariance: FloatArray) -> float:
    """Return the standard error of a function of the coefficients."""
    vector = np.array([gradient.get(name, 0.0) for name in names])
    return float(np.sqrt(vector @ covariance @ vector))
