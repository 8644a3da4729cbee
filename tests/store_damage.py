"""Damage to a store, kind by kind: layouts of missing and foreign files, sealed but wrong sidecars.

`whole_store` makes a store with two results, a run, a tag, a removed result and a report.
`LAYOUTS` damage one: each takes the folder and says what `verify` must call it. `WRONG_SIDECARS`
take the sidecar of result `ID` and return bytes to write in its place. Beside the store,
`people_of` holds files of somebody that nothing may touch.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from bayes_ptsd.store import ResultStore
from bayes_ptsd.store.files import sealed
from bayes_ptsd.store.report_folder import MARK, publish_report, seal_report
from bayes_ptsd.store.tags import tag_run

__all__ = [
    "GONE",
    "ID",
    "LAYOUTS",
    "OTHER",
    "WRONG_SIDECARS",
    "Layout",
    "make_old",
    "people_of",
    "whole_store",
    "write_wrong",
]

ID, OTHER, GONE = "0f3a9c21d4b7", "aa11bb22cc33", "dead00beef00"
YEAR_2001 = 10**9  # a time of files that is older than any grace
ENDING = f"4242.{'ab' * 8}"


class Layout(NamedTuple):
    """One kind of damage: what `verify` must call it, and the name that it must give."""

    damage: Callable[[Path], None]
    called: str  # "problem", "foreign", "swept", "unfinished" or "" where nothing is to be said
    name: str


def tree(result_id: str, seed: int) -> xr.DataTree:
    """Return a small result."""
    made = xr.DataTree.from_dict({"exact": xr.Dataset({"mean": 12.7 + seed})})
    made.attrs = {
        "result_id": result_id, "spec": json.dumps({"model": "published"}), "seed": seed,
        "evidence_kind": "published", "evidence_digest": "5b1e", "model": "published",
        "versions": json.dumps({"numpy": np.__version__}), "seconds": 0.25, "engine": "exact",
        "contrast": "T2.IESR.F", "endpoint": "ies_r", "prior": "weak", "checks_passed": 1,
        "summary": json.dumps({"treatment_difference": {"mean": 12.7, "eti95": [4.8, 20.6]}}),
    }  # fmt: skip
    return made


def whole_store(root: Path) -> ResultStore:
    """Make a store with one of everything, and files of somebody beside it."""
    store = ResultStore(root)
    for seed, result_id in enumerate((ID, OTHER, GONE), start=1):
        store.save(tree(result_id, seed))
    store.record_run("fit", {}, results=[ID, OTHER, GONE])
    store.remove(GONE)
    tag_run(root, "submitted")
    new = root.parent / "making" / "new"
    for name, text in {
        "index.html": f'<meta name="generator" content="bayes-ptsd">\n{MARK}\n',
        "tables/headline.csv": "mean\n12.7\n", "figures/curve.svg": "<svg/>",
        "priors/one.json": "{}",
    }.items():  # fmt: skip
        (new / name).parent.mkdir(parents=True, exist_ok=True)
        (new / name).write_text(text)
    seal_report(new)
    publish_report(new, root / "report")
    shutil.rmtree(new.parent)
    people = people_of(root)
    people.mkdir(exist_ok=True)
    for name in ("thesis.txt", f"{ID}.json.{ENDING}", data_of(root, ID).name):
        (people / name).write_text("somebody's")
        make_old(people / name)
    return store


def people_of(root: Path) -> Path:
    """Return the folder of somebody else beside a store."""
    return root.parent / f"{root.name}-people"


def make_old(path: Path) -> None:
    """Let a file or folder be older than any grace."""
    os.utime(path, (YEAR_2001, YEAR_2001))


def sidecar_of(root: Path, result_id: str) -> Path:
    """Return the sidecar of a result."""
    return root / "results" / f"{result_id}.json"


def data_of(root: Path, result_id: str) -> Path:
    """Return the data file of a result."""
    return next((root / "results").glob(f"{result_id}-*.nc"))


def only(root: Path, folder: str) -> Path:
    """Return the first JSON file of a folder."""
    return min((root / folder).glob("*.json"))


def linked(root: Path, path: Path) -> None:
    """Move a file or folder to somebody's place and leave a link to it."""
    place = people_of(root) / f"moved-{path.name}"
    shutil.move(path, place)
    path.symlink_to(place)


def replaced(path: Path, make: Callable[[Path], object]) -> None:
    """Put something else in the place of a file."""
    path.unlink()
    make(path)


def written(path: Path, content: str = "somebody's", *, old: bool = True) -> None:
    """Write a file that no store wrote."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    if old:
        make_old(path)


def flipped(path: Path) -> None:
    """Change one byte in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    """Leave half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def giant(path: Path) -> None:
    """Let a file seem to have a terabyte."""
    with path.open("wb") as file:
        file.truncate(2**40)


def look_alike(root: Path) -> None:
    """Put a file of somebody whose name looks like that of data."""
    written(root / "results" / f"{'c0ffee12'}-{'0123456789abcdef'}.nc")


def orphan(root: Path, *, old: bool) -> None:
    """Leave the data of a writer that was killed before its sidecar."""
    digest = hashlib.sha256(b"data").hexdigest()[:16]
    written(root / "results" / f"{'ee' * 6}-{digest}.nc", "data", old=old)


def half_report(root: Path, *further: str) -> None:
    """Leave what a killed writer of a report leaves."""
    place = root / ".report-abc_1234"
    for name in ("new/index.html", "old0/tables/headline.csv", *further):
        written(place / name)
    make_old(place)


def no_results(root: Path) -> None:
    """Remove all results and their folder."""
    shutil.rmtree(root / "results")


def with_link(path: Path) -> None:
    """Put a link to somebody's file under a name of the store."""
    path.symlink_to(people_of(path.parents[1]) / "thesis.txt")


def home_like(root: Path) -> None:
    """Let the store be a folder in which somebody keeps things of their own."""
    for name in ("tmp/draft.docx", "tmp/backup.json", "tmp/a.nc", "results/plot.png", "x.csv"):
        written(root / name)


LAYOUTS: dict[str, Layout] = {
    "sidecar missing": Layout(lambda root: sidecar_of(root, ID).unlink(), "problem", ID),
    "data missing": Layout(lambda root: data_of(root, ID).unlink(), "problem", ID),
    "result missing": Layout(
        lambda root: (sidecar_of(root, ID).unlink(), data_of(root, ID).unlink()), "problem", ID
    ),
    "all results missing": Layout(no_results, "problem", OTHER),
    "sidecar is a link": Layout(lambda root: linked(root, sidecar_of(root, ID)), "problem", ID),
    "sidecar is a link to nowhere": Layout(
        lambda root: replaced(sidecar_of(root, ID), lambda path: path.symlink_to("nowhere")),
        "problem", ID,
    ),
    "sidecar is a pipe": Layout(
        lambda root: replaced(sidecar_of(root, ID), os.mkfifo), "problem", ID
    ),
    "sidecar is a folder": Layout(
        lambda root: replaced(sidecar_of(root, ID), Path.mkdir), "problem", ID
    ),
    "sidecar is a full folder": Layout(
        lambda root: replaced(sidecar_of(root, ID), lambda path: written(path / "mine.txt")),
        "problem", ID,
    ),
    "sidecar is a giant": Layout(lambda root: giant(sidecar_of(root, ID)), "problem", ID),
    "sidecar cut": Layout(lambda root: cut(sidecar_of(root, ID)), "problem", ID),
    "sidecar empty": Layout(lambda root: sidecar_of(root, ID).write_bytes(b""), "problem", ID),
    "sidecar of another": Layout(
        lambda root: shutil.copy(sidecar_of(root, OTHER), sidecar_of(root, ID)), "problem", ID
    ),
    "data is a link": Layout(lambda root: linked(root, data_of(root, ID)), "problem", ID),
    "data is a pipe": Layout(lambda root: replaced(data_of(root, ID), os.mkfifo), "problem", ID),
    "data is a folder": Layout(lambda root: replaced(data_of(root, ID), Path.mkdir), "problem", ID),
    "data is a giant": Layout(lambda root: giant(data_of(root, ID)), "problem", ID),
    "data cut": Layout(lambda root: cut(data_of(root, ID)), "problem", ID),
    "data flipped": Layout(lambda root: flipped(data_of(root, ID)), "problem", ID),
    "results is a link": Layout(lambda root: linked(root, root / "results"), "problem", "results"),
    "runs is a link": Layout(lambda root: linked(root, root / "runs"), "problem", "runs"),
    "tags is a link": Layout(lambda root: linked(root, root / "tags"), "problem", "tags"),
    "removed is a link": Layout(lambda root: linked(root, root / "removed"), "problem", "removed"),
    "tmp is a link": Layout(
        lambda root: (
            shutil.rmtree(root / "tmp"), (root / "tmp").symlink_to(people_of(root)),
        ),
        "problem", "tmp",
    ),
    "manifest missing": Layout(lambda root: only(root, "runs").unlink(), "problem", "submitted"),
    "manifest flipped": Layout(lambda root: flipped(only(root, "runs")), "problem", "runs"),
    "manifest is a pipe": Layout(
        lambda root: replaced(only(root, "runs"), os.mkfifo), "problem", "runs"
    ),
    "manifest is a link": Layout(lambda root: linked(root, only(root, "runs")), "problem", "runs"),
    "tag flipped": Layout(lambda root: flipped(only(root, "tags")), "problem", "submitted"),
    "tag is a link": Layout(lambda root: linked(root, only(root, "tags")), "problem", "submitted"),
    "tag under another name": Layout(
        lambda root: shutil.copy(only(root, "tags"), root / "tags" / "revised.json"),
        "problem", "revised",
    ),
    "tombstone flipped": Layout(lambda root: flipped(only(root, "removed")), "problem", GONE),
    "tombstone missing": Layout(lambda root: only(root, "removed").unlink(), "problem", GONE),
    "page missing": Layout(
        lambda root: (root / "report/index.html").unlink(), "problem", "index.html"
    ),
    "page flipped": Layout(
        lambda root: flipped(root / "report/index.html"), "problem", "index.html"
    ),
    "table changed": Layout(
        lambda root: written(root / "report/tables/headline.csv"), "problem", "headline.csv"
    ),
    "figure is a link": Layout(
        lambda root: linked(root, root / "report/figures/curve.svg"), "problem", "curve.svg"
    ),
    "list of files flipped": Layout(
        lambda root: flipped(root / "report/files.json"), "problem", "files.json"
    ),
    "list of files missing": Layout(
        lambda root: (root / "report/files.json").unlink(), "problem", "files.json"
    ),
    "report is a link": Layout(lambda root: linked(root, root / "report"), "foreign", "report"),
    "note in the report": Layout(
        lambda root: written(root / "report/notes.txt"), "foreign", "report/notes.txt"
    ),
    "note among results": Layout(
        lambda root: written(root / "results/notes.txt"), "foreign", "results/notes.txt"
    ),
    "note among runs": Layout(
        lambda root: written(root / "runs/notes.json"), "foreign", "runs/notes.json"
    ),
    "note in the store": Layout(lambda root: written(root / "notes.txt"), "foreign", "notes.txt"),
    "name with a line break": Layout(
        lambda root: written(root / "results/a\n0 results checked"), "foreign", r"results/a\n0"
    ),
    "name that is no text": Layout(
        lambda root: Path(os.fsdecode(os.fsencode(root) + b"/results/\xff")).write_text("x"),
        "foreign", r"results/\udcff",
    ),
    "a copy of data": Layout(
        lambda root: shutil.copy(data_of(root, ID), root / "results" / f"{ID} (copy).nc"),
        "foreign", f"results/{ID} (copy).nc",
    ),
    "upper case": Layout(
        lambda root: written(root / "results" / "AA11BB22CC33.json"), "foreign", "AA11BB22CC33"
    ),
    "looks like data": Layout(look_alike, "foreign", "results/c0ffee12"),
    "somebody's home": Layout(home_like, "foreign", "tmp/draft.docx"),
    "link among unfinished files": Layout(
        lambda root: with_link(root / "tmp" / f"{ID}.json.{ENDING}"), "foreign", f"tmp/{ID}"
    ),
    "folder among unfinished files": Layout(
        lambda root: written(root / "tmp" / f"{ID}.json.{ENDING}" / "mine"), "foreign", f"tmp/{ID}"
    ),
    "hidden files": Layout(
        lambda root: [
            written(root / folder / name)
            for folder in ("results", "runs", "tags", "tmp", "removed", "report", ".")
            for name in (".DS_Store", ".nfs0000abcd")
        ],
        "", "",
    ),
    "folder of unfinished files missing": Layout(lambda root: (root / "tmp").rmdir(), "", ""),
    "report missing": Layout(lambda root: shutil.rmtree(root / "report"), "", ""),
    "report from before there were lists": Layout(
        lambda root: (
            (root / "report/files.json").unlink(),
            (root / "report/index.html").write_text("page"),
        ),
        "", "",
    ),
    "unfinished file, old": Layout(
        lambda root: written(root / "tmp" / f"{ID}.json.{ENDING}"), "swept", f"{ID}.json"
    ),
    "unfinished file, young": Layout(
        lambda root: written(root / "tmp" / f"{ID}.json.{ENDING}", old=False),
        "unfinished", f"{ID}.json",
    ),
    "orphan, old": Layout(lambda root: orphan(root, old=True), "swept", "ee" * 6),
    "orphan, young": Layout(lambda root: orphan(root, old=False), "unfinished", "ee" * 6),
    "half a report": Layout(half_report, "swept", ".report-abc_1234"),
    "half a report and a note": Layout(
        lambda root: half_report(root, "old0/notes.txt"), "foreign", ".report-abc_1234"
    ),
}  # fmt: skip


def _with(**values: Any) -> Callable[[dict[str, Any]], bytes]:
    """Return a maker of a sealed sidecar with other values."""
    return lambda sidecar: sealed({**sidecar, **values})


def _without(key: str) -> Callable[[dict[str, Any]], bytes]:
    """Return a maker of a sealed sidecar without a key."""
    return lambda sidecar: sealed({name: sidecar[name] for name in sidecar if name != key})


def _forced(text: str) -> Callable[[dict[str, Any]], bytes]:
    """Return a maker of a sidecar with JSON text that `sealed` refuses, sealed by hand."""

    def make(sidecar: dict[str, Any]) -> bytes:
        bare = json.dumps({**sidecar, "model": "@"}, sort_keys=True, indent=1) + "\n"
        bare = bare.replace('"@"', text)
        seal = hashlib.sha256(bare.encode()).hexdigest()
        whole = {**sidecar, "model": "@", "metadata_sha256": seal}
        sealed_text = json.dumps(whole, sort_keys=True, indent=1) + "\n"
        return sealed_text.replace('"@"', text).encode()

    return make


WRONG_SIDECARS: dict[str, Callable[[dict[str, Any]], bytes]] = {
    **{f"no {key}": _without(key) for key in (
        "file", "sha256", "size", "created", "result_id", "summary", "evidence_kind", "model",
        "checks_passed", "schema",
    )},
    "file above": _with(file="../../thesis.txt"),
    "file absolute": _with(file="/etc/hostname"),
    "file of another": _with(file=f"{OTHER}-{'0' * 16}.nc"),
    "file is a list": _with(file=["a"]),
    "file of another digest": _with(file=f"{ID}-{'0' * 16}.nc"),
    "digest in upper case": lambda one: sealed({**one, "sha256": one["sha256"].upper()}),
    "digest null": _with(sha256=None),
    "digest of other data": lambda one: sealed(
        {**one, "sha256": "0" * 64, "file": f"{ID}-{'0' * 16}.nc"}
    ),
    "size negative": _with(size=-1),
    "size text": _with(size="612"),
    "size true": _with(size=True),
    "size wrong": lambda one: sealed({**one, "size": one["size"] + 1}),
    "size small": lambda one: sealed({**one, "size": one["size"] - 1}),
    "created number": _with(created=20261130),
    "created no moment": _with(created="yesterday"),
    "created without a zone": _with(created="2026-11-30T16:00:00"),
    "summary text": _with(summary="12.7"),
    "summary of a text": _with(summary={"treatment_difference": {"mean": "12.7"}}),
    "summary beyond floats": _with(summary={"treatment_difference": {"mean": 10**400}}),
    "summary of three limits": _with(summary={"treatment_difference": {"eti95": [1, 2, 3]}}),
    "summary of a list": _with(summary={"treatment_difference": [12.7]}),
    "region text": _with(summary={"treatment_difference": {"rope": "narrow"}}),
    "warnings table": _with(warnings={"a": 1}),
    "seed text": _with(seed="20140521"),
    "versions list": _with(versions=["numpy"]),
    "specification text": _with(spec="{}"),
    "model null": _with(model=None),
    "engine number": _with(engine=7),
    "kind unknown": _with(evidence_kind="patient"),
    "kind is a list": _with(evidence_kind=["patients"]),
    "checks in words": _with(checks_passed="yes"),
    "dropped text": _with(dropped="observed_data"),
    "sets negative": _with(reconstructions=-1),
    "sets text": _with(reconstructions="20"),
    "another id": _with(result_id=OTHER),
    "id that is a path": _with(result_id="../0f3a9c21"),
    "schema later": _with(schema=2),
    "schema true": _with(schema=True),
    "schema text": _with(schema="1"),
    "half a surrogate": _forced('"\\ud800"'),
    "not a number": _forced("NaN"),
    "a number of 5,000 digits": _forced("9" * 5000),
    "100,000 brackets": _forced("[" * 100_000 + "]" * 100_000),
}  # fmt: skip


def write_wrong(root: Path, make: Callable[[dict[str, Any]], bytes]) -> None:
    """Put a sidecar that is sealed but wrong in the place of that of result `ID`."""
    path = sidecar_of(root, ID)
    content = json.loads(path.read_bytes())
    del content["metadata_sha256"]
    path.write_bytes(make(content))
