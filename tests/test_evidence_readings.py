"""Named readings of the crossover contrast and of the flow of patients."""

from __future__ import annotations

import dataclasses

import pytest

from bayes_ptsd.audit.flow import completers
from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence.published import load_published
from bayes_ptsd.evidence.readings import (
    CROSSOVER_READINGS,
    FLOW_READINGS,
    crossover_reading_of,
    flow_reading_of,
)


def test_the_five_crossover_readings_and_their_scales() -> None:
    """Two readings halve the printed contrast, three leave it."""
    scales = {name: reading.scale for name, reading in CROSSOVER_READINGS.items()}
    assert scales == {
        "as_published": 1.0,
        "carryover_covariate": 1.0,
        "unhalved": 0.5,
        "change": 1.0,
        "change_unhalved": 0.5,
    }
    assert [reading.letter for reading in CROSSOVER_READINGS.values()] == [
        f"H_{letter}" for letter in "ABCDE"
    ]


def test_readings_are_named_as_they_are_found() -> None:
    """Key and name agree, and each says what supports and what conflicts."""
    for table in (CROSSOVER_READINGS, FLOW_READINGS):
        for name, reading in table.items():
            assert reading.name == name
            assert reading.supports
            assert reading.conflicts


def test_flow_readings_have_the_counts_of_the_evidence() -> None:
    """The constants of a reading are those of the flow table, and they close."""
    evidence = load_published()
    for name, reading in FLOW_READINGS.items():
        assert dict(reading.completers) == completers(evidence, flow_reading=name)
        assert sum(reading.randomized.values()) == 41
        assert sum(reading.second_infusion.values()) == 31
        assert sum(reading.completers.values()) == 29


def test_readings_cannot_be_changed() -> None:
    """Neither a table nor a reading is writable."""
    with pytest.raises(TypeError):
        FLOW_READINGS["paper"] = FLOW_READINGS["registry"]  # type: ignore[index]
    with pytest.raises(TypeError):
        FLOW_READINGS["paper"].completers["KM"] = 14  # type: ignore[index]
    with pytest.raises(dataclasses.FrozenInstanceError):
        CROSSOVER_READINGS["change"].scale = 2.0  # type: ignore[misc]


def test_unknown_readings_are_refused_with_the_nearest_name() -> None:
    """A misspelled reading names the one that was meant."""
    with pytest.raises(EvidenceError, match="did you mean 'as_published'"):
        crossover_reading_of("as_publishd")
    with pytest.raises(EvidenceError, match="did you mean 'registry'"):
        flow_reading_of("registr")
