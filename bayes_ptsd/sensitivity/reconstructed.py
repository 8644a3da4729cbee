"""Assumptions about patients, changed one at a time on reconstructions of the printed numbers.

The base is the main model of the analysis, pooled exactly over reconstructions of the same reading:
for a crossover row the model `crossover` (random patient intercept, all patients, no carryover),
for a first-period row `first-period`, both under the reference prior, which is as good as flat.
These bases are not the printed interval: the models use patients that the printed analysis left
out, and priors of the nuisance parameters. Moves are measured within the reconstructions only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from scipy import special

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.outcome import select_outcome
from bayes_ptsd.evidence.published import select_contrast
from bayes_ptsd.evidence.readings import FLOW_READINGS
from bayes_ptsd.models_files import load_model
from bayes_ptsd.pooling import pool_crossover, pool_first_period, pooled_summary
from bayes_ptsd.priors import normal
from bayes_ptsd.reconstructed.sets import is_shipped
from bayes_ptsd.reconstruction.plan import READINGS
from bayes_ptsd.reconstruction.release import OTHER_PRIORS, load_release
from bayes_ptsd.sensitivity.bias import Change
from bayes_ptsd.specification import ModelSpec
from bayes_ptsd.structures.crossover.carryover import without_carryover
from bayes_ptsd.structures.crossover.exact import batch_with_tails, exact_priors, stacked_pairs
from bayes_ptsd.structures.crossover.model import crossover_model

__all__ = ["one_sided_carryover", "reconstructed_changes"]

FEATURES = ("mean", "sd", "low", "high", "prob_benefit", "prob_gt_mcid")
PRIORS = ("weak", "skeptical", "enthusiastic")
WITH_NUISANCES = ("as_published", "unhalved")
# in reference SD: the carryover prior of models/crossover.toml, half of it and twice
CARRYOVER_SDS = (0.2, 0.4, 0.8)
ONE_SIDED_SD = 0.4  # of that prior, so that the two differ by their shape alone
# Gauss-Legendre points up to 4.5 sds (7 in a million lie beyond), and limits of the tails: over
# both signs they give the posterior of the exact carryover model back to 2e-4
NODES, REACH, STEPS = 12, 4.5, 121


class _Base(NamedTuple):
    """Where the changes start: sets of patients, the model, and how it is pooled."""

    patients: list[Evidence]
    spec: ModelSpec
    pool: Callable[..., xr.Dataset]
    endpoint: str
    visit: str

    def pooled(self, spec: ModelSpec, patients: list[Evidence] | None = None) -> xr.Dataset:
        """Pool a model over the sets, or over other sets."""
        return self.pool(patients or self.patients, spec, endpoint=self.endpoint, visit=self.visit)


def reconstructed_changes(
    evidence: Evidence,
    contrast: str,
    *,
    m: int = 20,
    crossover_reading: str = "as_published",
    flow_reading: str = "paper",
) -> list[Change]:
    """Change one assumption at a time on `m` reconstructions of a printed row; the base is first.

    None for rows of other analyses than crossover and first period, for outcomes without patients
    at that time, and for printed numbers that no shipped set prints.
    """
    row = select_contrast(evidence, contrast, crossover_reading=crossover_reading)
    if not is_shipped(evidence):
        return []
    printed = row.data["effects"].to_dataset()
    return list(_of_shipped(
        contrast.endswith("*"), str(printed["analysis"].item()), str(printed["endpoint"].item()),
        str(printed["timepoint"].item()), m, crossover_reading, flow_reading,
    ))  # fmt: skip


@cache
def _of_shipped(
    corrected: bool, analysis: str, endpoint: str, visit: str, m: int, reading: str, flow: str
) -> tuple[Change, ...]:
    """Return the changes of a row; shipped numbers and sets do not change while a program runs."""
    known = {"crossover": ("crossover", pool_crossover),
             "first_period": ("first-period", pool_first_period)}  # fmt: skip
    if analysis not in known or corrected:
        return ()
    sets = load_release(reading, flow, m=m)
    try:
        select_outcome(sets[0], endpoint, visit=visit)
    except EvidenceError:
        return ()
    name, pool = known[analysis]
    base = _Base(sets, load_model(name), pool, endpoint, visit)
    crossed = analysis == "crossover"
    return (
        _change("base", f"{name} model, {m} sets", base.pooled(base.spec)),
        *_priors(base),
        *(_crossover_models(base) if crossed else _first_period_models(base)),
        *_other_sets(base, reading, flow, readings=crossed),
    )


def one_sided_carryover(
    patients: Sequence[Evidence], spec: ModelSpec, *, endpoint: str, visit: str, scale: float,
    low: float = 0.0,
) -> xr.Dataset:  # fmt: skip
    """Pool a crossover model in which carryover can only be residual benefit.

    Its prior is half-normal of `scale`, in score units, or truncated at a negative `low` multiple
    of it. Posteriors at known carryovers are averaged over the prior and the likelihood of each by
    Gauss-Legendre quadrature. The model has none itself, and is one that the exact engine covers.
    """
    models = [crossover_model(select_outcome(one, endpoint, visit=visit), spec) for one in patients]
    pairs, priors, sign = stacked_pairs(models), exact_priors(models[0]), models[0].sign
    nodes, weights = np.polynomial.legendre.leggauss(NODES if low == 0 else 2 * NODES)
    place = low + (nodes + 1) / 2 * (REACH - low)
    log_prior = np.log(weights) - 0.5 * place**2
    shifted = without_carryover(pairs, scale * place, benefit_sign=sign)
    settings: dict[str, Any] = {"benefit_sign": sign, "covariance": str(spec.options["form"])}
    found = batch_with_tails(shifted, priors, STEPS, **settings)
    shape = (len(models), len(place))
    share = special.softmax(found["log_marginal_likelihood"].values.reshape(shape) + log_prior, 1)
    mean, sd = (found[key].values.reshape(shape) for key in ("mean", "sd"))
    center = (share * mean).sum(axis=1)
    spread = np.sqrt((share * (sd**2 + mean**2)).sum(axis=1) - center**2)
    above = found["prob_greater"].values.reshape(*shape, STEPS)
    return pooled_summary(
        center, spread, limits=found["threshold"].values,
        above=np.einsum("rk,rkl->rl", share, above), mcid=models[0].endpoint.mcid,
    )  # fmt: skip


def _change(assumption: str, alternative: str, pooled: xr.Dataset) -> Change:
    """Return a pooled posterior as a changed assumption."""
    summary = {key: float(pooled[key]) for key in FEATURES}
    return Change(assumption, alternative, summary, "reconstructed")


def _priors(base: _Base) -> Iterator[Change]:
    """Yield the members of the prior family that do not need a standard error."""
    for name in PRIORS:
        spec = base.spec.under(name)
        yield _change("prior", f"{name} prior", base.pooled(spec))


def _crossover_models(base: _Base) -> Iterator[Change]:
    """Yield other models of the crossover, and carryover under several priors."""
    for name, words in (
        ("crossover-completers", "both periods only"),
        ("crossover-bivariate", "two sds, any correlation"),
    ):
        yield _change("model", words, base.pooled(load_model(name)))
    carried = load_model("crossover-carryover")
    reference = base.patients[0].trial.endpoint(base.endpoint).reference_sd
    if reference is None:
        return
    for sd in CARRYOVER_SDS:
        pooled = base.pooled(carried.having(priors={"carryover": normal(0, sd * reference)}))
        yield _change("carryover", f"carryover N(0, {sd:g}\N{SUPERSCRIPT TWO}) SD", pooled)
    pooled = one_sided_carryover(
        base.patients, base.spec, endpoint=base.endpoint, visit=base.visit,
        scale=ONE_SIDED_SD * reference,
    )  # fmt: skip
    words = f"carryover half-normal({ONE_SIDED_SD:g} SD)"
    yield _change("carryover", words, pooled)


def _first_period_models(base: _Base) -> Iterator[Change]:
    """Yield other models of the first period."""
    for options, words in (
        ({"arm_sd": "unequal"}, "an sd in each arm"),
        ({"baseline": "none"}, "no baseline in the model"),
        ({"interaction": True}, "benefit by baseline"),
    ):
        yield _change("model", words, base.pooled(base.spec.having(options=options)))


def _other_sets(base: _Base, reading: str, flow: str, *, readings: bool) -> Iterator[Change]:
    """Yield the same model on patients of other readings, flows and nuisance priors."""
    m = len(base.patients)
    for other in READINGS if readings else ():
        if other != reading:
            pooled = base.pooled(base.spec, load_release(other, flow, m=m))
            words = f"read as {other.removeprefix('as_').replace('_', ' ')}"
            yield _change("crossover reading", words, pooled)
    for other in FLOW_READINGS if readings else ():
        if other != flow:
            pooled = base.pooled(base.spec, load_release(reading, other, m=m))
            yield _change("flow of patients", f"flow of the {other}", pooled)
    if reading in WITH_NUISANCES and flow == "paper":
        for name in OTHER_PRIORS:
            pooled = base.pooled(base.spec, load_release(reading, m=m, nuisance=name))
            words = f"nuisance priors: {name.replace('-', ' ')}"
            yield _change("reconstruction", words, pooled)
