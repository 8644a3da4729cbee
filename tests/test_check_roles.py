"""A result that says `passed` has failed no required check, and each check can fail."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from crossover_cases import example_fit
from typer.testing import CliRunner

from bayes_ptsd.check_roles import (
    CHECK_ROLES,
    Check,
    check_role,
    check_table,
    checks_passed,
    failed_checks,
)
from bayes_ptsd.checks import check_fit
from bayes_ptsd.checks.loo import loo_checks
from bayes_ptsd.checks.patients import quadrature_checks
from bayes_ptsd.checks.predictive import (
    arm_features,
    feature_table,
    predictive_checks,
)
from bayes_ptsd.checks.sensitivity import boundary_checks, sensitivity_checks, sensitivity_table
from bayes_ptsd.cli import app
from bayes_ptsd.errors import FitError
from bayes_ptsd.evidence.patients import write_patients, write_template
from bayes_ptsd.evidence.published import load_published, select_contrast
from bayes_ptsd.exact.printed import fit_exact
from bayes_ptsd.exact.summary import exact_posterior
from bayes_ptsd.models_files import load_model
from bayes_ptsd.priors import Prior, normal
from bayes_ptsd.reconstructed.pooled import pooled_fits
from bayes_ptsd.structures.categorical.checks import (
    category_features,
    prior_conflict_check,
    proportional_odds_check,
)
from bayes_ptsd.structures.categorical.model import categorical_model, draw_priors
from bayes_ptsd.structures.categorical.patients import example_categories
from bayes_ptsd.structures.categorical.room import groups as categorical_groups
from bayes_ptsd.structures.crossover.example import example_patients
from bayes_ptsd.structures.crossover.room import crossover_checks, predictive_features
from bayes_ptsd.structures.longitudinal.room import visit_boundary_checks

DOCUMENT = Path(__file__).parents[1] / "docs" / "methods" / "checks.md"
DIMS = ("chain", "draw")
JUDGED = [key for key, (role, _) in CHECK_ROLES.items() if role != "shown"]
HALF = Prior("half_normal", {"sigma": 15.0})


def tree(**groups: xr.Dataset) -> xr.DataTree:
    """Return a fit of some groups, chains and draws numbered."""
    return xr.DataTree.from_dict(groups)


def chains(values: np.ndarray, *, diverging: int = 0) -> xr.DataTree:
    """Return a sampled fit of one parameter, whose energy is as the parameter."""
    coords = {"chain": np.arange(len(values)), "draw": np.arange(values.shape[1])}
    lost = np.arange(values.size).reshape(values.shape) < diverging
    stats = {"diverging": (DIMS, lost), "energy": (DIMS, values)}
    return tree(
        posterior=xr.Dataset({"x": (DIMS, values)}, coords), sample_stats=xr.Dataset(stats, coords)
    )


def sampled() -> list[xr.Dataset]:
    """Return the checks of chains that are apart, and that hardly move, with divergences."""
    rng = np.random.default_rng(1)
    apart = rng.normal(size=(4, 500)) + np.arange(4)[:, None]
    slow = np.cumsum(rng.normal(size=(4, 500)), axis=1)
    return [check_fit(chains(apart)), check_fit(chains(slow, diverging=3))]


def integrated() -> list[Check]:
    """Return the checks of an exact fit with twice the error figures that are allowed."""
    figures = xr.Dataset({"quadrature_error": 2e-2, "box_edge": 2e-5})
    return quadrature_checks(tree(quadrature=figures))


def printed() -> list[xr.Dataset]:
    """Return the checks of a printed row with a prior far away, and with a third of its grid."""
    row = select_contrast(load_published(), "T2.IESR.X")
    spec = load_model("published").having(priors={"treatment": normal(-100, 1)})
    return [fit_exact(row, spec)["checks"].to_dataset()]


def cut_off(monkeypatch: pytest.MonkeyPatch) -> xr.DataTree:
    """Return a fit of a printed row whose grid leaves out a hundredth of the probability."""

    def cut(*given: Prior) -> xr.Dataset:
        whole = exact_posterior(*given)
        return whole.assign(cdf=whole["cdf"] * 0.99)

    monkeypatch.setattr("bayes_ptsd.exact.printed.exact_posterior", cut)
    return fit_exact(select_contrast(load_published(), "T2.IESR.X"), load_model("published"))


def pooled() -> list[xr.Dataset]:
    """Return the checks of two fits, one of which failed a required check."""
    from bayes_ptsd.fit import fit_model
    from bayes_ptsd.reconstructed.sets import outcome_for
    from bayes_ptsd.reconstruction.release import load_release

    spec = load_model("first-period")
    sets = [outcome_for(spec, one, "ies_r") for one in load_release("unhalved", m=2)]
    fits = [fit_model(one, spec, engine="exact") for one in sets]
    fits[1]["checks"].to_dataset()["passed"].values[0] = False
    whole = pooled_fits(fits, sets, spec, printed="", settings={"engine": "exact"})
    assert whole.attrs["checks_passed"] == 0
    return [whole["checks"].to_dataset()]


def replicated() -> list[Check]:
    """Return the predictive checks of scores that an exact fit was not of."""
    fit = example_fit()
    score = fit["observed_data"].to_dataset()["score"]
    found = []
    late = score["period"] == 2
    for other in (score + 60, 40 + 4 * (score - 40), score.where(~late, 80 - score), 0 * score,
                  88 + 0 * score):  # fmt: skip
        fit["observed_data"] = xr.DataTree(other.transpose(*score.dims).to_dataset(name="score"))
        found += predictive_checks(predictive_features(fit, range_=(0.0, 88.0)))
    arms = np.where(score["sequence"].values == "KM", "A", "B")
    early = score.sel(period=1, drop=True).assign_coords(treatment=("subject", arms))
    for away in (-500.0, 500.0):
        wild = early.copy()
        wild[:] = np.where(np.arange(wild.size) < 2, wild + away, wild)
        fit["observed_data"] = xr.DataTree(wild.to_dataset(name="score"))
        one = fit["posterior_predictive"].to_dataset()["score"].sel(period=1, drop=True)
        fit["posterior_predictive"] = xr.DataTree(one.to_dataset(name="score"))
        found += predictive_checks(feature_table(fit, arm_features(wild)))
        fit["posterior_predictive"] = example_fit()["posterior_predictive"]
    return found


def categories() -> list[Check]:
    """Return the predictive checks of categories that no patient of the model repeats."""
    model = categorical_model(example_categories(), load_model("ordinal"))
    draws = draw_priors(model, 200, seed=1)
    draws = draws.isel(draw=[7] * 200).assign_coords(draw=np.arange(200))
    fit = tree(**categorical_groups(model, {"posterior": draws}, 1, None))
    score = fit["observed_data"].to_dataset()["score"]
    top = int(model.categories[-1])
    upside = score.copy(data=np.where(np.arange(score.sizes["period"]) == 0, 1.0, float(top))
                        + 0 * score.values)  # fmt: skip
    active = model.scores.active == 1
    ends = np.where(np.arange(score.size).reshape(score.shape) % 2 == 0, 1.0, float(top))
    spread = score.copy(data=np.where(active, ends, np.median(model.categories)))
    alike = score.copy(data=score.isel(period=[0, 0]).values)
    found = []
    for other in (upside, spread, alike):
        fit["observed_data"] = xr.DataTree(other.to_dataset(name="score"))
        found += predictive_checks(feature_table(fit, category_features(model)))
    return found


def lonely() -> list[xr.Dataset]:
    """Return the checks of a crossover of which one patient of a sequence has a second score."""
    fit = example_fit()
    score = fit["observed_data"].to_dataset()["score"]
    same = score["sequence"] == "KM"
    lost = same & (same.cumsum("subject") > 1) & (score["period"] == 2)
    kept = score.where(~lost).transpose(*score.dims)
    fit["observed_data"] = xr.DataTree(kept.to_dataset(name="score"))
    priors = {"sd_subject": HALF, "sd_within": HALF}
    return [crossover_checks(fit, range_=(0.0, 88.0), priors=priors)["checks"]]


def left_out() -> list[Check]:
    """Return the checks of leave-one-out with a subject that decides, and probabilities heaped."""
    loo = {"pareto_k": ("subject", np.full(40, 0.9)), "pit": ("subject", np.full(40, 0.5))}
    return loo_checks(xr.Dataset({**loo, "good_k": 0.7}))


def at_boundaries() -> list[Check]:
    """Return the checks of draws at the ends of their ranges."""
    few = {
        "sd_subject": (DIMS, np.full((2, 50), 0.1)),
        "sd_within": (DIMS, np.full((2, 50), 9.0)),
        "correlation": (DIMS, np.full((2, 50), 0.99)),
    }
    visits = xr.Dataset({"visit_correlation": ((*DIMS, "visit_pair"), np.full((2, 50, 1), 0.99))})
    priors = {"sd_subject": HALF, "sd_within": HALF,
              "correlation": Prior("uniform", {"low": -1.0, "high": 1.0})}  # fmt: skip
    return [
        *boundary_checks(xr.Dataset(few), priors),
        *visit_boundary_checks(tree(posterior=visits)),
        *proportional_odds_check(
            xr.Dataset({"log_gap_ratio": ((*DIMS, "gap"), np.full((2, 50, 3), 0.4))})
        ),
        *prior_conflict_check(normal(0, 1), {"estimate": 9.0, "se": 1.0}),
    ]


def power_scaled() -> list[Check]:
    """Return the checks of an effect that a prior of levels moves and the data do not."""
    effect = np.random.default_rng(1).normal(size=(2, 1000))
    logs = {"treatment_difference": 0 * effect, "level": effect, "carryover": -effect}
    fit = tree(
        posterior=xr.Dataset({"treatment_difference": (DIMS, effect)}),
        log_prior=xr.Dataset({name: (DIMS, values) for name, values in logs.items()}),
        log_likelihood=xr.Dataset({"score": ((*DIMS, "subject"), np.zeros((2, 1000, 3)))}),
    )
    return sensitivity_checks(sensitivity_table(fit))


MAKERS: dict[str, Callable[[], list[Check] | list[xr.Dataset]]] = {
    "sampled": sampled, "integrated": integrated, "printed": printed, "pooled": pooled,
    "replicated": replicated, "categories": categories, "lonely": lonely, "left out": left_out,
    "at boundaries": at_boundaries, "power-scaled": power_scaled,
}  # fmt: skip


@pytest.fixture(scope="module")
def failing() -> dict[str, xr.Dataset]:
    """Return, by name, every check that a fit was made to fail."""
    found: dict[str, xr.Dataset] = {}
    for maker in MAKERS.values():
        for one in (made := maker()):
            table = one if isinstance(one, xr.Dataset) else check_table([one])
            for name in table["check"].values.tolist():
                row = table.sel(check=[name])
                if not bool(row["passed"].item()):
                    found[name] = row
        assert made
    return found


@pytest.mark.parametrize("pattern", [key for key in JUDGED if key != "mass_outside_grid"])
def test_each_check_has_a_fit_that_fails_it(failing: dict[str, xr.Dataset], pattern: str) -> None:
    """Failing it marks the result exactly where the table says required, and is said in words."""
    own = [name for name in failing if fnmatchcase(name, pattern)]
    assert own, f"nothing fails {pattern}"
    for name in own:
        fit = tree(checks=failing[name])
        assert checks_passed(fit) is (check_role(name) != "required"), name
        (said,) = failed_checks(fit)
        assert said.startswith("required check failed: ") is (check_role(name) == "required")
        assert name in said


def test_a_grid_that_cuts_off_the_posterior_marks_a_printed_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`checks_passed` of the exact engine of printed rows is computed, not taken for granted."""
    fit = cut_off(monkeypatch)
    assert fit.attrs["checks_passed"] == 0
    assert any("mass_outside_grid" in text for text in json.loads(fit.attrs["warnings"]))


def test_what_is_shown_cannot_fail() -> None:
    """An informative prior of treatment or carryover has a figure, a sentence and no threshold."""
    checks = {check.name: check for check in power_scaled()}
    beliefs = checks["power_scaling_beliefs"]
    assert beliefs.passed
    assert beliefs.figure > 0.05
    assert np.isnan(beliefs.threshold)
    assert "carryover by" in beliefs.meaning
    assert checks["power_scaling_treatment"].figure == 0


@pytest.mark.parametrize("seed", range(20))
def test_passed_is_that_every_required_check_passed(seed: int) -> None:
    """Random tables over all roles: a fit passed if and only if no required check failed."""
    rng = np.random.default_rng(seed)
    names = [pattern.replace("*", "one") for pattern in CHECK_ROLES]
    names = [names[i] for i in rng.permutation(len(names))[: rng.integers(1, len(names))]]
    passed = rng.uniform(size=len(names)) < 0.9
    checks = [Check(name, 0.0, 1.0, bool(ok)) for name, ok in zip(names, passed, strict=True)]
    fit = tree(checks=check_table(checks))
    required = [check_role(name) == "required" for name in names]
    assert checks_passed(fit) is not any(
        need and not ok for need, ok in zip(required, passed, strict=True)
    )
    assert fit["checks"].to_dataset()["required"].values.tolist() == required
    said = failed_checks(fit)
    assert len(said) == int((~passed).sum())
    assert sum(text.startswith("required") for text in said) == sum(
        need and not ok for need, ok in zip(required, passed, strict=True)
    )


def test_a_check_without_a_role_is_refused() -> None:
    """A new check has to be decided about before a fit can have it."""
    with pytest.raises(FitError, match="CHECK_ROLES"):
        check_table([Check("something_new", 0.0, 1.0, True)])


def test_the_document_has_the_table_of_the_code() -> None:
    """Names, roles and what failing means stand in docs/methods/checks.md as in `CHECK_ROLES`."""
    rows = re.findall(r"^\| `(\S+)` \| (\w+) \| (.+?) \|", DOCUMENT.read_text("utf-8"), re.M)
    assert {name: (role, said) for name, role, said in rows} == dict(CHECK_ROLES)
    assert [name for name, *_ in rows] == list(CHECK_ROLES)


def test_a_correlation_that_the_model_cannot_have_is_no_pass(tmp_path: Path) -> None:
    """Scores with a correlation of -.8 under a random intercept: exit status 3, JSON and page."""
    evidence = example_patients(correlation=-0.8, subjects=60, missing=0, seed=7)
    trial, _ = write_template(tmp_path / "trial", evidence.trial)
    write_patients(evidence, tmp_path / "patients.csv")
    store = ["--store", str(tmp_path / "store")]
    files = ["--trial", str(trial), "--data", str(tmp_path / "patients.csv")]
    done = CliRunner().invoke(app, ["fit", "crossover", *files, *store, "--json"])
    assert done.exit_code == 3
    found = json.loads(done.stdout)
    assert found["diagnostics"]["passed"] is False
    one = found["checks"]["predictive_correlation"]
    assert (one["figure"], one["passed"], one["role"]) == (0.0, False, "required")
    assert "required check failed: predictive_correlation is 0" in done.stderr
    other = CliRunner().invoke(app, ["fit", "crossover-bivariate", *files, *store, "--json"])
    assert other.exit_code == 0, other.stderr
    CliRunner().invoke(app, ["report", *store, "--quiet"])
    page = (tmp_path / "store" / "report" / "index.html").read_text("utf-8")
    assert "a required check failed" in page
    assert "all required ones in 1 of 2 results" in page
