"""Two risks in people of whom many had both treatments, while who had the event twice is unknown.

Printed are the events under each treatment, not how they fell together. The marginal risks have
the priors of `bayes_ptsd.exact.binary`; a patient effect ties the two exposures of a person, and
every way in which the printed totals can have come about is summed over. Deterministic quadrature.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.polynomial import legendre
from scipy import special, stats
from scipy.optimize import brentq, elementwise

from bayes_ptsd.errors import EvidenceError, SpecError
from bayes_ptsd.exact._risks import CONTRASTS, SCALES, Scale
from bayes_ptsd.priors import FloatArray

__all__ = ["Exposures", "both_risk", "paired_likelihood", "paired_summary"]

# Gauss-Legendre nodes of the angle of each risk: without correlation the results are those of the
# closed forms to 1e-7.
NODES = 48
# Gauss-Legendre nodes of a uniform correlation: twice as many move no end of an interval by 3e-4.
STEPS = 8
# The person's effect in standard deviations, out to where the normal density is a double's rounding
# (5e-16) of its peak.
EFFECTS = np.arange(-8.4, 8.4001, 0.08)
# A risk is the squared sine of an angle from 0 to here, uniform under a Jeffreys prior.
HALF_PI = np.pi / 2
# Both ends of the central 95% and the median.
TAILS = (0.025, 0.5, 0.975)
UNIFORM = "uniform"


@dataclass(frozen=True)
class Exposures:
    """What is printed of one binary outcome."""

    events: tuple[int, int]  # active, control
    n: tuple[int, int]  # exposures: active, control
    both: int  # people who had both treatments


def both_risk(
    risk_active: FloatArray, risk_control: FloatArray, correlation: FloatArray
) -> FloatArray:
    """Return the probability of the event under both treatments in one person, shape (r, a, c).

    Risks are marginal; `correlation`, 0 to below 1, is the latent one of a logistic-normal model:
    the variance of the patient effect over that plus pi^2 / 3.
    """
    sd = np.sqrt(correlation / (1 - correlation) * np.pi**2 / 3)[:, None]
    # equal steps over the normal density: exact to rounding for so smooth an integrand
    weight = stats.norm.pdf(EFFECTS) / stats.norm.pdf(EFFECTS).sum()

    def conditional(risk: FloatArray) -> FloatArray:
        def excess(level: FloatArray, scale: FloatArray, wanted: FloatArray) -> FloatArray:
            inner = special.expit(level[..., None] + scale[..., None] * EFFECTS)
            return np.asarray(inner @ weight - wanted)

        reach = 12 * sd + np.abs(special.logit(risk)) + 1
        root = elementwise.find_root(excess, (-reach, reach), args=(sd, risk))
        return np.asarray(special.expit(root.x[..., None] + sd[..., None] * EFFECTS))

    active = conditional(risk_active)
    control = active if risk_control is risk_active else conditional(risk_control)
    joint: FloatArray = (active * weight) @ control.transpose(0, 2, 1)
    return joint


def paired_likelihood(
    exposures: Exposures, risk_active: FloatArray, risk_control: FloatArray, joint: FloatArray
) -> FloatArray:
    """Return the probability of the printed events, whoever had them twice, dims (..., a, c).

    `joint` is the probability of the event under both treatments, with the same dims.
    """
    (active, control), (n_active, n_control), both = exposures.events, exposures.n, exposures.both
    p, q = risk_active[:, None], risk_control
    given = np.clip(joint / p, 0, 1)
    without = np.clip((q - joint) / (1 - p), 0, 1)
    alone = stats.binom.pmf(np.arange(control + 1)[:, None], n_control - both, q)
    found = np.zeros_like(joint)
    # active events among those with both treatments are hypergeometric, whatever the risks
    for first in range(max(0, active - n_active + both), min(both, active) + 1):
        weight = stats.hypergeom.pmf(first, n_active, active, both)
        seen = _binomials(first, control, given)
        fresh = _binomials(both - first, control, without)
        for other in range(min(control, n_control - both) + 1):
            rest = control - other
            pairs = sum((seen[k] * fresh[rest - k] for k in range(rest + 1)), np.zeros_like(joint))
            found += weight * alone[other] * pairs
    result: FloatArray = found * stats.binom.pmf(active, n_active, p)
    return result


def _binomials(n: int, largest: int, p: FloatArray) -> list[FloatArray]:
    """Return binomial probabilities of 0 to `largest` events."""
    return [
        special.comb(n, k) * p**k * (1 - p) ** (n - k) if k <= n else np.zeros_like(p)
        for k in range(largest + 1)
    ]


def paired_summary(
    outcomes: Sequence[Exposures],
    *,
    correlations: Sequence[float | str] = (0.0, 0.5, 0.9, UNIFORM),
    prior: str = "jeffreys",
) -> xr.Dataset:
    """Summarize the contrasts of two risks with unknown pairing.

    Dims ``outcome, correlation, estimand, bound``. Contrasts are of the marginal risks, active
    minus or over control; the latent correlation of a person's exposures is fixed, or ``"uniform"``
    on (0, 1) and integrated over, ``correlation_mean`` its posterior mean.
    """
    _check(outcomes, correlations, prior)
    (x, weight), steps = legendre.leggauss(NODES), legendre.leggauss(STEPS)
    angle = (x + 1) / 2 * HALF_PI
    risk = np.sin(angle) ** 2
    density = np.ones(NODES) if prior == "jeffreys" else np.sin(2 * angle)
    mass = weight * density
    spread, share = (steps[0] + 1) / 2, steps[1] / 2
    fixed = np.array([float(r) for r in correlations if r != UNIFORM])
    joint = both_risk(risk, risk, np.concatenate([spread, fixed]))
    rows = []
    for one in outcomes:
        likelihood = paired_likelihood(one, risk, risk, joint)
        cells, place = [], STEPS
        for r in correlations:
            if r == UNIFORM:
                part = np.tensordot(share, likelihood[:STEPS], axes=1)
                known = (likelihood[:STEPS] * np.outer(mass, mass)).sum(axis=(1, 2)) * share
                middle = float(known @ spread / known.sum())
            else:
                part, middle, place = likelihood[place], float(r), place + 1
            cell = _contrasts(part * np.outer(density, density), x, weight)
            cells.append(cell.assign(correlation_mean=middle))
        rows.append(xr.concat(cells, dim="correlation"))
    labels = [str(r) for r in correlations]
    return xr.concat(rows, dim="outcome").assign_coords(correlation=labels)


def _check(outcomes: Sequence[Exposures], correlations: Sequence[float | str], prior: str) -> None:
    """Refuse impossible counts, correlations and priors."""
    for one in outcomes:
        fits = all(0 <= y <= n and n > 0 for y, n in zip(one.events, one.n, strict=True))
        if not (fits and 0 <= one.both <= min(one.n)):
            raise EvidenceError(f"{one}: give 0 <= events <= n and 0 <= both <= the smaller n")
    for r in correlations:
        if r != UNIFORM and not 0 <= float(r) < 1:
            raise SpecError(f"correlation {r}: give 'uniform' or a number from 0 to below 1")
    if prior not in ("jeffreys", "uniform"):
        raise SpecError(f"prior '{prior}' on a risk is unknown; one of jeffreys, uniform")


def _contrasts(density: FloatArray, x: FloatArray, weight: FloatArray) -> xr.Dataset:
    """Return the contrasts of one density, dims (active, control), of the angles of the risks."""
    project = (legendre.legvander(x, NODES - 1) * weight[:, None]).T
    project = project * (np.arange(NODES)[:, None] + 0.5)
    series = project @ (density / (weight @ density @ weight)) @ project.T
    risk = np.sin((x + 1) / 2 * HALF_PI) ** 2
    node = density * np.outer(weight, weight)
    gap = risk[:, None] - risk
    mean = float((node * gap).sum() / node.sum())
    square = float((node * (gap - mean) ** 2).sum() / node.sum())
    rule, tails = (x, weight), []
    for name in CONTRASTS:
        scale, reach = SCALES[name], 1 - 1e-9 if name == "risk_difference" else 30.0
        found = [
            brentq(lambda d, s=scale, p=p: _below(series, rule, s, d) - p, -reach, reach, xtol=1e-9)
            for p in TAILS
        ]
        tails.append(found if name == "risk_difference" else np.exp(found))
    quantile = np.array(tails)
    return xr.Dataset(
        {
            "median": ("estimand", quantile[:, 1]),
            "eti95": (("estimand", "bound"), quantile[:, [0, 2]]),
            "difference_mean": mean,
            "difference_sd": np.sqrt(square),
            "prob_more_active": 1 - _below(series, rule, SCALES["odds_ratio"], 0.0),
        },
        coords={"estimand": list(CONTRASTS), "bound": ["low", "high"]},
    )


def _below(
    series: FloatArray, rule: tuple[FloatArray, FloatArray], scale: Scale, d: float
) -> float:
    """Return P(contrast <= d): for each active risk the control risks from a limit upward."""
    unit, weight = rule
    # beyond these active risks the limit leaves 0 to 1, and the integrand has a kink
    kinks = {"risk_difference": (d, 1 + d), "risk_ratio": (np.exp(d),)}
    named = next(name for name in CONTRASTS if SCALES[name] is scale)
    inside = [r for r in kinks.get(named, ()) if 0 < r < 1]
    edges = np.array([0.0, *(np.arcsin(np.sqrt(r)) for r in sorted(inside)), HALF_PI])
    total = 0.0
    for low, high in itertools.pairwise(edges):
        angle = low + (unit + 1) / 2 * (high - low)
        with np.errstate(divide="ignore"):
            limit = scale.back(scale.forward(np.sin(angle) ** 2) - d).clip(0, 1)
        start = 2 * np.arcsin(np.sqrt(limit)) / HALF_PI - 1
        outer = legendre.legvander(2 * angle / HALF_PI - 1, NODES - 1) @ series
        inner = (outer * _upper(start)).sum(axis=1)
        total += float(weight @ inner) * (high - low) / HALF_PI
    return total


def _upper(start: FloatArray) -> FloatArray:
    """Return the integrals of the Legendre polynomials from `start` to 1, dims (point, degree)."""
    value = legendre.legvander(start, NODES)
    degree = np.arange(1, NODES)
    higher = (value[:, degree - 1] - value[:, degree + 1]) / (2 * degree + 1)
    result: FloatArray = np.column_stack([1 - start, higher])
    return result
