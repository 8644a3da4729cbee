"""Fits of crossovers: exact and sampled agree, limits are classical analyses, truth is found."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import nutpie
import pandas as pd
import pytest
import xarray as xr
from sampled import drawn, meets

from bayes_ptsd.compiled import CompiledModels
from bayes_ptsd.errors import FitError, SpecError, StatisticalWarning
from bayes_ptsd.estimands import estimate
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.patients import load_patients
from bayes_ptsd.fit import chosen_engine, fit_model, stored_fit
from bayes_ptsd.frequentist import first_period, hills_armitage
from bayes_ptsd.models_files import load_model
from bayes_ptsd.priors import Prior, normal
from bayes_ptsd.specification import ModelSpec
from bayes_ptsd.store import ResultStore
from bayes_ptsd.structures.crossover.exact import exact_crossover, why_not_exact
from bayes_ptsd.structures.crossover.example import TRUTH, example_patients
from bayes_ptsd.structures.crossover.model import crossover_model
from bayes_ptsd.trial import load_trial

TRIALS = ("senn_pef", "patel_fev1", "raynaud_attacks", "mental_fatigue")
FLAT, INVERSE = Prior("flat"), Prior("inverse_sd")
NAMES = {"sigma_s": "sd_subject", "sigma_e": "sd_within"}
PARAMETERS = ("treatment_difference", "period_effect", "sd_subject", "sd_within")


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Leave failed checks to the tests that are about them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StatisticalWarning)
        yield


def half_normal(sigma: float) -> Prior:
    """Return a half-normal prior."""
    return Prior("half_normal", {"sigma": sigma})


def flat(**more: Any) -> ModelSpec:
    """Return the crossover with flat means and the prior 1/sd within patients."""
    options = more.pop("options", {})
    priors = {
        "treatment": FLAT,
        "level": FLAT,
        "period_effect": FLAT,
        "sd_subject": FLAT,
        "sd_within": INVERSE,
    }
    return load_model("crossover").having(options=options, priors=priors | more)


def public(shared: Path, name: str) -> tuple[Evidence, float]:
    """Return a public crossover and the standard deviation of all its values."""
    trial = load_trial(Path(__file__).parents[1] / "trials" / f"{name}.toml")
    evidence = load_patients(shared / "data" / f"{name}.csv", trial)
    return evidence, float(evidence.data["outcomes"]["value"].std(ddof=1))


@pytest.mark.shared
@pytest.mark.parametrize("sequence", [False, True])
@pytest.mark.parametrize("prior", ["ref", "HN"])
@pytest.mark.parametrize("name", TRIALS)
def test_reference_posteriors(shared: Path, name: str, prior: str, sequence: bool) -> None:
    """Published-data posteriors from another program are met to 1e-3 posterior sd."""
    table = pd.read_csv(shared / "data" / "reference_values.csv")
    wanted = table["analysis"].str.contains(rf"prior={prior} .*sequence={int(sequence)}")
    rows = {row["parameter"]: row for _, row in table[wanted & (table.dataset == name)].iterrows()}
    evidence, scale = public(shared, name)
    half = half_normal(scale)
    sds = {} if prior == "ref" else {"sd_subject": half, "sd_within": half}
    more = {"sequence": FLAT} if sequence else {}
    spec = flat(options={"sequence_effect": sequence}, **sds, **more)
    fit = fit_model(evidence, spec, engine="exact")
    summary = estimate(fit, thresholds=[20.0]).sel(estimand="treatment_difference")
    sign = evidence.trial.endpoint(fit.attrs["endpoint"]).benefit_sign
    known = rows["treat posterior mean/sd/95%"]
    sd = float(known["se_or_sd"])
    assert sign * float(summary["mean"]) == pytest.approx(known["estimate"], abs=1e-3 * sd)
    assert float(summary["sd"]) == pytest.approx(sd, abs=1e-3 * sd)
    ends = sorted(sign * summary["eti95"].values)
    assert ends == pytest.approx([known["lo95"], known["hi95"]], abs=1e-3 * sd)
    above = float(summary["prob_benefit"])
    assert (above if sign > 0 else 1 - above) == pytest.approx(
        rows["P(treat>0)"]["estimate"], abs=1e-4
    )
    for symbol, parameter in NAMES.items():
        one = estimate(fit).sel(estimand=parameter)
        figure = rows[f"{symbol} posterior mean"]["estimate"]
        assert float(one["mean"]) == pytest.approx(figure, abs=1e-3 * float(one["sd"]))


@pytest.mark.shared
@pytest.mark.parametrize("name", TRIALS)
def test_nuts_meets_the_public_posteriors(
    shared: Path, name: str, compiled: CompiledModels
) -> None:
    """NUTS under the HN priors agrees with the exact engine on all four crossovers."""
    evidence, scale = public(shared, name)
    wide = normal(0.0, 1000 * scale)
    half = half_normal(scale)
    priors = {"treatment": wide, "level": wide, "period_effect": wide}
    priors |= {"sd_subject": half, "sd_within": half}
    spec = load_model("crossover").having(priors=priors)
    exact = exact_crossover(crossover_model(evidence, spec), seed=1)["exact"]
    meets(drawn(evidence, spec, compiled, draws=3000), exact, *PARAMETERS)


@pytest.fixture(scope="module")
def sampled(compiled: CompiledModels) -> xr.DataTree:
    """Return the sampled fit of the simulated example."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StatisticalWarning)
        return fit_model(
            example_patients(), load_model("crossover"), engine="nuts", compiled=compiled
        )


def test_nuts_meets_the_exact_posterior(sampled: xr.DataTree) -> None:
    """On simulated patients, one-period patients included, both engines agree."""
    model = crossover_model(example_patients(), load_model("crossover"))
    exact = exact_crossover(model, seed=1)["exact"]
    meets(sampled["posterior"].to_dataset(), exact, *PARAMETERS)


def test_one_compilation_serves_endpoints_priors_and_data(
    sampled: xr.DataTree, compiled: CompiledModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New patients, other numbers of them and other priors are sampled without compiling."""

    def refuse(*_: Any, **__: Any) -> None:
        pytest.fail("compiled anew")

    monkeypatch.setattr(nutpie, "compile_pymc_model", refuse)
    assert sampled.attrs["engine"] == "nuts"
    spec = load_model("crossover").having(priors={"treatment": normal(3.0, 2.0)})
    evidence = example_patients(subjects=30, missing=5, seed=5)
    fit = fit_model(evidence, spec, engine="nuts", compiled=compiled)
    exact = exact_crossover(crossover_model(evidence, spec), seed=1)["exact"]
    meets(fit["posterior"].to_dataset(), exact, *PARAMETERS)


def test_nuts_meets_the_exact_bivariate_posterior(compiled: CompiledModels) -> None:
    """With scores that are negatively correlated the bivariate form holds and agrees."""
    evidence = example_patients(correlation=-0.8, seed=6)
    spec = load_model("crossover-bivariate")
    fit = fit_model(evidence, spec, engine="nuts", compiled=compiled)
    exact = exact_crossover(crossover_model(evidence, spec), seed=1)["exact"]
    meets(fit["posterior"].to_dataset(), exact, "treatment_difference", "correlation")
    assert float(fit["posterior"]["correlation"].mean()) < -0.2
    assert "correlation_unit" not in fit["posterior"]


def test_flat_priors_on_complete_pairs_are_hills_armitage() -> None:
    """The posterior mean is the classical estimate, to rounding, under every prior of the sds."""
    evidence = example_patients(missing=0, seed=2)
    for spec in (flat(), flat(sd_subject=half_normal(5.0), sd_within=half_normal(5.0))):
        model = crossover_model(evidence, spec)
        row = hills_armitage(model.pairs, benefit_sign=-1).sel(estimand="treatment_difference")
        summary = estimate(fit_model(evidence, spec, engine="exact"))
        mean = float(summary["mean"].sel(estimand="treatment_difference"))
        assert mean == pytest.approx(float(row["estimate"]), abs=1e-9)


def test_free_carryover_leaves_the_first_period() -> None:
    """With a flat carryover prior the completers' posterior mean is their first-period contrast."""
    evidence = example_patients(seed=3)
    options = {"carryover": True, "patients": "completers"}
    spec = flat(options=options, carryover=FLAT)
    pairs = crossover_model(evidence, spec).pairs
    row = first_period(pairs, benefit_sign=-1)
    mean = estimate(fit_model(evidence, spec, engine="exact"))["mean"]
    found = float(mean.sel(estimand="treatment_difference"))
    assert found == pytest.approx(float(row["estimate"].item()), abs=1e-6)
    crossover = hills_armitage(pairs, benefit_sign=-1).sel(estimand="treatment_difference")
    contrast = float(mean.sel(estimand="within_patient_contrast"))
    assert contrast == pytest.approx(float(crossover["estimate"]), abs=1e-6)


def test_patients_with_one_period_win_precision() -> None:
    """All patients give a smaller posterior sd than the complete pairs among them."""
    evidence = example_patients(subjects=40, missing=14, seed=4)
    sds = [
        float(
            estimate(fit_model(evidence, load_model(name), engine="exact"))["sd"].sel(
                estimand="treatment_difference"
            )
        )
        for name in ("crossover", "crossover-completers")
    ]
    assert sds[0] < 0.97 * sds[1]


def test_known_truth_is_recovered() -> None:
    """With 1,000 simulated patients every posterior mean lies within 3.5 sd of the truth."""
    evidence = example_patients(subjects=1000, missing=200, seed=11)
    exact = exact_crossover(crossover_model(evidence, load_model("crossover")), seed=1)["exact"]
    for name, truth in TRUTH.items():
        one = exact.sel(estimand=name)
        assert abs(float(one["mean"]) - truth) < 3.5 * float(one["sd"]), name
        assert float(one["sd"]) < 1.0


def test_a_fit_has_every_group_and_says_what_it_is(sampled: xr.DataTree) -> None:
    """Groups of DESIGN 1, likelihood by subject, size and prior in the attributes."""
    groups = {"posterior", "prior", "posterior_predictive", "prior_predictive", "log_likelihood"}
    groups |= {"log_prior", "sample_stats", "observed_data", "constant_data", "checks"}
    assert groups <= set(sampled.children)
    assert sampled["log_likelihood"]["score"].dims == ("chain", "draw", "subject")
    size = json.loads(sampled.attrs["size"])
    assert (size["subjects"], size["observations"]) == (24, 44)
    assert size["by_sequence"] == {"KM": 12, "MK": 12}
    assert sampled.attrs["evidence_kind"] == "simulated"
    assert sampled.attrs["prior"] == "reference"


def test_boundary_is_warned_of_and_stored(tmp_path: Path) -> None:
    """Negatively correlated scores put the subject sd at zero: a warning, in the result too.

    A random intercept cannot have their correlation, so the result is marked as failed as well.
    """
    evidence = example_patients(correlation=-0.8, subjects=60, missing=0, seed=7)
    with pytest.warns(StatisticalWarning, match="sd_subject_at_zero"):
        fit = fit_model(evidence, load_model("crossover"), engine="exact")
    assert fit.attrs["checks_passed"] == 0
    store = ResultStore(tmp_path / "store")
    loaded = store.load(store.save(fit))
    assert any("crossover-bivariate" in text for text in json.loads(loaded.attrs["warnings"]))
    check = loaded["checks"].to_dataset().sel(check="sd_subject_at_zero")
    assert not bool(check["passed"])
    assert float(check["figure"]) > float(check["threshold"])


def test_stored_fits_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second call loads; another prior, engine or seed is another result."""
    store = ResultStore(tmp_path / "store")
    evidence, spec = example_patients(), load_model("crossover")
    first = stored_fit(evidence, spec, store)
    monkeypatch.setattr("bayes_ptsd.fit.fit_model", lambda *_, **__: pytest.fail("refitted"))
    again = stored_fit(evidence, spec, store)
    assert again.attrs["result_id"] == first.attrs["result_id"]
    xr.testing.assert_equal(again["posterior"].to_dataset(), first["posterior"].to_dataset())
    monkeypatch.undo()
    other = stored_fit(evidence, spec.having(priors={"treatment": "weak"}), store)
    assert other.attrs["result_id"] != first.attrs["result_id"]


def test_engines_are_chosen_and_refused() -> None:
    """Auto is exact where it can be; what is not there is refused with the reason."""
    evidence = example_patients()
    assert chosen_engine(evidence, load_model("crossover")) == "exact"
    assert chosen_engine(evidence, load_model("crossover-bivariate")) == "exact"
    assert chosen_engine(evidence, load_model("crossover-student-t")) == "nuts"
    with pytest.raises(FitError, match="normal likelihoods, not student_t; take engine 'nuts'"):
        fit_model(evidence, load_model("crossover-student-t"), engine="exact")
    with pytest.raises(FitError, match="did you mean 'nuts'"):
        fit_model(evidence, load_model("crossover"), engine="nut")
    with pytest.raises(SpecError, match="only the exact engines"):
        fit_model(evidence, flat(), engine="nuts")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, ""),
        ({"form": "bivariate", "period_sd": "unequal"}, ""),
        ({"likelihood": "student_t"}, "it integrates normal likelihoods, not student_t"),
        ({"baseline": "joint"}, "it has no joint model of baselines"),
        (
            {"subject_effects": "sampled"},
            "it integrates the subject effects out and draws none",
        ),
        (
            {"period_sd": "unequal"},
            "its random intercept has equal standard deviations; take form = 'bivariate'",
        ),
        ({"form": "bivariate"}, "its bivariate form has a standard deviation for each period"),
    ],
)
def test_the_exact_engine_says_what_it_does_not_cover(options: dict[str, Any], reason: str) -> None:
    """Of every option that the exact engine lacks the reason is said, of the others nothing."""
    assert why_not_exact({**load_model("crossover").options, **options}) == reason


def test_improper_priors_leave_out_the_prior_groups() -> None:
    """A flat prior has a posterior, and no prior draws that could be mistaken for one."""
    fit = fit_model(example_patients(), flat(), engine="exact")
    assert "prior" not in fit.children
    assert "prior_predictive" not in fit.children
    assert np.ptp(fit["log_prior"]["treatment_difference"].values) == 0
