"""The committed studies of first-period and longitudinal models are of the models as they are."""

from __future__ import annotations

import hashlib
import importlib
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from altered_tree import AlteredTree

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def scripts() -> dict[str, ModuleType]:
    """Return the scripts that make the studies."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "validation"))
        names = ("recover_longitudinal", "fev_longitudinal")
        return {name.partition("_")[0]: importlib.import_module(name) for name in names}


@pytest.fixture(scope="module")
def recover(scripts: dict[str, ModuleType]) -> ModuleType:
    """Return the recovery study."""
    return scripts["recover"]


@pytest.fixture(scope="module")
def fev(scripts: dict[str, ModuleType]) -> ModuleType:
    """Return the comparison with REML."""
    return scripts["fev"]


def test_nothing_is_stale(recover: ModuleType, fev: ModuleType) -> None:
    """Every committed number was made by models and studies that answer as they do now."""
    summary = recover.read_recovery()
    stale = recover.stale_models(summary)
    assert stale == [], f"run `make validation` and commit what it writes; stale: {stale}"
    assert list(summary) == list(recover.MODELS)
    assert not fev.is_stale(fev.read_result()), "run `make validation` beside the shared folder"


def test_altered_answers_and_studies_make_models_stale(
    recover: ModuleType, fev: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A moved answer, code or setting is seen in the models that rest on it; words are not."""
    tree, summary, result = AlteredTree(tmp_path), recover.read_recovery(), fev.read_result()

    def stale(folder: Path = tmp_path) -> tuple[set[str], bool]:
        return set(recover.stale_models(summary, folder)), fev.is_stale(result, folder)

    def moved(model: str) -> tuple[set[str], bool]:
        with tree.answer(model, "log_densities") as folder:
            return stale(folder)

    def after(name: str, old: str, new: str) -> tuple[set[str], bool]:
        with tree.text(name, old, new) as folder:
            return stale(folder)

    every = set(summary)
    slope = "longitudinal[covariance=autoregressive,nugget=True,baseline=common_slope]"
    unequal = "first-period, unequal arms"
    assert stale() == (set(), False)
    assert moved("longitudinal") == ({"longitudinal", "longitudinal, compound"}, True)
    assert moved("longitudinal-ar") == ({"longitudinal-ar", "longitudinal-ar, nugget"}, False)
    assert moved(slope) == ({"longitudinal-ar, nugget"}, True)
    assert moved("first-period[arm_sd=unequal]") == ({unequal}, False)
    assert moved("crossover") == (set(), False)
    own, other = "validation/recover_longitudinal.py", "validation/fev_longitudinal.py"
    assert after(own, "else 0.8", "else 0.9") == (every, False)
    assert after(own, "spread = float", "# why\n    spread = float") == (set(), False)
    assert after(own, "{one['rms_z']:.2f}", "{one['rms_z']:.3f}") == (set(), False)
    assert after(other, "ddof=1", "ddof=0") == (set(), True)
    with monkeypatch.context() as patch:
        patch.setattr(recover, "TRIALS", recover.TRIALS | {"longitudinal": 13})
        assert stale() == ({name for name in every if name.startswith("longitudinal")}, False)
    with monkeypatch.context() as patch:
        patch.setattr(fev, "DRAWS", 10)
        assert stale() == (set(), True)
    assert fev.is_stale({**result, "digest": "0" * 64})
    assert recover.stale_models({}) == list(summary)


def test_recovery_is_judged_as_the_summary_says(recover: ModuleType) -> None:
    """Verdicts follow from the committed rows; every model meets the criterion."""
    rows, summary = recover.read_rows(), recover.read_recovery()
    for name, content in summary.items():
        own = rows[rows["model"] == name]
        assert set(own["trial"]) == set(
            range(recover.TRIALS[recover.specification(name).structure])
        )
        again = recover.judged(own)
        assert {key: content[key] for key in again} == again, name
        assert content["passed"] is True, (name, content["failed"])
        assert content["spec_id"] == recover.specification(name).spec_id
        assert content["evidence_kind"] == "simulated"


def test_a_wrong_posterior_would_fail(recover: ModuleType) -> None:
    """Moved by one sd and a half, or half or twice as wide, no model meets the criterion."""
    rows = recover.read_rows()
    for name in recover.MODELS:
        own = rows[rows["model"] == name]
        assert not recover.judged(own.assign(mean=own["mean"] + 1.5 * own["sd"]))["passed"]
        for factor in (0.5, 2.0):
            assert not recover.judged(own.assign(sd=factor * own["sd"]))["passed"], name


def test_truths_are_those_of_the_models(recover: ModuleType) -> None:
    """All committed truths are drawn again from the priors, on either stack."""
    rows = recover.read_rows()
    for name in recover.MODELS:
        found = recover.true_parameters(recover.pattern(recover.specification(name)))
        own = rows[rows["model"] == name]
        for quantity, committed in own.groupby("quantity", sort=False)["truth"]:
            one = found[quantity.partition("[")[0]]
            values = one.values.reshape(one.sizes["draw"], -1)
            names = [f"{one.name}{key}" for key in recover._keys(one)]
            np.testing.assert_allclose(committed, values[:, names.index(quantity)], rtol=1e-5)


def test_simulated_scores_have_the_moments_of_the_model(recover: ModuleType) -> None:
    """The study's own simulation has the covariance and difference that its truth names."""
    problem = recover.pattern(recover.specification("longitudinal-clda"))
    problem = replace(problem, values=np.zeros_like(problem.values))  # no visit is missing
    truth = recover.true_parameters(problem).isel(draw=0)
    rng = np.random.default_rng(1)
    many = np.stack([recover.visit_scores(truth, problem, rng) for _ in range(400)])
    means = [many[:, problem.active == arm].mean(axis=(0, 1)) for arm in (True, False)]
    sd = (many - many.mean(axis=0)).std(axis=(0, 1))
    np.testing.assert_allclose(sd, truth["sd_visit"], rtol=0.03)
    gap = problem.sign * (means[0] - means[1])
    error = 4 * sd * np.sqrt(2 / (200 * recover.PATIENTS))
    assert (np.abs(gap[1:] - truth["visit_difference"].values) < error[1:]).all()
    assert abs(gap[0]) < error[0]


def test_agreement_with_reml_is_what_the_numbers_say(fev: ModuleType) -> None:
    """Every visit keeps the limits: 0.2% and 4 Monte Carlo errors, sd / SE .99 to 1.04."""
    result = fev.read_result()
    assert [result[name] for name in ("draws", "chains", "spec_id")] == [
        20_000, 4, fev.flat_spec().spec_id
    ]  # fmt: skip
    assert [row["visit"] for row in result["visits"]] == list(fev.PUBLISHED)
    for row in result["visits"]:
        limit = 0.002 * abs(row["reml"]) + 4 * row["mcse"]
        assert abs(row["mean"] - row["reml"]) <= limit
        assert 0.99 <= row["sd"] / row["se"] <= 1.04
        assert all(fev.agreement(row).values()), row
        moved = row | {"mean": row["mean"] + 0.05, "sd": 1.06 * row["sd"]}
        assert not any(fev.agreement(moved)[key] for key in ("mean_agrees", "sd_agrees"))
    assert result["passed"] is True
    assert result["divergences"] == 0
    assert result["rhat_max"] < 1.01


@pytest.mark.shared
def test_reml_of_the_public_trial_is_the_committed_one(fev: ModuleType, shared: Path) -> None:
    """The committed estimates, standard errors and residual sds are REML of that very file."""
    data, result = shared / "data" / "fev.csv", fev.read_result()
    assert result["data_sha256"] == hashlib.sha256(data.read_bytes()).hexdigest()
    problem = fev.longitudinal_model(fev.fev_patients(data), fev.flat_spec())
    mirror = fev.trajectory_mmrm(problem)
    for row in result["visits"]:
        line = mirror.sel(estimand=f"treatment_difference[{row['visit']}]")
        residual = mirror["residual_sd"].sel(visit=row["visit"])
        assert [row["reml"], row["se"], row["residual_sd_reml"]] == pytest.approx(
            [float(line["estimate"]), float(line["se"]), float(residual)], abs=2e-5
        )


def test_pages_show_the_committed_numbers(recover: ModuleType, fev: ModuleType) -> None:
    """The tables of both pages are those that the committed results make."""
    pages = (
        (recover.PAGE, {"recovery": recover.recovery_table(recover.read_recovery())}),
        (fev.PAGE, {"fev": fev.fev_table(fev.read_result())}),
    )
    for path, tables in pages:
        page = path.read_text(encoding="utf-8")
        assert importlib.import_module("study").page_with(page, tables) == page, path
