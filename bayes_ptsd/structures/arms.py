"""What the rooms that compare two arms share: the patients of both, and what a fit says of them.

Nobody has changed treatment yet: of a crossover it is period 1. The treatment is coded -1/2 and
+1/2, so a level is the mean over both arms, and neither is the one the other is measured from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence.pairs import BoolArray
from bayes_ptsd.priors import FloatArray, Prior
from bayes_ptsd.scaled_priors import PriorVector
from bayes_ptsd.specification import ModelSpec
from bayes_ptsd.trial import Endpoint

__all__ = [
    "ArmsModel",
    "arm_means",
    "centered_baseline",
    "constant_data",
    "left_out",
    "recorded_baseline",
]


@dataclass(frozen=True, kw_only=True)
class ArmsModel:
    """Patients of two arms who have met their specification."""

    spec: ModelSpec
    endpoint: Endpoint  # its `reference_sd` is estimated where the trial gives none
    subject: np.ndarray[Any, Any]
    active: BoolArray  # dim (subject,)
    arms: tuple[str, str]  # labels of control and active treatment
    # as a covariate, minus its mean over these patients, score units, first dim subject
    baseline: FloatArray | None
    priors: Mapping[str, Prior | PriorVector]  # in score units, by parameter
    notes: tuple[str, ...]  # what was taken from the data, and what was left out

    @property
    def options(self) -> Mapping[str, Any]:
        """Options of the specification."""
        return self.spec.options

    @property
    def sign(self) -> int:
        """Benefit sign of the endpoint: +1 if a higher score is better, else -1."""
        return self.endpoint.benefit_sign

    @property
    def contrast(self) -> FloatArray:
        """+1/2 in the active arm, -1/2 in the control arm, dim (subject,)."""
        return np.where(self.active, 0.5, -0.5)

    @property
    def treatment(self) -> np.ndarray[Any, Any]:
        """Label of each patient's arm."""
        return np.where(self.active, self.arms[1], self.arms[0])

    @property
    def matrix(self) -> Prior:
        """Prior of the correlation matrix of a patient's scores, of a model that has one."""
        prior = self.priors["correlations"]
        assert isinstance(prior, Prior)
        return prior

    @property
    def by_arm(self) -> dict[str, int]:
        """Numbers of subjects by arm, control first."""
        return {label: int((self.treatment == label).sum()) for label in self.arms}

    @property
    def proper(self) -> bool:
        """Whether every prior is a distribution that can be drawn from."""
        return all(prior.drawable for prior in self.priors.values())


def arm_means(level: xr.DataArray, difference: xr.DataArray, model: ArmsModel) -> xr.DataArray:
    """Return each arm's mean score at the mean covariates, dims (chain, draw, treatment, ...).

    Score units as recorded, the control arm first; `difference` is benefit-positive and has the
    dims of `level`.
    """
    half = 0.5 * model.sign * difference
    dim = xr.Variable("treatment", list(model.arms))
    return xr.concat([level - half, level + half], dim=dim).transpose(
        "chain", "draw", "treatment", ...
    )


def constant_data(
    model: ArmsModel,
    *,
    dims: tuple[str, ...] = ("subject",),
    covariates: xr.DataArray | None = None,
) -> xr.Dataset:
    """Return what a fit keeps of its patients beside scores; `dims` are those of the baseline."""
    found: dict[str, Any] = {"active": ("subject", model.active)}
    if model.baseline is not None:
        found["baseline_centered"] = (dims, model.baseline)
    if covariates is not None and covariates.size:
        found["covariates"] = covariates
    return xr.Dataset(found, coords={"subject": model.subject})


def recorded_baseline(arrays: xr.Dataset, spec: ModelSpec) -> FloatArray:
    """Return the baselines that a specification asks for, score units, NaN where missing."""
    if "baseline" not in arrays:
        raise EvidenceError(
            f"model '{spec.name}' has baseline = '{spec.options['baseline']}', but these patients "
            "have no baseline; take baseline = 'none'"
        )
    return np.asarray(arrays["baseline"].values, dtype=float)


def centered_baseline(values: FloatArray, *, instead: str) -> FloatArray:
    """Return baselines minus their mean; where one is missing, refuse and name what to take."""
    if missing := int(np.isnan(values).sum()):
        raise EvidenceError(
            f"the baseline is missing for {missing} of {len(values)} patients with a score; "
            f"complete it, leave them out, or take {instead}"
        )
    return np.asarray(values - values.mean())


def left_out(arrays: xr.Dataset, where: str) -> list[str]:
    """Say how many subjects have no score, and where they have none."""
    count = int(arrays.attrs["subjects_without_score"])
    return [f"{count} subjects without a score {where} are left out"] if count else []
