"""The key of the pseudonyms on the command line: in a file, the same labels in every file."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bayes_ptsd.cli import app
from bayes_ptsd.cli._options import Patients, typed_key
from bayes_ptsd.errors import BayesPtsdError, SpecError
from bayes_ptsd.evidence.patients import load_patients, pseudonym
from bayes_ptsd.specification import Request
from bayes_ptsd.trial import load_trial

SECRET = "q7-not-to-be-found"
TRIAL = """
schema = 1
name = "asthma"
design = "crossover"
[treatments]
active = "F"
control = "S"
[endpoints.pef]
kind = "continuous"
better = "higher"
"""
COMMANDS: dict[tuple[str, ...], str] = {
    ("fit", "crossover"): "structures.patients",
    ("fit", "depression-adjusted", "--endpoint", "pef"): "structures.depression.room",
    ("fit", "subscales-patients"): "structures.parts.room",
    ("carryover",): "structures.patients",
    ("models", "compare", "crossover"): "structures.patients",
    ("compare",): "evidence.patients",
    ("calibrate", "crossover"): "evidence.patients",
    ("check-data",): "evidence.patients",
}
"""Every command that reads patients, with the module that loads them."""


class SeenError(BayesPtsdError):
    """Stops a command once it has loaded patients."""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Return a folder with a trial file, two patient files of the same subjects, and a key."""
    (tmp_path / "trial.toml").write_text(TRIAL)
    rows = [f"s{n},{order},{period},{treatment},{300 + 5 * n * period % 7}"
            for n in range(1, 5)
            for order, pair in [("FS", "FS") if n % 2 else ("SF", "SF")]
            for period, treatment in enumerate(pair, start=1)]  # fmt: skip
    head = "subject,sequence,period,treatment,value\n"
    (tmp_path / "one.csv").write_text(head + "\n".join(rows) + "\n")
    (tmp_path / "two.csv").write_text(head + "\n".join(reversed(rows)) + "\n")
    (tmp_path / "key").write_text(f"  {SECRET}\r\n", encoding="utf-8-sig")
    return tmp_path


def subjects(folder: Path, file: str, key: bytes | None) -> set[str]:
    """Return the labels of the subjects of a file."""
    loaded = load_patients(folder / file, folder / "trial.toml", key=key)
    return set(loaded.data["outcomes"].to_dataset()["subject"].values.tolist())


def test_the_same_key_gives_the_same_labels_in_every_file(files: Path) -> None:
    """Labels are those that the key and the id give; without a key each file has its own."""
    key = typed_key(files / "key")
    assert key == SECRET.encode()
    expected = {pseudonym(f"s{n}", SECRET) for n in range(1, 5)}
    assert subjects(files, "one.csv", key) == subjects(files, "two.csv", key) == expected
    assert subjects(files, "one.csv", None) != subjects(files, "two.csv", None)


def test_key_is_taken_by_option_or_environment_and_never_told(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """check-data says the digest of the evidence under the key, and nothing of the key."""
    words = ["check-data", str(files / "one.csv"), "--trial", str(files / "trial.toml"), "--json"]
    expected = load_patients(files / "one.csv", load_trial(files / "trial.toml"), key=SECRET)
    plain = CliRunner().invoke(app, words)
    given = CliRunner().invoke(app, [*words, "--key-file", str(files / "key")])
    monkeypatch.setenv("BAYES_PTSD_KEY_FILE", str(files / "key"))
    found = CliRunner().invoke(app, words)
    digests = [json.loads(done.stdout)["digest"] for done in (plain, given, found)]
    assert digests[1] == digests[2] == expected.digest != digests[0]
    assert SECRET not in given.output + found.output


@pytest.mark.parametrize("content", [b"", b" \r\n\t", b"\xef\xbb\xbf\n"])
def test_an_empty_key_is_refused(files: Path, content: bytes) -> None:
    """A file without a secret is refused with what to do; doing it is accepted."""
    (files / "key").write_bytes(content)
    with pytest.raises(SpecError, match="is empty; write a secret text into the file"):
        typed_key(files / "key")
    (files / "key").write_text("any secret")
    assert typed_key(files / "key") == b"any secret"


def test_a_key_file_that_is_none_is_refused(files: Path) -> None:
    """A folder, a file that is not there and one of 2 MB are refused by name."""
    (files / "large").write_bytes(b"x" * 2_000_000)
    for name, message in {"": "folder", "none": "no such file", "large": "larger than"}.items():
        with pytest.raises(SpecError, match=message):
            typed_key(files / name)


@pytest.mark.parametrize("words", list(COMMANDS), ids=" ".join)
def test_every_command_that_reads_patients_takes_the_key(
    files: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """The key of the file arrives where patients are loaded."""
    seen: list[Any] = []

    def load(*_: Any, key: Any = None, **__: Any) -> None:
        seen.append(key)
        raise SeenError

    extra = '[endpoints.madrs]\nkind = "continuous"\nbetter = "lower"\ndomain = "x"\n'
    parts = "".join(extra.replace("madrs", f"ies_r_{name}") for name in "abc")
    (files / "trial.toml").write_text(TRIAL + extra + parts + extra.replace("madrs", "ies_r"))
    monkeypatch.setattr(import_module(f"bayes_ptsd.{COMMANDS[words]}"), "load_patients", load)
    named = [str(files / "one.csv")] if words == ("check-data",) else []
    named = named or ["--data", str(files / "one.csv")]
    trial = ["--trial", str(files / "trial.toml"), "--key-file", str(files / "key")]
    done = CliRunner().invoke(app, [*words, *named, *trial])
    assert isinstance(done.exception, SeenError), done.output
    assert seen == [SECRET.encode()]


def test_the_key_is_in_no_file_that_a_fit_writes(files: Path) -> None:
    """Store, run and messages of a fit hold nothing of the key, nor does the request's repr."""
    store = files / "store"
    words = ["fit", "crossover", "--trial", str(files / "trial.toml"), "--data",
             str(files / "one.csv"), "--store", str(store), "--keep-data", "--key-file",
             str(files / "key"), "--json"]  # fmt: skip
    done = CliRunner().invoke(app, words)
    assert done.exit_code in (0, 3), done.output
    written = [path for path in store.rglob("*") if path.is_file()]
    assert len(written) >= 3
    assert [path for path in written if SECRET.encode() in path.read_bytes()] == []
    assert SECRET not in done.output
    asked = Patients(key_file=files / "key").request()
    assert asked.key == SECRET.encode()
    assert SECRET not in repr(asked)
    assert Request(key="x") != Request()
