"""Sections of the page about patients: one outcome, every model and prior that was fitted."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import xarray as xr

from bayes_ptsd.provenance import OWN_ENGINE
from bayes_ptsd.report.contents import PatientOutcome
from bayes_ptsd.report.depression import mediation_section
from bayes_ptsd.report.markup import ABSENT, facts, interval_text, number, paragraph, probability
from bayes_ptsd.report.patient_checks import check_section
from bayes_ptsd.report.patient_estimands import estimand_name, estimand_tables
from bayes_ptsd.report.patient_figures import arm_section, carryover_section, figure_section
from bayes_ptsd.report.section import Line, Part, Section, Table, details
from bayes_ptsd.structures import structure_of_fit

__all__ = ["patient_sections"]

DIFFERENCE = "treatment_difference"


def patient_sections(outcome: PatientOutcome, name: str) -> list[Section]:
    """Return the sections about one outcome of patients; none of them has one number per patient.

    `name` is a prefix of anchors and file names, unique on the page.
    """
    made = [
        _estimates(outcome, name),
        figure_section(outcome, name),
        arm_section(outcome, name),
        carryover_section(outcome, name),
        mediation_section(outcome, name),
        check_section(outcome, name),
        _provenance(outcome, name),
    ]
    return [section for section in made if section is not None]


def _estimates(outcome: PatientOutcome, name: str) -> Section:
    """Return what was analyzed, the posteriors and the frequentist analyses."""
    label = outcome.constants["label"]
    posterior = Table(
        f"{name}-estimates", pd.DataFrame([_numbers(fit) for fit in outcome.fits]),
        lines=[_line(outcome, fit) for fit in outcome.fits],
        caption=f"Treatment difference, {label}: posterior beside the frequentist estimate of the "
        "same estimand.",
        group="model", stub="prior", left=["checks"], notes=_notes(outcome),
        spanners={"posterior": ["mean", "sd", "95% ETI", "P(> 0)", "P(> MCID)"],
                  "frequentist": ["estimate", "SE", "95% CI", "P"]},
    )  # fmt: skip
    parts: list[Part] = [facts(_facts(outcome)), posterior, *estimand_tables(outcome, name)]
    if analyses := _analyses(outcome):
        parts.append(_frequentist(outcome, pd.DataFrame(analyses), name))
    return Section(f"{name}-estimates", f"Patients: {label}", parts)


def _facts(outcome: PatientOutcome) -> dict[str, str]:
    """Return what was analyzed."""
    attrs, label = outcome.attrs, outcome.constants["label"]
    times = dict.fromkeys(str(fit.attrs.get("timepoint", "only")) for fit in outcome.fits)
    named = "; ".join(time for time in times if time != "only")
    unit = json.loads(attrs["summary"])[DIFFERENCE].get("unit")
    return {
        "Trial": f"{attrs['trial']}: {attrs.get('trial_title', '')}".rstrip(": "),
        "Outcome": f"{label}, {named}" if named else label,
        "Comparison": f"{attrs['active']} against {attrs['control']}; positive differences mean "
        f"that {attrs['active']} is better, in {unit or outcome.constants['unit']}",
        "Patients": "; ".join(_sizes(outcome)),
        "Smallest difference that matters": str(outcome.constants["mcid"] or "not given"),
        **_periods(outcome),
    }


def _periods(outcome: PatientOutcome) -> dict[str, str]:
    """Return what each period of a crossover says alone; nothing of other designs."""
    found = [json.loads(fit.attrs.get("frequentist", "{}")) for fit in outcome.fits]
    lines: list[dict[str, Any]] = next((o["periods"] for o in found if o.get("periods")), [])
    said = [
        f"{one['patients']}, period {one['period']}: "
        f"{number(one['difference'], outcome.digits)} (SD within groups "
        f"{number(one['sd'], outcome.digits)}, n {one['n']})"
        for one in lines
    ]
    return {"Each period alone, difference of means": "; ".join(said)} if said else {}


def _sizes(outcome: PatientOutcome) -> list[str]:
    """Return the numbers of patients, where models use different ones once for each."""
    found: dict[str, list[str]] = {}
    for fit in outcome.fits:
        size = json.loads(fit.attrs.get("size", "{}"))
        groups = size.get("by_sequence", {})
        arms = {str(fit.attrs["active"]), str(fit.attrs["control"])}
        by = "arm" if set(groups) <= arms else "sequence"
        counts = ", ".join(f"{key} {n}" for key, n in groups.items())
        said = (
            f"{size.get('subjects', ABSENT)} with {size.get('observations', ABSENT)} scores; "
            f"by {by} {counts or ABSENT}"
        )
        found.setdefault(said, []).append(str(fit.attrs["model"]))
    if len(found) == 1:
        return list(found)
    return [f"{', '.join(dict.fromkeys(models))}: {said}" for said, models in found.items()]


def _notes(outcome: PatientOutcome) -> list[str]:
    """Return what has to be said below the estimates."""
    notes = []
    if any(structure_of_fit(fit).reads == "periods" for fit in outcome.fits):
        notes.append(
            "'bayes-ptsd compare --trial TRIAL --data DATA' splits each gap by its causes."
        )
    if any(fit.attrs.get("frequentist") and not _counterpart(fit) for fit in outcome.fits):
        notes.append(
            "Where a line has no frequentist estimate, the analysis beside the model is of another "
            "quantity, or has no finite estimate; the tables below name it."
        )
    return notes


def _counterpart(fit: xr.DataTree) -> dict[str, Any]:
    """Return the frequentist analysis of the treatment difference; empty if it is of another."""
    found: dict[str, Any] = json.loads(fit.attrs.get("frequentist", "{}"))
    same = found.get("estimand", DIFFERENCE) == DIFFERENCE
    return found if same and found.get("estimate") is not None else {}


def _numbers(fit: xr.DataTree) -> dict[str, Any]:
    """Return one result as numbers."""
    one = json.loads(fit.attrs["summary"])[DIFFERENCE]
    counterpart = _counterpart(fit)
    keys = ("mean", "median", "sd", "prob_benefit", "prob_gt_mcid", "mcse_mean")
    return {
        **{key: fit.attrs[key] for key in ("model", "prior", "prior_formula", "engine")},
        **{key: one[key] for key in keys},
        **dict(zip(("eti95_low", "eti95_high"), one["eti95"], strict=True)),
        **dict(zip(("hdi95_low", "hdi95_high"), one["hdi95"], strict=True)),
        **{f"frequentist_{key}": counterpart.get(key)
           for key in ("method", "estimate", "se", "df", "p_value")},
        "checks_passed": int(fit.attrs["checks_passed"]),
        "result_id": fit.attrs["result_id"],
        "evidence_kind": fit.attrs["evidence_kind"],
    }  # fmt: skip


def _line(outcome: PatientOutcome, fit: xr.DataTree) -> dict[str, str]:
    """Return one result as texts."""
    one = json.loads(fit.attrs["summary"])[DIFFERENCE]
    counterpart, digits = _counterpart(fit), outcome.digits
    method = json.loads(fit.attrs.get("frequentist", "{}")).get("method", "")
    low, high = counterpart.get("ci95") or (None, None)
    formula = fit.attrs["prior_formula"]
    prior = fit.attrs["prior"]
    known = counterpart and one["mean"] is not None
    gap = one["mean"] - counterpart["estimate"] if known else None
    return {
        "model": f"{_model_name(fit)} ({method.partition(':')[0]})",
        "prior": prior if formula.startswith(f"{prior}(") else f"{prior}, {formula}",
        "mean": number(one["mean"], digits),
        "sd": number(one["sd"], digits),
        "95% ETI": interval_text(one["eti95"][0], one["eti95"][1], digits),
        "P(> 0)": probability(one["prob_benefit"]),
        "P(> MCID)": probability(one["prob_gt_mcid"]),
        "estimate": number(counterpart.get("estimate"), digits),
        "SE": number(counterpart.get("se"), digits),
        "95% CI": interval_text(low, high, digits),
        "P": probability(counterpart.get("p_value")),
        "mean minus estimate": number(gap, digits, sign=True),
        "checks": "passed" if int(fit.attrs["checks_passed"]) else "a required check failed",
    }


def _model_name(fit: xr.DataTree) -> str:
    """Return the name of a model, with the engine where somebody sampled it elsewhere."""
    own = fit.attrs["engine"] == OWN_ENGINE
    return f"{fit.attrs['model']}, {OWN_ENGINE}" if own else str(fit.attrs["model"])


def _analyses(outcome: PatientOutcome) -> list[dict[str, Any]]:
    """Return every frequentist analysis, by structure of all patients that a result has."""
    lines = []
    for analysis, one in _largest(outcome):
        for estimand, values in one["estimands"].items():
            low, high = values["ci95"]
            lines.append(
                {"analysis": analysis, "estimand": estimand, "method": one["method"],
                 **{key: values[key] for key in ("estimate", "se", "df", "p_value")},
                 "ci_low": low, "ci_high": high, "note": one["note"]}
            )  # fmt: skip
    return lines


def _largest(outcome: PatientOutcome) -> list[tuple[str, dict[str, Any]]]:
    """Return analyses with their names: within a structure those with the most patients."""
    found: dict[str, dict[tuple[str, str], dict[str, Any]]] = {}
    most: dict[str, int] = {}
    for fit in outcome.fits:
        structure = structure_of_fit(fit).name
        size = json.loads(fit.attrs.get("size", "{}")).get("subjects", 0)
        document = json.loads(fit.attrs.get("frequentist", "{}")).get("analyses") or {}
        if size > most.get(structure, -1):
            most[structure], found[structure] = size, {}
        if size == most[structure]:
            found[structure] |= {(name, one["method"]): one for name, one in document.items()}
    return [(name, one) for group in found.values() for (name, _), one in group.items()]


def _frequentist(outcome: PatientOutcome, frame: pd.DataFrame, name: str) -> Table:
    """Return the frequentist analyses with what has to be said of them."""
    digits = outcome.digits
    said = zip(frame["method"], frame["note"], strict=True)
    notes = dict.fromkeys(f"{method.partition(':')[0]}: {note}" for method, note in said if note)

    def texts(row: Line) -> Line:
        return {
            "method": row["method"],
            "estimand": estimand_name(str(row["estimand"]), outcome.arms),
            "estimate": number(row["estimate"], digits),
            "SE": number(row["se"], digits),
            "df": number(row["df"], 1),
            "95% CI": interval_text(row["ci_low"], row["ci_high"], digits),
            "P": probability(row["p_value"]),
        }

    return Table(
        f"{name}-frequentist", frame.assign(evidence_kind=outcome.kind), texts,
        caption="Every frequentist analysis; none of them chooses another.", left=["estimand"],
        notes=list(notes),
    )  # fmt: skip


def _provenance(outcome: PatientOutcome, name: str) -> Section:
    """Return where every number comes from."""
    text = (
        "No row of a patient is on this page or was needed to write it: results hold draws of what "
        "the patients have in common, summaries and checks."
    )
    table = Table(
        f"{name}-results", pd.DataFrame([_origin(outcome, fit) for fit in outcome.fits]),
        lambda line: {
            **{key: str(line[key]) for key in ("result_id", "model", "prior", "engine", "seed")},
            "seconds": number(line["seconds"], 1),
            "created": str(line["created"])[:16],
        },
        caption="Identity of each result.", left=["created"],
    )  # fmt: skip
    versions = json.loads(outcome.attrs["versions"])
    terms = {
        "Evidence digest": str(outcome.attrs["evidence_digest"]),
        "Versions": ", ".join(f"{key} {value}" for key, value in versions.items()),
    }
    title = f"{outcome.constants['label']}: provenance"
    parts: list[Part] = [paragraph(text), facts(terms), details("Results", table)]
    return Section(f"{name}-provenance", title, parts)


def _origin(outcome: PatientOutcome, fit: xr.DataTree) -> dict[str, Any]:
    """Return the identity of one result."""
    attrs = fit.attrs
    return {
        **{key: attrs[key] for key in ("result_id", "model", "prior", "prior_formula", "engine")},
        "seed": attrs["seed"],
        "seconds": float(attrs["seconds"]),
        "created": outcome.created.get(str(attrs["result_id"]), ""),
        "priors": attrs.get("priors", ""),
        "settings": attrs["settings"],
        "evidence_digest": attrs["evidence_digest"],
        "evidence_kind": attrs["evidence_kind"],
    }
