"""A fit of one printed contrast: the exact posterior as a DataTree like any other fit."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.check_roles import Check, check_table, checks_passed, failed_checks
from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.estimands import estimate, summary_document
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.exact.grid import grid_quantile
from bayes_ptsd.exact.summary import (
    exact_posterior,
    likelihood_of,
    prior_predictive_tail,
)
from bayes_ptsd.prior_family import WITHOUT_SD, resolve_prior
from bayes_ptsd.priors import FloatArray, Prior, normal, prior_from_table, student_t
from bayes_ptsd.provenance import (
    DEFAULT_SEED,
    EXACT_DRAWS,
    EXACT_SETTINGS,
    endpoint_constants,
    stamp,
)
from bayes_ptsd.scaled_priors import ScaledPrior
from bayes_ptsd.specification import REDRAWN, ModelSpec
from bayes_ptsd.trial import Endpoint

__all__ = [
    "accepted_row",
    "describe_row",
    "draw_printed",
    "fit_exact",
    "needs_sd",
    "row_prior",
    "summarize_exact",
]

# As many draws as a sampled fit has of its prior; prior draws are only looked at.
PRIOR_DRAWS = 1000
ESTIMAND = "treatment_difference"
DRAWN_FROM = ("observed_data", "constant_data", "exact")
DRAWN_BY = ("seed", "convention", "prior_table")
"""Groups and attributes of a fit that its draws follow from."""
# The usual 5%, two-sided: an estimate that one trial in twenty shows under the prior is no news.
CONFLICT = 0.05
# One dimension, so both are far below what any summary shows: four digits of a probability.
RESOLVED, OUTSIDE = 1e-8, 1e-6


def row_prior(spec: ModelSpec, evidence: Evidence) -> Prior:
    """Return the prior on the treatment difference for one selected row, in score units.

    A member of the family is resolved at the endpoint's reference SD, `cochrane` at the row's
    standard error; an endpoint without a reference SD is refused where the prior needs it.
    """
    asked = spec.priors["treatment"]
    if isinstance(asked, Prior):
        return asked
    row = evidence.data["effects"].to_dataset()
    endpoint = evidence.trial.endpoint(str(row["endpoint"].item()))
    if needs_sd(asked, endpoint):
        raise EvidenceError(
            f"endpoint '{endpoint.id}' has no 'reference_sd' in {evidence.trial.source}: the prior "
            f"'{asked}' is a multiple of it; add it, take {' or '.join(WITHOUT_SD)}, or give the "
            "prior in full"
        )
    if isinstance(asked, ScaledPrior):
        return asked.resolve(sd=endpoint.reference_sd or 1.0, location=0.0)
    scale = likelihood_of(row, spec.options["convention"]).params["sigma"]
    return resolve_prior(asked, sd=endpoint.reference_sd, se=scale)


def needs_sd(asked: Prior | ScaledPrior | str, endpoint: Endpoint) -> bool:
    """Tell whether a prior is a multiple of a reference SD that the endpoint lacks."""
    multiple = not isinstance(asked, Prior) and asked not in WITHOUT_SD
    return multiple and endpoint.reference_sd is None


def fit_exact(
    evidence: Evidence, spec: ModelSpec, *, seed: int = DEFAULT_SEED, drawn: bool = True
) -> xr.DataTree:
    """Return the posterior of one printed contrast as a fit.

    Dims ``chain`` (1) and ``draw`` (4000; 1000 of the prior); the seed is that of the inverse-CDF
    draws. A flat prior has no prior and no prior predictive draws. Not `drawn`, it is as a store
    keeps it.
    """
    start = time.perf_counter()
    row = accepted_row(evidence, spec)
    endpoint = evidence.trial.endpoint(str(row["endpoint"].item()))
    likelihood = likelihood_of(row, spec.options["convention"])
    prior = row_prior(spec, evidence)
    exact = exact_posterior(likelihood, prior)
    tree = xr.DataTree.from_dict(_groups(likelihood, prior, exact))
    failures = failed_checks(tree)
    tree.attrs = stamp(
        evidence,
        spec,
        endpoint=endpoint,
        settings=EXACT_SETTINGS,
        seed=seed,
        seconds=time.perf_counter() - start,
        warnings=failures,
    )
    tree.attrs.update(describe_row(row, spec, prior))
    tree.attrs["checks_passed"] = int(checks_passed(tree))
    tree.attrs["summary"] = json.dumps(summary_document(estimate(tree)))
    if not drawn:
        tree.attrs[REDRAWN] = 1
        return tree
    for name, group in draw_printed(tree).items():
        tree[name] = xr.DataTree(group)
    return tree


def draw_printed(fit: xr.DataTree) -> dict[str, xr.Dataset]:
    """Return the draws of an exact fit of a printed contrast, from its grid, priors and seed.

    By inverse distribution functions; nothing where the fit is none of `fit_exact`.
    """
    if not (set(DRAWN_FROM) <= set(fit.children) and set(DRAWN_BY) <= set(fit.attrs)):
        return {}
    observed = float(fit["observed_data/estimate"])
    se, df = (float(fit[f"constant_data/{name}"]) for name in ("se", "df"))
    error = normal(0.0, se) if fit.attrs["convention"] == "N" else student_t(df, 0.0, se)
    prior = prior_from_table(json.loads(fit.attrs["prior_table"]))
    uniform = np.random.default_rng(int(fit.attrs["seed"])).uniform(size=(4, EXACT_DRAWS))
    difference = grid_quantile(fit["exact"].to_dataset().sel(estimand=ESTIMAND), uniform[0])
    groups = {
        "posterior": _draws(ESTIMAND, difference),
        "posterior_predictive": _draws("estimate", difference + error.quantile(uniform[1])),
        "log_likelihood": _draws("estimate", error.logpdf(observed - difference)),
        "log_prior": _draws(ESTIMAND, prior.logpdf(difference)),
    }
    if prior.proper:
        believed = prior.quantile(uniform[2, :PRIOR_DRAWS])
        noise = error.quantile(uniform[3, :PRIOR_DRAWS])
        groups["prior"] = _draws(ESTIMAND, believed)
        groups["prior_predictive"] = _draws("estimate", believed + noise)
    return groups


def summarize_exact(evidence: Evidence, spec: ModelSpec) -> dict[str, Any]:
    """Return the summary that `fit_exact` stores of one printed contrast, without making a fit."""
    row = accepted_row(evidence, spec)
    likelihood = likelihood_of(row, spec.options["convention"])
    exact = exact_posterior(likelihood, row_prior(spec, evidence))
    tree = xr.DataTree.from_dict({"exact": exact.expand_dims(estimand=[ESTIMAND])})
    endpoint = evidence.trial.endpoint(str(row["endpoint"].item()))
    tree.attrs["endpoint_constants"] = json.dumps(endpoint_constants(endpoint))
    return summary_document(estimate(tree))


def accepted_row(evidence: Evidence, spec: ModelSpec) -> xr.Dataset:
    """Return the one row of the evidence, or refuse what the model does not accept."""
    if "effects" not in evidence.data.children:
        raise EvidenceError(
            f"model '{spec.name}' needs a printed row; this evidence is '{evidence.kind}': take a "
            "model of patients such as 'crossover', or load_published()"
        )
    row = evidence.data["effects"].to_dataset()
    if row["estimate"].ndim:
        raise EvidenceError("select one contrast first: select_contrast(evidence, 'T2.IESR.X')")
    name, analysis = str(row["contrast"].item()), str(row["analysis"].item())
    accepted = spec.options["analysis"]
    if accepted != "any" and accepted != analysis:
        raise EvidenceError(
            f"model '{spec.name}' is about {accepted} rows; '{name}' is a {analysis} row"
        )
    reading = evidence.assumptions.get("crossover_reading", "as_published")
    if analysis == "crossover" and reading != spec.options["crossover_reading"]:
        raise EvidenceError(
            f"'{name}' was selected as '{reading}', but model '{spec.name}' reads crossover rows "
            f"as '{spec.options['crossover_reading']}'; use the same reading for both"
        )
    return row


def describe_row(row: xr.Dataset, spec: ModelSpec, prior: Prior) -> dict[str, str]:
    """Return the attributes that name a row, its reading, convention and prior."""
    reading = spec.options["crossover_reading"]
    words = {key: str(row[key].item()) for key in ("measure", "print_sign") if key in row.coords}
    return words | {
        "contrast": str(row["contrast"].item()),
        "analysis": str(row["analysis"].item()),
        "timepoint": str(row["timepoint"].item()),
        "convention": spec.options["convention"],
        "crossover_reading": reading if str(row["analysis"].item()) == "crossover" else "",
        "prior": prior.name,
        "prior_table": json.dumps(prior.table()),
        "prior_formula": prior.formula,
    }


def _groups(likelihood: Prior, prior: Prior, exact: xr.Dataset) -> dict[str, xr.Dataset]:
    """Return the groups of a fit from which everything else of it follows."""
    se, df = likelihood.params["sigma"], likelihood.params.get("nu", np.inf)
    return {
        "observed_data": xr.Dataset({"estimate": likelihood.params["mu"]}),
        "constant_data": xr.Dataset({"se": se, "df": df}),
        "exact": exact.expand_dims(estimand=[ESTIMAND]),
        "checks": _checks(likelihood, prior, exact),
    }


def _checks(likelihood: Prior, prior: Prior, exact: xr.Dataset) -> xr.Dataset:
    """Return the named checks of a deterministic posterior with figures and thresholds."""
    error = float(exact["quadrature_error"])
    outside = float(exact["cdf"][0] + 1 - exact["cdf"][-1])
    tail = prior_predictive_tail(likelihood, prior)
    return check_table(
        [
            Check("quadrature_error", error, RESOLVED, error < RESOLVED),
            Check("mass_outside_grid", outside, OUTSIDE, outside < OUTSIDE),
            # a flat prior expects no estimate more than another: its tail is NaN, and no conflict
            Check(
                "prior_predictive_tail", tail, CONFLICT, not tail < CONFLICT,
                meaning=_conflict_warning(tail),
            ),
        ]
    )  # fmt: skip


def _draws(name: str, values: FloatArray) -> xr.Dataset:
    """Return one variable of draws in one chain."""
    coords = {"chain": [0], "draw": np.arange(values.size)}
    return xr.Dataset({name: (("chain", "draw"), values[np.newaxis])}, coords=coords)


def _conflict_warning(probability: float) -> str:
    """Say in words that prior and data disagree."""
    return (
        "prior-data conflict: under the prior, an estimate this far out has probability "
        f"{probability:.3f}"
    )
