"""The report shows the numbers of the analysis, agrees with itself, and is whole or absent."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from bayes_ptsd.contrasts import analyses
from bayes_ptsd.errors import EvidenceError, StoreError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.published import load_published
from bayes_ptsd.exact.printed import fit_exact
from bayes_ptsd.provenance import DEFAULT_SEED, EXACT_SETTINGS, make_result_id
from bayes_ptsd.report import page as page_module
from bayes_ptsd.report import write_report
from bayes_ptsd.report.audit import View, view_frame
from bayes_ptsd.report.contents import Contents, analysis_name, primary_rows
from bayes_ptsd.report.diagnostics import diagnostics_section, sampled_fits
from bayes_ptsd.report.headline import (
    first_screen,
    printed_text,
    row_file_name,
    row_heading,
    trial_sentences,
)
from bayes_ptsd.report.markup import (
    bullets,
    interval_text,
    number,
    paragraph,
    printed_number,
    probability,
    typeset,
)
from bayes_ptsd.report.provenance import limits_section
from bayes_ptsd.report.replication import average_weights
from bayes_ptsd.report.replication_tables import line_heading
from bayes_ptsd.report.section import Figure, Section, Table, details, gallery
from bayes_ptsd.store import ResultStore

KEPT = ("T2.IESR.X", "T2.IESR.F", "T2.AVOI.F", "T2.AVOI.F*", "LG.IESR.TRT")
DECISIONS = re.compile(
    r"\b(?:significan\w*|insignifican\w*|works|worked|proves?|proven|confirms?|refutes?|"
    r"efficacious|superior|inferior|verdict|succeeds?|successful|failed trial)\b",
    re.IGNORECASE,
)
OTHER_TRIAL = """
schema = 1
name = "sleep"
title = "Two teas for sleep"
design = "parallel"
[treatments]
active = "valerian"
control = "mint"
[endpoints.hours]
label = "Hours of sleep"
kind = "continuous"
better = "higher"
unit = "hours"
reference_sd = 1.5
mcid = 0.5
"""
OTHER_EFFECTS = """\
id,endpoint,analysis,estimate,ci_low,ci_high,p_value,n,df,sign_as_printed
A,hours,parallel,0.80,0.10,1.50,.03,60,58,active-minus-control
"""


def part_of(evidence: Evidence, names: tuple[str, ...]) -> Evidence:
    """Return the evidence with some of its rows."""
    nodes = {name: node.to_dataset() for name, node in evidence.data.children.items()}
    nodes["effects"] = nodes["effects"].sel(contrast=list(names))
    return replace(evidence, data=xr.DataTree.from_dict(nodes))


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    """Return five rows of the shipped evidence and all its tables beside them."""
    return part_of(load_published(), KEPT)


@pytest.fixture(scope="module")
def store(evidence: Evidence, tmp_path_factory: pytest.TempPathFactory) -> ResultStore:
    """Return a store with the headline rows under T, and one result of a sampler."""
    store = ResultStore(tmp_path_factory.mktemp("store"))
    for row, spec in analyses(evidence, contrasts=KEPT[:2]):
        store.save(fit_exact(row, spec))
    row, spec = next(analyses(evidence, contrasts=KEPT[1:2], priors=["skeptical"]))
    store.save(sampled(fit_exact(row, spec), make_result_id(row, spec, settings={}, seed=1)))
    return store


def sampled(fit: xr.DataTree, result_id: str) -> xr.DataTree:
    """Return a fit as a sampler leaves it: draws and checks, nothing exact."""
    names = ["rhat_max", "ess_bulk_min", "ess_tail_min", "divergences", "ebfmi_min"]
    columns = {
        "figure": [1.001, 900.0, 1200.0, 0.0, 0.9],
        "threshold": [1.01, 400.0, 400.0, 0.0, 0.3],
        "passed": [True] * 5,
        "required": [True] * 5,
    }
    checks = xr.Dataset({k: ("check", v) for k, v in columns.items()}, {"check": names})
    groups = {"posterior": fit["posterior"].to_dataset(), "checks": checks}
    tree = xr.DataTree.from_dict(groups)
    tree.attrs = fit.attrs | {"engine": "nuts", "result_id": result_id}
    return tree


@pytest.fixture(scope="module")
def report(
    evidence: Evidence, store: ResultStore, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return the folder of a full report."""
    folder = tmp_path_factory.mktemp("reports") / "report"
    return write_report(evidence, store, folder, seconds={"posteriors": 12.34}).parent


@pytest.fixture(scope="module")
def text(report: Path) -> str:
    """Return the page."""
    return (report / "index.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tables(report: Path) -> dict[str, pd.DataFrame]:
    """Return the CSV files by name."""
    return {path.stem: pd.read_csv(path) for path in (report / "tables").glob("*.csv")}


def section(text: str, name: str) -> str:
    """Return one section of the page."""
    match = re.search(rf'<section id="{name}".*?</section>', text, re.DOTALL)
    assert match, name
    return match[0]


def visible(markup: str) -> str:
    """Return what a reader sees, blanks joined and true signs replaced."""
    plain = html.unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", markup, flags=re.DOTALL))
    return re.sub(r"\s+", " ", plain.replace("\N{MINUS SIGN}", "-")).strip()


def table_of(markup: str, caption: str) -> list[list[str]]:
    """Return the cells of the table whose caption begins so, row by row."""
    for figure in re.findall(r'<figure class="table">.*?</figure>', markup, re.DOTALL):
        if visible(figure).startswith(caption):
            rows = re.findall(r"<tr.*?</tr>", figure, re.DOTALL)
            cells = [re.findall(r"<t[hd].*?</t[hd]>", row, re.DOTALL) for row in rows]
            return [[visible(cell) for cell in row] for row in cells]
    raise AssertionError(f"no table '{caption}'")


def headline(text: str) -> dict[tuple[str, str], list[str]]:
    """Return the headline table: cells by quantity and prior."""
    found, group = {}, ""
    for row in table_of(section(text, "summary"), "IES-R total")[1:]:
        if len(row) == 1:
            group = row[0]
        else:
            found[group, row[0]] = row[1:]
    return found


def test_headline_has_the_known_values(text: str) -> None:
    """The headline shows the orientation values: the crossover three times, first period."""
    cells = headline(text)
    assert cells["Difference, points", "printed, 95% CI"] == [
        cells["Difference, points", "printed, 95% CI"][0],
        "12.7 (2.5 to 22.8)", "6.35 (1.25 to 11.40)", "8.6 (0.94 to 16.2)",
    ]  # fmt: skip
    assert cells["Difference, points", "printed, 95% CI"][0].endswith(" on average")
    assert cells["P(ketamine better)", "flat"] == [".992", ".992", ".992", ".986"]
    better = cells["P(ketamine better)", "skeptical"][1:]
    assert (better[0], better[2]) == (".977", ".975")
    beyond = cells["P(better by more than 7.2 points, the MCID)", "skeptical"][1:]
    assert float(beyond[1]) < float(beyond[0]) - 0.3


def test_sections_stand_in_their_order(text: str) -> None:
    """What is read first comes first; limits close the page; joint results need two endpoints."""
    assert re.findall(r'<section id="([^"]+)"', text) == [
        "summary", "forest", "updates", "curves", "assumptions", "readings", "comparison", "audit",
        "credibility", "binary", "replication", "priors", "methods", "diagnostics", "provenance",
        "limits",
    ]  # fmt: skip


def test_every_section_leaves_its_files(report: Path, text: str) -> None:
    """Numbers, drawings and priors of each section lie beside the page under their names."""
    names = {path.relative_to(report).as_posix() for path in report.rglob("*.*")}
    rows = ("crossover-as-published", "crossover-unhalved", "first-period")
    drawn = [f"{what}-{row}" for what in ("update", "curve", "assumptions") for row in rows]
    drawn += [f"forest-{part}" for part in ("crossover", "crossover-unhalved", "main", "other")]
    tables = ["comparison-T", "recomputed", "credibility", "prior-predictive", "priors",
              "reading-rows", "reading-weights", "assumptions", "tipping-points"]  # fmt: skip
    fits = ("F", "X-as-published", "X-unhalved", "X-averaged")
    priors = [f"T2-IESR-{fit}-{center}" for fit in fits for center in ("flat", "cochrane")]
    assert {f"figures/{name}.svg" for name in drawn} <= names
    assert {f"tables/{name}.csv" for name in tables} <= names
    found = {name for name in names if name.startswith("priors/")}
    assert found == {f"priors/{name}.json" for name in [*priors, "replication"]}
    assert "7/22" in text  # responders of one arm, as printed


def test_headline_rows_have_one_name_each() -> None:
    """Headings name the reading where it matters, files follow them, numbers keep their digits."""
    contents = Contents(load_published())
    headings = ["Crossover, as published", "Crossover, unhalved", "First period"]
    files = ["crossover-as-published", "crossover-unhalved", "first-period"]
    assert [row_heading(contents, row) for row in contents.primary] == headings
    assert [row_file_name(contents, row) for row in contents.primary] == files
    assert line_heading(contents, {"contrast": "T2.IESR.F", "reading": ""}) == headings[2]
    assert analysis_name("first_period") == "first period"
    assert contents.row_name("T2.IESR.X") == "IES-R total, crossover, 24h"
    assert printed_text(contents, "T2.IESR.F").split() == ["8.6", "(0.94", "to", "16.2)"]
    assert trial_sentences(contents) == (
        "41 patients were randomized to ketamine then midazolam (22) or midazolam then ketamine "
        "(19). The first outcome is IES-R total, with 29 in its crossover and 41 in its first "
        "period analysis."
    )
    weights = average_weights(contents)
    assert list(weights) == ["unhalved", "as_published"]
    assert sum(weights.values()) == pytest.approx(1)


def test_headline_and_comparison_agree(text: str, tables: dict[str, pd.DataFrame]) -> None:
    """A number that stands in two places is the same: headline, full table and CSV files."""
    full = table_of(section(text, "comparison"), "Crossover contrasts")
    rows = {row[0]: row[1:] for row in full if len(row) > 10}
    cells = headline(text)
    csv = tables["comparison-T"].set_index(["contrast", "crossover_reading", "prior"])
    for prior in ("flat", "skeptical", "enthusiastic", "cochrane"):
        means = cells["Difference, points", prior]
        # the average has four columns, the others also the two regions of equivalence
        for column, (reading, at) in enumerate(
            {"averaged": 0, "as_published": 4, "unhalved": 10}.items()
        ):
            mean, interval, better, beyond = rows[prior][at : at + 4]
            assert means[column] == f"{mean} ({interval})"
            assert cells["P(ketamine better)", prior][column] == better
            assert cells["P(better by more than 7.2 points, the MCID)", prior][column] == beyond
            line = csv.loc[("T2.IESR.X", reading, prior)]
            assert better == probability(line["prob_benefit"])
            assert mean == number(line["mean"])
    head = tables["headline"].set_index(["contrast", "crossover_reading", "prior"])
    shared = csv.loc[head.index, ["mean", "prob_benefit", "prob_gt_mcid", "result_id"]]
    pd.testing.assert_frame_equal(shared, head[shared.columns])


def test_ranges_over_priors_are_those_of_the_headline(
    text: str, tables: dict[str, pd.DataFrame]
) -> None:
    """How far the priors move each probability: least and largest of its row in the CSV file."""
    head = tables["headline"]
    whole = visible(section(text, "summary"))
    for reading, name in (("as_published", "Crossover, as published"), ("unhalved", "unhalved")):
        rows = head[(head["contrast"] == "T2.IESR.X") & (head["crossover_reading"] == reading)]
        better, beyond = (
            f"{probability(rows[key].min())} to {probability(rows[key].max())}"
            for key in ("prob_benefit", "prob_gt_mcid")
        )
        assert f"{name}: P(better) {better}, P(better by more than the MCID) {beyond}" in whole


def test_curves_agree_with_the_headline(tables: dict[str, pd.DataFrame]) -> None:
    """P(difference > 0) of every curve is P(better) of the headline."""
    curves = tables["benefit-curves"].query("margin == 0")
    keys = ["contrast", "crossover_reading", "prior"]
    both = curves.merge(tables["headline"], on=keys)
    assert len(both) == 12
    np.testing.assert_allclose(both["probability"], both["prob_benefit"], atol=1e-9)


def test_every_crossover_claim_in_score_units_stands_twice(
    text: str, tables: dict[str, pd.DataFrame]
) -> None:
    """Headline, comparison, Bayes factors and critical priors have both readings."""
    assert "Crossover, unhalved" in visible(section(text, "summary"))
    heads = table_of(section(text, "comparison"), "Crossover contrasts")[0]
    assert heads[1:4] == ["averaged over readings", "as published", "unhalved"]
    factors = table_of(section(text, "credibility"), "Bayes factor")
    assert factors[0][1:3] == ["as published", "unhalved"]
    assert "the same, unhalved" in visible(section(text, "credibility"))
    for name in ("comparison-T", "comparison-N", "priors", "credibility", "benefit-curves"):
        rows = tables[name].query("contrast == 'T2.IESR.X'")
        readings = set(rows["crossover_reading"])
        assert readings - {"averaged"} == {"as_published", "unhalved"}, name
        assert ("averaged" in readings) == name.startswith("comparison"), name


def test_every_prior_is_on_the_page(tables: dict[str, pd.DataFrame]) -> None:
    """The full report has the whole family under both conventions."""
    for name in ("comparison-T", "comparison-N"):
        assert tables[name]["prior"].nunique() == 6
    assert set(tables["results"]["convention"]) == {"T", "N"}


def test_contradictions_are_on_the_first_screen(text: str) -> None:
    """Precision, avoidance, both open readings are there, each with a link to what it is about."""
    first = section(text, "summary")
    shown = visible(first)
    for words in ("crossover standard error", "IES-R avoidance", "crossover_reading", "registry"):
        assert words in shown, words
    links = re.findall(r'href="#(finding-[^"]+)"', first)
    assert len(links) >= 5
    assert [link for link in links if f'id="{link}"' not in section(text, "audit")] == []


def test_first_screen_has_the_severities_of_the_audit(
    text: str, tables: dict[str, pd.DataFrame]
) -> None:
    """Every check with a contradiction or a caution has its line, and no other check has one."""
    findings = tables["audit-findings"]
    loud = findings[findings["severity"].isin(["contradiction", "caution"])]
    links = re.findall(r'href="#(finding-[^"]+)"', section(text, "summary"))
    assert len(links) == loud["check"].nunique()


def test_no_decision_is_made(text: str) -> None:
    """No word on the page decides for the reader; the search finds such words where they are."""
    assert DECISIONS.search("a significant difference proves that it works")
    assert DECISIONS.findall(visible(text)) == []


def test_evidence_is_named_everywhere(text: str, report: Path) -> None:
    """Head, every table and every CSV file name the kind of evidence."""
    assert "Evidence: published" in visible(text)[:400]
    captions = re.findall(r'<figure class="table"><figcaption>(.*?)</figcaption>', text)
    assert len(captions) > 15
    assert [caption for caption in captions if "published evidence" not in caption] == []
    for path in (report / "tables").glob("*.csv"):
        assert set(pd.read_csv(path)["evidence_kind"]) == {"published"}, path.name


def test_page_stands_alone(text: str) -> None:
    """Nothing is loaded from anywhere, and no script runs."""
    assert (
        re.findall(r'(?:src|href|srcset|data)="(?!#|data:image/|tables/|figures/|priors/)', text)
        == []
    )
    assert not re.search(r"<script|<link|<iframe|@import|url\(", text)


def test_links_lead_somewhere(text: str, report: Path) -> None:
    """Every anchor is on the page once, every file is beside it, every file is linked."""
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(ids)
    linked = set(re.findall(r'href="((?:tables|figures|priors)/[^"]+)"', text))
    written = {path.relative_to(report).as_posix() for path in report.glob("*/*")}
    assert linked <= written
    assert {name for name in written - linked if not name.startswith("tables/audit-")} == set()


def test_images_have_words(text: str) -> None:
    """Every image says what it shows, in more than a name."""
    alts = re.findall(r'<img [^>]*alt="([^"]*)"', text)
    assert len(alts) == text.count("<img ")
    assert [alt for alt in alts if len(alt) < 60] == []


def test_sampled_result_stands_beside_the_exact_one(text: str) -> None:
    """A stored NUTS result is shown with its checks and its distance from the exact mean."""
    part = section(text, "diagnostics")
    rows = table_of(part, "Sampled and exact posteriors")
    engines = {row[0]: row[1:] for row in rows if row[0] in ("NUTS", "exact")}
    assert abs(float(engines["NUTS"][-1])) < 4
    assert float(engines["NUTS"][0]) == pytest.approx(float(engines["exact"][0]), abs=0.3)
    checks = table_of(part, "Convergence checks")
    assert checks[1][1:] == ["1.0010", "900", "1200", "0", "0.90", "yes"]


def test_a_page_without_a_sampled_result_says_so() -> None:
    """Without a store there is no cross-check, and the section says that none was found."""
    contents = Contents(load_published())
    assert sampled_fits(contents) == []
    assert "no sampled result" in diagnostics_section(contents).html


def test_provenance_says_what_was_stored(text: str, tables: dict[str, pd.DataFrame]) -> None:
    """Ids are those of the inputs; what the store held and what was computed is told apart."""
    results = tables["results"]
    row, spec = next(analyses(part_of(load_published(), KEPT), contrasts=["T2.IESR.X"]))
    known = make_result_id(row, spec, settings=EXACT_SETTINGS, seed=DEFAULT_SEED)
    line = results.set_index("result_id").loc[known]
    assert (line["prior"], line["spec_id"], line["evidence_digest"]) == (
        "flat", spec.spec_id, row.digest,
    )  # fmt: skip
    stored = results["contrast"].isin(KEPT[:2]) & (results["convention"] == "T")
    assert (results["stored"] == stored).all()
    assert f"{len(results)} exact posteriors, {stored.sum()} of them" in visible(text)
    assert "posteriors 12.3" in visible(text)


def test_priors_have_their_worth(tables: dict[str, pd.DataFrame]) -> None:
    """Interval, effective sample size and P(> MCID) of each prior; scaled ones by their own row."""
    priors = tables["priors"].set_index(["contrast", "crossover_reading", "prior"])
    skeptical = priors.loc[("T2.IESR.X", "as_published", "skeptical")]
    assert skeptical["high"] == pytest.approx(1.959964 * 7.879, abs=1e-3)
    assert skeptical["ess_patients"] == pytest.approx((28.8 / 7.879) ** 2, rel=1e-3)
    published, unhalved = (
        priors.loc[("T2.IESR.X", reading, "cochrane")] for reading in ("as_published", "unhalved")
    )
    assert unhalved["high"] == pytest.approx(published["high"] / 2)
    assert unhalved["ess_patients"] == pytest.approx(published["ess_patients"] * 4)
    first = priors.loc[("T2.IESR.F", "as_published", "cochrane")]
    assert 0.05 < first["prob_gt_mcid"] < published["prob_gt_mcid"]


def test_undefined_is_said(tmp_path: Path) -> None:
    """An interval with a limit at 0 has no critical prior, and the table gives the reason."""
    folder = other_trial(tmp_path, OTHER_EFFECTS.replace("0.10", "0.00").replace("1.50", "1.60"))
    report = write_report(load_published(folder), ResultStore(tmp_path / "s"), tmp_path / "r",
                          quick=True)  # fmt: skip
    shown = visible(section(report.read_text("utf-8"), "credibility"))
    assert "undefined: a limit of the interval is 0" in shown


def test_counts_of_contrasts_agree(evidence: Evidence) -> None:
    """The limits count printed contrasts, derived rows left out."""
    shown = visible(limits_section(Contents(evidence)).html)
    assert "4 printed treatment contrasts on 2 endpoints" in shown


def test_quick_report_is_the_headline(evidence: Evidence, tmp_path: Path) -> None:
    """A quick report has the four headline priors, convention T, and says so in every table."""
    kept = part_of(evidence, ("T2.IESR.F",))
    page = write_report(kept, ResultStore(tmp_path / "s"), tmp_path / "r", quick=True)
    frame = pd.read_csv(page.parent / "tables" / "comparison-T.csv")
    assert frame["prior"].tolist() == ["flat", "skeptical", "enthusiastic", "cochrane"]
    assert not (page.parent / "tables" / "comparison-N.csv").exists()


def test_page_follows_the_evidence(evidence: Evidence) -> None:
    """Changed numbers of the evidence are changed on the first screen; none is written in code."""
    nodes = {name: node.to_dataset() for name, node in evidence.data.children.items()}
    effects = nodes["effects"].copy(deep=True)
    for key, value in {"estimate": 13.1, "ci_low": 2.9, "ci_high": 23.3}.items():
        effects[key].loc["T2.IESR.X"] = value
    effects["interval_low"].loc["T2.IESR.X"] = 2.9
    effects["interval_high"].loc["T2.IESR.X"] = 23.3
    changed = replace(evidence, data=xr.DataTree.from_dict(nodes | {"effects": effects}))
    shown = visible(first_screen(Contents(changed, priors=("flat",))).html)
    assert "13.1 (2.9 to 23.3)" in shown
    assert "12.7" not in shown


def other_trial(folder: Path, effects: str = OTHER_EFFECTS) -> Path:
    """Write the printed evidence of another trial."""
    place = folder / "evidence"
    place.mkdir()
    (place / "trial.toml").write_text(OTHER_TRIAL, encoding="utf-8")
    (place / "effects.csv").write_text(effects, encoding="utf-8")
    return place


def test_another_trial_has_a_page(tmp_path: Path) -> None:
    """A parallel trial with one row and no other table gets its page, without traces of ours."""
    evidence = load_published(other_trial(tmp_path))
    page = write_report(evidence, ResultStore(tmp_path / "store"), tmp_path / "report")
    shown = visible(page.read_text(encoding="utf-8"))
    assert "60 patients were randomized to valerian or mint." in shown
    assert "0.80 (0.10 to 1.50)" in shown
    assert "P(valerian better)" in shown
    traces = r"ketamine|midazolam|ies-r|(?<!bayes-)ptsd|caps|unhalved|crossover|feder"
    assert re.findall(traces, shown, re.IGNORECASE) == []
    assert not re.search(r"\bnan\b", shown)


def test_parallel_rows_are_headline_rows(tmp_path: Path) -> None:
    """The first endpoint's main analysis is the headline, whatever the design."""
    assert primary_rows(load_published(other_trial(tmp_path))) == [("A", "as_published")]


def test_evidence_without_a_contrast_is_refused(evidence: Evidence) -> None:
    """Coefficients of covariates are no treatment contrasts: the message says what is missing."""
    covariate = part_of(load_published(), ("RG.DEP.IESB",))
    with pytest.raises(EvidenceError, match="no printed treatment contrast"):
        Contents(covariate)


def names_in(folder: Path) -> list[str]:
    """Return everything in a folder, hidden files too."""
    return sorted(path.name for path in folder.iterdir())


def test_a_second_report_replaces_the_first(tmp_path: Path) -> None:
    """Files of an earlier report are gone, files of the user in its folder stay."""
    store, target = ResultStore(tmp_path / "store"), tmp_path / "report"
    evidence = load_published(other_trial(tmp_path))
    write_report(evidence, store, target)
    (target / "notes.txt").write_text("mine")
    write_report(evidence, store, target, quick=True)
    assert names_in(target) == [
        "figures",
        "files.json",
        "index.html",
        "notes.txt",
        "priors",
        "tables",
    ]
    assert not (target / "tables" / "comparison-N.csv").exists()
    assert names_in(tmp_path) == ["evidence", "report"]


def test_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    """Nothing on the page depends on when or where it is written."""
    store = ResultStore(tmp_path / "store")
    evidence = load_published(other_trial(tmp_path))
    pages = [write_report(evidence, store, tmp_path / name, quick=True) for name in ("a", "b")]
    one, two = (sorted(p for p in page.parent.rglob("*") if p.is_file()) for page in pages)
    assert [p.read_bytes() for p in one] == [p.read_bytes() for p in two]


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the disk be full when the page itself is written."""

    def full(*_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(page_module, "page_html", full)
    return


@pytest.mark.usefixtures("broken")
def test_a_failed_report_leaves_nothing(tmp_path: Path) -> None:
    """Where the page cannot be written there is one message and no part of a report."""
    evidence = load_published(other_trial(tmp_path))
    target = tmp_path / "out" / "report"
    with pytest.raises(StoreError, match=r"report.*No space left on device"):
        write_report(evidence, ResultStore(tmp_path / "store"), target, quick=True)
    assert names_in(tmp_path / "out") == []


def test_a_failed_report_leaves_the_earlier_one(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Where a second report fails, every byte of the first stays."""
    evidence, store = load_published(other_trial(tmp_path)), ResultStore(tmp_path / "store")
    target = write_report(evidence, store, tmp_path / "report", quick=True).parent
    before = {path: path.read_bytes() for path in target.rglob("*") if path.is_file()}
    request.getfixturevalue("broken")
    with pytest.raises(StoreError):
        write_report(evidence, store, target)
    assert {path: path.read_bytes() for path in target.rglob("*") if path.is_file()} == before
    assert names_in(tmp_path) == ["evidence", "report"]


@pytest.mark.parametrize("kind", ["foreign files", "a foreign page", "a file"])
def test_foreign_folders_are_refused(tmp_path: Path, kind: str) -> None:
    """A folder that holds something else, or a file, is left alone with one message."""
    target = tmp_path / "mine"
    if kind == "a file":
        target.write_text("mine")
    else:
        target.mkdir()
        (target / ("index.html" if "page" in kind else "thesis.tex")).write_text("mine")
    with pytest.raises(StoreError, match="name a"):
        write_report(load_published(), ResultStore(tmp_path / "store"), target)
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.read_text() for path in kept] == ["mine"]


@given(st.floats(0, 1))
def test_probabilities_are_never_certain(value: float) -> None:
    """No probability is shown as 0 or 1, and what is shown is within rounding."""
    shown = probability(value)
    assert shown not in (".000", "1.000")
    assert float(shown.lstrip("<> ")) == pytest.approx(value, abs=0.0011)


@given(st.floats(-1e4, 1e4), st.integers(0, 4))
def test_numbers_are_within_rounding(value: float, digits: int) -> None:
    """A shown number is its value to the shown digits, and zero has no sign."""
    shown = number(value, digits).replace("\N{MINUS SIGN}", "-")
    assert float(shown) == pytest.approx(value, abs=0.5 * 10**-digits + 1e-9)
    assert not re.fullmatch(r"-0\.?0*", shown)


def test_printed_digits_are_kept() -> None:
    """0.94 and .050 are shown with the digits they were printed with, a missing one as a dash."""
    assert printed_number(0.94, 2) == "0.94"
    assert printed_number(0.05, 3, bare=True) == ".050"
    assert printed_number(float("nan"), -1) == "\N{EN DASH}"
    assert interval_text(float("nan"), 1.0) == "\N{EN DASH}"


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (paragraph("P < .05", kind="note"), '<p class="note">P &lt; .05</p>'),
        (bullets(["<b>one</b>"]), "<ul><li><b>one</b></li></ul>"),
        (
            details("A & B", "<p>x</p>").html,
            "<details><summary>A &amp; B</summary><p>x</p></details>",
        ),
        (
            gallery([Figure("x", "<svg></svg>", "1 < 2")]).html,
            '<div class="gallery"><figure><img src="data:image/svg+xml;base64,PHN2Zz48L3N2Zz4="'
            ' alt="1 &lt; 2"><figcaption><a href="figures/x.svg">SVG</a></figcaption></figure>'
            "</div>",
        ),
        (gallery([]).html, ""),
    ],
    ids=["paragraph", "bullets", "details", "gallery", "no figure"],
)
def test_text_is_escaped_once(made: str, expected: str) -> None:
    """Plain text is escaped and markup is not; an image is inside the page and a file beside it."""
    assert made == expected


def test_a_table_names_its_evidence_and_file() -> None:
    """The caption has kind and convention, the link the CSV file, and cells are escaped."""
    frame = pd.DataFrame({"prior": ["flat"], "p": [1e-5], "evidence_kind": ["published"]})
    made = Table(
        "one", frame, lambda line: {"prior": line["prior"], "P": probability(line["p"])},
        caption="One row", convention="T",
    ).html  # fmt: skip
    assert "One row" in made
    assert "published evidence, convention T" in made
    assert 'href="tables/one.csv"' in made
    assert "&lt; .001" in made


def test_a_section_finds_its_files_among_its_parts() -> None:
    """Files of folded tables and drawings count; a table without lines leaves no trace."""
    frame = pd.DataFrame({"x": [0.5], "evidence_kind": ["published"]})
    hidden, linked = Table("hidden", frame), Table("linked", frame, link="All as CSV")
    nothing = Table("nothing", pd.DataFrame(), lambda line: line, caption="Nothing")
    drawing = Figure("drawn", "<svg></svg>", "a line")
    made = Section("a", "A", ["", hidden, details("more", linked, gallery([drawing])), nothing])
    assert list(made.tables) == ["hidden", "linked"]
    assert made.tables["linked"].equals(frame)
    assert made.figures == {"drawn": "<svg></svg>"}
    assert re.findall(r'href="([^"]+)"', made.html) == ["tables/linked.csv", "figures/drawn.svg"]


def test_tables_of_checks_are_for_reading() -> None:
    """Rounding left over from a sum is 0, ids are named; a long or unshown table is only a file."""
    flow = xr.Dataset({"residual": ("balance", [3e-14, 2.5])}, {"balance": ["total_n", "b"]})
    frame = view_frame(flow, View("Flow"), labels={"b": "left early"})
    assert frame is not None
    assert frame.to_dict("list") == {
        "balance": ["total n", "left early"],
        "residual": ["0", "2.50"],
    }
    assert view_frame(flow, View("Flow", shown=False)) is None
    long = xr.Dataset({"residual": ("balance", np.ones(61))}, {"balance": np.arange(61)})
    assert view_frame(long, View("Flow")) is None


def test_only_numbers_get_a_minus_sign() -> None:
    """Hyphens in words and ranges of visits stay hyphens."""
    assert typeset("ci_low -0.2") == "lower limit \N{MINUS SIGN}0.2"
    assert typeset("CGI-S, 24h-7d, -0.2") == "CGI-S, 24h-7d, \N{MINUS SIGN}0.2"
