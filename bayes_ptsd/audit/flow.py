"""Flow of patients: every sum that the boxes of a flow chart must close, by sequence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from bayes_ptsd.audit.finding import Figure, Finding, Section, severity_of
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.readings import flow_reading_of

__all__ = ["check_flow", "pick_steps", "total_count", "unsettled"]


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
