"""The unstructured longitudinal model against REML on a public trial; made by `make validation`.

Under priors that say next to nothing, posterior means and sds of the visits
are to meet estimates and standard errors of REML, and a published table of both. Only summary
numbers are kept, in `validation/longitudinal/fev.json`; without the data file nothing is made.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr
from digests import DENSITY, ROOT, study_digest
from study import parts_to_make, write_page

from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.patients import load_patients
from bayes_ptsd.evidence.trajectories import select_endpoint
from bayes_ptsd.models_files import load_model
from bayes_ptsd.priors import Prior, normal
from bayes_ptsd.provenance import DEFAULT_SEED, library_versions
from bayes_ptsd.specification import ModelSpec
from bayes_ptsd.structures.longitudinal.model import (
    LongitudinalModel,
    longitudinal_model,
    trajectory_mmrm,
)
from bayes_ptsd.trial import load_trial

DATA = ROOT.parent / "shared" / "data" / "fev.csv"
RESULT = ROOT / "validation" / "longitudinal" / "fev.json"
PAGE = ROOT / "docs" / "methods" / "longitudinal.md"
DRAWS, TUNE, CHAINS = 20_000, 1_000, 4

COVARIATES = ["RACE", "SEX"]
OPTIONS = {"baseline": "common_slope", "covariates": COVARIATES}
PRIORS = {
    "treatment": normal(0, 100),
    "level": normal(40, 100),
    "baseline_slope": normal(0, 10),
    "covariate": normal(0, 100),
    "sd_visit": Prior("log_normal", {"mu": 2.0, "sigma": 10.0}),
    "correlations": Prior("lkj", {"shape": 1.0}),  # that of the published analysis
}

CODE = {
    "validation/fev_longitudinal.py": ("flat_spec", "fev_patients", "posterior_summary"),
}
# No kept answer has its covariates: one has its covariance, the other its slope.
ANSWERS = {
    "longitudinal": DENSITY,
    "longitudinal[covariance=autoregressive,nugget=True,baseline=common_slope]": DENSITY,
}

# Posterior mean and sd, REML estimate and SE, residual sd by posterior and REML (brms.mmrm).
PUBLISHED = {
    "VIS1": (3.984, 1.065, 3.983, 1.045, 6.232, 6.151),
    "VIS2": (3.933, 0.826, 3.931, 0.814, 4.915, 4.853),
    "VIS3": (2.980, 0.677, 2.984, 0.666, 3.778, 3.715),
    "VIS4": (4.407, 1.681, 4.404, 1.660, 9.795, 9.642),
}
RELATIVE, ERRORS = 0.002, 4.0
RATIO = (0.99, 1.04)
SD_RELATIVE = 0.002


def flat_spec() -> ModelSpec:
    """Return the unstructured model under priors that say next to nothing."""
    return load_model("longitudinal").having(options=OPTIONS, priors=PRIORS)


def fev_patients(data: Path = DATA) -> Evidence:
    """Return the patients of the public trial."""
    trial = load_trial(ROOT / "tests" / "trials" / "fev.toml")
    loaded = load_patients(data, trial, endpoint="fev1", covariates=COVARIATES)
    return select_endpoint(loaded, "fev1")


def fev_digest(tree: Path = ROOT) -> str:
    """Return the digest of everything in the tree that decides the posterior."""
    settings = [DRAWS, TUNE, CHAINS, DEFAULT_SEED]
    return study_digest(flat_spec().spec_id, settings, code=CODE, answers=ANSWERS, tree=tree)


def read_result() -> dict[str, Any]:
    """Return the committed result; empty where there is none."""
    return json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else {}


def is_stale(result: Mapping[str, Any], tree: Path = ROOT) -> bool:
    """Tell whether a result was made by another model or study."""
    return bool(result.get("digest") != fev_digest(tree))


def posterior_summary(problem: LongitudinalModel) -> tuple[xr.Dataset, dict[str, float]]:
    """Return mean, sd and Monte Carlo error of differences and residual sds, and diagnostics."""
    import arviz_stats

    from bayes_ptsd.checks import check_fit
    from bayes_ptsd.sampler import sample_posterior
    from bayes_ptsd.structures.longitudinal.model import pymc_model as longitudinal_pymc

    groups = sample_posterior(
        longitudinal_pymc(problem), draws=DRAWS, tune=TUNE, chains=CHAINS, seed=DEFAULT_SEED
    )
    draws = groups["posterior"][["visit_difference", "sd_visit"]]
    figures = check_fit(xr.DataTree.from_dict(groups))["figure"]
    names = ("rhat_max", "ess_bulk_min", "divergences")
    over = ("chain", "draw")
    parts = {
        "mean": draws.mean(over),
        "sd": draws.std(over, ddof=1),
        "mcse": arviz_stats.mcse(draws),
    }
    kinds = xr.concat(parts.values(), dim=xr.Variable("figure", list(parts)))
    return kinds, {name: round(float(figures.sel(check=name)), 5) for name in names}


def visit_rows(found: xr.Dataset, mirror: xr.Dataset) -> list[dict[str, Any]]:
    """Return one row a visit: posterior, REML and whether they agree."""
    rows = []
    for visit, published in PUBLISHED.items():
        one = found["visit_difference"].sel(visit=visit)
        spread = found["sd_visit"].sel(occasion=visit)
        line = mirror.sel(estimand=f"treatment_difference[{visit}]")
        row = {
            "visit": visit,
            **{name: float(one.sel(figure=name)) for name in ("mean", "sd", "mcse")},
            "reml": float(line["estimate"]),
            "se": float(line["se"]),
            "residual_sd": float(spread.sel(figure="mean")),
            "residual_sd_mcse": float(spread.sel(figure="mcse")),
            "residual_sd_reml": float(mirror["residual_sd"].sel(visit=visit)),
            "published": list(published),
        }
        rows.append({**_rounded(row), **agreement(row)})
    return rows


def agreement(row: Mapping[str, Any]) -> dict[str, bool]:
    """Tell which limits a row keeps: mean, sd / SE, residual sd, and the published table."""
    published = row["published"]
    limit = ERRORS * row["mcse"]
    sd_limit = SD_RELATIVE * published[4] + ERRORS * row["residual_sd_mcse"]
    return {
        "mean_agrees": abs(row["mean"] - row["reml"]) <= RELATIVE * abs(row["reml"]) + limit,
        "sd_agrees": RATIO[0] <= row["sd"] / row["se"] <= RATIO[1],
        "residual_sd_agrees": abs(row["residual_sd"] - published[4]) <= sd_limit,
        "published_agrees": (
            abs(row["mean"] - published[0]) <= RELATIVE * abs(published[0]) + limit
            and RATIO[0] <= row["sd"] / published[3] <= RATIO[1]
            and round(row["reml"], 3) == published[2]
            and round(row["residual_sd_reml"], 3) == published[5]
        ),
    }


def _rounded(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with five decimals."""
    return {k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()}


def fev_table(result: Mapping[str, Any]) -> str:
    """Return the table of the page, one row a visit."""
    head = ["visit", "posterior mean (sd)", "REML (SE)", "sd / SE",
            "residual sd, posterior mean / REML"]  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for number, row in enumerate(result["visits"], 1):
        lines.append(
            f"| {number} | {row['mean']:.3f} ({row['sd']:.3f}) "
            f"| {row['reml']:.3f} ({row['se']:.3f}) | {row['sd'] / row['se']:.3f} "
            f"| {row['residual_sd']:.3f} / {row['residual_sd_reml']:.3f} |"
        )
    return "\n".join(lines)


def make_result() -> dict[str, Any]:
    """Sample, compare and describe."""
    start = time.process_time()
    evidence = fev_patients()
    problem = longitudinal_model(evidence, flat_spec())
    found, diagnostics = posterior_summary(problem)
    rows = visit_rows(found, trajectory_mmrm(problem))
    return {
        "data_sha256": hashlib.sha256(DATA.read_bytes()).hexdigest(),
        "spec_id": problem.spec.spec_id,
        "options": OPTIONS,
        "priors": {name: prior.formula for name, prior in problem.priors.items()},
        "evidence_kind": evidence.kind,
        "size": problem.size,
        "draws": DRAWS, "tune": TUNE, "chains": CHAINS, "seed": DEFAULT_SEED,
        "limits": {"relative": RELATIVE, "mcse": ERRORS, "ratio": RATIO, "residual": SD_RELATIVE},
        "visits": rows,
        "passed": all(value for row in rows for value in row.values() if isinstance(value, bool)),
        **diagnostics,
        "cpu_seconds": round(time.process_time() - start),
        "digest": fev_digest(),
        "versions": dict(library_versions()),
    }  # fmt: skip


def main() -> None:
    """Make the result anew where it is stale."""
    parts = [RESULT.name]
    stale = parts_to_make(__doc__, parts=parts, stale=parts * is_stale(read_result()))
    if stale and not DATA.exists():
        print(f"{DATA} is not there: {RESULT.name} stays as it is", file=sys.stderr)
    elif stale:
        RESULT.parent.mkdir(exist_ok=True)
        text = json.dumps(make_result(), indent=1, ensure_ascii=False) + "\n"
        RESULT.write_text(text, encoding="utf-8")
    write_page(PAGE, {"fev": fev_table(read_result())})


if __name__ == "__main__":
    main()
