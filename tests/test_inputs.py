"""Files that people write by hand: accepted, or refused with one error that names file and key."""

from __future__ import annotations

import json
import os
import shutil
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from written_files import GOOD_TRIAL, altered, anything, document, put

from bayes_ptsd.errors import BayesPtsdError, EvidenceError, SpecError, visible
from bayes_ptsd.evidence.patient_writers import trial_toml
from bayes_ptsd.evidence.published import load_published
from bayes_ptsd.models_files import load_model
from bayes_ptsd.priors import parse_prior
from bayes_ptsd.provenance import endpoint_constants
from bayes_ptsd.reconstruction.nuisance import load_nuisance
from bayes_ptsd.simulation.patients import simulate_trial
from bayes_ptsd.specification import parse_option, parse_override
from bayes_ptsd.trial import Trial, load_trial

FOLDER = Path(__file__).parents[1] / "bayes_ptsd" / "evidence" / "feder2014"
UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
bounded = settings(
    max_examples=120, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def refused(error: BaseException, where: str) -> None:
    """Check that a refusal is one line that names the file and fits a screen."""
    text = str(error)
    assert where in text
    assert "\n" not in text
    assert len(text) < 1500
    assert not [one for one in text if unicodedata.category(one) in UNSEEN]


def trial_of(folder: Path, content: bytes | str) -> Trial | None:
    """Return the trial that a file holds, None where it is refused as it should be."""
    file = folder / "trial.toml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    try:
        return load_trial(file)
    except SpecError as error:
        refused(error, "trial.toml")
        return None


@bounded
@given(altered(GOOD_TRIAL))
def test_any_value_at_any_key_of_a_trial_file(tmp_path: Path, text: str) -> None:
    """It is refused, or what is read can be written, digested, stored and simulated from."""
    trial = trial_of(tmp_path, text)
    if trial is None:
        return
    again = trial_of(tmp_path, trial_toml(trial))
    assert again == replace(trial, columns={})
    assert len(trial.digest) == 64
    for endpoint in trial.endpoints.values():
        json.dumps(endpoint_constants(endpoint), allow_nan=False)
        shown = (endpoint.label, endpoint.unit, endpoint.mcid_basis, endpoint.domain, trial.title)
        assert not [one for one in "".join(shown) if unicodedata.category(one) in UNSEEN]
    try:
        scores = simulate_trial(trial, n_by_sequence=2, seed=1).data["outcomes"]["value"]
    except BayesPtsdError as error:
        refused(error, "")
    else:
        assert scores.notnull().all()


def test_the_good_trial_file_is_accepted(tmp_path: Path) -> None:
    """What the property tests change is a trial whose every key arrives."""
    trial = trial_of(tmp_path, document(GOOD_TRIAL))
    assert trial is not None
    assert trial.endpoint("pef").range == (0.0, 900.0)
    assert trial.endpoint("relief").event == "yes"
    assert (trial.data.decimal, trial.data.factors, trial.data.replicates) == (
        ",", ("site",), "mean",
    )  # fmt: skip


@bounded
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@example(b"\xff\xfes\x00c\x00")
@example(b"\xef\xbb\xbf")
@example(b"x = " + b"[" * 100_000)
@example(b"x = " + b"9" * 5000)
@example(b"a." * 2000 + b"b = 1")
@example(b"schema = 0x" + b"f" * 9000)
def test_any_bytes_as_trial_and_model_file(tmp_path: Path, content: bytes) -> None:
    """Bytes that are no trial are refused by one line; so they are as model and nuisance file."""
    assert trial_of(tmp_path, content) is None
    for reader in (load_model, load_nuisance):
        with pytest.raises(SpecError) as caught:
            reader(tmp_path / "trial.toml")
        refused(caught.value, "trial.toml")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("title",), 20140521, "'title' must be a text"),
        (("name",), ["asthma"], "'name' must be a text"),
        (("endpoints", "pef", "unit"), True, "'unit' must be a text in quotation marks, got true"),
        (("endpoints", "pef", "mcid_basis"), {"a": 1}, "'mcid_basis' must be a text"),
        (("endpoints", "pef", "domain"), " ", "'domain' must be a text"),
        (("endpoints", "pef", "label"), "x" * 1000, "'label' must be at most 200 characters"),
        (("endpoints", "pef", "kind"), ["binary"], "'kind' must be one of"),
        (("endpoints", "pef", "event"), "yes", "'event' is for binary endpoints"),
        (("endpoints", "relief", "event"), 1, "'event' must be a text"),
        (("endpoints", "pef", "range"), {"low": 0}, "'range' must be .lowest, highest."),
        (("endpoints", "pef", "range"), [0, float("inf")], "'range' must be"),
        (("endpoints", "pef", "range"), [-1e300, 1e300], "from -1e15 to 1e15"),
        (("endpoints", "pef", "range"), [0, True], "'range' must be"),
        (("endpoints", "relief", "range"), [0, 10], "as the endpoint is binary"),
        (("endpoints", "pef", "mcid"), float("nan"), "'mcid' must be a positive number"),
        (("endpoints", "pef", "mcid"), 1e-300, "'mcid' must be a positive number"),
        (("endpoints", "pef", "mcid"), 901, "at most 900, the width of the range"),
        (("endpoints", "pef", "residual_sd"), "40", "'residual_sd' must be a positive number"),
        (("endpoints", "pef", "reference_sd"), 16**3000, "a whole number beyond 1e15"),
        (("endpoints",), {}, "describe 1 to 1000 endpoints"),
        (("endpoints", "PEF"), GOOD_TRIAL["endpoints"]["relief"], "'pef' and 'PEF' look the same"),
        (("endpoints", "x\x1b"), GOOD_TRIAL["endpoints"]["relief"], r"control character \\x1b"),
        (("sequences", "FS"), [1, 2], "'FS' must be a list of treatments"),
        (("sequences", "FS"), [], "a treatment for each period"),
        (("sequences", "FS"), ["formoterol", "salbutamol", "formoterol"], "as many periods"),
        (("design",), "parallel", "a list of one treatment"),
        (("treatments", "control"), " FORMOTEROL", "active and control are both"),
        (("treatments", "control"), "a\nb", r"control character \\n"),
        (("treatments", "control"), "a\u202eb", r"control character \\u202e"),
        (("columns", "subject"), 3, "'subject' must be a text"),
        (("columns",), ["patient"], "'columns' is not a table"),
        (("visits", "8h"), float("nan"), "'8h' must be a number"),
        (("visits", "8h"), "8", "'8h' must be a number"),
        (("data", "factors"), "site", "'factors' must be a list of column names"),
        (("schema",), True, "write 'schema = 1'"),
    ],
)
def test_each_fault_of_a_value_names_its_key(
    tmp_path: Path, path: tuple[str, ...], value: Any, message: str
) -> None:
    """Types, sizes and names that no later command could use are refused where they stand."""
    file = tmp_path / "trial.toml"
    file.write_text(document(put(GOOD_TRIAL, path, value)))
    with pytest.raises(SpecError, match=message) as caught:
        load_trial(file)
    refused(caught.value, "trial.toml")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-8"])
def test_byte_order_mark_and_combining_letters_are_read(tmp_path: Path, encoding: str) -> None:
    """A byte-order mark, Windows line ends and decomposed accents change nothing that is read."""
    composed = put(GOOD_TRIAL, ("treatments", "active"), "k\u00e9tamine")
    composed = put(composed, ("sequences",), {"AB": ["k\u00e9tamine", "salbutamol"]})
    text = document(composed)
    (tmp_path / "composed.toml").write_text(text, encoding="utf-8")
    decomposed = unicodedata.normalize("NFD", text).replace("\n", "\r\n")
    (tmp_path / "own.toml").write_bytes(decomposed.encode(encoding))
    read = load_trial(tmp_path / "own.toml")
    assert read == load_trial(tmp_path / "composed.toml")
    assert read.active == "k\u00e9tamine"


def test_what_is_no_file_of_text_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """A folder, a pipe, a device, 2 MB, UTF-16, a name with NUL: one line, at once."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"#" * 2_000_000)
    (tmp_path / "utf16").write_bytes(document(GOOD_TRIAL).encode("utf-16"))
    wanted = {
        tmp_path: "is a folder; name a text file",
        tmp_path / "pipe": "is a pipe; name a text file",
        Path(os.devnull): "is a device; name a text file",
        tmp_path / "large": "larger than 1 MB",
        tmp_path / "utf16": "save it as UTF-8",
        tmp_path / "nul\0": "cannot be read",
        tmp_path / ("long" * 200): "cannot be read",
        tmp_path / "no\nline": "no such file",
    }
    for path, message in wanted.items():
        with pytest.raises(SpecError, match=message) as caught:
            load_trial(path)
        refused(caught.value, "")


def test_texts_for_people_lose_their_control_characters(tmp_path: Path) -> None:
    """What a terminal would obey is an escape in labels, and sizes of names stay within a line."""
    table = put(GOOD_TRIAL, ("endpoints", "pef", "label"), "Peak\x1b[31m\nflow\u202e\u200b")
    trial = trial_of(tmp_path, document(table))
    assert trial is not None
    assert trial.endpoint("pef").label == "Peak\\x1b[31m\\nflow\\u202e\\u200b"


GOOD_MODEL: dict[str, Any] = {
    "schema": 1,
    "extends": "published",
    "title": "Own",
    "question": "What?",
    "estimand": "difference",
    "options": {"convention": "T"},
    "priors": {
        "treatment": {
            "dist": "mixture",
            "weights": [0.5, 0.5],
            "components": [{"dist": "normal", "mu": 0, "sigma": 1}, {"dist": "cauchy", "mu": 0,
                           "sigma": 1}],
        }
    },
}  # fmt: skip


@bounded
@given(altered(GOOD_MODEL) | anything.map(lambda one: document({"schema": 1, "priors": one})))
def test_any_value_at_any_key_of_a_model_file(tmp_path: Path, text: str) -> None:
    """It is refused with one line, or the specification has a digest and a document."""
    file = tmp_path / "own.toml"
    file.write_text(text, encoding="utf-8")
    try:
        spec = load_model(file)
    except SpecError as error:
        refused(error, "own.toml")
    else:
        assert len(spec.spec_id) == 64
        json.dumps(spec.document(), allow_nan=False)


def test_the_good_model_file_is_accepted(tmp_path: Path) -> None:
    """What the property test changes is a model."""
    (tmp_path / "own.toml").write_text(document(GOOD_MODEL))
    assert load_model(tmp_path / "own.toml").title == "Own"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("priors", "treatment"), {"dist": ["normal"]}, "unknown distribution"),
        (("priors", "treatment"), {"dist": "normal", "mu": 0, "sigma": 10**400}, "finite number"),
        (("priors", "treatment", "components"), 5, "must be lists"),
        (("priors", "treatment", "components"), [1, 2], "component 1: must be a table"),
        (("priors", "treatment", "weights"), ["a", "b"], "a weight: expected a finite number"),
        (("options", "convention"), ["T"], "not allowed"),
        (("extends",), 3, "'extends' must be a text"),
        (("extends",), "../../published", "extends unknown model"),
        (("title",), 20140521, "'title' must be a text"),
        (("priors",), "weak", "'priors' is not a table"),
    ],
)
def test_faults_of_model_files_name_their_key(
    tmp_path: Path, path: tuple[str, ...], value: Any, message: str
) -> None:
    """Values of the wrong type in a model file are refused by key."""
    (tmp_path / "own.toml").write_text(document(put(GOOD_MODEL, path, value)))
    with pytest.raises(SpecError, match=message) as caught:
        load_model(tmp_path / "own.toml")
    refused(caught.value, "own.toml")


@bounded
@given(st.text(max_size=40) | st.from_regex(r"(normal|uniform|gamma)\(.{0,30}\)", fullmatch=True))
@example("normal(0, 1" + "0" * 400 + ")")
@example("treatment=uniform(-1e308, 1e308)")
def test_any_prior_on_the_command_line(text: str) -> None:
    """A typed prior or option is one, or is refused with one line."""
    room = load_model("crossover").room
    for read in (parse_prior, parse_override, lambda one: parse_option(one, room)):
        try:
            read(text)
        except SpecError as error:
            refused(error, "")


cells = st.text(max_size=12) | st.sampled_from(
    [
        "",
        "1e5",
        "9" * 400,
        "-",
        "nan",
        "0.5",
        "\u0665",
        "1,5",
        "\x1b[2J",
        "=1",
        '"',
        "a\nb",
        "ies_r",
    ]
)


@bounded
@given(
    name=st.sampled_from(["effects", "flow", "claims", "baseline", "adverse_events", "design"]),
    changes=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 15), cells), max_size=3),
)
def test_any_cell_of_printed_tables(
    tmp_path: Path, name: str, changes: list[tuple[int, int, str]]
) -> None:
    """A folder of printed numbers with any text in any cell is read, or refused with one line."""
    folder = tmp_path / "printed"
    if not folder.exists():
        shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    original = (FOLDER / f"{name}.csv").read_text(encoding="utf-8")
    lines = [line.split(",") for line in original.splitlines()]
    for row, column, cell in changes:
        line = lines[row % len(lines)]
        line[column % len(line)] = cell
    path = folder / f"{name}.csv"
    path.write_text("\n".join(map(",".join, lines)), encoding="utf-8", newline="")
    try:
        evidence = load_published(folder)
    except BayesPtsdError as error:
        refused(error, f"{name}.csv")
    else:
        assert len(evidence.digest) == 64
    finally:
        path.write_text(original, encoding="utf-8")


@pytest.mark.parametrize("cell", ["9" * 400, "1" + "0" * 20, "\u0661\u0662"])
def test_numbers_that_no_paper_prints_are_refused(tmp_path: Path, cell: str) -> None:
    """Digits of other scripts and numbers beyond 1e15 are refused by line and column."""
    folder = shutil.copytree(FOLDER, tmp_path / "printed")
    text = (folder / "effects.csv").read_text(encoding="utf-8")
    assert "8.32" in text
    (folder / "effects.csv").write_text(text.replace("8.32", cell, 1), encoding="utf-8")
    with pytest.raises(EvidenceError, match="column 'estimate'") as caught:
        load_published(folder)
    refused(caught.value, "effects.csv, line")


def test_messages_have_no_control_characters_and_one_line_an_argument() -> None:
    """An error's text cannot forge a line: only its own lines end."""
    error = EvidenceError("file: 2 refusals", "  row 1: 'a\nrow 2: accepted'", "  row 3: '\x9b2J'")
    assert str(error).split("\n") == [
        "file: 2 refusals", r"  row 1: 'a\nrow 2: accepted'", r"  row 3: '\x9b2J'",
    ]  # fmt: skip


@given(st.text())
def test_visible_texts_stay_as_they_are(text: str) -> None:
    """What is visible is left alone, and doing it twice changes nothing."""
    once = visible(text)
    assert visible(once) == once
    assert not [one for one in once if unicodedata.category(one) in UNSEEN]
    if all(unicodedata.category(one) not in UNSEEN for one in text):
        assert once == text


@pytest.mark.shared
@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("f-toml_label_list", r"\[endpoints.pef\]: 'label' must be a text"),
        ("f-toml_mcid_huge_int", r"\[endpoints.pef\]: 'mcid' must be a positive number"),
        ("f-toml_range_int", r"\[endpoints.pef\]: 'range' must be \[lowest, highest\]"),
        ("f-toml_seq_nested", r"\[sequences\]: 'FS' must be a list of treatments"),
        ("f-toml_title_date", "'title' must be a text in quotation marks, got 2014-05-21"),
        ("f-toml_bom", ""),
    ],
)
def test_trial_files_of_the_cases(shared: Path, case: str, message: str) -> None:
    """Each trial file that ended in a traceback is refused by key; the one with a mark is read."""
    file = shared / "cases" / case / "trial.toml"
    if not message:
        assert load_trial(file).endpoint("pef").label == "Peak flow"
        return
    with pytest.raises(SpecError, match=message) as caught:
        load_trial(file)
    refused(caught.value, "trial.toml")
