"""A crossover of logarithms answers with the ratio of geometric means that textbooks print."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy import stats
from typer.testing import CliRunner

from bayes_ptsd import compare
from bayes_ptsd.cli import app
from bayes_ptsd.comparison import patient_comparison_document
from bayes_ptsd.errors import EvidenceError, SpecError, StatisticalWarning
from bayes_ptsd.estimands import estimate, prob_benefit
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.fit import fit_model, frequentist_document, stored_fit
from bayes_ptsd.fit_view import fit_document
from bayes_ptsd.models_files import load_model
from bayes_ptsd.report.contents import PatientOutcome
from bayes_ptsd.report.patient_estimands import estimand_tables
from bayes_ptsd.report.section import Table
from bayes_ptsd.specification import ModelSpec
from bayes_ptsd.store import ResultStore
from bayes_ptsd.structures.crossover.example import example_patients
from bayes_ptsd.structures.crossover_log import logged, ratio_of_means

SPEC = load_model("crossover-log").having(options={"patients": "completers"}).under("flat")


def example() -> Evidence:
    """Return 24 simulated patients, true ratio .861; lower is better."""
    return SPEC.room.example(SPEC)


def example_log(**more: Any) -> Evidence:
    """Return the example with other options of its simulation."""
    outcomes = example_patients(**more).data["outcomes"].to_dataset()
    outcomes = outcomes.assign({name: np.exp(outcomes[name] / 40) for name in outcomes.data_vars})
    made = example()
    tree = xr.DataTree.from_dict({"outcomes": outcomes.assign_coords(endpoint=["auc"])})
    return replace(made, data=tree)


def changed(evidence: Evidence, **values: Any) -> Evidence:
    """Return patients with other values or coordinates."""
    outcomes = evidence.data["outcomes"].to_dataset().assign(values)
    return replace(evidence, data=xr.DataTree.from_dict({"outcomes": outcomes}))


def fitted(evidence: Evidence, spec: ModelSpec = SPEC) -> xr.DataTree:
    """Return the exact fit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StatisticalWarning)
        return fit_model(evidence, spec, engine="exact")


@pytest.fixture(scope="module")
def fit() -> xr.DataTree:
    """Return the fit of the example's complete pairs under a flat prior."""
    return fitted(example())


def hills_armitage(evidence: Evidence) -> tuple[float, float, int]:
    """Return the log ratio active over control, its standard error and df, written out anew."""
    outcomes = evidence.data["outcomes"].to_dataset().isel(visit=0, endpoint=0)
    log = np.log(outcomes["value"].values)
    first = (outcomes["treatment"].sel(period=1) == "ketamine").values
    whole = np.isfinite(log).all(axis=1)
    step = log[:, 0] - log[:, 1]
    one, two = step[whole & first], step[whole & ~first]
    df = len(one) + len(two) - 2
    pooled = (((one - one.mean()) ** 2).sum() + ((two - two.mean()) ** 2).sum()) / df
    error = np.sqrt(pooled * (1 / len(one) + 1 / len(two))) / 2
    return float((one.mean() - two.mean()) / 2), float(error), df


def test_counterpart_is_hills_armitage_of_logs_transformed_back() -> None:
    """Ratio and 90% interval are exp of the t interval of within-patient differences of logs."""
    log_ratio, error, df = hills_armitage(example())
    found = frequentist_document(example(), SPEC)["ratio"]
    reach = stats.t.ppf(0.95, df) * error
    assert found["estimate"] == pytest.approx(np.exp(log_ratio), rel=1e-9)
    assert found["ci90"] == pytest.approx(np.exp([log_ratio - reach, log_ratio + reach]), rel=1e-9)


def test_posterior_sits_on_the_textbook_ratio(fit: xr.DataTree) -> None:
    """Under flat priors of the locations the median ratio is that of Hills and Armitage.

    Its 90% interval is within a tenth of its length of theirs: the prior of the sds is no
    reference prior.
    """
    log_ratio, error, df = hills_armitage(example())
    ratio = fit_document(fit, example(), SPEC)["ratio"]
    assert ratio["median"] == pytest.approx(np.exp(log_ratio), rel=1e-4)
    reach = stats.t.ppf(0.95, df) * error
    low, high = np.exp([log_ratio - reach, log_ratio + reach])
    assert ratio["eti90"] == pytest.approx([low, high], abs=0.1 * (high - low))


def test_the_ratio_is_an_estimand_of_the_fit(fit: xr.DataTree) -> None:
    """`estimate` has it with the quantiles of the transformed posterior, without a mean."""
    table, document = estimate(fit), fit_document(fit, example(), SPEC)
    one = table.sel(estimand="geometric_mean_ratio")
    assert one["eti95"].values == pytest.approx(document["ratio"]["eti95"], rel=1e-6)
    assert np.isnan(float(one["mean"]))
    logs = table.sel(estimand="treatment_difference")["eti95"].values
    # lower is better, so the benefit is the negative of the log ratio
    assert np.log(one["eti95"].values) == pytest.approx(-logs[::-1], rel=1e-6)


def test_units_do_not_matter(fit: xr.DataTree) -> None:
    """Scores in micrograms instead of milligrams leave the ratio and P(benefit) as they are."""
    outcomes = example().data["outcomes"].to_dataset()
    grams = {name: outcomes[name] * 1000 for name in ("value", "baseline")}
    other = fitted(changed(example(), **grams))
    assert float(other["ratio"]["median"]) == pytest.approx(float(fit["ratio"]["median"]), rel=1e-6)
    assert prob_benefit(other) == pytest.approx(prob_benefit(fit), abs=1e-6)


def test_swapped_treatments_have_the_reciprocal_ratio(fit: xr.DataTree) -> None:
    """The other treatment over this one: medians and ends of intervals are reciprocals."""
    labels = example().data["outcomes"].to_dataset()["treatment"]
    names = {"ketamine": "midazolam", "midazolam": "ketamine"}
    swapped = labels.copy(data=np.vectorize(names.get)(labels.values))
    outcomes = example().data["outcomes"].to_dataset().assign_coords(treatment=swapped)
    order = {
        name: tuple(names[label] for label in treatments)
        for name, treatments in example().trial.sequences.items()
    }
    made = replace(
        example(), trial=replace(example().trial, sequences=order),
        data=xr.DataTree.from_dict({"outcomes": outcomes}),
    )  # fmt: skip
    found, before = fitted(made)["ratio"], fit["ratio"]
    assert float(found["median"]) == pytest.approx(1 / float(before["median"]), rel=1e-6)
    assert found["low"].values == pytest.approx(1 / before["high"].values, rel=1e-6)


@pytest.mark.parametrize("sign", [1, -1])
def test_limits_of_bioequivalence(sign: int) -> None:
    """P(.80 < ratio < 1.25) of N(log 1.1, .1^2) is that of SciPy, from draws and either sign."""
    count = 100_000
    logs = np.log(1.1) + 0.1 * stats.norm.ppf((np.arange(count) + 0.5) / count)
    draws = xr.Dataset({"treatment_difference": (("chain", "draw"), sign * logs[None])})
    found = ratio_of_means({"posterior": draws}, sign)
    law = stats.norm(np.log(1.1), 0.1)
    assert float(found["within"]) == pytest.approx(
        law.cdf(np.log(1.25)) - law.cdf(np.log(0.8)), abs=2e-5
    )
    ends = found.sel(level=0.9)
    assert [float(ends["low"]), float(ends["high"])] == pytest.approx(
        np.exp(law.ppf([0.05, 0.95])), rel=1e-4
    )


def test_what_has_no_logarithm_is_refused() -> None:
    """A zero is named with its number of scores and what to do instead."""
    value = example().data["outcomes"].to_dataset()["value"].copy()
    value[3, 0, 0, 0] = 0.0
    with pytest.raises(EvidenceError, match=r"1 of the values are zero or negative .*'crossover'"):
        logged(changed(example(), value=value))


def test_what_is_in_points_is_not_used() -> None:
    """Range, MCID and reference SD of the trial file say nothing about logarithms."""
    endpoint = replace(
        example().trial.endpoint("auc"), range=(0.0, 10.0), mcid=1.0, reference_sd=3.0
    )
    trial = replace(example().trial, endpoints={"auc": endpoint})
    found = logged(replace(example(), trial=trial)).trial.endpoint("auc")
    assert (found.range, found.mcid, found.reference_sd) == (None, None, None)
    assert found.unit == "log ng h/ml"


def test_comparisons_are_of_logarithms() -> None:
    """`compare` has the difference of the logarithms and the ratio, as the fit of the same model.

    Complete pairs and flat priors leave no gap to the analysis beside it, which is one of logs.
    """
    complete = example_log(missing=0)
    table = compare(complete, models=["crossover-log"], priors=["flat"])
    (line,) = patient_comparison_document(table)["posteriors"]
    assert line["gap"]["model"] == pytest.approx(0, abs=1e-8)
    log_ratio, error, df = hills_armitage(complete)
    assert line["mean"] == pytest.approx(-log_ratio, abs=1e-8)
    reach = stats.t.ppf(0.95, df) * error
    ends = np.exp([log_ratio - reach, log_ratio + reach])
    assert line["mirror"]["ratio"]["ci90"] == pytest.approx(ends, rel=1e-9)
    fit = fitted(complete, load_model("crossover-log").under("flat"))
    ratio = fit_document(fit, complete, SPEC)["ratio"]
    for key in ("median", "eti90", "eti95"):
        assert line["ratio"][key] == pytest.approx(ratio[key], rel=1e-6)
    assert patient_comparison_document(table)["unit"] == "log ng h/ml"
    with pytest.raises(SpecError, match="'crossover' and 'crossover-log' take the scores on two"):
        compare(complete, models=["crossover", "crossover-log"], priors=["flat"])


def test_a_stored_ratio_is_read(tmp_path: Path) -> None:
    """The comparison has the ratio of a stored fit, and not that of other numbers."""
    store, spec = ResultStore(tmp_path), load_model("crossover-log")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StatisticalWarning)
        fit = stored_fit(example(), spec, store, engine="exact")
    table = compare(example(), models=["crossover-log"], priors=["reference"], store=store)
    (line,) = patient_comparison_document(table)["posteriors"]
    stored = bool(fit.attrs["checks_passed"])
    assert (line["result_id"] == fit.attrs["result_id"]) or not stored
    assert line["ratio"] == fit_document(fit, example(), spec)["ratio"]


def test_commands_print_the_ratio_with_its_interval(tmp_path: Path) -> None:
    """From a file with a row per subject to ratio and 90% interval, by `fit` and by `compare`."""
    trial, data = tmp_path / "be.toml", tmp_path / "be.csv"
    trial.write_text(
        'schema = 1\nname = "be"\ntitle = "BE"\ndesign = "crossover"\n[treatments]\nactive = "T"\n'
        'control = "R"\n[sequences]\nTR = ["T", "R"]\nRT = ["R", "T"]\n[endpoints.auc]\n'
        'kind = "continuous"\nbetter = "higher"\n'
    )
    data.write_text(
        "subject,sequence,period1,period2\n1,TR,112.4,100.1\n2,TR,90.2,101.7\n3,TR,71,66.3\n"
        "4,RT,80.5,85.9\n5,RT,130,120.4\n6,RT,100.3,96\n"
    )
    # Hills and Armitage of these logarithms, worked out apart: t with 4 degrees of freedom
    first = np.log([112.4 / 100.1, 90.2 / 101.7, 71 / 66.3])
    second = np.log([80.5 / 85.9, 130 / 120.4, 100.3 / 96])
    middle = (first.mean() - second.mean()) / 2
    pooled = (first.var(ddof=1) + second.var(ddof=1)) / 2
    reach = stats.t.ppf(0.95, 4) * np.sqrt(pooled * 2 / 3) / 2
    wanted = " to ".join(f"{end:.4f}" for end in np.exp([middle - reach, middle + reach]))
    files = ["--trial", str(trial), "--data", str(data), "--store", str(tmp_path / "store")]
    for command in (["fit", "crossover-log", "--prior", "flat"],
                    ["compare", "--model", "crossover-log", "--prior", "flat"]):  # fmt: skip
        text = CliRunner().invoke(app, [*command, *files], env={"COLUMNS": "200"}).stdout
        assert "90% interval" in text
        assert "P(0.8 to 1.25)" in text
        assert f"{np.exp(middle):.4f}" in text
        assert wanted in text


def test_the_page_shows_the_ratio_with_its_interval(fit: xr.DataTree) -> None:
    """The table of ratios has median, 90% interval and the counterpart's, as the document does."""
    outcome = PatientOutcome((fit,), {})
    tables = [part for part in estimand_tables(outcome, "p1") if isinstance(part, Table)]
    (table,) = (part for part in tables if part.name == "p1-ratios")
    row, document = table.frame.iloc[0], fit_document(fit, example(), SPEC)
    assert [row["eti90_low"], row["eti90_high"]] == document["ratio"]["eti90"]
    ends = [row["frequentist_ci90_low"], row["frequentist_ci90_high"]]
    assert ends == pytest.approx(document["frequentist"]["ratio"]["ci90"])
    assert f"{document['ratio']['median']:.4f}" in table.html
    assert row["evidence_kind"] == "simulated"
