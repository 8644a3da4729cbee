"""`bayes-ptsd fit`: one document, published values, exit statuses, nothing of a patient kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import Result
from typer.testing import CliRunner

from bayes_ptsd.cli import app
from bayes_ptsd.errors import BayesPtsdError
from bayes_ptsd.frequentist import hills_armitage, reml_crossover
from bayes_ptsd.gaussian.axes import inverse_sd
from bayes_ptsd.models_files import load_model
from bayes_ptsd.priors import Prior
from bayes_ptsd.store import ResultStore
from bayes_ptsd.structures.crossover.exact import crossover_posterior
from bayes_ptsd.structures.crossover.example import example_patients
from bayes_ptsd.structures.crossover.model import crossover_model

TRIALS = Path(__file__).parent / "trials"
FLAT = ["--prior", "flat"]
REF = [*FLAT, "--set", "sd_subject=flat", "--set", "sd_within=inverse_sd"]
ANALYSES = {
    "lmer REML random subject, Kenward-Roger; y~trt+period": "reml",
    "lmer REML KR; y~trt+period+sequence": "reml_sequence",
    "Hills-Armitage t on complete pairs": "hills_armitage",
    "Grizzle carryover test (subject totals)": "grizzle",
    "first period only, pooled t": "first_period",
}
ESTIMANDS = {
    "treat": "treatment_difference",
    "period": "period_effect",
    "sequence(trt-first)": "sequence_effect",
    "carryover total diff": "carryover",
}
SPREADS = {"sd_subject": "sd_subject", "sd_resid": "sd_within"}
TRIAL = """
schema = 1
name = "example"
design = "crossover"
[treatments]
active = "ketamine"
control = "midazolam"
[endpoints.ies_r]
label = "IES-R total"
kind = "continuous"
better = "lower"
mcid = 7.2
"""


def run(*arguments: str) -> Result:
    """Run the command line inside this process."""
    return CliRunner().invoke(app, list(arguments))


def document(*arguments: str, status: int = 0) -> dict[str, Any]:
    """Return the JSON document of a command that succeeds, or ends with another status."""
    done = run(*arguments, "--json", "--quiet")
    assert done.exit_code == status, (done.output, done.exception)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def message(*arguments: str) -> str:
    """Return the message of a command that is refused."""
    done = run(*arguments)
    assert isinstance(done.exception, BayesPtsdError), (done.exception, done.output)
    assert done.stdout == ""
    return str(done.exception)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a trial file and a patient file of the simulated example."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "trial.toml").write_text(TRIAL)
    outcomes = example_patients().data["outcomes"].to_dataset()
    frame = outcomes["value"].to_dataframe().reset_index().dropna(subset=["value"])
    frame["subject"] = "secret-" + frame["subject"]
    frame[["subject", "sequence", "period", "treatment", "endpoint", "value"]].to_csv(
        folder / "patients.csv", index=False
    )
    return folder


def patients(files: Path, store: Path) -> list[str]:
    """Return the arguments that name the example and a store."""
    return ["--trial", str(files / "trial.toml"), "--data", str(files / "patients.csv"),
            "--store", str(store)]  # fmt: skip


@pytest.mark.shared
@pytest.mark.parametrize("prior", ["ref", "HN"])
@pytest.mark.parametrize("name", ["senn_pef", "patel_fev1", "raynaud_attacks", "mental_fatigue"])
def test_public_crossovers(shared: Path, name: str, prior: str, tmp_path: Path) -> None:
    """Every row of the reference: frequentist to the printed digits, posteriors to 1e-3 sd.

    The reference's mixed model stops its search early: 3e-5 of a figure, as in `test_frequentist`.
    In one cell of `mental_fatigue` accuracy spreads half as much as in the others, which a model
    with one spread does not have: a required check fails there, status 3.
    """
    table = pd.read_csv(shared / "data" / "reference_values.csv", dtype=str, keep_default_na=False)
    table = table[table["dataset"] == name]
    rows = pd.read_csv(shared / "data" / f"{name}.csv")
    outcome = {"senn_pef": "pef", "patel_fev1": "fev1", "raynaud_attacks": "attacks"}
    scale = rows[outcome.get(name, "accuracy")].std()
    half = [f"sd_{part}=half_normal({scale})" for part in ("subject", "within")]
    sets = REF if prior == "ref" else [*FLAT, "--set", half[0], "--set", half[1]]
    found = document(
        "fit", "crossover", "--trial", str(TRIALS / f"{name}.toml"),
        "--data", str(shared / "data" / f"{name}.csv"), *sets,
        "--threshold", "20", "--store", str(tmp_path / "store"),
        status=3 if name == "mental_fatigue" else 0,
    )  # fmt: skip
    failed = [line for line in found["warnings"] if line.startswith("required check failed")]
    assert [line.split()[3] for line in failed] == (
        ["predictive_sd_BA_2"] if name == "mental_fatigue" else []
    )
    lower = name == "raynaud_attacks"
    assert frequentist_rows_met(found["frequentist"]["analyses"], table, lower=lower) == 10
    wanted = table["analysis"].str.contains(rf"prior={prior} .*sequence=0")
    assert bayesian_rows_met(found["estimands"], table[wanted], lower=lower) == int(wanted.sum())
    assert found["n"]["subjects"] == rows["subject"].nunique()


def frequentist_rows_met(analyses: Any, table: pd.DataFrame, *, lower: bool) -> int:
    """Assert every frequentist row of a trial and return how many there were."""
    met = 0
    for _, row in table.iterrows():
        slack = 3e-5 if "lmer" in row["analysis"] else 0.0
        if row["analysis"] in ANALYSES:
            parameter = ESTIMANDS[row["parameter"]]
            line = analyses[ANALYSES[row["analysis"]]]["estimands"][parameter]
            flip = -1 if lower and parameter in ("treatment_difference", "carryover") else 1
            ends = sorted(flip * end for end in line["ci95"])
            ours = {"estimate": flip * line["estimate"], "se_or_sd": line["se"], "df": line["df"],
                    "lo95": ends[0], "hi95": ends[1], "p": line["p_value"]}  # fmt: skip
            spread = 2.5 * line["se"]
        elif row["parameter"] in SPREADS:
            figure = analyses["reml"]["standard_deviations"][SPREADS[row["parameter"]]]
            ours, spread = {"estimate": figure}, figure
        else:
            continue
        met += 1
        for column, figure in ours.items():
            if row[column]:
                printed = float(row[column])
                rounding = 0.5000001 * 10.0 ** -len(row[column].partition(".")[2])
                scale = spread if column in ("estimate", "lo95", "hi95") else abs(printed)
                assert abs(figure - printed) <= rounding + slack * scale, (row.to_dict(), figure)
    return met


def bayesian_rows_met(estimands: Any, table: pd.DataFrame, *, lower: bool) -> int:
    """Assert every Bayesian row of a trial and return how many there were."""
    difference = estimands["treatment_difference"]
    above = difference["prob_benefit"]
    expected = {
        "P(treat>0)": (1 - above if lower else above, 1e-4),
        "P(treat>20)": (difference["prob_gt"]["20"], 1e-4),
        "sigma_s posterior mean": (
            estimands["sd_subject"]["mean"], 1e-3 * estimands["sd_subject"]["sd"],
        ),
        "sigma_e posterior mean": (
            estimands["sd_within"]["mean"], 1e-3 * estimands["sd_within"]["sd"],
        ),
    }  # fmt: skip
    for _, row in table.iterrows():
        if row["parameter"] in expected:
            figure, error = expected[row["parameter"]]
            assert figure == pytest.approx(float(row["estimate"]), abs=error), row.to_dict()
            continue
        error = 1e-3 * float(row["se_or_sd"])
        ends = sorted((-1 if lower else 1) * end for end in difference["eti95"])
        ours = [(-1 if lower else 1) * difference["mean"], difference["sd"], *ends]
        printed = [float(row[key]) for key in ("estimate", "se_or_sd", "lo95", "hi95")]
        assert ours == pytest.approx(printed, abs=error), row.to_dict()
    return len(table)


def test_simulated_crossover_has_the_documented_schema(files: Path, tmp_path: Path) -> None:
    """The document of DESIGN 5, with the posterior and the frequentist analysis of these rows."""
    found = document("fit", "crossover", *patients(files, tmp_path / "store"), *REF,
                     "--threshold", "5", "--threshold", "0")  # fmt: skip
    assert (found["schema"], found["model"], found["endpoint"]) == (1, "crossover", "ies_r")
    assert (found["evidence_kind"], found["prior"], found["engine"]) == (
        "patients", "flat", "exact",
    )  # fmt: skip
    one = found["estimands"]["treatment_difference"]
    assert {"mean", "median", "sd", "eti95", "hdi95", "prob_benefit", "prob_gt_mcid", "rope",
            "mcse_mean", "prob_gt"} <= set(one)  # fmt: skip
    assert one["prob_gt"]["0"] == one["prob_benefit"]
    assert {"treatment_difference", "period_effect"} <= set(found["estimands"])
    assert found["diagnostics"]["passed"] is True
    assert found["diagnostics"]["rhat_max"] is None
    pairs = crossover_model(example_patients(), load_model("crossover")).pairs
    flat = Prior("flat")
    priors = dict.fromkeys(("level", "period_effect", "treatment", "sd_subject"), flat)
    priors |= {"sd_within": inverse_sd}
    exact = crossover_posterior(pairs, priors, benefit_sign=-1)["exact"]
    mean = float(exact["mean"].sel(estimand="treatment_difference"))
    assert one["mean"] == pytest.approx(mean, abs=1e-3)
    reml = reml_crossover(pairs, benefit_sign=-1).sel(estimand="treatment_difference")
    assert found["frequentist"]["estimate"] == pytest.approx(float(reml["estimate"]), abs=1e-6)
    assert found["frequentist"]["df"] == pytest.approx(float(reml["df"]), abs=1e-6)
    assert found["n"] == {"subjects": 24, "observations": 44, "by_sequence": {"KM": 12, "MK": 12}}
    assert "Not a gate" in found["frequentist"]["analyses"]["grizzle"]["note"]
    assert len(found["warnings"]) >= 2


def test_priors_options_and_people(files: Path, tmp_path: Path) -> None:
    """Several priors give several results in one run; options change the model; tables for people.

    The mirror of completers is Hills-Armitage.
    """
    base = ["fit", "crossover", *patients(files, tmp_path / "store")]
    found = document(*base, "--prior", "weak", "--prior", "skeptical",
                     "--option", "patients=completers")  # fmt: skip
    assert [one["prior"] for one in found["fits"]] == ["weak", "skeptical"]
    pairs = crossover_model(example_patients(), load_model("crossover")).pairs
    row = hills_armitage(pairs, benefit_sign=-1).sel(estimand="treatment_difference")
    mirror = found["fits"][0]["frequentist"]
    assert mirror["method"].startswith("Hills-Armitage")
    assert mirror["estimate"] == pytest.approx(float(row["estimate"]), abs=1e-6)
    means = [one["estimands"]["treatment_difference"]["mean"] for one in found["fits"]]
    assert means[1] < means[0] < mirror["estimate"]
    store = ResultStore(tmp_path / "store")
    assert [run["kind"] for run in store.runs()] == ["fit"]
    assert len(store.runs()[0]["results"]) == 2
    people = run(*base, "--prior", "weak")
    assert people.exit_code == 0
    assert "treatment_difference" in people.stdout
    assert "Each period alone" in people.stdout
    assert "period 2, completers" in people.stdout
    assert "no reference_sd" in people.stderr


def test_printed_rows(tmp_path: Path) -> None:
    """The primary row under the skeptical prior, convention T: P(better) .9770, as in METHODS 4."""
    found = document("fit", "published-crossover", "--contrast", "T2.IESR.X",
                     "--prior", "skeptical", "--store", str(tmp_path / "store"))  # fmt: skip
    assert found["estimands"]["treatment_difference"]["prob_benefit"] == pytest.approx(
        0.9770, abs=5e-5
    )
    assert found["frequentist"]["estimate"] == 12.7
    assert found["evidence_kind"] == "published"


def test_typed_priors_of_printed_rows(tmp_path: Path) -> None:
    """A typed prior is that of `--set`, has the normal closed form and says which it is."""
    base = ["fit", "published-first-period", "--contrast", "T2.IESR.F", "--option", "convention=N",
            "--store", str(tmp_path / "store")]  # fmt: skip
    typed = ["--prior", "normal(0, 20)", "--prior", "normal(0, 5)", "--prior", "flat"]
    found = document(*base, *typed)["fits"]
    assert [one.get("prior_formula") for one in found] == ["N(0, 20²)", "N(0, 5²)", None]
    mean, sd = (found[2]["estimands"]["treatment_difference"][key] for key in ("mean", "sd"))
    for one, scale in zip(found, (20.0, 5.0), strict=False):
        shrunk = mean * scale**2 / (scale**2 + sd**2)
        assert one["estimands"]["treatment_difference"]["mean"] == pytest.approx(shrunk, abs=1e-6)
    set_ = document(*base, "--set", "treatment=normal(0, 5)")
    assert set_["result_id"] == found[1]["result_id"]
    people = run(*base, *typed).stdout
    assert "treatment_difference (N(0, 20²), exact)" in people


def test_gamma_priors_of_precisions(files: Path, tmp_path: Path) -> None:
    """The priors of published BUGS analyses are typed and fitted; nothing is drawn from them."""
    gamma = "gamma_precision(0.001, 0.001)"
    typed = ["--set", f"sd_within={gamma}", "--set", f"sd_subject={gamma}", "--prior", "reference"]
    found = document("fit", "crossover", *patients(files, tmp_path / "store"), *typed)
    mirror, one = found["frequentist"], found["estimands"]["treatment_difference"]
    assert one["mean"] == pytest.approx(mirror["estimate"], abs=0.1 * mirror["se"])
    assert one["sd"] == pytest.approx(mirror["se"], rel=0.1)
    assert "prior_scores" not in found


def test_a_store_holds_no_patient(files: Path, tmp_path: Path) -> None:
    """No id and no row in any file of the store unless asked for; then everything is there."""
    document("fit", "crossover", *patients(files, tmp_path / "lean"))
    document("fit", "crossover", *patients(files, tmp_path / "full"), "--keep-data")
    for folder in ("lean", "full"):
        content = b"".join(
            path.read_bytes() for path in (tmp_path / folder).rglob("*") if path.is_file()
        )
        assert b"secret" not in content
    (lean,) = (ResultStore(tmp_path / "lean").load(entry["result_id"])
               for entry in ResultStore(tmp_path / "lean").catalog())  # fmt: skip
    assert "observed_data" not in lean.children
    assert "log_likelihood" not in lean.children or not lean["log_likelihood"].data_vars
    assert {"checks", "predictive_summary", "sensitivity"} <= set(lean.children)
    assert "subject" not in {str(dim) for node in lean.subtree for dim in node.dims}
    (full,) = (ResultStore(tmp_path / "full").load(entry["result_id"])
               for entry in ResultStore(tmp_path / "full").catalog())  # fmt: skip
    assert int(np.isfinite(full["observed_data"]["score"]).sum()) == 44


def test_a_failed_check_ends_with_3(tmp_path: Path) -> None:
    """Forty draws of NUTS fail the convergence checks: stored, marked, shown, status 3."""
    store = tmp_path / "store"
    done = run("fit", "published", "--contrast", "T2.IESR.X", "--store", str(store), "--engine",
               "nuts", "--draws", "20", "--tune", "60", "--chains", "2", "--json")  # fmt: skip
    assert done.exit_code == 3, (done.output, done.exception)
    found = json.loads(done.stdout)
    assert found["diagnostics"]["passed"] is False
    assert found["diagnostics"]["ess_bulk_min"] < 400
    assert "required check failed" in done.stderr
    assert ResultStore(store).catalog()[0]["checks_passed"] == 0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["fit", "crossover"], "add --trial FILE --data FILE"),
        (["fit", "published"], "add --contrast"),
        (["fit", "crosover"], "did you mean 'crossover'"),
        (["fit", "crossover", "--prior", "sceptical"], "did you mean 'skeptical'"),
        (["fit", "crossover", "--set", "nu=gamma(2, 1)"], "unknown key 'nu'"),
        (["fit", "crossover", "--set", "treatment"], "write NAME=DISTRIBUTION"),
        (["fit", "crossover", "--prior", "normal(0)"], "normal takes 2 numbers"),
        (["fit", "crossover", "--prior", "norml(0, 1)"], "write one of"),
        (["fit", "crossover", "--set", "sd_within=gamma_precision(0, 1)"], "must be positive"),
        (["fit", "crossover", "--option", "patients=some"], "'some' not allowed"),
        (["fit", "crossover", "--option", "patients"], "write NAME=VALUE"),
        (["fit", "crossover", "--prior", "weak", "--set", "treatment=normal(0, 1)"], "both give"),
    ],
)
def test_requests_that_cannot_be_are_refused(arguments: list[str], expected: str) -> None:
    """Each wrong request has one message that says what to do."""
    assert expected in message(*arguments)


def test_data_that_cannot_be_are_refused_and_nothing_is_stored(files: Path, tmp_path: Path) -> None:
    """Wrong endpoint, wrong engine, flat prior for NUTS: a message, and no result."""
    base = ["fit", "crossover", *patients(files, tmp_path / "store")]
    assert "no endpoint 'iesr'" in message(*base, "--endpoint", "iesr")
    assert "unknown engine 'nut'" in message(*base, "--engine", "nut")
    student = message(*base, "--option", "likelihood=student_t", "--engine", "exact")
    assert "take engine 'nuts'" in student
    flat = message(*base, "--engine", "nuts", "--prior", "flat")
    assert "improper" in flat
    assert ResultStore(tmp_path / "store").catalog() == []
