"""Tables of models of reconstructed patients: pooled results, periods, checks, what print leaves.

Each function returns one table with its file; where results hold nothing of it, one without lines.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import xarray as xr

from bayes_ptsd.checks.predictive import FAR
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.readings import FLOW_READINGS
from bayes_ptsd.reconstruction.nuisance import Nuisance, load_nuisance
from bayes_ptsd.reconstruction.plan import READINGS
from bayes_ptsd.reconstruction.release import OTHER_PRIORS
from bayes_ptsd.report.contents import Contents
from bayes_ptsd.report.markup import (
    ABSENT,
    around,
    interval_text,
    number,
    plain,
    probability,
)
from bayes_ptsd.report.section import Line, Table

__all__ = [
    "DIFFERENCE",
    "by_model",
    "check_lines",
    "estimands",
    "nuisances",
    "periods",
    "predictions",
    "readings",
    "readings_frame",
    "sampled_models",
    "sets_frame",
    "two_columns",
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
# Heading to patients and period: those who left after the first period are in its first line alone.
PERIODS: Mapping[str, tuple[str, int]] = {
    "D1, all": ("all", 1),
    "D1, completers": ("completers", 1),
    "D2, completers": ("completers", 2),
}
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


def two_columns(
    contents: Contents,
    entries: Sequence[Mapping[str, Any]],
    files: Sequence[Mapping[str, Any]],
    frame: pd.DataFrame,
) -> Table:
    """Return the first-period and crossover models under both headline readings.

    `files` are the results of sets made under other nuisance priors, `frame` the lines of all.
    """
    chosen = {
        (entry["model"], entry["prior"], entry["crossover_reading"]): entry
        for entry in sorted(entries, key=lambda entry: entry["engine"] != "nuts")
        if entry["flow_reading"] == "paper" and not entry["model"].startswith("longitudinal")
    }
    digits, lines = contents.digits(contents.primary[0][0]), []
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
    lines.sort(key=lambda line: line["prior"])
    return Table(
        "reconstructed-readings", frame, lines=lines,
        caption=f"Pooled treatment difference, {_label(contents)}, under both readings of the "
        "crossover; the flow of patients as in the paper.",
        group="prior", stub="model",
        spanners={plain(reading): [f"{reading}|{head}" for head in HEADS]
                  for reading in READINGS[:2]},
        notes=[
            BETWEEN, FILES,
            "A model without an exact engine is sampled, under the reference prior only. The "
            "first-period row does not depend on how the crossover is read.",
        ],
    )  # fmt: skip


def readings(
    contents: Contents, entries: Sequence[Mapping[str, Any]], frame: pd.DataFrame
) -> Table:
    """Return all readings side by side, by flow of patients and prior; `frame` has the lines."""
    found: dict[tuple[str, str, str], dict[str, str]] = {}
    for entry in entries:
        if entry["engine"] == "exact":
            key = (entry["flow_reading"], entry["prior"], entry["model"])
            text = _mean_text(entry, contents.digits(contents.primary[0][0]))
            found.setdefault(key, {})[entry["crossover_reading"]] = text
    flows = list(FLOW_READINGS)
    # models keep the order in which they stand in the page, as sorting is stable
    ranked = sorted(found, key=lambda key: (flows.index(key[0]), key[1]))
    return Table(
        "reconstructed-readings", frame,
        lines=[
            {"flow": f"flow of patients as in the {flow}, {prior} prior", "model": model}
            | {plain(one): found[flow, prior, model].get(one, ABSENT) for one in READINGS}
            for flow, prior, model in ranked
        ],
        caption=f"All readings side by side: mean (95% interval), {_label(contents)}.",
        group="flow", stub="model",
    )  # fmt: skip


def periods(contents: Contents, entries: Sequence[Mapping[str, Any]]) -> Table:
    """Return what each period says alone, a line for each reading and flow; a file of all."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for entry in entries:
        said = entry["summary"][DIFFERENCE].get("periods")
        named = {key: entry[key] for key in ("crossover_reading", "flow_reading")}
        kinds = {key: entry[key] for key in ("reconstructions", "evidence_kind")}
        if said is not None:
            found.setdefault(
                (entry["flow_reading"], entry["crossover_reading"]),
                [named | line | kinds for line in said],
            )
    digits = contents.digits(contents.primary[0][0])

    def texts(line: Line) -> Line:
        at, (flow, reading) = line["at"], line["key"]
        shown = {head: at[key] for head, key in PERIODS.items()}
        cells = {
            head: around(one["difference"], one["lowest"], one["highest"], digits)
            for head, one in shown.items()
        }
        spread = {f"SD {n}": number(at["completers", n]["sd"], digits) for n in (1, 2)}
        named = {"flow": f"flow of patients as in the {flow}", "reading": plain(reading)}
        return named | cells | spread

    return Table(
        "reconstructed-periods",
        pd.DataFrame([line for lines in found.values() for line in lines]), texts,
        lines=[
            {"key": key, "at": {(one["patients"], one["period"]): one for one in lines}}
            for key, lines in found.items()
        ],
        caption=f"Each period alone: differences of means, {_label(contents)}.",
        group="flow", stub="reading",
        spanners={"mean over the sets (lowest to highest)": list(PERIODS),
                  "SD of completers": ["SD 1", "SD 2"]},
        notes=[
            "D1, D2: difference in the first and in the second period, no model and no baseline. "
            "Of completers they add up to twice the crossover contrast as published, to the "
            "contrast itself unhalved; under the other readings print is of changes, or of the "
            "first period. SD: of the scores within a sequence, mean over the sets."
        ],
    )  # fmt: skip


def sampled_models(contents: Contents, sampled: Sequence[xr.DataTree]) -> Table:
    """Return the sampled models: posterior, variance parts and checks."""
    digits = contents.digits(contents.primary[0][0])

    def texts(line: Line) -> Line:
        return {
            "reading": f"sets that print the crossover {plain(line['crossover_reading'])}",
            "model": line["model"],
            "mean (95% interval)": around(line["mean"], line["low"], line["high"], digits),
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

    return Table(
        "reconstructed-sampled", pd.DataFrame([_sampled_line(fit) for fit in sampled]), texts,
        caption=f"Sampled on every set and pooled, {_label(contents)}; reference prior.",
        group="reading", stub="model",
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


def _sampled_line(fit: xr.DataTree) -> Line:
    """Return one sampled model: posterior, parts of its variance and checks of its fits."""
    pooled = fit["pooled"].to_dataset().sel(estimand=DIFFERENCE)
    checks = fit["fits"].to_dataset()
    return (
        {key: fit.attrs[key] for key in NAMED}
        | {key: float(pooled[key]) for key in SCALARS}
        | {"rhat_max": float(checks["rhat_max"].max()),
           "ess_bulk_min": float(checks["ess_bulk_min"].min()),
           "ess_tail_min": float(checks["ess_tail_min"].min()),
           "divergences": int(checks["divergences"].sum()),
           "passed": int(checks["passed"].sum()), "fits": checks.sizes["reconstruction"],
           "result_id": fit.attrs["result_id"], "evidence_kind": fit.attrs["evidence_kind"]}
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


def estimands(contents: Contents, sampled: Sequence[xr.DataTree]) -> Table:
    """Return every pooled estimand of the sampled models; those beside the difference are shown."""
    frames = []
    for fit in sampled:
        pooled = fit["pooled"].to_dataset()[[*SCALARS, "unit"]]
        known = {key: fit.attrs[key] for key in (*NAMED, "evidence_kind")}
        frames.append(pooled.to_dataframe().reset_index().assign(**known))
    frame = _together(frames)
    return Table(
        "reconstructed-estimands", frame,
        lambda line: {
            "model": f"{line['model']}, {plain(line['crossover_reading'])}",
            "estimand": plain(line["estimand"]),
            "mean": number(line["mean"], 2),
            "sd": number(line["sd"], 2),
            "95% interval": interval_text(line["low"], line["high"], 2),
            "P(benefit)": probability(line["prob_benefit"]),
            "between sets": number(line["between_set_share"], 3),
        },
        lines=[line for line in frame.to_dict("records") if line["estimand"] != DIFFERENCE],
        caption=f"Every other estimand, pooled, {_label(contents)}.",
        group="model", stub="estimand", notes=[BETWEEN],
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
    return _together(frames)


def predictions(sampled: Sequence[xr.DataTree]) -> Table:
    """Return what each model predicts of its sets, over the sets."""
    lines = []
    for fit in sampled:
        if "predictive" not in fit.children:
            continue
        table = fit["predictive"].to_dataset()
        for name in table["statistic"].values.tolist():
            one = table.sel(statistic=name)
            tail = np.minimum(one["p"].values, 1 - one["p"].values)
            lines.append(
                {"model": fit.attrs["model"], "feature": name,
                 "crossover_reading": fit.attrs["crossover_reading"],
                 "observed_least": float(one["observed"].min()),
                 "observed_most": float(one["observed"].max()),
                 "replicated_low": float(one["low"].mean()),
                 "replicated_high": float(one["high"].mean()),
                 "sets_beyond": int((tail < FAR).sum()),
                 "sets": table.sizes["reconstruction"],
                 "evidence_kind": fit.attrs["evidence_kind"]}
            )  # fmt: skip
    return Table(
        "reconstructed-predictive", pd.DataFrame(lines),
        lambda line: {
            "model": f"{line['model']}, {plain(line['crossover_reading'])}",
            "feature": plain(line["feature"]),
            "in the sets": interval_text(line["observed_least"], line["observed_most"], 2),
            "replicates, 95%": interval_text(line["replicated_low"], line["replicated_high"], 2),
            "sets beyond": f"{line['sets_beyond']} of {line['sets']}",
        },
        caption="Features of the sets beside what the fitted model predicts of them.",
        group="model", stub="feature",
        notes=[f"sets beyond: sets whose feature lies among the outer {FAR:.1%} of its replicates. "
               "Limits of replicates are means over the sets."],
    )  # fmt: skip


def nuisances(patients: Sequence[Evidence]) -> Table:
    """Return a line per drawn quantity: its prior, and median and range that the sets accepted.

    Score units as recorded where the quantity has a unit; `block` is an endpoint or its later
    visits. The priors are those of the shipped file.
    """
    drawn = [json.loads(str(one.assumptions["nuisance"])) for one in patients]
    priors = load_nuisance()
    lines = []
    for name in dict.fromkeys(name for one in drawn for name in one):
        block, quantity = name.split(".")
        values = np.array([one[name] for one in drawn if name in one])
        lines.append(
            {
                "block": block,
                "quantity": quantity,
                "prior": _prior(priors, block.split()[0], quantity),
                "median": float(np.median(values)),
                "least": float(values.min()),
                "most": float(values.max()),
                "sets": len(values),
            }
        )
    return Table(
        "reconstructed-nuisance", pd.DataFrame(lines).assign(evidence_kind=patients[0].kind),
        lambda line: {
            "block": str(line["block"]).replace("_", "-"),
            "quantity": plain(line["quantity"]),
            "prior": str(line["prior"]),
            "accepted, median": number(line["median"], 2),
            "accepted, range": interval_text(line["least"], line["most"], 2),
        },
        caption=f"What print leaves open, in {len(patients)} sets that print the crossover as "
        "published.",
        group="block", stub="quantity",
        notes=["Values that could not meet print were redrawn, so accepted values are not draws "
               "from the priors. Scores as recorded, higher = worse."],
    )  # fmt: skip


def _prior(priors: Nuisance, section: str, quantity: str) -> str:
    """Return the prior of a quantity in words: the endpoint's own, else the common one."""
    place = section if priors.has(section, quantity) else "common"
    return priors.priors[place][quantity].formula if priors.has(place, quantity) else ""


def _together(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return frames as one, empty where there is none."""
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _cells(entry: Mapping[str, Any], digits: int) -> list[str]:
    """Return one pooled treatment difference as texts."""
    one = entry["summary"][DIFFERENCE]
    return [
        _mean_text(entry, digits),
        probability(one["prob_benefit"]),
        probability(one["prob_gt_mcid"]),
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
    return around(one["mean"], low, high, digits)


def _label(contents: Contents) -> str:
    """Return outcome, unit and sign of the primary outcome."""
    endpoint = contents.main
    return f"{endpoint.label}, {endpoint.unit}, positive = {contents.trial.active} better"
