"""The estimands of the page: strategies of intercurrent events, and degrees of freedom."""

from __future__ import annotations

from bayes_ptsd.evidence.published import load_published
from bayes_ptsd.report.contents import Contents
from bayes_ptsd.report.methods import methods_section

EARLY = "completed after first infusion: CAPS<50 at 2 weeks"


def test_each_intercurrent_event_has_its_strategy() -> None:
    """Remission (6 of 22), leavers, dose error, discomfort and two late infusions, by analysis.

    All happened after the first ratings: treatment policy there. In the crossover a second rating
    that does not exist is hypothetical; a late one is used as it is.
    """
    section = methods_section(Contents(load_published(), priors=("flat",), conventions=("T",)))
    events = section.tables["intercurrent-events"]
    assert int(events["patients"].sum()) == 14
    early = events[events["event"] == EARLY].iloc[0]
    assert (early["patients"], early["randomized"], early["sequence"]) == (6, 22, "KM")
    assert set(events["first period"]) == {"treatment policy: rated before the event"}
    policy = events["crossover"].str.startswith("treatment policy")
    assert events[policy]["patients"].tolist() == [1, 1]
    assert events[policy]["event"].str.contains("a week later").all()
    assert events[~policy]["crossover"].str.startswith("hypothetical").all()
    assert events["event"].str.contains("higher-than-expected").sum() == 1
    assert "6 of 22" in section.html


def test_those_rated_twice_are_no_principal_stratum() -> None:
    """The page says that the set differs by sequence, and names no stratum of returners."""
    section = methods_section(Contents(load_published(), priors=("flat",), conventions=("T",)))
    assert "who is rated twice differs by sequence" in section.html
    assert "returned" not in section.html


def test_every_count_of_degrees_of_freedom_is_named() -> None:
    """First-period rows have three: 38 with a baseline, 39 for CGI-I, 34 for QIDS-SR."""
    section = methods_section(Contents(load_published(), priors=("flat",), conventions=("T",)))
    frame = section.tables["estimands"].set_index("analysis")
    said = frame.loc["first period", "degrees of freedom"]
    assert [part[:3] for part in said.split("; ") if part[2:3] == ":"] == ["38:", "39:", "34:"]
