"""Several printed contrasts at once, against closed forms and the same model in PyMC."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import arviz_stats as azs
import numpy as np
import pytest
from sampled import ERRORS
from scipy import stats

from bayes_ptsd.errors import EvidenceError, SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.published import load_published
from bayes_ptsd.exact.summary import exact_posterior
from bayes_ptsd.models_files import load_model
from bayes_ptsd.priors import Prior, normal
from bayes_ptsd.sampler import sample_posterior
from bayes_ptsd.specification import PriorValue
from bayes_ptsd.structures.joint.exact import (
    joint_draws,
    joint_marginal,
    joint_posterior,
    joint_probabilities,
    joint_table,
    share_above,
)
from bayes_ptsd.structures.joint.problem import (
    JointModel,
    JointProblem,
    analysis_rows,
    endpoints_model,
    equicorrelated,
    subscales_model,
)
from bayes_ptsd.structures.joint.room import pymc_model

TINY = Prior("half_normal", {"sigma": 1e-6})


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    """Return the printed evidence."""
    return load_published()


@pytest.fixture(scope="module")
def model(evidence: Evidence) -> JointModel:
    """Return the five endpoints of the first period."""
    return endpoints_model(evidence, load_model("endpoints"))


@pytest.fixture(scope="module")
def endpoints(model: JointModel) -> JointProblem:
    """Return their estimates."""
    return model.problem


def endpoints_of(evidence: Evidence, **options: Any) -> JointProblem:
    """Return the endpoints of an analysis under the priors of the model file."""
    return endpoints_model(evidence, load_model("endpoints").having(options=options)).problem


def subscales_of(
    evidence: Evidence, analysis: str, *, total: str = "ies_r", **priors: PriorValue
) -> JointProblem:
    """Return the subscales of an analysis, under a skeptical prior of the total by default."""
    spec = load_model("subscales").having(options={"analysis": analysis, "total": total})
    return subscales_model(
        evidence, spec.having(priors={"treatment": "skeptical"} | priors)
    ).problem


def test_one_endpoint_is_the_conjugate_posterior(endpoints: JointProblem) -> None:
    """Without heterogeneity one endpoint has the normal-normal posterior of its row."""
    one = replace(
        endpoints, endpoint=("ies_r",), estimate=endpoints.estimate[:1],
        sampling=endpoints.sampling[:1, :1], fixed=endpoints.fixed[:1, :1],
        spread=np.eye(1), center=np.zeros(1), unit=np.ones(1), mcid=np.ones(1),
        heterogeneity=TINY,
    )  # fmt: skip
    marginal = joint_marginal(joint_posterior(one), np.ones(1))
    likelihood = normal(float(one.estimate[0]), float(np.sqrt(one.sampling[0, 0])))
    exact = exact_posterior(likelihood, normal(0, 0.5))
    assert (marginal.mean, marginal.sd) == pytest.approx(
        (float(exact["mean"]), float(exact["sd"])), abs=1e-9
    )


def test_given_no_heterogeneity_it_is_the_multivariate_normal(endpoints: JointProblem) -> None:
    """Mean and covariance equal the precision-weighted form with all matrices inverted."""
    full = endpoints.fixed + 0.2**2 * np.eye(5)
    problem = replace(endpoints, fixed=full, heterogeneity=TINY)
    exact = joint_posterior(problem)
    covariance = np.linalg.inv(np.linalg.inv(full) + np.linalg.inv(problem.sampling))
    mean = covariance @ np.linalg.solve(problem.sampling, problem.estimate)
    for place, axis in enumerate(np.eye(5)):
        marginal = joint_marginal(exact, axis)
        assert marginal.mean == pytest.approx(mean[place], abs=1e-8)
        assert marginal.sd == pytest.approx(np.sqrt(covariance[place, place]), abs=1e-8)


def test_heterogeneity_is_integrated_not_plugged_in(endpoints: JointProblem) -> None:
    """Weights and marginal likelihood equal adaptive quadrature over omega."""
    from scipy import integrate

    def joint(omega: float) -> float:
        cov = endpoints.fixed + omega**2 * endpoints.spread + endpoints.sampling
        density = stats.multivariate_normal.pdf(endpoints.estimate, cov=cov)
        return float(density * stats.halfnorm.pdf(omega, scale=0.3))

    mass = integrate.quad(joint, 0, 3, epsabs=1e-13)[0]
    mean = integrate.quad(lambda x: x * joint(x), 0, 3, epsabs=1e-13)[0] / mass
    exact = joint_posterior(endpoints)
    assert float(exact["log_marginal_likelihood"]) == pytest.approx(np.log(mass), abs=1e-8)
    assert float((exact["omega"] * exact["weight"]).sum()) == pytest.approx(mean, abs=1e-8)


def test_nuts_samples_the_same_model(model: JointModel) -> None:
    """PyMC's posterior mean of every difference and of the heterogeneity is the exact one."""
    groups = sample_posterior(pymc_model(model), draws=1000, tune=1000, chains=4, seed=7)
    table = azs.summary(groups["posterior"], var_names=["difference", "heterogeneity"],
                        kind="all", ci_kind="eti", ci_prob=0.95, round_to="none")  # fmt: skip
    exact = joint_posterior(model.problem)
    means = [joint_marginal(exact, axis).mean for axis in np.eye(5)]
    means.append(float((exact["omega"] * exact["weight"]).sum()))
    gaps = np.abs(table["mean"].to_numpy(dtype=float) - means)
    assert bool((gaps < ERRORS * table["mcse_mean"].to_numpy(dtype=float)).all())


@pytest.mark.parametrize("analysis", ["crossover", "first_period"])
def test_subscales_add_up_before_and_after(evidence: Evidence, analysis: str) -> None:
    """The sum has the prior of the total; under a wide one it has the printed error."""
    problem = subscales_of(evidence, analysis)
    ones = np.ones(3)
    assert np.sqrt(ones @ problem.fixed @ ones) == pytest.approx(7.879, abs=1e-3)
    assert ones @ problem.spread @ ones == pytest.approx(0, abs=1e-12)
    wide = subscales_of(
        evidence, analysis, treatment=normal(0, 1e5),
        heterogeneity=Prior("half_normal", {"sigma": 1e5}),
    )  # fmt: skip
    whole = joint_marginal(joint_posterior(wide), ones)
    printed = {"crossover": 5.1787, "first_period": 3.8929}[analysis]
    assert whole.sd == pytest.approx(printed, abs=1e-3)
    assert whole.mean == pytest.approx(float(wide.estimate.sum()), abs=1e-3)


def test_implied_correlations_are_known(evidence: Evidence) -> None:
    """Printed errors imply .543 between subscales in the crossover, .514 in the first period."""
    for analysis, known in (("crossover", 0.543), ("first_period", 0.514)):
        problem = subscales_of(evidence, analysis)
        sd = np.sqrt(np.diag(problem.sampling))
        assert problem.sampling[0, 1] / (sd[0] * sd[1]) == pytest.approx(known, abs=5e-4)


def test_joint_probabilities_are_orthants(endpoints: JointProblem) -> None:
    """P(all > 0) equals the orthant of the mixture; counts never rise."""
    exact = joint_posterior(endpoints)
    found = joint_probabilities(endpoints, exact)
    heavy = np.flatnonzero(exact["weight"].values > 1e-6)
    orthant = sum(
        float(exact["weight"][node])
        * stats.multivariate_normal.cdf(
            np.zeros(5), mean=-exact["mean"].values[node], cov=exact["covariance"].values[node]
        )
        for node in heavy
    )
    assert float(found["at_least_above_zero"].sel(count=5)) == pytest.approx(
        orthant, abs=4 * float(found["mcse"])
    )
    assert bool((found["at_least_above_mcid"].diff("count") <= 0).all())


def test_draws_have_the_moments_of_the_mixture(endpoints: JointProblem) -> None:
    """Means and sds of the draws are those of the marginals, within Monte Carlo error."""
    exact = joint_posterior(endpoints)
    drawn = joint_draws(exact, draws=100_000)
    for place, axis in enumerate(np.eye(5)):
        marginal = joint_marginal(exact, axis)
        values = drawn.isel(endpoint=place).values
        assert values.mean() == pytest.approx(marginal.mean, abs=4 * marginal.sd / 316)
        assert values.std() == pytest.approx(marginal.sd, rel=0.02)


def test_unhalved_keeps_the_signs_and_halves_the_print(evidence: Evidence) -> None:
    """Read as unhalved, printed estimates are half; the table names reading and evidence."""
    tables = [
        joint_table(problem, joint_posterior(problem))
        for problem in (
            endpoints_of(evidence, analysis="crossover", crossover_reading=reading)
            for reading in ("as_published", "unhalved")
        )
    ]
    assert tables[0]["estimate"].to_numpy() / 2 == pytest.approx(tables[1]["estimate"].to_numpy())
    assert set(tables[1]["crossover_reading"]) == {"unhalved"}
    assert set(tables[1]["evidence_kind"]) == {"published"}


def test_what_cannot_be_joined_is_refused(evidence: Evidence) -> None:
    """Impossible correlations, improper scales, absent rows and non-normal priors are named."""
    with pytest.raises(SpecError, match=r"correlation -0\.5"):
        endpoints_of(evidence, analysis="crossover", correlation=-0.5)
    with pytest.raises(SpecError, match="positive"):
        endpoints_model(
            evidence, load_model("endpoints").having(priors={"heterogeneity": normal(0, 1)})
        )
    with pytest.raises(EvidenceError, match="no printed row of cgi_s"):
        analysis_rows(
            evidence, "first_period_longitudinal", ["cgi_s"], crossover_reading="as_published"
        )
    with pytest.raises(SpecError, match="need a normal prior"):
        subscales_of(evidence, "crossover", treatment="cochrane")
    with pytest.raises(EvidenceError, match="'madrs' has no parts"):
        subscales_of(evidence, "crossover", total="madrs")


def test_one_correlation_makes_a_covariance() -> None:
    """Sds 1 and 2 with a correlation of .5 have a covariance of 1; three cannot all have -.5."""
    assert equicorrelated(np.array([1.0, 2.0]), 0.5).tolist() == [[1.0, 1.0], [1.0, 4.0]]
    with pytest.raises(SpecError, match=r"it lies between -0\.5 and 1"):
        equicorrelated(np.ones(3), -0.5)


def test_misprinted_rows_are_corrected(evidence: Evidence) -> None:
    """Of avoidance in the first period the row with the corrected lower limit is read."""
    rows = analysis_rows(
        evidence, "first_period", ["ies_r_avoidance", "ies_r"], crossover_reading="as_published"
    )
    assert [str(row["contrast"].item()) for row in rows] == ["T2.AVOI.F*", "T2.IESR.F"]


def test_shares_are_counts_of_draws(endpoints: JointProblem) -> None:
    """Of four draws 2 exceed 0 everywhere and 1 at two endpoints; without MCID none is exceeded."""
    drawn = np.array([[1.0] * 5, [2.0] * 5, [1.0, 1.0, -1.0, -1.0, -1.0], [-1.0] * 5])
    found = share_above(replace(endpoints, mcid=np.array([1.5, *[np.nan] * 4])), drawn)
    assert found["at_least_above_zero"].values.tolist() == [0.75, 0.75, 0.5, 0.5, 0.5]
    assert found["at_least_above_mcid"].values.tolist() == [0.25, 0, 0, 0, 0]
    assert float(found["mcse"]) == 0.25
