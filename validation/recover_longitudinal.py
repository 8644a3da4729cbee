"""Known truth under every longitudinal model: bias and coverage in simulated trials.

`python validation/recover_longitudinal.py` writes `validation/longitudinal/recovery.csv`. Each
model is compiled once and meets trials that differ in their patients and missing visits.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayes_ptsd.compiled import CompiledModels
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.simulate import Baseline, Missingness, made_up_trial, simulate_trial
from bayes_ptsd.fit import fit_model
from bayes_ptsd.spec import ModelSpec, load_model

VISITS = {"1d": 24.0, "2d": 48.0, "7d": 168.0}
DIFFERENCE = np.array([6.0, 5.0, 4.0])
TRIALS, PATIENTS = 60, 80
MODELS: dict[str, dict[str, Any]] = {
    "longitudinal": {},
    "longitudinal, no shrinkage": {"shrinkage": False},
    "longitudinal, compound": {"covariance": "compound"},
    "longitudinal-ar": {},
    "longitudinal-ar, nugget": {"nugget": True},
    "longitudinal-clda": {},
}


def specification(name: str) -> ModelSpec:
    """Return the specification of a row."""
    return load_model(name.partition(",")[0]).having(options=MODELS[name])


def patients(name: str, seed: int) -> Evidence:
    """Return a trial whose covariance is that of the model: exchangeable, or decaying with days."""
    decays = "-ar" in name
    return simulate_trial(
        made_up_trial("parallel", better="lower", visits=VISITS),
        n_by_sequence=PATIENTS // 2, treatment=DIFFERENCE.tolist(), level=[40.0, 38.0, 37.0],
        sd_subject=0.0 if decays else 7.0, sd_within=10.0 if decays else 7.0,
        visit_correlation=0.75 if decays else 0.0,
        visit_structure="autoregressive" if decays else "compound",
        baseline=Baseline(mean=47.0, sd=10.0, correlation=0.4 if not decays else 0.2),
        missingness=Missingness(at_random=0.08, dropout=0.04), seed=seed,
    )  # fmt: skip


def recovery(name: str) -> list[dict[str, Any]]:
    """Return bias, spread and coverage of each difference under one model."""
    compiled, spec, rows = CompiledModels(), specification(name), []
    for seed in range(TRIALS):
        fit = fit_model(patients(name, seed), spec, draws=500, tune=500, seed=1, compiled=compiled)
        posterior = fit["posterior"].to_dataset()
        draws = {"mean of visits": posterior["treatment_difference"]}
        draws |= {visit: posterior["visit_difference"].sel(visit=visit) for visit in VISITS}
        truth = dict(zip(VISITS, DIFFERENCE, strict=True)) | {"mean of visits": DIFFERENCE.mean()}
        for label, values in draws.items():
            low, high = values.quantile([0.025, 0.975]).values
            error = float(values.mean()) - truth[label]
            inside = low <= truth[label] <= high
            rows.append({"difference": label, "error": error, "inside": inside,
                         "sd": float(values.std())})  # fmt: skip
    table = pd.DataFrame(rows).groupby("difference", sort=False)
    return [
        {
            "model": name,
            "difference": label,
            "trials": TRIALS,
            "bias": round(float(group["error"].mean()), 3),
            "bias_se": round(float(group["error"].std() / np.sqrt(TRIALS)), 3),
            "posterior_sd": round(float(group["sd"].mean()), 3),
            "coverage95": round(float(group["inside"].mean()), 3),
        }
        for label, group in table
    ]


def main() -> None:
    """Write the table."""
    warnings.simplefilter("ignore")
    folder = Path(__file__).parent / "longitudinal"
    folder.mkdir(exist_ok=True)
    rows: list[dict[str, Any]] = []
    for name in MODELS:
        rows += recovery(name)
        print(pd.DataFrame(rows[-4:]).to_string(index=False), flush=True)
    pd.DataFrame(rows).to_csv(folder / "recovery.csv", index=False)


if __name__ == "__main__":
    main()
