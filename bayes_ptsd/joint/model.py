"""Where a specification of several printed contrasts meets the printed numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bayes_ptsd.errors import EvidenceError, SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.joint.endpoints import endpoints_problem
from bayes_ptsd.joint.problem import JointProblem, analysis_rows
from bayes_ptsd.joint.subscales import subscales_problem
from bayes_ptsd.prior_family import resolve_prior
from bayes_ptsd.priors import Prior
from bayes_ptsd.scaled_priors import ScaledPrior
from bayes_ptsd.specification import ModelSpec
from bayes_ptsd.trial import Endpoint

__all__ = ["JointModel", "joint_attrs", "joint_model"]


@dataclass(frozen=True)
class JointModel:
    """Several printed contrasts of one analysis, ready for any engine."""

    spec: ModelSpec
    evidence: Evidence
    problem: JointProblem
    # the total of subscales; of endpoints one that stands for all, without MCID or unit
    endpoint: Endpoint
    parts: Mapping[str, Endpoint]  # what the estimates are of
    priors: Mapping[str, Prior]  # in score units for subscales, in reference SDs for endpoints
    timepoint: str  # when they were measured
    subjects: int  # behind the estimates, the largest number of them

    @property
    def has_total(self) -> bool:
        """Whether the differences add up to one that is an estimand."""
        return self.spec.structure == "subscales"


def joint_model(evidence: Evidence, spec: ModelSpec) -> JointModel:
    """Bring a specification of several contrasts and all of the printed numbers together."""
    if "effects" not in evidence.data.children or not evidence.data["effects"]["estimate"].ndim:
        raise EvidenceError(
            f"model '{spec.name}' analyzes all printed rows of an analysis together; this is "
            f"evidence of kind '{evidence.kind}', or one row: take load_published()"
        )
    build = _subscales if spec.structure == "subscales" else _endpoints
    problem, endpoint, priors = build(evidence, spec)
    reading = problem.crossover_reading
    rows = analysis_rows(
        evidence, problem.analysis, problem.endpoint, crossover_reading=reading
    )  # fmt: skip
    return JointModel(
        spec=spec,
        evidence=evidence,
        problem=problem,
        endpoint=endpoint,
        parts={name: evidence.trial.endpoint(name) for name in problem.endpoint},
        priors=priors,
        timepoint=str(rows[0]["timepoint"].item()),
        subjects=int(max(float(row["n"]) for row in rows)),
    )


def joint_attrs(model: JointModel) -> dict[str, Any]:
    """Return what names the analysis and its estimands, as attributes of a fit.

    ``label_constants`` has unit, MCID and reference SD of each ``difference[<endpoint>]``.
    """
    main = model.priors["treatment" if model.has_total else "mean"]
    asked = model.spec.priors["treatment"] if model.has_total else None
    constants = {
        name: {"unit": one.unit, "mcid": one.mcid, "reference_sd": one.reference_sd}
        for name, one in model.parts.items()
    }
    size = {"subjects": model.subjects, "observations": model.problem.size, "by_sequence": {}}
    crossover = model.problem.analysis == "crossover"
    return {
        "analysis": model.problem.analysis,
        "timepoint": model.timepoint,
        "convention": "N",
        "crossover_reading": model.problem.crossover_reading if crossover else "",
        "prior": asked if isinstance(asked, str) else "custom",
        "prior_table": json.dumps(main.table()),
        "prior_formula": main.formula,
        "priors": json.dumps({name: prior.table() for name, prior in model.priors.items()}),
        "size": json.dumps(size),
        "estimand_nulls": json.dumps({"treatment_difference": 0.0, "difference": 0.0}),
        "estimand_units": json.dumps(_units(model)),
        "label_constants": json.dumps(constants),
    }


def _units(model: JointModel) -> dict[str, str]:
    """Return the units of the parameters that have one."""
    if model.has_total:
        return dict.fromkeys(("treatment_difference", "heterogeneity"), model.endpoint.unit)
    return {"heterogeneity": "reference SDs"}


def _endpoints(
    evidence: Evidence, spec: ModelSpec
) -> tuple[JointProblem, Endpoint, dict[str, Prior]]:
    """Set up the endpoints of all domains."""
    priors = {name: _plain(spec, name) for name in spec.parameters}
    mean = priors["mean"]
    if mean.dist != "normal":
        raise SpecError(f"model '{spec.name}': the mean of a domain needs a normal prior")
    problem = endpoints_problem(
        evidence,
        analysis=str(spec.options["analysis"]),
        crossover_reading=str(spec.options["crossover_reading"]),
        correlation=float(spec.options["correlation"]),
        mean_sd=mean.params["sigma"],
        heterogeneity=priors["heterogeneity"],
    )
    problem = replace(problem, center=np.full(problem.size, mean.params["mu"]))
    every = Endpoint("endpoints", "Endpoints of all domains", "continuous", "higher", unit="")
    return problem, every, priors


def _subscales(
    evidence: Evidence, spec: ModelSpec
) -> tuple[JointProblem, Endpoint, dict[str, Prior]]:
    """Set up the parts of a total."""
    total = evidence.trial.endpoint(str(spec.options["total"]))
    asked = spec.priors["treatment"]
    sd = total.reference_sd
    if isinstance(asked, Prior):
        prior = asked
    elif sd is None:
        raise EvidenceError(f"endpoint '{total.id}' has no 'reference_sd' for prior '{asked}'")
    elif isinstance(asked, ScaledPrior):
        prior = asked.resolve(sd=sd, location=0.0)
    else:
        prior = resolve_prior(asked, sd=sd, se=1.0)
    heterogeneity = _plain(spec, "heterogeneity")
    problem = subscales_problem(
        evidence,
        total=total.id,
        analysis=str(spec.options["analysis"]),
        crossover_reading=str(spec.options["crossover_reading"]),
        prior=prior,
        heterogeneity=heterogeneity,
    )
    return problem, total, {"treatment": prior, "heterogeneity": heterogeneity}


def _plain(spec: ModelSpec, name: str) -> Prior:
    """Return a prior that is given in full."""
    prior = spec.priors[name]
    if not isinstance(prior, Prior):
        raise SpecError(f"model '{spec.name}': give the prior of '{name}' with its own numbers")
    return prior
