"""A patient file with marks in it, through every command that reads patients: none is left behind.

Ids are in nothing that is written or said. A score is where `--keep-data` was asked for, and in the
refusal of its own row.
"""

from __future__ import annotations

import gzip
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr
import zarr
from typer.testing import CliRunner

from bayes_ptsd.cli import app
from bayes_ptsd.errors import BayesPtsdError
from bayes_ptsd.store import ResultStore

ID, SCORE, BASELINE = "ZQXJ", 43.219871, 61.730519
TRIAL = """
schema = 1
name = "marked"
title = "Marked trial"
design = "crossover"
[treatments]
active = "A"
control = "B"
[endpoints.score]
label = "Score"
kind = "continuous"
better = "lower"
range = [0, 100]
[endpoints.event]
label = "Event"
kind = "binary"
better = "lower"
"""
CRASH = """
import sys
from bayes_ptsd.store import ResultStore
def crash(store, tree, **_):
    raise RuntimeError("made to fail")
ResultStore.save = crash
from bayes_ptsd.cli import main
sys.argv = ["bayes-ptsd", *sys.argv[1:]]
main()
"""


def table() -> str:
    """Return a patient file; every id has the mark, one score and one baseline are marks."""
    rng = np.random.default_rng(417)
    lines = ["subject,sequence,period,treatment,endpoint,value,baseline,site"]
    for number in range(12):
        sequence = ("AB", "BA")[number % 2]
        for period, drug in zip((1, 2), sequence, strict=True):
            marked = (number, period) == (4, 1)
            score = SCORE if marked else round(45 - 5 * (drug == "A") + 8 * rng.normal(), 2)
            before = BASELINE if marked else round(60 + 8 * rng.normal(), 2)
            row = [f"{ID}-{417 + number:04d}", sequence, period, drug]
            lines.append(",".join(map(str, [*row, "score", score, before, f"S{number % 2}"])))
            lines.append(",".join(map(str, [*row, "event", int(score > 45), "", f"S{number % 2}"])))
    return "\n".join(lines) + "\n"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with the marked file and its trial in it; caches and temporary files, too."""
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "in" / "trial.toml").write_text(TRIAL, encoding="utf-8")
    (tmp_path / "in" / "patients.csv").write_text(table(), encoding="utf-8")
    for name in ("TMPDIR", "XDG_CACHE_HOME", "HOME", "MPLCONFIGDIR"):
        folder = tmp_path / "out" / name.lower()
        folder.mkdir()
        monkeypatch.setenv(name, str(folder))
    monkeypatch.setenv("BAYES_PTSD_STORE", str(tmp_path / "out" / "store"))
    monkeypatch.chdir(tmp_path / "out")
    return tmp_path


def said(place: Path, command: str) -> str:
    """Run a command on the marked file and return everything that it says."""
    files = {"TRIAL": place / "in" / "trial.toml", "FILE": place / "in" / "patients.csv"}
    asked = f"--trial {files['TRIAL']} --data {files['FILE']} --endpoint score"
    text = command.replace("PATIENTS", asked)
    for name, path in files.items():
        text = text.replace(name, str(path))
    done = CliRunner().invoke(app, text.split("|") if "|" in text else text.split())
    assert done.exception is None or isinstance(done.exception, BayesPtsdError | SystemExit), text
    return f"{done.output}\n{done.exception}"


def spellings(value: float) -> Iterator[bytes]:
    """Yield how a number is written: its digits, and doubles and floats of either byte order."""
    yield repr(value).encode()
    yield repr(value).encode("utf-16-le")
    for code in ("<d", ">d", "<f", ">f"):
        yield struct.pack(code, value)


def inside(path: Path) -> Iterator[bytes]:
    """Yield the content of a file, as it is, unpacked, and number by number where it is NetCDF."""
    content = path.read_bytes()
    yield content
    if content[:2] == b"\x1f\x8b":
        yield gzip.decompress(content)
    if path.suffix == ".nc":
        with h5py.File(path) as data:
            found: list[bytes] = []
            data.visititems(lambda _, item: found.extend(unpacked(item)))
            yield from found
    if path.name == "zarr.json" and path.parent.suffix == ".zarr":
        for _, item in zarr.open_group(path.parent, mode="r").members(max_depth=None):
            yield from unpacked(item)


def unpacked(item: Any) -> Iterator[bytes]:
    """Yield attributes, and the values of a variable, without packing."""
    yield repr(dict(item.attrs)).encode()
    if hasattr(item, "shape"):
        values = np.asarray(item[...])
        yield repr(values.tolist()).encode()
        yield values.tobytes() if values.dtype != object else b""


def marks_in(folder: Path) -> set[str]:
    """Return the marks that any file of a folder has, or its name."""
    found = set()
    wanted = {"id": [ID.encode(), ID.encode("utf-16-le")], "score": [*spellings(SCORE)],
              "baseline": [*spellings(BASELINE)]}  # fmt: skip
    for path in folder.rglob("*"):
        parts = [path.name.encode(), *(inside(path) if path.is_file() else [])]
        for name, ways in wanted.items():
            if any(way in part for way in ways for part in parts):
                found.add(name)
    return found


COMMANDS = (
    "check-data FILE --trial TRIAL",
    "check-data FILE --trial TRIAL --covariates site --json",
    "fit crossover PATIENTS --prior weak --log log.txt",
    "fit crossover-carryover PATIENTS --prior weak --log log.txt --json",
    "fit crossover-log PATIENTS --prior weak --log log.txt",
    "fit first-period PATIENTS --prior weak --log log.txt",
    "fit binary-beta-binomial --trial TRIAL --data FILE --endpoint event --log log.txt",
    "compare PATIENTS --model crossover --prior weak",
    "carryover PATIENTS --figure carryover.svg --log log.txt",
    "calibrate crossover PATIENTS --simulations 20 --draws 20 --ranks ranks.csv --log log.txt",
    "simulate simulated.csv --trial TRIAL --endpoint score --n 4",
    "report --log log.txt",
    "store list",
    "store list --json",
    "store log",
    "store verify",
    "store export all.csv",
)


def test_no_mark_is_left_behind(place: Path) -> None:
    """Store, report, exports, figures, logs, messages, caches: no id, and no score of anybody."""
    spoken = "".join(said(place, command) for command in COMMANDS)
    store = ResultStore(place / "out" / "store")
    results = [entry["result_id"] for entry in store.catalog()]
    assert len(results) == 6, spoken  # five fits, and what carryover computed
    for number, result_id in enumerate(results):
        spoken += said(place, f"store show {result_id}")
        spoken += said(place, f"store show {result_id} --json")
        spoken += said(place, f"store export one{number}.nc --result {result_id}")
        spoken += said(place, f"store export one{number}.zarr --result {result_id}")
        spoken += said(place, f"replicate prior --result {result_id}")
        spoken += repr(store.load(result_id))
    for mark in (ID, repr(SCORE), repr(BASELINE), "43.2199"):
        assert mark not in spoken
    assert marks_in(place / "out") == set()
    for written in ("log.txt", "carryover.svg", "ranks.csv", "all.csv", "one0.nc", "one0.zarr"):
        assert (place / "out" / written).exists(), written
    assert list((place / "out" / "store" / "report").glob("*.html"))


def test_kept_data_have_scores_and_no_id(place: Path) -> None:
    """With `--keep-data` the scores are there, which is what was asked for; the ids are not."""
    assert ID not in said(place, "fit crossover PATIENTS --prior weak --keep-data")
    assert marks_in(place / "out") == {"score"}


def test_a_sampled_fit_leaves_no_mark_either(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NUTS: no mark in store, log or messages, nor in what PyTensor and Numba keep of compiling."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(place / "out" / "numba"))
    asked = ["fit", "crossover", "--trial", "../in/trial.toml", "--data", "../in/patients.csv",
             "--endpoint", "score", "--prior", "weak", "--engine", "nuts", "--draws", "20",
             "--tune", "20", "--chains", "2", "--log", "log.txt"]  # fmt: skip
    # a process of its own: PyTensor looks for the folder of its cache when it is imported
    done = subprocess.run(
        [sys.executable, "-m", "bayes_ptsd", *asked], capture_output=True, text=True, check=False
    )
    [entry] = ResultStore(place / "out" / "store").catalog()
    assert entry["engine"] == "nuts", done.stderr
    for mark in (ID, repr(SCORE), repr(BASELINE), "43.2199"):
        assert mark not in done.stdout + done.stderr
    assert any((place / "out" / "home" / ".pytensor").rglob("*"))
    assert marks_in(place / "out") == set()


REFUSALS = {
    "an id twice": ("-0420,BA,2", "-0419,BA,2"),
    "a score out of range": (f",{SCORE},", ",-3,"),
    "a score in words": (f",{SCORE},", ",high,"),
    "a sequence that is not followed": ("-0417,AB,1,A", "-0417,AB,1,B"),
    "ids in the column of sequences": ("subject,sequence", "sequence,subject"),
    "ids in the column of scores": ("subject,sequence,period,treatment,endpoint,value",
                                    "value,sequence,period,treatment,endpoint,subject"),
    "ids in the column of endpoints": ("subject,sequence,period,treatment,endpoint",
                                       "endpoint,sequence,period,treatment,subject"),
    "ids in the column of treatments": ("subject,sequence,period,treatment",
                                        "treatment,sequence,period,subject"),
    "ids in the column of periods": ("subject,sequence,period", "period,sequence,subject"),
    "a name without a column": ("subject,", ""),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSALS)
def test_refusals_quote_no_id(kind: str, place: Path) -> None:
    """Whatever is wrong with a file, also ids in another column: no message and no file has one."""
    path = place / "in" / "patients.csv"
    old, new = REFUSALS[kind]
    assert old in path.read_text(encoding="utf-8")
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    for command in ("check-data FILE --trial TRIAL", "fit crossover PATIENTS --log log.txt"):
        words = said(place, command)
        assert "patients.csv" in words
        assert ID not in words
    assert "id" not in marks_in(place / "out")


def test_a_crash_says_no_id_and_no_score(place: Path) -> None:
    """An error that nobody expected shows where it was, not the values that were there."""
    asked = ["fit", "crossover", "--trial", "../in/trial.toml", "--data", "../in/patients.csv",
             "--endpoint", "score", "--log", "log.txt"]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", CRASH, *asked], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "made to fail" in done.stderr
    for mark in (ID, repr(SCORE), "43.2", repr(BASELINE)):
        assert mark not in done.stdout + done.stderr
    assert marks_in(place / "out") == set()


@pytest.mark.parametrize("kind", ["id", "score", "baseline"])
def test_a_mark_is_found(kind: str, tmp_path: Path) -> None:
    """The search finds a mark in a text, in the bytes of a number and in a packed variable."""
    text = {"id": f"x{ID}-0417", "score": f"{SCORE}", "baseline": f"{BASELINE}"}[kind]
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    assert marks_in(tmp_path) == {kind}
    (tmp_path / "a.txt").unlink()
    values = np.full(500, text if kind == "id" else float(text))
    packed = xr.Dataset({"v": ("x", values)})
    packed.to_netcdf(tmp_path / "a.nc", engine="h5netcdf", encoding={"v": {"zlib": True}})
    assert marks_in(tmp_path) == {kind}
    (tmp_path / "a.nc").unlink()
    packed.to_zarr(tmp_path / "a.zarr", consolidated=False)
    assert marks_in(tmp_path) == {kind}
