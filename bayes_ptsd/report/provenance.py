"""Where every number comes from, and what this page cannot tell."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from bayes_ptsd.contrasts import model_of
from bayes_ptsd.evidence.published import select_contrast
from bayes_ptsd.exact.printed import SETTINGS
from bayes_ptsd.provenance import library_versions
from bayes_ptsd.report.contents import Contents
from bayes_ptsd.report.markup import Section, bullets, details, join, paragraph
from bayes_ptsd.report.table import table_html

__all__ = ["limits_section", "provenance_section"]

# Digits of an id on the page: 40 bits tell its few specs apart; the CSV file has all of them.
SHORT = 10


def provenance_section(contents: Contents) -> Section:
    """Return inputs, models, seeds, versions and times of everything on the page."""
    results = pd.DataFrame(_results(contents))
    shown_rows = np.array([row in contents.primary for row in _rows(results)])
    headline = results[shown_rows & (results["convention"] == "T").to_numpy()]
    columns = ["contrast", "crossover_reading", "prior", "engine", "result_id", "spec_id", "model"]
    shown = headline[columns].copy()
    shown["spec_id"] = shown["spec_id"].str[:SHORT]
    html = join(
        _facts(contents, results),
        details(
            f"Results behind the headline rows ({len(shown)} of {len(results)}; all in the CSV)",
            table_html(
                shown.rename(columns={"crossover_reading": "reading"}),
                caption="Identity of each result; spec_id shortened.",
                kind=contents.kind,
                convention="T",
                name="results",
                left=["result_id"],
            ),
        ),
        details("Printed numbers and their place in the paper", _places(contents)),
    )
    tables = {"results": results, "printed": _printed(contents)}
    return Section("provenance", "Provenance", html, tables)


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
    return Section("limits", "What this page cannot tell", bullets(map(escape, items)))


def _rows(results: pd.DataFrame) -> list[tuple[str, str]]:
    """Return contrast and reading of each result."""
    return list(zip(results["contrast"], results["crossover_reading"], strict=True))


def _results(contents: Contents) -> list[dict[str, Any]]:
    """Return one line per result on the page, with what its sidecar says where it is stored."""
    # an average over readings is made of results and is none itself
    return [_result(contents, cell) for cell in contents.cells.values() if cell["result_id"]]


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
        "engine": SETTINGS["engine"],
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


def _facts(contents: Contents, results: pd.DataFrame) -> str:
    """Return the facts about the page as a list of terms."""
    times = sorted(time for time in results["created"] if time)
    conflicts = int((results["warnings"] != "").sum())
    seconds = ", ".join(f"{stage} {value:.1f}" for stage, value in contents.seconds.items())
    facts = {
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
    terms = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts.items())
    return f"<dl>{terms}</dl>"


def _printed(contents: Contents) -> pd.DataFrame:
    """Return the printed rows with their place, as numbers."""
    return contents.effects.to_dataframe().reset_index().assign(evidence_kind=contents.kind)


def _places(contents: Contents) -> str:
    """Return where each printed number stands."""
    lines = [
        {
            "row": str(name),
            **{key: str(row[key]) for key in ("section", "cell", "provenance")},
        }
        for name, row in contents.rows.items()
    ]
    return join(
        paragraph("Signs are converted once, so that positive differences favor the active arm."),
        table_html(
            pd.DataFrame(lines),
            caption="Where each number is printed.",
            kind=contents.kind,
            name="printed",
            left=["section", "cell", "provenance"],
        ),
    )
