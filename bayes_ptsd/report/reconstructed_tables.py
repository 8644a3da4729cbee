"""Tables of models of reconstructed patients, for the page and as numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import pandas as pd
import xarray as xr

from bayes_ptsd.evidence.readings import FLOW_READINGS
from bayes_ptsd.reconstruction.plan import READINGS
from bayes_ptsd.reconstruction.release import OTHER_PRIORS
from bayes_ptsd.report.contents import Contents
from bayes_ptsd.report.markup import ABSENT, interval_text, number, probability
from bayes_ptsd.report.table import table_html

__all__ = [
    "by_model",
    "check_lines",
    "estimand_frame",
    "estimand_table",
    "reading_table",
    "readings_frame",
    "sampled_frame",
    "sampled_table",
    "sets_frame",
    "two_column_table",
]

DIFFERENCE = "treatment_difference"
ORDER = (
    "first-period", "crossover-completers", "crossover", "crossover-bivariate",
    "crossover-carryover", "crossover-student-t", "longitudinal", "longitudinal-ar",
)  # fmt: skip
NAMED = ("model", "prior", "engine", "crossover_reading", "flow_reading", "reconstructions")
SCALARS = (
    "mean", "sd", "low", "high", "prob_benefit", "prob_gt_mcid", "within_sd", "between_sd",
    "between_set_share", "between_set_share_mcse",
)  # fmt: skip
BETWEEN = (
    "between sets: share of the variance that lies between the means of the sets. They come from a "
    "search that rejects what does not print, under nuisance priors that the models do not share: "
    "it says how far these sets disagree, and is no fraction of missing information."
)
FILES = (
    "between files: least and largest pooled mean over sets made under four files of nuisance "
    "priors (the default, wide, low and high correlation) and under the registry's flow of "
    "patients, where the models were fitted to all of them."
)
HEADS = ("mean (95% interval)", "P(benefit)", "P(> MCID)", "between sets", "between files")
Result = TypeVar("Result", dict[str, Any], xr.DataTree)


def by_model(results: Sequence[Result]) -> list[Result]:
    """Return results in the order of their models on the page."""

    def place(one: Result) -> int:
        named: Mapping[Any, Any] = one if isinstance(one, dict) else one.attrs
        model = str(named["model"])
        return ORDER.index(model) if model in ORDER else len(ORDER)

    return sorted(results, key=place)


def readings_frame(entries: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return every pooled treatment difference as a line of numbers."""
    lines = []
    for entry in entries:
        one = entry["summary"][DIFFERENCE]
        keys = ("mean", "sd", "prob_benefit", "prob_gt_mcid", *SCALARS[6:])
        lines.append(
            {key: entry[key] for key in NAMED}
            | {"nuisance_priors": entry.get("nuisance_priors") or "reconstruction"}
            | {key: one[key] for key in keys}
            | dict(zip(("low", "high"), one["eti95"], strict=True))
            | {"checks_passed": entry["checks_passed"], "result_id": entry["result_id"],
               "evidence_kind": entry["evidence_kind"]}
        )  # fmt: skip
    return pd.DataFrame(lines)


def two_column_table(
    contents: Contents,
    entries: Sequence[Mapping[str, Any]],
    kind: str,
    *,
    files: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Return the first-period and crossover models under both headline readings.

    `files` are the results of sets made under other nuisance priors.
    """
    chosen = {
        (entry["model"], entry["prior"], entry["crossover_reading"]): entry
        for entry in sorted(entries, key=lambda entry: entry["engine"] != "nuts")
        if entry["flow_reading"] == "paper" and not entry["model"].startswith("longitudinal")
    }
    digits = _digits(contents)
    lines = []
    shown = dict.fromkeys((str(entry["model"]), str(entry["prior"])) for entry in entries)
    for model, prior in (one for one in shown if (*one, READINGS[0]) in chosen):
        line = {"prior": f"{prior} prior", "model": model}
        for reading in READINGS[:2]:
            entry = chosen.get((model, prior, reading))
            cells = [ABSENT] * len(HEADS) if entry is None else _cells(entry, digits)
            if entry is not None:
                cells.append(_between_files(entry, [*entries, *files], digits))
            line |= {f"{reading}|{head}": cell for head, cell in zip(HEADS, cells, strict=True)}
        lines.append(line)
    if not lines:
        return ""
    frame = pd.DataFrame(lines).sort_values("prior", kind="stable")
    return table_html(
        frame,
        caption=f"Pooled treatment difference, {_label(contents)}, under both readings of the "
        "crossover; the flow of patients as in the paper.",
        kind=kind, name="reconstructed-readings", group="prior", stub="model",
        spanners={_words(reading): [f"{reading}|{head}" for head in HEADS]
                  for reading in READINGS[:2]},
        notes=[
            BETWEEN, FILES,
            "A model without an exact engine is sampled, under the reference prior only. The "
            "first-period row does not depend on how the crossover is read.",
        ],
    )  # fmt: skip


def reading_table(contents: Contents, entries: Sequence[Mapping[str, Any]], kind: str) -> str:
    """Return all readings side by side, by flow of patients and prior."""
    found: dict[tuple[str, str, str], dict[str, str]] = {}
    for entry in entries:
        if entry["engine"] == "exact":
            key = (entry["flow_reading"], entry["prior"], entry["model"])
            text = _mean_text(entry, _digits(contents))
            found.setdefault(key, {})[entry["crossover_reading"]] = text
    places = {key: place for place, key in enumerate(found)}
    flows = list(FLOW_READINGS)
    ranked = sorted(found, key=lambda key: (flows.index(key[0]), key[1], places[key]))
    lines = [
        {"flow": f"flow of patients as in the {flow}, {prior} prior", "model": model}
        | {_words(one): found[flow, prior, model].get(one, ABSENT) for one in READINGS}
        for flow, prior, model in ranked
    ]
    if not lines:
        return ""
    return table_html(
        pd.DataFrame(lines),
        caption=f"All readings side by side: mean (95% interval), {_label(contents)}.",
        kind=kind, name="reconstructed-readings", group="flow", stub="model",
    )  # fmt: skip


def sampled_frame(sampled: Sequence[xr.DataTree]) -> pd.DataFrame:
    """Return the pooled treatment difference and the checks of each sampled model as numbers."""
    lines = []
    for fit in sampled:
        pooled = fit["pooled"].to_dataset().sel(estimand=DIFFERENCE)
        checks = fit["fits"].to_dataset()
        lines.append(
            {key: fit.attrs[key] for key in NAMED}
            | {key: float(pooled[key]) for key in SCALARS}
            | {"rhat_max": float(checks["rhat_max"].max()),
               "ess_bulk_min": float(checks["ess_bulk_min"].min()),
               "ess_tail_min": float(checks["ess_tail_min"].min()),
               "divergences": int(checks["divergences"].sum()),
               "passed": int(checks["passed"].sum()), "fits": checks.sizes["reconstruction"],
               "result_id": fit.attrs["result_id"], "evidence_kind": fit.attrs["evidence_kind"]}
        )  # fmt: skip
    return pd.DataFrame(lines)


def sampled_table(contents: Contents, sampled: Sequence[xr.DataTree], kind: str) -> str:
    """Return the sampled models as texts: posterior, variance parts and checks."""
    digits = _digits(contents)
    lines = [
        {
            "reading": f"sets that print the crossover {_words(line['crossover_reading'])}",
            "model": line["model"],
            "mean (95% interval)": f"{number(line['mean'], digits)} "
            f"({interval_text(line['low'], line['high'], digits)})",
            "P(benefit)": probability(line["prob_benefit"]),
            "P(> MCID)": probability(line["prob_gt_mcid"]),
            "within": number(line["within_sd"], 2),
            "between": number(line["between_sd"], 2),
            "total": number(line["sd"], 2),
            "between sets": f"{number(line['between_set_share'], 3)} \N{PLUS-MINUS SIGN} "
            f"{number(line['between_set_share_mcse'], 3)}",
            "R-hat": number(line["rhat_max"], 3),
            "ESS": number(min(line["ess_bulk_min"], line["ess_tail_min"]), 0),
            "divergences": str(line["divergences"]),
            "passed": f"{line['passed']} of {line['fits']}",
        }
        for line in sampled_frame(sampled).to_dict("records")
    ]
    return table_html(
        pd.DataFrame(lines),
        caption=f"Sampled on every set and pooled, {_label(contents)}; reference prior.",
        kind=kind, name="reconstructed-sampled", group="reading", stub="model",
        spanners={"standard deviation": ["within", "between", "total"],
                  "checks of the fits": ["R-hat", "ESS", "divergences", "passed"]},
        notes=[
            "within, between: root mean variance of the sets' posteriors, and standard deviation "
            "of their means.",
            f"{BETWEEN} Its Monte Carlo error is from the number of sets; what other nuisance "
            "priors do to it stands in the table with two columns.",
            "R-hat is the largest and ESS the least of any parameter in "
            "any fit; divergences are summed. The crossover rows change in score units with the "
            "reading: every one of them stands in the table with two columns."
        ],
    )  # fmt: skip


def check_lines(fit: xr.DataTree) -> list[str]:
    """Say which checks of a pooled result's fits failed, with reason, and which warned."""
    checks = fit["fits"].to_dataset()
    count = checks.sizes["reconstruction"]
    failed = [
        f"set {place + 1} failed: {reason}"
        for place, reason in enumerate(map(str, checks["reason"].values))
        if reason
    ]
    names = [name for text in checks["warned"].values for name in str(text).split(", ") if name]
    warned = [f"{name} warned in {n} of {count} sets" for name, n in Counter(names).most_common()]
    return [*(failed or ["every required check passed"]), *warned]


def estimand_frame(sampled: Sequence[xr.DataTree]) -> pd.DataFrame:
    """Return every pooled estimand of the sampled models as numbers."""
    frames = []
    for fit in sampled:
        pooled = fit["pooled"].to_dataset()[[*SCALARS, "unit"]]
        frame = pooled.to_dataframe().reset_index()
        frames.append(frame.assign(**{key: fit.attrs[key] for key in (*NAMED, "evidence_kind")}))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def estimand_table(contents: Contents, sampled: Sequence[xr.DataTree], kind: str) -> str:
    """Return the estimands beside the treatment difference as texts."""
    lines = [
        {
            "model": f"{line['model']}, {_words(line['crossover_reading'])}",
            "estimand": str(line["estimand"]).replace("_", " "),
            "mean": number(line["mean"], 2),
            "sd": number(line["sd"], 2),
            "95% interval": interval_text(line["low"], line["high"], 2),
            "P(benefit)": probability(line["prob_benefit"]),
            "between sets": number(line["between_set_share"], 3),
        }
        for line in estimand_frame(sampled).to_dict("records")
        if line["estimand"] != DIFFERENCE
    ]
    return table_html(
        pd.DataFrame(lines), caption=f"Every other estimand, pooled, {_label(contents)}.",
        kind=kind, name="reconstructed-estimands", group="model", stub="estimand",
        notes=[BETWEEN],
    )  # fmt: skip


def sets_frame(sampled: Sequence[xr.DataTree]) -> pd.DataFrame:
    """Return the posterior and the checks of each set as numbers."""
    frames = []
    for fit in sampled:
        pooled = fit["pooled"].to_dataset().sel(estimand=DIFFERENCE, drop=True)
        own = pooled[[name for name in pooled.data_vars if str(name).startswith("reconstruction")]]
        frame = xr.merge([own, fit["fits"].to_dataset()]).to_dataframe().reset_index()
        named = ("model", "prior", "crossover_reading", "evidence_kind")
        frames.append(frame.assign(**{key: fit.attrs[key] for key in named}))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _cells(entry: Mapping[str, Any], digits: int) -> list[str]:
    """Return one pooled treatment difference as texts."""
    one = entry["summary"][DIFFERENCE]
    mcid = one["prob_gt_mcid"]
    return [
        _mean_text(entry, digits),
        probability(one["prob_benefit"]),
        probability(float("nan") if mcid is None else mcid),
        number(one["between_set_share"], 2),
    ]


def _between_files(
    entry: Mapping[str, Any], others: Sequence[Mapping[str, Any]], digits: int
) -> str:
    """Return the range of the pooled mean over files of nuisance priors and both flows."""
    keys = ("model", "prior", "crossover_reading")
    same = [one for one in others if all(one[key] == entry[key] for key in keys)]
    known = {one.get("nuisance_priors") for one in same}
    if not set(OTHER_PRIORS) <= known:
        return ABSENT
    means = [one["summary"][DIFFERENCE]["mean"] for one in same]
    return interval_text(min(means), max(means), digits)


def _mean_text(entry: Mapping[str, Any], digits: int) -> str:
    """Return mean and interval of one pooled treatment difference."""
    one = entry["summary"][DIFFERENCE]
    low, high = one["eti95"]
    return f"{number(one['mean'], digits)} ({interval_text(low, high, digits)})"


def _words(reading: str) -> str:
    """Return a reading for people."""
    return reading.replace("_", " ")


def _digits(contents: Contents) -> int:
    """Return the decimals of the primary outcome."""
    return contents.digits(contents.primary[0][0])


def _label(contents: Contents) -> str:
    """Return outcome, unit and sign of the primary outcome."""
    endpoint = contents.endpoint(contents.primary[0][0])
    return f"{endpoint.label}, {endpoint.unit}, positive = {contents.trial.active} better"
