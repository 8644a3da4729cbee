"""Adjusted comparisons pooled over reconstructed patients: every effect, and correlated errors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.outcome import select_outcomes
from bayes_ptsd.exact.mixture import Mixture
from bayes_ptsd.gaussian.draws import draw_posterior
from bayes_ptsd.gaussian.problem import Solution, solve_problem
from bayes_ptsd.gaussian.summaries import DRAW_TOLERANCE
from bayes_ptsd.pooling import pooled_summary, shared_assumptions
from bayes_ptsd.provenance import DEFAULT_SEED
from bayes_ptsd.specification import ModelSpec
from bayes_ptsd.structures.depression.effects import mediation_summary
from bayes_ptsd.structures.depression.exact import effect_mixtures, regressions
from bayes_ptsd.structures.depression.model import depression_model, rests_on

__all__ = ["pool_depression"]

# of each reconstruction; twenty of them give 12,000, a Monte Carlo error of a probability of at
# most .005
DRAWS = 600
# limits at which probabilities are known: outside 7 sds of every mean a normal has 1e-12
REACH, STEPS = 7.0, 81


def pool_depression(
    patients: Sequence[Evidence],
    spec: ModelSpec,
    *,
    endpoint: str,
    visit: str = "24h",
    seed: int = DEFAULT_SEED,
) -> xr.DataTree:
    """Fit one model with a mediator to every reconstruction, exactly, and pool the posteriors.

    Two or more reconstructions of one reading and flow. ``pooled`` is as of `pooled_summary`,
    exact, with dim ``estimand``: total, controlled direct, natural direct, natural indirect effect
    and the mediator's difference; ``mediation`` as of `mediation_summary`, from 600 draws of each.
    """
    assumptions = shared_assumptions(patients)
    pair = [endpoint, str(spec.options["mediator"])]
    models = [depression_model(select_outcomes(one, pair, visit=visit), spec) for one in patients]
    solved = [
        [solve_problem(part, tolerance=DRAW_TOLERANCE) for part in regressions(model)]
        for model in models
    ]
    mixtures = [effect_mixtures(one, model) for one, model in zip(solved, models, strict=True)]
    ends = {"mediator_difference": models[0].mediator.mcid}
    names = list(mixtures[0])
    pooled = [
        _pooled([one[name] for one in mixtures], ends.get(name, models[0].endpoint.mcid))
        for name in names
    ]
    draws = [_draws(one, seed + place) for place, one in enumerate(solved)]
    together = xr.concat(pooled, xr.Variable("estimand", names))
    total = float(together["prob_benefit"].sel(estimand="treatment_difference"))
    mediation = mediation_summary(draws, models, prob_total=total)
    tree = xr.DataTree.from_dict({"pooled": together, "mediation": mediation})
    tree.attrs = {
        "evidence_kind": patients[0].kind,
        "model": spec.name,
        "spec_id": spec.spec_id,
        "prior": str(spec.document()["priors"]["treatment"]),
        "endpoint": endpoint,
        "mediator": pair[1],
        "timepoint": visit,
        "reconstructions": len(models),
        "seed": seed,
        "rests_on": rests_on({name: spec.priors[name] for name in spec.parameters}),
        **assumptions,
    }
    return tree


def _pooled(mixtures: Sequence[Mixture], mcid: float | None) -> xr.Dataset:
    """Pool one effect."""
    mean, sd = (np.array([getattr(one, key) for one in mixtures]) for key in ("mean", "sd"))
    ends = [0.0] if mcid is None else [0.0, mcid]
    spread = np.linspace((mean - REACH * sd).min(), (mean + REACH * sd).max(), STEPS)
    # what probabilities are asked of is a point itself: an indirect effect has a cusp at zero
    limits = np.unique(np.concatenate([spread, ends]))
    above = 1 - np.stack([one.below(limits) for one in mixtures])
    return pooled_summary(mean, sd, limits=limits, above=above, mcid=mcid)


def _draws(solutions: Sequence[Solution], seed: int) -> xr.Dataset:
    """Draw the parameters of both regressions."""
    outcome, mediator = (
        draw_posterior(one, draws=DRAWS, rng=rng)
        for one, rng in zip(solutions, np.random.default_rng(seed).spawn(2), strict=True)
    )
    both = outcome.merge(mediator.rename(sd_residual="mediator_sd"))
    return both.rename(dataset="chain")
