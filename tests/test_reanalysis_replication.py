"""A replication foretold by the main job, against closed forms and an independent reader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.published import load_published
from bayes_ptsd.plots.replication import prediction_figure, replication_prior_figure
from bayes_ptsd.reanalysis import reanalyze
from bayes_ptsd.reanalysis.replication import replication_document, replication_outlooks
from bayes_ptsd.replication.assurance import Goal, reach_probability
from bayes_ptsd.replication.outlook import Outlook, outlook_document
from bayes_ptsd.report import write_report
from bayes_ptsd.store import ResultStore

SD = 14.4
PRINTED = {"T2.IESR.X": (2.5, 22.8, 27), "T2.IESR.F": (0.94, 16.2, 38)}
"""Limits and degrees of freedom of the headline rows."""


@pytest.fixture(scope="module")
def outlooks(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str, str], Outlook]:
    """Return the outlooks of a quick run by contrast, reading and center."""
    store = ResultStore(tmp_path_factory.mktemp("outlooks") / "store")
    found = replication_outlooks(load_published(), store, quick=True)
    return {(one.contrast, one.reading, one.center): one for one in found}


def test_every_headline_row_reading_and_center(
    outlooks: dict[tuple[str, str, str], Outlook],
) -> None:
    """The crossover row on average and in both readings, and the first period, by center."""
    rows = [("T2.IESR.X", "averaged"), ("T2.IESR.X", "as_published"), ("T2.IESR.X", "unhalved"),
            ("T2.IESR.F", "as_published")]  # fmt: skip
    assert list(outlooks) == [(*row, center) for row in rows for center in ("cochrane", "flat")]


def test_a_row_is_foretold_under_its_file_name(
    outlooks: dict[tuple[str, str, str], Outlook],
) -> None:
    """The shrunk first period: P(P < .05) of one as precise is .31, in T2-IESR-F-cochrane."""
    one = outlooks["T2.IESR.F", "as_published", "cochrane"]
    (prediction,) = one.predictions
    assert (one.name, prediction["relative_size"]) == ("T2-IESR-F-cochrane", 1.0)
    spread = one.predictive()
    known = float(spread.sf(stats.norm.ppf(0.975) * prediction["se"]))
    assert prediction["p_below_05"] == pytest.approx(known)
    assert known == pytest.approx(0.309, abs=5e-4)


@pytest.mark.parametrize("contrast", PRINTED)
def test_flat_center_is_the_printed_interval_widened(
    outlooks: dict[tuple[str, str, str], Outlook], contrast: str
) -> None:
    """Mean is the middle of the interval, variance the t posterior's plus 2 (SD/4)^2."""
    low, high, df = PRINTED[contrast]
    scale = (high - low) / 2 / stats.t.ppf(0.975, df)
    found = outlooks[contrast, "as_published", "flat"].found.informative
    assert found.mean == pytest.approx((low + high) / 2, abs=1e-3)
    # the mixture that stands for the density is the nearest one, not the one of equal variance
    assert found.sd == pytest.approx(
        np.sqrt(scale**2 * df / (df - 2) + 2 * (SD / 4) ** 2), rel=0.01
    )


def test_robust_mean_and_winner_s_curse(outlooks: dict[tuple[str, str, str], Outlook]) -> None:
    """The robust mean is .8 of the informative one; the shrunk center is lower; flat halves.

    Under cochrane the unhalved mean is less than half: heterogeneity in score units is the same,
    and draws a difference half as large more strongly to none.
    """
    for (contrast, reading, center), one in outlooks.items():
        assert one.found.prior.mean == pytest.approx(0.8 * one.found.informative.mean, abs=1e-9)
        flat = outlooks[contrast, reading, "flat"].found.prior.mean
        assert (one.found.prior.mean < flat) is (center == "cochrane")
        whole = outlooks[contrast, "as_published", center].found.prior.mean
        if reading == "unhalved" and center == "flat":
            assert one.found.prior.mean == pytest.approx(whole / 2, abs=1e-3)
        elif reading == "unhalved":
            assert 0 < one.found.prior.mean < whole / 2
    shrunk = outlooks["T2.IESR.F", "as_published", "cochrane"].found.informative.mean
    # convention N has 4.15; T, with its middle of 8.57 in place of 8.6, a little less
    assert shrunk == pytest.approx(4.07, abs=0.01)


def test_predictions_are_sums_of_normal_tails(
    outlooks: dict[tuple[str, str, str], Outlook],
) -> None:
    """Same sign, P < .05 and > MCID are tails of the mixture widened by the standard error."""
    for one in (one for one in outlooks.values() if one.reading != "averaged"):
        se = one.original[1]
        parts = [(part["weight"], part["mu"], np.hypot(part["sigma"], se))
                 for part in outlook_document(one)["prior"]["components"]]  # fmt: skip

        def above(limit: float, parts: list[Any] = parts) -> float:
            return float(sum(w * stats.norm.sf(limit, mu, sd) for w, mu, sd in parts))

        predicted = one.predictions[0]
        assert predicted["same_sign"] == pytest.approx(above(0), abs=1e-9)
        assert predicted["p_below_05"] == pytest.approx(above(stats.norm.ppf(0.975) * se), abs=1e-9)
        assert predicted["estimate_above_mcid"] == pytest.approx(above(7.2), abs=1e-9)
        low, high = predicted["interval95"]
        assert above(low) - above(high) == pytest.approx(0.95, abs=1e-6)


def test_average_is_the_mean_of_the_readings(
    outlooks: dict[tuple[str, str, str], Outlook],
) -> None:
    """Every probability, and the assurance of a crossover, is a weighted mean over readings."""
    for center in ("cochrane", "flat"):
        whole = outlooks["T2.IESR.X", "averaged", center]
        weights = whole.found.about["readings"]
        parts = {name: outlooks["T2.IESR.X", name, center] for name in weights}
        for key in ("same_sign", "p_below_05", "estimate_above_mcid", "mean"):
            mean = sum(w * parts[name].predictions[0][key] for name, w in weights.items())
            assert whole.predictions[0][key] == pytest.approx(mean, abs=1e-9)
        curve = [one.curves["benefit"]["crossover"]["assurance"].values
                 for one in (whole, *parts.values())]  # fmt: skip
        assert curve[0] == pytest.approx(
            sum(w * line for w, line in zip(weights.values(), curve[1:], strict=True))
        )


def test_smallest_sizes_are_the_smallest(outlooks: dict[tuple[str, str, str], Outlook]) -> None:
    """Each size reaches its target and two patients fewer do not; none where the ceiling is low."""
    goals = {"benefit": Goal(), "worthwhile": Goal(margin=7.2, level=0.8)}
    unreachable = 0
    for one in (one for one in outlooks.values() if one.reading != "averaged"):
        for line in one.sizes:
            goal, design = goals[line["goal"]], one.designs[line["design"]]
            if line["n"] is None:
                unreachable += line["target"] >= line["ceiling"]
                assert reach_probability(
                    one.found.prior, design, n=200_000, goal=goal
                ) < line["target"]  # fmt: skip
                continue
            below = reach_probability(one.found.prior, design, n=line["n"] - 2, goal=goal)
            assert line["assurance"] >= line["target"] > below or line["n"] <= 10
    assert unreachable > 50
    first = outlooks["T2.IESR.F", "as_published", "cochrane"].sizes
    known = {line["design"]: line["n"] for line in first
             if line["goal"] == "benefit" and line["target"] == 0.6}  # fmt: skip
    assert known == {
        "parallel": 660, "repeated": 414, "crossover": 168, "crossover_leavers": 216
    }  # fmt: skip


def test_designs_are_those_of_this_trial(outlooks: dict[tuple[str, str, str], Outlook]) -> None:
    """Six of 22 too well to cross, 6 of the other 35 gone; a crossover patient is worth 2/(1-r)."""
    one = outlooks["T2.IESR.F", "as_published", "flat"]
    leavers = one.designs["crossover_leavers"]
    assert leavers.gate == (pytest.approx(6 / 22), 0.0)
    # sequences of equal size, as the replication's: shares of 9/22 and 3/19 without period 2
    assert leavers.complete == pytest.approx(1 - (9 / 22 + 3 / 19) / 2, abs=1e-3)
    worth = {line["correlation"]: line["crossover_worth"] for line in one.trade_off}
    assert worth == pytest.approx({rho: 2 / (1 - rho) for rho in (0.2, 0.5, 0.8)})
    assert all(line["crossover"] < line["crossover_leavers"] < line["parallel"]
               for line in one.trade_off)  # fmt: skip


def one_row(name: str) -> Evidence:
    """Return the shipped evidence with one printed row."""
    printed = load_published()
    effects = printed.data["effects"].to_dataset().sel(contrast=[name])
    return Evidence("published", printed.trial, xr.DataTree.from_dict({"effects": effects}))


def test_report_keeps_the_priors_with_their_provenance(tmp_path: Path) -> None:
    """The run lists its files; RBesT's layout gives the prior back; ids are those of the store."""
    store, evidence = ResultStore(tmp_path / "store"), one_row("T2.IESR.F")
    done = reanalyze(store, evidence=evidence, quick=True)
    json.dumps(done, allow_nan=False)
    listed = done["replication"]
    assert [entry["center"] for entry in listed["priors"]] == ["cochrane", "flat"]
    whole = json.loads(Path(listed["document"]).read_text(encoding="utf-8"))
    assert whole["evidence_digest"] == evidence.digest
    assert (whole["evidence_kind"], whole["schema"]) == ("published", 1)
    assert all(store.has(name) for name in whole["results"])
    for entry, outlook in zip(listed["priors"], whole["outlooks"], strict=True):
        assert entry["results"] == outlook["results"]
        mix = json.loads(Path(entry["path"]).read_text(encoding="utf-8"))
        assert mix["meta"]["class"] == ["normMix", "mix"]
        assert mix["meta"]["dimnames"][0] == ["w", "m", "s"]
        weight, mean, sd = (np.array(row) for row in mix["comp"])
        assert weight @ mean == pytest.approx(entry["mean"], abs=1e-9)
        spread = np.sqrt(weight @ (sd**2 + mean**2) - (weight @ mean) ** 2)
        assert spread == pytest.approx(entry["sd"], abs=1e-9)
    folder = Path(listed["document"]).parent
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    write_report(evidence, store, tmp_path / "again", quick=True)
    after = {path.name: path.read_bytes() for path in (tmp_path / "again" / "priors").iterdir()}
    assert after == before


def test_without_an_outlook_the_run_names_no_document() -> None:
    """Evidence without a reference SD foretells nothing, and says so."""
    assert replication_document([], Path("report")) == {"document": None, "priors": []}


def test_figures_name_evidence_rows_and_centers(
    outlooks: dict[tuple[str, str, str], Outlook],
) -> None:
    """Each panel is a row and reading; evidence, convention and centers stand in the legend."""
    figure = replication_prior_figure(list(outlooks.values()))
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["Crossover, averaged", "Crossover, as published", "Crossover, unhalved",
                      "First period"]  # fmt: skip
    legend = figure.legends[0]
    assert legend.get_title().get_text() == "published evidence, convention T"
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts[:2] == ["prior centered by cochrane", "prior centered by flat"]
    axes = prediction_figure(list(outlooks.values())).axes[0]
    assert len(axes.get_yticklabels()) == 4 + 8
