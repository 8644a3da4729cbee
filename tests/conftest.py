"""Fixtures and marks that every test file may use."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
import xarray as xr
from filelock import FileLock
from hypothesis import settings

from bayes_ptsd.compiled import CompiledModels
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.published import load_published

ROOT = Path(__file__).parents[1]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# fixtures of the files that take minutes; the processes that share the tests take files in order
LONG = {"compiled", "quick_run"}

# No window system in a test, and no database of examples in a folder that may be read-only.
os.environ.setdefault("MPLBACKEND", "Agg")
settings.register_profile("suite", deadline=None, database=None, derandomize=True)
settings.load_profile("suite")


def shared_folder() -> Path | None:
    """Return the shared folder, if there is one."""
    folder = Path(os.environ.get("BAYES_PTSD_SHARED") or ROOT.parent / "shared")
    return folder.resolve() if (folder / "paper" / "feder2014.txt").is_file() else None


def browser_program() -> str | None:
    """Return the path of a Chromium, if there is one."""
    names = [os.environ["BROWSER"]] if os.environ.get("BROWSER") else BROWSERS
    return next((found for found in map(shutil.which, names) if found), None)


def absent(what: str, require: str) -> NoReturn:
    """Skip the test, or fail it where the environment variable `require` is 1."""
    if os.environ.get(require) == "1":
        pytest.fail(f"{what}, and {require}=1 forbids to skip", pytrace=False)
    pytest.skip(what)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files that sample or need the quick reanalysis first: the last ones are to be short."""
    long = {item.path for item in items if LONG & set(getattr(item, "fixturenames", ()))}
    items.sort(key=lambda item: item.path not in long)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip marked tests whose outside needs are not met."""
    if item.get_closest_marker("shared") and shared_folder() is None:
        absent("no shared folder (BAYES_PTSD_SHARED or ../shared)", "BAYES_PTSD_REQUIRE_SHARED")
    if item.get_closest_marker("browser") and browser_program() is None:
        absent("no Chromium (BROWSER or on PATH)", "BAYES_PTSD_REQUIRE_BROWSER")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the shared folder; the test is skipped, or failed, where it is absent."""
    folder = shared_folder()
    if folder is None:
        absent("no shared folder (BAYES_PTSD_SHARED or ../shared)", "BAYES_PTSD_REQUIRE_SHARED")
    return folder


@pytest.fixture(scope="session")
def browser() -> str:
    """Return the path of a Chromium; the test is skipped, or failed, where there is none."""
    program = browser_program()
    if program is None:
        absent("no Chromium (BROWSER or on PATH)", "BAYES_PTSD_REQUIRE_BROWSER")
    return program


@pytest.fixture(scope="session")
def checkout() -> Path:
    """Return the root of the source tree under test."""
    return ROOT


@pytest.fixture(scope="session")
def quick_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """Return the store of one quick reanalysis, its document and its messages; to be copied.

    A run takes a minute or more, so the processes that share the tests share it as well, and runs
    of the tests that are given one folder for it in `BAYES_PTSD_QUICK_RUN`.
    """
    base = tmp_path_factory.getbasetemp()
    own = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "quick-run"
    folder = Path(os.environ.get("BAYES_PTSD_QUICK_RUN") or own)
    with FileLock(f"{folder}.lock"):
        if not (said := folder / "said.json").exists():
            command = [sys.executable, "-W", "error", "-m", "bayes_ptsd", "reanalyze", "--quick"]
            # hashes of its own, not those of the tests: no number may hang on their order
            hashed = {key: value for key, value in os.environ.items() if key != "PYTHONHASHSEED"}
            done = subprocess.run(
                [*command, "--store", str(folder / "store"), "--json"],
                capture_output=True, text=True, check=False, env=hashed,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            said.write_text(json.dumps([done.stdout, done.stderr]), encoding="utf-8")
    document, messages = json.loads(said.read_text(encoding="utf-8"))
    return folder / "store", document, messages


@pytest.fixture(scope="session")
def compiled() -> CompiledModels:
    """Keep compiled models over all tests of a process: compiling takes longer than sampling."""
    return CompiledModels()


@pytest.fixture(scope="session")
def counted() -> Evidence:
    """Return the printed evidence, two rows with the patients and df of their own analyses.

    CGI-I has no baseline (df 39), QIDS-SR has one for 15 of 19 patients (n 37, df 34).
    """
    printed = load_published()
    nodes = {name: node.to_dataset() for name, node in printed.data.children.items()}
    effects = nodes["effects"].copy(deep=True)
    for name, df, control in (("T2.CGII.F", 39, 19), ("T2.QIDS.F", 34, 15)):
        effects["df"].loc[name], effects["n_control"].loc[name] = df, control
    return replace(printed, data=xr.DataTree.from_dict(nodes | {"effects": effects}))
