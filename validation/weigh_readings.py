"""Whether weights of readings are true as often as they say; made by `make validation`.

A paper is simulated as the shipped one was: a reading is drawn with equal odds, then 41 patients
with eight correlated endpoints, of whom 13 and 16 complete both periods. Least squares gives the
first-period row and the crossover row by that reading, both are printed with the paper's rounding,
and the weights are computed from print. What is unknown (correlation, SDs, slope) is drawn from
what the weights assume, a stated share of it common to all endpoints. Results go to
`validation/readings/papers.csv` (one row a paper) and `summary.json`, the tables into
`docs/methods/readings.md`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from digests import ROOT, study_digest
from numpy.typing import NDArray
from scipy import special, stats
from study import parts_to_make, write_page

from bayes_ptsd.provenance import DEFAULT_SEED, library_versions
from bayes_ptsd.readings.precision_pairs import RowPair
from bayes_ptsd.readings.weights import (
    CHANGE_CORRELATION,
    DEFAULT,
    LOG_SD_BASELINE,
    READINGS,
    SLOPE,
    foretold_correlation,
    ratio_density,
)

FOLDER = ROOT / "validation" / "readings"
PAGE = ROOT / "docs" / "methods" / "readings.md"
READ = "bayes_ptsd/readings"
CODE: Mapping[str, Sequence[str]] = {
    "validation/weigh_readings.py": ("block_of", "weights_of", "judged"),
    f"{READ}/weights.py": (),
    f"{READ}/precision_pairs.py": (),
    "bayes_ptsd/evidence/readings.py": (),
}
PAPERS, BLOCK = 2000, 200
EXPONENTS = (1 / 8, 1 / 3, 1 / 2, 1.0)
EDGES = (0.0, 0.01, 0.05, 0.2, 0.4, 0.6, 0.75, 0.85, 0.95, 1.0)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """What is true of the simulated papers."""

    name: str
    share: float = 0.5
    free: bool = False


WORLDS = (
    World("as the weights assume, half shared"),
    World("as the weights assume, nothing shared", share=0.0),
    World("as the weights assume, nine tenths shared", share=0.9),
    World("correlation uniform from -1 to 1, half shared", free=True),
)

# Total SD, and whether there is a baseline: the endpoints of the paper. QIDS-SR has 22 and 15
# baselines. Residuals of two endpoints correlate at .5, about what its subscales imply.
SDS = np.array([14.4, 6.5, 6.6, 4.4, 1.14, 1.04, 5.0, 8.3])
BASELINE = np.array([True, True, True, True, True, False, True, True])
ARMS = [(22, 19)] * 6 + [(22, 15)] + [(22, 19)]
COMPLETERS = (13, 16)
BETWEEN = 0.5
EFFECT = 0.5
DECIMALS = 1
# of log ratios: linear between points 0.02 apart, where densities bend by less than 1e-4
GRID = np.linspace(-8.0, 8.0, 801)


def pair_of(endpoint: int) -> RowPair:
    """Return design and degrees of freedom of one endpoint."""
    first, second = ARMS[endpoint]
    design = sum(1 / n for n in COMPLETERS) / (1 / first + 1 / second)
    half = 0.5 * 10.0**-DECIMALS
    return RowPair(
        str(endpoint), "X", "F", (1.0, 1.0), ((half, half), (half, half)), sum(COMPLETERS) - 2.0,
        first + second - 2.0 - BASELINE[endpoint], design, bool(BASELINE[endpoint]),
    )  # fmt: skip


def unknowns(world: World, rng: np.random.Generator) -> dict[str, Array]:
    """Draw what print leaves open, dims (paper, endpoint), a share of it common to endpoints."""
    count = len(SDS)

    def normals() -> Array:
        own, common = rng.normal(size=(BLOCK, count)), rng.normal(size=(BLOCK, 1))
        return np.sqrt(world.share) * common + np.sqrt(1 - world.share) * own

    def uniforms(low: float, high: float) -> Array:
        return low + (high - low) * special.ndtr(normals())

    z = foretold_correlation()
    rho = uniforms(-1.0, 1.0) if world.free else np.tanh(z.mean + z.sd * normals())
    return {
        "rho": rho,
        "q": np.exp(DEFAULT.log_sd_ratio * normals()),
        "r": uniforms(*SLOPE) * BASELINE,
        "b": np.exp(LOG_SD_BASELINE * normals()),
        "rho_c": uniforms(*CHANGE_CORRELATION),
    }


def scores(rng: np.random.Generator, patients: int) -> Array:
    """Draw standard scores that correlate between endpoints, dims (paper, patient, endpoint)."""
    own = rng.normal(size=(BLOCK, patients, len(SDS)))
    common = rng.normal(size=(BLOCK, patients, 1))
    return np.sqrt(BETWEEN) * common + np.sqrt(1 - BETWEEN) * own


def first_period(y: Array, base: Array, active: NDArray[np.bool_]) -> tuple[Array, Array, Array]:
    """Return estimate, standard error and df of the first-period rows, dims (paper, endpoint)."""
    estimate, se = np.empty((2, BLOCK, len(SDS)))
    df = np.array([pair_of(e).df_first for e in range(len(SDS))])
    for e, (first, second) in enumerate(ARMS):
        rows = np.r_[np.flatnonzero(active)[:first], np.flatnonzero(~active)[:second]]
        treated = active[rows]
        score, x = y[:, rows, e], base[:, rows, e] * BASELINE[e]
        gap_y, syy = _within(score, score, treated)
        gap_x, sxx = _within(x, x, treated)
        _, sxy = _within(x, score, treated)
        slope = np.divide(sxy, sxx, out=np.zeros(BLOCK), where=sxx > 0)
        lift = np.divide(gap_x**2, sxx, out=np.zeros(BLOCK), where=sxx > 0)
        estimate[:, e] = -(gap_y - slope * gap_x)
        se[:, e] = np.sqrt((syy - slope * sxy) / df[e] * (1 / first + 1 / second + lift))
    return estimate, se, df


def _within(x: Array, y: Array, treated: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Return the difference of means of y and the cross-product within groups."""
    parts = [(x[:, group], y[:, group]) for group in (treated, ~treated)]
    gap = parts[0][1].mean(axis=1) - parts[1][1].mean(axis=1)
    cross = sum(
        ((one - one.mean(axis=1, keepdims=True)) * (two - two.mean(axis=1, keepdims=True))).sum(1)
        for one, two in parts
    )
    return gap, np.asarray(cross)


def crossover(
    periods: tuple[Array, Array], reading: str, active: NDArray[np.bool_]
) -> tuple[Array, Array]:
    """Return estimate and standard error of the crossover rows by one reading."""
    rows = np.r_[np.flatnonzero(active)[: COMPLETERS[0]], np.flatnonzero(~active)[: COMPLETERS[1]]]
    early = active[rows]
    one, two = (period[:, rows] for period in periods)
    h, df = np.sqrt(sum(1 / n for n in COMPLETERS)), sum(COMPLETERS) - 2

    def squares(values: Array) -> Array:
        """Return the variance pooled within sequences."""
        parts = [values[:, group] for group in (early, ~early)]
        return sum(((v - v.mean(axis=1, keepdims=True)) ** 2).sum(axis=1) for v in parts) / df

    if reading == "carryover_covariate":
        estimate = one[:, ~early].mean(axis=1) - one[:, early].mean(axis=1)
        return estimate, h * np.sqrt((squares(one) + squares(two)) / 2)
    factor = 1.0 if reading.endswith("unhalved") else 0.5
    gap = two - one
    total = gap[:, early].mean(axis=1) - gap[:, ~early].mean(axis=1)
    return factor * total, factor * h * np.sqrt(squares(gap))


def simulated(world: World, block: int) -> tuple[NDArray[np.int64], Array, Array]:
    """Return true readings and printed widths of crossover and first-period intervals."""
    rng = np.random.default_rng([DEFAULT_SEED, WORLDS.index(world), block])
    truth = rng.integers(len(READINGS), size=BLOCK)
    active = np.arange(41) < 22
    u = {name: value[:, None, :] for name, value in unknowns(world, rng).items()}
    y1, e_base, e_late, e_change = (scores(rng, 41) for _ in range(4))
    base = u["b"] * (u["r"] * y1 + np.sqrt(1 - u["r"] ** 2) * e_base)
    y2 = u["q"] * (u["rho"] * y1 + np.sqrt(1 - u["rho"] ** 2) * e_late)
    spread = np.sqrt(1 + u["b"] ** 2 - 2 * u["r"] * u["b"])
    c1 = np.where(BASELINE, y1 - base, y1)
    c2 = u["q"] * (u["rho_c"] * c1 + spread * np.sqrt(1 - u["rho_c"] ** 2) * e_change)
    c2 = np.where(BASELINE, c2, y2)
    for early, late in ((y1, y2), (c1, c2)):
        early -= EFFECT * active[:, None]
        late -= EFFECT * ~active[:, None]
    printed = _rounded_widths(*first_period(SDS * y1, SDS * base, active))
    crossed = np.empty_like(printed)
    for number, reading in enumerate(READINGS):
        pair = (c1, c2) if reading.startswith("change") else (y1, y2)
        found = crossover((SDS * pair[0], SDS * pair[1]), reading, active)
        widths = _rounded_widths(*found, np.full(len(SDS), sum(COMPLETERS) - 2.0))
        crossed[truth == number] = widths[truth == number]
    return truth, crossed, printed


def _rounded_widths(estimate: Array, se: Array, df: Array) -> Array:
    """Return widths of the 95% intervals as printed."""
    half = stats.t.ppf(0.975, df) * se
    return np.round(estimate + half, DECIMALS) - np.round(estimate - half, DECIMALS)


def log_densities(crossed: Array, printed: Array) -> Array:
    """Return the log density of every printed ratio, dims (paper, endpoint, reading).

    As the package computes it, with its average over what is unknown read off a table.
    """
    found = np.empty((*crossed.shape, len(READINGS)))
    for e in range(len(SDS)):
        pair = pair_of(e)
        tables = densities(replace(pair, endpoint=""))
        rounded = [
            replace(pair, widths=(float(x), float(f))).rounded()
            for x, f in zip(crossed[:, e], printed[:, e], strict=True)
        ]
        x, weight = np.array([one for one, _ in rounded]), np.array([w for _, w in rounded])
        for number, table in enumerate(tables):
            found[:, e, number] = np.log((np.interp(x, GRID, table) * weight).sum(axis=1))
    return found


@cache
def densities(pair: RowPair) -> list[Array]:
    """Return the density under each reading on the grid of log ratios."""
    return [ratio_density(GRID, pair, name) for name in READINGS]


def weights_of(log_density: Array, exponent: float) -> Array:
    """Return the weights of every paper, dims (paper, reading)."""
    return np.asarray(special.softmax(exponent * log_density.sum(axis=1), axis=1))


def block_of(world: World, block: int) -> tuple[NDArray[np.int64], Array]:
    """Return true readings and log densities of one block of papers."""
    truth, crossed, printed = simulated(world, block)
    # a width that rounds to nothing would not be printed; one unit is the least
    least = 10.0**-DECIMALS
    return truth, log_densities(np.maximum(crossed, least), np.maximum(printed, least))


def judged(truth: NDArray[np.int64], weight: Array) -> dict[str, Any]:
    """Return mean weight on the true reading and how often weights of each size are true."""
    true = np.arange(len(READINGS)) == truth[:, None]
    place = np.clip(np.digitize(weight, EDGES) - 1, 0, len(EDGES) - 2)
    bins = [
        {
            "from": EDGES[k], "to": EDGES[k + 1], "weights": int((place == k).sum()),
            "mean_weight": round(float(weight[place == k].mean()), 4),
            "true": round(float(true[place == k].mean()), 4),
        }
        for k in range(len(EDGES) - 1)
        if (place == k).any()
    ]  # fmt: skip
    small = weight[:, 0] < 0.01
    return {
        "mean_weight_of_truth": round(float(weight[true].mean()), 4),
        "by_reading": {
            name: round(float(weight[truth == k, k].mean()), 4) for k, name in enumerate(READINGS)
        },
        "largest_is_true": round(float((weight.argmax(axis=1) == truth).mean()), 4),
        "log_score": round(float(np.log(np.maximum(weight[true], 1e-12)).mean()), 4),
        "as_published_below_01": int(small.sum()),
        "as_published_below_01_true": round(float((truth[small] == 0).mean()), 4),
        "bins": bins,
    }


def study(world: World, papers: int = PAPERS) -> tuple[NDArray[np.int64], Array]:
    """Return true readings and log densities of all papers of a world."""
    blocks = [block_of(world, number) for number in range(papers // BLOCK)]
    return np.concatenate([one for one, _ in blocks]), np.concatenate([two for _, two in blocks])


def papers_digest(tree: Path = ROOT) -> str:
    """Return the digest of everything in the tree that decides the results."""
    worlds = [vars(world) for world in WORLDS]
    paper = [SDS.tolist(), BASELINE.tolist(), ARMS, COMPLETERS, BETWEEN, EFFECT, DECIMALS]
    grid = [float(GRID[0]), float(GRID[-1]), len(GRID)]
    settings = [PAPERS, BLOCK, DEFAULT_SEED, EXPONENTS, EDGES, worlds, paper, grid]
    correlations = (tree / READ / "curtin2002" / "correlations.csv").read_text(encoding="utf-8")
    return study_digest(settings, correlations, code=CODE, tree=tree)


def read_summary() -> dict[str, Any]:
    """Return the committed summary; empty where there is none."""
    path = FOLDER / "summary.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def is_stale(summary: Mapping[str, Any], tree: Path = ROOT) -> bool:
    """Return whether the results were made by other weights or another study."""
    return summary.get("digest") != papers_digest(tree)


def write_study() -> dict[str, Any]:
    """Make the study and write rows and summary."""
    start, worlds, frames = time.process_time(), {}, []
    for world in WORLDS:
        truth, density = study(world)
        worlds[world.name] = {
            f"{exponent:.4g}": judged(truth, weights_of(density, exponent))
            for exponent in EXPONENTS
        }
        frame = pd.DataFrame(weights_of(density, DEFAULT.exponent), columns=list(READINGS))
        frames.append(frame.assign(world=world.name, truth=np.array(READINGS)[truth]))
    content = {
        "evidence_kind": "simulated", "papers": PAPERS, "seed": DEFAULT_SEED, "worlds": worlds,
        "cpu_seconds": round(time.process_time() - start, 1), "digest": papers_digest(),
        "versions": dict(library_versions()),
    }  # fmt: skip
    FOLDER.mkdir(exist_ok=True)
    rows = pd.concat(frames).query("world == @WORLDS[0].name").drop(columns="world")
    rows.to_csv(FOLDER / "papers.csv", index=False, float_format="%.5f", lineterminator="\n")
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    (FOLDER / "summary.json").write_text(text, encoding="utf-8")
    return content


def tables(summary: Mapping[str, Any]) -> dict[str, str]:
    """Return the tables of the page."""
    head = ["papers simulated", "power", "mean weight of the true reading", "largest is true",
            "weights .75 to .85: true", "weights .95 and more: true"]  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name, by_power in summary["worlds"].items():
        for power, one in by_power.items():
            bins = {part["from"]: part for part in one["bins"]}
            lines.append(
                f"| {name} | {float(power):.3g} | {one['mean_weight_of_truth']:.2f} "
                f"| {one['largest_is_true']:.2f} | {_cell(bins.get(0.75))} "
                f"| {_cell(bins.get(0.95))} |"
            )
    main = summary["worlds"][WORLDS[0].name][f"{DEFAULT.exponent:.4g}"]
    bins = ["| weight | how many | mean weight | true |", "|---|---|---|---|"]
    bins += [
        f"| {part['from']:g} to {part['to']:g} | {part['weights']} | {part['mean_weight']:.3f} "
        f"| {part['true']:.3f} |"
        for part in main["bins"]
    ]
    return {"weights": "\n".join(lines), "calibration": "\n".join(bins)}


def _cell(part: Mapping[str, Any] | None) -> str:
    """Return how often weights of one size are true, with their number."""
    return "none" if part is None else f"{part['true']:.2f} of {part['weights']}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the study if it is stale, and the tables of the page."""
    summary, parts = read_summary(), ["readings"]
    stale = parts * is_stale(summary)
    if parts_to_make(__doc__, parts=parts, stale=stale, arguments=arguments):
        summary = write_study()
    write_page(PAGE, tables(summary))


if __name__ == "__main__":
    main()
