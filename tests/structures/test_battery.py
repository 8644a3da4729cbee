"""What every room promises, held by one battery over every shipped model and its options.

Golden answers, one density in PyMC and in NumPy, flat priors beside the counterpart, refusals. The
ranks of known truths are in test_calibration and in the files of the rooms.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import pytest
import xarray as xr
from golden_values import answer, cases, densities, differences, kept
from numpy.typing import NDArray

from bayes_ptsd.describe import example_evidence
from bayes_ptsd.errors import BayesPtsdError, SpecError
from bayes_ptsd.estimands import estimate
from bayes_ptsd.evidence.published import load_published
from bayes_ptsd.fit import build_model, chosen_engine, fit_model, frequentist_document
from bayes_ptsd.specification import Groups
from bayes_ptsd.structures import STRUCTURES
from bayes_ptsd.structures.categorical.patients import example_categories
from bayes_ptsd.structures.crossover.example import example_patients

# what PyTensor says of BLAS and a fit of leave-one-out is not what is tested
pytestmark = pytest.mark.filterwarnings("ignore")
# density given each patient's effect, which that of the patients integrates out
CONDITIONAL = "crossover[subject_effects=sampled]"
# sums of some hundred terms in double precision
ROUNDING = 1e-9
# the patient's effect integrated by 15 nodes in PyMC and by 32 in NumPy; PyMC's probit is in single
# precision
NODES = 1e-4
# what PyMC samples in place of the parameter that has the prior: standard deviates, matrices
SAMPLED = {
    "common_standard", "correlation_unit", "correlations", "covariance_root", "own_standard",
    "partial_unit", "plane_standard", "subject_standard", "visit_standard", "baseline_carryover",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(cases()))
def test_model_answers_as_kept(name: str) -> None:
    """Digest, exact fit and log density of a model on its example are those kept, to 1e-9."""
    found = json.loads(json.dumps(answer(name)))
    assert differences(found, kept("models")[name]) == []


def test_every_kept_model_is_shipped() -> None:
    """No model is lost, and every room has one: those of the kept answers are those of today."""
    assert sorted(kept("models")) == sorted(cases())
    assert {spec.structure for spec in cases().values()} == set(STRUCTURES)


def groups(name: str) -> Groups:
    """Return the groups that a room computes in NumPy for the points of the PyMC density."""
    spec = cases()[name]
    evidence = example_evidence(spec)
    problem, draws = spec.room.problem(evidence, spec), densities(name)["draws"]
    return spec.room.groups(problem.model, {"posterior": draws}, 1, build_model(evidence, spec))


def by_point(densities_: xr.DataArray) -> NDArray[np.float64]:
    """Return the sum of log densities at each point."""
    return densities_.stack(point=("chain", "draw")).transpose("point", ...).values.reshape(
        densities_.sizes["draw"], -1
    ).sum(axis=1)  # fmt: skip


@pytest.mark.parametrize("name", sorted(set(cases()) - {CONDITIONAL}))
def test_pymc_and_numpy_have_one_likelihood(name: str) -> None:
    """At 20 points the density of the data in PyMC is the sum of what the fit stores by patient."""
    stored = groups(name)["log_likelihood"]
    found = sum(by_point(one) for one in stored.data_vars.values())
    limit = NODES if cases()[name].structure in {"ordinal", "binary"} else ROUNDING
    assert found == pytest.approx(densities(name)["observed"], rel=ROUNDING, abs=limit)


@pytest.mark.parametrize("name", sorted(cases()))
def test_pymc_and_numpy_have_one_prior(name: str) -> None:
    """At 20 points each prior's density in PyMC is what the fit stores, but for a constant."""
    stored, found = groups(name)["log_prior"], densities(name)["priors"]
    assert set(found) - set(stored) <= SAMPLED
    assert set(found) & set(stored)
    for parameter in set(found) & set(stored):
        gap = by_point(stored[parameter]) - found[parameter]
        assert np.ptp(gap) < ROUNDING * max(1, abs(found[parameter]).max()), parameter


# Largest distance of the posterior mean under flat priors from the counterpart, in standard errors.
# Complete pairs and one period are least squares; the spread of one-period patients keeps a prior
# that moves it; a printed estimate and the middle of its printed interval differ by their rounding.
FLAT: Mapping[str, float] = {
    "crossover": 0.1,
    "crossover-completers": 1e-6,
    "crossover-log": 0.1,
    "depression-adjusted": 1e-3,
    "first-period": 1e-6,
    "published": 0.02,
    "published-crossover": 0.02,
    "published-crossover-unhalved": 0.02,
    "published-first-period": 0.02,
}
# exact models whose counterpart beside the fit has another likelihood or another prior of the
# carryover: where the same model is held to its own
ELSEWHERE: Mapping[str, str] = {
    "crossover-bivariate": "regression on sequence and sum: test_crossover_exact",
    "crossover-carryover": "first-period difference at the flat end: test_crossover_carryover",
}


def flat_exact() -> list[str]:
    """Return the shipped models with a treatment difference that are exact under flat priors."""
    found = []
    for name in sorted(set(load_names()) & set(cases())):
        spec = cases()[name]
        if "treatment" in spec.parameters:
            try:
                chosen_engine(example_evidence(spec), spec.under("flat"), engine="exact")
            except BayesPtsdError:
                continue
            found.append(name)
    return found


def load_names() -> list[str]:
    """Return the names of the shipped models."""
    return [name for name in cases() if "[" not in name]


def test_every_exact_model_is_held_to_a_counterpart() -> None:
    """No exact model with a treatment difference is left out of the comparison."""
    assert flat_exact() == sorted({*FLAT, *ELSEWHERE})


@pytest.mark.parametrize("name", sorted(FLAT))
def test_flat_priors_give_the_counterpart(name: str) -> None:
    """Where all location priors are flat the posterior mean is the frequentist estimate."""
    spec = cases()[name].under("flat")
    evidence = example_evidence(spec)
    line = frequentist_document(evidence, spec)
    fit = fit_model(evidence, spec, engine="exact")
    gap = estimate(fit).sel(estimand="treatment_difference")["mean"] - line["estimate"]
    assert abs(float(gap)) < FLAT[name] * line["se"]


@pytest.mark.parametrize("name", sorted(load_names()))
def test_what_a_room_cannot_take_is_refused_by_name(name: str) -> None:
    """Another option, parameter, or kind of evidence is one error that says which."""
    spec = cases()[name]
    with pytest.raises(SpecError, match="no-such-option"):
        spec.having(options={"no-such-option": 1})
    with pytest.raises(SpecError, match="no_such_parameter"):
        spec.having(priors={"no_such_parameter": "flat"})
    rows = spec.room.reads == "rows"
    with pytest.raises(BayesPtsdError, match="printed|rows" if rows else "patients"):
        build_model(example_patients() if rows else load_published(), spec)


@pytest.mark.parametrize(
    "name", [one for one in sorted(cases()) if cases()[one].structure in {"ordinal", "binary"}]
)
def test_an_endpoint_of_another_kind_is_refused(name: str) -> None:
    """A model of categories refuses another kind and names the model that takes it."""
    spec = cases()[name]
    for other in (example_categories("binary"), example_categories(), example_patients()):
        kind = next(iter(other.trial.endpoints.values())).kind
        if kind not in spec.room.kinds:
            with pytest.raises(BayesPtsdError, match=f"is {kind}, and this model is for .* take"):
                build_model(other, spec)
