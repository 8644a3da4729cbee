"""The report: one page that needs nothing else, its tables as CSV and its figures as SVG."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from bayes_ptsd.errors import ResultNotFoundError, StoreError, visible
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.prior_family import PRIOR_FAMILY
from bayes_ptsd.provenance import DEFAULT_SEED
from bayes_ptsd.report.audit import audit_section
from bayes_ptsd.report.binary import binary_section
from bayes_ptsd.report.comparison import comparison_section
from bayes_ptsd.report.contents import (
    HEADLINE_PRIORS,
    Contents,
    PatientOutcome,
    patient_outcomes,
)
from bayes_ptsd.report.credibility import credibility_section
from bayes_ptsd.report.depression import depression_section
from bayes_ptsd.report.diagnostics import diagnostics_section
from bayes_ptsd.report.figures import curve_section, forest_section, update_section
from bayes_ptsd.report.headline import first_screen
from bayes_ptsd.report.joint import joint_section
from bayes_ptsd.report.methods import methods_section
from bayes_ptsd.report.patients import patient_sections
from bayes_ptsd.report.priors import priors_section
from bayes_ptsd.report.provenance import limits_section, provenance_section
from bayes_ptsd.report.readings import readings_section
from bayes_ptsd.report.reconstructed import reconstructed_section
from bayes_ptsd.report.replication import replication_section
from bayes_ptsd.report.section import Section
from bayes_ptsd.report.sensitivity import sensitivity_section
from bayes_ptsd.store import ResultStore
from bayes_ptsd.store.report_folder import (
    PAGE,
    is_sealed_report,
    publish_report,
    seal_report,
    sweep_leftovers,
)
from bayes_ptsd.store.report_origin import origin_digest
from bayes_ptsd.store.tables import csv_text
from bayes_ptsd.store.upkeep import GRACE
from bayes_ptsd.whole_files import write_synced

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Head", "page_html", "page_sections", "write_report"]

# bytes: the page of the shipped evidence has 3 million, its tables and figures 4 million
ROOM = 10_000_000
GENERATOR = '<meta name="generator" content="bayes-ptsd">'
SECTIONS: tuple[Callable[[Contents], Section | None], ...] = (
    first_screen,
    forest_section,
    update_section,
    curve_section,
    sensitivity_section,
    readings_section,
    joint_section,
    reconstructed_section,
    depression_section,
    comparison_section,
    audit_section,
    credibility_section,
    binary_section,
    replication_section,
    priors_section,
    methods_section,
    diagnostics_section,
    provenance_section,
    limits_section,
)


@dataclass(frozen=True)
class Head:
    """What stands above the sections of the page."""

    title: str
    kind: str  # all kinds of evidence on it
    subtitle: str  # what it is made from


def write_report(
    evidence: Evidence | None,
    store: ResultStore,
    folder: str | Path,
    *,
    seconds: Mapping[str, float] | None = None,
    quick: bool = False,
    seed: int = DEFAULT_SEED,
    reading_weights: Mapping[str, float] | None = None,
    keep: bool = False,
) -> Path:
    """Write the page of a reanalysis, of patients, or of both, and return its ``index.html``.

    Beside it are ``tables`` (CSV), ``figures`` (SVG) and, where a replication is foretold,
    ``priors`` (JSON). What the store lacks is computed, and not stored unless it is to `keep`
    what sections compute beyond the posteriors of their rows. Without evidence the page is
    about the patients of the store alone: `ResultNotFoundError` if it has none. `folder` may be
    new, empty or hold an earlier report, whose files are replaced; anything else, or a failure to
    write, is a `StoreError`, and then nothing in it has changed.
    """
    target = Path(folder)
    _refuse_foreign(target)
    outcomes = patient_outcomes(store)
    if evidence is None and not outcomes:
        raise ResultNotFoundError(f"{store.path}: holds no result of patients to report")
    _check_writable(target.resolve())
    contents = None if evidence is None else Contents(
        evidence=evidence,
        store=store,
        priors=HEADLINE_PRIORS if quick else tuple(PRIOR_FAMILY),
        conventions=("T",) if quick else ("T", "N"),
        seconds=seconds or {},
        seed=seed,
        reading_weights=reading_weights,
        keeps=keep,
    )  # fmt: skip
    sections = [] if contents is None else page_sections(contents)
    for number, outcome in enumerate(outcomes, start=1):
        sections += patient_sections(outcome, f"patients{number}")
    head = (
        _patient_head(outcomes) if contents is None else _printed_head(contents, outcomes, sections)
    )
    place = target.resolve()
    with _writing(target):
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{place.name}-") as made:
            new = Path(made) / "new"
            _write_parts(new, head, sections)
            origin = origin_digest(Path(store.path), evidence, quick=quick, seed=seed,
                                   reading_weights=reading_weights)  # fmt: skip
            seal_report(new, origin)
            publish_report(new, place)
            sweep_leftovers(place, Path(made).stat().st_mtime, GRACE)
    return target / PAGE


def page_sections(contents: Contents) -> list[Section]:
    """Return the sections in their order, the first screen first, none without material."""
    made = (section(contents) for section in SECTIONS)
    return [section for section in made if section is not None]


def page_html(head: Head, sections: Sequence[Section]) -> str:
    """Return the page as HTML that loads nothing; the first section is the first screen."""
    place = resources.files("bayes_ptsd.report")
    links = "".join(f'<a href="#{part.id}">{escape(part.title)}</a>' for part in sections[1:])
    body = [_section_html(part) for part in sections]
    body.insert(1, f'<nav aria-label="Sections">{links}</nav>')
    return Template((place / "page.html").read_text(encoding="utf-8")).substitute(
        title=escape(head.title),
        style=(place / "style.css").read_text(encoding="utf-8"),
        kind=escape(head.kind),
        subtitle=escape(head.subtitle),
        body="\n".join(body),
    )


def _printed_head(
    contents: Contents, outcomes: Sequence[PatientOutcome], sections: Sequence[Section]
) -> Head:
    """Return the head of a page about printed numbers, and about patients if there are any."""
    title = f"Bayesian reanalysis: {contents.trial.title}"
    tables = [frame for section in sections for frame in section.tables.values()]
    told = {kind for frame in tables for kind in frame.get("evidence_kind", ())}
    made = ["reconstructed"] if "reconstructed" in told else []
    kinds = dict.fromkeys([contents.kind, *made, *(outcome.kind for outcome in outcomes)])
    printed = "printed numbers" + (" and patients reconstructed from them" if made else "")
    subtitle = f"{printed}, and below them patients; no row of a patient is on this page"
    if not outcomes:
        subtitle = f"{printed}, no patient data" if made else f"{printed} only, no patient data"
    return Head(title, ", ".join(kinds), subtitle)


def _patient_head(outcomes: Sequence[PatientOutcome]) -> Head:
    """Return the head of a page about patients alone."""
    titles = dict.fromkeys(
        str(outcome.attrs.get("trial_title") or outcome.attrs["trial"]) for outcome in outcomes
    )
    kinds = dict.fromkeys(outcome.kind for outcome in outcomes)
    subtitle = "summaries of patients; no row of a patient is on this page"
    return Head(f"Bayesian analysis: {'; '.join(titles)}", ", ".join(kinds), subtitle)


def _section_html(section: Section) -> str:
    """Return one section with its heading."""
    kind = ' class="first"' if section.id == "summary" else ""
    heading = f"<h2>{escape(section.title)}</h2>"
    return f'<section id="{section.id}"{kind}>\n{heading}\n{section.html}\n</section>'


def _write_parts(place: Path, head: Head, sections: Sequence[Section]) -> None:
    """Write page, tables and figures into a new folder."""
    # HTML allows no control character, and no text may reorder its line
    texts = {PAGE: visible(page_html(head, sections), keep="\n")}
    for section in sections:
        for name, frame in section.tables.items():
            texts[f"tables/{name}.csv"] = csv_text(frame, index=False)
        for name, svg in section.figures.items():
            texts[f"figures/{name}.svg"] = svg
        for name, document in section.priors.items():
            texts[f"priors/{name}.json"] = json.dumps(document, allow_nan=False) + "\n"
    for folder in {"tables", "figures", *(str(Path(name).parent) for name in texts)}:
        (place / folder).mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_synced(place / name, text.encode())


def _refuse_foreign(target: Path) -> None:
    """Refuse a folder whose files are not those of a report."""
    if target.is_dir() and any(target.iterdir()):
        page = target / PAGE
        known = page.is_file() and GENERATOR in page.read_text("utf-8", errors="replace")
        if not known and not is_sealed_report(target):
            raise StoreError(
                f"{target}: holds files that are not a report of bayes-ptsd; name a new or an "
                "empty folder"
            )
    elif target.exists() and not target.is_dir():
        raise StoreError(f"{target}: is a file; name a folder for the report")


def _check_writable(place: Path) -> None:
    """Find out before anything is computed whether a report can be written."""
    with _writing(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{place.name}-"):
            free = shutil.disk_usage(place.parent).free
    if free < ROOM:
        raise StoreError(
            f"{place}: {free / 1e6:.0f} MB are free and about {ROOM / 1e6:.0f} MB are needed for "
            "the report; make room, or choose another folder"
        )


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    """Turn a failure of the file system into one message."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{target}: the report cannot be written ({error.strerror}); choose another folder"
        ) from error
