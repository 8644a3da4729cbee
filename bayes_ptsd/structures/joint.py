"""The room of several printed contrasts: endpoints of domains, subscales of a total."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import xarray as xr

from bayes_ptsd.checks.joint import joint_checks
from bayes_ptsd.errors import SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.published import load_published
from bayes_ptsd.frequentist.documents import COLUMNS, finite
from bayes_ptsd.joint.groups import exact_joint, joint_groups
from bayes_ptsd.joint.model import JointModel, joint_attrs, joint_model
from bayes_ptsd.joint.problem import analysis_rows
from bayes_ptsd.provenance import DEFAULT_SEED
from bayes_ptsd.specification import (
    NAME,
    NUMBER,
    Groups,
    ModelSpec,
    Problem,
    Request,
    Structure,
)
from bayes_ptsd.structures.patients import (
    formulas,
)

if TYPE_CHECKING:
    import pymc as pm


__all__ = ["ENDPOINTS", "SUBSCALES"]

INTERNAL = ("difference", "common_standard", "own_standard")
"""Variables of the PyMC model that are no estimands."""
ANALYSES = ("first_period", "crossover")
READINGS = ("as_published", "carryover_covariate", "unhalved", "change", "change_unhalved")


def _select(spec: ModelSpec, request: Request) -> Evidence:
    """Return all printed rows; the model chooses those of its analysis."""
    if request.contrast is not None:
        raise SpecError(
            f"model '{spec.name}' analyzes several rows: leave out --contrast, choose them by "
            "--option analysis=crossover"
        )
    return load_published(request.folder)


def _problem(evidence: Evidence, spec: ModelSpec) -> Problem:
    """Bring the rows and the specification together."""
    model = joint_model(evidence, spec)
    return Problem(
        model=model,
        endpoint=model.endpoint,
        attrs=joint_attrs(model),
        notes=model.problem.assumptions,
        # the numbers are compiled in: nothing is reused
        compiled=json.dumps(["joint", evidence.digest, spec.spec_id]),
        target_accept=0.95,
    )


def _pymc_model(model: JointModel) -> pm.Model:
    """Build the PyMC model."""
    from bayes_ptsd.build.joint import build_joint

    return build_joint(model.problem, total=model.has_total)


def _exact(model: JointModel, seed: int) -> Groups:
    """Integrate over the heterogeneity."""
    return exact_joint(model, seed=seed)


def _groups(model: JointModel, groups: Groups, seed: int, _: pm.Model | None) -> Groups:
    """Return the estimands, and predictive, likelihood and prior groups."""
    posterior = groups["posterior"].drop_vars(INTERNAL, errors="ignore")
    posterior = posterior.drop_dims(set(posterior.dims) - {"chain", "draw", "endpoint"})
    return joint_groups(posterior, model, seed=seed)


def _checks(model: JointModel, fit: xr.DataTree, _: Mapping[str, Any]) -> Groups:
    """Return the checks beyond convergence."""
    return joint_checks(fit, model)


def _counterpart(model: JointModel) -> dict[str, Any]:
    """Return the printed rows that a joint model analyzes, and of subscales that of the total."""
    problem = model.problem
    names = list(problem.endpoint)
    if model.has_total:
        names = [model.endpoint.id, *names]
    rows = analysis_rows(
        model.evidence, problem.analysis, names, crossover_reading=problem.crossover_reading
    )
    lines = {}
    for name, row in zip(names, rows, strict=True):
        one: dict[str, Any] = {key: finite(row[key].item()) for key in COLUMNS}
        one["ci95"] = [finite(row[key].item()) for key in ("interval_low", "interval_high")]
        whole = model.has_total and name == model.endpoint.id
        lines["treatment_difference" if whole else f"difference[{name}]"] = one
    nothing: dict[str, Any] = dict.fromkeys((*COLUMNS, "ci95"))
    method = "as printed: each row on its own, without adjustment for their number"
    return {
        "method": method,
        **lines.get("treatment_difference", nothing),
        "analyses": {"printed": {"method": method, "note": "", "estimands": lines}},
    }


def _prior_lines(model: JointModel) -> tuple[dict[str, str], bool]:
    """Return the priors of a specification in words, and whether all are proper."""
    lines = formulas(model.priors)
    main = model.priors["treatment" if model.has_total else "mean"]
    low, high = main.interval()
    what = "treatment" if model.has_total else "mean of a domain"
    unit = "score units" if model.has_total else "reference SDs"
    lines["prior interval"] = f"{what}: 95% from {low:.2f} to {high:.2f} {unit}"
    posterior = exact_joint(model, seed=DEFAULT_SEED)["posterior"]
    drawn = joint_groups(posterior, model, seed=DEFAULT_SEED)["prior_predictive"]["estimate"]
    for name, printed in zip(
        model.problem.endpoint, model.problem.estimate * model.problem.unit, strict=True
    ):
        ends = drawn.sel(endpoint=name).quantile([0.025, 0.975]).values
        lines[f"prior predictive {name}"] = (
            f"95% of estimates from {ends[0]:.1f} to {ends[1]:.1f}; as read {printed:.1f}"
        )
    return lines, True


ENDPOINTS = Structure(
    name="endpoints",
    options={"analysis": ANALYSES, "crossover_reading": READINGS, "correlation": NUMBER},
    priors=("mean", "heterogeneity"),
    equation="estimate[e] / SD[e] ~ Normal(theta, S R S);  theta[e] ~ Normal(mu[domain of e], "
    "heterogeneity^2);  difference[e] = SD[e] theta[e]",
    room="bayes_ptsd/structures/joint.py",
    uses=lambda _: ("mean", "heterogeneity"),
    conflict=lambda _: "",
    select=_select,
    problem=_problem,
    pymc_model=_pymc_model,
    exact=_exact,
    groups=_groups,
    checks=_checks,
    counterpart=_counterpart,
    prior_lines=_prior_lines,
    example=lambda _: load_published(),
    kinds=(),
    effects=(),
)
SUBSCALES = Structure(
    name="subscales",
    options={"total": NAME, "analysis": ANALYSES, "crossover_reading": READINGS},
    priors=("treatment", "heterogeneity"),
    equation="estimate[k] ~ Normal(difference, S R S);  difference[k] = w[k] tau + d[k], sum of d "
    "= 0, d ~ Normal(0, heterogeneity^2) on that plane;  treatment difference = sum of difference",
    room="bayes_ptsd/structures/joint.py",
    uses=lambda _: ("treatment", "heterogeneity"),
    conflict=lambda _: "",
    select=_select,
    problem=_problem,
    pymc_model=_pymc_model,
    exact=_exact,
    groups=_groups,
    checks=_checks,
    counterpart=_counterpart,
    prior_lines=_prior_lines,
    example=lambda _: load_published(),
    kinds=(),
)
