"""Models and stored results as documents for people and for JSON."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.estimands import estimate, summary_document
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.specification import ModelSpec, Problem
from bayes_ptsd.structures import structure_named

__all__ = ["describe_model", "describe_result", "example_evidence"]

NAMED = (
    "result_id", "model", "evidence_kind", "endpoint", "contrast", "analysis", "timepoint",
    "crossover_reading", "flow_reading", "reconstructions", "convention", "prior", "prior_formula",
)  # fmt: skip


def describe_model(spec: ModelSpec, *, graph: bool = True) -> dict[str, Any]:
    """Describe a model: specification, mathematics, prior in score units, graph as mermaid text.

    The priors and their predictive are those of the first printed contrast that the model accepts,
    or of a simulated trial on the IES-R scale. `graph` builds the PyMC model for it.
    """
    problem = spec.room.problem(example_evidence(spec), spec)
    text = {
        "model": spec.name,
        "title": spec.title,
        "question": spec.question,
        "structure": spec.structure,
        "equation": spec.room.equation,
        "estimand": spec.estimand,
        "room": spec.room.room,
        "options": ", ".join(f"{key} = {value}" for key, value in spec.options.items()),
        "spec_id": spec.spec_id,
    }
    lines, proper = spec.room.prior_lines(problem.model)
    drawn = _graph(spec, problem) if graph and proper else None
    return {"spec": spec.document(), "text": text | lines, "graph": drawn}


def describe_result(fit: xr.DataTree) -> dict[str, dict[str, Any]]:
    """Describe a stored result in the sections ``analysis, estimates, checks, provenance``.

    Estimates are of the treatment difference, or of every estimand by name where there is none. Of
    what a section of the page computed there are its question and the sizes of its tables.
    """
    spec = json.loads(fit.attrs["spec"])
    analysis = {key: fit.attrs[key] for key in NAMED if key in fit.attrs}
    analysis["estimand"] = spec["estimand"]
    if "asked" in spec:
        return _describe_answer(fit, analysis | spec["options"])
    analysis["likelihood"] = structure_named(spec["structure"]).equation
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


def _describe_answer(fit: xr.DataTree, analysis: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Describe what a section of the page computed: it has tables, and no checks of its own."""
    sizes = {
        node.path: ", ".join(f"{size} {dim}" for dim, size in node.sizes.items()) or "one"
        for node in fit.subtree
        if node.data_vars
    }
    origin = ("engine", "seed", "seconds", "evidence_digest", "versions", "warnings")
    provenance = {key: _plain(fit.attrs[key]) for key in origin}
    return {"analysis": analysis, "estimates": sizes, "checks": {}, "provenance": provenance}


def example_evidence(spec: ModelSpec) -> Evidence:
    """Return the first printed contrast that a model accepts, or simulated patients for it."""
    return spec.room.example(spec)


def _check(figure: float, limit: float, passed: bool, role: str) -> str:
    """Return one check in words."""
    if role == "shown":
        return f"{figure:.4g} (shown, no threshold)"
    return f"{figure:.4g} (threshold {limit:g}, {role}) {'passed' if passed else 'FAILED'}"


def _plain(value: Any) -> Any:
    """Return an attribute as a plain Python value."""
    return value.item() if isinstance(value, np.generic) else value


def _graph(spec: ModelSpec, problem: Problem) -> str:
    """Return the graph of the PyMC model as mermaid text, which needs no drawing program."""
    # PyMC takes seconds to import and only the graph needs it
    from bayes_ptsd.sampler import model_graph

    return model_graph(spec.room.pymc_model(problem.model))
