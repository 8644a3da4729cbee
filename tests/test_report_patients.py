"""The page about a user's patients: the stored numbers, their figures, and no row of a patient."""

from __future__ import annotations

import json
import math
import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import gaussian_kde
from typer.testing import CliRunner

from bayes_ptsd.cli import app
from bayes_ptsd.errors import ResultNotFoundError, SpecError, StatisticalWarning
from bayes_ptsd.estimands import estimate
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.published import load_published, select_contrast
from bayes_ptsd.exact.printed import fit_exact
from bayes_ptsd.fit import fit_model
from bayes_ptsd.models_files import load_model
from bayes_ptsd.plots import patient_update_figure, predictive_figure
from bayes_ptsd.report import write_report
from bayes_ptsd.report.contents import PatientOutcome, patient_outcomes
from bayes_ptsd.report.depression import mediation_section
from bayes_ptsd.report.patient_estimands import estimand_name
from bayes_ptsd.simulation.patients import Baseline, made_up_trial, simulate_trial
from bayes_ptsd.store import ResultStore
from bayes_ptsd.store.report_origin import only_patients
from bayes_ptsd.structures.categorical.patients import example_categories
from bayes_ptsd.structures.crossover.example import example_patients

TRIAL = """
schema = 1
name = "example"
title = "Two infusions in one patient"
design = "crossover"
[treatments]
active = "ketamine"
control = "midazolam"
[endpoints.ies_r]
label = "IES-R total"
kind = "continuous"
better = "lower"
unit = "points"
range = [0, 88]
mcid = 7.2
reference_sd = 14.4
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with files of patients, a store that fitted them, and its page."""
    folder = tmp_path_factory.mktemp("patients")
    (folder / "trial.toml").write_text(TRIAL)
    outcomes = example_patients(seed=2).data["outcomes"].to_dataset()
    frame = outcomes["value"].to_dataframe().reset_index().dropna(subset=["value"])
    frame["subject"] = "secret-" + frame["subject"]
    frame["value"] = frame["value"].round(6)
    frame[["subject", "sequence", "period", "treatment", "value"]].to_csv(
        folder / "patients.csv", index=False
    )
    base = ["--trial", str(folder / "trial.toml"), "--data", str(folder / "patients.csv"),
            "--store", str(folder / "store"), "--quiet"]  # fmt: skip
    for command in (["fit", "crossover", "--prior", "weak", "--prior", "skeptical"],
                    ["carryover", "--prior", "weak"]):  # fmt: skip
        done = CliRunner().invoke(app, [*command, *base])
        assert done.exit_code == 0, (done.output, done.exception)
    done = CliRunner().invoke(app, ["report", "--store", str(folder / "store"), "--quiet"])
    assert done.exit_code == 0, (done.output, done.exception)
    return folder


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    """Return the page."""
    return (folder / "store" / "report" / "index.html").read_text("utf-8")


def test_page_is_about_the_patients_alone(page: str) -> None:
    """Title, sections and evidence word are those of the patients; the paper is not there."""
    assert "Bayesian analysis: Two infusions in one patient" in page
    assert re.findall(r'<section id="([^"]+)"', page) == [
        "patients1-estimates", "patients1-figures", "patients1-carryover", "patients1-checks",
        "patients1-provenance",
    ]  # fmt: skip
    assert "patients evidence" in page
    assert "T2.IESR" not in page
    assert "24 with 44 scores; by sequence KM 12, MK 12" in page


def test_page_has_the_stored_numbers(folder: Path, page: str) -> None:
    """Estimates, the frequentist mirror and the carryover test with its warning, as stored."""
    tables = folder / "store" / "report" / "tables"
    estimates = pd.read_csv(tables / "patients1-estimates.csv").set_index("result_id")
    store = ResultStore(folder / "store")
    for entry in store.catalog():
        one = entry["summary"]["treatment_difference"]
        line = estimates.loc[entry["result_id"]]
        assert line["mean"] == pytest.approx(one["mean"])
        assert line["prob_benefit"] == pytest.approx(one["prob_benefit"])
        mirror = json.loads(store.load(entry["result_id"]).attrs["frequentist"])
        assert line["frequentist_estimate"] == pytest.approx(mirror["estimate"])
        assert f"{one['mean']:.2f}" in page
        first = mirror["periods"][0]
        assert (first["patients"], first["period"], first["n"]) == ("all", 1, 23)
        said = f"{first['difference']:.2f} (SD within groups {first['sd']:.2f}, n 23)"
        assert f"all, period 1: {said}" in page
    assert "Not a gate" in page
    sweep = pd.read_csv(tables / "patients1-carryover.csv")
    assert sweep["carryover_sd"].tolist()[0] == 0
    checks = pd.read_csv(tables / "patients1-checks.csv")
    assert {"power_scaling_treatment", "loo_pareto_k_max"} <= set(checks["check"])


def test_every_result_is_drawn(folder: Path) -> None:
    """Prior to posterior, P(difference > m), carryover and the predictive check, a file each."""
    drawn = {path.stem for path in (folder / "store" / "report" / "figures").iterdir()}
    names = ("update-crossover", "curve-crossover", "predictive-crossover")
    assert {f"patients1-{name}" for name in names} <= drawn


def test_no_row_of_a_patient_is_in_store_or_page(folder: Path) -> None:
    """No id and no score of six decimals is in any file of the store, the page included."""
    patients = pd.read_csv(folder / "patients.csv")
    content = b"".join(p.read_bytes() for p in (folder / "store").rglob("*") if p.is_file())
    assert b"secret" not in content
    scores = [f"{value:.6f}".encode() for value in patients["value"]]
    assert [score for score in scores if score in content] == []
    assert scores[0] in (folder / "patients.csv").read_bytes()
    for entry in ResultStore(folder / "store").catalog():
        fit = ResultStore(folder / "store").load(entry["result_id"])
        assert "subject" not in {str(dim) for node in fit.subtree for dim in node.dims}


def test_page_stands_alone_and_every_link_leads_somewhere(folder: Path, page: str) -> None:
    """Nothing is loaded from elsewhere; every table and figure is beside the page."""
    assert re.findall(r'(?:src|href)="(?!data:|#|tables/|figures/)[^"]*"', page) == []
    for link in re.findall(r'href="((?:tables|figures)/[^"]+)"', page):
        assert (folder / "store" / "report" / link).is_file(), link
    assert len(re.findall(r"<img ", page)) == len(re.findall(r'<img [^>]*alt="[^"]{20,}"', page))
    assert not re.search(r"statistically significant|treatment works", page)


def test_both_kinds_stand_on_one_page(folder: Path, tmp_path: Path) -> None:
    """A store with printed results and patients has the sections of both, the paper's first."""
    store = ResultStore(tmp_path / "store")
    for entry in ResultStore(folder / "store").catalog()[:1]:
        store.save(ResultStore(folder / "store").load(entry["result_id"]))
    assert only_patients(store.catalog())
    row = select_contrast(load_published(), "T2.IESR.F")
    store.save(fit_exact(row, load_model("published-first-period")))
    assert not only_patients(store.catalog())
    printed = load_published()
    effects = printed.data["effects"].to_dataset().sel(contrast=["T2.IESR.F"])
    one_row = Evidence("published", printed.trial, xr.DataTree.from_dict({"effects": effects}))
    text = write_report(one_row, store, tmp_path / "report", quick=True).read_text("utf-8")
    ids = re.findall(r'<section id="([^"]+)"', text)
    assert ids[0] == "summary"
    assert ids.index("limits") < ids.index("patients1-estimates")
    assert "no row of a patient is on this page" in text


def test_an_empty_store_has_no_page_of_patients(tmp_path: Path) -> None:
    """Without evidence and without patients there is nothing to report."""
    with pytest.raises(ResultNotFoundError, match="no result of patients"):
        write_report(None, ResultStore(tmp_path / "store"), tmp_path / "report")
    assert not (tmp_path / "report").exists()
    assert patient_outcomes(None) == []


def test_figures_show_the_stored_numbers() -> None:
    """The title of a panel is its posterior; the points of the predictive figure are observed."""
    fit = fit_model(example_patients(seed=2), load_model("crossover"), engine="exact")
    one = json.loads(fit.attrs["summary"])["treatment_difference"]
    title = patient_update_figure([fit]).axes[0].get_title(loc="left")
    assert f"{one['mean']:.2f}".rstrip("0") in title
    figure = predictive_figure(fit)
    observed = figure.axes[0].lines[-1].get_ydata()
    table = fit["predictive_summary"].to_dataset()
    names = [name for name in table["statistic"].values if name.startswith("mean_")]
    assert list(observed) == table["observed"].sel(statistic=names).values.tolist()
    with pytest.raises(SpecError, match="give at least one"):
        patient_update_figure([])


@pytest.fixture(scope="module")
def structures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store with a fit of one visit, of two visits and of categories, and their page."""
    path = tmp_path_factory.mktemp("structures") / "store"
    store = ResultStore(path)
    trial = made_up_trial("parallel", better="lower", visits={"1d": 24.0, "7d": 168.0})
    visits = simulate_trial(
        trial, n_by_sequence=15, treatment=6.0, level=40.0, sd_subject=9.0, sd_within=6.0,
        baseline=Baseline(mean=47.0, sd=12.0, correlation=0.4), seed=3,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StatisticalWarning)
        for evidence, name in (
            (example_patients(seed=2), "first-period"),
            (example_categories("binary"), "binary-beta-binomial"),
        ):
            store.save(fit_model(evidence, load_model(name), engine="exact"))
        store.save(
            fit_model(
                visits, load_model("longitudinal"), engine="nuts", draws=100, tune=200, chains=2
            )
        )
    write_report(None, store, path / "report")
    return path


def test_page_has_every_estimand_of_every_structure(structures: Path) -> None:
    """Summary, null and unit as `estimate` gives them, each beside its frequentist estimate."""
    tables = structures / "report" / "tables"
    store = ResultStore(structures)
    frames = [pd.read_csv(path) for path in sorted(tables.glob("patients*-estimands.csv"))]
    frame = pd.concat(frames).set_index(["result_id", "estimand"])
    for entry in store.catalog():
        fit = store.load(entry["result_id"])
        summary = estimate(fit)
        for name in summary["estimand"].values:
            line, one = frame.loc[(entry["result_id"], name)], summary.sel(estimand=name)
            for key in ("mean", "null", "prob_benefit", "prob_gt_mcid"):
                assert line[key] == pytest.approx(float(one[key]), nan_ok=True)
            assert (line["unit"] if line["unit"] == line["unit"] else "") == str(one["unit"].item())
        mirror = json.loads(fit.attrs["frequentist"])
        for analysis in mirror["analyses"].values():
            for name in set(analysis["estimands"]) & set(summary["estimand"].values):
                found = frame.loc[(entry["result_id"], name), "frequentist_estimate"]
                assert found == pytest.approx(analysis["estimands"][name]["estimate"])
    odds = frame.xs("odds_ratio", level="estimand").iloc[0]
    log = frame.xs("log_odds_ratio", level="estimand").iloc[0]
    assert odds["median"] == pytest.approx(math.exp(log["median"]))
    assert (odds["null"], odds["prob_benefit"]) == (1.0, log["prob_benefit"])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("prob_at_most[control, 2]", "P(at most 2), midazolam"),
        ("treatment_difference[7d]", "treatment difference, 7d"),
        ("risk_active", "risk, ketamine"),
    ],
)
def test_estimands_are_called_by_their_treatments(name: str, words: str) -> None:
    """Arms stand under the names of their treatments, visits and categories after what they are."""
    assert estimand_name(name, {"active": "ketamine", "control": "midazolam"}) == words


def test_results_without_a_mediator_have_no_section() -> None:
    """Nothing is said of correlated errors where no result has two endpoints."""
    assert mediation_section(PatientOutcome((), {}), "p1") is None


def test_page_shows_arms_visits_and_categories(structures: Path) -> None:
    """Courses, changes, differences and shares are there; only a crossover has carryover."""
    page = (structures / "report" / "index.html").read_text("utf-8")
    names = {path.stem.partition("-")[2] for path in (structures / "report/figures").iterdir()}
    stems = {re.sub("-[0-9a-f]{10}$", "", name) for name in names}
    assert {"courses-longitudinal", "changes-longitudinal", "visits-longitudinal",
            "categories-binary-beta-binomial", "predictive-first-period",
            "predictive-longitudinal", "predictive-binary-beta-binomial"} <= stems  # fmt: skip
    for text in ("treatment difference, 7d", "odds ratio", "risk, A", "A: share", "by arm B 15"):
        assert text in page, text
    assert "carryover" not in page
    for path in (structures / "report" / "tables").glob("*-shares.csv"):
        shares = pd.read_csv(path).groupby("arm")["share_mean"].sum()
        assert shares.to_numpy() == pytest.approx(1.0)


def test_figures_draw_the_estimand_of_the_frequentist_analysis(structures: Path) -> None:
    """The prior of an average of visits or of a risk difference is that of its own draws."""
    store = ResultStore(structures)
    fits = {fit.attrs["model"]: fit for fit in
            (store.load(entry["result_id"]) for entry in store.catalog())}  # fmt: skip
    fit = fits["binary-beta-binomial"]
    axes = patient_update_figure([fit]).axes[0]
    assert axes.get_xlabel() == "probability, positive = A better"
    assert [line.get_label() for line in axes.lines][:2] == ["prior", "posterior"]
    x, height = axes.lines[0].get_data()
    draws = fit["prior"].to_dataset()["treatment_difference"].values.ravel()
    assert np.interp(0.0, x, height) == pytest.approx(float(gaussian_kde(draws)(0.0)[0]), rel=0.01)
    titles = [axes.get_title(loc="left") for axes in predictive_figure(fits["longitudinal"]).axes]
    assert titles == ["means,\nA", "means,\nB", "standard deviations", "correlation"]
