"""The printed binary outcomes: remission at two weeks and the adverse events.

Remission compares people by their first treatment. Adverse events are printed as percentages of
infusions that pool both periods; their counts follow from the percentages and the denominators,
which are printed for one of them only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from bayes_ptsd.audit.adverse import counts_printing
from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.readings import flow_reading_of
from bayes_ptsd.exact.binary import BETA_PRIORS, binary_summary
from bayes_ptsd.exact.binary_items import items_summary
from bayes_ptsd.exact.paired_binary import Exposures, paired_summary

__all__ = ["BinaryOutcome", "binary_outcomes_of", "binary_table", "items_table", "paired_table"]


@dataclass(frozen=True)
class BinaryOutcome:
    """Counts of one binary outcome and how to read them."""

    id: str
    label: str  # for people; the id is for tables
    kind: str  # remission (more is benefit) or adverse_event (more is harm)
    events: tuple[int, int]  # active, control
    n: tuple[int, int]  # active, control
    denominator: str  # what is counted
    provenance: str  # whether the counts are printed, derived or recovered from percentages
    caveat: str  # what the analysis has to assume

    @property
    def benefit_sign(self) -> int:
        """Return +1 if more events under the active treatment are benefit, -1 if they are harm."""
        return 1 if self.kind == "remission" else -1


def binary_table(
    evidence: Evidence,
    *,
    priors: Sequence[str] = tuple(BETA_PRIORS),
    flow_reading: str = "paper",
) -> xr.Dataset:
    """Return the posterior summaries of every printed binary outcome.

    As `bayes_ptsd.exact.binary.binary_summary` on dims ``outcome, prior, estimand, bound,
    treatment``; ``prob_benefit`` is P(the active treatment is better), as ``benefit_sign`` says
    which way that is. `flow_reading` is the account of the flow that says who was still followed at
    two weeks.
    """
    outcomes = binary_outcomes_of(evidence, flow_reading=flow_reading)
    rows = [
        xr.concat([_summary(outcome, prior) for prior in priors], dim="prior")
        for outcome in outcomes
    ]
    table = xr.concat(rows, dim="outcome")
    texts = ("id", "label", "kind", "denominator", "provenance", "caveat")
    columns = {name: [getattr(outcome, name) for outcome in outcomes] for name in texts}
    table = table.assign_coords(outcome=columns.pop("id"), prior=list(priors)).assign_coords(
        {name: ("outcome", values) for name, values in columns.items()}
    )
    sign = xr.DataArray([outcome.benefit_sign for outcome in outcomes], dims="outcome")
    more = table["prob_more_active"]
    arms = [evidence.trial.active, evidence.trial.control]
    return (
        table.assign(
            events=(("outcome", "treatment"), [outcome.events for outcome in outcomes]),
            n=(("outcome", "treatment"), [outcome.n for outcome in outcomes]),
            benefit_sign=sign,
            prob_benefit=more.where(sign > 0, 1 - more),
        )
        .assign_attrs(
            evidence_kind=evidence.kind,
            flow_reading=flow_reading,
            active=evidence.trial.active,
            convention="beta-binomial, independent risks",
        )
        .assign_coords(treatment=arms)
    )


def paired_table(
    evidence: Evidence, *, correlations: Sequence[float | str] = (0.5, 0.9, "uniform")
) -> xr.Dataset | None:
    """Return the printed adverse events with the people who had both treatments taken as such.

    As `paired_summary` with Jeffreys priors; attribute ``both`` is the least number of people who
    had both treatments. None without adverse events of both treatments, or where nobody had both.
    """
    outcomes = _adverse_events(evidence)
    both = _exposed_twice(evidence, outcomes[0].n) if outcomes else 0
    if not both:
        return None
    exposures = [Exposures(one.events, one.n, both) for one in outcomes]
    found = paired_summary(exposures, correlations=correlations)
    return _named(found, outcomes, evidence).assign_attrs(both=both)


def items_table(evidence: Evidence) -> xr.Dataset | None:
    """Return the adverse events of one checklist under one hierarchical prior, or None.

    As `items_summary`, of the events that are printed as percentages only, if two or more.
    """
    outcomes = [one for one in _adverse_events(evidence) if one.provenance != "stated"]
    if len(outcomes) < 2:
        return None
    found = items_summary([one.events for one in outcomes], outcomes[0].n)
    return _named(found.rename(item="outcome"), outcomes, evidence)


def _named(found: xr.Dataset, outcomes: Sequence[BinaryOutcome], evidence: Evidence) -> xr.Dataset:
    """Return summaries with the names of their outcomes and the kind of evidence."""
    return found.assign_coords(
        outcome=[one.id for one in outcomes], label=("outcome", [one.label for one in outcomes])
    ).assign_attrs(evidence_kind=evidence.kind)


def _summary(outcome: BinaryOutcome, prior: str) -> xr.Dataset:
    """Return the posterior summary of one outcome."""
    (active, control), (n_active, n_control) = outcome.events, outcome.n
    summary = binary_summary(active, n_active, control, n_control, prior=prior)
    return summary.drop_attrs()


def binary_outcomes_of(evidence: Evidence, *, flow_reading: str = "paper") -> list[BinaryOutcome]:
    """Return the binary outcomes that the printed evidence holds.

    Remission among all randomized and among those followed (who, by `flow_reading`), then the
    adverse events that are printed for both treatments. A percentage that fits no single count is
    refused.
    """
    reading = flow_reading_of(flow_reading)
    outcomes = _remissions(evidence, reading.name) + _adverse_events(evidence)
    if not outcomes:
        raise EvidenceError(
            f"{evidence.source or 'the evidence'} has no binary outcome: neither counts of "
            "remission in flow.csv nor adverse events of both treatments"
        )
    return outcomes


def _remissions(evidence: Evidence, reading: str) -> list[BinaryOutcome]:
    """Return remission by first treatment: of all randomized, and of those followed."""
    if "flow" not in evidence.data.children:
        return []
    flow = evidence.data["flow"].to_dataset()
    first = {order[0]: name for name, order in evidence.trial.sequences.items()}
    sequences = [first.get(arm, "") for arm in (evidence.trial.active, evidence.trial.control)]
    counts = {
        stage: [_count(flow, stage, sequence, reading) for sequence in sequences]
        for stage in ("randomized", "remitted", "second_infusion", "completed_first")
    }
    remitted, randomized = counts["remitted"], counts["randomized"]
    if not all(randomized) or not any(remitted):
        return []
    followed = [
        a + b for a, b in zip(counts["second_infusion"], counts["completed_first"], strict=True)
    ]
    label = "below the entry threshold two weeks after the first infusion"
    caveat = "people by first treatment: independent"
    return [
        BinaryOutcome(
            "remission.randomized", f"{label}, all randomized", "remission",
            _pair(remitted), _pair(randomized), "patients randomized", "stated",
            f"{caveat}; patients lost before two weeks are counted as not remitted",
        ),
        BinaryOutcome(
            "remission.followed", f"{label}, those followed", "remission",
            _pair(remitted), _pair(followed), "patients not lost before two weeks",
            f"stated, denominators derived under the flow reading '{reading}'",
            f"{caveat}; who was lost may depend on the treatment",
        ),
    ]  # fmt: skip


def _count(flow: xr.Dataset, stage: str, sequence: str, reading: str) -> int:
    """Return the patients of one sequence at one stage under a reading, 0 where none is printed."""
    here = (flow["stage"] == stage) & (flow["sequence"] == sequence) & (sequence != "")
    here = here & flow["flow_reading"].isin(["", reading])
    return int(flow["count"].values[here.values].sum())


def _pair(counts: Sequence[float]) -> tuple[int, int]:
    """Return two counts as integers."""
    active, control = counts
    return int(active), int(control)


def _adverse_events(evidence: Evidence) -> list[BinaryOutcome]:
    """Return the adverse events with a percentage under both treatments."""
    if "adverse_events" not in evidence.data.children:
        return []
    events = evidence.data["adverse_events"].to_dataset()
    both = np.isfinite(events["percent"].values).all(axis=1)
    if not both.any():
        return []
    events = events.isel(event=both)
    n = _denominators(events)
    caveat = _pairing(evidence, n)
    rows = [(str(name), events.sel(event=name)) for name in events["event"].values]
    return [_adverse_event(name, row, n, caveat) for name, row in rows]


def _adverse_event(name: str, row: xr.Dataset, n: tuple[int, int], caveat: str) -> BinaryOutcome:
    """Return one adverse event with its counts."""
    stated = bool(np.isfinite(row["count"].values).all())
    if str(row["period"].item()):
        caveat += f"; printed as of the {row['period'].item()} period, with these denominators"
    return BinaryOutcome(
        name,
        str(row["name"].item()),
        "adverse_event",
        _pair(_counts(row, n)),
        n,
        "infusions, both periods pooled",
        "stated" if stated else "recovered from percentages",
        caveat,
    )


def _denominators(events: xr.Dataset) -> tuple[int, int]:
    """Return the denominators that are printed with one event and hold for all."""
    stated = np.unique(events["n"].values[np.isfinite(events["n"].values).all(axis=1)], axis=0)
    if len(stated) != 1:
        raise EvidenceError(
            f"adverse events: {len(stated)} different pairs of denominators are stated; one pair "
            "is needed to recover counts from percentages"
        )
    return _pair(stated[0])


def _counts(row: xr.Dataset, n: tuple[int, int]) -> list[int]:
    """Return printed counts, or the only counts whose percentages print as they are printed."""
    found = []
    for index, size in enumerate(n):
        printed, stated = (float(row[name].values[index]) for name in ("percent", "count"))
        fitting = counts_printing(printed, int(row["percent_decimals"].values[index]), size)
        if np.isfinite(stated):
            fitting = [k for k in fitting if k == stated]
        if len(fitting) != 1:
            raise EvidenceError(
                f"adverse event '{row['event'].item()}': {printed:g}% is {len(fitting) or 'no'} "
                f"count(s) of {size}; one is needed"
            )
        found += fitting
    return found


def _pairing(evidence: Evidence, n: tuple[int, int]) -> str:
    """Return what is assumed about people who were exposed to both treatments."""
    caveat = (
        "infusions of both periods taken as independent people; who had the event twice is "
        "unpublished, and ignoring the pairing usually overstates the variance of the difference"
    )
    twice = _exposed_twice(evidence, n)
    if not twice:
        return caveat
    people = sum(n) - twice
    return (
        f"{sum(n)} infusions of {people} people, at least {twice} of them counted twice: {caveat}"
    )


def _exposed_twice(evidence: Evidence, n: tuple[int, int]) -> int:
    """Return the least number of people behind the exposures who had both treatments, 0 if none."""
    if "flow" not in evidence.data.children:
        return 0
    flow = evidence.data["flow"].to_dataset()
    here = (flow["stage"] == "randomized").values & (flow["sequence"] == "").values
    twice = sum(n) - int(flow["count"].values[here].max(initial=0))
    return twice if 0 < twice <= min(n) else 0
