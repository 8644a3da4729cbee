"""Models and stored results as documents for people and for JSON."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.contrasts import contrast_names
from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.estimands import estimate, summary_document
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.published import load_published, select_contrast
from bayes_ptsd.exact.printed import accepted_row, fit_exact, row_prior
from bayes_ptsd.prior_family import ess_patients
from bayes_ptsd.spec import STRUCTURES, ModelSpec

__all__ = ["describe_model", "describe_result", "example_evidence"]

NAMED = (
    "result_id", "model", "evidence_kind", "endpoint", "contrast", "analysis", "timepoint",
    "crossover_reading", "convention", "prior", "prior_formula",
)  # fmt: skip


def describe_model(spec: ModelSpec, *, graph: bool = True) -> dict[str, Any]:
    """Describe a model: specification, mathematics, prior in score units, graph.

    Parameters
    ----------
    spec : ModelSpec
        The model.
    graph : bool
        Whether to build the PyMC model for its graph (imports PyMC).

    Returns
    -------
    dict
        ``spec`` as stored, ``text`` for people, ``graph`` as mermaid text or None. The prior and
        its predictive are those of the first printed contrast that the model accepts.

    Raises
    ------
    EvidenceError
        If the model accepts no contrast of the shipped evidence.

    Examples
    --------
    >>> from bayes_ptsd.spec import load_model
    >>> describe_model(load_model("published"), graph=False)["text"]["structure"]
    'summary'
    """
    structure = STRUCTURES[spec.structure]
    row = example_evidence(spec)
    prior = row_prior(spec, row)
    fit = fit_exact(row, spec)
    contrast = fit.attrs["contrast"]
    text = {
        "model": spec.name,
        "title": spec.title,
        "question": spec.question,
        "structure": spec.structure,
        "equation": structure.equation,
        "estimand": spec.estimand,
        "builder": structure.builder,
        "options": ", ".join(f"{key} = {value}" for key, value in spec.options.items()),
        "prior": f"treatment: {prior.name}, {prior.formula} for {contrast}",
        "spec_id": spec.spec_id,
    }
    if prior.proper:
        text |= _prior_lines(fit, prior.interval())
    endpoint = row.trial.endpoint(fit.attrs["endpoint"])
    if prior.dist in ("normal", "student_t", "mixture") and endpoint.reference_sd:
        worth = ess_patients(prior, sd=endpoint.reference_sd)
        text["prior worth"] = f"{worth:.1f} patients of a 1:1 parallel trial (ELIR)"
    drawn = _graph(row, spec) if graph and prior.proper else None
    return {"spec": spec.document(), "text": text, "graph": drawn}


def describe_result(fit: xr.DataTree) -> dict[str, dict[str, Any]]:
    """Describe a stored result: what, estimates, checks, provenance.

    Parameters
    ----------
    fit : xr.DataTree
        A fit.

    Returns
    -------
    dict of dict
        Sections ``analysis, estimates, checks, provenance``, JSON-safe.

    Examples
    --------
    >>> from bayes_ptsd.spec import load_model
    >>> fit = fit_exact(select_contrast(load_published(), "T2.IESR.X"), load_model("published"))
    >>> describe_result(fit)["analysis"]["evidence_kind"]
    'published'
    """
    spec = json.loads(fit.attrs["spec"])
    analysis = {key: fit.attrs[key] for key in NAMED if key in fit.attrs}
    analysis["estimand"] = spec["estimand"]
    analysis["likelihood"] = STRUCTURES[spec["structure"]].equation
    checks = fit["checks"].to_dataset()
    rows = zip(
        *(checks[key].values for key in ("check", "figure", "threshold", "passed")), strict=True
    )
    origin = ("engine", "seed", "seconds", "settings", "evidence_digest", "versions", "warnings")
    return {
        "analysis": analysis,
        "estimates": summary_document(estimate(fit))["treatment_difference"],
        "checks": {str(name): _check(figure, limit, bool(ok)) for name, figure, limit, ok in rows},
        "provenance": {key: _plain(fit.attrs[key]) for key in origin}
        | {"spec_id": spec["spec_id"], "assumptions": fit.attrs["assumptions"]},
    }


def example_evidence(spec: ModelSpec) -> Evidence:
    """Return the first printed contrast of the shipped paper that a model accepts.

    Raises
    ------
    EvidenceError
        If it accepts none.

    Examples
    --------
    >>> from bayes_ptsd.spec import load_model
    >>> example_evidence(load_model("published-first-period")).assumptions["crossover_reading"]
    'as_published'
    """
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


def _check(figure: float, limit: float, passed: bool) -> str:
    """Return one check in words."""
    return f"{figure:.4g} (threshold {limit:g}) {'passed' if passed else 'FAILED'}"


def _plain(value: Any) -> Any:
    """Return an attribute as a plain Python value."""
    return value.item() if isinstance(value, np.generic) else value


def _prior_lines(fit: xr.DataTree, interval: tuple[float, float]) -> dict[str, str]:
    """Return the prior and its predictive in score units."""
    replicated = fit["prior_predictive"]["estimate"].quantile([0.025, 0.975]).values
    return {
        "prior interval": f"95% from {interval[0]:.2f} to {interval[1]:.2f} score units",
        "prior predictive": f"95% of estimates from {replicated[0]:.2f} to {replicated[1]:.2f}",
    }


def _graph(row: Evidence, spec: ModelSpec) -> str:
    """Return the graph of the PyMC model as mermaid text."""
    # PyMC takes seconds to import and only the graph needs it
    from bayes_ptsd.build import build_model
    from bayes_ptsd.build.graph import model_graph

    return model_graph(build_model(row, spec))
