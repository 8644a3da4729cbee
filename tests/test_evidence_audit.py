"""The audit: the figures it must find, and that it finds what has been altered."""

from __future__ import annotations

import json
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.power import TTestIndPower

import bayes_ptsd.evidence
from bayes_ptsd.audit import (
    SEVERITIES,
    Finding,
    audit_document,
    audit_evidence,
    audit_findings,
    audit_frame,
)
from bayes_ptsd.audit.adverse import counts_printing
from bayes_ptsd.audit.claims import paper_alpha, t_test_power
from bayes_ptsd.audit.finding import printed_rows, sections_of
from bayes_ptsd.audit.precision import implied_correlation, needed_sd
from bayes_ptsd.audit.relations import mean_correlation
from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.published import load_published

SHIPPED = Path(bayes_ptsd.evidence.__file__).parent / "feder2014"
DECISION_WORDS = re.compile(r"signific|\bworks\b|effective|\bproves?\b|author|\berrors?\b", re.I)


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    """Return the shipped evidence."""
    return load_published()


@pytest.fixture(scope="module")
def tree(evidence: Evidence) -> xr.DataTree:
    """Return its audit."""
    return audit_evidence(evidence)


@pytest.fixture(scope="module")
def findings(tree: xr.DataTree) -> dict[str, Finding]:
    """Return its findings by id."""
    return {finding.id: finding for finding in audit_findings(tree)}


def altered(evidence: Evidence, node: str, variable: str, value: float, **where: str) -> Evidence:
    """Return a copy of the evidence with one number changed."""
    tree = evidence.data.copy(deep=True)
    table = tree[node].to_dataset().copy(deep=True)
    table[variable].loc[where] = value
    tree[node] = xr.DataTree(table)
    return Evidence(evidence.kind, evidence.trial, tree)


def flagged(evidence: Evidence, *, flow_reading: str = "paper") -> dict[str, Finding]:
    """Return findings that are contradictions or cautions."""
    found = audit_findings(audit_evidence(evidence, flow_reading=flow_reading))
    return {f.id: f for f in found if f.severity in ("contradiction", "caution")}


# subscales, precision, degrees of freedom


def test_subscale_sums_and_correlations(tree: xr.DataTree) -> None:
    """12.7 and 8.5 against 8.6; mean correlation .54, .51 corrected and .46 as printed."""
    table = tree["subscales"].to_dataset()
    got = table["correlation"].round(2).to_series().to_dict()
    assert got == {
        "ies_r.crossover.as_printed": 0.54,
        "ies_r.first_period.as_printed": 0.46,
        "ies_r.first_period.corrected": 0.51,
    }
    assert np.allclose(table["sum"], [12.7, 8.5, 8.5])
    assert table["adds_up"].values.all()


def test_mean_correlation_is_that_of_simulated_parts() -> None:
    """Parts with a common correlation give it back."""
    errors = np.array([2.0, 3.0, 1.5])
    covariance = np.outer(errors, errors) * (0.4 + 0.6 * np.eye(3))
    assert mean_correlation(math.sqrt(covariance.sum()), errors) == pytest.approx(0.4)


def test_precision_ratios(tree: xr.DataTree, findings: dict[str, Finding]) -> None:
    """The crossover standard error is larger in all eight outcomes, 2.51 times for MADRS."""
    table = tree["precision"].to_dataset()
    ratio = table["ratio"].to_series()
    assert len(ratio) == 8
    others = ratio.drop("madrs")
    assert (others.min(), others.max()) == pytest.approx((1.25, 1.53), abs=0.005)
    assert ratio["madrs"] == pytest.approx(2.51, abs=0.005)
    assert findings["precision.overall"].severity == "contradiction"
    assert table["first_period"].sel(endpoint="ies_r_avoidance").item() == "T2.AVOI.F*"


def test_implied_standard_deviations(tree: xr.DataTree) -> None:
    """IES-R: differences 26.5, within patients 18.7, residual 12.0; variance ratio 2.42, P .006.

    QIDS-SR by hand, 22 and 15 patients and 34 degrees of freedom in the first period:
    2 (4.1 / 2.0518) / .37339 / sqrt 2 = 7.568 within, (2.65 / 2.0322) / .33485 = 3.894 residual.
    """
    table = tree["precision"].to_dataset()
    row = table.sel(endpoint="ies_r")
    assert float(row["sd_difference"]) == pytest.approx(26.5, abs=0.05)
    assert float(row["sd_within"]) == pytest.approx(18.7, abs=0.05)
    assert float(row["sd_residual"]) == pytest.approx(12.03, abs=0.005)
    assert float(row["f_p"]) == pytest.approx(0.006, abs=5e-4)
    ratio = table["variance_ratio"].to_series()
    expected = {"ies_r": 2.42, "cgi_s": 3.09, "qids_sr": 3.777, "madrs": 8.88}
    assert {name: ratio[name] for name in expected} == pytest.approx(expected, abs=0.011)


def test_implied_correlations(tree: xr.DataTree) -> None:
    """At 1.2 x residual with the P digits: -.68 IES-R, -1.25 CGI-S, -1.61 QIDS, -5.1 MADRS."""
    at = tree["precision"].to_dataset()["correlation"].sel(se_basis="with_p", sd_factor=1.2)
    published = at.sel(crossover_reading="as_published").to_series()
    unhalved = at.sel(crossover_reading="unhalved").to_series()
    expected = {"ies_r": -0.68, "cgi_s": -1.25, "qids_sr": -1.61, "madrs": -5.13}
    assert {name: published[name] for name in expected} == pytest.approx(expected, abs=0.006)
    expected = {"ies_r": 0.58, "cgi_s": 0.44, "qids_sr": 0.35, "madrs": -0.53}
    assert {name: unhalved[name] for name in expected} == pytest.approx(expected, abs=0.006)


def test_implied_correlation_of_an_outcome_without_a_baseline(tree: xr.DataTree) -> None:
    """CGI-I, with the residual SD taken as the total SD: -1.72 as published, .32 unhalved."""
    at = tree["precision"].to_dataset()["correlation"]
    at = at.sel(se_basis="with_p", sd_factor=1.0, endpoint="cgi_i")
    assert np.allclose(
        at.sel(crossover_reading=["as_published", "unhalved"]), [-1.72, 0.32], atol=0.006
    )


def test_second_period_that_madrs_needs(tree: xr.DataTree) -> None:
    """Differences of 29.2 need a second-period SD of 28; 31.05 is the largest possible."""
    row = tree["precision"].to_dataset().sel(endpoint="madrs")
    assert float(row["sd_difference"]) == pytest.approx(29.24, abs=0.005)
    assert needed_sd(29.24, 8.0, correlation=0.0) == pytest.approx(28, abs=0.15)
    assert needed_sd(29.24, 8.0, correlation=0.3) == pytest.approx(31, abs=0.4)
    assert float(row["largest_sd"]) == pytest.approx(31.05, abs=0.005)
    assert stats.chi2.sf(27 * 29.24**2 / (2 * 8**2), 27) < 1e-20
    assert float(row["chance_of_sd"]) < 1e-18


def test_needed_sd_gives_back_its_difference() -> None:
    """SDs 8 and the needed one, correlated .3, have the SD of differences asked for."""
    second = needed_sd(29.24, 8.0, correlation=0.3)
    assert math.sqrt(64 + second**2 - 2 * 0.3 * 8 * second) == pytest.approx(29.24)
    assert math.isnan(needed_sd(1.0, 8.0, correlation=0.0))


@pytest.mark.parametrize("correlation", [-1.0, -0.3, 0.0, 0.8])
def test_implied_correlation_gives_back_that_of_a_covariance(correlation: float) -> None:
    """The difference of two scores of SD 3 has the variance 2 x 9 (1 - correlation)."""
    spread = math.sqrt(18 * (1 - correlation))
    assert implied_correlation(spread, 3.0) == pytest.approx(correlation)


def test_point_estimates_under_both_scales(findings: dict[str, Finding]) -> None:
    """Half the crossover estimate is lower in all eight, the whole higher in seven."""
    figures = findings["precision.estimates"].figures
    assert (figures["half_below"], figures["above"], figures["outcomes"]) == (8, 7, 8)
    assert (figures["completed_after_ketamine"], figures["completed_after_midazolam"]) == (6, 0)


def test_joint_degrees_of_freedom(findings: dict[str, Finding]) -> None:
    """Nine crossover rows imply 21 to 37 degrees of freedom, most easily 27.

    The upper end is that of CGI-I alone, and the finding says so and that no use is made of it.
    """
    figures = findings["freedom.crossover"].figures
    assert figures["upper_end_from"] == "T2.CGII.X"
    said = findings["freedom.crossover"].statement
    assert "alone; the other rows allow 60 or more. The profile is shown and not used" in said
    assert figures["rows"] == 9
    assert figures["peak"] == 27
    assert (figures["possible_low"], figures["possible_high"]) == (21, 37)
    assert (figures["low"], figures["high"]) == (23, 34)


# flow and adverse events


def test_flow_closes_under_both_readings(evidence: Evidence, tree: xr.DataTree) -> None:
    """Every sum of the flow chart is zero: 14 as the paper has it, 12 as the registry has it."""
    paper = tree["flow"].to_dataset()
    registry = audit_evidence(evidence, flow_reading="registry")["flow"].to_dataset()
    assert (paper.sizes["balance"], registry.sizes["balance"]) == (14, 12)
    for table in (paper, registry):
        assert not table["residual"].values.any()


def test_exposures_under_both_readings(
    evidence: Evidence, tree: xr.DataTree, findings: dict[str, Finding]
) -> None:
    """40 and 32 people cover the denominators 39 and 31; 37 under the registry do not."""
    assert tree["exposure"].to_dataset()["people"].values.tolist() == [40, 32]
    assert findings["exposure.ketamine"].severity == "consistent"
    registry = flagged(evidence, flow_reading="registry")
    assert registry["exposure.ketamine"].severity == "contradiction"
    assert registry["exposure.ketamine"].figures["exposed"] == 37


def test_design_constant_is_the_same_under_both_readings(findings: dict[str, Finding]) -> None:
    """sqrt(1/13 + 1/16) = .37339 whichever sequence has the 13."""
    figures = findings["exposure.readings"].figures
    assert figures["paper_h"] == pytest.approx(0.37339, abs=5e-6)
    assert figures["registry_h"] == pytest.approx(0.37339, abs=5e-6)


def test_share_stopped_by_protocol(findings: dict[str, Finding]) -> None:
    """6 of 10 had no second infusion, 6 of 12 are outside the crossover; the text says half."""
    figures = findings["exposure.protocol"].figures
    assert (figures["stopped"], figures["without_second"], figures["outside_crossover"]) == (
        6,
        10,
        12,
    )
    assert findings["exposure.protocol"].severity == "caution"


def test_adverse_event_denominators_and_counts(tree: xr.DataTree) -> None:
    """Among 10 to 41 only 39 and 31 fit, and every count is unique."""
    table = tree["adverse_events"].to_dataset()
    full = table["fits"] == table["printed"]
    assert table["denominator"].values[full.sel(treatment="ketamine").values].tolist() == [39]
    assert table["denominator"].values[full.sel(treatment="midazolam").values].tolist() == [31]
    assert [table["denominator"].values[end] for end in (0, -1)] == [10, 41]
    counts = table["count"].isel(event=slice(0, 8)).values.astype(int)
    assert counts[0].tolist() == [14, 8, 9, 8, 8, 6, 5, 27]
    assert counts[1].tolist() == [6, 5, 3, 7, 1, 1, 4, 13]


@given(n=st.integers(10, 200), share=st.floats(0, 1), decimals=st.integers(0, 2))
def test_counts_are_found_from_their_percentage(n: int, share: float, decimals: int) -> None:
    """The count behind a rounded percentage is among those that print as it."""
    count = round(share * n)
    assert count in counts_printing(round(100 * count / n, decimals), decimals, n)


# baseline, planning, words


def test_trauma_categories(findings: dict[str, Finding]) -> None:
    """15 of 19 midazolam-first patients have a category, 22 of 22 of the others."""
    midazolam = findings["baseline.sum.Primary trauma.midazolam"]
    assert midazolam.severity == "contradiction"
    assert (midazolam.figures["sum"], midazolam.figures["n"]) == (15, 19)
    assert findings["baseline.sum.Primary trauma.ketamine"].severity == "consistent"
    assert findings["baseline.percent"].figures["checked"] == 36


def test_imbalance(tree: xr.DataTree) -> None:
    """Fisher P .0017 for sexual assault, .051 for Hispanic; CAPS differs by .41 SD."""
    table = tree["baseline"].to_dataset()
    p = table["fisher_p"].to_series()
    assert p["B.TR.SEX"] == pytest.approx(0.0017, abs=5e-5)
    assert p["B.HISP"] == pytest.approx(0.051, abs=5e-4)
    assert float(table["smd"].sel(characteristic="B.CAPS")) == pytest.approx(0.41, abs=0.006)
    female = stats.fisher_exact([[13, 6], [9, 13]]).pvalue
    assert p["B.FEM"] == pytest.approx(female)


def test_missing_baselines(findings: dict[str, Finding]) -> None:
    """QIDS-SR has 37 baselines for a row of 41; seven outcomes print no baseline."""
    figures = findings["baseline.missing.T2.QIDS.F"].figures
    assert (figures["n_baseline"], figures["n_printed"]) == (37, 41)
    assert findings["baseline.absent"].figures["outcomes"] == 7


@pytest.mark.parametrize(
    ("contrast", "half", "df", "stated", "n"),
    [("T2.QIDS.F", 2.65, 34, 38, (37, 41)), ("T2.CGII.F", 0.55, 39, 38, (41, 41))],
)
def test_both_counts_are_printed(
    findings: dict[str, Finding],
    contrast: str,
    half: float,
    df: int,
    stated: int,
    n: tuple[int, int],
) -> None:
    """Where df or n is not the paper's own, both stand there with the standard error of each."""
    found = findings[f"rows.{contrast}"]
    figures = found.figures
    assert (figures["df"], figures["df_stated"]) == (df, stated)
    assert (figures["n"], figures["n_stated"]) == n
    assert figures["se"] == pytest.approx(half / stats.t.ppf(0.975, df))
    assert figures["se_stated"] == pytest.approx(half / stats.t.ppf(0.975, stated))
    assert f"Degrees of freedom {df} " in found.statement
    assert f"own count (n = {n[1]}) {stated}" in found.statement


def test_rows_without_another_count_say_nothing_of_one(findings: dict[str, Finding]) -> None:
    """Five rows have degrees of freedom beside the paper's own count; the P value is that row's."""
    both = {name for name, one in findings.items() if "df_stated" in one.figures}
    assert both == {
        f"rows.{name}"
        for name in ("T2.QIDS.F", "T2.CGII.F", "RG.DEP.TRT", "RG.DEP.MADRS24", "RG.DEP.IESB")
    }
    figures = findings["rows.RG.DEP.TRT"].figures
    assert figures["se"] == pytest.approx(6.5 / stats.t.isf(0.0248, 36))
    assert figures["se_stated"] == pytest.approx(6.5 / stats.t.isf(0.0248, 37))
    assert figures["p_stated"] == pytest.approx(0.0496)


def test_planned_power(findings: dict[str, Finding]) -> None:
    """.792 for 20 against 20, as another package has it; above .999 for a crossover."""
    figures = findings["power.planned"].figures
    other = TTestIndPower().power(effect_size=0.9, nobs1=20, alpha=0.05)
    assert figures["parallel"] == pytest.approx(0.792, abs=5e-4)
    assert figures["parallel"] == pytest.approx(other, abs=1e-6)
    assert float(figures["crossover"] or 0) > 0.999
    assert t_test_power(0.0, df=38, alpha=0.05) == pytest.approx(0.05)


def test_multiplicity(findings: dict[str, Finding]) -> None:
    """21 contrasts on nine outcomes, the derived row and the covariates not among them."""
    figures = findings["multiplicity.count"].figures
    assert (figures["contrasts"], figures["endpoints"], figures["below_alpha"]) == (21, 9, 11)


def test_mediation(tree: xr.DataTree) -> None:
    """8.6 - 6.5 = 2.1 against 0.9 x 2.7 = 2.43; partial correlation .545 on 36 degrees.

    t of .0004 on 36 is 3.903, and 3.903 / sqrt(3.903^2 + 36) = .545.
    """
    row = tree["mediation"].to_dataset().sel(mediator="madrs")
    assert float(row["removed"]) == pytest.approx(2.1)
    assert float(row["indirect"]) == pytest.approx(2.43)
    assert float(row["partial_correlation"]) == pytest.approx(0.5453, abs=0.0001)


def test_words_against_p_values(findings: dict[str, Finding]) -> None:
    """.050 named as found, .052 as near, depression as reduced where P is .51 and .93."""
    cautions = {
        finding.place.split(",")[0]: finding.figures["p_value"]
        for finding in findings.values()
        if finding.check == "claims" and finding.severity == "caution"
    }
    assert cautions == {
        "LG.QIDS.TRT": 0.05, "LG.MADR.TRT": 0.052, "T2.MADR.X": 0.51, "T2.QIDS.X": 0.93
    }  # fmt: skip


def test_caps_prints_the_same_p_under_either_analysis(findings: dict[str, Finding]) -> None:
    """The analysis of the CAPS row is not stated; df 27 and df 38 both print .20."""
    figures = findings["unstated.TX.CAPS.X"].figures
    assert round(float(figures["p_crossover"] or 0), 2) == 0.20
    assert round(float(figures["p_first_period"] or 0), 2) == 0.20


def test_what_the_shipped_evidence_agrees_in(findings: dict[str, Finding]) -> None:
    """Numbers of patients fit the flow and no row stands alone in its direction: one line each."""
    for check in ("sizes", "direction"):
        found = [one for name, one in findings.items() if name.startswith(f"{check}.")]
        assert [one.severity for one in found] == ["consistent"]


def test_a_derived_row_stands_in_for_its_printed_row(evidence: Evidence) -> None:
    """Avoidance is printed once in each selection: as printed, or with the corrected limit."""
    for corrected, name in ((False, "T2.AVOI.F"), (True, "T2.AVOI.F*")):
        rows = printed_rows(evidence, ["first_period"], corrected=corrected)
        names = rows["contrast"].values.tolist()
        assert [one for one in names if "AVOI" in one] == [name]


def test_the_level_is_that_of_the_paper_and_else_a_twentieth(evidence: Evidence) -> None:
    """A printed level is used; evidence without a design is held to .05."""
    assert paper_alpha(altered(evidence, "design", "number", 0.01, item="D.ALPHA")) == 0.01
    rows = xr.DataTree.from_dict({"effects": evidence.data["effects"].to_dataset()})
    assert paper_alpha(Evidence("published", evidence.trial, rows)) == 0.05


def test_a_place_in_the_paper_is_said_once() -> None:
    """Sections are listed in their order without repeats; where none is given, that is said."""
    for sections, said in (
        (["Table 1", "", "Fig 2", "Table 1"], "Table 1; Fig 2"),
        ([""], "no place given"),
    ):
        assert sections_of(xr.Dataset(coords={"section": ("row", sections)})) == said


# what has been altered is found where it has been altered


@pytest.mark.parametrize(
    ("node", "variable", "where", "value"),
    [
        ("effects", "ci_low", {"contrast": "T2.IESR.X"}, 3.5),
        ("effects", "ci_high", {"contrast": "T2.MADR.F"}, 7.7),
        ("effects", "ci_low", {"contrast": "T2.INTR.X"}, 0.3),
        ("effects", "estimate", {"contrast": "T2.HYPE.F"}, 2.9),
        ("effects", "p_value", {"contrast": "T2.QIDS.F"}, 0.52),
        ("effects", "estimate", {"contrast": "LG.IESR.TRT"}, -8.32),
        ("effects", "estimate", {"contrast": "T2.CGIS.X"}, -1.0),
        ("effects", "n", {"contrast": "T2.CGIS.X"}, 28),
        ("effects", "n_active", {"contrast": "T2.CGIS.F"}, 21),
        ("effects", "n_stated", {"contrast": "T2.QIDS.F"}, 40),
        ("effects", "n_control", {"contrast": "T2.QIDS.F"}, 20),
        ("flow", "count", {"step": "F.RS"}, 2),
        ("flow", "count", {"step": "F.SCREEN"}, 58),
        ("flow", "count", {"step": "F.COMP2K"}, 14),
        ("flow", "count", {"step": "F.REM2K"}, 2),
        ("adverse_events", "percent", {"event": "AE.FAT", "treatment": "ketamine"}, 24),
        ("adverse_events", "count", {"event": "AE.DISS", "treatment": "midazolam"}, 12),
        ("adverse_events", "n", {"event": "AE.DISS", "treatment": "ketamine"}, 40),
        ("baseline", "value", {"characteristic": "B.EDU.2", "treatment": "midazolam"}, 13),
        ("baseline", "spread", {"characteristic": "B.UNEMP", "treatment": "ketamine"}, 52.0),
        ("baseline", "n", {"characteristic": "B.AGE", "treatment": "midazolam"}, 20),
        ("design", "number", {"item": "D.EFF"}, 0.6),
    ],
)
def test_an_altered_number_is_flagged_at_its_place(
    evidence: Evidence,
    findings: dict[str, Finding],
    node: str,
    variable: str,
    where: dict[str, str],
    value: float,
) -> None:
    """One limit, P, sign, count or percentage changed: a new finding names the row."""
    after = flagged(altered(evidence, node, variable, value, **where))
    new = [
        finding
        for name, finding in after.items()
        if name not in findings or findings[name].severity != finding.severity
    ]
    row = next(iter(where.values()))
    assert any(row in finding.place for finding in new), [finding.place for finding in new]


def test_an_altered_count_is_traced_to_one_step(evidence: Evidence) -> None:
    """The step that alone would close every sum is named with its change."""
    found = flagged(altered(evidence, "flow", "count", 3, step="F.RS"))
    changes = {key: v for key, v in found["flow.second.KM"].figures.items() if "change" in key}
    assert changes["change_F.RS"] == -2
    assert "change_F.KF" not in changes


def test_an_altered_limit_is_traced_to_its_value(evidence: Evidence) -> None:
    """The number that was there is among the changes that reconcile the row."""
    found = flagged(altered(evidence, "effects", "ci_low", 3.5, contrast="T2.IESR.X"))
    repair = found["rows.T2.IESR.X"].figures
    values = str(repair["repair_ci_low"]).split(", ")
    assert "2.5" in values
    assert "3.5" not in values


def test_a_row_entered_with_the_opposite_sign_is_flagged(tmp_path: Path) -> None:
    """A durability row declared benefit-positive stands alone in its direction."""
    place = shutil.copytree(SHIPPED, tmp_path / "copy")
    path = place / "effects.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    changed = [
        line.replace("active-minus-control", "benefit-positive")
        if line.startswith("LG.MADR")
        else line
        for line in lines
    ]
    path.write_text("\n".join(changed), encoding="utf-8")
    assert "direction.LG.MADR.TRT" in flagged(load_published(place))


# the result as data


def test_findings_keep_to_words_of_description(findings: dict[str, Finding]) -> None:
    """No statement decides, praises or blames."""
    for finding in findings.values():
        assert not DECISION_WORDS.search(re.sub("(?i)standard error", "", finding.statement)), (
            finding.id
        )
        assert finding.statement.endswith(".")
        assert finding.severity in SEVERITIES


def test_a_finding_of_unknown_severity_is_refused() -> None:
    """A severity that no table could order raises."""
    with pytest.raises(EvidenceError, match="severity 'fatal'"):
        Finding("a", "rows", "fatal", "a", "A.")  # type: ignore[arg-type]


def test_frame_has_contradictions_first(tree: xr.DataTree) -> None:
    """A table for people begins with what cannot all hold and ends with what agrees."""
    frame = audit_frame(tree)
    order = pd.Series(frame["severity"]).map(SEVERITIES.index)
    assert order.is_monotonic_increasing
    assert frame["id"].is_unique
    assert (frame["severity"] == "contradiction").sum() == 7


def test_document_is_strict_json(tree: xr.DataTree) -> None:
    """The document survives JSON without NaN and holds every finding and table."""
    document = audit_document(tree)
    again = json.loads(json.dumps(document, allow_nan=False))
    assert again == document
    assert again["evidence_kind"] == "published"
    assert sum(again["counts"].values()) == len(again["findings"])
    assert set(again["tables"]) == set(tree.children) - {"findings"}


def test_audit_of_rows_alone(tmp_path: Path) -> None:
    """A folder with effects only is audited as far as it goes."""
    for name in ("trial.toml", "effects.csv"):
        shutil.copy(SHIPPED / name, tmp_path / name)
    tree = audit_evidence(load_published(tmp_path))
    assert {"rows", "subscales", "freedom", "mediation"} <= set(tree.children)
    assert not {"flow", "precision", "baseline", "power"} & set(tree.children)


def test_other_evidence_and_readings_are_refused(evidence: Evidence) -> None:
    """The audit is of printed numbers under a known reading."""
    other = Evidence("patients", evidence.trial, evidence.data)
    with pytest.raises(EvidenceError, match="not of evidence of kind 'patients'"):
        audit_evidence(other)
    with pytest.raises(EvidenceError, match="flow_reading 'papers'"):
        audit_evidence(evidence, flow_reading="papers")
