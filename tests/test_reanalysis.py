"""The main job: complete, resumable, honest about what it found and what it computed."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
import xarray as xr

from bayes_ptsd.errors import StoreError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.published import load_published
from bayes_ptsd.readings.weights import chosen_weights
from bayes_ptsd.reanalysis import (
    HEADLINE_PRIORS,
    headline_contrasts,
    headline_rows,
    reanalyze,
    run,
    sampled_checks,
)
from bayes_ptsd.reanalysis.printed import exact_posteriors
from bayes_ptsd.reanalysis.stages import silent
from bayes_ptsd.store import ResultStore
from bayes_ptsd.store.catalog import list_results, list_runs
from bayes_ptsd.store.report_origin import last_weights
from bayes_ptsd.store.upkeep import remove_result


@pytest.fixture(scope="module")
def done(
    quick_run: tuple[Path, str, str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[ResultStore, dict[str, object]]:
    """Return a store after a quick reanalysis, and what it returned."""
    folder = tmp_path_factory.mktemp("main") / "store"
    shutil.copytree(quick_run[0], folder)
    return ResultStore(folder), json.loads(quick_run[1])


@pytest.fixture
def no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the page, which the first run has written, where a test is about results."""
    monkeypatch.setattr(run, "write_report", lambda *_, **__: Path("index.html"))


def test_quick_run_stores_every_row_reading_and_headline_prior(
    done: tuple[ResultStore, dict[str, object]],
) -> None:
    """9 crossover rows in two readings and 13 others, under four priors, convention T.

    Beside them five models of reconstructed patients under each of five readings, and what sections
    of the page computed: three rankings, eight outlooks, mediation, events, endpoints together.
    """
    store, document = done
    assert document["computed"] == (2 * 9 + 13) * len(HEADLINE_PRIORS) + 5 * 5
    assert document["failed"] == document["notes"] == []
    every = list_results(store.path).entries
    asked = [entry["model"] for entry in every if "asked" in entry["spec"]]
    assert Counter(asked) == {
        "ranked-assumptions": 3, "replication-outlook": 8, "depression-adjusted-pooled": 1,
        "binary-outcomes": 1, "endpoints-together": 1,
    }  # fmt: skip
    entries = [entry for entry in every if "asked" not in entry["spec"]]
    printed = [entry for entry in entries if entry["evidence_kind"] == "published"]
    assert len(printed) == (2 * 9 + 13) * len(HEADLINE_PRIORS)
    assert {entry["convention"] for entry in printed} == {"T"}
    pooled = [entry for entry in entries if entry["evidence_kind"] == "reconstructed"]
    assert {entry["reconstructions"] for entry in pooled} == {5}
    assert all(entry["checks_passed"] for entry in entries)
    json.dumps(document, allow_nan=False)


@pytest.mark.usefixtures("no_page")
def test_an_interrupted_run_goes_on_where_it_stopped(
    done: tuple[ResultStore, dict[str, object]], tmp_path: Path
) -> None:
    """After an interrupt the store is whole and the next run computes only what is missing.

    The store is a copy without its first eight results; the interrupt comes after five of them.
    """
    finished, document = done
    ids: list[str] = list(document["results"])  # type: ignore[call-overload]
    shutil.copytree(finished.path, tmp_path / "store")
    store = ResultStore(tmp_path / "store")
    everything = len(list_results(store.path).entries)
    for result_id in ids[:8]:
        remove_result(store.path, result_id)

    def interrupt(stage: str, number: int, total: int) -> None:
        if number == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reanalyze(store, quick=True, progress=interrupt)
    assert len(list_results(store.path).entries) == everything - 3
    assert store.verify().problems == []
    again = reanalyze(store, quick=True)
    assert (again["computed"], again["found"]) == (3, len(ids) - 3)


def test_another_seed_is_another_result(done: tuple[ResultStore, dict[str, object]]) -> None:
    """The seed is part of a result's identity; exact summaries do not depend on it."""
    store, document = done
    other = headline_rows(load_published(), store, seed=1)
    ids = {row["result_id"] for row in document["headline"]} - {None}  # type: ignore[attr-defined]
    assert not ids & {row["result_id"] for row in other}
    means = [row["mean"] for row in document["headline"]]  # type: ignore[attr-defined]
    assert [row["mean"] for row in other] == pytest.approx(means, abs=1e-12)


def test_a_run_leaves_a_manifest(done: tuple[ResultStore, dict[str, object]]) -> None:
    """The manifest says when, what was asked and which results belong to the run."""
    store, document = done
    runs = list_runs(store.path).entries
    assert runs[0]["kind"] == "reanalyze"
    assert runs[0]["request"]["quick"] is True
    assert set(runs[0]["results"]) == set(document["results"])  # type: ignore[call-overload]


def test_headline_rows_are_the_primary_contrasts_in_both_readings(
    done: tuple[ResultStore, dict[str, object]],
) -> None:
    """Crossover averaged, as published and unhalved, and the first period, under four priors each.

    The average leads, and is no stored result.
    """
    assert headline_contrasts(load_published()) == ["T2.IESR.X", "T2.IESR.F"]
    rows: list[dict[str, object]] = done[1]["headline"]  # type: ignore[assignment]
    assert [(row["contrast"], row["crossover_reading"]) for row in rows[::4]] == [
        ("T2.IESR.X", "averaged"), ("T2.IESR.X", "as_published"), ("T2.IESR.F", "as_published"),
        ("T2.IESR.X", "unhalved"),
    ]  # fmt: skip
    assert [row["result_id"] is None for row in rows] == [True] * 4 + [False] * 12


def test_weights_set_by_hand_are_kept(tmp_path: Path) -> None:
    """The run and its manifest have them, `report` finds them, and other evidence has none."""
    store, weights = ResultStore(tmp_path / "store"), {"as_published": 0.25, "unhalved": 0.75}
    printed = load_published()
    nodes = {name: node.to_dataset() for name, node in printed.data.children.items()}
    rows = nodes["effects"].sel(contrast=["T2.IESR.X"])
    evidence = Evidence("published", printed.trial, xr.DataTree.from_dict({"effects": rows}))
    document = reanalyze(store, evidence=evidence, quick=True, reading_weights=weights)
    said = document["reading_weights"]
    assert (said["weights"], said["source"]) == (weights, "set by hand")
    average, printed_row = document["headline"][0], document["headline"][4]
    assert average["mean"] == pytest.approx(0.625 * printed_row["mean"])
    assert last_weights(store.runs(), evidence.digest) == weights
    assert last_weights(store.runs(), "0" * 64) is None
    page = Path(document["report"]).read_text(encoding="utf-8")
    assert "unhalved .75, as published .25, set by hand" in page


def test_evidence_without_weights_says_why(tmp_path: Path) -> None:
    """A crossover row alone has nothing to be weighed by: no average, and the reason."""
    printed = load_published()
    rows = printed.data["effects"].to_dataset().sel(contrast=["T2.IESR.X"])
    evidence = Evidence("published", printed.trial, xr.DataTree.from_dict({"effects": rows}))
    headline = headline_rows(evidence, ResultStore(tmp_path / "store"))
    assert {row["crossover_reading"] for row in headline} == {"as_published", "unhalved"}
    assert chosen_weights(evidence)[0] == {}
    assert "no endpoint has both a crossover and a first_period row" in chosen_weights(evidence)[1]


def test_report_lies_inside_the_store(quick_run: tuple[Path, str, str]) -> None:
    """The page and its tables are written where the document says."""
    page = Path(json.loads(quick_run[1])["report"])
    assert page == quick_run[0] / "report" / "index.html"
    assert page.is_file()


def test_unwritable_store_is_refused_before_anything_is_computed(tmp_path: Path) -> None:
    """A store that is a file is named, and nothing is written beside it."""
    (tmp_path / "store").write_text("not a folder")
    with pytest.raises(StoreError, match="store"):
        reanalyze(ResultStore(tmp_path / "store"), quick=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store"]


def test_headline_row_is_sampled_beside_its_exact_posterior(tmp_path: Path) -> None:
    """Both engines agree within five Monte Carlo errors; a second run finds what was sampled."""
    printed = load_published()
    rows = printed.data["effects"].to_dataset().sel(contrast=["T2.IESR.F"])
    evidence = Evidence("published", printed.trial, xr.DataTree.from_dict({"effects": rows}))
    store = ResultStore(tmp_path / "store")
    done = sampled_checks(evidence, store, seed=1)
    assert (len(done["computed"]), done["found"], done["failed"]) == (1, [], [])
    again = sampled_checks(evidence, store, seed=1)
    assert (again["computed"], again["found"]) == ([], done["computed"])
    exact_posteriors(evidence, store, quick=True, seed=1, progress=silent)
    entries = [one for one in store.catalog() if one["prior"] == "skeptical"]
    means = {one["engine"]: one["summary"]["treatment_difference"]["mean"] for one in entries}
    draws = store.load(done["computed"][0])["posterior"]["treatment_difference"]
    error = float(draws.std()) / (draws.size / 4) ** 0.5
    assert means["nuts"] == pytest.approx(means["exact"], abs=5 * error)
