"""From a stored posterior to a prior for a replication."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy import stats
from typer.testing import CliRunner

import bayes_ptsd
from bayes_ptsd.cli import app
from bayes_ptsd.errors import SpecError, StatisticalWarning
from bayes_ptsd.evidence.published import load_published
from bayes_ptsd.exact.summary import conjugate_posterior
from bayes_ptsd.models_files import load_model
from bayes_ptsd.prior_family import resolve_prior
from bayes_ptsd.priors import Prior, normal
from bayes_ptsd.provenance import stamp
from bayes_ptsd.replication.designs import ReplicationDesign
from bayes_ptsd.replication.document import original_estimate, prior_document, row_fits
from bayes_ptsd.replication.exchangeable import OwnEffect, posterior_mixture, predictive_grid
from bayes_ptsd.replication.joint import (
    JointMixture,
    joint_json,
    joint_mixture,
    joint_pymc_code,
    nuisance_nodes,
)
from bayes_ptsd.replication.prior import replication_prior
from bayes_ptsd.replication.stored import observed_estimate, pooled_fit
from bayes_ptsd.store import ResultStore
from bayes_ptsd.structures.crossover.exact import exact_crossover
from bayes_ptsd.structures.crossover.example import example_patients
from bayes_ptsd.structures.crossover.model import crossover_model

SD = 14.4


def fits(contrast: str = "T2.IESR.F", center: str = "flat", convention: str = "N") -> Any:
    """Return the fits of a printed row under both readings."""
    return row_fits(
        load_published(), contrast, center=center, convention=convention,
        readings=["as_published", "unhalved"],
    )  # fmt: skip


@pytest.fixture(scope="module")
def flat() -> Any:
    """Return the prior from the first-period row, centered at the published estimate."""
    return replication_prior(fits())


def exact_fit(model: str, prior: Prior | None = None) -> xr.DataTree:
    """Return the exact posterior of the example's patients as a fit, without its checks."""
    evidence, spec = example_patients(), load_model(model)
    if prior is not None:
        spec = spec.having(priors={"treatment": prior})
    found = crossover_model(evidence, spec)
    tree = xr.DataTree.from_dict(exact_crossover(found, seed=1))
    tree.attrs = stamp(
        evidence, spec, endpoint=found.endpoint, settings={"engine": "exact"}, seed=1,
        seconds=0.0, warnings=[],
    )  # fmt: skip
    tree.attrs["prior_table"] = json.dumps(found.priors["treatment"].table())
    return tree


@pytest.fixture(scope="module")
def patients() -> tuple[xr.DataTree, Any]:
    """Return an exact fit of simulated patients with two variances, and its replication prior."""
    fit = exact_fit("crossover-bivariate")
    return fit, replication_prior(fit)


def test_variance_is_posterior_plus_twice_the_heterogeneity(flat: Any) -> None:
    """Mean 8.6, variance s^2 + 2 (SD/4)^2: two trials both differ from the mean of trials."""
    se = 3.8929
    assert flat.informative.mean == pytest.approx(8.6, abs=1e-3)
    assert flat.informative.sd**2 == pytest.approx(se**2 + 2 * (SD / 4) ** 2, rel=2e-3)
    for scale, sd in zip((0.125, 0.25, 0.5), flat.sensitivity["sd"].values, strict=True):
        assert sd**2 == pytest.approx(se**2 + 2 * (scale * SD) ** 2, rel=3e-3)
    assert (np.diff(flat.sensitivity["elir"].values) < 0).all()


def test_heterogeneity_is_integrated() -> None:
    """The widened density is the average over a half-normal tau, by simulation of tau."""
    grid = predictive_grid(OwnEffect.of_normal(normal(8.6, 3.9), Prior("flat")), scale=3.6)
    tau = np.abs(np.random.default_rng(1).normal(0, 3.6, 200_000))
    for x in (0.0, 8.6, 20.0):
        drawn = stats.norm.cdf(x, 8.6, np.sqrt(3.9**2 + 2 * tau**2))
        found = np.interp(x, grid["value"].values, grid["cdf"].values)
        assert found == pytest.approx(drawn.mean(), abs=4 * drawn.std() / np.sqrt(tau.size) + 1e-4)


def test_center_is_named_and_matters(flat: Any) -> None:
    """The shrunk center is 4.15 where the published one is 8.6, and each says which it is."""
    shrunk = replication_prior(fits(center="cochrane"))
    assert (flat.about["center"], shrunk.about["center"]) == ("flat", "cochrane")
    assert shrunk.informative.mean == pytest.approx(4.15, abs=5e-3)


def test_posterior_mixture_keeps_the_posterior() -> None:
    """The mixture of a Cochrane posterior has its moments, which are in closed form."""
    likelihood = normal(8.6, 3.8929)
    closed = conjugate_posterior(likelihood, resolve_prior("cochrane", sd=SD, se=3.8929))
    assert closed is not None
    found = posterior_mixture(fits(center="cochrane")["as_published"])
    assert (found.mean, found.sd) == pytest.approx((closed.mean, closed.sd), abs=5e-3)


def test_readings_are_averaged() -> None:
    """Both readings of a crossover row enter with their weights; the means say so."""
    both = fits("T2.IESR.X")
    found = replication_prior(both, reading_weights={"as_published": 0.25, "unhalved": 0.75})
    assert found.informative.mean == pytest.approx(0.25 * 12.7 + 0.75 * 6.35, abs=1e-2)
    assert found.about["readings"] == {"as_published": 0.25, "unhalved": 0.75}


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"reading_weights": {"as_published": 0.5, "unhalved": 0.6}}, "must sum to one, got 1.1"),
        ({"reading_weights": {"as_published": 1.0}}, "weights for"),
        ({"reading_weights": {"as_published": 1.5, "unhalved": -0.5}}, "positive"),
        ({"heterogeneity": -0.1}, "not negative"),
        ({"robust_weight": 1.0}, "between 0 and 1"),
        ({"sd": -3.0}, "sd of the score must be positive"),
    ],
)
def test_refused(options: dict[str, Any], named: str) -> None:
    """Weights that do not sum to one, negative scales and impossible weights are refused."""
    with pytest.raises(SpecError, match=named):
        replication_prior(fits("T2.IESR.X"), **options)


def test_fits_that_do_not_belong_together() -> None:
    """Fits under different priors are refused; a result without a difference too."""
    pair = {"a": fits()["as_published"], "b": fits(center="cochrane")["as_published"]}
    with pytest.raises(SpecError, match="differ in prior"):
        replication_prior(pair)
    with pytest.raises(SpecError, match="no treatment difference"):
        posterior_mixture(xr.DataTree())


def test_odd_robust_component_warns() -> None:
    """A robust sd that is worth nothing is named."""
    with pytest.warns(StatisticalWarning, match="worth"):
        replication_prior(fits(), robust_sd=7124.0, heterogeneity=0.25)


def test_worth_in_stated_designs(flat: Any) -> None:
    """The weak component is worth one parallel patient, and a quarter of a crossover one."""
    parallel, crossover = ReplicationDesign("parallel", SD), ReplicationDesign("crossover", SD)
    assert flat.worth(parallel)["weak"]["elir"] == pytest.approx(1.0)
    assert flat.worth(crossover)["weak"]["elir"] == pytest.approx(0.25)
    document = prior_document(flat, {"parallel": parallel})
    json.dumps(document, allow_nan=False)
    assert document["exports"]["rbest"]["meta"]["sigma"] == [2 * SD]


def test_joint_keeps_moments_and_correlations(patients: tuple[xr.DataTree, Any]) -> None:
    """Means, spreads and correlations of sds and correlation are those of the posterior draws.

    The difference, estimated under N(0, 144^2), keeps all but some 1e-4 of its mean.
    """
    fit, found = patients
    joint: JointMixture = found.joint
    draws = np.stack([
        fit["posterior"]["treatment_difference"].values.ravel(),
        *np.log(fit["posterior"]["sd_period"].values.reshape(-1, 2).T),
        np.arctanh(fit["posterior"]["correlation"].values.ravel()),
    ])  # fmt: skip
    assert joint.names == (
        "treatment_difference", "log_sd_period_1", "log_sd_period_2", "z_correlation"
    )  # fmt: skip
    assert joint.weights.sum() == pytest.approx(1)
    cov = np.cov(draws)
    for index in range(3):
        assert joint.mean[index] == pytest.approx(draws.mean(axis=1), rel=5e-3)
        assert joint.mean[index][1:] == pytest.approx(draws.mean(axis=1)[1:])
        assert joint.cov[index][1:, 1:] == pytest.approx(cov[1:, 1:])
        assert joint.cov[index][1:, 0] == pytest.approx(cov[1:, 0], rel=5e-3)
    assert joint.marginal_sd(1) == pytest.approx(draws[1].std(ddof=1))
    assert joint.marginal_sd(0) == pytest.approx(found.prior.sd, rel=0.02)


def test_joint_of_a_random_intercept() -> None:
    """Sds 3 between and 4 within patients make an sd of 5 and a correlation of 9/25."""
    rng = np.random.default_rng(1)
    draws = {"treatment_difference": rng.normal(5, 2, (1, 400)),
             "sd_subject": np.full((1, 400), 3.0), "sd_within": np.full((1, 400), 4.0)}  # fmt: skip
    posterior = xr.Dataset({name: (("chain", "draw"), values) for name, values in draws.items()})
    fit = xr.DataTree.from_dict({"posterior": posterior})
    assert np.array(nuisance_nodes(fit, count=2)) == pytest.approx(np.array([[0.5, 5, 0.36]] * 2))
    joint = joint_mixture([fit], weights=[1.0], priors=[Prior("flat")], scale=0.0,
                          weak=normal(0, 20), weak_weight=0.2)  # fmt: skip
    assert joint is not None
    assert joint.names == ("treatment_difference", "log_sd_subject", "log_sd_within")
    assert joint.mean[0] == pytest.approx(
        [draws["treatment_difference"].mean(), np.log(3), np.log(4)]
    )
    # the weak component knows the sds as well, and nothing of the difference
    assert joint.mean[1] == pytest.approx([0, np.log(3), np.log(4)])


def test_joint_exports(patients: tuple[xr.DataTree, Any]) -> None:
    """RBesT's multivariate JSON gives the covariances back; the PyMC code has the density."""
    joint: JointMixture = patients[1].joint
    document = joint_json(joint)
    rows = np.array(document["comp"])
    size, last = len(joint.names), len(joint.weights) - 1
    assert document["meta"]["dim"] == [1 + 2 * size + size * (size - 1) // 2, len(joint.weights)]
    rho = np.eye(size)
    # the lower triangle by column is the upper triangle by row
    rho[np.triu_indices(size, 1)] = rows[1 + 2 * size :, 0]
    rho = rho + rho.T - np.eye(size)
    spread = np.diag(rows[1 + size : 1 + 2 * size, 0])
    assert spread @ rho @ spread == pytest.approx(joint.cov[0])
    scope: dict[str, Any] = {}
    exec(joint_pymc_code(joint), scope)
    point = joint.mean[0] + 0.1
    densities = [
        w * stats.multivariate_normal.pdf(point, mean, cov)
        for w, mean, cov in zip(joint.weights, joint.mean, joint.cov, strict=True)
    ]
    logp = scope["model"].compile_logp(mode="FAST_COMPILE")
    assert float(logp({"joint": point})) == pytest.approx(np.log(sum(densities)), abs=1e-6)
    assert {"sd_period_1", "correlation"} <= {v.name for v in scope["model"].deterministics}
    assert last == 3


def test_prior_is_used_by_the_replication(flat: Any) -> None:
    """The prior analyzes a replication's patients with the shipped crossover model, exactly.

    The posterior is the weak-prior posterior times the prior's density, renormalized.
    """
    name = "treatment_difference"
    with_prior = exact_fit("crossover", flat.prior)["exact"].to_dataset().sel(estimand=name)
    weak = exact_fit("crossover", normal(0, 1000))["exact"].to_dataset().sel(estimand=name)
    x = weak["value"].values
    density = weak["pdf"].values * flat.prior.pdf(x)
    mean = np.trapezoid(x * density, x) / np.trapezoid(density, x)
    assert float(with_prior["mean"]) == pytest.approx(mean, abs=2e-3)
    assert float(weak["mean"]) != pytest.approx(mean, abs=0.05)


def test_command_takes_a_stored_result(patients: tuple[xr.DataTree, Any], tmp_path: Path) -> None:
    """`replicate prior --result` makes a stored fit of patients a joint prior."""
    result = ResultStore(tmp_path).save(patients[0])
    arguments = ["replicate", "prior", "--result", result, "--store", str(tmp_path), "--json"]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    document = json.loads(done.stdout)
    assert (document["evidence_kind"], document["results"]) == ("simulated", [result])
    assert document["exports"]["rbest_joint"] == joint_json(patients[1].joint)


def test_belief_about_sds_is_used(patients: tuple[xr.DataTree, Any], tmp_path: Path) -> None:
    """Of a stored fit, the crossover's size is averaged over the posterior sds and correlation."""
    fit, found = patients
    weights, sd, _ = np.array(found.nuisance).T
    assert weights.sum() == pytest.approx(1)
    draws = np.sqrt((fit["posterior"]["sd_period"] ** 2).mean("period")).values
    spread = draws.std() / np.sqrt(len(sd))
    assert sd.mean() == pytest.approx(draws.mean(), abs=4 * spread)
    result = ResultStore(tmp_path).save(fit)
    asked = ["--result", result, "--store", str(tmp_path), "--json"]
    target = ["--target", "0.45"]
    done = CliRunner().invoke(app, ["replicate", "sample-size", *asked, *target])
    expected = json.loads(done.stdout)["expected_crossover_size"]
    assert expected["q10"] <= expected["q50"] <= expected["q90"]
    assert expected["q10"] < expected["mean"] < expected["q90"]
    curve = ["replicate", "assurance", *asked, "--design", "crossover", "--n", "40"]
    assert "averaged over" in json.loads(CliRunner().invoke(app, curve).stdout)["design"]


def test_public_name() -> None:
    """`bayes_ptsd.replication_prior` is the function, also on second use."""
    assert bayes_ptsd.replication_prior is replication_prior
    assert bayes_ptsd.replication_prior is replication_prior


def drawn_fit(mean: float, name: str, **attrs: Any) -> xr.DataTree:
    """Return a fit of patients by draws, with the frequentist analysis beside it."""
    rng = np.random.default_rng(int(mean))
    draws = {"treatment_difference": (("chain", "draw"), rng.normal(mean, 3.0, (2, 1500)))}
    tree = xr.DataTree.from_dict({"posterior": xr.Dataset(draws)})
    constants = {"reference_sd": 14.4, "mcid": 7.2, "label": "IES-R", "unit": "points"}
    tree.attrs = {
        "result_id": name, "model": "crossover", "prior": "reference", "endpoint": "ies_r",
        "prior_table": json.dumps(normal(0, 144.0).table()),
        "evidence_kind": "reconstructed", "endpoint_constants": json.dumps(constants),
        "frequentist": json.dumps({"estimate": mean, "se": 3.0}), **attrs,
    }  # fmt: skip
    return tree


def test_fits_of_reconstructions_are_an_equal_mixture() -> None:
    """Mean and variance are those of the mixture; sources and the mean estimate are kept."""
    pooled = pooled_fit([drawn_fit(6.0, "a"), drawn_fit(10.0, "b")])
    found = replication_prior(pooled, heterogeneity=0.0)
    assert found.about["results"] == ["a", "b"]
    assert found.informative.mean == pytest.approx(8.0, abs=0.15)
    assert found.informative.sd == pytest.approx(np.sqrt(3.0**2 + 2.0**2), abs=0.15)
    assert observed_estimate(pooled) == (8.0, 3.0)
    alone = drawn_fit(6.0, "a")
    assert pooled_fit([alone]) is alone


def test_exact_fits_are_pooled_by_their_densities() -> None:
    """The pooled density is the mean of the densities, its moments the mixture's."""
    fits = []
    for mean in (6.0, 10.0):
        x = np.linspace(mean - 30, mean + 30, 2001)
        fit = drawn_fit(mean, str(mean))
        fit["exact"] = xr.DataTree(xr.Dataset({
            "value": ("grid", x), "pdf": ("grid", stats.norm.pdf(x, mean, 3.0)),
            "cdf": ("grid", stats.norm.cdf(x, mean, 3.0)), "mean": mean, "sd": 3.0,
        }).expand_dims(estimand=["treatment_difference"]))  # fmt: skip
        fits.append(fit)
    posterior = posterior_mixture(pooled_fit(fits))
    for limit in (0.0, 6.0, 9.5):
        true = np.mean([stats.norm.sf(limit, mean, 3.0) for mean in (6.0, 10.0)])
        assert float(posterior.sf(limit)) == pytest.approx(true, abs=2e-3)


@pytest.mark.parametrize(
    ("model", "reading", "contrast"),
    [
        ("crossover", "unhalved", "T2.IESR.X"),
        ("first-period", "unhalved", "T2.IESR.F"),
    ],
)
def test_pooled_results_are_held_against_the_row_they_print(
    model: str, reading: str, contrast: str
) -> None:
    """A result pooled over reconstructions has the printed row, as its reading has it."""
    evidence = load_published()
    fit = drawn_fit(6.0, "a", spec=json.dumps({"structure": model.replace("-", "_")}))
    del fit.attrs["frequentist"]
    fit.attrs |= {
        "timepoint": "24h", "crossover_reading": reading, "printed_digest": evidence.digest,
    }  # fmt: skip
    own = reading if model == "crossover" else "as_published"
    assert observed_estimate(fit, evidence) == original_estimate(evidence, contrast, reading=own)
    fit.attrs["printed_digest"] = "of other numbers"
    assert observed_estimate(fit, evidence) is None


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (drawn_fit(7.0, "b", model="first-period"), "differ in model: crossover, first-period"),
        (drawn_fit(7.0, "b", prior="flat"), "differ in prior"),
        (drawn_fit(7.0, "b", assumptions='{"crossover_reading": "unhalved"}'), "crossover_reading"),
        (drawn_fit(7.0, "a"), "named twice: a"),
    ],
)
def test_results_that_do_not_belong_together(other: xr.DataTree, named: str) -> None:
    """Fits of another model, prior or reading, and one result twice, are refused by name."""
    with pytest.raises(SpecError, match=named):
        pooled_fit([drawn_fit(6.0, "a"), other])


def test_predictions_from_a_stored_fit_of_patients(
    patients: tuple[xr.DataTree, Any], tmp_path: Path
) -> None:
    """`replicate predict --result`: held against the frequentist estimate where the fit has one."""
    fit = patients[0].copy()
    store, base = ResultStore(tmp_path), ["replicate", "predict", "--store", str(tmp_path)]
    bare = store.save(fit)
    refused = CliRunner().invoke(app, [*base, "--result", bare])
    assert isinstance(refused.exception, SpecError)
    assert "--n" in str(refused.exception)
    with_n = CliRunner().invoke(app, [*base, "--result", bare, "--n", "80", "--json"])
    row = json.loads(with_n.stdout)["predictions"][0]
    assert row["original"] is None
    assert "sceptical_p" not in row
    assert row["replication"]["se"] == pytest.approx(2 * patients[1].about["sd"] / np.sqrt(80))
    fit.attrs |= {"frequentist": json.dumps({"estimate": 5.0, "se": 2.5}), "result_id": "f" * 24}
    same = CliRunner().invoke(app, [*base, "--result", store.save(fit), "--json"])
    row = json.loads(same.stdout)["predictions"][0]
    assert (row["evidence_kind"], row["results"]) == ("simulated", ["f" * 24])
    assert row["replication"]["se"] == 2.5
    prior = patients[1].prior
    limit = stats.norm.ppf(0.975) * 2.5
    parts = zip(prior.weights, prior.components, strict=True)
    tail = sum(w * stats.norm.sf(limit, p.params["mu"], np.hypot(p.params["sigma"], 2.5))
               for w, p in parts)  # fmt: skip
    assert row["p_below_05"] == pytest.approx(tail, abs=1e-6)


def test_prior_of_reconstructions_says_what_it_rests_on() -> None:
    """A pooled result's prior names reconstructed patients, in the document too."""
    found = replication_prior(pooled_fit([drawn_fit(6.0, "a"), drawn_fit(10.0, "b")]))
    assert found.about["rests_on"].startswith("reconstructed patients")
    document = prior_document(found, {"parallel": ReplicationDesign("parallel", sd=SD)})
    assert document["rests_on"] == found.about["rests_on"]
