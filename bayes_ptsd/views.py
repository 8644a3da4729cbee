"""Models and stored results as documents for people and for JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.categorical.describe import categorical_prior_lines
from bayes_ptsd.categorical.example import example_categories
from bayes_ptsd.contrasts import contrast_names
from bayes_ptsd.crossover.example import example_patients
from bayes_ptsd.crossover.likelihood import replicated_scores
from bayes_ptsd.crossover.model import crossover_model
from bayes_ptsd.crossover.priors import draw_priors, has_proper_priors
from bayes_ptsd.depression.describe import depression_prior_lines
from bayes_ptsd.depression.example import example_mediation
from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.estimands import estimate, summary_document
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.published import load_published, select_contrast
from bayes_ptsd.exact.printed import accepted_row, fit_exact, row_prior
from bayes_ptsd.first_period import likelihood as first_period_likelihood
from bayes_ptsd.first_period import priors as first_period_priors
from bayes_ptsd.first_period.model import first_period_model
from bayes_ptsd.joint.describe import joint_prior_lines
from bayes_ptsd.longitudinal import likelihood as longitudinal_likelihood
from bayes_ptsd.longitudinal import priors as longitudinal_priors
from bayes_ptsd.longitudinal.example import example_trajectories
from bayes_ptsd.longitudinal.model import longitudinal_model
from bayes_ptsd.parts.describe import parts_prior_lines
from bayes_ptsd.parts.example import example_parts
from bayes_ptsd.prior_family import ess_patients
from bayes_ptsd.priors import Prior
from bayes_ptsd.provenance import DEFAULT_SEED
from bayes_ptsd.scaled_priors import PriorVector
from bayes_ptsd.spec import STRUCTURES, ModelSpec

__all__ = ["describe_model", "describe_result", "example_evidence"]

# enough to look at: a prior probability of .05 has a Monte Carlo error of .007
PRIOR_DRAWS = 1000
NAMED = (
    "result_id", "model", "evidence_kind", "endpoint", "contrast", "analysis", "timepoint",
    "crossover_reading", "flow_reading", "reconstructions", "convention", "prior", "prior_formula",
)  # fmt: skip


def describe_model(spec: ModelSpec, *, graph: bool = True) -> dict[str, Any]:
    """Describe a model: specification, mathematics, prior in score units, graph as mermaid text.

    The priors and their predictive are those of the first printed contrast that the model accepts,
    or of a simulated trial on the IES-R scale. `graph` builds the PyMC model for it.
    """
    structure = STRUCTURES[spec.structure]
    evidence = example_evidence(spec)
    text = {
        "model": spec.name,
        "title": spec.title,
        "question": spec.question,
        "structure": spec.structure,
        "equation": structure.equation,
        "estimand": spec.estimand,
        "builder": structure.builder,
        "options": ", ".join(f"{key} = {value}" for key, value in spec.options.items()),
        "spec_id": spec.spec_id,
    }
    lines, proper = PRIOR_LINES[spec.structure](evidence, spec)
    drawn = _graph(evidence, spec) if graph and proper else None
    return {"spec": spec.document(), "text": text | lines, "graph": drawn}


def describe_result(fit: xr.DataTree) -> dict[str, dict[str, Any]]:
    """Describe a stored result in the sections ``analysis, estimates, checks, provenance``.

    Estimates are of the treatment difference, or of every estimand by name where there is none.
    """
    spec = json.loads(fit.attrs["spec"])
    analysis = {key: fit.attrs[key] for key in NAMED if key in fit.attrs}
    analysis["estimand"] = spec["estimand"]
    analysis["likelihood"] = STRUCTURES[spec["structure"]].equation
    checks = fit["checks"].to_dataset()
    rows = zip(
        *(checks[key].values for key in ("check", "figure", "threshold", "passed", "role")),
        strict=True,
    )
    summary = summary_document(estimate(fit))
    origin = ("engine", "seed", "seconds", "settings", "evidence_digest", "versions", "warnings")
    return {
        "analysis": analysis,
        "estimates": summary.get("treatment_difference", summary),
        "checks": {
            str(name): _check(figure, limit, bool(ok), str(role))
            for name, figure, limit, ok, role in rows
        },
        "provenance": {key: _plain(fit.attrs[key]) for key in origin}
        | {"spec_id": spec["spec_id"], "assumptions": fit.attrs["assumptions"]},
    }


def example_evidence(spec: ModelSpec) -> Evidence:
    """Return the first printed contrast that a model accepts, or simulated patients for it."""
    if spec.structure in EXAMPLES:
        return EXAMPLES[spec.structure]()
    evidence = load_published()
    for name in contrast_names(evidence):
        try:
            row = select_contrast(
                evidence, name, crossover_reading=spec.options["crossover_reading"]
            )
            accepted_row(row, spec)
        except EvidenceError:
            continue
        return row
    raise EvidenceError(f"model '{spec.name}' accepts no contrast of the shipped evidence")


def _check(figure: float, limit: float, passed: bool, role: str) -> str:
    """Return one check in words."""
    if role == "shown":
        return f"{figure:.4g} (shown, no threshold)"
    return f"{figure:.4g} (threshold {limit:g}, {role}) {'passed' if passed else 'FAILED'}"


def _plain(value: Any) -> Any:
    """Return an attribute as a plain Python value."""
    return value.item() if isinstance(value, np.generic) else value


def _printed_prior_lines(row: Evidence, spec: ModelSpec) -> tuple[dict[str, str], bool]:
    """Return the prior of a printed contrast in score units, and whether it is proper."""
    prior, fit = row_prior(spec, row), fit_exact(row, spec)
    lines = {"prior": f"treatment: {prior.name}, {prior.formula} for {fit.attrs['contrast']}"}
    if prior.proper:
        replicated = fit["prior_predictive"]["estimate"].quantile([0.025, 0.975]).values
        lines["prior interval"] = _interval(prior)
        lines["prior predictive"] = (
            f"95% of estimates from {replicated[0]:.2f} to {replicated[1]:.2f}"
        )
    endpoint = row.trial.endpoint(fit.attrs["endpoint"])
    if prior.dist in ("normal", "student_t", "mixture") and endpoint.reference_sd:
        worth = ess_patients(prior, sd=endpoint.reference_sd)
        lines["prior worth"] = f"{worth:.1f} patients of a 1:1 parallel trial (ELIR)"
    return lines, prior.proper


def _crossover_prior_lines(evidence: Evidence, spec: ModelSpec) -> tuple[dict[str, str], bool]:
    """Return the priors of a crossover in score units, and whether all are proper."""
    model = crossover_model(evidence, spec)
    lines = _formulas(model.priors)
    if not has_proper_priors(model):
        return lines, False
    if spec.options["baseline"] == "joint":
        return lines | _treatment_interval(model.priors), True
    drawn = draw_priors(model, PRIOR_DRAWS, seed=DEFAULT_SEED)
    scores = replicated_scores(drawn, model, np.random.default_rng(DEFAULT_SEED))
    return lines | _treatment_interval(model.priors) | _predictive(scores), True


def _first_period_prior_lines(evidence: Evidence, spec: ModelSpec) -> tuple[dict[str, str], bool]:
    """Return the priors of a comparison of arms in score units, and whether all are proper."""
    model = first_period_model(evidence, spec)
    lines = _formulas(model.priors)
    if not first_period_priors.has_proper_priors(model):
        return lines, False
    drawn = first_period_priors.draw_priors(model, PRIOR_DRAWS, seed=DEFAULT_SEED)
    rng = np.random.default_rng(DEFAULT_SEED)
    scores = first_period_likelihood.replicated_scores(drawn, model, rng)
    return lines | _treatment_interval(model.priors) | _predictive(scores), True


def _longitudinal_prior_lines(evidence: Evidence, spec: ModelSpec) -> tuple[dict[str, str], bool]:
    """Return the priors of several visits in score units, and whether all are proper.

    The correlation of visits has no prior that can be read off: its mean and spread are shown.
    """
    model = longitudinal_model(evidence, spec)
    lines = _formulas(model.priors)
    if not longitudinal_priors.has_proper_priors(model):
        return lines, False
    drawn = longitudinal_priors.draw_priors(model, PRIOR_DRAWS, seed=DEFAULT_SEED)
    rng = np.random.default_rng(DEFAULT_SEED)
    scores = longitudinal_likelihood.replicated_scores(drawn, model, rng)
    mean = drawn["visit_correlation"].mean("visit_pair")
    low, high = mean.quantile([0.025, 0.975]).values
    lines["prior visit correlation"] = (
        f"mean over pairs {float(mean.mean()):.2f}, 95% from {low:.2f} to {high:.2f}"
    )
    return lines | _treatment_interval(model.priors) | _predictive(scores), True


def _formulas(priors: Mapping[str, Prior | PriorVector]) -> dict[str, str]:
    """Return the priors in score units by line."""
    return {f"prior {name}": prior.formula for name, prior in priors.items()}


def _treatment_interval(priors: Mapping[str, Prior | PriorVector]) -> dict[str, str]:
    """Return the line with the interval of the treatment prior, the same at all visits."""
    prior = priors["treatment"]
    one = prior.priors[0] if isinstance(prior, PriorVector) else prior
    return {"prior interval": f"treatment: {_interval(one)}"}


def _predictive(drawn: xr.Dataset) -> dict[str, str]:
    """Return the line that says what the priors of means and standard deviations make of scores."""
    low, high = np.nanquantile(drawn["score"].values, [0.025, 0.975])
    return {"prior predictive": f"95% of scores from {low:.1f} to {high:.1f} on a 0-88 scale"}


PRIOR_LINES: Mapping[str, Callable[[Evidence, ModelSpec], tuple[dict[str, str], bool]]] = {
    "summary": _printed_prior_lines,
    "crossover": _crossover_prior_lines,
    "first_period": _first_period_prior_lines,
    "longitudinal": _longitudinal_prior_lines,
    "ordinal": categorical_prior_lines,
    "binary": categorical_prior_lines,
    "depression": depression_prior_lines,
    "endpoints": joint_prior_lines,
    "subscales": joint_prior_lines,
    "parts": parts_prior_lines,
}
EXAMPLES: Mapping[str, Callable[[], Evidence]] = {
    "crossover": example_patients,
    "first_period": example_patients,
    "longitudinal": example_trajectories,
    "depression": example_mediation,
    "endpoints": load_published,
    "subscales": load_published,
    "parts": example_parts,
    "ordinal": partial(example_categories, "ordinal", baseline=True),
    "binary": partial(example_categories, "binary", baseline=True),
}


def _interval(prior: Prior) -> str:
    """Return the central interval of a prior in words."""
    low, high = prior.interval()
    return f"95% from {low:.2f} to {high:.2f} score units"


def _graph(row: Evidence, spec: ModelSpec) -> str:
    """Return the graph of the PyMC model as mermaid text."""
    # PyMC takes seconds to import and only the graph needs it
    from bayes_ptsd.build import build_model
    from bayes_ptsd.build.graph import model_graph

    return model_graph(build_model(row, spec))
