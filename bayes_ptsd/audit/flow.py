"""Flow of patients: the sums that its boxes must close, who received what, left and completed.

Under each reading of the flow, by sequence; and the numbers of patients of rows and baseline groups
against it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import xarray as xr

from bayes_ptsd.audit.adverse import check_adverse_events
from bayes_ptsd.audit.finding import Figure, Finding, Section, printed_rows, severity_of
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.readings import FLOW_READINGS, flow_reading_of

__all__ = [
    "check_flow",
    "check_leavers",
    "check_sizes",
    "completers",
    "exposures",
    "pick_steps",
    "total_count",
    "unsettled",
]


@dataclass(frozen=True)
class Balance:
    """One sum that must be zero: `rule` in words, `terms` +1 or -1 by id of the step."""

    name: str
    rule: str
    terms: dict[str, int]


def check_flow(evidence: Evidence, *, flow_reading: str = "paper") -> Section:
    """Check the sums of the flow of patients under one reading; residual 0 if a sum closes."""
    flow_reading_of(flow_reading)
    flow = evidence.data["flow"].to_dataset()
    balances = _balances(evidence, flow, flow_reading)
    count = dict(zip(flow["step"].values.tolist(), flow["count"].values.tolist(), strict=True))
    residual = [sum(sign * count[step] for step, sign in b.terms.items()) for b in balances]
    changes = _one_change(balances, residual)
    findings = [
        _balance_finding(balance, gap, count, changes)
        for balance, gap in zip(balances, residual, strict=True)
    ]
    table = xr.Dataset(
        {"residual": ("balance", residual), "rule": ("balance", [b.rule for b in balances])},
        {"balance": [b.name for b in balances]},
        attrs={"flow_reading": flow_reading},
    )
    return Section("flow", table, findings)


def pick_steps(
    flow: xr.Dataset, stage: str, *, sequence: str | None, reading: str | None
) -> list[str]:
    """Ids of the steps of a stage; sequence None takes all, reading None ignores readings."""
    keep = flow["stage"].values == stage
    if sequence is not None:
        keep &= flow["sequence"].values == sequence
    if reading is not None:
        keep &= np.isin(flow["flow_reading"].values, ["", reading])
    names: list[str] = flow["step"].values[keep].tolist()
    return names


def total_count(flow: xr.Dataset, stage: str, *, sequence: str | None, reading: str | None) -> int:
    """Return the people of a stage, counted as `pick_steps` picks."""
    return int(
        flow["count"].sel(step=pick_steps(flow, stage, sequence=sequence, reading=reading)).sum()
    )


def _balances(evidence: Evidence, flow: xr.Dataset, reading: str) -> list[Balance]:
    """Return every sum that has all its parts."""
    everybody = [
        ("screened", "screened - excluded = randomized", ("screened",), ("excluded", "randomized")),
        ("rated", "randomized = rated in the first period", ("randomized",), ("rated_first",)),
        ("second", "randomized - left after the first infusion = infused twice", ("randomized",),
         ("left_after_first", "completed_first", "second_infusion")),
        ("both", "infused twice - left after = completed both", ("second_infusion",),
         ("left_after_second", "completed_second")),
        ("completed", "completed after first + completed both = completed", ("completed",),
         ("completed_first", "completed_second")),
    ]  # fmt: skip
    found = [_everybody(flow, *rule) for rule in everybody]
    for stage in ("randomized", "second_infusion", "completed_second"):
        found.append(_by_sequence(flow, stage, reading))
    for sequence in evidence.trial.sequences:
        found += _one_sequence(flow, sequence, reading)
    return [balance for balance in found if balance is not None]


def _everybody(
    flow: xr.Dataset, name: str, rule: str, plus: tuple[str, ...], minus: tuple[str, ...]
) -> Balance | None:
    """Return the balance over both sequences, from the boxes for everybody where there are any."""
    terms: dict[str, int] = {}
    for sign, stages in ((1, plus), (-1, minus)):
        for stage in stages:
            boxed = pick_steps(flow, stage, sequence="", reading=None)
            split = stage in ("left_after_first", "completed_first", "left_after_second")
            steps = pick_steps(flow, stage, sequence=None, reading=None) if split else boxed
            if not steps and not split:
                return None
            terms |= dict.fromkeys(steps, sign)
    return Balance(name, rule, terms)


def _by_sequence(flow: xr.Dataset, stage: str, reading: str) -> Balance | None:
    """Return the balance of a box for everybody with the boxes of the sequences."""
    whole, every = (
        pick_steps(flow, stage, sequence="", reading=reading),
        pick_steps(flow, stage, sequence=None, reading=reading),
    )
    parts = [step for step in every if step not in whole]
    if not whole or len(parts) < 2:
        return None
    rule = f"{stage.replace('_', ' ')}: the sequences add up to everybody"
    return Balance(f"{stage}.sequences", rule, dict.fromkeys(whole, 1) | dict.fromkeys(parts, -1))


def _one_sequence(flow: xr.Dataset, sequence: str, reading: str) -> list[Balance]:
    """Return the balances inside one sequence."""
    rules = [
        ("second", "randomized - left after first = infused twice", "randomized",
         ("completed_first", "left_after_first", "second_infusion")),
        ("both", "infused twice - left after = completed both", "second_infusion",
         ("left_after_second", "completed_second")),
        ("remitted", "remitted = completed after first + delayed", "remitted",
         ("completed_first", "delayed")),
    ]  # fmt: skip
    balances = []
    for name, rule, start, ends in rules:
        plus = pick_steps(flow, start, sequence=sequence, reading=reading)
        minus = [
            step
            for stage in ends
            for step in pick_steps(flow, stage, sequence=sequence, reading=reading)
        ]
        unknown = "left_after_first" in ends and unsettled(flow, reading)
        closed = start == "remitted" or pick_steps(
            flow, ends[-1], sequence=sequence, reading=reading
        )
        if plus and closed and not unknown:
            terms = dict.fromkeys(plus, 1) | dict.fromkeys(minus, -1)
            balances.append(Balance(f"{name}.{sequence}", f"{sequence}: {rule}", terms))
    return balances


def unsettled(flow: xr.Dataset, reading: str) -> bool:
    """Tell whether the sequence of early leavers is known only under another reading."""
    leavers = set(pick_steps(flow, "left_after_first", sequence=None, reading=None))
    return leavers != set(pick_steps(flow, "left_after_first", sequence=None, reading=reading))


def _one_change(balances: list[Balance], residual: list[float]) -> dict[str, float]:
    """Return by how much each single step would have to change for every sum to close."""
    gaps = np.array(residual)
    if not gaps.any():
        return {}
    changes = {}
    for step in dict.fromkeys(step for balance in balances for step in balance.terms):
        sign = np.array([balance.terms.get(step, 0) for balance in balances])
        first = int(np.flatnonzero(gaps)[0])
        if sign[first]:
            change = -gaps[first] / sign[first]
            if not (gaps + sign * change).any():
                changes[step] = float(change)
    return changes


def _balance_finding(
    balance: Balance, gap: float, count: dict[str, float], changes: dict[str, float]
) -> Finding:
    """Return the finding on one sum."""
    terms = [f"{'+' if sign > 0 else '-'} {count[step]:g}" for step, sign in balance.terms.items()]
    sum_text = " ".join(terms).removeprefix("+ ")
    text = f"{balance.rule}: {sum_text} = {gap:g}"
    text += "." if gap == 0 else ", where 0 closes the sum."
    here = {step: change for step, change in changes.items() if step in balance.terms}
    if gap and here:
        words = ", ".join(f"{step} by {change:+g}" for step, change in here.items())
        text += f" Every sum closes if one count alone changes: {words}."
    figures: dict[str, Figure] = {"residual": gap, **{f"change_{k}": v for k, v in here.items()}}
    return Finding(
        f"flow.{balance.name}",
        "flow",
        severity_of(gap == 0),
        ", ".join(balance.terms),
        text,
        figures,
    )


def exposures(evidence: Evidence, *, flow_reading: str = "paper") -> dict[str, int]:
    """Return how many people received each treatment at least once."""
    flow = evidence.data["flow"].to_dataset()
    people = dict.fromkeys((evidence.trial.active, evidence.trial.control), 0)
    for sequence, order in evidence.trial.sequences.items():
        for treatment, stage in zip(order, ("randomized", "second_infusion"), strict=False):
            people[treatment] += total_count(flow, stage, sequence=sequence, reading=flow_reading)
    return people


def completers(evidence: Evidence, *, flow_reading: str = "paper") -> dict[str, int]:
    """Return how many patients of each sequence completed both periods, empty without a flow."""
    if "flow" not in evidence.data.children:
        return {}
    flow = evidence.data["flow"].to_dataset()
    found = {
        sequence: total_count(flow, "completed_second", sequence=sequence, reading=flow_reading)
        for sequence in evidence.trial.sequences
    }
    return found if all(found.values()) else {}


def check_leavers(evidence: Evidence, *, flow_reading: str = "paper") -> Section:
    """Compare exposures, early leavers and completers with what else is printed about them."""
    flow = evidence.data["flow"].to_dataset()
    if not pick_steps(flow, "second_infusion", sequence=None, reading=flow_reading):
        return Section("exposure", None, [])
    people = exposures(evidence, flow_reading=flow_reading)
    table = xr.Dataset(
        {"people": ("treatment", list(people.values()))},
        {"treatment": list(people)},
        attrs={"flow_reading": flow_reading},
    )
    findings = [
        *_exposed(evidence, people, flow_reading),
        *_early_leavers(evidence, flow, flow_reading),
        *_readings(evidence, flow_reading),
        *_by_protocol(evidence, flow),
    ]
    return Section("exposure", table, findings)


def _exposed(evidence: Evidence, people: dict[str, int], reading: str) -> list[Finding]:
    """Compare people exposed with the denominators of the adverse events."""
    if "adverse_events" not in evidence.data.children:
        return []
    table = check_adverse_events(evidence).table
    place = "second infusions by sequence against adverse-event denominators"
    findings = []
    for treatment, exposed in people.items():
        n = int(table["n"].sel(treatment=treatment)) if table is not None else 0
        text = (
            f"Under flow_reading '{reading}', {exposed} people received {treatment}; the "
            f"adverse-event percentages have the denominator {n}"
        )
        text += "." if exposed >= n else ", more than received it."
        figures: dict[str, Figure] = {"exposed": exposed, "denominator": n, "flow_reading": reading}
        findings.append(
            Finding(
                f"exposure.{treatment}",
                "exposure",
                severity_of(exposed >= n),
                f"{place}, {treatment}",
                text,
                figures,
            )
        )
    return findings


def _early_leavers(evidence: Evidence, flow: xr.Dataset, reading: str) -> list[Finding]:
    """Derive who left after the first infusion by sequence where the reading does not say."""
    if not unsettled(flow, reading):
        return []
    figures: dict[str, Figure] = {
        f"left_{sequence}": total_count(flow, "randomized", sequence=sequence, reading=reading)
        - total_count(flow, "second_infusion", sequence=sequence, reading=reading)
        - total_count(flow, "completed_first", sequence=sequence, reading=reading)
        for sequence in evidence.trial.sequences
    }
    words = ", ".join(f"{value} in {name.removeprefix('left_')}" for name, value in figures.items())
    leavers = flow.sel(step=pick_steps(flow, "left_after_first", sequence=None, reading=None))
    labelled = zip(leavers["sequence"].values, leavers["count"].values, strict=True)
    other = ", ".join(f"{count:g} in {sequence}" for sequence, count in labelled)
    text = (
        f"Under flow_reading '{reading}', those who left after the first infusion without "
        f"completing are {words}; as labeled one by one they are {other}."
    )
    place = ", ".join(leavers["step"].values.tolist())
    return [Finding("exposure.leavers", "exposure", "caution", place, text, figures)]


def _readings(evidence: Evidence, reading: str) -> list[Finding]:
    """Put the completers by sequence under every reading side by side."""
    figures: dict[str, Figure] = {}
    words = []
    for name in FLOW_READINGS:
        found = completers(evidence, flow_reading=name)
        if len(found) == 2:
            size = math.sqrt(sum(1 / n for n in found.values()))
            figures |= {f"{name}_{sequence}": n for sequence, n in found.items()}
            figures[f"{name}_h"] = size
            counts = " and ".join(f"{n} {sequence}" for sequence, n in found.items())
            words.append(f"{counts} under '{name}'")
    if len(words) < 2:
        return []
    sizes = " and ".join(f"{figures[f'{name}_h']:.4f}" for name in FLOW_READINGS)
    flow = evidence.data["flow"].to_dataset()
    text = (
        f"Completers of both periods are {', '.join(words)}; this audit uses '{reading}'. "
        f"sqrt(1/n1 + 1/n2), by which standard errors become standard deviations, is {sizes}."
    )
    place = ", ".join(pick_steps(flow, "completed_second", sequence=None, reading=None))
    return [Finding("exposure.readings", "exposure", "caution", place, text, figures)]


def _by_protocol(evidence: Evidence, flow: xr.Dataset) -> list[Finding]:
    """Compare the share stopped by protocol with the sentence about it."""
    if "design" not in evidence.data.children:
        return []
    design = evidence.data["design"].to_dataset()
    if "D.HALF" not in design["item"].values:
        return []
    stated = float(design["number"].sel(item="D.HALF"))
    randomized, second, both, stopped = (
        float(flow["count"].sel(step=pick_steps(flow, stage, sequence="", reading=None)[:1]).sum())
        if stage != "completed_first"
        else float(
            flow["count"].sel(step=pick_steps(flow, stage, sequence=None, reading=None)).sum()
        )
        for stage in ("randomized", "second_infusion", "completed_second", "completed_first")
    )
    without, outside = randomized - second, randomized - both
    if not (without and outside):
        return []
    text = (
        f"{stopped:g} of {without:g} without a second infusion ({stopped / without:.2f}) and "
        f"{stopped:g} of {outside:g} outside the crossover analysis ({stopped / outside:.2f}) had "
        f"completed by protocol; the text gives {stated:g} of those without a second infusion."
    )
    figures: dict[str, Figure] = {
        "stopped": stopped, "without_second": without, "outside_crossover": outside,
        "stated": stated,
    }  # fmt: skip
    holds = bool(np.isclose(stopped / without, stated, atol=0.05))
    return [
        Finding("exposure.protocol", "exposure", severity_of(holds, otherwise="caution"),
                f"D.HALF, {design['section'].sel(item='D.HALF').item()}", text, figures)
    ]  # fmt: skip


def check_sizes(evidence: Evidence) -> Section:
    """Compare the n of every row and baseline group with the flow of patients.

    Crossover rows are compared with those who completed both periods, other rows and the baseline
    groups with those randomized.
    """
    flow = evidence.data["flow"].to_dataset()
    first = {order[0]: sequence for sequence, order in evidence.trial.sequences.items()}
    groups = {
        name: total_count(flow, "randomized", sequence=first[treatment], reading=None)
        for name, treatment in (
            ("n_active", evidence.trial.active),
            ("n_control", evidence.trial.control),
        )
        if treatment in first
    }
    everybody = _whole(flow, "randomized")
    crossover = dict.fromkeys(("n", "n_active", "n_control"), _whole(flow, "completed_second"))
    checked = [
        *_row_sizes(printed_rows(evidence, ["crossover"]), crossover),
        *_row_sizes(_not_crossover(evidence), {"n": everybody, **groups}),
        *_baseline_sizes(evidence, groups),
    ]
    differing = [_size_finding(*item) for item in checked if item[1] != item[2]]
    if checked and not differing:
        text = f"All {len(checked)} numbers of patients agree with the flow of patients."
        figures = {"checked": len(checked)}
        place = "n of rows and baseline groups"
        differing = [Finding("sizes.n", "sizes", "consistent", place, text, figures)]
    return Section("sizes", None, differing)


def _whole(flow: xr.Dataset, stage: str) -> int:
    """Return the number in the box for everybody, 0 if there is none."""
    return int(flow["count"].sel(step=pick_steps(flow, stage, sequence="", reading=None)).sum())


def _not_crossover(evidence: Evidence) -> xr.Dataset:
    """Return the rows of all other analyses."""
    rows = printed_rows(evidence, treatment_only=False)
    return rows.isel(contrast=rows["analysis"].values != "crossover")


def _row_sizes(rows: xr.Dataset, expected: dict[str, int]) -> list[tuple[str, float, float]]:
    """Return (place, printed, expected) of every printed number of patients.

    Groups of an analysis of fewer patients than stated may be smaller, not larger.
    """
    stated = rows["n_stated"].values
    found = []
    for name, size in expected.items():
        printed = rows[name].values
        others = stated if name == "n" else np.maximum(printed, size)
        counted = np.where(np.isnan(stated), printed, others)
        found += [
            (f"{contrast}, {name}", float(n), float(size))
            for contrast, n in zip(rows["contrast"].values.tolist(), counted, strict=True)
            if size and np.isfinite(n)
        ]
    return found


def _baseline_sizes(evidence: Evidence, groups: dict[str, int]) -> list[tuple[str, float, float]]:
    """Return (place, printed, expected) of groups that are larger than those randomized.

    Smaller groups have missing data and are no contradiction.
    """
    if "baseline" not in evidence.data.children:
        return []
    n = evidence.data["baseline"].to_dataset()["n"]
    return [
        (f"{label}, {name}", max(float(value), float(size)), float(size))
        for column, (name, size) in enumerate(groups.items())
        for label, value in zip(
            n["characteristic"].values.tolist(), n.values[:, column], strict=True
        )
    ]


def _size_finding(place: str, printed: float, expected: float) -> Finding:
    """Return the finding on one number that differs."""
    text = f"n = {printed:g} where the flow of patients has {expected:g}."
    return Finding(
        f"sizes.{place}", "sizes", severity_of(False), place, text,
        {"printed": printed, "expected": expected},
    )  # fmt: skip
