"""Known truth under every first-period and longitudinal model; made by `make validation`.

Parameters are drawn from the prior, scores from the model by code of this file alone, and the
posterior is sampled: then z = (truth - posterior mean) / posterior sd has mean 0 and variance 1
exactly, whatever the model. Each model is compiled once. Results go to
`validation/longitudinal/recovery.csv` (one row a trial and quantity) and `recovery.json`, the table
into `docs/validation/longitudinal.md`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from digests import DENSITY, ROOT, study_digest
from scipy import stats
from study import parts_to_make, write_page

from bayes_ptsd.evidence.outcome import select_outcome
from bayes_ptsd.models_files import load_model
from bayes_ptsd.priors import normal
from bayes_ptsd.provenance import DEFAULT_SEED, library_versions
from bayes_ptsd.specification import ModelSpec
from bayes_ptsd.structures.first_period.model import FirstPeriodModel, first_period_model
from bayes_ptsd.structures.first_period.model import draw_priors as draw_first_period
from bayes_ptsd.structures.longitudinal.draws import derived
from bayes_ptsd.structures.longitudinal.draws import draw_priors as draw_longitudinal
from bayes_ptsd.structures.longitudinal.example import example_trajectories
from bayes_ptsd.structures.longitudinal.model import BASELINE, LongitudinalModel, longitudinal_model

FOLDER = ROOT / "validation" / "longitudinal"
PAGE = ROOT / "docs" / "validation" / "longitudinal.md"
Problem = FirstPeriodModel | LongitudinalModel

TRIALS = {"first_period": 20, "longitudinal": 12}
PATIENTS = 60
DRAWS, TUNE, CHAINS = 400, 400, 4
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "first-period": ("first-period", {}),
    "first-period, unequal arms": ("first-period", {"arm_sd": "unequal"}),
    "first-period, Student t": ("first-period", {"likelihood": "student_t"}),
    "longitudinal": ("longitudinal", {}),
    "longitudinal-shrunk": ("longitudinal-shrunk", {}),
    "longitudinal, compound": ("longitudinal", {"covariance": "compound"}),
    "longitudinal-ar": ("longitudinal-ar", {}),
    "longitudinal-ar, nugget": ("longitudinal-ar", {"nugget": True}),
    "longitudinal-clda": ("longitudinal-clda", {}),
}
PRIORS = {
    "treatment": normal(0, 7), "level": normal(40, 15), "baseline_slope": normal(0.5, 0.3)
}  # fmt: skip
QUANTITIES = {
    "first_period": ("treatment_difference", "level", "baseline_slope", "sd_residual", "nu"),
    "longitudinal": (
        "treatment_difference", "visit_difference", "sd_visit", "correlation", "half_life",
        "nugget_share", "level",
    ),
}  # fmt: skip
CODE = {"validation/recover_longitudinal.py": ("recovered",)}
# Kept answers: of the model itself, or of those that have its options between them. They are about
# patients simulated by the code that makes arms, baselines and missing visits here.
ANSWERS = {
    "first-period": ("first-period",),
    "first-period, unequal arms": ("first-period[arm_sd=unequal]",),
    "first-period, Student t": ("first-period[likelihood=student_t]",),
    "longitudinal": ("longitudinal",),
    "longitudinal-shrunk": ("longitudinal-shrunk",),
    "longitudinal, compound": (
        "longitudinal", "longitudinal[covariance=compound,visit_sd=equal]",
    ),
    "longitudinal-ar": ("longitudinal-ar",),
    "longitudinal-ar, nugget": (
        "longitudinal-ar",
        "longitudinal[covariance=autoregressive,nugget=True,baseline=common_slope]",
    ),
    "longitudinal-clda": ("longitudinal-clda",),
}  # fmt: skip

# The criterion, fixed before the first run.
BIAS = 4.0
TAIL = 1e-4
SPREAD = (0.75, 1.3)


def specification(name: str) -> ModelSpec:
    """Return the model of a row with its stated priors: a level from the data has no prior draws.

    Differences, levels and slopes are of the size of the trial's, not ten standard deviations.
    """
    model, options = MODELS[name]
    spec = load_model(model).having(options=options)
    return spec.having(priors={key: PRIORS[key] for key in PRIORS if key in spec.parameters})


def pattern(spec: ModelSpec) -> Problem:
    """Return the model with arms, baselines and missing visits of the simulated trials."""
    patients = example_trajectories(subjects=PATIENTS)
    if spec.structure == "longitudinal":
        return longitudinal_model(patients, spec)
    return first_period_model(select_outcome(patients, visit="24h"), spec)


def recovery_digest(name: str, tree: Path = ROOT) -> str:
    """Return the digest of everything in the tree that decides the rows of a model."""
    spec = specification(name)
    settings = [
        TRIALS[spec.structure], PATIENTS, DRAWS, TUNE, CHAINS, DEFAULT_SEED,
        QUANTITIES[spec.structure],
    ]  # fmt: skip
    answers = dict.fromkeys(ANSWERS[name], DENSITY)
    return study_digest(spec.spec_id, settings, code=CODE, answers=answers, tree=tree)


def read_recovery() -> dict[str, Any]:
    """Return the committed summary; empty where there is none."""
    path = FOLDER / "recovery.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def stale_models(summary: Mapping[str, Any], tree: Path = ROOT) -> list[str]:
    """Return the models whose rows were made by another model or study."""
    return [
        name
        for name in MODELS
        if summary.get(name, {}).get("digest") != recovery_digest(name, tree)
    ]


def true_parameters(problem: Problem) -> xr.Dataset:
    """Return parameters of every trial, from the prior, dim ``draw``."""
    count = TRIALS[problem.spec.structure]
    if isinstance(problem, LongitudinalModel):
        return draw_longitudinal(problem, count, seed=DEFAULT_SEED).isel(chain=0)
    return draw_first_period(problem, count, seed=DEFAULT_SEED).isel(chain=0)


def visit_scores(
    truth: xr.Dataset, problem: LongitudinalModel, rng: np.random.Generator
) -> np.ndarray[Any, Any]:
    """Simulate what a longitudinal model has as data, 0 where a visit is missing."""
    benefit = problem.sign * problem.contrast[:, None]
    level = truth["level"].sel(occasion=list(problem.visits)).values
    mean = level + benefit * truth["visit_difference"].values
    if problem.baseline is not None:
        mean = mean + problem.baseline[:, None] * truth["baseline_slope"].values
    if problem.joint:
        mean = np.column_stack(
            [np.full(len(mean), float(truth["level"].sel(occasion=BASELINE))), mean]
        )
    count = mean.shape[1]
    correlation = np.eye(count)
    correlation[np.tril_indices(count, -1)] = truth["visit_correlation"].values
    correlation = correlation + np.tril(correlation, -1).T
    sd = truth["sd_visit"].values
    law = stats.multivariate_normal(cov=correlation * np.outer(sd, sd), allow_singular=True)
    scores = mean + law.rvs(size=len(mean), random_state=rng)
    return np.where(np.isfinite(problem.values), scores, 0.0)


def arm_scores(
    truth: xr.Dataset, problem: FirstPeriodModel, rng: np.random.Generator
) -> np.ndarray[Any, Any]:
    """Simulate what a first-period model has as data."""
    sd = np.broadcast_to(truth["sd_residual"].values, 2)[problem.active.astype(int)]
    law = stats.t(float(truth["nu"])) if "nu" in truth else stats.norm()
    mean = float(truth["level"]) + float(truth["treatment_difference"]) * (
        problem.sign * problem.contrast
    )
    if problem.baseline is not None:
        mean = mean + float(truth["baseline_slope"]) * problem.baseline
    return np.asarray(mean + sd * law.rvs(len(sd), random_state=rng))


def posterior_sampler(problem: Problem) -> Callable[[np.ndarray[Any, Any]], xr.Dataset]:
    """Return what samples the posterior of new scores, compiled once."""
    import pymc as pm

    from bayes_ptsd.compiled import CompiledModels
    from bayes_ptsd.sampler import sample_posterior
    from bayes_ptsd.structures.first_period.model import pymc_model as first_period_pymc
    from bayes_ptsd.structures.longitudinal.model import pymc_model as longitudinal_pymc

    model = (
        longitudinal_pymc(problem)
        if isinstance(problem, LongitudinalModel)
        else first_period_pymc(problem)
    )
    compiled = CompiledModels()
    careful = 0.95 if problem.options.get("shrinkage") else 0.8

    def sample(scores: np.ndarray[Any, Any]) -> xr.Dataset:
        pm.set_data({"score_data": scores}, model=model)
        found = sample_posterior(
            model, draws=DRAWS, tune=TUNE, chains=CHAINS, seed=DEFAULT_SEED, compiled=compiled,
            kind="recovery", target_accept=careful,
        )["posterior"]  # fmt: skip
        return derived(found, problem) if isinstance(problem, LongitudinalModel) else found

    return sample


def recovered(name: str) -> list[dict[str, Any]]:
    """Return one row a trial and quantity: truth, posterior mean and sd, coverage."""
    problem = pattern(specification(name))
    truths, sample = true_parameters(problem), posterior_sampler(problem)
    rows = []
    for trial in range(truths.sizes["draw"]):
        truth, rng = truths.isel(draw=trial), np.random.default_rng([DEFAULT_SEED, trial])
        scores = (
            visit_scores(truth, problem, rng)
            if isinstance(problem, LongitudinalModel)
            else arm_scores(truth, problem, rng)
        )
        rows += _compared(truth, sample(scores), problem, {"model": name, "trial": trial})
    return rows


def _compared(
    truth: xr.Dataset, posterior: xr.Dataset, problem: Problem, labels: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return the rows of one trial."""
    names = [q for q in QUANTITIES[problem.spec.structure] if q in posterior]
    if problem.options.get("covariance") == "unstructured":
        names.append("visit_correlation")
    rows = []
    for name in names:
        draws = posterior[name].stack(sample=("chain", "draw")).transpose(..., "sample").values
        values = np.atleast_1d(truth[name].values)
        low, high = np.quantile(np.atleast_2d(draws), [0.025, 0.975], axis=1)
        keys = _keys(posterior[name])
        for number, value in enumerate(values):
            one = np.atleast_2d(draws)[number]
            rows.append({
                **labels, "quantity": f"{name}{keys[number]}", "truth": value,
                "mean": one.mean(), "sd": one.std(ddof=1),
                "inside": int(low[number] <= value <= high[number]),
            })  # fmt: skip
    return rows


def _keys(values: xr.DataArray) -> list[str]:
    """Return what is put behind the name of a quantity with several values."""
    dims = [dim for dim in values.dims if dim not in ("chain", "draw")]
    return [f"[{label}]" for label in values[dims[0]].values] if dims else [""]


def judged(rows: pd.DataFrame) -> dict[str, Any]:
    """Judge the rows of one model by the criterion.

    Every quantity: |mean z| at most 4 / sqrt(trials), and not so few truths inside 95% intervals
    that a binomial count is lower with probability 1e-4. All together: root mean square z.
    """
    z = (rows["truth"] - rows["mean"]) / rows["sd"]
    mean = z.groupby(rows["quantity"], sort=False).mean()
    count = z.groupby(rows["quantity"], sort=False).size()
    inside = rows.groupby("quantity", sort=False)["inside"].sum()
    spread = float(np.sqrt((z**2).mean()))
    least = stats.binom.ppf(TAIL, count, 0.95)
    biased = abs(mean) * np.sqrt(count) > BIAS
    worst = str((abs(mean)).idxmax())
    return {
        "trials": int(count.iloc[0]),
        "quantities": len(mean),
        "largest_mean_z": round(float(mean[worst]), 3),
        "of": worst,
        "rms_z": round(spread, 3),
        "coverage": round(float(rows["inside"].mean()), 3),
        "least_inside": int(inside.min()),
        "failed": [str(q) for q in mean.index[biased | (inside < least)]],
        "passed": bool(not biased.any() and (inside >= least).all()
                       and SPREAD[0] <= spread <= SPREAD[1]),
    }  # fmt: skip


def read_rows(folder: Path = FOLDER) -> pd.DataFrame:
    """Return the committed rows; none where there is no file."""
    path = folder / "recovery.csv"
    columns = ["model", "trial", "quantity", "truth", "mean", "sd", "inside"]
    return pd.read_csv(path) if path.exists() else pd.DataFrame(columns=columns)


def write_results(rows: pd.DataFrame, summary: Mapping[str, Any]) -> None:
    """Write rows and summary in the order of the models."""
    FOLDER.mkdir(exist_ok=True)
    place = {name: number for number, name in enumerate(MODELS)}
    kept = rows[rows["model"].isin(place)]
    kept = kept.sort_values("model", key=lambda names: names.map(place), kind="stable")
    kept.to_csv(FOLDER / "recovery.csv", index=False, float_format="%.6g", lineterminator="\n")
    ordered = {name: summary[name] for name in MODELS if name in summary}
    text = json.dumps(ordered, indent=1, ensure_ascii=False) + "\n"
    (FOLDER / "recovery.json").write_text(text, encoding="utf-8")


def recovery_table(summary: Mapping[str, Any]) -> str:
    """Return one row a model."""
    head = ["model", "trials", "quantities", "largest mean z", "root mean square z",
            "inside 95%", "fewest inside"]  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name in MODELS:
        one = summary[name]
        lines.append(
            f"| {name} | {one['trials']} | {one['quantities']} | {one['largest_mean_z']:.2f} "
            f"(`{one['of']}`) | {one['rms_z']:.2f} | {one['coverage']:.3f} "
            f"| {one['least_inside']} of {one['trials']} |"
        )
    return "\n".join(lines)


def make_model(name: str, rows: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Make the rows of one model anew and judge them."""
    start = time.process_time()
    made = pd.DataFrame(recovered(name))
    seconds = round(time.process_time() - start, 1)
    content = {
        "spec_id": specification(name).spec_id, "evidence_kind": "simulated", **judged(made),
        "seed": DEFAULT_SEED, "cpu_seconds": seconds, "digest": recovery_digest(name),
        "versions": dict(library_versions()),
    }  # fmt: skip
    others = rows[rows["model"] != name]
    return (pd.concat([others, made]) if len(others) else made), content


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the stale models, or all, and the table of the page."""
    summary, rows = read_recovery(), read_rows()
    stale = stale_models(summary)
    for name in parts_to_make(__doc__, parts=list(MODELS), stale=stale, arguments=arguments):
        rows, summary[name] = make_model(name, rows)
        write_results(rows, summary)
        print(f"{name}: {summary[name]}", file=sys.stderr, flush=True)
    write_page(PAGE, {"recovery": recovery_table(summary)})


if __name__ == "__main__":
    main()
