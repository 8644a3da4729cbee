"""The prior of a replication jointly: treatment difference, standard deviations, correlation.

Standard deviations enter as logarithms and correlations as Fisher's z, on which posteriors are
nearly normal; correlations between the parameters are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.priors import FloatArray, Prior
from bayes_ptsd.replication.exchangeable import heterogeneity_nodes, prior_components

__all__ = [
    "JointMixture",
    "joint_json",
    "joint_mixture",
    "joint_pymc_code",
    "nuisance_nodes",
]

DIFFERENCE = "treatment_difference"
SDS = ("sd_subject", "sd_within", "sd_period", "sd_residual")
CORRELATION = "correlation"
# Least sd and least distance of a correlation from 1, so that logarithm and Fisher's z are finite;
# and least mass of a component: what lies below moves no printed figure.
TINY = 1e-6
GROUPS = (0.5, 0.85)
"""Mass of tau at which its nodes are parted: a middle, a shoulder and a tail, each with the mean
and the variance of its group, so that those of the whole are exact."""


@dataclass(frozen=True)
class JointMixture:
    """A mixture of multivariate normals over transformed parameters."""

    names: tuple[str, ...]  # treatment_difference, then log_... of sds and z_correlation
    weights: FloatArray  # dim (component)
    mean: FloatArray  # dims (component, parameter)
    cov: FloatArray  # dims (component, parameter, parameter)

    def marginal_sd(self, index: int) -> float:
        """Return the standard deviation of one parameter."""
        mean = self.weights @ self.mean[:, index]
        second = self.cov[:, index, index] + (self.mean[:, index] - mean) ** 2
        return float(np.sqrt(self.weights @ second))


def joint_mixture(
    fits: Sequence[xr.DataTree],
    *,
    weights: Sequence[float],
    priors: Sequence[Prior],
    scale: float,
    weak: Prior,
    weak_weight: float,
) -> JointMixture | None:
    """Return the joint prior of a replication from posterior draws.

    `weights` are belief in each fit, `priors` those of the difference in each, toward which another
    trial's is drawn. `scale` is that of the half-normal sd between trials, of the difference only,
    score units; `weak` is a normal component of the difference, independent of the others. None
    where a fit has no standard deviation, as fits of printed rows.
    """
    columns = [_columns(fit) for fit in fits]
    if len(columns[0]) < 2 or any(set(item) != set(columns[0]) for item in columns):
        return None
    names = tuple(columns[0])
    shares: list[float] = []
    means: list[FloatArray] = []
    covs: list[FloatArray] = []
    for weight, item, prior in zip(weights, columns, priors, strict=True):
        table = np.stack([item[name] for name in names])
        for inner, center, cov in _other_trial(table, prior, scale):
            shares.append((1 - weak_weight) * weight * inner)
            means.append(center)
            covs.append(cov)
        if not weak_weight:
            continue
        base = np.cov(table)
        base[0, :] = base[:, 0] = 0
        base[0, 0] = weak.params["sigma"] ** 2
        shares.append(weak_weight * weight)
        means.append(np.concatenate([[weak.params["mu"]], table.mean(axis=1)[1:]]))
        covs.append(base)
    return JointMixture(names, np.array(shares), np.stack(means), np.stack(covs))


def joint_json(joint: JointMixture) -> dict[str, Any]:
    """Return a joint prior as the document of RBesT's multivariate normal mixtures.

    Rows: weight, means, standard deviations, correlations of the lower triangle by column.
    """
    names = joint.names
    sd = np.sqrt(np.einsum("kii->ki", joint.cov))
    rho = joint.cov / (sd[:, :, None] * sd[:, None, :])
    pairs = [(i, j) for j in range(len(names)) for i in range(j + 1, len(names))]
    rows = [
        "w", *(f"m[{name}]" for name in names), *(f"s[{name}]" for name in names),
        *(f"rho[{names[i]},{names[j]}]" for i, j in pairs),
    ]  # fmt: skip
    table = np.vstack([joint.weights, joint.mean.T, sd.T, *(rho[None, :, i, j] for i, j in pairs)])
    labels = [f"comp{index}" for index in range(1, len(joint.weights) + 1)]
    meta = {
        "dim": list(table.shape),
        "dimnames": [rows, labels],
        "class": ["mvnormMix", "mix"],
        "likelihood": ["mvnormal"],
        "link": ["identity"],
    }
    return {"meta": meta, "comp": table.tolist()}


def joint_pymc_code(joint: JointMixture) -> str:
    """Return code of a PyMC ``model`` with the joint prior, to which a likelihood is added.

    It has one variable a parameter, on the parameter's own scale.
    """
    parts = "".join(
        f"        pm.MvNormal.dist(mu=np.array({mu!r}), cov=np.array({cov!r})),\n"
        for mu, cov in zip(joint.mean.tolist(), joint.cov.tolist(), strict=True)
    )
    lines = [
        "import numpy as np\nimport pymc as pm\n\nwith pm.Model() as model:\n"
        f'    joint = pm.Mixture("joint", w=np.array({joint.weights.tolist()!r}), comp_dists=[\n'
        f"{parts}    ])\n"
    ]
    for index, name in enumerate(joint.names):
        plain, value = name, f"joint[{index}]"
        if name.startswith("log_"):
            plain, value = name.removeprefix("log_"), f"pm.math.exp({value})"
        elif name.startswith("z_"):
            plain, value = name.removeprefix("z_"), f"pm.math.tanh({value})"
        lines.append(f'    {plain} = pm.Deterministic("{plain}", {value})\n')
    return "".join(lines)


def nuisance_nodes(fit: xr.DataTree, *, count: int = 25) -> list[tuple[float, float, float]]:
    """Return (weight, sd, correlation) of a patient's scores as a crossover's fit believes them.

    The draws, sorted by the variance of a within-patient difference, are represented by the middle
    one of each of `count` groups of equal weight. Empty where the fit has no such draws, as of
    printed rows.
    """
    if "posterior" not in fit.children:
        return []
    posterior = fit["posterior"].to_dataset()
    if {"sd_subject", "sd_within"} <= set(posterior):
        between, within = (posterior[n].to_numpy().ravel() ** 2 for n in SDS[:2])
        sd, rho = np.sqrt(between + within), between / (between + within)
    elif {"sd_period", CORRELATION} <= set(posterior):
        sd = np.sqrt((posterior["sd_period"] ** 2).mean("period").to_numpy()).ravel()
        rho = posterior[CORRELATION].to_numpy().ravel()
    else:
        return []
    order = np.argsort(sd**2 * (1 - rho))
    middle = order[((np.arange(count) + 0.5) / count * len(order)).astype(int)]
    return [(1 / count, float(sd[i]), float(rho[i])) for i in middle]


def _columns(fit: xr.DataTree) -> dict[str, FloatArray]:
    """Return transformed draws by name, the difference first."""
    if "posterior" not in fit.children or DIFFERENCE not in fit["posterior"].data_vars:
        return {}
    posterior = fit["posterior"].to_dataset()
    found = {DIFFERENCE: posterior[DIFFERENCE].values.ravel()}
    for name in SDS:
        if name not in posterior:
            continue
        value = posterior[name]
        for dim in set(value.dims) - {"chain", "draw"}:
            for label in value[dim].values:
                draws = value.sel({dim: label}).values.ravel()
                found[f"log_{name}_{label}"] = np.log(np.maximum(draws, TINY))
        if set(value.dims) == {"chain", "draw"}:
            found[f"log_{name}"] = np.log(np.maximum(value.values.ravel(), TINY))
    if CORRELATION in posterior and set(posterior[CORRELATION].dims) == {"chain", "draw"}:
        inside = np.clip(posterior[CORRELATION].values.ravel(), -1 + TINY, 1 - TINY)
        found[f"z_{CORRELATION}"] = np.arctanh(inside)
    return found


def _other_trial(
    table: FloatArray, prior: Prior, scale: float
) -> list[tuple[float, FloatArray, FloatArray]]:
    """Return weights, means and covariances of another trial's parameters, difference first."""
    share, center, width = prior_components(prior)
    logs = np.log(share)[:, None] + np.zeros(table.shape[1])
    if len(share) > 1:
        z = (table[0] - center[:, None]) / width[:, None]
        logs = logs - 0.5 * z**2 - np.log(width)[:, None]
    belongs = np.exp(logs - np.logaddexp.reduce(logs))
    found = []
    for draws, middle, spread in zip(belongs, center, width, strict=True):
        if not draws.mean() > TINY:
            continue
        mean = np.average(table, axis=1, weights=draws)
        cov = np.cov(table, aweights=draws)
        for mass, kept, square, extra in _groups(scale, float(spread)):
            other, wide = mean.copy(), cov.copy()
            gap = mean[0] - middle
            other[0] = middle + kept * gap
            wide[0, 1:] = wide[1:, 0] = kept * cov[0, 1:]
            wide[0, 0] = square * cov[0, 0] + extra + (square - kept**2) * gap**2
            found.append((float(draws.mean()) * mass, other, wide))
    return found


def _groups(scale: float, width: float) -> list[tuple[float, float, float, float]]:
    """Return by group of tau: mass, mean of r, mean of its square, mean of the added variance."""
    if not scale > 0:
        return [(1.0, 1.0, 1.0, 0.0)]
    tau, mass = heterogeneity_nodes(scale, width)
    lost = (tau / width) ** 2
    group = np.searchsorted(GROUPS, np.cumsum(mass) - mass / 2)
    found = []
    for index in range(len(GROUPS) + 1):
        own = group == index
        if mass[own].sum() > TINY:
            share = mass[own] / mass[own].sum()
            kept = 1 - lost[own]
            extra = tau[own] ** 2 * (2 - lost[own])
            found.append((float(mass[own].sum()), float(share @ kept), float(share @ kept**2),
                          float(share @ extra)))  # fmt: skip
    return found
