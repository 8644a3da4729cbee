"""Trial descriptions: a closed schema and one sign convention."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayes_ptsd.errors import BayesPtsdError, SpecError
from bayes_ptsd.trial import PRINTED_SIGNS, Endpoint, load_trial, printed_sign

GOOD = """
schema = 1
name = "asthma"
design = "crossover"
[treatments]
active = "formoterol"
control = "salbutamol"
[endpoints.pef]
label = "PEF"
kind = "continuous"
better = "higher"
unit = "L/min"
mcid = 20
[sequences]
FS = ["formoterol", "salbutamol"]
SF = ["salbutamol", "formoterol"]
[columns]
subject = "patient"
[visits]
"8h" = 8
"12h" = 12
"""


def test_shipped_trial_has_the_constants_of_the_specification() -> None:
    """Reference and residual SDs, ranges and MCIDs are those of the statistical specification."""
    endpoints = load_trial().endpoints
    reference = [endpoint.reference_sd for endpoint in endpoints.values()]
    assert reference == [14.4, 6.5, 6.6, 4.4, 1.14, 1.04, 5.0, 8.3, 13.1]
    residual = [endpoint.residual_sd for endpoint in endpoints.values()]
    assert residual == [12.0, 5.4, 5.5, 3.7, 0.95, 0.87, 4.2, 6.9, None]
    assert [endpoint.range[1] for endpoint in endpoints.values() if endpoint.range] == [
        88, 32, 32, 24, 7, 7, 27, 60, 136,
    ]  # fmt: skip
    for endpoint in endpoints.values():
        assert endpoint.mcid == pytest.approx(0.5 * (endpoint.reference_sd or 0))
        assert endpoint.benefit_sign == -1


def test_own_trial_file_is_read(tmp_path: Path) -> None:
    """Every key of a user's file arrives where it belongs."""
    file = tmp_path / "trial.toml"
    file.write_text(GOOD)
    trial = load_trial(file)
    assert (trial.active, trial.control, trial.design) == ("formoterol", "salbutamol", "crossover")
    assert trial.endpoint("pef").benefit_sign == 1
    assert trial.endpoint("pef").unit == "L/min"
    assert trial.sequences["SF"] == ("salbutamol", "formoterol")
    assert dict(trial.visits) == {"8h": 8.0, "12h": 12.0}
    assert trial.columns["subject"] == "patient"


def test_digest_is_about_the_content_not_the_place(tmp_path: Path) -> None:
    """The same description elsewhere has the same digest, a changed one another."""
    for name, text in (("a", GOOD), ("b", GOOD), ("c", GOOD.replace("mcid = 20", "mcid = 21"))):
        (tmp_path / f"{name}.toml").write_text(text)
    first, second, changed = (load_trial(tmp_path / f"{name}.toml").digest for name in "abc")
    assert first == second
    assert first != changed


@given(st.floats(-50, 50), st.sampled_from(PRINTED_SIGNS), st.sampled_from(["lower", "higher"]))
def test_every_printed_sign_ends_in_benefit(benefit: float, printed: str, better: str) -> None:
    """However a paper prints a benefit, the factor gives the benefit back."""
    endpoint = Endpoint("x", "x", "continuous", better)  # type: ignore[arg-type]
    active_minus_control = benefit if better == "higher" else -benefit
    shown = {
        "benefit-positive": benefit,
        "active-minus-control": active_minus_control,
        "control-minus-active": -active_minus_control,
    }[printed]
    assert printed_sign(printed, endpoint) * shown == benefit


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("schema = 1", "schema = 2", "write 'schema = 1'"),
        ("schema = 1", "", "write 'schema = 1'"),
        ('name = "asthma"', "", "'name' is missing"),
        ('design = "crossover"', 'design = "cross"', "must be one of crossover, parallel"),
        ('active = "formoterol"', "", "'active' is missing"),
        ('active = "formoterol"', 'active = "salbutamol"', "are both 'salbutamol'"),
        ('control = "salbutamol"', 'control = "salbutamol"\nthird = "x"', "unknown key 'third'"),
        ('kind = "continuous"', 'kind = "count"', "must be one of continuous, ordinal, binary"),
        ('better = "higher"', 'better = "up"', "must be one of lower, higher"),
        ("mcid = 20", "mcid = -1", "must be a positive number"),
        ("mcid = 20", "mcdi = 20", "did you mean 'mcid'"),
        ("mcid = 20", "range = [5, 1]", r"\[lowest, highest\]"),
        ('FS = ["formoterol", "salbutamol"]', 'FS = ["placebo"]', "'placebo' is not one of"),
        ('subject = "patient"', 'patient = "id"', "unknown key 'patient'"),
        ('"12h" = 12', '"12h" = 4', "increasing order"),
        ("[endpoints.pef]", "[endpoint.pef]", "did you mean 'endpoints'"),
        ('FS = ["formoterol", "salbutamol"]', 'FS = "formoterol"', "must be a list of treatments"),
        ('name = "asthma"', "name = asthma", "not valid TOML"),
    ],
)
def test_bad_trial_files_are_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    """Each fault gets one message that names the file and the key."""
    file = tmp_path / "trial.toml"
    assert old in GOOD
    file.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(SpecError, match=message) as caught:
        load_trial(file)
    assert "trial.toml" in str(caught.value)


@pytest.mark.parametrize("table", ["sequences", "columns", "visits"])
def test_optional_tables_must_be_tables(tmp_path: Path, table: str) -> None:
    """A text where a table belongs is refused by the name of the table."""
    text = GOOD.split("[sequences]")[0].replace("schema = 1", f'schema = 1\n{table} = "x"')
    (tmp_path / "trial.toml").write_text(text)
    with pytest.raises(SpecError, match=f"{table}.*not a table"):
        load_trial(tmp_path / "trial.toml")


def test_missing_file_and_unknown_endpoint(tmp_path: Path) -> None:
    """A file that is not there and an endpoint that is not there are refused by name."""
    with pytest.raises(SpecError, match="cannot be read"):
        load_trial(tmp_path / "nowhere.toml")
    with pytest.raises(SpecError, match="did you mean 'madrs'"):
        load_trial().endpoint("mards")


def test_every_error_is_a_bayes_ptsd_error() -> None:
    """One except clause catches all that the package raises on purpose, and ValueError too."""
    assert issubclass(SpecError, BayesPtsdError)
    assert issubclass(SpecError, ValueError)
