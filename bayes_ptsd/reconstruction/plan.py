"""What has to be reconstructed: printed results, patients by fate, baselines and claims."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayes_ptsd.audit.finding import printed_rows
from bayes_ptsd.audit.flow import total_count
from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.intervals import FloatArray, rounding_box
from bayes_ptsd.evidence.readings import crossover_reading_of, flow_reading_of
from bayes_ptsd.reconstruction.boxes import Box, PrintedRow, printed_row, refuse_higher

__all__ = ["READINGS", "WITHOUT_CHANGE", "Claim", "Plan", "PrintedBaseline", "plan_of"]

READINGS = ("as_published", "unhalved", "change", "change_unhalved", "carryover_covariate")
WITHOUT_CHANGE = {"change": "as_published", "change_unhalved": "unhalved"}
"""How a row is read that has no baseline to change from, by the readings that analyze change."""
BoolArray: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True)
class PrintedBaseline:
    """Mean and SD of one group at baseline: size and rounding boxes, score units."""

    n: int
    mean: Box
    sd: Box


@dataclass(frozen=True)
class Claim:
    """One effect the text calls present, absent or unchanged."""

    endpoint: str
    analysis: str
    term: str
    claim: str


@dataclass(frozen=True)
class Plan:
    """Everything a reconstruction has to match, from the evidence alone.

    Attributes
    ----------
    active_first : ndarray of bool
        Dim (subject,): active treatment in period 1. Patients of a sequence stand together, those
        rated twice first and the late ones last among them.
    fate : tuple of str
        Stage of the flow at which each patient ends.
    reason : tuple of str
        The line of the flow that says so.
    completer, late, remitter, two_weeks : ndarray of bool
        Rated twice; second infusion late; below the threshold at two weeks without a second
        infusion; assessed at two weeks.
    rows : mapping
        Treatment rows by endpoint and analysis.
    adjusted : mapping
        Rows of the regression that adjusts for another outcome, by term.
    baselines : mapping
        Printed baselines by endpoint, active first and control first.
    """

    evidence: Evidence
    reading: str
    flow_reading: str
    active_first: BoolArray
    fate: tuple[str, ...]
    reason: tuple[str, ...]
    completer: BoolArray
    late: BoolArray
    remitter: BoolArray
    two_weeks: BoolArray
    rows: Mapping[tuple[str, str], PrintedRow]
    adjusted: Mapping[str, PrintedRow]
    baselines: Mapping[str, tuple[PrintedBaseline, PrintedBaseline]]
    claims: tuple[Claim, ...]

    @property
    def infused_twice(self) -> BoolArray:
        """Who had a second infusion, rated or not."""
        return np.isin(self.fate, ["completed_second", "delayed", "left_after_second"])

    @property
    def analyzes_change(self) -> bool:
        """Whether the crossover rows are changes from the period's own baseline."""
        return self.reading in WITHOUT_CHANGE

    @property
    def ket(self) -> FloatArray:
        """1 for patients with the active treatment first, else 0."""
        return self.active_first.astype(float)

    @property
    def size(self) -> int:
        """Number of patients."""
        return len(self.fate)

    @cached_property
    def total(self) -> str:
        """The endpoint that is the sum of others."""
        names = list(self.evidence.trial.endpoints)
        found = [name for name in names if any(n.startswith(f"{name}_") for n in names)]
        return found[0]

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """The endpoints that add up to it."""
        return tuple(n for n in self.evidence.trial.endpoints if n.startswith(f"{self.total}_"))

    @cached_property
    def mediator(self) -> str:
        """The outcome that the adjusted regression adjusts for."""
        names = [t.partition("_24h")[0] for t in self.adjusted if t.endswith("_24h")]
        return names[0]

    @property
    def stated_df(self) -> float:
        """Degrees of freedom of that regression with an intercept and its printed terms alone."""
        return float(self.size - len(self.adjusted) - 1)

    @cached_property
    def adjusted_rows(self) -> dict[str, PrintedRow]:
        """The rows of that regression by role, with the mediator's own baseline in the model."""
        roles = {
            "treatment": "treatment",
            f"{self.mediator}_24h": "mediator",
            f"{self.total}_baseline": "baseline",
        }
        effects = self.evidence.data["effects"].to_dataset()
        return {
            role: printed_row(effects, self.adjusted[term].id, df=self.stated_df - 1)
            for term, role in roles.items()
        }

    @cached_property
    def threshold_endpoint(self) -> str:
        """The endpoint that decides about the second infusion."""
        later = [
            e for (e, a), row in self.rows.items() if a == "crossover" and self.visit(e) != "24h"
        ]
        return later[0]

    @cached_property
    def threshold(self) -> float:
        """The score of that endpoint from which a patient is eligible."""
        design = self.evidence.data["design"].to_dataset()
        names = np.char.find(np.char.lower(design["name"].values.astype(str)), "eligibility") >= 0
        return float(design["number"].values[names][0])

    def visit(self, endpoint: str) -> str:
        """Return the visit at which an endpoint's crossover row was scored."""
        effects = self.evidence.data["effects"].to_dataset()
        return str(effects["timepoint"].sel(contrast=self.rows[endpoint, "crossover"].id).item())

    def bounds(self, endpoint: str) -> tuple[float, float]:
        """Return lowest and highest score of an endpoint."""
        limits = self.evidence.trial.endpoint(endpoint).range
        if limits is None:
            raise EvidenceError(f"endpoint '{endpoint}': give its range in trial.toml")
        return float(limits[0]), float(limits[1])

    def among(self, who: BoolArray, endpoint: str) -> Plan:
        """Return the same plan for an endpoint that only some of those rated twice have."""
        effects = self.evidence.data["effects"].to_dataset()
        row = self.rows[endpoint, "crossover"]
        fewer = int((self.completer & ~who).sum())
        changed = printed_row(effects, row.id, df=row.df - fewer)
        rows = {**self.rows, (endpoint, "crossover"): changed}
        return replace(self, completer=self.completer & who, late=self.late & who, rows=rows)

    def has(self, term: str, analysis: str, claim: str, endpoint: str | None = None) -> bool:
        """Tell whether the text makes a claim about a term of an analysis."""
        return any(
            term in c.term.split("; ")
            and c.analysis == analysis
            and c.claim == claim
            and (endpoint is None or endpoint in c.endpoint.split(";") or c.endpoint == "all")
            for c in self.claims
        )


def plan_of(
    evidence: Evidence,
    *,
    reading: str = "as_published",
    flow_reading: str = "paper",
    without_baseline: Collection[str] = (),
) -> Plan:
    """Collect from printed evidence what reconstructed patients have to match.

    First-period rows of endpoints `without_baseline` have no slope. Refused: a missing table or
    row, an unknown reading, an endpoint of which higher is better, a flow that does not close.
    """
    _check(evidence, reading, flow_reading)
    effects = printed_rows(evidence, corrected=True, treatment_only=False)
    groups = _patients(evidence, flow_reading)
    baselines = _baselines(evidence)
    randomized = int(sum(len(stages) for stages in groups.values()))
    rows, adjusted = {}, {}
    for contrast in effects["contrast"].values.tolist():
        row = printed_row(effects, contrast)
        if row.analysis == "first_period_adjusted":
            adjusted[row.term] = row
        elif row.term == "treatment":
            # a baseline that some patients lack leaves the analysis without them
            with_baseline = sum(b.n for b in baselines.get(row.endpoint, ())) or randomized
            df = with_baseline - (2 if row.endpoint in without_baseline else 3)
            freedom = df if row.analysis == "first_period" else None
            rows[row.endpoint, row.analysis] = printed_row(effects, contrast, df=freedom)
    active = evidence.trial.active
    first = {name: order[0] == active for name, order in evidence.trial.sequences.items()}
    everybody = [(first[s], *line) for s in sorted(groups, key=lambda s: not first[s])
                 for line in groups[s]]  # fmt: skip
    fate = tuple(line[1] for line in everybody)
    twice = np.isin(fate, ["completed_second", "delayed"])
    return Plan(
        evidence,
        reading,
        flow_reading,
        np.array([line[0] for line in everybody]),
        fate,
        tuple(line[2] for line in everybody),
        twice,
        np.array(fate) == "delayed",
        np.array(fate) == "completed_first",
        ~np.isin(fate, ["left_after_first"]),
        rows,
        adjusted,
        baselines,
        _claims(evidence),
    )


def _check(evidence: Evidence, reading: str, flow_reading: str) -> None:
    """Refuse evidence without patients' flow, and readings that cannot be reconstructed."""
    needed = ("effects", "baseline", "flow", "claims", "design")
    missing = [name for name in needed if name not in evidence.data.children]
    if evidence.kind != "published" or missing:
        raise EvidenceError(
            f"reconstruction needs printed evidence with {', '.join(needed)}; this is of kind "
            f"'{evidence.kind}'" + (f" without {', '.join(missing)}" if missing else "")
        )
    crossover_reading_of(reading)
    flow_reading_of(flow_reading)
    refuse_higher(
        evidence.trial, set(evidence.data["effects"].to_dataset()["endpoint"].values.tolist())
    )


def _patients(evidence: Evidence, reading: str) -> dict[str, list[tuple[str, str]]]:
    """Return fate and reason of every patient by sequence, as the flow has them."""
    flow = evidence.data["flow"].to_dataset()
    unplaced = _unplaced(evidence, flow, reading)
    found = {}
    for sequence in evidence.trial.sequences:
        done = total_count(flow, "completed_second", sequence=sequence, reading=reading)
        lines = _lines(flow, "delayed", sequence)
        both = [("completed_second", "second infusion completed")] * (done - len(lines))
        second = total_count(flow, "second_infusion", sequence=sequence, reading=reading)
        after = _lines(flow, "left_after_second", sequence)
        ended = _lines(flow, "completed_first", sequence)
        randomized = total_count(flow, "randomized", sequence=sequence, reading=reading)
        early = randomized - len(ended) - second
        mine = [line for line in unplaced if line[2] == sequence] if len(unplaced) else []
        leavers = [("left_after_first", reason) for _, reason, _ in mine]
        if len(leavers) != early or done + len(after) != second:
            raise EvidenceError(
                f"flow of patients, {sequence}, flow_reading '{reading}': {randomized} randomized, "
                f"{second} infused twice, {done} rated twice do not close; see the audit"
            )
        found[sequence] = [*both, *lines, *ended, *after, *leavers]
    return found


def _lines(flow: xr.Dataset, stage: str, sequence: str) -> list[tuple[str, str]]:
    """Return one line per patient of a stage."""
    here = flow.isel(step=(flow["stage"].values == stage) & (flow["sequence"].values == sequence))
    pairs = zip(here["item"].values.tolist(), here["count"].values.tolist(), strict=True)
    return [(stage, str(item)) for item, count in pairs for _ in range(int(count))]


def _unplaced(evidence: Evidence, flow: xr.Dataset, reading: str) -> list[tuple[str, str, str]]:
    """Return who left after the first infusion, in the sequences that the reading has room in."""
    here = flow.isel(step=flow["stage"].values == "left_after_first")
    lines = [
        (str(step), str(item), str(sequence))
        for step, item, sequence, count in zip(
            *(here[name].values.tolist() for name in ("step", "item", "sequence", "count")),
            strict=True,
        )
        for _ in range(int(count))
    ]
    room = {}
    for sequence in evidence.trial.sequences:
        counts = [
            total_count(flow, stage, sequence=sequence, reading=reading)
            for stage in ("randomized", "completed_first", "second_infusion")
        ]
        room[sequence] = counts[0] - counts[1] - counts[2]
    placed = []
    for step, item, sequence in lines:
        # under another reading of the flow the same people belong to the other sequence
        other = next((name for name, left in room.items() if left > 0), sequence)
        chosen = sequence if room.get(sequence, 0) > 0 else other
        room[chosen] -= 1
        placed.append((step, item, chosen))
    return placed


def _baselines(evidence: Evidence) -> dict[str, tuple[PrintedBaseline, PrintedBaseline]]:
    """Return the printed means and SDs of endpoints at baseline."""
    table = evidence.data["baseline"].to_dataset()
    found = {}
    for index, endpoint in enumerate(table["endpoint"].values.tolist()):
        row = table.isel(characteristic=index)
        if endpoint and row["kind"].item() == "mean_sd":
            pair = [_baseline(row.isel(treatment=arm)) for arm in range(2)]
            found[str(endpoint)] = (pair[0], pair[1])
    return found


def _baseline(row: xr.Dataset) -> PrintedBaseline:
    """Return one group's boxes."""
    boxes = [
        tuple(map(float, rounding_box(row[name], row[f"{name}_decimals"])))
        for name in ("value", "spread")
    ]
    return PrintedBaseline(int(row["n"]), (boxes[0][0], boxes[0][1]), (boxes[1][0], boxes[1][1]))


def _claims(evidence: Evidence) -> tuple[Claim, ...]:
    """Return the claims of the text."""
    claims = evidence.data["claims"].to_dataset()
    names = ("endpoint", "analysis", "term", "claim")
    lines = zip(*(claims[name].values.tolist() for name in names), strict=True)
    return tuple(Claim(*map(str, line)) for line in lines)
