"""How often trials without a difference are called a benefit; made by `make validation`.

Whole scores from 0 to 100 with standard deviation 10, cut at the ends, in the middle of the scale
and 3 and 1 standard deviations from its lower end, 12, 24 and 40 patients in two equal arms, no
difference. Beside P(benefit) > .975 under the model as shipped stands the one-sided test at 2.5% on
the same trials. Visits are analyzed without a chain (`visit_posterior`). Results go to
`validation/first_period/`, the table into `docs/validation/longitudinal.md`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from calibrate_crossover import read_rows, write_rows
from digests import DENSITY, EXACT, ROOT, study_digest
from numpy.typing import NDArray
from scipy import stats
from study import parts_to_make, write_page
from visit_posterior import VisitProblem, coefficient, visit_posterior

from bayes_ptsd.gaussian.arms import arm_problem
from bayes_ptsd.gaussian.problem import solve_problem
from bayes_ptsd.gaussian.summaries import solution_summaries
from bayes_ptsd.models_files import load_model
from bayes_ptsd.patient_scale import OccasionScale, in_score_units, occasion_scale
from bayes_ptsd.priors import Prior
from bayes_ptsd.provenance import DEFAULT_SEED, library_versions
from bayes_ptsd.specification import ModelSpec

FOLDER = ROOT / "validation" / "first_period"
PAGE = ROOT / "docs" / "validation" / "longitudinal.md"
Floats = NDArray[np.float64]

SD = 10.0
LEVELS = (50.0, 30.0, 10.0)
PATIENTS = (12, 24, 40)
UNIT = OccasionScale(1.0, 0.0)
DECISION = 0.975
BLOCK = 100
VISITS, CORRELATION = 4, 0.7
BASELINE_CORRELATION = 0.6
# inverse-Wishart draws a trial; at 12 patients about one in eight of them counts
COVARIANCES = 2000
ANALYSES: Mapping[str, tuple[str, Mapping[str, Any], int]] = {
    "t test": ("first-period", {"baseline": "none"}, 2000),
    "analysis of covariance": ("first-period", {}, 2000),
    "t test of the mean of four visits": ("longitudinal", {"baseline": "none"}, 2000),
}
SCRIPT = {"validation/type_one_error.py": ("cell",)}
CODE: Mapping[str, Mapping[str, Sequence[str]]] = {
    "first_period": SCRIPT,
    "longitudinal": SCRIPT | {"validation/visit_posterior.py": ("visit_posterior", "coefficient")},
}
ANSWERS = {
    "t test": {"first-period[baseline=none]": EXACT},
    "analysis of covariance": {"first-period": EXACT},
    "t test of the mean of four visits": {"longitudinal[baseline=none]": DENSITY},
}
# Of the type I error of the test on the same trials: 3 standard errors of a difference of two
# decisions that disagree in 2% of 2,000 trials, and twice that where 12 patients say little.
NEAR = {12: 0.012, 24: 0.006, 40: 0.006}


def specification(name: str) -> ModelSpec:
    """Return the model of an analysis."""
    model, options, _ = ANALYSES[name]
    return load_model(model).having(options=options)


def rows_digest(name: str, tree: Path = ROOT) -> str:
    """Return the digest of everything in the tree that decides the rows of an analysis."""
    spec = specification(name)
    settings = [
        ANALYSES[name][2], PATIENTS, LEVELS, SD, DECISION, BLOCK, VISITS, CORRELATION,
        BASELINE_CORRELATION, COVARIANCES, DEFAULT_SEED,
    ]  # fmt: skip
    return study_digest(
        spec.spec_id, settings, code=CODE[spec.structure], answers=ANSWERS[name], tree=tree
    )


def read_summary() -> dict[str, Any]:
    """Return the committed summary; empty where there is none."""
    path = FOLDER / "type-one-error.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def stale_analyses(summary: Mapping[str, Any], tree: Path = ROOT) -> list[str]:
    """Return the analyses whose rows were made by another model or study."""
    return [
        name for name in ANALYSES if summary.get(name, {}).get("digest") != rows_digest(name, tree)
    ]


def whole_scores(level: float, normal: Floats) -> Floats:
    """Return scores of a questionnaire from 0 to 100 from standard normal numbers."""
    return np.clip(np.round(level + SD * normal), 0.0, 100.0)


def arms_of(patients: int) -> NDArray[np.bool_]:
    """Return who has the active treatment: the first half."""
    return np.arange(patients) < patients // 2


def simulated(name: str, patients: int, level: float, block: int) -> tuple[Floats, Floats]:
    """Return a block of trials: scores (trial, subject[, visit]) and baselines (subject)."""
    place = [list(ANALYSES).index(name), patients, int(level), block]
    rng = np.random.default_rng([DEFAULT_SEED, *place])
    if specification(name).structure == "longitudinal":
        shared = np.sqrt(CORRELATION) * rng.normal(size=(BLOCK, patients, 1))
        own = np.sqrt(1 - CORRELATION) * rng.normal(size=(BLOCK, patients, VISITS))
        return whole_scores(level, shared + own), np.zeros(patients)
    if "baseline_slope" not in specification(name).parameters:
        return whole_scores(level, rng.normal(size=(BLOCK, patients))), np.zeros(patients)
    # a block shares its baselines, which the analysis adjusts for
    before = rng.normal(size=patients)
    left = np.sqrt(1 - BASELINE_CORRELATION**2) * rng.normal(size=(BLOCK, patients))
    score = whole_scores(level, BASELINE_CORRELATION * before + left)
    return score, whole_scores(level, before)


def one_occasion(spec: ModelSpec, score: Floats, before: Floats) -> Floats:
    """Return P(benefit) of trials at one visit, every trial in units of its own SD.

    In these units, and counted from the mean of both arms, all trials have the same priors.
    """
    active = arms_of(score.shape[1])
    scales = [occasion_scale([one[active], one[~active]], least_sd=SD) for one in score]
    unit = np.array([[one.sd] for one in scales])
    standard = (score - np.array([[one.location] for one in scales])) / unit
    centered = before - before.mean()
    columns = {"treatment": active - 0.5, "level": np.ones(len(active))}
    if "baseline_slope" in spec.parameters:
        columns["baseline_slope"] = centered / centered.std(ddof=1)
    priors = {name: standard_prior(spec, name) for name in spec.parameters}
    problem = arm_problem(standard, active, columns, priors, priors["sd_residual"], equal=True)
    found = solution_summaries(solve_problem(problem, tolerance=1e-3), [0.0])
    return np.asarray(found["prob_greater"].sel(estimand="treatment").values[:, 0])


def standard_prior(
    spec: ModelSpec, name: str, scale: OccasionScale = UNIT, sd: float = 1.0
) -> Prior:
    """Return a prior in units of an occasion; none here needs a standard error."""
    return in_score_units(
        spec.priors[name], scale=scale, reference_sd=sd, predictor_sd=1.0,
        standard_error=lambda: np.nan,
    )  # fmt: skip


def several_occasions(spec: ModelSpec, score: Floats, seed: int) -> Floats:
    """Return P(benefit) of the mean of the visits of every trial."""
    return np.array([
        _mean_of_visits(spec, one, [seed, number]) for number, one in enumerate(score)
    ])  # fmt: skip


def _mean_of_visits(spec: ModelSpec, score: Floats, seed: Any) -> float:
    """Return P(benefit) of the mean of the visits of one trial."""
    problem = visit_problem(spec, score)
    found = visit_posterior(problem, draws=COVARIANCES, seed=seed)
    share = 1 / score.shape[1]
    vector = coefficient(problem, {f"treatment[{t}]": share for t in range(score.shape[1])})
    center, variance = found.combination(vector)
    return float(found.weight @ stats.norm.cdf(center / np.sqrt(variance)))


def visit_problem(spec: ModelSpec, score: Floats) -> VisitProblem:
    """Return one trial of several visits with the priors of the model."""
    active, count = arms_of(len(score)), score.shape[1]
    scales = [occasion_scale([y[active], y[~active]], least_sd=SD) for y in score.T]
    level = [standard_prior(spec, "level", one) for one in scales]
    treatment = [standard_prior(spec, "treatment", scales[0], SD)] * count
    priors = [*treatment, *level]
    unit = np.eye(count)
    columns = np.concatenate(
        [(active - 0.5)[:, None, None] * unit, np.ones((len(score), 1, 1)) * unit], axis=2
    )
    names = [f"{key}[{t}]" for key in ("treatment", "level") for t in range(count)]
    matrix = spec.priors["correlations"]
    assert isinstance(matrix, Prior)
    return VisitProblem(
        score, columns, names,
        np.array([one.params["mu"] for one in priors]),
        np.array([one.params["sigma"] for one in priors]),
        [standard_prior(spec, "sd_visit", one) for one in scales], matrix,
    )  # fmt: skip


def one_sided_p_values(spec: ModelSpec, score: Floats, before: Floats) -> Floats:
    """Return one-sided P values of least squares, of the mean where there are several visits."""
    outcome = score.mean(axis=2) if score.ndim == 3 else score
    active = arms_of(outcome.shape[1])
    columns = [np.ones(len(active)), active - 0.5]
    if "baseline_slope" in spec.parameters:
        columns.append(before - before.mean())
    table = np.stack(columns, axis=1)
    inverse = np.linalg.inv(table.T @ table)
    fitted = outcome @ table @ inverse
    freedom = table.shape[0] - table.shape[1]
    variance = ((outcome - fitted @ table.T) ** 2).sum(axis=1) / freedom
    t = fitted[:, 1] / np.sqrt(variance * inverse[1, 1])
    return np.asarray(stats.t.sf(t, freedom))


def cell(name: str, patients: int, level: float) -> dict[str, Any]:
    """Return the row of one analysis at one number of patients and place on the scale."""
    spec, count = specification(name), ANALYSES[name][2]
    benefit, p = [], []
    for block in range(count // BLOCK):
        score, before = simulated(name, patients, level, block)
        benefit.append(
            one_occasion(spec, score, before)
            if score.ndim == 2
            else several_occasions(spec, score, block)
        )
        p.append(one_sided_p_values(spec, score, before))
    decided, rejected = np.concatenate(benefit) > DECISION, np.concatenate(p) < 1 - DECISION
    return {
        "analysis": name, "patients": patients, "level": level, "trials": count,
        "model": float(decided.mean()), "test": float(rejected.mean()),
        "differ": float((decided != rejected).mean()),
    }  # fmt: skip


def made(name: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Make the rows of one analysis anew, and describe them."""
    start = time.process_time()
    rows = [cell(name, patients, level) for patients in PATIENTS for level in LEVELS]
    content = {
        "spec_id": specification(name).spec_id, "evidence_kind": "simulated",
        "trials": ANALYSES[name][2], **judged(rows), "seed": DEFAULT_SEED,
        "cpu_seconds": round(time.process_time() - start), "digest": rows_digest(name),
        "versions": dict(library_versions()),
    }  # fmt: skip
    return rows, content


def judged(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Tell how far the two type I errors are apart at most, and whether that is near enough."""
    gaps: dict[int, float] = {}
    for patients in PATIENTS:
        own = [row for row in rows if int(row["patients"]) == patients]
        each = np.array([float(row["model"]) - float(row["test"]) for row in own])
        gaps[patients] = float(np.abs(each).max())
    return {
        "largest_gap": {str(n): round(gap, 4) for n, gap in gaps.items()},
        "passed": all(gap <= NEAR[n] + 1e-9 for n, gap in gaps.items()),
    }


def error_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return one row an analysis and number of patients, a pair of columns a place."""
    places = ("mid-scale", "3 SD from the end", "1 SD from the end")
    lines = [
        "| beside | patients | trials a cell | " + " | ".join(places) + " |",
        "|---" * 6 + "|",
    ]
    for name in ANALYSES:
        for patients in PATIENTS:
            own = [
                row for row in rows
                if row["analysis"] == name and int(row["patients"]) == patients
            ]  # fmt: skip
            cells = [f"{float(row['model']):.3f} / {float(row['test']):.3f}" for row in own]
            lines.append(f"| {name} | {patients} | {own[0]['trials']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Make the stale analyses, or all, and the table of the page."""
    summary, path = read_summary(), FOLDER / "type-one-error.csv"
    rows: list[Mapping[str, Any]] = list(read_rows(path)) if path.exists() else []
    stale = parts_to_make(__doc__, parts=list(ANALYSES), stale=stale_analyses(summary))
    FOLDER.mkdir(exist_ok=True)
    for name in stale:
        new, summary[name] = made(name)
        rows = [row for row in rows if row["analysis"] != name] + new
        rows.sort(key=lambda row: list(ANALYSES).index(str(row["analysis"])))
        write_rows(rows, path)
        text = json.dumps({n: summary[n] for n in ANALYSES if n in summary}, indent=1) + "\n"
        (FOLDER / "type-one-error.json").write_text(text, encoding="utf-8")
        print(f"{name}: {summary[name]}", file=sys.stderr, flush=True)
    write_page(PAGE, {"type-one-error": error_table(read_rows(path))})


if __name__ == "__main__":
    main()
