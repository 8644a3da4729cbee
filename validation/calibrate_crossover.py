"""The calibration study of the crossover models; made by `make validation`, committed with digests.

Parts whose digest still holds are kept; `--all` makes every part anew, `--check` only says which
parts are stale. `--confirm` is for code that was rearranged without changing a number: a stale part
of the exact engine is kept, and says so, if its first simulations come out the same. Ranks,
operating characteristics, type I errors and summary go to `validation/crossover/`, the tables into
`docs/validation/calibration.md`.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from digests import DENSITY, DRAWN, EXACT, ROOT, TESTED, study_digest
from scipy import stats
from study import write_page

from bayes_ptsd.calibration.decisions import DECISION, operating_characteristics
from bayes_ptsd.calibration.document import characteristics_rows, model_document, ranks_document
from bayes_ptsd.calibration.pattern import trial_pattern
from bayes_ptsd.calibration.ranks import exact_engine, simulated_ranks
from bayes_ptsd.calibration.scenarios import Scenario, scenario_grid
from bayes_ptsd.calibration.work import BLOCK, seed_of
from bayes_ptsd.evidence.pairs import CrossoverPairs
from bayes_ptsd.frequentist import reml_crossover
from bayes_ptsd.models_files import load_model
from bayes_ptsd.patient_scale import OccasionScale, endpoint_scale, in_score_units, occasion_scale
from bayes_ptsd.plots.ranks import ranks_figure
from bayes_ptsd.priors import FloatArray, Prior, normal
from bayes_ptsd.provenance import DEFAULT_SEED, library_versions
from bayes_ptsd.scaled_priors import ScaledPrior
from bayes_ptsd.structures.crossover.exact import crossover_batch
from bayes_ptsd.structures.crossover.model import CrossoverModel, crossover_model
from bayes_ptsd.trial import Endpoint

RESULTS = ROOT / "validation" / "crossover"
PAGE = ROOT / "docs" / "validation" / "calibration.md"

DRAWS = 100
# A location taken from the data is no prior that a truth can be drawn from: it is stated.
STATED = {"level": normal(50, 10), "period_effect": normal(0, 10)}
# Of a thousand truths under the shipped priors some have a correlation so near 1, or periods so
# unlike, that the quadrature refuses the trial; ranks of the others alone would be selected.
STATED_SPREAD = {
    "sd_period": ScaledPrior(Prior("log_normal", {"mu": 0.0488, "sigma": 0.5})),
    "correlation": Prior("beta", {"shape1": 2.0, "shape2": 2.0}),
}
RANKS = {
    "crossover-exact": ("crossover", "exact", 1000),
    "crossover-bivariate-exact": ("crossover-bivariate", "exact", 1000),
    "crossover-nuts": ("crossover", "nuts", 200),
    "crossover-bivariate-nuts": ("crossover-bivariate", "nuts", 200),
}
DECISIONS = {
    "crossover": ("crossover", "reference", 2000),
    "crossover, skeptical prior": ("crossover", "skeptical", 2000),
    "crossover-carryover": ("crossover-carryover", "reference", 2000),
    "crossover-bivariate": ("crossover-bivariate", "reference", 500),
}
SCENARIOS = [
    *scenario_grid(treatment=(0.0, 0.3, 0.6, 0.9), carryover=(0.0, 0.4)),
    *(Scenario(t, correlation=r) for r in (-0.3, 0.2, 0.8) for t in (0.0, 0.6)),
    *(Scenario(t, sd_ratio=1.5) for t in (0.0, 0.6)),
    *(Scenario(t, crossing="informative") for t in (0.0, 0.6)),
]

# Trials without effect: patients by sequence, how many of them have both periods, trials.
ERRORS = {
    "6 + 6": ((6, 6), (6, 6), 2000),
    "9 + 4": ((9, 4), (9, 4), 2000),
    "12 + 12": ((12, 12), (12, 12), 2000),
    "20 + 20": ((20, 20), (20, 20), 2000),
    "22 + 19": ((22, 19), (22, 19), 2000),
    "22 + 19, both periods 13 + 16": ((22, 19), (13, 16), 2000),
}
# Mean score on a scale from 0 to 100 with SD 10 and correlation 1/2; scores are whole numbers.
PLACES = {"mid-scale": 50.0, "3 SD from an end": 30.0, "1 SD from an end": 10.0}
SCALE_SD = 10.0

# What the numbers of each kind of part are made by, beside their models: code and kept answers.
SCRIPT = "validation/calibrate_crossover.py"
CALIBRATION = "bayes_ptsd/calibration"
COMMON = {SCRIPT: ("model_of",), f"{CALIBRATION}/work.py": (), f"{CALIBRATION}/pattern.py": ()}
SOURCES: Mapping[str, Mapping[str, Sequence[str]]] = {
    "exact": {},
    "nuts": {f"{CALIBRATION}/nuts.py": ()},
    "ranks": {f"{CALIBRATION}/ranks.py": ()},
    "decisions": {f"{CALIBRATION}/scenarios.py": (), f"{CALIBRATION}/decisions.py": ()},
    "errors": {SCRIPT: ("model_of", "error_row")},
}
ANSWERS = {"exact": EXACT, "nuts": DENSITY, "ranks": DRAWN, "decisions": (), "errors": TESTED}


def model_of(name: str, prior: str | None = None) -> CrossoverModel:
    """Return a shipped model with the pattern of the published trial.

    Under a prior of the family as it is shipped, its location that of the placeholders, around
    which scores are simulated; without one with the stated location that ranks need.
    """
    spec = load_model(name)
    stated = STATED | (STATED_SPREAD if "correlation" in spec.parameters else {})
    spec = spec.having(priors=stated) if prior is None else spec.under(prior)
    return crossover_model(trial_pattern(), spec)


def digest_of(
    kinds: Sequence[str], model: CrossoverModel, settings: Any, *, tree: Path = ROOT
) -> str:
    """Return the digest of everything that decides a part of the study."""
    code = dict(COMMON)
    for kind in kinds:
        code |= SOURCES[kind]
    parts = [part for kind in kinds for part in ANSWERS[kind]]
    return study_digest(
        model_document(model), settings, DEFAULT_SEED, code=code,
        answers={model.spec.name: parts}, tree=tree,
    )  # fmt: skip


def digests(tree: Path = ROOT) -> dict[str, str]:
    """Return the digest of every part as the tree stands now."""
    found = {
        f"ranks {name}": digest_of(("ranks", engine), model_of(model), [count, DRAWS], tree=tree)
        for name, (model, engine, count) in RANKS.items()
    }
    truths = [vars(scenario) for scenario in SCENARIOS]
    found["errors crossover"] = digest_of(
        ("errors", "exact"), model_of("crossover", "reference"),
        [ERRORS, PLACES, SCALE_SD, DECISION],
        tree=tree,
    )  # fmt: skip
    return found | {
        f"decisions {name}": digest_of(
            ("decisions", "exact"), model_of(model, prior), [count, truths], tree=tree
        )
        for name, (model, prior, count) in DECISIONS.items()
    }


def read_summary() -> dict[str, Any]:
    """Return the committed summary; empty where there is none."""
    path = RESULTS / "summary.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def stale_parts(summary: Mapping[str, Any], tree: Path = ROOT) -> list[str]:
    """Return the parts that were made by another model, engine or study."""
    return [
        name
        for name, digest in digests(tree).items()
        if summary.get(name, {}).get("digest") != digest
    ]


def confirmed(part: str, content: Mapping[str, Any]) -> int:
    """Return how many simulations of a committed exact part came out the same; 0 if it is another.

    The model with its priors and pattern, and the study, must be the committed ones.
    """
    kind, _, name = part.partition(" ")
    if kind == "errors":
        return 0  # made in a minute
    if kind == "decisions":
        model_name, prior, count = DECISIONS[name]
        model = model_of(model_name, prior)
    else:
        model_name, engine, count = RANKS[name]
        model = model_of(model_name)
        if engine != "exact":
            return 0
    same = model_document(model).items() <= content.items() and content["simulations"] == count
    if not same or content["seed"] != DEFAULT_SEED:
        return 0
    return _same_ranks(name, model) if kind == "ranks" else _same_decisions(name, model, count)


def _same_ranks(name: str, model: CrossoverModel) -> int:
    """Return the size of the first blocks if their ranks are the committed ones."""
    count = 2 * BLOCK
    found = simulated_ranks(model, count, draws=DRAWS)["rank"].values.tolist()
    rows = read_rows(RESULTS / f"ranks-{name}.csv")[:count]
    return count if found == [[int(v) for v in list(row.values())[1:]] for row in rows] else 0


def _same_decisions(name: str, model: CrossoverModel, count: int) -> int:
    """Return the trials of one scenario if its row, and all truths, are the committed ones."""
    rows = read_rows(RESULTS / f"decisions-{_slug(name)}.csv")
    truths = [{key: _text(value) for key, value in vars(one).items()} for one in SCENARIOS]
    if [{key: row[key] for key in truths[0]} for row in rows] != truths:
        return 0
    found = characteristics_rows(operating_characteristics(model, SCENARIOS[2:3], count))[0]
    again = {key: _text(value) for key, value in found.items()}
    return count if again == rows[2] else 0


def make_ranks(name: str, executor: Any, workers: int) -> dict[str, Any]:
    """Compute one set of ranks; write its table and figure."""
    model_name, engine, count = RANKS[name]
    model = model_of(model_name)
    start = time.perf_counter()
    ranks = simulated_ranks(
        model, count, engine=_engine(engine), draws=DRAWS, executor=executor,
        parts=workers if engine == "nuts" and executor else None, progress=_teller(name),
    )  # fmt: skip
    seconds = time.perf_counter() - start
    write_ranks(ranks, RESULTS / f"ranks-{name}.csv")
    figure = ranks_figure(ranks, title=f"{model_name}, {engine}")
    figure.savefig(RESULTS / f"ranks-{name}.png", dpi=110, metadata={"Software": None})
    return {**model_document(model), "engine": engine, **ranks_document(ranks), "seconds": seconds}


def make_decisions(name: str, executor: Any) -> dict[str, Any]:
    """Compute the operating characteristics of one analysis."""
    model_name, prior, count = DECISIONS[name]
    model = model_of(model_name, prior)
    start = time.perf_counter()
    found = operating_characteristics(
        model, SCENARIOS, count, executor=executor, progress=_teller(name)
    )
    rows = characteristics_rows(found)
    write_rows(rows, RESULTS / f"decisions-{_slug(name)}.csv")
    seconds = time.perf_counter() - start
    return {**model_document(model), "simulations": count, "seconds": seconds}


def null_trials(size: str, place: str) -> FloatArray:
    """Simulate trials without effect, dims (trial, subject, period), active first at the front."""
    (first, second), both, count = ERRORS[size]
    key = [list(ERRORS).index(size), list(PLACES).index(place)]
    rng = np.random.default_rng(seed_of(DEFAULT_SEED, *key))
    subject = rng.normal(size=(count, first + second, 1))
    noise = (subject + rng.normal(size=(count, first + second, 2))) * SCALE_SD / np.sqrt(2)
    score = np.clip(np.round(PLACES[place] + noise), 0, 100)
    score[:, both[0] : first, 1] = np.nan
    score[:, first + both[1] :, 1] = np.nan
    return np.asarray(score)


def benefit_of(score: FloatArray, active_first: Any) -> tuple[FloatArray, FloatArray]:
    """Return posterior means and P(benefit) of trials under `crossover`, priors as shipped.

    Each trial is moved to its own location and divided by its own SD, which is what the priors of a
    model file do, so that all trials have the same priors.
    """
    spec, endpoint = load_model("crossover"), Endpoint("y", "Y", "continuous", "higher",
                                                       reference_sd=SCALE_SD)  # fmt: skip
    moved, units = [], []
    for table in score:
        arms = [[table[active_first == one, p] for one in (True, False)] for p in (0, 1)]
        _, scale, _ = endpoint_scale(endpoint, arms[0], occasion="first-period")
        late = occasion_scale(arms[1], least_sd=scale.sd)
        moved.append((table - [scale.location, late.location]) / scale.sd)
        units.append(scale.sd)
    unit = OccasionScale(1.0, 0.0)
    priors = {
        name: in_score_units(spec.priors[name], scale=unit, reference_sd=1.0,
                             standard_error=lambda: np.nan)
        for name in spec.parameters
    }  # fmt: skip
    pairs = CrossoverPairs(np.stack(moved), active_first, np.arange(len(active_first)))
    table = crossover_batch(pairs, priors).sel(estimand="treatment_difference")
    benefit = table["prob_greater"].sel(threshold=0.0)
    return np.asarray(table["mean"].values * units), np.asarray(benefit.values)


def tested(score: FloatArray, active_first: Any) -> tuple[FloatArray, FloatArray]:
    """Return estimates and one-sided P values of the t test; REML where periods are missing."""
    if np.isnan(score).any():
        rows = [
            reml_crossover(CrossoverPairs(one, active_first, np.arange(len(active_first))))
            .sel(estimand="treatment_difference")
            for one in score
        ]  # fmt: skip
        estimate, se, df = (np.array([float(row[key]) for row in rows])
                            for key in ("estimate", "se", "df"))  # fmt: skip
        return estimate, stats.t.sf(estimate / se, df)
    change = score[:, :, 0] - score[:, :, 1]
    found = stats.ttest_ind(change[:, active_first], change[:, ~active_first], axis=1,
                            alternative="greater")  # fmt: skip
    mean = [change[:, chosen].mean(axis=1) for chosen in (active_first, ~active_first)]
    return (mean[0] - mean[1]) / 2, found.pvalue


def error_row(size: str, place: str) -> dict[str, Any]:
    """Return both type I errors of one cell, on the same trials."""
    score = null_trials(size, place)
    active_first = np.repeat([True, False], ERRORS[size][0])
    mean, benefit = benefit_of(score, active_first)
    estimate, p_value = tested(score, active_first)
    taken, rejected = benefit > DECISION, p_value < 1 - DECISION
    return {
        "patients": size,
        "place": place,
        "trials": len(score),
        "posterior": float(taken.mean()),
        "test": float(rejected.mean()),
        "difference": float(taken.mean() - rejected.mean()),
        "largest_shift": float(np.abs(mean - estimate).max()),
    }


def make_errors(name: str) -> dict[str, Any]:
    """Compute the type I errors of every cell."""
    start, rows = time.perf_counter(), []
    for size in ERRORS:
        for place in PLACES:
            rows.append(error_row(size, place))
            print(rows[-1], file=sys.stderr, flush=True)
    write_rows(rows, RESULTS / f"errors-{name}.csv")
    document = model_document(model_of(name, "reference"))
    return {**document, "decision": DECISION, "seconds": time.perf_counter() - start}


def write_ranks(ranks: xr.Dataset, path: Path) -> None:
    """Write ranks, one row a simulation."""
    table = ranks["rank"].to_series().unstack("quantity")
    table[list(ranks["quantity"].values)].to_csv(path, lineterminator="\n")


def write_rows(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write rows with six significant digits."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(rows[0])
        for row in rows:
            writer.writerow(_text(value) for value in row.values())


def _text(value: Any) -> str:
    """Return a cell."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a committed table."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def page_tables(summary: Mapping[str, Any]) -> dict[str, str]:
    """Return the tables of the page, made from the committed results alone."""
    tables = {"ranks": _ranks_table(summary), "sampler": _sampler_table(summary)}
    tables["errors"] = _errors_table()
    for figure, error in (("probability", "probability_error"), ("coverage", "coverage_error"),
                          ("bias", "bias_error")):  # fmt: skip
        tables[figure] = _decisions_table(figure, error)
    return tables


def _ranks_table(summary: Mapping[str, Any]) -> str:
    """Return one row a set of ranks."""
    lines = ["| model | engine | simulations | quantities | inside | smallest P |",
             "|---|---|---|---|---|---|"]  # fmt: skip
    for name in RANKS:
        part = summary[f"ranks {name}"]
        rows = part["quantities"]
        least = min(rows, key=lambda row: row["p_value"])
        inside = sum(row["inside"] for row in rows)
        lines.append(
            f"| `{part['model']}` | {part['engine']} | {part['simulations']} | {len(rows)} "
            f"| {inside} | {least['p_value']:.3f} (`{least['quantity']}`) |"
        )
    return "\n".join(lines)


def _sampler_table(summary: Mapping[str, Any]) -> str:
    """Return what the chains of the sampled studies looked like."""
    lines = ["| model | fits | R-hat 1.01 or more | bulk ESS below 400 | with divergences |",
             "|---|---|---|---|---|"]  # fmt: skip
    for name in RANKS:
        part = summary[f"ranks {name}"]
        if "sampler" in part:
            cells = [f"`{part['model']}`", part["simulations"], *part["sampler"].values()]
            lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def _errors_table() -> str:
    """Return one row a size of trials, with both type I errors at each place of the scale."""
    table = read_rows(RESULTS / "errors-crossover.csv")
    rows = {(row["patients"], row["place"]): row for row in table}
    lines = [f"| patients by sequence | {' | '.join(PLACES)} |", "|---" * (1 + len(PLACES)) + "|"]
    for size in ERRORS:
        cells = [rows[size, place] for place in PLACES]
        shown = [f"{float(c['posterior']):.3f} v {float(c['test']):.3f}" for c in cells]
        lines.append("| " + " | ".join([size, *shown]) + " |")
    return "\n".join(lines)


def _decisions_table(figure: str, error: str) -> str:
    """Return one row a scenario and one column an analysis."""
    tables = {name: read_rows(RESULTS / f"decisions-{_slug(name)}.csv") for name in DECISIONS}
    digits = 2 if figure == "bias" else 3
    head = ["effect", "carryover", "correlation", "sd ratio", "crossing", *DECISIONS]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for number in range(len(SCENARIOS)):
        first = next(iter(tables.values()))[number]
        cells = [first[key] for key in ("treatment", "carryover", "correlation", "sd_ratio")]
        cells.append(first["crossing"])
        for rows in tables.values():
            row = rows[number]
            value = round(float(row[figure]), digits) + 0.0  # no minus before a zero
            cells.append(f"{value:.{digits}f} ({float(row[error]):.{digits}f})")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _engine(name: str) -> Any:
    """Return the engine of that name."""
    if name == "exact":
        return exact_engine
    from bayes_ptsd.calibration.nuts import nuts_engine

    return nuts_engine


def _slug(name: str) -> str:
    """Return a name as part of a file name."""
    return re.sub(r"[^a-z]+", "-", name.lower())


def _teller(name: str) -> Callable[[int, int], None]:
    """Return what tells of the progress, ten times."""

    def tell(done: int, total: int) -> None:
        if done * 10 // total > (done - 1) * 10 // total:
            print(f"{name}: {done} of {total}", file=sys.stderr, flush=True)

    return tell


@contextmanager
def _pool(workers: int) -> Iterator[Any]:
    """Yield processes to share the work among, none for one."""
    if workers == 1:
        yield None
        return
    from bayes_ptsd.processes import WorkerPool

    with WorkerPool(workers) as executor:
        yield executor


def _write_summary(summary: Mapping[str, Any], parts: Mapping[str, str]) -> None:
    """Write the summary of the parts that the study has."""
    kept = {name: summary[name] for name in parts if name in summary}
    text = json.dumps(kept, indent=1, ensure_ascii=False) + "\n"
    (RESULTS / "summary.json").write_text(text, encoding="utf-8")


def main() -> None:
    """Make the stale parts, or all, and the page's tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="make every part anew")
    parser.add_argument("--check", action="store_true", help="say what is stale and stop")
    parser.add_argument("--confirm", action="store_true", help="keep what comes out the same")
    parser.add_argument("--workers", type=int, default=1, help="processes that share the work")
    asked = parser.parse_args()
    summary = read_summary()
    stale = list(digests()) if asked.all else stale_parts(summary)
    print(f"stale: {', '.join(stale) or 'nothing'}", file=sys.stderr)
    if asked.check:
        raise SystemExit(1 if stale else 0)
    current = digests()
    RESULTS.mkdir(exist_ok=True)
    with _pool(asked.workers) as executor:
        for part in sorted(stale, key=lambda one: one.endswith("-nuts")):
            old = summary.get(part)
            if asked.confirm and old and (count := confirmed(part, old)):
                print(f"{part}: {count} simulations came out the same", file=sys.stderr)
                made_by = old.get("made_by", old["digest"])
                summary[part] = old | {
                    "digest": current[part], "made_by": made_by, "confirmed_simulations": count
                }  # fmt: skip
                _write_summary(summary, current)
                continue
            kind, _, name = part.partition(" ")
            if kind == "ranks":
                made = make_ranks(name, executor, asked.workers)
            else:
                made = make_errors(name) if kind == "errors" else make_decisions(name, executor)
            made |= {"seed": DEFAULT_SEED, "workers": asked.workers, "digest": current[part]}
            summary[part] = made | {"versions": dict(library_versions())}
            _write_summary(summary, current)
    write_page(PAGE, page_tables(summary))
    print(f"decision: P(benefit) > {DECISION}; results in {RESULTS}", file=sys.stderr)


if __name__ == "__main__":
    main()
