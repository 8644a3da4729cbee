"""Models of reconstructed patients: found or computed once, pooled, shared among processes."""

from __future__ import annotations

import json
import multiprocessing
import re
import time
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from bayes_ptsd.errors import EvidenceError, SpecError
from bayes_ptsd.estimands import estimate, prob_benefit
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.patient_arrays import period_differences
from bayes_ptsd.evidence.published import load_published
from bayes_ptsd.fit import fit_model
from bayes_ptsd.models_files import load_model
from bayes_ptsd.plots.reconstructed import reconstruction_figure
from bayes_ptsd.pooling import pool_crossover, pool_draws, pool_first_period
from bayes_ptsd.priors import Prior
from bayes_ptsd.processes import WorkerPool
from bayes_ptsd.reanalysis.reconstructed import (
    describe_pooled,
    reconstructed_patients,
    refuse_sets,
)
from bayes_ptsd.reconstructed.pooled import pooled_exact, pooled_fits
from bayes_ptsd.reconstructed.results import pooled_entries, pooled_results
from bayes_ptsd.reconstructed.sets import (
    is_shipped,
    outcome_for,
    reconstructed_sets,
    sets_digest,
)
from bayes_ptsd.reconstructed.tasks import Task, carry_out, task_settings
from bayes_ptsd.reconstructed.workers import _follow, carry_out_all, working
from bayes_ptsd.reconstruction.release import OTHER_PRIORS, load_release
from bayes_ptsd.report.contents import Contents, patient_outcomes
from bayes_ptsd.report.markup import interval_text
from bayes_ptsd.report.page import _printed_head
from bayes_ptsd.report.reconstructed import beyond_print, reconstructed_section
from bayes_ptsd.report.reconstructed_tables import (
    by_model,
    check_lines,
    estimands,
    nuisances,
    periods,
    predictions,
    readings_frame,
    sampled_models,
    sets_frame,
)
from bayes_ptsd.store import ResultStore

SETS = 3
FLAT = Prior("flat")


def task(model: str, engine: str, *, reading: str = "as_published", m: int = SETS) -> Task:
    """Return one model over a few shipped sets."""
    spec = load_model(model)
    sets = tuple(outcome_for(spec, one, "ies_r") for one in load_release(reading, m=m))
    return Task(spec, sets, engine, load_published().digest)


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> ResultStore:
    """Return a store with the first-period model sampled on every set, and pooled."""
    store = ResultStore(tmp_path_factory.mktemp("sampled"))
    carry_out(task("first-period", "nuts"), store, seed=1, report=lambda *_: None)
    return store


def test_sampled_posteriors_pool_to_the_exact_pooled_posterior(sampled: ResultStore) -> None:
    """Mean, spread, tail and variance parts agree with quadrature within Monte Carlo error."""
    (pooled,) = pooled_results(sampled, model="first-period")
    work = task("first-period", "exact")
    exact = pooled_exact(work.patients, work.spec, printed="")["pooled"].to_dataset()
    one, other = (
        table.sel(estimand="treatment_difference")
        for table in (pooled["pooled"].to_dataset(), exact)
    )
    ess = float(pooled["fits"]["ess_bulk_min"].min())
    error = float(other["sd"]) / np.sqrt(SETS * ess)
    assert float(one["mean"]) == pytest.approx(float(other["mean"]), abs=4 * error)
    assert float(one["sd"]) == pytest.approx(float(other["sd"]), rel=4 / np.sqrt(2 * SETS * ess))
    assert float(one["prob_gt_mcid"]) == pytest.approx(
        float(other["prob_gt_mcid"]), abs=4 * 0.5 / np.sqrt(SETS * ess)
    )
    assert one["reconstruction_mean"].values == pytest.approx(
        other["reconstruction_mean"].values, abs=4 * float(other["sd"]) / np.sqrt(ess)
    )
    assert float(one["between_set_share"]) == pytest.approx(
        float(other["between_set_share"]), abs=8 / ess
    )


def test_a_second_run_finds_every_fit(sampled: ResultStore) -> None:
    """Nothing is sampled again; the pooled result names the fits that it is made of."""
    told: list[tuple[str, str]] = []
    work = task("first-period", "nuts")
    carry_out(work, sampled, seed=1, report=lambda *one: told.append(one))
    assert [kind for kind, _ in told] == ["found"] * (SETS + 1)
    (pooled,) = pooled_results(sampled)
    assert json.loads(pooled.attrs["members"]) == work.member_ids(1)
    assert pooled["fits"]["result_id"].values.tolist() == work.member_ids(1)


def test_a_fit_that_is_missing_is_the_only_one_computed(sampled: ResultStore) -> None:
    """Without the pooled result the fits are found, and pooling them again gives the same."""
    (before,) = pooled_results(sampled)
    told: list[str] = []
    sampled.remove(before.attrs["result_id"])
    carry_out(
        task("first-period", "nuts"), sampled, seed=1, report=lambda kind, _: told.append(kind)
    )
    assert told == ["found"] * SETS + ["computed"]
    (after,) = pooled_results(sampled)
    xr.testing.assert_equal(after["pooled"].to_dataset(), before["pooled"].to_dataset())


def test_pooled_result_is_read_as_any_other(sampled: ResultStore) -> None:
    """`estimate` and `prob_benefit` read it, its evidence stays named, rows are not kept."""
    (pooled,) = pooled_results(sampled)
    summary = estimate(pooled).sel(estimand="treatment_difference")
    own = pooled["pooled"].to_dataset().sel(estimand="treatment_difference")
    assert float(summary["mean"]) == pytest.approx(float(own["mean"]), abs=1e-9)
    assert prob_benefit(pooled) == pytest.approx(float(own["prob_benefit"]), abs=1e-9)
    assert pooled.attrs["evidence_kind"] == "reconstructed"
    member = sampled.load(json.loads(pooled.attrs["members"])[0])
    assert "observed_data" not in member.children
    assert member["posterior"].sizes["draw"] == 1000


def passed_fits(work: Task) -> list[xr.DataTree]:
    """Return exact fits of every set, all checks passed whatever these sets look like."""
    fits = [fit_model(one, work.spec, engine="exact") for one in work.patients]
    for fit in fits:
        checks = fit["checks"].to_dataset()
        fit["checks"] = xr.DataTree(checks.assign(passed=xr.ones_like(checks["passed"])))
        fit.attrs["checks_passed"] = 1
    return fits


@pytest.mark.filterwarnings("ignore::bayes_ptsd.errors.StatisticalWarning")
def test_failed_fits_are_pooled_and_counted() -> None:
    """A fit that failed a required check stays in the mixture; how many and why is said."""
    work = task("crossover", "exact")
    fits = passed_fits(work)
    settings = {"engine": "exact"}
    good = pooled_fits(fits, work.patients, work.spec, printed="", settings=settings)
    assert good.attrs["checks_passed"] == 1
    broken = fits[1].copy(deep=True)
    checks = broken["checks"].to_dataset()
    name = str(checks["check"].values[checks["required"].values][0])
    checks["passed"] = checks["passed"] & (checks["check"] != name)
    broken["checks"] = xr.DataTree(checks)
    parts = [fits[0], broken, fits[2]]
    bad = pooled_fits(parts, work.patients, work.spec, printed="", settings=settings)
    assert bad.attrs["checks_passed"] == 0
    assert bad["fits"]["passed"].values.tolist() == [True, False, True]
    assert name in str(bad["fits"]["reason"].values[1])
    assert "1 of 3 fits failed" in bad.attrs["warnings"]
    xr.testing.assert_equal(bad["pooled"].to_dataset(), good["pooled"].to_dataset())


@pytest.mark.filterwarnings("ignore::bayes_ptsd.errors.StatisticalWarning")
def test_what_is_said_of_every_fit_is_said_of_the_pool() -> None:
    """A note of all fits, such as shrinkage between visits, is a note of the pooled result."""
    work = task("crossover", "exact")
    fits = passed_fits(work)
    for number, fit in enumerate(fits):
        fit.attrs["warnings"] = json.dumps(["said of all", f"said of {number}"])
    pooled = pooled_fits(fits, work.patients, work.spec, printed="", settings={"engine": "exact"})
    assert json.loads(pooled.attrs["warnings"]) == ["said of all"]


def test_draws_pool_to_the_mixture_of_known_normals() -> None:
    """Mean, limits and variance parts of draws are those of the mixture they were drawn from."""
    rng = np.random.default_rng(4)
    centers = np.array([3.0, 5.0, 10.0])
    found = pool_draws(rng.normal(centers[:, None], 2.0, size=(3, 40000)), mcid=5.0)
    assert float(found["mean"]) == pytest.approx(6.0, abs=0.03)
    assert float(found["within_sd"]) == pytest.approx(2.0, abs=0.02)
    assert float(found["between_sd"]) == pytest.approx(centers.std(ddof=1), abs=0.03)
    assert float(found["prob_gt_mcid"]) == pytest.approx((0.158655 + 0.5 + 0.99379) / 3, abs=0.01)
    assert found["reconstruction_low"].values == pytest.approx(centers - 3.92, abs=0.1)
    with pytest.raises(EvidenceError, match="pooling needs two"):
        pool_draws(np.zeros((1, 10)))


def test_what_is_printed_in_the_first_period_does_not_vary() -> None:
    """Under flat priors the posterior is the printed row, in every set, to its printed digits.

    8.6 (0.94 to 16.2), least squares on treatment and baseline: its statistics are printed.
    """
    flat = {
        "treatment": FLAT, "level": FLAT, "baseline_slope": FLAT,
        "sd_residual": Prior("inverse_sd"),
    }  # fmt: skip
    spec = load_model("first-period").having(priors=flat)
    pooled = pool_first_period(load_release(m=10), spec, endpoint="ies_r")
    for name, printed, digit in (("mean", 8.6, 0.1), ("low", 0.94, 0.01), ("high", 16.2, 0.1)):
        found = pooled[f"reconstruction_{name}"].values
        assert np.ptp(found) < digit, name
        assert found == pytest.approx(printed, abs=digit / 2 + 1e-3), name
    assert float(pooled["between_set_share"]) < 1e-4


def test_what_is_printed_of_the_crossover_does_not_vary() -> None:
    """Completers' random intercept under flat priors: the printed 12.7 in every set."""
    flat = {
        "treatment": FLAT,
        "level": FLAT,
        "period_effect": FLAT,
        "sd_within": Prior("inverse_sd"),
    }
    spec = load_model("crossover-completers").having(priors=flat)
    pooled = pool_crossover(load_release(m=10), spec, endpoint="ies_r")
    assert np.ptp(pooled["reconstruction_mean"].values) < 0.1
    assert float(pooled["mean"]) == pytest.approx(12.7, abs=0.05)
    assert float(pooled["between_set_share"]) < 1e-3


def test_processes_share_the_work_and_leave_the_same_results(tmp_path: Path) -> None:
    """Two processes make what one makes, and none of them is left."""
    tasks = [task(name, "exact", m=2) for name in ("crossover", "first-period")]
    one, two = (ResultStore(tmp_path / name) for name in ("one", "two"))
    before = multiprocessing.active_children()
    for store, workers in ((one, 1), (two, 2)):
        carry_out_all(tasks, store, seed=1, workers=workers, report=lambda *_: None)
    for work in tasks:
        mine, theirs = (store.load(work.pooled_id(1)) for store in (one, two))
        xr.testing.assert_equal(mine["pooled"].to_dataset(), theirs["pooled"].to_dataset())
    assert multiprocessing.active_children() == before


def test_an_interrupt_ends_the_processes_and_leaves_the_store_whole(tmp_path: Path) -> None:
    """After the first result: no process is left, and the next run computes what is missing."""
    tasks = [
        task(name, "exact", m=2) for name in ("crossover", "first-period", "crossover-carryover")
    ]
    store = ResultStore(tmp_path / "store")
    before = multiprocessing.active_children()

    def interrupt(kind: str, name: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carry_out_all(tasks, store, seed=1, workers=2, report=interrupt)
    assert multiprocessing.active_children() == before
    assert store.verify().problems == []
    told: list[str] = []
    carry_out_all(tasks, store, seed=1, workers=1, report=lambda kind, _: told.append(kind))
    assert "found" in told
    assert told.count("computed") + told.count("found") == 3


def test_a_killed_process_costs_no_result(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """All are killed while this one does something else: each model is named, no result differs."""
    tasks = [task(name, "exact", m=2) for name in ("crossover", "first-period")]
    one, two = (ResultStore(tmp_path / name) for name in ("one", "two"))
    carry_out_all(tasks, one, seed=1, workers=1, report=lambda *_: None)
    told: list[tuple[str, str]] = []
    with working(tasks, two, seed=1, workers=2) as finish:
        while len(children := multiprocessing.active_children()) < 2:
            time.sleep(0.01)
        for child in children:
            child.kill()
        finish(lambda *one: told.append(one))
    assert sorted(told) == sorted(("computed", work.pooled_id(1)) for work in tasks)
    assert two.verify().problems == []
    for work in tasks:
        mine, theirs = (store.load(work.pooled_id(1)) for store in (one, two))
        xr.testing.assert_equal(mine["pooled"].to_dataset(), theirs["pooled"].to_dataset())
        named = f"another one repeats model '{work.spec.name}' (exact) over 2 sets of patients"
        assert sum(named in message for message in caplog.messages) == 1


def test_two_at_once_on_one_store_end_with_whole_results(tmp_path: Path) -> None:
    """Both do all tasks at the same time: both end, and the store has each result once."""
    tasks = [task(name, "exact", m=2) for name in ("crossover", "first-period")]
    store = ResultStore(tmp_path / "store")
    with WorkerPool(2) as pool:
        both = [
            pool.submit(carry_out_all, tasks, store, seed=1, workers=1, report=print)
            for _ in range(2)
        ]
        assert [one.result() for one in both] == [None, None]
    assert store.verify(grace=0.0).problems == []
    assert {one["result_id"] for one in store.catalog()} == {work.pooled_id(1) for work in tasks}


def test_fits_are_reported_as_they_come(tmp_path: Path) -> None:
    """A fit that another process stores is told before its task ends, and not told again."""
    store, fit = ResultStore(tmp_path / "store"), passed_fits(task("crossover", "exact", m=1))[0]
    wanted = store.save(fit)
    running: Future[list[tuple[str, str]]] = Future()
    told: list[tuple[str, str]] = []

    def report(kind: str, text: str) -> None:
        if not told:
            running.set_result([("found", wanted), ("lost", "reason"), ("computed", "pool")])
        told.append((kind, text))

    _follow([running], [wanted, "absent"], store, report)
    assert told == [("computed", wanted), ("lost", "reason"), ("computed", "pool")]


def test_what_goes_wrong_in_a_process_is_raised_here(tmp_path: Path) -> None:
    """A model without an exact engine is refused by name, from another process as from this one."""
    work = [task("crossover-student-t", "exact", m=2)]
    for workers in (1, 2):
        with pytest.raises(SpecError, match="crossover-student-t"):
            carry_out_all(
                work, ResultStore(tmp_path), seed=1, workers=workers, report=lambda *_: None
            )


def test_numbers_of_sets_that_cannot_be_pooled_are_refused() -> None:
    """Fewer than two, and more than are shipped, are refused by the name of the option."""
    with pytest.raises(SpecError, match="--reconstructions 1"):
        refuse_sets(load_published(), 1)
    with pytest.raises(EvidenceError, match=r"--reconstructions 51.*50 .*shipped"):
        refuse_sets(load_published(), 51)


def test_shipped_numbers_have_the_shipped_sets() -> None:
    """The first ones, in order, on which their digest depends; other numbers have none."""
    printed = load_published()
    sets = reconstructed_sets(printed, m=2)
    assert [one.digest for one in sets] == [one.digest for one in load_release(m=2)]
    assert sets_digest(sets) != sets_digest(sets[::-1])
    effects = printed.data["effects"].to_dataset().sel(contrast=["T2.IESR.F"])
    one = Evidence("published", printed.trial, xr.DataTree.from_dict({"effects": effects}))
    assert (is_shipped(printed), is_shipped(one)) == (True, False)


def test_settings_of_a_pool_are_no_settings_of_a_fit() -> None:
    """The layout of what is pooled enters only the identity of a sampled pool."""
    alone, pooled = task_settings("nuts"), task_settings("nuts", pooled=True)
    assert pooled == {**alone, "pooled": 2}
    assert alone == {"engine": "nuts", "draws": 1000, "tune": 500, "chains": 4}
    assert task_settings("exact") == {"engine": "exact", "pooled": 2}


def test_evidence_that_cannot_be_reconstructed_is_said_in_one_line(tmp_path: Path) -> None:
    """A row without its number of patients is no trial: nothing is fitted, one note says why."""
    everything = load_published()
    effects = everything.data["effects"].to_dataset().sel(contrast=["T2.IESR.F"])
    numbers = ("n", "n_active", "n_control")
    effects = effects.assign({name: effects[name] * np.nan for name in numbers})
    one = Evidence("published", everything.trial, xr.DataTree.from_dict({"effects": effects}))
    done = reconstructed_patients(one, ResultStore(tmp_path), m=2, quick=True)
    assert done["computed"] == done["pooled"] == []
    assert len(done["notes"]) == 1
    assert done["notes"][0].startswith("no reconstructed patients: ")


def test_the_result_over_most_sets_is_the_one_that_counts(tmp_path: Path) -> None:
    """Of two pooled results of one analysis the one over more sets is returned, in any order."""
    store = ResultStore(tmp_path)
    for m in (3, 2):
        carry_out(task("crossover", "exact", m=m), store, seed=1, report=lambda *_: None)
    carry_out(
        task("crossover", "exact", reading="unhalved", m=2), store, seed=1, report=lambda *_: None
    )
    found = pooled_results(store, printed=load_published().digest)
    assert [one.attrs["reconstructions"] for one in found] == [3, 2]
    assert pooled_results(store, printed="another") == []
    (unhalved,) = pooled_results(store, crossover_reading="unhalved")
    assert unhalved.attrs["crossover_reading"] == "unhalved"


def test_pooled_crossovers_say_what_each_period_does(tmp_path: Path) -> None:
    """The summary of a pooled crossover has both periods, all patients, whatever the model uses.

    Means and range over the sets are those of the sets themselves; the first period has none.
    """
    store, work = ResultStore(tmp_path), task("crossover-completers", "exact")
    carry_out(work, store, seed=1, report=lambda *_: None)
    carry_out(task("first-period", "exact"), store, seed=1, report=lambda *_: None)
    (entry,) = pooled_entries(store, model="crossover-completers")
    lines = entry["summary"]["treatment_difference"]["periods"]
    sets = [period_differences(one, "ies_r", visit="24h") for one in load_release(m=SETS)]
    own = [float(one["difference"].sel(patients="all", period=1)) for one in sets]
    assert lines[0]["n"] == 41
    assert [lines[0][key] for key in ("difference", "lowest", "highest")] == pytest.approx(
        [np.mean(own), min(own), max(own)]
    )
    (other,) = pooled_entries(store, model="first-period")
    assert "periods" not in other["summary"]["treatment_difference"]
    frame = periods(Contents(load_published()), [entry, other]).frame
    assert frame["difference"].tolist() == [one["difference"] for one in lines]


def test_other_nuisance_priors_are_compared_and_never_put_together(tmp_path: Path) -> None:
    """Sets of another file are listed by its name only; the page shows the range over files."""
    store, spec = ResultStore(tmp_path), load_model("crossover")

    def pool(reading: str = "as_published", flow: str = "paper", file: str | None = None) -> None:
        sets = load_release(reading, flow, nuisance=file)[:2]
        chosen = tuple(outcome_for(spec, one, "ies_r") for one in sets)
        work = Task(spec, chosen, "exact", load_published().digest)
        carry_out(work, store, seed=1, report=lambda *_: None)

    pool()
    for file in OTHER_PRIORS:
        pool(file=file)
    (entry,) = pooled_entries(store)
    assert entry.get("nuisance_priors") is None
    files = [one for name in OTHER_PRIORS for one in pooled_entries(store, nuisance=name)]
    assert [one["nuisance_priors"] for one in files] == list(OTHER_PRIORS)
    assert [one["nuisance_priors"] for one in describe_pooled(store, [entry["result_id"]])] == [
        "reconstruction"
    ]
    section = reconstructed_section(Contents(load_published(), store=store))
    assert section is not None
    means = [one["summary"]["treatment_difference"]["mean"] for one in (entry, *files)]
    assert interval_text(min(means), max(means)) in section.html
    assert "no fraction of missing information" in section.html
    assert len(section.tables["reconstructed-readings"]) == 4


def test_page_says_why_all_patients_look_surer_than_print(tmp_path: Path) -> None:
    """P(benefit) of the crossover is above .992 and .986 of print; the page names what is assumed.

    One-sided from print: t 12.65 / 4.947 on 27, t 8.57 / 3.769 on 38.
    """
    store = ResultStore(tmp_path)
    carry_out(task("crossover", "exact", m=2), store, seed=1, report=lambda *_: None)
    section = reconstructed_section(Contents(load_published(), store=store))
    assert section is not None
    said = section.html.partition("The model crossover has a P(benefit) of ")[2]
    assert ".992 of T2.IESR.X, .986 of T2.IESR.F" in said
    assert "Each period alone" in section.html
    assert list(section.tables["reconstructed-periods"]["period"]) == [1, 2, 1, 2]


def test_page_shows_both_readings_and_the_checks_from_the_store_alone(
    sampled: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Section, tables and figures come from pooled results; nothing is fitted or reconstructed."""
    for reading in ("as_published", "unhalved"):
        work = task("crossover-completers", "exact", reading=reading)
        carry_out(work, sampled, seed=1, report=lambda *_: None)
    monkeypatch.setattr("bayes_ptsd.reconstruction.release.load_release", None)
    section = reconstructed_section(Contents(load_published(), store=sampled))
    assert section is not None
    assert set(section.figures) == {"reconstructed-as-published", "reconstructed-unhalved"}
    frame = section.tables["reconstructed-readings"].set_index(["model", "crossover_reading"])
    halved = frame.loc[("crossover-completers", "unhalved")]
    whole = frame.loc[("crossover-completers", "as_published")]
    assert whole["mean"] == pytest.approx(12.4, abs=0.4)
    assert halved["mean"] == pytest.approx(6.5, abs=0.3)
    assert set(frame["evidence_kind"]) == {"reconstructed"}
    checks = section.tables["reconstructed-sampled"].iloc[0]
    assert (checks["model"], checks["passed"], checks["fits"]) == ("first-period", SETS, SETS)
    assert f"{SETS} of {SETS}" in section.html
    assert len(section.tables["reconstructed-sets"]) == SETS
    ratio, other = re.findall(r"([\d.]+) times .*? under (?:as published|unhalved)", section.html)
    assert 1.7 < float(ratio) < 2.7
    assert float(other) < 1.4
    assert section.html.count("reconstructed evidence") == 7
    assert patient_outcomes(sampled) == []


def test_page_of_a_store_with_one_sampled_model_has_what_there_is(
    sampled: ResultStore, tmp_path: Path
) -> None:
    """Without exact results the tables that need them are left out, not filled with nothing."""
    alone = ResultStore(tmp_path)
    (pooled,) = pooled_results(sampled, engine="nuts")
    alone.save(pooled)
    section = reconstructed_section(Contents(load_published(), store=alone))
    assert section is not None
    assert list(section.figures) == ["reconstructed-as-published"]
    assert "All readings side by side" not in section.html


def test_page_about_other_numbers_has_no_such_section(sampled: ResultStore) -> None:
    """Results of sets that print other numbers are left out."""
    effects = load_published().data["effects"].to_dataset().sel(contrast=["T2.IESR.F"])
    data = xr.DataTree.from_dict({"effects": effects})
    other = Evidence("published", load_published().trial, data)
    assert reconstructed_section(Contents(other, store=sampled)) is None


def test_failed_and_warning_checks_are_said_by_set() -> None:
    """Which set failed and why, and in how many sets a check warned."""
    fits = xr.Dataset(
        {
            "passed": ("reconstruction", [True, False]),
            "reason": ("reconstruction", ["", "rhat_max 1.02 (threshold 1.01)"]),
            "warned": ("reconstruction", ["", "rhat_max, loo_pareto_k_max"]),
        }
    )
    said = check_lines(xr.DataTree.from_dict({"fits": fits}))
    assert said[0] == "set 2 failed: rhat_max 1.02 (threshold 1.01)"
    assert "loo_pareto_k_max warned in 1 of 2 sets" in said


def test_head_of_the_page_names_reconstructed_patients(sampled: ResultStore) -> None:
    """A page that shows them says so beside its title; one that does not says printed only."""
    contents = Contents(load_published(), store=sampled)
    section = reconstructed_section(contents)
    assert section is not None
    assert _printed_head(contents, [], [section]).kind == "published, reconstructed"
    assert _printed_head(contents, [], []).subtitle == "printed numbers only, no patient data"


def test_accepted_nuisances_are_those_the_sets_carry() -> None:
    """Median and range of a quantity over the sets, beside the prior of the shipped file."""
    sets = load_release(m=4)
    table = nuisances(sets)
    frame = table.frame.set_index(["block", "quantity"])
    values = sorted(json.loads(str(one.assumptions["nuisance"]))["ies_r.slope"] for one in sets)
    line = frame.loc[("ies_r", "slope")]
    assert (line["least"], line["most"]) == (values[0], values[-1])
    assert line["median"] == pytest.approx((values[1] + values[2]) / 2)
    assert (line["prior"], line["sets"]) == ("N(0.5, 0.2²)", 4)
    assert (frame["prior"] != "").all()
    assert "baseline sd" in table.html


def test_no_results_are_no_lines() -> None:
    """Tables of a store without results are empty, and the words about them too."""
    contents = Contents(load_published())
    assert readings_frame([]).empty
    assert sets_frame([]).empty
    made = [periods(contents, []), predictions([]), sampled_models(contents, []),
            estimands(contents, [])]  # fmt: skip
    assert all(table.frame.empty for table in made)
    assert [table.html for table in made] == [""] * 4
    assert beyond_print(contents, []) == ""


def test_figure_has_every_set_and_the_pool() -> None:
    """Dots are the means of the sets, the diamond that of the mixture; the evidence is named."""
    spec = load_model("crossover")
    sets = [outcome_for(spec, one, "ies_r") for one in load_release(m=SETS)]
    pooled = pooled_exact(sets, spec, printed="")
    figure = reconstruction_figure([pooled])
    dots = {line.get_marker(): np.asarray(line.get_xdata()) for line in figure.axes[0].lines}
    one = pooled["pooled"].to_dataset().sel(estimand="treatment_difference")
    assert dots["o"].tolist() == one["reconstruction_mean"].values.tolist()
    assert dots["D"] == pytest.approx(dots["o"].mean())  # an equal mixture
    assert figure.legends[0].get_title().get_text() == "reconstructed evidence"


def test_models_stand_in_the_order_of_the_page() -> None:
    """The first period comes before the crossover whatever was stored first, other models last."""
    stored = [{"model": name} for name in ("mine", "longitudinal", "crossover", "first-period")]
    named = [one["model"] for one in by_model(stored)]
    assert named == ["first-period", "crossover", "longitudinal", "mine"]
