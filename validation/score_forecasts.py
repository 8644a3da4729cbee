"""Whether Feder and others (2014) foretold later ketamine trials; made by `make validation`.

From the printed first-period rows of that trial alone: the predictive distribution of each later
printed estimate, given its standard error, and of printed counts of responders; scored against
forecasters that know nothing and against the other later trials. The numbers of the later trials
stand in `validation/forecasts/later_trials.csv` with their addresses. Results go to
`validation/forecasts/summary.json`, the tables into `docs/validation/forecasts.md`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from digests import ROOT, study_digest
from numpy.typing import NDArray
from scipy import special, stats
from study import parts_to_make, write_page

from bayes_ptsd.evidence.measures import PrintedResult, printed_result, read_counts
from bayes_ptsd.evidence.published import load_published, select_contrast
from bayes_ptsd.exact.history import Heterogeneity, normal_trials
from bayes_ptsd.exact.meta import normal_mixtures
from bayes_ptsd.exact.mixture import Mixture
from bayes_ptsd.exact.scores import crps_discrete, crps_mixture, log_score_mixture
from bayes_ptsd.exact.summary import likelihood_of
from bayes_ptsd.field.document import pooled_se
from bayes_ptsd.prior_family import resolve_prior
from bayes_ptsd.priors import Prior
from bayes_ptsd.provenance import library_versions
from bayes_ptsd.replication.exchangeable import OwnEffect, other_trial

FOLDER = ROOT / "validation" / "forecasts"
TRIALS = FOLDER / "later_trials.csv"
PAGE = ROOT / "docs" / "validation" / "forecasts.md"
CODE: Mapping[str, Sequence[str]] = {
    "validation/score_forecasts.py": ("scored_estimates", "scored_counts"),
    "bayes_ptsd/exact/scores.py": (),
    "bayes_ptsd/exact/mixture.py": (),
    "bayes_ptsd/exact/meta.py": (),
    "bayes_ptsd/exact/summary.py": ("likelihood_of",),
    "bayes_ptsd/replication/exchangeable.py": (),
    "bayes_ptsd/evidence/measures.py": (),
    "bayes_ptsd/field/document.py": ("pooled_se",),
    "bayes_ptsd/prior_family.py": (),
}
Array = NDArray[np.float64]

# Total SD of the MADRS in trial.toml, and of the IES-R by the three assumptions of its table: 1.0,
# 1.2 and 1.4 times the residual SD of 12, with equal weights.
MADRS_SD, IESR_SDS = 8.3, (12.0, 14.4, 16.8)
# Of the half-normal sd between trials, in SDs of the score: that of the replication priors.
BETWEEN = 0.25
# Largest difference that a scale allows: its range.
MADRS_RANGE, IESR_RANGE = 60.0, 88.0
# Of the vague normal prior, in SDs: the weakly informative component of the replication priors.
WEAK = 2.0
# Components of less weight move no score by 1e-4: together they have less than 1e-3 of the mass.
LEAST = 1e-7
LOG_ODDS_PER_SD = (1.65, np.pi / np.sqrt(3))
"""Log odds ratio of exceeding a cut, by standardized difference of the scores: Cox's 1.65 and the
logistic 1.81, with equal weights."""
# Nodes of the control risk and of the log odds ratio: binomials of 15 are smooth between them.
RISKS, EFFECTS = 200, 801
PRIORS = {"Feder 2014, cochrane": "cochrane", "Feder 2014, flat": "flat"}
"""Forecasters of the one trial, by the prior of its effect."""


def own_effect_of(contrast: str, prior: str, sd: float) -> OwnEffect:
    """Return the treatment difference of a printed row of Feder 2014 under a prior, in points."""
    row = select_contrast(load_published(), contrast).data["effects"].to_dataset()
    likelihood = likelihood_of(row, "T")
    resolved = resolve_prior(prior, sd=sd, se=likelihood.params["sigma"])
    return OwnEffect.of_normal(likelihood, resolved)


def madrs_effect(prior: str) -> Mixture:
    """Return the true MADRS difference of another trial, points."""
    own = own_effect_of("T2.MADR.F", prior, MADRS_SD)
    return kept(other_trial(own, scale=BETWEEN * MADRS_SD))


def ptsd_effect(prior: str) -> Mixture:
    """Return the true PTSD difference of another trial in SDs, from the IES-R, its SD unknown."""
    parts = []
    for sd in IESR_SDS:
        one = other_trial(own_effect_of("T2.IESR.F", prior, sd), scale=BETWEEN * sd)
        parts.append((one.weight / len(IESR_SDS), one.center / sd, one.spread / sd))
    return kept(Mixture(*(np.concatenate(column) for column in zip(*parts, strict=True))))


def kept(found: Mixture) -> Mixture:
    """Return a mixture without its lightest components."""
    keep = found.weight > LEAST
    weight = found.weight[keep]
    return Mixture(weight / weight.sum(), found.center[keep], found.spread[keep])


def uniform_estimate(reach: float, se: float) -> Mixture:
    """Return an estimate whose true difference is anywhere from -reach to reach.

    As normals half a standard error apart, which is exact to rounding but at the ends.
    """
    center = np.linspace(-reach, reach, 2 * int(np.ceil(2 * reach / se)) + 1)
    return Mixture(np.full(len(center), 1 / len(center)), center, np.full(len(center), se))


def normal_effect(sd: float) -> Mixture:
    """Return a normal around no effect."""
    return Mixture(np.ones(1), np.zeros(1), np.array([sd]))


def later_trials() -> pd.DataFrame:
    """Return the table of later trials, empty cells as None."""
    table = pd.read_csv(TRIALS, dtype=str, keep_default_na=False)
    return table.set_index("id")


def result_of(row: Mapping[str, str]) -> PrintedResult:
    """Return a row of the table as a printed result, benefit as print has it."""
    words = {key: value for key, value in row.items() if value != ""}
    words = {key: value if key in ("measure", "counts", "better") else _number(value)
             for key, value in words.items()}  # fmt: skip
    return printed_result(words)


def _number(cell: str) -> float | str:
    """Return a cell as a number where it is one."""
    try:
        return float(cell)
    except ValueError:
        return cell


def estimates() -> dict[str, tuple[float, float]]:
    """Return estimate (benefit up) and standard error of every later MADRS result, by trial.

    That of the normal which has the printed 95% interval.
    """
    table, found = later_trials(), {}
    for name in ("lapidus2014", "lii2023"):
        result = result_of(table.loc[name].to_dict())
        found[str(table.loc[name, "trial"])] = (result.sign * result.estimate, pooled_se(result))
    found["Daly 2018"] = mean_of_arms(table[table["trial"] == "Daly 2018"])
    return found


def mean_of_arms(rows: pd.DataFrame) -> tuple[float, float]:
    """Return the mean of doses compared with one placebo arm, and its standard error.

    The variance of a patient follows from each standard error and the sizes of its arms; the
    differences share the variance of the placebo mean.
    """
    numbers = rows[["estimate", "se", "n_active", "n_control"]].astype(float)
    estimate, se, active, control = numbers.to_numpy().T
    patient = float(np.mean(se**2 / (1 / active + 1 / control)))
    count = len(numbers)
    shared = patient / control[0]
    variance = (float((se**2).sum()) + count * (count - 1) * shared) / count**2
    return float(estimate.mean()), float(np.sqrt(variance))


def field_effect(others: Mapping[str, tuple[float, float]]) -> Mixture:
    """Return the true MADRS difference of a new trial from other trials, flat mean, points."""
    trials = normal_trials(
        list(others), y=[y for y, _ in others.values()], se=[se for _, se in others.values()]
    )
    between = Heterogeneity("half-normal", BETWEEN * MADRS_SD)
    return normal_mixtures(trials, mean=Prior("flat"), heterogeneity=between)[1]


def madrs_forecasts(trial: str) -> dict[str, Mixture]:
    """Return every forecaster's distribution of one trial's printed MADRS estimate, points."""
    found = estimates()
    se = found[trial][1]
    others = {name: value for name, value in found.items() if name != trial}
    row = likelihood_of(
        select_contrast(load_published(), "T2.MADR.F").data["effects"].to_dataset(), "N"
    )
    own = {"Feder 2014": (row.params["mu"], row.params["sigma"])}
    return {
        **{name: madrs_effect(prior).widened(se) for name, prior in PRIORS.items()},
        "flat": uniform_estimate(MADRS_RANGE, se),
        "vague": normal_effect(WEAK * MADRS_SD).widened(se),
        "other later trials": field_effect(others).widened(se),
        "other later trials and Feder 2014": field_effect(own | others).widened(se),
    }


def ptsd_forecasts(se: float) -> dict[str, Mixture]:
    """Return every forecaster's distribution of a printed standardized PTSD difference."""
    return {
        **{name: ptsd_effect(prior).widened(se) for name, prior in PRIORS.items()},
        "flat": uniform_estimate(IESR_RANGE / IESR_SDS[1], se),
        "vague": normal_effect(WEAK).widened(se),
    }


def scored_estimates() -> list[dict[str, Any]]:
    """Return every later estimate with its forecasts and their scores."""
    targets = [(trial, "MADRS at 24 h, points", y, se, madrs_forecasts(trial))
               for trial, (y, se) in estimates().items()]  # fmt: skip
    caps = result_of(later_trials().loc["feder2021_caps"].to_dict())
    targets.append(("Feder 2021", "CAPS-5 at 2 weeks, SDs", caps.estimate, caps.se,
                    ptsd_forecasts(caps.se)))  # fmt: skip
    return [
        {
            "trial": trial, "quantity": quantity, "estimate": y, "se": se,
            "forecasts": {name: scored_mixture(one, y) for name, one in forecasts.items()},
        }
        for trial, quantity, y, se, forecasts in targets
    ]  # fmt: skip


def scored_mixture(predicted: Mixture, y: float) -> dict[str, Any]:
    """Return median, 95% interval, place and scores of one forecast."""
    low, median, high = predicted.quantile([0.025, 0.5, 0.975]).tolist()
    return {
        "median": median, "interval95": [low, high],
        "pit": float(predicted.below(np.array([y]))[0]),
        "log_score": log_score_mixture(predicted, y), "crps": crps_mixture(predicted, y),
    }  # fmt: skip


def log_odds_density(effect: Mixture, grid: Array) -> Array:
    """Return weights of log odds ratios on an even grid, from standardized differences."""
    density = sum(effect.density(grid / per_sd) / per_sd for per_sd in LOG_ODDS_PER_SD)
    weight = np.asarray(density)
    return np.asarray(weight / weight.sum())


def count_forecast(effect: Mixture, active: int, control: int) -> Array:
    """Return the probability of every pair of counts of responders, dims (active, control).

    The control risk is uniform from 0 to 1; the odds of the active arm are those of the control arm
    times the odds ratio; given both risks the counts are two binomials.
    """
    center, reach = effect.mean, 8 * effect.sd
    ends = max(LOG_ODDS_PER_SD) * np.array([center - reach, center + reach])
    grid = np.linspace(*ends, EFFECTS)
    weight = log_odds_density(effect, grid)
    nodes, mass = np.polynomial.legendre.leggauss(RISKS)
    risk, mass = (nodes + 1) / 2, mass / 2
    other = special.expit(special.logit(risk)[:, None] + grid)
    of_control = stats.binom.pmf(np.arange(control + 1), control, risk[:, None])
    of_active = np.stack(
        [stats.binom.pmf(k, active, other) @ weight for k in range(active + 1)], axis=1
    )
    return np.asarray(np.einsum("ra,rc,r->ac", of_active, of_control, mass))


def count_forecasts(active: int, control: int) -> dict[str, Array]:
    """Return every forecaster's probabilities of the two counts of responders."""
    even = np.full((active + 1, control + 1), 1 / ((active + 1) * (control + 1)))
    return {
        **{name: count_forecast(ptsd_effect(prior), active, control)
           for name, prior in PRIORS.items()},
        "flat": even,
        "vague": count_forecast(normal_effect(WEAK), active, control),
    }  # fmt: skip


def scored_counts() -> list[dict[str, Any]]:
    """Return the printed counts of responders with their forecasts and their scores."""
    row = later_trials().loc["feder2021_response"]
    counts = read_counts(str(row["counts"]))
    n = counts.n_active, counts.n_control
    forecasts = count_forecasts(*n)
    return [{
        "trial": "Feder 2021", "quantity": str(row["quantity"]), "counts": counts.text,
        "forecasts": {
            name: scored_table(table, counts.events_active, counts.events_control)
            for name, table in forecasts.items()
        },
    }]  # fmt: skip


def scored_table(table: Array, active: int, control: int) -> dict[str, Any]:
    """Return what one forecast said of two counts: log score of both, CRPS of their difference.

    The difference is that of the shares of responders, active minus control.
    """
    n1, n2 = (size - 1 for size in table.shape)
    gap = np.round(np.arange(n1 + 1)[:, None] / n1 - np.arange(n2 + 1) / n2, 12)
    values, place = np.unique(gap, return_inverse=True)
    probability = np.bincount(place.ravel(), weights=table.ravel())
    observed = round(active / n1 - control / n2, 12)
    below = np.cumsum(probability)
    low, median, high = (float(values[np.searchsorted(below, p)]) for p in (0.025, 0.5, 0.975))
    at = int(np.searchsorted(values, observed))
    return {
        "median": median, "interval95": [low, high],
        "pit": float(below[at] - probability[at] / 2),
        "log_score": float(np.log(table[active, control])),
        "crps": crps_discrete(values, probability, observed),
    }  # fmt: skip


def forecasts_digest(tree: Path = ROOT) -> str:
    """Return the digest of everything in the tree that decides the scores."""
    settings = [MADRS_SD, IESR_SDS, BETWEEN, MADRS_RANGE, IESR_RANGE, WEAK, LEAST,
                LOG_ODDS_PER_SD, RISKS, EFFECTS, PRIORS]  # fmt: skip
    rows = select_contrast(load_published(), "T2.MADR.F").data["effects"].to_dataset()
    other = select_contrast(load_published(), "T2.IESR.F").data["effects"].to_dataset()
    own = [[float(one[name]) for name in ("estimate", "ci_low", "ci_high", "df")]
           for one in (rows, other)]  # fmt: skip
    printed = (tree / TRIALS.relative_to(ROOT)).read_text(encoding="utf-8")
    return study_digest(settings, own, printed, code=CODE, tree=tree)


def read_summary() -> dict[str, Any]:
    """Return the committed summary; empty where there is none."""
    path = FOLDER / "summary.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def is_stale(summary: Mapping[str, Any], tree: Path = ROOT) -> bool:
    """Return whether the scores were made by other numbers or another study."""
    return summary.get("digest") != forecasts_digest(tree)


def write_study() -> dict[str, Any]:
    """Score every forecast and write the summary."""
    content = {
        "evidence_kind": "published", "estimates": scored_estimates(), "counts": scored_counts(),
        "digest": forecasts_digest(), "versions": dict(library_versions()),
    }  # fmt: skip
    text = json.dumps(rounded(content), indent=1, ensure_ascii=False) + "\n"
    (FOLDER / "summary.json").write_text(text, encoding="utf-8")
    return content


def rounded(value: Any) -> Any:
    """Return a document with its numbers to eight decimals."""
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [rounded(one) for one in value]
    return round(value, 8) if isinstance(value, float) else value


def tables(summary: Mapping[str, Any]) -> dict[str, str]:
    """Return the tables of the page."""
    head = ["trial, what was printed", "forecaster", "median", "95% interval", "PIT", "log score",
            "CRPS"]  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for one in (*summary["estimates"], *summary["counts"]):
        printed = one.get("counts") or f"{one['estimate']:.3g} (SE {one['se']:.3g})"
        for position, (name, told) in enumerate(one["forecasts"].items()):
            first = f"**{one['trial']}**, {one['quantity']}: {printed}" if not position else ""
            # adding 0 takes the minus from a rounded zero
            low, high, middle = (round(x, 2) + 0.0 for x in (*told["interval95"], told["median"]))
            lines.append(
                f"| {first} | {name} | {middle:.2f} | {low:.2f} to {high:.2f} "
                f"| {told['pit']:.3f} | {told['log_score']:.2f} | {told['crps']:.3f} |"
            )
    return {"forecasts": "\n".join(lines), "sums": _sums(summary)}


def _sums(summary: Mapping[str, Any]) -> str:
    """Return the table of sums over the MADRS results, and over everything that all predicted."""
    head = ["forecaster", "log score, MADRS", "mean CRPS, MADRS", "log score, all five"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    madrs = [one for one in summary["estimates"] if one["quantity"].startswith("MADRS")]
    every = [*summary["estimates"], *summary["counts"]]
    for name in madrs[0]["forecasts"]:
        own = [one["forecasts"][name] for one in madrs]
        told = [one["forecasts"].get(name) for one in every]
        whole = "-" if None in told else f"{sum(one['log_score'] for one in told if one):.2f}"
        lines.append(
            f"| {name} | {sum(one['log_score'] for one in own):.2f} "
            f"| {np.mean([one['crps'] for one in own]):.2f} | {whole} |"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the study if it is stale, and the tables of the page."""
    summary, parts = read_summary(), ["forecasts"]
    stale = parts * is_stale(summary)
    if parts_to_make(__doc__, parts=parts, stale=stale, arguments=arguments):
        summary = write_study()
    write_page(PAGE, tables(summary))


if __name__ == "__main__":
    main()
