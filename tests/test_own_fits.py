"""What PyMC samples and ArviZ returns outside this package: summarized, stored, read back."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import arviz as az
import numpy as np
import pymc as pm
import pytest
import xarray as xr
from typer.testing import CliRunner

import bayes_ptsd as bp
from bayes_ptsd.cli import app
from bayes_ptsd.errors import FitError, SpecError, StatisticalWarning, StoreError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.published import load_published, select_contrast
from bayes_ptsd.fit_view import fit_document
from bayes_ptsd.posteriors import as_tree
from bayes_ptsd.provenance import OWN_ENGINE
from bayes_ptsd.report import write_report

GUIDE = Path(__file__).parents[1] / "docs" / "guides" / "with-pymc.md"
LINES = re.search(r"^```python\n(.*?)^```", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
LONGEST = 32
"""Lines of code that a PyMC user writes, from files to a replication prior."""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run the lines of the guide in an empty folder; return what they name."""
    assert LINES
    names: dict[str, Any] = {"folder": tmp_path_factory.mktemp("guide")}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(names["folder"])
        exec(compile(LINES[1], str(GUIDE), "exec"), names)
    return names


@pytest.fixture
def trace(written: dict[str, Any]) -> xr.DataTree:
    """Return a copy of what `pm.sample` returned, as a tree that a test may change."""
    return as_tree(written["trace"]).copy(deep=True)


@pytest.fixture(scope="module")
def patients(written: dict[str, Any]) -> Evidence:
    """Return the patients of the guide."""
    found: Evidence = written["patients"]
    return found


def difference(summary: xr.Dataset) -> xr.Dataset:
    """Return the summary of the treatment difference."""
    return summary.sel(estimand="treatment_difference")


def test_the_lines_of_the_guide_give_the_exact_answer(written: dict[str, Any]) -> None:
    """Thirty lines end at the posterior of the exact engine, within 4 Monte Carlo errors."""
    assert LINES
    code = [line for line in LINES[1].splitlines() if line.strip() and line[:1] != "#"]
    assert len(code) <= LONGEST
    exact = difference(bp.estimate(bp.fit_model(written["patients"], "crossover")))
    for name in ("answer", "again"):
        own = difference(written[name])
        assert abs(float(own["mean"] - exact["mean"])) < 4 * float(own["mcse_mean"])
        assert float(own["sd"]) == pytest.approx(float(exact["sd"]), rel=0.1)
        assert own["unit"].item() == exact["unit"].item() == "points"
    above = float(difference(written["answer"])["prob_gt"].sel(threshold=2.0))
    assert above == written["benefit"]
    assert bool(written["checks"]["passed"].all())
    mean = float(written["table"].loc["treatment_difference", "mean"])
    assert mean == pytest.approx(float(difference(written["again"])["mean"]), abs=0.06)
    elpd = getattr(written["left_out"], "elpd", None) or written["left_out"].elpd_loo
    assert float(elpd) == pytest.approx(float(written["fit"]["loo"]["elpd"]), abs=0.01)
    assert written["prior"].proper


def test_a_fit_of_ones_own_is_marked(written: dict[str, Any], patients: Evidence) -> None:
    """Engine, seed, settings and id tell a fit of one's own from what the package computes."""
    fit = written["fit"]
    assert (fit.attrs["engine"], fit.attrs["seed"]) == (OWN_ENGINE, "not known")
    settings = json.loads(fit.attrs["settings"])
    assert [settings[key] for key in ("draws", "tune", "chains")] == [500, 500, 4]
    assert settings["sampler"] in ("pymc", "nutpie")
    assert settings["sampler"] in json.loads(fit.attrs["versions"])
    assert fit.attrs["evidence_digest"] == patients.digest
    assert json.loads(fit.attrs["spec"])["spec_id"] == bp.load_model("crossover").spec_id
    own = bp.fit_model(patients, "crossover")
    assert own.attrs["result_id"] != fit.attrs["result_id"]
    assert set(own.attrs) == set(fit.attrs)
    assert set(own.children) - set(fit.children) == {"exact", "quadrature"}


def prior_for_replication(store: Path, result_id: str) -> dict[str, Any]:
    """Return what the command makes of a stored result."""
    asked = ["replicate", "prior", "--result", result_id, "--store", str(store), "--json"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.exception
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def test_the_command_makes_a_prior_of_a_fit_of_ones_own(written: dict[str, Any]) -> None:
    """`replicate prior --result` gives the mixture that the lines of the guide end with."""
    document = prior_for_replication(written["folder"] / "results", written["result_id"])
    parts, prior = document["prior"]["components"], written["prior"]
    assert [part["weight"] for part in parts] == pytest.approx(list(prior.weights))
    for part, component in zip(parts, prior.components, strict=True):
        assert {key: part[key] for key in ("mu", "sigma")} == pytest.approx(component.params)


def test_a_printed_row_of_ones_own_makes_the_same_prior(tmp_path: Path) -> None:
    """Of a printed row the likelihood is used, so own draws and the exact engine give one prior."""
    row, store = select_contrast(load_published(), "T2.IESR.X"), bp.ResultStore(tmp_path)
    with bp.build_model(row, "published"):
        drawn = pm.sample(draws=200, tune=200, chains=2, random_seed=1, progressbar=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StatisticalWarning)  # so few draws fail their checks
        saved = store.save(drawn, evidence=row, spec="published")
    exact = store.save(bp.fit_model(row, "published"))
    own, theirs = (prior_for_replication(tmp_path, one) for one in (saved, exact))
    assert own["prior"] == theirs["prior"]


def test_other_draws_are_another_result(
    written: dict[str, Any], trace: xr.DataTree, patients: Evidence, tmp_path: Path
) -> None:
    """The same trace is one result however often it is saved; a longer one is another."""
    store = bp.ResultStore(tmp_path)
    first = store.save(written["trace"], evidence=patients, spec="crossover")
    assert first == written["result_id"]
    assert store.save(trace, evidence=patients, spec=bp.load_model("crossover")) == first
    shorter = trace.isel(draw=slice(0, 450))
    assert store.save(shorter, evidence=patients, spec="crossover") != first
    assert len(store.catalog()) == 2
    assert store.frame()["engine"].tolist() == [OWN_ENGINE] * 2


def test_what_reads_a_store_reads_a_fit_of_ones_own(
    written: dict[str, Any], patients: Evidence, tmp_path: Path
) -> None:
    """The document of a fit and the page have it, beside a fit of the package of the same model."""
    store = bp.ResultStore(tmp_path / "store")
    store.save(bp.fit_model(patients, "crossover"))
    store.save(written["trace"], evidence=patients, spec="crossover")
    document = fit_document(written["fit"], patients, bp.load_model("crossover"))
    assert document["engine"] == OWN_ENGINE
    assert document["diagnostics"]["divergences"] == 0
    page = write_report(None, store, tmp_path / "page").read_text(encoding="utf-8")
    assert f"crossover, {OWN_ENGINE}" in page
    assert "not known" in page


def test_every_type_of_a_trace_gives_the_same(
    written: dict[str, Any], trace: xr.DataTree, patients: Evidence
) -> None:
    """What `pm.sample` returned, a tree and a posterior alone: one answer."""
    posterior = trace["posterior"].to_dataset()
    asked = {"evidence": patients, "spec": "crossover"}
    answers = [bp.estimate(one, **asked) for one in (written["trace"], trace, posterior)]
    for answer in answers[1:]:
        xr.testing.assert_identical(answer, answers[0])
    for one in (written["trace"], trace, posterior):
        assert bp.prob_benefit(one, margin=2.0) == written["benefit"]
    assert bp.check_fit(trace)["check"].size == 6
    alone = bp.check_fit(posterior)
    assert set(alone["check"].values) == {
        "rhat_max", "ess_bulk_min", "ess_tail_min", "mcse_mean_max",
    }  # fmt: skip
    with pytest.warns(StatisticalWarning, match=r"estimate\(fit, evidence=\.\.\., spec=\.\.\.\)"):
        bare = bp.estimate(posterior)
    assert float(difference(bare)["mean"]) == float(difference(answers[0])["mean"])
    assert np.isnan(float(difference(bare)["rope_narrow"]))


def other_patients(patients: Evidence) -> Evidence:
    """Return as many other patients of the same trial."""
    return bp.simulate_trial(patients.trial, n_by_sequence=20, level=50, seed=2)


Change = Callable[[xr.DataTree], Any]
CHANGES: dict[str, tuple[Change, str]] = {
    "no posterior": (lambda t: t.drop_nodes("posterior"), "no posterior; give what pm"),
    "no variable": (
        lambda t: t.assign({"posterior": xr.DataTree(t["posterior"].to_dataset().drop_vars(
            ["sd_within", "level"]))}),
        "posterior has no level, sd_within, which build_model.*it has treatment_difference, period",
    ),
    "no statistics": (lambda t: t.drop_nodes("sample_stats"), "no sample_stats; give what pm"),
    "no data": (lambda t: t.drop_nodes("constant_data"), "no constant_data; give what pm"),
    "no energy": (
        lambda t: t.assign({"sample_stats": xr.DataTree(t["sample_stats"].to_dataset()[
            ["diverging"]])}),
        "sample_stats has no energy: only results of NUTS",
    ),
    "posterior alone": (
        lambda t: t["posterior"].to_dataset(), "no sample_stats, observed_data, constant_data"
    ),
    "stacked": (
        lambda t: t["posterior"].to_dataset().stack(sample=("chain", "draw")),
        "no dim chain and no draw",
    ),
    "other dims": (
        lambda t: t.assign({"posterior": xr.DataTree(t["posterior"].to_dataset().assign(
            level=t["posterior"]["level"].expand_dims(visit=3)))}),
        r"'level' of the posterior has dims .*visit \(3\).*gives it chain, draw",
    ),
    "not finite": (
        lambda t: t.assign({"posterior": xr.DataTree(t["posterior"].to_dataset().assign(
            level=t["posterior"]["level"] * np.nan))}),
        "draws of level are not finite",
    ),
    "no result": (lambda _: {"level": [1.0]}, "this is no result but a dict; give what pm.sample"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_no_fit_of_the_model_is_refused(
    name: str, trace: xr.DataTree, patients: Evidence, tmp_path: Path
) -> None:
    """What lacks draws, statistics or data, or has other variables, is named; nothing is stored."""
    change, said = CHANGES[name]
    store = bp.ResultStore(tmp_path)
    with pytest.raises(SpecError, match=said):
        store.save(change(trace), evidence=patients, spec="crossover")
    assert store.catalog() == []


def test_other_evidence_and_other_priors_are_refused(
    trace: xr.DataTree, patients: Evidence, tmp_path: Path
) -> None:
    """A trace is never stored or summarized as one of other patients, another model or prior."""
    store, crossover = bp.ResultStore(tmp_path), bp.load_model("crossover")
    skeptical = crossover.having(priors={"treatment": "skeptical"})
    for evidence, spec, said in (
        (other_patients(patients), crossover, "score_data"),
        (patients, skeptical, "prior_treatment_difference_sigma"),
        (patients, "crossover-bivariate", "no sd_period, correlation_unit, correlation"),
    ):
        for call in (store.save, bp.estimate, bp.prob_benefit):
            with pytest.raises(SpecError, match=said):
                call(trace, evidence=evidence, spec=spec)


def test_a_result_says_itself_what_it_is_of(
    written: dict[str, Any], trace: xr.DataTree, patients: Evidence, tmp_path: Path
) -> None:
    """Evidence and model of a result are right or refused; half of them is never enough."""
    fit, store = written["fit"], bp.ResultStore(tmp_path)
    same = bp.estimate(fit, evidence=patients, spec="crossover")
    xr.testing.assert_identical(same, bp.estimate(fit))
    with pytest.raises(SpecError, match="is of other evidence"):
        bp.estimate(fit, evidence=other_patients(patients), spec="crossover")
    with pytest.raises(SpecError, match="is of model 'crossover'"):
        bp.estimate(fit, evidence=patients, spec="crossover-bivariate")
    with pytest.raises(SpecError, match="save it without evidence and spec"):
        store.save(fit, evidence=patients, spec="crossover")
    with pytest.raises(SpecError, match="give spec, the model or its name"):
        bp.prob_benefit(trace, evidence=patients)
    with pytest.raises(StoreError, match="give evidence, as well"):
        store.save(trace, spec="crossover")
    for bare in (trace, written["trace"]):
        with pytest.raises(StoreError, match=r"store\.save\(fit, evidence=\.\.\., spec=\.\.\.\)"):
            store.save(bare)
    with pytest.raises(SpecError, match="no estimand 'treatment_difference'; it has level"):
        bp.prob_benefit(trace["posterior"].to_dataset().drop_vars("treatment_difference"))
    with pytest.raises(FitError, match="no draws"):
        bp.check_fit(trace.drop_nodes("posterior"))


def test_failed_checks_of_a_fit_of_ones_own_are_kept_and_said(
    trace: xr.DataTree, patients: Evidence, tmp_path: Path
) -> None:
    """Thirty draws are too few: the result is stored, marked, and the warning names the check."""
    store = bp.ResultStore(tmp_path)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        result_id = store.save(trace.isel(draw=slice(0, 30)), evidence=patients, spec="crossover")
    assert {one.filename for one in told} == {__file__}
    assert any("required check failed: ess_bulk_min" in str(one.message) for one in told)
    fit = store.load(result_id)
    assert not fit.attrs["checks_passed"]
    assert any("ess_bulk_min" in line for line in json.loads(fit.attrs["warnings"]))


def test_a_printed_row_is_sampled_and_stored(tmp_path: Path) -> None:
    """A printed contrast goes the same way, with its predictive draws."""
    import pymc as pm

    row = bp.select_contrast(bp.load_published(), "T2.IESR.F")
    with bp.build_model(row, "published-first-period"):
        trace = pm.sample(draws=500, tune=500, chains=4, cores=1, random_seed=1, progressbar=False)
    store = bp.ResultStore(tmp_path)
    fit = store.load(store.save(trace, evidence=row, spec="published-first-period"))
    exact = difference(bp.estimate(bp.fit_model(row, "published-first-period")))
    own = difference(bp.estimate(fit))
    assert abs(float(own["mean"] - exact["mean"])) < 4 * float(own["mcse_mean"])
    assert float(own["prob_gt_mcid"]) == pytest.approx(float(exact["prob_gt_mcid"]), abs=0.06)
    assert {"posterior_predictive", "prior_predictive", "log_likelihood"} <= set(fit.children)


def plotted(name: str, fit: Any, **asked: Any) -> Any:
    """Draw a figure of ArviZ."""
    return getattr(az, name)(fit, var_names=["treatment_difference"], **asked)


@pytest.mark.filterwarnings("ignore:The inplace keyword")
def test_a_loaded_result_goes_into_arviz(written: dict[str, Any]) -> None:
    """Summary, loo, compare, ess, rhat and the common figures of the installed ArviZ take it."""
    fit = bp.to_arviz(written["fit"])
    assert "treatment_difference" in az.summary(fit).index
    assert float(np.asarray(az.rhat(fit)["treatment_difference"])) < 1.02
    assert float(np.asarray(az.ess(fit)["treatment_difference"])) > 400
    assert list(az.compare({"one": fit, "two": fit})["rank"]) == [0, 1]
    for name in ("plot_trace", "plot_forest", "plot_rank"):
        assert plotted(name, fit) is not None


def test_a_store_without_rows_says_what_it_lacks(
    trace: xr.DataTree, patients: Evidence, tmp_path: Path
) -> None:
    """Of real patients a store keeps no density by patient unless asked to, and ArviZ sees none."""
    real = Evidence("patients", patients.trial, patients.data)
    store = bp.ResultStore(tmp_path)
    fit = store.load(store.save(trace, evidence=real, spec="crossover"))
    assert "log_likelihood/score" in json.loads(fit.attrs["dropped"])
    shown = as_tree(bp.to_arviz(fit))
    assert "log_likelihood" not in shown.children
    assert "treatment_difference" in az.summary(bp.to_arviz(fit)).index
    kept = bp.ResultStore(tmp_path / "kept")
    whole = kept.load(kept.save(trace, evidence=real, spec="crossover", keep_data=True))
    elpd = az.loo(bp.to_arviz(whole))
    assert np.isfinite(float(getattr(elpd, "elpd", None) or elpd.elpd_loo))
