"""The functions that the rooms of ordered categories share, the PyMC model first of all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_ptsd.evidence import Evidence
from bayes_ptsd.gaussian.blocks import patient_groups
from bayes_ptsd.provenance import DEFAULT_SEED
from bayes_ptsd.specification import Groups, ModelSpec, Problem
from bayes_ptsd.structures.categorical.model import (
    CategoricalModel,
    categorical_model,
    draw_priors,
    log_priors,
)
from bayes_ptsd.structures.categorical.posterior import (
    NULLS,
    estimand_units,
    replicated_categories,
    subject_log_likelihood,
    with_estimands,
)
from bayes_ptsd.structures.patients import (
    PRIOR_DRAWS,
    formulas,
    patient_attrs,
    prior_kinds,
    treatment_interval,
)

if TYPE_CHECKING:
    import pymc as pm

__all__ = ["NO_EXACT", "groups", "prior_lines", "problem", "pymc_model"]

INTERNAL = ("category_share", "category", "subject")
"""Variables that a sampler moves and nobody asks about, and their labels."""
NO_EXACT = "its likelihood has no closed form"


def problem(evidence: Evidence, spec: ModelSpec) -> Problem:
    """Bring patients and specification together."""
    model = categorical_model(evidence, spec)
    return Problem(
        model=model,
        endpoint=model.endpoint,
        attrs=_attrs(model),
        notes=model.notes,
        compiled=_kind(model),
        # the standard deviation of patient effects may be zero
        careful=spec.options["periods"] == "both",
        why_not_exact="" if model.separate_risks else NO_EXACT,
    )


def _attrs(problem: CategoricalModel) -> dict[str, Any]:
    """Return what names the analysis and its estimands."""
    units = estimand_units(problem)
    named = patient_attrs(
        problem.spec,
        problem.priors,
        visit=problem.scores.visit,
        size=problem.size,
        main="risk" if problem.separate_risks else "treatment",
    )
    return named | {
        "estimand_nulls": json.dumps({key: NULLS[key] for key in NULLS if key in units}),
        "estimand_units": json.dumps(units),
    }


def _kind(problem: CategoricalModel) -> str:
    """Return what is compiled into a model and is not data."""
    content = {
        "options": dict(problem.options),
        "priors": prior_kinds(problem.priors, inside=()),
        "categories": len(problem.categories),
    }
    return json.dumps(["categorical", content], sort_keys=True)


def pymc_model(model: CategoricalModel) -> pm.Model:
    """Build the PyMC model; categories and the parameters of priors are data to be exchanged.

    ``log_odds_ratio`` (``probit_difference``) is positive where the active treatment is better, the
    period effect is in the direction of the score; a missing period is no observation.
    """
    import pymc as pm

    from bayes_ptsd.categorical.observed import (
        category_shares,
        induced_cutpoints,
        observe_repeated,
        spaced_cutpoints,
    )
    from bayes_ptsd.pymc_priors import prior_variable

    def prior(name: str, key: str, dims: str | None = None) -> Any:
        return prior_variable(name, model.priors[key], dims=dims, exchangeable=True)

    scores = model.scores
    subject, period = np.nonzero(scores.there)
    coords = {name: model.coords[name] for name in ("category", "at_most", "gap")}
    coords |= {"subject": scores.subject, "observation": np.arange(len(subject))}
    with pm.Model(coords=coords) as built:
        place = pm.Data("place", scores.place[subject, period], dims="observation")
        treatment = pm.Data("treatment", scores.active[subject, period] - 0.5, dims="observation")
        sign = pm.Data("benefit_sign", float(model.sign))

        eta = sign * prior(model.effect, "treatment") * treatment
        if model.two_periods:
            period_centered = pm.Data("period_centered", period - 0.5, dims="observation")
            eta = eta + prior("period_effect", "period_effect") * period_centered
            sd_subject = prior("sd_subject", "sd_subject")
        if scores.baseline is not None:
            baseline = pm.Data("baseline_centered", scores.baseline[subject], dims="observation")
            eta = eta + prior("baseline_slope", "baseline_slope") * baseline
        if model.by_arm:
            log_gap_ratio = prior("log_gap_ratio", "gap_ratio", "gap")

        share = pm.Dirichlet("category_share", np.ones(len(model.categories)), dims="category")
        cutpoint = induced_cutpoints(share, model.link)
        cutpoint = pm.Deterministic("cutpoint", cutpoint, dims="at_most")
        cuts = cutpoint[None, :]
        if model.by_arm:
            cuts = spaced_cutpoints(cutpoint, log_gap_ratio[None, :] * treatment[:, None])
        cuts = cuts - eta[:, None]

        if model.two_periods:
            # both scores of a patient share an effect: each row has the numbers of a patient's
            # observations, and the number after the last where there is no second
            number = np.full(scores.there.shape, len(subject))
            number[subject, period] = np.arange(len(subject))
            member = pm.Data("member", number)
            observe_repeated(
                "score", place, cuts=cuts, spread=sd_subject, member=member, link=model.link,
                dims="observation",
            )  # fmt: skip
        else:
            shares = category_shares(cuts, model.link)
            pm.Categorical("score", p=shares, observed=place, dims="observation")
    return built


def groups(model: CategoricalModel, found: Groups, seed: int, _: pm.Model | None) -> Groups:
    """Return estimands, data, and predictive, likelihood and prior groups.

    ``log_likelihood`` is by subject, its effect integrated out; ``log_prior`` by parameter.
    """
    posterior = found["posterior"].drop_vars(INTERNAL, errors="ignore")
    further = patient_groups(
        posterior,
        observed=model.observed[["score"]],
        constants=model.observed[["active"]],
        replicated=lambda draws, rng: replicated_categories(draws, model, rng),
        log_likelihood=lambda draws: subject_log_likelihood(draws, model),
        log_prior=lambda draws: log_priors(draws, model),
        prior=(lambda: with_estimands(draw_priors(model, PRIOR_DRAWS, seed=seed), model))
        if model.drawable
        else None,
        seed=seed,
    )
    return {"posterior": with_estimands(posterior, model), **further}


def prior_lines(model: CategoricalModel) -> tuple[dict[str, str], bool]:
    """Return the priors of a specification in words, and whether all are proper.

    The prior predictive is what the priors make of the mean difference on the scale.
    """
    lines = formulas(model.priors)
    lines["prior categories"] = "shares at the reference: Dirichlet(1, ..., 1)"
    if not model.drawable:
        return lines, False
    lines |= treatment_interval(model.priors, unit=estimand_units(model)[model.effect])
    drawn = with_estimands(draw_priors(model, PRIOR_DRAWS, seed=DEFAULT_SEED), model)
    low, high = np.quantile(drawn["treatment_difference"].values, [0.025, 0.975])
    ends = f"{model.categories[0]} to {model.categories[-1]}"
    lines["prior predictive"] = (
        f"95% of mean differences from {low:.2f} to {high:.2f} on a scale of {ends}"
    )
    return lines, True
