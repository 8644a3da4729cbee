"""Where every number comes from, and what this page cannot tell."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import pandas as pd

from bayes_ptsd.contrasts import model_of
from bayes_ptsd.evidence.published import select_contrast
from bayes_ptsd.provenance import EXACT_SETTINGS, library_versions
from bayes_ptsd.report.contents import Contents
from bayes_ptsd.report.markup import bullets, facts, paragraph
from bayes_ptsd.report.section import Part, Section, Table, details

__all__ = ["limits_section", "provenance_section"]

# Digits of an id on the page: 40 bits tell its few specs apart; the CSV file has all of them.
SHORT = 10


def provenance_section(contents: Contents) -> Section:
    """Return inputs, models, seeds, versions and times of everything on the page."""
    # an average over readings is made of results and is none itself
    cells = [cell for cell in contents.cells.values() if cell["result_id"]]
    results = pd.DataFrame([_result(contents, cell) for cell in cells])
    columns = ["contrast", "crossover_reading", "prior", "engine", "result_id", "spec_id", "model"]
    shown = [
        {column.removeprefix("crossover_"): line[column] for column in columns}
        | {"spec_id": line["spec_id"][:SHORT]}
        for line in results.to_dict("records")
        if (line["contrast"], line["crossover_reading"]) in contents.primary
        and line["convention"] == "T"
    ]
    identity = Table(
        "results", results, lines=shown, caption="Identity of each result; spec_id shortened.",
        convention="T", left=["result_id"],
    )  # fmt: skip
    behind = f"Results behind the headline rows ({len(shown)} of {len(results)}; all in the CSV)"
    signs = "Signs are converted once, so that positive differences favor the active arm."
    places = details(
        "Printed numbers and their place in the paper", paragraph(signs), _places(contents)
    )
    parts: list[Part] = [facts(_facts(contents, results)), details(behind, identity), places]
    return Section("provenance", "Provenance", parts)


def limits_section(contents: Contents) -> Section:
    """Return what the page cannot tell, a sentence per limit."""
    names = [name for name in contents.contrasts if not name.endswith("*")]
    endpoints = {contents.endpoint(name).label for name in names}
    items = [
        "No patient data were used: only printed estimates, intervals, P values and counts. "
        "Nothing here can check the paper's own analysis of its patients.",
        f"Multiplicity: {len(names)} printed treatment contrasts on {len(endpoints)} endpoints are "
        "shown, none adjusted for their number; the largest of many estimates is large partly by "
        "chance.",
        "Published estimates carry the winner's curse: results that were published because they "
        "stood out overstate on average. Only the cochrane prior takes this into account.",
        "The prior family, reference SDs and MCIDs are choices of the analyst; each can be changed "
        "in the trial file, and each changes the numbers in score units.",
        "Rows that share patients (several endpoints, or two analyses of one endpoint) are not "
        "independent pieces of evidence.",
    ]
    if any(contents.analysis(name) == "crossover" for name in names):
        items.insert(
            1,
            "Which reading of the printed crossover contrast and of the flow of patients is the "
            "right one cannot be proved from print. P values and P(better) under flat and cochrane "
            "do not depend on the crossover reading; everything in score units does.",
        )
    return Section("limits", "What this page cannot tell", [bullets(map(escape, items))])


def _result(contents: Contents, cell: Mapping[str, Any]) -> dict[str, Any]:
    """Return one result: which analysis, which inputs, when and in how many seconds."""
    keys = ("contrast", "crossover_reading", "convention", "prior")
    sidecar = contents.sidecars.get(cell["result_id"])
    inputs = _inputs(contents, cell) if sidecar is None else {
        "model": sidecar["model"],
        "spec_id": sidecar["spec"]["spec_id"],
        "evidence_digest": sidecar["evidence_digest"],
    }  # fmt: skip
    known = sidecar or {}
    return {
        **{key: cell[key] for key in keys},
        "engine": EXACT_SETTINGS["engine"],
        "result_id": cell["result_id"],
        **inputs,
        "seed": contents.seed,
        "stored": sidecar is not None,
        "created": known.get("created", ""),
        "seconds": known.get("seconds"),
        "checks_passed": known.get("checks_passed"),
        "warnings": "; ".join(known.get("warnings") or []),
        "evidence_kind": cell["evidence_kind"],
    }


def _inputs(contents: Contents, cell: Mapping[str, Any]) -> dict[str, str]:
    """Return the inputs of a result that was computed for the page."""
    row = select_contrast(
        contents.evidence, cell["contrast"], crossover_reading=cell["crossover_reading"]
    )
    spec = model_of(row, convention=cell["convention"], prior=cell["prior"])
    return {"model": spec.name, "spec_id": spec.spec_id, "evidence_digest": row.digest}


def _facts(contents: Contents, results: pd.DataFrame) -> dict[str, str]:
    """Return the facts about the page."""
    times = sorted(time for time in results["created"] if time)
    conflicts = int((results["warnings"] != "").sum())
    seconds = ", ".join(f"{stage} {value:.1f}" for stage, value in contents.seconds.items())
    return {
        "Evidence": f"{contents.kind}; {contents.trial.name}, {contents.trial.title}",
        "Evidence digest": contents.evidence.digest,
        "Trial digest": contents.trial.digest,
        "Results on this page": f"{len(results)} exact posteriors, {int(results['stored'].sum())} "
        "of them read from the store",
        "Made": f"{times[0][:16]} to {times[-1][:16]} UTC" if times else "for this page",
        "Models": ", ".join(sorted(set(results["model"]))),
        "Seed": str(contents.seed),
        "Prior-data conflict": f"{conflicts} results carry a warning; see the CSV",
        "Versions": ", ".join(f"{k} {v}" for k, v in library_versions().items()),
        "Seconds": seconds or "not recorded",
    }


def _places(contents: Contents) -> Table:
    """Return the printed rows and where each of them stands."""
    columns = ("section", "cell", "provenance")
    return Table(
        "printed",
        contents.effects.to_dataframe().reset_index().assign(evidence_kind=contents.kind),
        lambda line: {"row": str(line["contrast"])} | {key: str(line[key]) for key in columns},
        caption="Where each number is printed.", left=columns,
    )  # fmt: skip
