"""The command line: JSON alone on stdout, one message per fault, exit statuses, fast start."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bayes_ptsd.cli import app, main
from bayes_ptsd.reanalysis import reanalyze

SHORT = ["--quiet"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in this process, which has its imports behind it."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["bayes-ptsd", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
    status = int(left.value.code or 0)
    return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())


def run_alone(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does, in a process of its own."""
    command = [sys.executable, "-W", "error", "-m", "bayes_ptsd", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


@pytest.fixture(scope="module")
def store(quick_run: tuple[Path, str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of a store made by a quick reanalysis."""
    folder = tmp_path_factory.mktemp("cli") / "store"
    shutil.copytree(quick_run[0], folder)
    document = json.loads(quick_run[1])
    assert document["schema"] == 1
    assert document["computed"] == len(document["results"]) > 100
    assert Path(document["report"]).is_file()
    assert "results computed" in quick_run[2]
    return folder


def test_second_run_finds_everything_and_says_so(
    store: Path, quick_run: tuple[Path, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is refitted, the headline is the same to the last digit, and the user is told.

    The page stands and is left out.
    """
    page, returned = store / "report" / "index.html", []

    def kept(*given: Any, **more: Any) -> dict[str, Any]:
        returned.append(reanalyze(*given, **more))
        return returned[-1]

    monkeypatch.setattr("bayes_ptsd.reanalysis.run.write_report", lambda *_, **__: page)
    monkeypatch.setattr("bayes_ptsd.reanalysis.reanalyze", kept)
    done = CliRunner().invoke(app, ["reanalyze", "--quick", "--store", str(store)])
    assert done.exit_code == 0
    first, (second,) = json.loads(quick_run[1]), returned
    assert (second["computed"], second["found"]) == (0, first["computed"])
    assert second["headline"] == first["headline"]
    assert "nothing refitted" in done.stderr
    assert "T2.IESR.X" in done.stdout
    assert "report" in done.stderr


def test_quiet_says_nothing_on_stderr_and_log_takes_it(tmp_path: Path) -> None:
    """--quiet silences messages; --log keeps them with their time."""
    log, folder = tmp_path / "run.log", tmp_path / "store"
    row = ("fit", "published", "--contrast", "T2.IESR.F", "--store", str(folder))
    done = run(*row, "--quiet", "--log", str(log))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"store {folder}" in log.read_text()


def test_store_list_and_show(store: Path) -> None:
    """A listed result can be shown by the first digits of its id, with all that belongs to it."""
    listed = json.loads(run("store", "list", "--store", str(store), "--json").stdout)
    entry = next(e for e in listed["results"] if e["contrast"] == "T2.IESR.X")
    shown = run("store", "show", entry["result_id"][:8], "--store", str(store), "--json")
    document = json.loads(shown.stdout)
    assert document["analysis"]["result_id"] == entry["result_id"]
    assert document["analysis"]["evidence_kind"] == "published"
    assert {"estimates", "checks", "provenance"} <= set(document)
    people = run("store", "show", entry["result_id"], "--store", str(store)).stdout
    assert "likelihood" in people
    table = run("store", "list", "--store", str(store)).stdout
    assert "T2.IESR.X" in table


def test_compare_reads_the_store_and_prints_json(store: Path) -> None:
    """`compare --json` has the row of the paper's primary result under the prior asked for."""
    done = run(
        "compare", "--endpoint", "ies_r", "--prior", "skeptical", "--store", str(store), "--json"
    )
    rows = json.loads(done.stdout)["rows"]
    first = next(row for row in rows if row["contrast"] == "T2.IESR.F")
    assert first["published_estimate"] == 8.6
    assert first["prob_benefit"] == pytest.approx(0.9751, abs=5e-5)


def test_readings_are_weighed_in_json_and_in_words() -> None:
    """`readings` prints the weights of every assumption, as one document or as tables."""
    document = json.loads(run("readings", "--json").stdout)
    assert document["command"] == "readings"
    assert sum(document["weights"].values()) == pytest.approx(1.0)
    assert document["weights"]["as_published"] < 0.05
    shown = run("readings").stdout
    assert "without madrs" in shown
    assert "Nothing here is proof" in shown


def test_weights_by_hand_reach_the_comparison(store: Path) -> None:
    """With all weight on unhalved the averaged line is the unhalved one."""
    done = run(
        "compare", "--endpoint", "ies_r", "--prior", "flat", "--reading-weights", "unhalved=1",
        "--store", str(store), "--json",
    )  # fmt: skip
    document = json.loads(done.stdout)
    lines = {
        row["crossover_reading"]: row for row in document["rows"] if row["contrast"] == "T2.IESR.X"
    }
    assert document["reading_weights"] == {
        "weights": {"unhalved": 1.0}, "source": "set by hand",
    }  # fmt: skip
    assert lines["averaged"]["mean"] == pytest.approx(lines["unhalved"]["mean"])
    assert lines["averaged"]["mean"] == pytest.approx(lines["as_published"]["mean"] / 2)


def test_credibility_of_one_interval() -> None:
    """The skepticism limit of the first-period result is 14.92."""
    done = run("credibility", "--estimate", "8.6", "--ci", "0.94", "16.2", "--df", "38", "--json")
    quantities = json.loads(done.stdout)["quantities"]
    limit = next(item["value"] for item in quantities if item["name"] == "critical_limit")
    assert limit == pytest.approx(14.92, abs=5e-3)


def test_audit_and_models_print_json_and_text() -> None:
    """Every looking-up command prints one JSON document, or a table for people."""
    audit = json.loads(run("audit", "--json").stdout)
    assert audit["findings"]
    assert "T2.AVOI.F" in run("audit").stdout
    models = json.loads(run("models", "list", "--json").stdout)["models"]
    assert "published-crossover" in {model["name"] for model in models}
    shown = run("models", "show", "published-crossover", "--no-graph")
    assert "score units" in shown.stdout


def test_help_and_version_of_every_command() -> None:
    """Each command explains itself."""
    for command in (["--help"], ["reanalyze", "--help"], ["store", "--help"], ["models", "--help"]):
        assert run(*command).returncode == 0
    assert run_alone("--version").stdout.startswith("bayes-ptsd ")


FAULTS = {
    "unknown model": (["models", "show", "publised"], "did you mean 'published'"),
    "missing model file": (["models", "show", "own.toml"], "there is no such file"),
    "unknown key in a spec": (["models", "show", "{tmp}/bad.toml"], "unknown key 'prioors'"),
    "unknown prior": (["compare", "--prior", "sceptical"], "did you mean 'skeptical'"),
    "unknown reading": (
        ["compare", "--reading-weights", "unhaved=1"], "did you mean 'unhalved'",
    ),
    "unknown endpoint": (["compare", "--endpoint", "iesr"], "did you mean 'ies_r'"),
    "unknown convention": (["compare", "--convention", "Z"], "'Z' not allowed"),
    "swapped limits": (
        ["credibility", "--estimate", "3", "--ci", "5", "1"], "lower limit must be below",
    ),
    "estimate outside": (
        ["credibility", "--estimate", "9", "--ci", "1", "5"], "does not hold the estimate",
    ),
    "df below 1": (
        ["credibility", "--estimate", "3", "--ci", "1", "5", "--df", "0.5"], "df is 0.5",
    ),
    "replication of size 0": (
        ["credibility", "--estimate", "3", "--ci", "1", "5", "--relative-size", "0"], "relative",
    ),
    "unknown flow reading": (["audit", "--flow-reading", "papr"], "did you mean 'paper'"),
    "evidence folder missing": (["audit", "--evidence", "{tmp}/nowhere"], "nowhere"),
    "store is a file": (["reanalyze", "--quick", "--store", "{tmp}/bad.toml"], "bad.toml"),
    "unwritable store": (["reanalyze", "--quick", "--store", "/proc/store"], "/proc/store"),
    "unknown result": (["store", "show", "0123456789", "--store", "{store}"], "0123456789"),
    "log cannot be written": (
        ["report", "--store", "{store}", "--log", "{tmp}/no/run.log"], "log cannot be written",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", list(FAULTS))
def test_bad_input_gets_one_message_and_status_1(
    fault: str,
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Wrong requests end with status 1, one message on stderr, nothing on stdout, nothing lost.

    Inside this process, where a traceback would be an error of the test.
    """
    arguments, message = FAULTS[fault]
    (tmp_path / "bad.toml").write_text('schema = 1\nextends = "published"\n[prioors]\n')
    before = sorted(path.name for path in store.rglob("*.json"))
    monkeypatch.chdir(tmp_path)
    done = run(*(part.format(tmp=tmp_path, store=store) for part in arguments))
    assert done.returncode == 1, done.stderr
    assert message in done.stderr
    assert done.stdout == ""
    assert sorted(path.name for path in store.rglob("*.json")) == before
    assert not (tmp_path / "bayes-ptsd-results").exists()


def test_a_fault_ends_the_process_with_status_1(tmp_path: Path) -> None:
    """As a shell sees it: status 1, one message, no traceback, nothing on stdout or on disk."""
    done = run_alone("models", "show", "publised", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("bayes-ptsd: ")
    assert "did you mean 'published'" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_damaged_result_is_named_and_not_read(store: Path, tmp_path: Path) -> None:
    """One changed byte in a data file is reported by name; the other results stay readable."""
    copy = tmp_path / "store"
    shutil.copytree(store, copy)
    listed = json.loads(run("store", "list", "--store", str(copy), "--json").stdout)["results"]
    victim, other = listed[0], listed[1]
    data = next(path for path in copy.rglob("*.nc") if path.name.startswith(victim["result_id"]))
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 0xFF
    data.chmod(0o644)
    data.write_bytes(bytes(content))
    done = run("store", "show", victim["result_id"], "--store", str(copy))
    assert done.returncode == 1
    assert data.name in done.stderr
    assert run("store", "show", other["result_id"], "--store", str(copy)).returncode == 0
    verified = run("store", "verify", "--store", str(copy))
    assert verified.returncode == 1
    assert victim["result_id"] in verified.stdout
    assert run("store", "remove", victim["result_id"], "--store", str(copy)).returncode == 0
    assert run("store", "verify", "--store", str(copy)).returncode == 0


def test_usage_errors_have_status_2() -> None:
    """A missing option and an unknown command are usage errors."""
    assert run("credibility", "--estimate", "3").returncode == 2
    assert run("reanalyse").returncode == 2


ARRAYS = ["pymc", "pytensor", "nutpie", "arviz", "xarray", "pandas", "scipy.stats", "statsmodels",
          "matplotlib", "h5py"]  # fmt: skip
"""What one printed interval has no use for, and what took most of the time of its commands."""


@pytest.mark.parametrize(
    ("arguments", "banned"),
    [
        (["--help"], ["pymc", "pytensor", "pandas", "xarray", "numpy"]),
        (["store", "list"], ["pymc", "pytensor", "pandas", "xarray", "numpy"]),
        (["compare", "--endpoint", "caps", "--prior", "flat"], ["pymc", "pytensor", "nutpie"]),
        (["models", "list"], ["pymc", "pytensor", "nutpie"]),
        (["credibility", *["--estimate", "8.6", "--ci", "0.94", "16.2", "--df", "38"]], ARRAYS),
        (
            ["credibility", *["--measure", "hr", "--estimate", "0.75", "--ci", "0.55", "1.02"]],
            ARRAYS,
        ),
    ],
)
def test_light_commands_import_nothing_heavy(
    arguments: list[str], banned: list[str], store: Path
) -> None:
    """Lists run on the standard library, credibility on special functions, compare without PyMC."""
    program = (
        "import sys\nfrom bayes_ptsd.cli import app\n"
        f"sys.argv = ['bayes-ptsd'] + {arguments!r}\n"
        "try:\n    app()\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {banned!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True, text=True, check=True,
        env={**os.environ, "BAYES_PTSD_STORE": str(store)},
    )  # fmt: skip
    assert done.stderr.strip().endswith("[]")


def test_importing_the_package_imports_nothing_heavy() -> None:
    """`import bayes_ptsd` needs neither PyMC nor pandas nor xarray."""
    program = (
        "import sys, bayes_ptsd\n"
        "print([n for n in ('pymc', 'pandas', 'xarray', 'numpy') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
