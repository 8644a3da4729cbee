"""No nuisance prior moves the treatment difference of a crossover: METHODS 7.1, exact engine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr

from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.patient_arrays import outcome_tree
from bayes_ptsd.frequentist import first_period, hills_armitage, reml_crossover
from bayes_ptsd.gaussian.problem import Solution, solve_problem
from bayes_ptsd.models_files import load_model
from bayes_ptsd.priors import Prior, normal
from bayes_ptsd.specification import ModelSpec
from bayes_ptsd.structures.crossover.carryover import carryover_study
from bayes_ptsd.structures.crossover.design import crossover_problem
from bayes_ptsd.structures.crossover.exact import crossover_batch, exact_priors
from bayes_ptsd.structures.crossover.example import example_patients
from bayes_ptsd.structures.crossover.likelihood import (
    draw_priors,
    log_priors,
    subject_log_likelihood,
)
from bayes_ptsd.structures.crossover.model import CrossoverModel, crossover_model
from bayes_ptsd.trial import Endpoint, Trial

FLAT = Prior("flat")
SIZES = {"12": (6, 6), "9/4": (9, 4), "24": (12, 12), "40": (20, 20), "22/19": (22, 19)}
PLACES = {"mid-scale": 50.0, "3 SD from an end": 30.0, "1 SD from an end": 10.0}
RANGES = (None, (0.0, 100.0), (0.0, 2000.0))


def patients(
    score: Any, first: Any, *, better: str = "lower", baseline: Any = None, **endpoint: Any
) -> Evidence:
    """Return a crossover of given scores; baselines of both periods are optional."""
    labels = np.where(np.stack([first, ~first], axis=1), "a", "c")
    coords = {
        "subject": [f"s{number:03d}" for number in range(len(first))],
        "period": [1, 2],
        "visit": ["end"],
        "endpoint": ["y"],
        "sequence": ("subject", np.where(first, "AC", "CA")),
        "treatment": (("subject", "period"), labels),
    }
    dims = ("subject", "period", "visit", "endpoint")
    values = xr.DataArray(np.asarray(score)[:, :, None, None], dims=dims, coords=coords)
    before = None
    if baseline is not None:
        kept = {key: coords[key] for key in ("subject", "period", "endpoint")}
        table = np.asarray(baseline)[:, :, None]
        before = xr.DataArray(table, dims=("subject", "period", "endpoint"), coords=kept)
    scored = Endpoint("y", "Y", "continuous", better, **endpoint)  # type: ignore[arg-type]
    sequences = {"AC": ("a", "c"), "CA": ("c", "a")}
    trial = Trial("t", "T", "crossover", "a", "c", {"y": scored}, sequences=sequences,
                  visits={"end": 1.0})  # fmt: skip
    return Evidence("simulated", trial, outcome_tree(values, baseline=before))


def simulated(size: str, place: float, seed: int) -> tuple[Any, Any]:
    """Return integer scores between 0 and 100, SD 10, correlation 1/2, and who starts active."""
    rng = np.random.default_rng([seed, *SIZES[size]])
    first = np.repeat([True, False], SIZES[size])
    noise = rng.normal(0, 50**0.5, (len(first), 1)) + rng.normal(0, 50**0.5, (len(first), 2))
    return np.clip(np.round(place + noise), 0, 100), first


def solution(model: CrossoverModel) -> Solution:
    """Return the posterior of a model on its nodes."""
    problem = crossover_problem(
        model.pairs, exact_priors(model), benefit_sign=model.sign, covariance=model.options["form"]
    )
    return solve_problem(problem, tolerance=1e-3)


def moments(model: CrossoverModel) -> xr.Dataset:
    """Return means and sds of all parameters by the exact engine."""
    batch = replace(model.pairs, score=model.pairs.score[None])
    if model.pairs.baseline is not None:
        batch = replace(batch, baseline=model.pairs.baseline[None])
    table = crossover_batch(
        batch, exact_priors(model), benefit_sign=model.sign, covariance=model.options["form"]
    )
    return table.isel(dataset=0)


def mean_of(model: CrossoverModel) -> float:
    """Return the posterior mean of the treatment difference."""
    return float(moments(model)["mean"].sel(estimand="treatment_difference"))


def spec_of(name: str = "crossover", **changes: Any) -> ModelSpec:
    """Return a shipped model whose treatment prior is flat, all others as its file has them."""
    changes["priors"] = {"treatment": FLAT} | changes.get("priors", {})
    return load_model(name).having(**changes)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("size", SIZES)
def test_complete_pairs_are_the_t_test_wherever_scores_lie(size: str, place: str) -> None:
    """Posterior mean within .01 SE of Hills-Armitage; with a free carryover, of the first period.

    Nuisance priors are those of the model file; any range, or none, leaves the same digits. The
    model file of the first version put them around mid-scale: up to 27 points off in 12 patients.
    """
    free = spec_of("crossover-carryover", priors={"carryover": FLAT})
    for seed in range(3):
        score, first = simulated(size, PLACES[place], seed)
        models = [crossover_model(patients(score, first, range=r), spec_of()) for r in RANGES]
        pairs = models[0].pairs
        classic = hills_armitage(pairs, benefit_sign=-1).sel(estimand="treatment_difference")
        alone = first_period(pairs, benefit_sign=-1).isel(estimand=0)
        found = [mean_of(model) for model in models]
        assert found[0] == found[1] == found[2]
        assert found[0] == pytest.approx(
            float(classic["estimate"]), abs=0.01 * float(classic["se"])
        )
        early = mean_of(crossover_model(patients(score, first), free))
        assert early == pytest.approx(float(alone["estimate"]), abs=0.01 * float(alone["se"]))


def lost(score: Any, share: int) -> Any:
    """Return scores without period 2 of every so manieth patient, and without one first one."""
    table = score.copy()
    table[::share, 1] = np.nan
    table[1, 0] = np.nan
    return table


@pytest.mark.parametrize(("size", "most"), [("12", 0.25), ("22/19", 0.1)])
def test_one_period_patients_are_near_reml_and_flat_levels_nearer(size: str, most: float) -> None:
    """Within .1 (41) or .25 SE (12) of REML, and within .005 SE of the same under flat levels."""
    for place in PLACES.values():
        for seed in range(4):
            score, first = simulated(size, place, seed)
            evidence = patients(lost(score, 4), first)
            model = crossover_model(evidence, spec_of())
            flat = crossover_model(evidence, load_model("crossover").under("flat"))
            row = reml_crossover(model.pairs, benefit_sign=-1).sel(estimand="treatment_difference")
            se, found = float(row["se"]), mean_of(model)
            assert found == pytest.approx(float(row["estimate"]), abs=most * se)
            assert found == pytest.approx(mean_of(flat), abs=0.005 * se)


def differences_and_sums(model: CrossoverModel) -> tuple[Any, Any, Any]:
    """Return benefit-signed differences, sums, and +-1/2 by sequence, of complete pairs."""
    score = model.sign * model.pairs.score
    return score[:, 0] - score[:, 1], score.sum(axis=1), model.pairs.active_first - 0.5


def contrast(values: Any, half: Any) -> float:
    """Return the mean of the active-first patients minus that of the others."""
    return float(values[half > 0].mean() - values[half < 0].mean())


@pytest.mark.parametrize(("size", "most"), [("12", 0.5), ("24", 0.3), ("22/19", 0.05)])
def test_bivariate_is_least_squares_on_sequence_and_sum(size: str, most: float) -> None:
    """Near the regression of period differences on sequence and sum, not the t test.

    The regression is its mean under p(Sigma) ~ |Sigma|^(-3/2). For any prior of the covariance
    E(tau) = (D_d - E(b) D_S) / 2, D the differences of the sequences' means and b the slope of
    differences on sums that the covariance implies: to 1e-3 SE.
    """
    for seed in range(2):
        score, first = simulated(size, 50.0, seed)
        model = crossover_model(patients(score, first), spec_of("crossover-bivariate"))
        change, total, half = differences_and_sums(model)
        design = np.column_stack([half, total, np.ones_like(half)])
        estimate, residual, *_ = np.linalg.lstsq(design, change)
        variance = residual[0] / (len(half) - 3) * np.linalg.inv(design.T @ design)[0, 0]
        se, found = np.sqrt(variance) / 2, mean_of(model)
        assert found == pytest.approx(estimate[0] / 2, abs=most * se)
        solved = solution(crossover_model(patients(score, first), spec_of(
            "crossover-bivariate", priors={"level": FLAT, "period_effect": FLAT})))  # fmt: skip
        one, two, rho = solved.value[0]
        slope = (one**2 - two**2) / (one**2 + two**2 + 2 * rho * one * two)
        expected = float((solved.weight[0].sum(axis=0) * slope).sum())
        identity = (contrast(change, half) - expected * contrast(total, half)) / 2
        assert found == pytest.approx(identity, abs=1e-3 * se)


@pytest.mark.parametrize("slope", [None, normal(0.5, 0.3), normal(-2.0, 1.0)])
def test_slopes_move_the_contrast_as_they_should_and_no_further(slope: Prior | None) -> None:
    """E(tau) = (D_d - E(b1 - b2) D_b) / 2 for any prior of the slopes, to 1e-3 SE."""
    rng = np.random.default_rng(5)
    score, first = simulated("24", 30.0, 5)
    baseline = np.round(0.5 * score + rng.normal(15, 6, score.shape))
    priors = {} if slope is None else {"baseline_slope": slope}
    spec = spec_of(options={"baseline": "covariate"}, priors=priors)
    model = crossover_model(patients(score, first, baseline=baseline), spec)
    assert model.pairs.baseline is not None
    found = moments(model)["mean"]
    change, _, half = differences_and_sums(model)
    moved = float(found.sel(estimand="baseline_slope[1]") - found.sel(estimand="baseline_slope[2]"))
    identity = contrast(change, half) - model.sign * moved * contrast(model.pairs.baseline, half)
    se = float(hills_armitage(model.pairs, benefit_sign=-1)["se"][0])
    ours = float(found.sel(estimand="treatment_difference"))
    assert ours == pytest.approx(identity / 2, abs=1e-3 * se)


@pytest.mark.parametrize("size", SIZES)
def test_reference_pulls_by_its_share(size: str) -> None:
    """Estimate times 100 SD^2 / (100 SD^2 + SE^2), to 2e-3 SE: posteriors are wider than the SE."""
    score, first = simulated(size, 10.0, 7)
    score = score + np.where(np.stack([first, ~first], axis=1), 6, 0)
    model = crossover_model(patients(score, first, better="higher"), load_model("crossover"))
    row = hills_armitage(model.pairs).sel(estimand="treatment_difference")
    estimate, se = float(row["estimate"]), float(row["se"])
    wide = 100 * float(model.endpoint.reference_sd or np.nan) ** 2
    pulled = estimate * wide / (wide + se**2)
    assert mean_of(model) == pytest.approx(pulled, abs=2e-3 * se)


def test_a_mistyped_reference_sd_cannot_bite() -> None:
    """A reference SD a hundred times too small moves the mean by less than .01 SE."""
    score, first = simulated("24", 10.0, 8)
    classic = hills_armitage(crossover_model(patients(score, first), spec_of()).pairs,
                             benefit_sign=-1).sel(estimand="treatment_difference")  # fmt: skip
    for wrong in (0.1, 3.0, 1000.0):
        found = mean_of(crossover_model(patients(score, first, reference_sd=wrong), spec_of()))
        expected = float(classic["estimate"])
        assert found == pytest.approx(expected, abs=0.01 * float(classic["se"])), wrong


@pytest.mark.parametrize("prior", ["flat", "reference"])
def test_the_flat_end_of_the_sweep_is_the_first_period(prior: str) -> None:
    """With a flat carryover the mean is the first-period difference of all patients.

    Patients without a second period count in it; exact under `flat`, .01 SE under `reference`.
    """
    score, first = simulated("22/19", 10.0, 9)
    score[::4, 1] = np.nan
    spec = load_model("crossover-carryover").under(prior)
    model = crossover_model(patients(score, first), spec)
    row = first_period(model.pairs, benefit_sign=-1).isel(estimand=0)
    found = float(carryover_study(model, levels=[0.95])["mean"].sel(carryover_sd=np.inf))
    slack = 1e-8 if prior == "flat" else 0.01 * float(row["se"])
    assert found == pytest.approx(float(row["estimate"]), abs=slack)


MOVED = ("treatment_difference", "carryover", "within_patient_contrast", "sequence_effect")
FORMS: dict[str, dict[str, Any]] = {
    "random intercept": {"carryover": True, "baseline": "covariate"},
    "sequence effect": {"sequence_effect": True},
    "bivariate": {"form": "bivariate", "period_sd": "unequal", "carryover": True},
}


def messy() -> tuple[Any, Any, Any]:
    """Return scores with gaps, who of sequences of 9 and 4 starts active, and baselines."""
    score, first = simulated("9/4", 12.0, 3)
    score = lost(score + 0.25 * np.arange(len(score))[:, None], 5)
    baseline = np.round(score[:, ::-1] / 2 + 20)
    baseline = np.where(np.isfinite(baseline), baseline, 25.0)
    return score, first, baseline


@pytest.mark.parametrize("reference_sd", [None, 7.0])
@pytest.mark.parametrize("form", FORMS)
def test_exact_posteriors_are_invariant(form: str, reference_sd: float | None) -> None:
    """Arms swapped, constants added, scores negated, units changed: the same answer, to 1e-9.

    Swapping the arms changes the signs of treatment difference, carryover and sequence effect, and
    nothing else: the levels belong to neither treatment.
    """
    score, first, baseline = messy()
    spec = load_model("crossover").having(options=FORMS[form])

    def fitted(score: Any, first: Any, scale: float = 1.0, better: str = "lower") -> xr.Dataset:
        unit = None if reference_sd is None else scale * reference_sd
        made = patients(score, first, better=better, baseline=scale * baseline, reference_sd=unit)
        return moments(crossover_model(made, spec))

    before = fitted(score, first)
    names = [str(name) for name in before["estimand"].values]
    sd = before["sd"].values
    turned = np.array([-1.0 if name in MOVED else 1.0 for name in names])
    level = np.array([name == "level" for name in names], dtype=float)
    period = np.array([name == "period_effect" for name in names], dtype=float)
    scored = np.array([name in ("level", "period_effect", "sequence_effect") or "slope" in name
                       for name in names])  # fmt: skip
    unit = np.array([0.0 if "slope" in n or n == "correlation" else 1.0 for n in names])
    mean = before["mean"].values
    for after, expected, factor in (
        (fitted(score, ~first), turned * mean, 1.0),
        (fitted(score + 200, first), mean + 200 * level, 1.0),
        (fitted(score + np.array([0, 30]), first), mean + 15 * level + 30 * period, 1.0),
        (fitted(-score, first, better="higher"), np.where(scored, -mean, mean), 1.0),
        (fitted(4 * score, first, scale=4.0), 4**unit * mean, 4**unit),
    ):
        np.testing.assert_allclose((after["mean"].values - expected) / (factor * sd), 0, atol=1e-9)
        np.testing.assert_allclose(after["sd"].values / (factor * sd), 1, atol=1e-9)


SAMPLED: dict[str, dict[str, Any]] = {
    "unequal": {"period_sd": "unequal", "carryover": True, "baseline": "covariate"},
    "student": {"likelihood": "student_t", "form": "bivariate", "sequence_effect": True},
    "joint": {"form": "bivariate", "period_sd": "unequal", "baseline": "joint", "carryover": True,
              "sequence_effect": True},
}  # fmt: skip
TURNED = (*MOVED, "baseline_carryover")


def points(model: CrossoverModel) -> xr.Dataset:
    """Return 50 points of a model: prior draws near the data; a joint one has its own columns."""
    rng = np.random.default_rng(4)
    if model.baselines is None:
        return draw_priors(model, 50, seed=4)
    names = ("treatment_difference", "level", "period_effect", "sequence_effect", "carryover",
             "baseline_carryover", "carryover_share")  # fmt: skip
    found = {name: (("chain", "draw"), rng.normal(0, 9, (1, 50))) for name in names}
    root = rng.normal(0, 4, (1, 50, 4, 4))
    return xr.Dataset(
        found
        | {
            "carryover_share": (("chain", "draw"), rng.uniform(size=(1, 50))),
            "baseline_level": (("chain", "draw", "period"), rng.normal(30, 9, (1, 50, 2))),
            "covariance": (("chain", "draw", "row", "column"), root @ np.swapaxes(root, -1, -2)),
        },
        coords={"chain": [0], "draw": np.arange(50)},
    )


def log_density(model: CrossoverModel, draws: xr.Dataset) -> Any:
    """Return log likelihood plus log prior at each draw."""
    prior = log_priors(draws, model)
    summed = [prior[name].sum([d for d in prior[name].dims if d not in ("chain", "draw")])
              for name in prior]  # fmt: skip
    likelihood = subject_log_likelihood(draws, model).sum("subject")
    return (likelihood + sum(summed)).values[0]


@pytest.mark.parametrize("form", SAMPLED)
def test_densities_of_sampled_forms_are_invariant(form: str) -> None:
    """The log density that NUTS walks on is the same at the mirrored, shifted or rescaled point.

    In NumPy, which `test_crossover_model` holds to PyMC; up to a constant where the unit changes.
    """
    score, first, baseline = messy()
    spec = load_model("crossover").having(options=SAMPLED[form])

    def built(score: Any, first: Any, *, scale: float = 1.0, better: str = "lower") -> Any:
        unit = {"baseline": scale * baseline, "reference_sd": 9 * scale}
        return crossover_model(patients(score, first, better=better, **unit), spec)

    def at(draws: xr.Dataset, signs: tuple[str, ...] = (), **shift: float) -> xr.Dataset:
        flipped = {name: -draws[name] for name in signs if name in draws}
        return draws.assign(flipped | {name: draws[name] + by for name, by in shift.items()})

    model = built(score, first)
    draws = points(model)
    here = log_density(model, draws)
    slopes = ("level", "period_effect", "sequence_effect", "baseline_slope")
    cases = [
        (built(score, ~first), at(draws, TURNED)),
        (built(score + 40, first), at(draws, level=40.0)),
        (built(score + np.array([0, 40]), first), at(draws, level=20.0, period_effect=40.0)),
    ]
    if form != "joint":
        # a baseline is no score here: it keeps its sign, and its slope turns
        cases.append((built(-score, first, better="higher"), at(draws, slopes)))
    for other, there in cases:
        np.testing.assert_allclose(log_density(other, there), here, rtol=0, atol=1e-8)
    if form == "unequal":
        wider = {n: 3 * draws[n] for n in draws if n not in ("baseline_slope", "period")}
        gap = log_density(built(3 * score, first, scale=3.0), draws.assign(wider)) - here
        np.testing.assert_allclose(gap, gap[0], rtol=0, atol=1e-8)


def test_example_patients_do_not_depend_on_their_range() -> None:
    """The example with and without its range has one posterior mean under flat, to 1e-12."""
    flat = load_model("crossover").under("flat")
    evidence = example_patients()
    endpoint = replace(evidence.trial.endpoint("ies_r"), range=None)
    bare = replace(evidence, trial=replace(evidence.trial, endpoints={"ies_r": endpoint}))
    found = [mean_of(crossover_model(one, flat)) for one in (evidence, bare)]
    assert found[0] == pytest.approx(found[1], abs=1e-12)
