"""Where an ordinal or binary specification meets its patients: categories, priors, notes.

The shares of the categories at the reference (midway between the treatments and between the periods
on the scale of the link, average baseline, a patient effect of zero) have a Dirichlet distribution
with all shapes 1; the cutpoints are where the link's distribution function cuts these shares.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import special

from bayes_ptsd.categorical.beta_binomial import RISKS
from bayes_ptsd.categorical.cells import EFFECTS, LATENT_SD, induced_cutpoints
from bayes_ptsd.errors import SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.patient_scale import predictor_sd
from bayes_ptsd.prior_family import resolve_prior
from bayes_ptsd.priors import Prior
from bayes_ptsd.scaled_priors import ScaledPrior
from bayes_ptsd.specification import ModelSpec, PriorValue
from bayes_ptsd.structures.categorical.patients import CategoryScores, category_scores
from bayes_ptsd.trial import Endpoint

__all__ = ["CategoricalModel", "categorical_model", "draw_priors", "log_priors", "prior_shapes"]


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
    def drawable(self) -> bool:
        """Whether every prior is a distribution that can be drawn from."""
        return all(prior.drawable for prior in self.priors.values())

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


def prior_shapes(model: CategoricalModel) -> dict[str, tuple[str, Prior, str | None]]:
    """Return name in the posterior, prior and dim of every parameter of a specification."""
    if model.separate_risks:
        return {name: (name, model.priors["risk"], None) for name in RISKS}
    names = {"treatment": model.effect, "gap_ratio": "log_gap_ratio"}
    return {
        key: (names.get(key, key), prior, "gap" if key == "gap_ratio" else None)
        for key, prior in model.priors.items()
    }


def draw_priors(model: CategoricalModel, size: int, *, seed: int) -> xr.Dataset:
    """Draw every parameter of a model from its prior; an improper one is refused.

    Dims ``chain`` (1) and ``draw``; ``cutpoint`` by the category at or below which it cuts.
    """
    rng = np.random.default_rng(seed)
    drawn: dict[str, xr.Variable] = {}
    for name, prior, dim in prior_shapes(model).values():
        shape = (1, size) if dim is None else (1, size, len(model.coords[dim]))
        dims = ("chain", "draw") if dim is None else ("chain", "draw", dim)
        drawn[name] = xr.Variable(dims, prior.quantile(rng.uniform(size=shape)))
    coords = {"chain": [0], "draw": np.arange(size)}
    if model.separate_risks:
        return xr.Dataset(drawn, coords=coords)
    shares = rng.dirichlet(np.ones(len(model.categories)), size=(1, size))
    cuts = induced_cutpoints(shares, model.link)
    drawn["cutpoint"] = xr.Variable(("chain", "draw", "at_most"), cuts)
    labels = {name: model.coords[name] for name in ("at_most", "gap")}
    found = xr.Dataset(drawn, coords={**coords, **labels})
    return found if model.by_arm else found.drop_vars("gap")


def log_priors(draws: xr.Dataset, model: CategoricalModel) -> xr.Dataset:
    """Return the log prior density of each parameter at each draw.

    The Dirichlet prior of the shares is a constant, so that raising it to a power changes nothing.
    """
    found = {
        name: draws[name].copy(data=prior.logpdf(draws[name].values))
        for name, prior, _ in prior_shapes(model).values()
    }
    if model.separate_risks:
        return xr.Dataset(found)
    constant = float(special.gammaln(len(model.categories)))
    found["category_share"] = xr.full_like(draws[model.effect], constant)
    return xr.Dataset(found)
