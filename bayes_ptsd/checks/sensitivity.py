"""What the treatment difference hangs on: power-scaling of each prior and the data, boundaries."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import reduce
from operator import add

import numpy as np
import xarray as xr

from bayes_ptsd.check_roles import Check
from bayes_ptsd.priors import Prior

__all__ = [
    "BELIEFS",
    "boundary_check",
    "boundary_checks",
    "moved_words",
    "ratio_mass",
    "sensitivity_checks",
    "sensitivity_table",
]

# Kallioinen et al. [1]: the mean of a normal posterior moves by a quarter of its sd, or its sd
# changes by a fifth, for each doubling of the weight.
SENSITIVE = 0.05
# Central difference of power 1: the weights differ by a percent, so that no smoothing is needed.
POWERS = (0.99, 1.01)
# Less mass at a boundary lies outside a 95% interval, so that nothing said of it rests on the rest.
EDGE = 0.05
# The data favor the boundary where they raise its prior mass by half, a Bayes factor above 1.5.
FAVORED = 1.5
# Below a tenth of the sd within, that between patients makes a correlation of less than .01.
NEAR_ZERO = 0.1
# Two scores that share 90% of their variance tell one thing.
NEAR_ONE = 0.95
# Midpoints of so many equal shares give the mass of a ratio of two priors to about 1e-4.
SHARES = 2000

ESTIMANDS = (
    "treatment_difference", "controlled_direct_effect", "carryover", "log_odds_ratio",
    "probit_difference",
)  # fmt: skip
TREATMENT = (
    "treatment_difference", "visit_difference", "shrinkage_mean", "controlled_direct_effect",
    "log_odds_ratio", "probit_difference", "risk_active", "risk_control",
)  # fmt: skip
"""Parameters whose prior is that of the treatment."""
BELIEFS = ("carryover", "baseline_carryover", "carryover_share", "heterogeneity", "shrinkage_sd")
"""Parameters besides the treatment whose priors are meant to inform."""
KINDS = ("treatment", "beliefs", "nuisance")
# A sentence holds three; the table has all.
NAMED = 3


def sensitivity_table(fit: xr.DataTree, *, beliefs: Collection[str] = BELIEFS) -> xr.Dataset:
    """Measure how the treatment difference moves when a prior or the data are made stronger.

    Dims ``estimand`` and ``part``: ``treatment``, ``beliefs`` and ``nuisance``, the priors of each
    kind together, ``likelihood``, and the prior of every parameter alone. ``sensitivity`` is the
    gradient of the cumulative Jensen-Shannon distance at power 1 [1]_; ``moved``, by how much the
    posterior mean moves for each doubling of the weight of the part, is ``log 2`` times the
    covariance of the estimand and the log density of the part, in the unit of the estimand,
    positive toward the active treatment. Both are zero where nothing moves.

    References
    ----------
    .. [1] Kallioinen N, Paananen T, Bürkner P-C, Vehtari A. Detecting and diagnosing prior and
       likelihood sensitivity with power-scaling. Statistics and Computing 2024;34:57.
    """
    posterior = fit["posterior"].to_dataset()
    drawn = posterior[[name for name in ESTIMANDS if name in posterior]]
    if (kept := fit["log_prior"].to_dataset()).sizes["draw"] < drawn.sizes["draw"]:
        drawn = drawn.sel(draw=kept["draw"])
    alone = {str(name): _by_draw(one) for name, one in fit["log_prior"].data_vars.items()}
    kinds = {name: _kind(name, beliefs) for name in alone}
    parts = {
        kind: reduce(add, [logs for name, logs in alone.items() if kinds[name] == kind])
        for kind in KINDS
        if kind in kinds.values()
    }
    parts["likelihood"] = reduce(add, map(_by_draw, fit["log_likelihood"].data_vars.values()))
    labels = {"part": [*parts, *alone], "kind": ("part", [*parts, *kinds.values()])}
    tables = [_scaled(drawn, logs) for logs in (*parts.values(), *alone.values())]
    sd = drawn.std(("chain", "draw")).to_array("estimand")
    return xr.concat(tables, dim="part").assign_coords(labels).assign(sd=sd)


def _kind(name: str, beliefs: Collection[str]) -> str:
    """Return what the prior of a parameter is about."""
    return "treatment" if name in TREATMENT else "beliefs" if name in beliefs else "nuisance"


def _by_draw(logs: xr.DataArray) -> xr.DataArray:
    """Return log densities added up to one a draw."""
    found: xr.DataArray = logs.sum([dim for dim in logs.dims if dim not in ("chain", "draw")])
    return found.reset_coords(drop=True)


def _scaled(drawn: xr.Dataset, logs: xr.DataArray) -> xr.Dataset:
    """Return distance and movement of each estimand under one part raised to a power near one."""
    # registers the accessor that measures power-scaling; a second to import
    import arviz_stats  # noqa: F401

    away = logs - logs.mean()
    if not float(abs(away).max()):
        still = xr.DataArray(np.zeros(len(drawn)), coords={"estimand": list(drawn)})
        return xr.Dataset({"sensitivity": still, "moved": still})
    weights = [np.exp((power - 1) * away) for power in POWERS]
    low, high = (weight / weight.sum() for weight in weights)
    distance = drawn.azstats.power_scale_sense(
        lower_w=low, upper_w=high, lower_alpha=POWERS[0], upper_alpha=POWERS[1]
    )
    moved = np.log(2) * (drawn * away).mean(("chain", "draw"))
    return xr.Dataset(
        {"sensitivity": distance.to_array("estimand"), "moved": moved.to_array("estimand")}
    )


def sensitivity_checks(table: xr.Dataset, *, estimand: str = "treatment_difference") -> list[Check]:
    """Judge power-scaling: priors that should not move the answer, and data that should.

    The nuisance priors together below 0.05, and the likelihood at least 0.05. Of the treatment
    prior and of other beliefs the figure is shown without a threshold: that an informative prior
    informs is no fault.
    """
    one, it = table.sel(estimand=estimand), f"the {estimand.replace('_', ' ')}"
    figure = {kind: float(one["sensitivity"].sel(part=kind)) for kind in [*KINDS, "likelihood"]
              if kind in one["part"]}  # fmt: skip
    weak = figure["likelihood"] < SENSITIVE
    found = []
    for kind in KINDS:
        if kind in figure:
            said = moved_words(one, kind)
            nuisance = kind == "nuisance"
            limit, passed = (SENSITIVE, figure[kind] < SENSITIVE) if nuisance else (np.nan, True)
            said = said if nuisance else f"{_diagnosis(figure[kind], it, weak=weak)}; {said}"
            found.append(Check(f"power_scaling_{kind}", figure[kind], limit, passed, said))
    said = f"the data hardly move {it}"
    return [
        *found,
        Check("power_scaling_likelihood", figure["likelihood"], SENSITIVE, not weak, said),
    ]


def _diagnosis(prior: float, it: str, *, weak: bool) -> str:
    """Return what sensitivity to a prior, beside that to the data, says of both."""
    if prior < SENSITIVE:
        return "the data hardly move it, nor does this prior" if weak else f"the data decide {it}"
    if weak:
        return f"the prior decides {it}, the data say little"
    return f"prior and data pull {it} apart, or the prior is informative"


def moved_words(one: xr.Dataset, kind: str) -> str:
    """Name the priors of a kind that move an estimand, the three largest first, with how much.

    In the unit of the estimand and in its posterior sds.
    """
    own = one.isel(part=np.flatnonzero((one["kind"] == kind) & (one["part"] != kind)))
    largest = np.argsort(-np.abs(own["moved"].values), kind="stable")[:NAMED]
    moves = [
        f"{name} by {moved:+.2g} ({abs(moved) / float(one['sd']):.2f} sd)"
        for name, moved in zip(
            own["part"].values[largest], own["moved"].values[largest], strict=True
        )
    ]
    it = str(one["estimand"].item()).replace("_", " ")
    return f"doubling the weight of its prior moves the {it}: {', '.join(moves)}"


def boundary_checks(posterior: xr.Dataset, priors: Mapping[str, Prior]) -> list[Check]:
    """Warn where the data push a standard deviation or correlation to the end of its range.

    Of a random intercept, the probability that the subject sd is below a tenth of that within
    subjects; of a bivariate model, that the correlation is beyond +-0.95. Each against one and a
    half times its own prior probability, and at least 0.05: what lies at the boundary before the
    data is no finding.
    """
    checks = []
    if "sd_subject" in posterior:
        within = posterior["sd_within"]
        periods = within.sizes.get("period", 1)
        within = within.min("period") if "period" in within.dims else within
        share = float((posterior["sd_subject"] < NEAR_ZERO * within).mean())
        before = ratio_mass(priors["sd_subject"], priors["sd_within"], of=periods)
        said = (
            f"the data push the subject standard deviation to its boundary, zero, where the prior "
            f"has {before:.2g}: the scores of a patient may not be positively correlated; see "
            "crossover-bivariate"
        )
        checks.append(boundary_check("sd_subject_at_zero", share, before, said))
    if "correlation" in posterior:
        share = float((np.abs(posterior["correlation"]) > NEAR_ONE).mean())
        said = "the data push the correlation between periods to an end of its range"
        before = _end_mass(priors.get("correlation"))
        checks.append(boundary_check("correlation_at_an_end", share, before, said))
    return checks


def boundary_check(name: str, share: float, before: float, said: str) -> Check:
    """Return the check of the mass at a boundary against what the prior has there."""
    limit = max(EDGE, FAVORED * (before if np.isfinite(before) else 0.0))
    return Check(name, share, limit, share < limit, said)


def ratio_mass(above: Prior, below: Prior, *, of: int = 1) -> float:
    """Return the prior probability that one sd is under a tenth of another, the least of several.

    NaN where a prior is improper, since it has no such probability.
    """
    if not (above.proper and below.proper):
        return float("nan")
    share = (np.arange(SHARES) + 0.5) / SHARES
    least = below.quantile(1 - (1 - share) ** (1 / of))
    return float(above.cdf(NEAR_ZERO * least).mean())


def _end_mass(prior: Prior | None) -> float:
    """Return the prior mass of a correlation beyond +-0.95; a beta prior is that of (1 + r) / 2."""
    if prior is None or not prior.proper:
        return float("nan")
    ends = np.array([-NEAR_ONE, NEAR_ONE])
    low, high = prior.cdf((1 + ends) / 2 if prior.dist == "beta" else ends)
    return float(low + 1 - high)
