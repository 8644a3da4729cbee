"""Who received what, who left and who completed, under each reading of the flow of patients."""

from __future__ import annotations

import math

import numpy as np
import xarray as xr

from bayes_ptsd.audit.adverse import check_adverse_events
from bayes_ptsd.audit.finding import Figure, Finding, Section, severity_of
from bayes_ptsd.audit.flow import pick_steps, total_count, unsettled
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.readings import FLOW_READINGS

__all__ = ["check_leavers", "completers", "exposures"]


def exposures(evidence: Evidence, *, flow_reading: str = "paper") -> dict[str, int]:
    """Return how many people received each treatment at least once."""
    flow = evidence.data["flow"].to_dataset()
    people = dict.fromkeys((evidence.trial.active, evidence.trial.control), 0)
    for sequence, order in evidence.trial.sequences.items():
        people[order[0]] += total_count(flow, "randomized", sequence=sequence, reading=flow_reading)
        people[order[1]] += total_count(
            flow, "second_infusion", sequence=sequence, reading=flow_reading
        )
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
