"""Where an ordinal or binary specification meets its patients: categories, priors, notes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayes_ptsd.categorical.patients import CategoryScores, category_scores
from bayes_ptsd.errors import SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.patient_scale import predictor_sd
from bayes_ptsd.prior_family import resolve_prior
from bayes_ptsd.priors import Prior
from bayes_ptsd.scaled_priors import ScaledPrior
from bayes_ptsd.specification import ModelSpec, PriorValue
from bayes_ptsd.trial import Endpoint

__all__ = ["LATENT_SD", "CategoricalModel", "categorical_model"]

LATENT_SD: Mapping[str, float] = {"logit": math.pi / math.sqrt(3), "probit": 1.0}
"""Standard deviation of the latent response of a patient, by link."""

EFFECTS: Mapping[str, str] = {"logit": "log_odds_ratio", "probit": "probit_difference"}


@dataclass(frozen=True)
class CategoricalModel:
    """A model of ordered categories with its data, ready to be computed by any engine."""

    spec: ModelSpec
    endpoint: Endpoint
    categories: NDArray[np.int64]  # of the endpoint's range, in order, those nobody was in as well
    scores: CategoryScores
    priors: Mapping[str, Prior]  # on the scale of the link, by parameter of the model
    notes: tuple[str, ...]  # what was left out

    @property
    def options(self) -> Mapping[str, Any]:
        """Options of the specification."""
        return self.spec.options

    @property
    def sign(self) -> int:
        """Benefit sign of the endpoint: +1 if a higher category is better, else -1."""
        return self.endpoint.benefit_sign

    @property
    def link(self) -> str:
        """Link function, logit or probit."""
        return str(self.options.get("link", "logit"))

    @property
    def effect(self) -> str:
        """Name of the treatment's effect on the scale of the link."""
        return EFFECTS[self.link]

    @property
    def two_periods(self) -> bool:
        """Whether both periods of a crossover are analyzed, with patient effects."""
        return bool(self.options["periods"] == "both")

    @property
    def by_arm(self) -> bool:
        """Whether the cutpoints of the arms may be spaced differently."""
        return bool(self.options.get("odds") == "by_arm")

    @property
    def separate_risks(self) -> bool:
        """Whether each arm has a risk of its own, with a beta prior."""
        return bool(self.options.get("form") == "beta_binomial")

    @property
    def binary(self) -> bool:
        """Whether the outcome occurs or not."""
        return self.endpoint.kind == "binary"

    @property
    def coords(self) -> dict[str, Any]:
        """Labels: categories, cuts by the category at or below which they cut, gaps between."""
        return {
            "category": self.categories,
            "at_most": self.categories[:-1],
            "gap": self.categories[1:-1],
            "period": np.arange(1, self.scores.place.shape[1] + 1),
            "arm": ["control", "active"],
        }

    @property
    def observed(self) -> xr.Dataset:
        """Categories as recorded, dims (subject, period), with the arm of each."""
        scores = self.scores
        value = self.categories[scores.place].astype(float)
        coords = {
            "subject": scores.subject,
            "period": self.coords["period"],
            "sequence": ("subject", scores.sequence),
        }
        dims = ("subject", "period")
        found = {"score": (dims, np.where(scores.there, value, np.nan))}
        return xr.Dataset(found | {"active": (dims, scores.active)}, coords=coords)

    @property
    def size(self) -> dict[str, Any]:
        """Numbers of subjects, observations and subjects by sequence."""
        labels, counts = np.unique(self.scores.sequence, return_counts=True)
        return {
            "subjects": len(self.scores.subject),
            "observations": int(self.scores.there.sum()),
            "by_sequence": dict(zip(map(str, labels), map(int, counts), strict=True)),
        }


def categorical_model(evidence: Evidence, spec: ModelSpec) -> CategoricalModel:
    """Bring a specification for ordered categories and patients (one outcome) together.

    Refused are an endpoint of another kind or without a range, a score that is no category, both
    periods of a parallel trial, an empty arm, and a missing baseline that the model needs.
    """
    scores = category_scores(
        evidence,
        both=spec.options["periods"] == "both",
        baseline=spec.options["baseline"] == "covariate",
        wanted=spec.room.kinds[0],
    )
    endpoint = evidence.trial.endpoint(scores.endpoint)
    unit = LATENT_SD[str(spec.options.get("link", "logit"))]
    before = scores.baseline
    spread = None if before is None else predictor_sd(before, f"baseline of {endpoint.id}")
    return CategoricalModel(
        spec=spec,
        endpoint=endpoint,
        categories=scores.categories,
        scores=scores,
        priors={
            key: _on_link(spec.priors[key], unit, spread, spec.name) for key in spec.parameters
        },
        notes=scores.notes,
    )


def _on_link(asked: PriorValue, unit: float, predictor: float | None, name: str) -> Prior:
    """Return a prior on the scale of the link; SDs are those of the latent response."""
    if isinstance(asked, Prior):
        return asked
    if isinstance(asked, ScaledPrior):
        return asked.resolve(sd=unit, location=0.0, predictor_sd=predictor)
    if asked == "cochrane":
        raise SpecError(
            f"model '{name}': prior 'cochrane' needs the standard error of a mean difference; give "
            "another prior of the family, or --set treatment=normal(0, 1)"
        )
    return resolve_prior(asked, sd=unit)
