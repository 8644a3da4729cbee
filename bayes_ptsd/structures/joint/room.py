"""The room: what models of several printed contrasts accept, load, predict, check and say."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayes_ptsd.check_roles import Check, check_table
from bayes_ptsd.checks.patients import quadrature_checks
from bayes_ptsd.errors import SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.published import load_published
from bayes_ptsd.frequentist.documents import COLUMNS, finite
from bayes_ptsd.priors import FloatArray
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
from bayes_ptsd.structures.joint.exact import (
    NOTHING,
    exact_joint,
    joint_posterior,
    joint_probabilities,
    labelled_draws,
    normal_draws,
    share_above,
    with_total,
)
from bayes_ptsd.structures.joint.problem import (
    JointModel,
    JointProblem,
    endpoints_model,
    subscales_model,
)
from bayes_ptsd.structures.patients import PRIOR_DRAWS, formulas

if TYPE_CHECKING:
    import pymc as pm

__all__ = [
    "ENDPOINTS",
    "SUBSCALES",
    "joint_checks",
    "joint_groups",
    "predictive_tail",
    "pymc_model",
]

# variables of the PyMC model that are no estimands
INTERNAL = ("difference", "common_standard", "own_standard")
ANALYSES = ("first_period", "crossover")
READINGS = ("as_published", "carryover_covariate", "unhalved", "change", "change_unhalved")
# The usual 5%: estimates that one trial in twenty shows under the prior are no news.
CONFLICT = 0.05


def _select(spec: ModelSpec, request: Request) -> Evidence:
    """Return all printed rows; the model chooses those of its analysis."""
    if request.contrast is not None:
        raise SpecError(
            f"model '{spec.name}' analyzes several rows: leave out --contrast, choose them by "
            "--option analysis=crossover"
        )
    return load_published(request.folder)


def _problem(
    evidence: Evidence, spec: ModelSpec, set_up: Callable[[Evidence, ModelSpec], JointModel]
) -> Problem:
    """Bring the rows and the specification together."""
    model = set_up(evidence, spec)
    return Problem(
        model=model,
        endpoint=model.endpoint,
        attrs=_attrs(model),
        notes=model.problem.assumptions,
        # the numbers are compiled in: nothing is reused
        compiled=json.dumps(["joint", evidence.digest, spec.spec_id]),
        careful=True,
    )


def _attrs(model: JointModel) -> dict[str, Any]:
    """Return what names the analysis and its estimands, as attributes of a fit.

    ``label_constants`` has unit, MCID and reference SD of each ``difference[<endpoint>]``.
    """
    main, asked = model.priors[model.main], model.spec.priors[model.main]
    rows = [model.rows[name] for name in model.parts]
    constants = {
        name: {"unit": one.unit, "mcid": one.mcid, "reference_sd": one.reference_sd}
        for name, one in model.parts.items()
    }
    subjects = int(max(float(row["n"]) for row in rows))
    size = {"subjects": subjects, "observations": model.problem.size, "by_sequence": {}}
    crossover = model.problem.analysis == "crossover"
    return {
        "analysis": model.problem.analysis,
        "timepoint": str(rows[0]["timepoint"].item()),
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


def pymc_model(joint: JointModel) -> pm.Model:
    """Build the PyMC model of several printed contrasts.

    With F F' = fixed and S S' = spread, and z, w standard normal::

        difference = center + F z + heterogeneity S w
        estimate ~ Normal(difference, sampling)

    ``difference`` is in the unit of the estimates, ``endpoint_difference`` in score units, both
    benefit-positive.
    """
    import pymc as pm
    import pytensor.tensor as pt

    from bayes_ptsd.pymc_priors import prior_variable

    problem = joint.problem
    fixed, spread = _root(problem.fixed), _root(problem.spread)
    with pm.Model(coords={"endpoint": list(problem.endpoint)}) as model:
        heterogeneity = prior_variable("heterogeneity", problem.heterogeneity)
        # what all differences share, and what each has of its own
        common = pm.Normal("common_standard", 0.0, 1.0, shape=fixed.shape[1])
        own = pm.Normal("own_standard", 0.0, 1.0, shape=spread.shape[1])
        moved = pt.dot(fixed, common) + heterogeneity * pt.dot(spread, own)
        difference = pm.Deterministic("difference", problem.center + moved, dims="endpoint")

        scores = pm.Deterministic("endpoint_difference", difference * problem.unit, dims="endpoint")
        if joint.has_total:
            pm.Deterministic("treatment_difference", scores.sum())
        pm.MvNormal(
            "estimate",
            mu=difference,
            cov=problem.sampling,
            observed=problem.estimate,
            dims="endpoint",
        )
    return model


def _root(covariance: FloatArray) -> FloatArray:
    """Return the Cholesky root without the columns of what does not vary given those before it.

    A root by eigenvectors would be another one on another processor where eigenvalues are equal.
    """
    left, columns = covariance.astype(float), [np.empty((len(covariance), 0))]
    for place, variance in enumerate(covariance.diagonal()):
        if left[place, place] > NOTHING * variance:
            column = left[:, place] / np.sqrt(left[place, place])
            columns.append(column[:, None])
            left = left - np.outer(column, column)
    return np.hstack(columns)


def _groups(model: JointModel, groups: Groups, seed: int, _: pm.Model | None) -> Groups:
    """Return the estimands, and predictive, likelihood and prior groups."""
    posterior = groups["posterior"].drop_vars(INTERNAL, errors="ignore")
    posterior = posterior.drop_dims(set(posterior.dims) - {"chain", "draw", "endpoint"})
    return joint_groups(posterior, model, seed=seed)


def joint_groups(posterior: xr.Dataset, model: JointModel, *, seed: int) -> Groups:
    """Compute data, predictive, likelihood and prior groups from draws, estimates in score units.

    ``posterior`` has the sum of the differences where it is an estimand.
    """
    problem = model.problem
    generator = np.random.default_rng(seed)
    omega = posterior["heterogeneity"].values
    difference = posterior["endpoint_difference"].transpose("chain", "draw", "endpoint").values
    size = problem.size
    own = (difference / problem.unit).reshape(-1, size)
    noise = _noise(problem, len(own), generator).reshape(difference.shape)
    prior = problem.fixed + np.square(omega)[..., None, None] * problem.spread
    sampling = np.broadcast_to(problem.sampling, (len(own), size, size))
    believed = problem.heterogeneity.quantile(generator.uniform(size=PRIOR_DRAWS))
    before = problem.fixed + np.square(believed)[:, None, None] * problem.spread
    center = np.broadcast_to(problem.center, (PRIOR_DRAWS, size))
    drawn = normal_draws(center, before, generator) * problem.unit
    replicated = drawn + _noise(problem, PRIOR_DRAWS, generator)
    labels = {"endpoint": list(problem.endpoint)}
    log_prior = {
        "heterogeneity": problem.heterogeneity.logpdf(omega),
        "endpoint_difference": _log_normal(
            own - problem.center, prior.reshape(-1, size, size)
        ).reshape(omega.shape),
    }
    log_likelihood = _log_normal(problem.estimate - own, sampling).reshape(omega.shape)
    return {
        "posterior": with_total(posterior, model),
        "observed_data": xr.Dataset(
            {"estimate": ("endpoint", problem.estimate * problem.unit)}, coords=labels
        ),
        "posterior_predictive": _estimates(difference + noise, labels),
        "log_likelihood": xr.Dataset({"estimate": (("chain", "draw"), log_likelihood)}),
        "log_prior": xr.Dataset({key: (("chain", "draw"), v) for key, v in log_prior.items()}),
        "prior": labelled_draws(model, believed[None], drawn[None]),
        "prior_predictive": _estimates(replicated[None], labels),
    }


def _noise(problem: JointProblem, count: int, generator: np.random.Generator) -> FloatArray:
    """Draw sampling errors in score units, dims (draw, endpoint)."""
    covariance = np.broadcast_to(problem.sampling, (count, problem.size, problem.size))
    return normal_draws(np.zeros((count, problem.size)), covariance, generator) * problem.unit


def _log_normal(residual: FloatArray, covariance: FloatArray) -> FloatArray:
    """Return log densities of centered normals, dim (draw,)."""
    scaled = np.linalg.solve(covariance, residual[..., None])[..., 0]
    square = (residual * scaled).sum(axis=-1)
    size = residual.shape[-1]
    return np.asarray(-0.5 * (square + np.linalg.slogdet(covariance)[1] + size * np.log(2 * np.pi)))


def _estimates(values: FloatArray, labels: dict[str, list[str]]) -> xr.Dataset:
    """Return replicated estimates with their labels."""
    return xr.Dataset({"estimate": (("chain", "draw", "endpoint"), values)}, coords=labels)


def joint_checks(fit: xr.DataTree, model: JointModel) -> Groups:
    """Judge the integration and whether prior and estimates agree; count what benefits jointly.

    ``joint`` has the probabilities that at least so many endpoints benefit, from 200,000 draws of
    an exact posterior or the draws of a sampled one.
    """
    problem = model.problem
    tail = predictive_tail(problem, fit["prior_predictive"].to_dataset())
    said = (
        f"prior-data conflict: under the prior, estimates this far out have probability {tail:.3f}"
    )
    checks = [
        *quadrature_checks(fit),
        Check("prior_predictive_tail", tail, CONFLICT, tail >= CONFLICT, meaning=said),
    ]
    if "exact" in fit.children:
        joint = joint_probabilities(problem, joint_posterior(problem))
    else:
        drawn = fit["posterior"].to_dataset()["endpoint_difference"]
        ordered = drawn.transpose("chain", "draw", "endpoint").values
        joint = share_above(problem, ordered.reshape(-1, problem.size))
    return {"checks": check_table(checks), "joint": joint.drop_attrs()}


def predictive_tail(problem: JointProblem, replicated: xr.Dataset) -> float:
    """Return the share of estimates drawn from the prior that lie further out than the printed.

    Small where prior and estimates disagree; distances are those of the covariance of the draws.
    """
    drawn = replicated["estimate"].values.reshape(-1, problem.size)
    inverse = np.linalg.inv(np.cov(drawn.T))
    center = problem.center * problem.unit
    away = drawn - center
    seen = problem.estimate * problem.unit - center
    distance = np.einsum("di,ij,dj->d", away, inverse, away)
    return float((distance >= seen @ inverse @ seen).mean())


def _counterpart(model: JointModel) -> dict[str, Any]:
    """Return the printed rows that a joint model analyzes, and of subscales that of the total."""
    lines = {}
    for name, row in model.rows.items():
        one: dict[str, Any] = {key: finite(row[key].item()) for key in COLUMNS}
        one["ci95"] = [finite(row[key].item()) for key in ("interval_low", "interval_high")]
        whole = name not in model.parts
        lines["treatment_difference" if whole else f"difference[{name}]"] = one
    nothing: dict[str, Any] = dict.fromkeys((*COLUMNS, "ci95"))
    method = "as printed: each row on its own, without adjustment for their number"
    return {
        "method": method,
        **lines.get("treatment_difference", nothing),
        "analyses": {"printed": {"method": method, "note": "", "estimands": lines}},
    }


def _document(fit: xr.DataTree) -> dict[str, Any]:
    """Return the probabilities that at least one, two, ... differences exceed 0, or their MCID."""
    joint = fit["joint"].to_dataset()
    keys = ("at_least_above_zero", "at_least_above_mcid")
    found: dict[str, Any] = {key: [finite(p) for p in joint[key].values] for key in keys}
    return {"joint": found | {"mcse": float(joint["mcse"])}}


def _prior_lines(model: JointModel) -> tuple[dict[str, str], bool]:
    """Return the priors of a specification in words, and whether all are proper."""
    lines = formulas(model.priors)
    low, high = model.priors[model.main].interval()
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
    reads="rows",
    options={"analysis": ANALYSES, "crossover_reading": READINGS, "correlation": NUMBER},
    priors=("mean", "heterogeneity"),
    equation="estimate[e] / SD[e] ~ Normal(theta, S R S);  theta[e] ~ Normal(mu[domain of e], "
    "heterogeneity^2);  difference[e] = SD[e] theta[e]",
    room="bayes_ptsd/structures/joint",
    uses=lambda _: ("mean", "heterogeneity"),
    conflict=lambda _: "",
    select=_select,
    problem=lambda evidence, spec: _problem(evidence, spec, endpoints_model),
    pymc_model=pymc_model,
    exact=lambda model, seed: exact_joint(model, seed=seed),
    groups=_groups,
    checks=lambda model, fit, _: joint_checks(fit, model),
    counterpart=_counterpart,
    document=_document,
    prior_lines=_prior_lines,
    example=lambda _: load_published(),
    kinds=(),
    effects=(),
)
SUBSCALES = Structure(
    name="subscales",
    reads="rows",
    options={"total": NAME, "analysis": ANALYSES, "crossover_reading": READINGS},
    priors=("treatment", "heterogeneity"),
    equation="estimate[k] ~ Normal(difference, S R S);  difference[k] = w[k] tau + d[k], sum of d "
    "= 0, d ~ Normal(0, heterogeneity^2) on that plane;  treatment difference = sum of difference",
    room="bayes_ptsd/structures/joint",
    uses=lambda _: ("treatment", "heterogeneity"),
    conflict=lambda _: "",
    select=_select,
    problem=lambda evidence, spec: _problem(evidence, spec, subscales_model),
    pymc_model=pymc_model,
    exact=lambda model, seed: exact_joint(model, seed=seed),
    groups=_groups,
    checks=lambda model, fit, _: joint_checks(fit, model),
    counterpart=_counterpart,
    document=_document,
    prior_lines=_prior_lines,
    example=lambda _: load_published(),
    kinds=(),
)
