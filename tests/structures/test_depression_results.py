"""The comparison adjusted for a mediator in results: pooled, drawn, on the page, in documents."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from bayes_ptsd.cli import app
from bayes_ptsd.errors import BayesPtsdError, EvidenceError, StatisticalWarning
from bayes_ptsd.evidence.outcome import select_outcomes
from bayes_ptsd.evidence.patient_writers import write_patients
from bayes_ptsd.evidence.published import load_published
from bayes_ptsd.models_files import load_model
from bayes_ptsd.plots.mediation import error_correlation_figure
from bayes_ptsd.reconstructed.mediation import pool_depression
from bayes_ptsd.reconstruction.release import load_release
from bayes_ptsd.report.contents import Contents
from bayes_ptsd.report.depression import depression_section
from bayes_ptsd.structures.depression.effects import mediation_document, mediation_summary
from bayes_ptsd.structures.depression.exact import exact_depression
from bayes_ptsd.structures.depression.example import example_mediation
from bayes_ptsd.structures.depression.model import depression_model, draw_priors

SPEC = load_model("depression-adjusted")
NATURAL = {"natural_direct_effect", "natural_indirect_effect", "treatment_difference"}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Leave failed checks to the tests that are about them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StatisticalWarning)
        yield


def test_figure_draws_the_means_over_the_correlation() -> None:
    """Direct, indirect and total effect are the curves; the axis says what is positive."""
    model = depression_model(example_mediation(), SPEC)
    summary = mediation_summary([draw_priors(model, 50, seed=1)], [model])
    texts = {"label": "IES-R", "mediator": "MADRS", "unit": "points", "active": "ketamine"}
    axes = error_correlation_figure(summary, kind="simulated", **texts).axes[0]
    curves = [line for line in axes.lines if len(line.get_xdata()) == summary.sizes["rho"]]
    found = np.array([line.get_ydata() for line in curves])
    effects = summary["mean"].transpose("effect", "rho").values
    assert sorted(found.tolist()) == sorted(effects.tolist())
    assert axes.get_ylabel() == "points, positive = ketamine better"
    assert axes.get_xlabel() == "correlation of the errors of MADRS and IES-R"


def test_reconstructions_are_pooled() -> None:
    """The pooled posterior is the mixture of the separate ones, and says it is reconstructed."""
    patients = load_release(m=3)
    tree = pool_depression(patients, SPEC, endpoint="ies_r")
    pairs = [select_outcomes(one, ["ies_r", "madrs"], visit="24h") for one in patients]
    alone = [exact_depression(depression_model(one, SPEC), seed=1)["exact"] for one in pairs]
    for name in ("treatment_difference", "natural_indirect_effect", "controlled_direct_effect"):
        own = [float(one["mean"].sel(estimand=name)) for one in alone]
        pooled = tree["pooled"].sel(estimand=name)
        assert pooled["reconstruction_mean"].values == pytest.approx(own, abs=1e-5)
        assert float(pooled["mean"]) == pytest.approx(np.mean(own), abs=1e-5)
    mediation = tree["mediation"].to_dataset()
    zero = mediation["mean"].sel(rho=0.0, effect="treatment_difference")
    assert float(zero) == pytest.approx(
        float(tree["pooled"]["mean"].sel(estimand="treatment_difference")), abs=0.3
    )
    assert tree.attrs["evidence_kind"] == "reconstructed"
    assert "(theta) has prior SD / SD of predictor x N(0.5, 0.5²)" in tree.attrs["rests_on"]
    # the total does not depend on correlated errors, direct and indirect effects do
    spread = mediation["mean"].max("rho") - mediation["mean"].min("rho")
    assert float(spread.sel(effect="treatment_difference")) < 1e-9 < 1 < float(spread[1])
    with pytest.raises(EvidenceError, match="pooling needs two or more"):
        pool_depression(patients[:1], SPEC, endpoint="ies_r")


def test_page_tells_the_mediation_of_reconstructed_patients() -> None:
    """The section has the numbers of the docs and their provenance; other evidence has none."""
    printed = load_published()
    section = depression_section(Contents(printed, priors=("flat",), conventions=("T",)))
    assert section is not None
    frame = section.tables["depression"].set_index("estimand")
    assert len(frame) == 5  # one prior on the quick page
    assert set(frame["evidence_kind"]) == {"reconstructed"}
    assert set(frame["spec_id"]) == {SPEC.spec_id}
    pooled = pool_depression(load_release(m=5), SPEC, endpoint="ies_r")["pooled"]
    low = float(pooled["low"].sel(estimand="natural_direct_effect"))
    assert float(frame.loc["natural_direct_effect", "low"]) == pytest.approx(low)
    assert "reconstructed evidence" in section.html
    assert "rest on more than the data" in section.html
    assert "6.5 (P = .0496)" in section.html
    effects = printed.data["effects"].to_dataset()
    effects["estimate"] = effects["estimate"] + xr.where(effects["contrast"] == "T2.IESR.F", 1.0, 0)
    nodes = {name: node.to_dataset() for name, node in printed.data.children.items()}
    other = replace(printed, data=xr.DataTree.from_dict(nodes | {"effects": effects}))
    assert depression_section(Contents(other, priors=("flat",), conventions=("T",))) is None


def test_numbers_of_the_docs_are_those_of_the_release(checkout: Path) -> None:
    """The table of docs/methods/depression.md, from the 20 reconstructions that ship."""
    text = (checkout / "docs" / "methods" / "depression.md").read_text()
    pooled = pool_depression(load_release(m=20), SPEC, endpoint="ies_r")["pooled"].to_dataset()
    names = {
        "total": "treatment_difference", "natural direct": "natural_direct_effect",
        "natural indirect": "natural_indirect_effect",
        "controlled direct": "controlled_direct_effect",
        "difference in MADRS": "mediator_difference",
    }  # fmt: skip
    for label, name in names.items():
        one = pooled.sel(estimand=name)
        low, high, p = (float(one[key]) for key in ("low", "high", "prob_benefit"))
        line = f"| {label} | {float(one['mean']):.1f} ({low:.1f} to {high:.1f}) | "
        line += f"{p:.3f} | ".removeprefix("0")
        line += f"{float(one['within_sd']):.1f} | {float(one['between_sd']):.2f} |"
        assert line in text, line


def test_command_line_takes_both_endpoints(tmp_path: Path) -> None:
    """`fit depression-adjusted` on a file with two endpoints: effects, mirror, no rows stored."""
    data = write_patients(example_mediation(), tmp_path / "patients.csv")
    trial = tmp_path / "trial.toml"
    trial.write_text(
        'schema = 1\nname = "example"\ndesign = "parallel"\n[treatments]\nactive = "ketamine"\n'
        'control = "midazolam"\n'
        + "".join(
            f'[endpoints.{name}]\nlabel = "{name}"\nkind = "continuous"\nbetter = "lower"\n'
            f"reference_sd = {sd}\n"
            for name, sd in (("ies_r", 14.4), ("madrs", 8.3))
        )
    )
    files = ["--trial", str(trial), "--data", str(data), "--store", str(tmp_path / "store")]
    done = CliRunner().invoke(app, ["fit", "depression-adjusted", *files, "--json", "--quiet"])
    assert done.exit_code == 0, (done.output, done.exception)
    document = json.loads(done.stdout)
    assert document["endpoint"] == "ies_r"
    estimands = document["estimands"]
    assert set(estimands) >= NATURAL
    assert estimands["natural_indirect_effect"]["prob_benefit"] > 0.9
    assert estimands["mediator_difference"]["null"] == 0.0
    mirror = document["frequentist"]["analyses"]["least squares"]["estimands"]
    assert mirror["controlled_direct_effect"]["df"] == 54.0
    assert document["mediation"]["share"]["median"] == pytest.approx(0.53, abs=0.05)
    assert len(document["mediation"]["by_error_correlation"]) == 11
    page = CliRunner().invoke(app, ["report", "--store", str(tmp_path / "store"), "--json"])
    assert page.exit_code == 0, (page.output, page.exception)
    text = (tmp_path / "store" / "report" / "index.html").read_text("utf-8")
    assert "unmeasured causes of both scales" in text
    again = CliRunner().invoke(
        app, ["fit", "depression-adjusted", *files, "--endpoint", "madrs", "--json"]
    )
    assert isinstance(again.exception, BayesPtsdError)
    assert "is the mediator" in str(again.exception)


def test_a_share_that_is_not_there_is_null() -> None:
    """Prior draws do not tell the sign of the total, so that JSON has no share of it."""
    model = depression_model(example_mediation(), SPEC)
    document = mediation_document(mediation_summary([draw_priors(model, 50, seed=1)], [model]))
    assert document["share"] is None
    assert document["prob_total"] < 0.99
