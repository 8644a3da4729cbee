"""From a stored posterior to a prior for a replication: weakened, named, and priced in patients."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import xarray as xr

from bayes_ptsd.errors import SpecError, StatisticalWarning
from bayes_ptsd.priors import Prior, normal
from bayes_ptsd.replication.designs import ReplicationDesign
from bayes_ptsd.replication.exchangeable import (
    OwnEffect,
    own_effect,
    predictive_grid,
    stated_prior,
)
from bayes_ptsd.replication.joint import JointMixture, joint_mixture, nuisance_nodes
from bayes_ptsd.replication.mixtures import (
    fit_mixture,
    mixed,
    robustify,
)
from bayes_ptsd.replication.worth import effective_sizes, weak_component_worth

__all__ = ["HETEROGENEITY_GRID", "ReplicationPrior", "replication_prior"]

RESTS_ON: Mapping[str, str] = {
    "published": "printed numbers",
    "reconstructed": "reconstructed patients: made up to agree with what was printed, not observed",
    "simulated": "simulated patients",
}

HETEROGENEITY_GRID = (0.125, 0.25, 0.5)
"""Scales of the half-normal heterogeneity between trials that are always shown, in SDs."""
# N(0, (2 SD)^2) is worth one patient: a 1:1 trial has the information 1 / (2 SD)^2 of each
WEAK_SDS = 2.0
# Nats: two to four normals are this close for the printed rows, where 1e-4 takes up to one more.
# By Pinsker's inequality no probability is off by more than sqrt(1e-3 / 2) = .022.
CLOSE = 1e-3


@dataclass(frozen=True)
class ReplicationPrior:
    """A prior for the treatment difference of a replication, with everything that made it."""

    prior: Prior  # the robust prior, positive = active treatment better, score units
    informative: Prior  # the same before the robust component
    weak: Prior  # the robust component
    weak_worth: float  # of that component alone, in patients of a 1:1 parallel trial
    robust_weight: float
    divergence: float  # largest Kullback-Leibler distance of a mixture from its density, nats
    heterogeneity: float  # scale of the half-normal sd between trials, in SDs of the endpoint
    own: Mapping[str, OwnEffect]  # by reading, this trial's difference before and after its data
    by_reading: Mapping[str, Prior]  # the robust prior under each, of which `prior` is the mixture
    joint: JointMixture | None  # with sds and correlation, where the posterior has them
    # (weight, sd, correlation) of a patient's scores; empty where the posterior has none
    nuisance: Sequence[tuple[float, float, float]]
    about: Mapping[str, Any]  # center, readings, endpoint, SD, what it rests on, ``warnings``

    def __repr__(self) -> str:
        """Say in a line what the prior is worth and rests on."""
        unit = f" {self.about['unit']}" if self.about.get("unit") else ""
        return (
            f"ReplicationPrior({self.about.get('endpoint', '')}: mean {self.prior.mean:.3g}, "
            f"sd {self.prior.sd:.3g}{unit}, robust weight {self.robust_weight:g}, "
            f"center {self.about.get('center')!r})"
        )

    @cached_property
    def sensitivity(self) -> xr.Dataset:
        """``sd, interval, elir`` of the informative part for each ``scale`` between trials."""
        total, readings = float(self.about["sd"]), self.about["readings"]
        wide = {
            scale: self.informative
            if scale == self.heterogeneity
            else _mixed(_other_trials(self.own, scale * total)[0], readings)
            for scale in HETEROGENEITY_GRID
        }
        return _sensitivity(wide, ReplicationDesign("parallel", sd=total))

    @property
    def posteriors(self) -> dict[str, Prior]:
        """Posterior of this trial's difference by reading, before another trial is allowed for."""
        return {name: own.posterior for name, own in self.own.items()}

    @property
    def capped(self) -> list[dict[str, Any]]:
        """Where the sd between trials is capped: by reading and prior sd, weight and mass."""
        scale = self.heterogeneity * float(self.about["sd"])
        return [
            {"reading": name, **line}
            for name, own in self.own.items()
            for line in (own.capped(scale) if scale else ())
        ]

    def worth(self, design: ReplicationDesign) -> dict[str, dict[str, float]]:
        """Return the effective sample sizes, in patients of `design`, of every part."""
        parts = {"informative": self.informative, "weak": self.weak, "robust": self.prior}
        return {
            name: effective_sizes(part, information=design.information)
            for name, part in parts.items()
        }


def replication_prior(
    fits: xr.DataTree | Mapping[str, xr.DataTree],
    *,
    heterogeneity: float = 0.25,
    reading_weights: Mapping[str, float] | None = None,
    robust_weight: float = 0.2,
    robust_mean: float = 0.0,
    robust_sd: float | None = None,
    sd: float | None = None,
) -> ReplicationPrior:
    """Turn the posterior of this trial into a prior for a replication.

    Another trial's difference is exchangeable with this one's, so that the prior under which this
    one was estimated holds for both and draws the other's toward its mean, the more the more trials
    differ (`bayes_ptsd.replication.exchangeable`). It is averaged over the readings of the paper
    it rests on, and mixed with a weakly informative component [1]_. Its center is the prior that
    the fit was made with, and is named: under ``flat`` the published estimate, which selection has
    probably made too large; under ``cochrane`` the estimate shrunk as estimates of trials like
    this one have to be.

    Parameters
    ----------
    fits : xr.DataTree or mapping of str to xr.DataTree
        A fit, or one fit per reading of the crossover contrast, all of one contrast and prior.
    heterogeneity : float
        Scale, in SDs of the endpoint, of the half-normal prior of the sd between trials; it is
        integrated, never plugged in. 0 for none.
    reading_weights : mapping of str to float, optional
        Belief in each reading, summing to one; equal by default.
    robust_weight : float
        Weight of the weakly informative component; 0 for none.
    robust_mean, robust_sd : float, optional
        That component, in score units; by default Normal(0, 2 SD), worth one patient.
    sd : float, optional
        Total standard deviation of the score, where the fit does not know it.

    Returns
    -------
    ReplicationPrior
        The prior, positive = active treatment better.

    Raises
    ------
    SpecError
        If the fits do not belong together, weights do not sum to one, or a scale is not possible.

    Warns
    -----
    StatisticalWarning
        If the robust component is worth less than 0.1 or more than 2 patients, or a mixture stays
        farther from its density than it should.

    References
    ----------
    .. [1] Schmidli H, Gsteiger S, Roychoudhury S, O'Hagan A, Spiegelhalter D, Neuenschwander B.
       Robust meta-analytic-predictive priors in clinical trials with historical control
       information. Biometrics 2014;70:1023-1032.

    Examples
    --------
    >>> from bayes_ptsd.evidence.published import load_published, select_contrast
    >>> from bayes_ptsd.exact.printed import fit_exact
    >>> from bayes_ptsd.models_files import load_model
    >>> spec = load_model("published").having(
    ...     options={"convention": "N"}, priors={"treatment": "flat"})
    >>> found = replication_prior(
    ...     fit_exact(select_contrast(load_published(), "T2.IESR.F"), spec))
    >>> round(found.informative.mean, 2), found.about["center"], found.weak.formula
    (8.6, 'flat', 'N(0, 28.8²)')
    """
    by_reading = _by_reading(fits)
    weights = _reading_weights(by_reading, reading_weights)
    if not (math.isfinite(heterogeneity) and heterogeneity >= 0):
        raise SpecError(f"heterogeneity between trials is not negative, got {heterogeneity} SD")
    about = _about(by_reading, weights)
    total = _total_sd(about, sd)
    weak = normal(robust_mean, WEAK_SDS * total if robust_sd is None else robust_sd)
    with _kept_warnings() as told:
        own = {name: own_effect(fit) for name, fit in by_reading.items()}
        others, divergence = _other_trials(own, heterogeneity * total)
        design = ReplicationDesign("parallel", sd=total)
        worth = weak_component_worth(weak, information=design.information)
    informative = _mixed(others, weights)

    def robust(prior: Prior) -> Prior:
        return robustify(prior, weak, weight=robust_weight) if robust_weight else prior

    return ReplicationPrior(
        prior=robust(informative),
        informative=informative,
        weak=weak,
        weak_worth=worth,
        robust_weight=robust_weight,
        divergence=divergence,
        heterogeneity=heterogeneity,
        own=own,
        by_reading={name: robust(prior) for name, prior in others.items()},
        joint=joint_mixture(
            list(by_reading.values()), weights=list(weights.values()),
            priors=[stated_prior(fit) for fit in by_reading.values()],
            scale=heterogeneity * total, weak=weak, weak_weight=robust_weight,
        ),
        nuisance=[
            (weights[name] * w, score_sd, rho)
            for name, fit in by_reading.items()
            for w, score_sd, rho in nuisance_nodes(fit)
        ],
        about={**about, "sd": total, "warnings": told},
    )  # fmt: skip


@contextmanager
def _kept_warnings() -> Iterator[list[str]]:
    """Collect what the statistics warn of, each once, and warn of it afterwards."""
    told: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", StatisticalWarning)
        yield told
    told += dict.fromkeys(str(item.message) for item in caught)
    for message in told:
        warnings.warn(message, StatisticalWarning, stacklevel=4)


def _by_reading(fits: xr.DataTree | Mapping[str, xr.DataTree]) -> dict[str, xr.DataTree]:
    """Return the fits by reading, all of one contrast, endpoint and prior."""
    if isinstance(fits, xr.DataTree):
        return {str(fits.attrs.get("crossover_reading", "")) or "single": fits}
    if not fits:
        raise SpecError("a replication prior needs at least one fit")
    for key in ("contrast", "endpoint", "prior", "convention"):
        found = {str(fit.attrs.get(key)) for fit in fits.values()}
        if len(found) > 1:
            raise SpecError(f"the fits differ in {key}: {', '.join(sorted(found))}; use one")
    return dict(fits)


def _reading_weights(
    fits: Mapping[str, xr.DataTree], given: Mapping[str, float] | None
) -> dict[str, float]:
    """Return a weight for each reading."""
    if given is None:
        return dict.fromkeys(fits, 1 / len(fits))
    if set(given) != set(fits):
        raise SpecError(f"weights for {sorted(given)}, but fits for {sorted(fits)}")
    if any(not weight > 0 for weight in given.values()):
        raise SpecError(f"weights of readings are positive, got {dict(given)}")
    if not math.isclose(sum(given.values()), 1, abs_tol=1e-8):
        raise SpecError(f"weights of readings must sum to one, got {sum(given.values()):.10g}")
    return {name: float(given[name]) for name in fits}


def _about(fits: Mapping[str, xr.DataTree], weights: Mapping[str, float]) -> dict[str, Any]:
    """Return what the fits say about themselves."""
    attrs = next(iter(fits.values())).attrs
    constants = json.loads(attrs.get("endpoint_constants", "{}"))
    return {
        "center": str(attrs.get("prior", "not stated")),
        "readings": dict(weights),
        "contrast": str(attrs.get("contrast", "")),
        "endpoint": str(attrs.get("endpoint", "")),
        "label": constants.get("label", ""),
        "unit": constants.get("unit", ""),
        "reference_sd": constants.get("reference_sd"),
        "mcid": constants.get("mcid"),
        "analysis": str(attrs.get("analysis", "")),
        "crossover": str(attrs.get("analysis", "")) == "crossover",
        "convention": str(attrs.get("convention", "")),
        "evidence_kind": (kind := str(attrs.get("evidence_kind", ""))),
        "rests_on": RESTS_ON.get(kind, "patients of the trial"),
        "active": str(attrs.get("active", "active treatment")),
        "results": [name for fit in fits.values() for name in _sources(fit)],
        **{key: str(attrs[key]) for key in ("measure", "print_sign") if key in attrs},
    }


def _sources(fit: xr.DataTree) -> list[str]:
    """Return the ids of the results behind a fit: its own, or those it was pooled from."""
    if "result_id" in fit.attrs:
        return [str(fit.attrs["result_id"])]
    return json.loads(fit.attrs.get("members", "[]")) or [""]


def _total_sd(about: Mapping[str, Any], given: float | None) -> float:
    """Return the standard deviation that scales are multiples of."""
    sd = about["reference_sd"] if given is None else given
    if sd is None:
        raise SpecError(
            f"endpoint '{about['endpoint']}' has no reference SD, of which heterogeneity and the "
            "robust component are multiples: give sd (--sd), or 'reference_sd' in trial.toml"
        )
    if not (math.isfinite(sd) and sd > 0):
        raise SpecError(f"the sd of the score must be positive, got {sd}")
    return float(sd)


def _other_trials(own: Mapping[str, OwnEffect], scale: float) -> tuple[dict[str, Prior], float]:
    """Return another trial's difference by reading as a mixture, and the largest distance."""
    fitted = {
        name: fit_mixture(predictive_grid(one, scale=scale), tolerance=CLOSE)
        for name, one in own.items()
    }
    return (
        {name: one.prior for name, one in fitted.items()},
        max(one.divergence for one in fitted.values()),
    )


def _mixed(priors: Mapping[str, Prior], weights: Mapping[str, float]) -> Prior:
    """Return the mixture of priors over readings."""
    return mixed(list(priors.values()), [weights[name] for name in priors])


def _sensitivity(wide: Mapping[float, Prior], design: ReplicationDesign) -> xr.Dataset:
    """Return how wide the informative part is under each heterogeneity of the grid."""
    parts = [wide[scale] for scale in HETEROGENEITY_GRID]
    elir = [effective_sizes(part, information=design.information)["elir"] for part in parts]
    return xr.Dataset(
        {
            "sd": ("scale", [part.sd for part in parts]),
            "interval": (("scale", "bound"), [part.interval() for part in parts]),
            "elir": ("scale", elir),
        },
        coords={"scale": list(HETEROGENEITY_GRID), "bound": ["low", "high"]},
    )
