"""What has to be reconstructed: printed results, patients by fate, baselines and claims.

A trial that prints subscales with their total, a mediator and its regression, and who went on is
reconstructed as one piece (`Plan.joint`). Of any other trial each endpoint is matched to its own
rows. Inside the search a lower score is better: scores of an endpoint of which higher is better
have the other sign until they are laid out as patients.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayes_ptsd.audit.finding import printed_rows
from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import ONLY_VISIT, Evidence
from bayes_ptsd.evidence.intervals import FloatArray, rounding_box
from bayes_ptsd.evidence.measured_rows import level_of, printed_words
from bayes_ptsd.evidence.readings import crossover_reading_of, flow_reading_of
from bayes_ptsd.reconstruction.boxes import Box, PrintedRow, printed_row
from bayes_ptsd.reconstruction.sizes import (
    orders_of,
    patients_of,
    patients_of_flow,
)

__all__ = ["READINGS", "WITHOUT_CHANGE", "Claim", "Plan", "PrintedBaseline", "halves_of", "plan_of"]

READINGS = ("as_published", "unhalved", "change", "change_unhalved", "carryover_covariate")
WITHOUT_CHANGE = {"change": "as_published", "change_unhalved": "unhalved"}
"""How a row is read that has no baseline to change from, by the readings that analyze change."""
LATER = "first_period_longitudinal"
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
    joint : bool
        Total, parts, mediator and who went on are reconstructed together.
    unmatched : tuple of str
        Printed rows that are not matched, with the reason.
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
    joint: bool = True
    unmatched: tuple[str, ...] = ()

    @property
    def endpoints(self) -> list[str]:
        """Endpoints that get scores: all, or those with a row of their own."""
        with_rows = dict.fromkeys(endpoint for endpoint, _ in self.rows)
        return list(self.evidence.trial.endpoints) if self.joint else list(with_rows)

    @property
    def visits(self) -> dict[str, float]:
        """Visits of the trial in order with their hours; one without a name where it has none."""
        return dict(self.evidence.trial.visits) or {ONLY_VISIT: np.nan}

    @property
    def periods(self) -> int:
        """Two, or one of a parallel trial."""
        return 1 if self.evidence.trial.design == "parallel" else 2

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
        """The endpoint that is the sum of others, empty where endpoints stand alone."""
        return total_of(self.evidence) if self.joint else ""

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """The endpoints that add up to it."""
        return parts_of(self.evidence, self.total) if self.joint else ()

    @cached_property
    def mediator(self) -> str:
        """The outcome that the adjusted regression adjusts for."""
        return mediator_of(self.adjusted) if self.joint else ""

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
        """The endpoint that decides about the second infusion, empty where none is known to."""
        later = [
            e for (e, a), row in self.rows.items()
            if a == "crossover" and self.joint and self.visit(e) != "24h"
        ]  # fmt: skip
        return later[0] if later else ""

    @cached_property
    def threshold(self) -> float:
        """The score of that endpoint from which a patient is eligible."""
        design = self.evidence.data["design"].to_dataset()
        names = np.char.find(np.char.lower(design["name"].values.astype(str)), "eligibility") >= 0
        return float(design["number"].values[names][0])

    def visit(self, endpoint: str) -> str:
        """Return the visit at which an endpoint's row was scored, the crossover row's first."""
        effects = self.evidence.data["effects"].to_dataset()
        rows = [self.rows[endpoint, a] for a in ("crossover", "first_period", LATER)
                if (endpoint, a) in self.rows]  # fmt: skip
        time = str(effects["timepoint"].sel(contrast=rows[0].id).item())
        return time if time in self.visits else next(iter(self.visits))

    def bounds(self, endpoint: str) -> tuple[float, float]:
        """Return lowest and highest score, of the sign in which lower is better."""
        described = self.evidence.trial.endpoint(endpoint)
        if described.range is None:
            return -np.inf, np.inf
        low, high = described.range
        return (float(low), float(high)) if self.sign(endpoint) > 0 else (-float(high), -float(low))

    def sign(self, endpoint: str) -> float:
        """Return 1 where a lower score is better, -1 where a higher one is."""
        return -float(self.evidence.trial.endpoint(endpoint).benefit_sign)

    def whole(self, endpoint: str) -> bool:
        """Tell whether scores are whole numbers: those of an endpoint with a range."""
        return self.evidence.trial.endpoint(endpoint).range is not None

    def scores(self, endpoint: str, values: FloatArray) -> FloatArray:
        """Return values as scores: whole numbers inside the range, others as they are."""
        if not self.whole(endpoint):
            return values
        result: FloatArray = np.clip(np.rint(values), *self.bounds(endpoint))
        return result

    def middle(self, endpoint: str) -> float:
        """Return the middle of the range, 0 without one, as an arbitrary origin."""
        low, high = self.bounds(endpoint)
        return (low + high) / 2 if self.whole(endpoint) else 0.0

    def unit(self, endpoint: str) -> float:
        """Return the SD of a score that priors of what print leaves open are multiples of.

        The reference SD, else that of the printed baseline, else the one behind a printed row.
        """
        reference = self.evidence.trial.endpoint(endpoint).reference_sd
        if reference is None and endpoint in self.baselines:
            reference = float(np.mean([pair.sd for pair in self.baselines[endpoint]]))
        return reference or self._row_sd(endpoint)

    def _row_sd(self, endpoint: str) -> float:
        """Return the SD between patients behind a row, of pairs at a correlation of .5."""
        rng = np.random.default_rng(0)  # any number that prints: a scale, not a target
        crossed = (endpoint, "first_period") not in self.rows and (endpoint, LATER) not in self.rows
        who = self.completer if crossed else np.ones(self.size, bool)
        names = ("crossover",) if crossed else ("first_period", LATER)
        row = next(self.rows[endpoint, name] for name in names if (endpoint, name) in self.rows)
        root = float(np.sqrt((1 / np.bincount(self.active_first[who].astype(int))).sum()))
        halves = halves_of(self.reading) if crossed else 1.0
        return halves * float(row.targets(1, rng)[1, 0]) / root

    def adjusts(self, endpoint: str) -> bool:
        """Tell whether the first-period row has a slope on baseline: a df more than two is gone."""
        row = self.rows.get((endpoint, "first_period"))
        if row is None:
            return True
        if not np.isfinite(row.df):
            return False
        printed = self.baselines.get(endpoint, ())
        return (sum(one.n for one in printed) or self.size) - row.df > 2

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


def halves_of(reading: str) -> float:
    """Return how often a printed contrast goes into the sum of the two period differences."""
    if reading == "carryover_covariate":  # a difference of the first period, nothing is halved
        return 1.0
    return 2 * crossover_reading_of(reading).scale


def plan_of(
    evidence: Evidence, *, reading: str = "as_published", flow_reading: str = "paper"
) -> Plan:
    """Collect from printed evidence what reconstructed patients have to match.

    Refused: no row that can be matched, a row without a number of patients, an unknown reading, a
    flow that does not close.
    """
    if evidence.kind != "published":
        raise EvidenceError(
            f"reconstruction needs printed evidence; this is of kind '{evidence.kind}'"
        )
    crossover_reading_of(reading)
    flow_reading_of(flow_reading)
    rows, adjusted, left = _rows(evidence)
    joint = is_joint(evidence, rows, adjusted)
    if not joint:
        rows, left = _alone(evidence, rows, adjusted, left)
    baselines = _baselines(evidence)
    scored = [(one.n for one in pair) for pair in baselines.values()]
    groups = (
        patients_of_flow(evidence, flow_reading)
        if joint
        else patients_of(evidence, rows, [tuple(pair) for pair in scored], flow_reading)
    )
    active = evidence.trial.active
    orders = orders_of(evidence.trial)
    first = {name: orders[name][0] == active for name in groups}
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
        adjusted if joint else {},
        baselines,
        _claims(evidence) if joint else (),
        joint,
        tuple(left),
    )


def total_of(evidence: Evidence) -> str:
    """Return the endpoint whose id begins those of others, empty if there is none."""
    names = list(evidence.trial.endpoints)
    found = [name for name in names if any(n.startswith(f"{name}_") for n in names)]
    return found[0] if found else ""


def parts_of(evidence: Evidence, total: str) -> tuple[str, ...]:
    """Return the endpoints that add up to a total."""
    return tuple(n for n in evidence.trial.endpoints if total and n.startswith(f"{total}_"))


def mediator_of(adjusted: Collection[str]) -> str:
    """Return the outcome among the terms of a regression, empty if there is none."""
    names = [t.partition("_24h")[0] for t in adjusted if t.endswith("_24h")]
    return names[0] if names else ""


def is_joint(
    evidence: Evidence,
    rows: Mapping[tuple[str, str], PrintedRow],
    adjusted: Mapping[str, PrintedRow],
) -> bool:
    """Tell whether the print has all that ties the endpoints together: see `Plan.joint`."""
    tables = {"baseline", "flow", "claims", "design"} <= set(evidence.data.children)
    total, mediator = total_of(evidence), mediator_of(adjusted)
    parts = parts_of(evidence, total)
    tied = [(name, analysis) for name in (total, *parts, mediator)
            for analysis in ("first_period", "crossover")]  # fmt: skip
    terms = {"treatment", f"{mediator}_24h", f"{total}_baseline"}
    lower = all(evidence.trial.endpoint(e).better == "lower" for e, _ in rows)
    named = tables and bool(
        np.char.count(
            np.char.lower(evidence.data["design"].to_dataset()["name"].values.astype(str)),
            "eligibility",
        ).any()
    )
    ranges = all(evidence.trial.endpoint(e).range is not None for e, _ in rows)
    effects = evidence.data["effects"].to_dataset()
    crossed = effects["timepoint"].values[effects["analysis"].values == "crossover"]
    return bool(
        tables and named and (crossed != "24h").any() and lower and ranges and len(parts) > 1
        and mediator and set(tied) <= set(rows) and terms <= set(adjusted)
        and evidence.trial.design == "crossover" and evidence.trial.sequences
    )  # fmt: skip


def _rows(
    evidence: Evidence,
) -> tuple[dict[tuple[str, str], PrintedRow], dict[str, PrintedRow], list[str]]:
    """Return treatment rows by endpoint and analysis, those of the regression by term, and others.

    Groups of a parallel trial are compared as those of a first period.
    """
    effects = printed_rows(evidence, corrected=True, treatment_only=False)
    rows: dict[tuple[str, str], PrintedRow] = {}
    adjusted: dict[str, PrintedRow] = {}
    left: list[str] = []
    for contrast in effects["contrast"].values.tolist():
        row = printed_row(effects, contrast)
        analysis = "first_period" if row.analysis == "parallel" else row.analysis
        if row.analysis == "first_period_adjusted":
            adjusted[row.term] = row
        elif row.term == "treatment" and (row.endpoint, analysis) in rows:
            left.append(f"{row.id}: one row an endpoint and analysis is matched, the first")
        elif row.term == "treatment":
            rows[row.endpoint, analysis] = row
    return rows, adjusted, left


def _alone(
    evidence: Evidence,
    rows: Mapping[tuple[str, str], PrintedRow],
    adjusted: Mapping[str, PrintedRow],
    left: list[str],
) -> tuple[dict[tuple[str, str], PrintedRow], list[str]]:
    """Return the rows that endpoints alone can match, and the others with the reason."""
    trial = evidence.trial
    parts = parts_of(evidence, total_of(evidence))
    why = {row.id: "regressions on other outcomes are not matched" for row in adjusted.values()}
    words = dict(_unmatched_words(evidence))
    for (endpoint, analysis), row in rows.items():
        described = trial.endpoint(endpoint)
        if row.id in words:
            why[row.id] = words[row.id]
        elif described.kind == "binary":
            why[row.id] = "scores are reconstructed, not events"
        elif described.kind == "ordinal" and described.range is None:
            why[row.id] = f"give the range of '{endpoint}' in trial.toml"
        elif endpoint in parts and (total_of(evidence), analysis) in rows:
            why[row.id] = "its total is matched instead"
        elif analysis == "crossover" and trial.design == "parallel":
            why[row.id] = "a parallel trial has no crossover"
        elif analysis == LATER and not (
            len(trial.visits) > 1 and (endpoint, "first_period") in rows and described.range
        ):
            why[row.id] = "an average over visits needs [visits], a first_period row and a range"
    kept = {key: row for key, row in rows.items() if row.id not in why}
    left = [*left, *(f"{name}: {text}" for name, text in why.items())]
    if not kept:
        raise EvidenceError(
            f"{evidence.source}: nothing to reconstruct patients from; a treatment row of analysis "
            f"crossover, first_period or parallel is needed{'; ' if left else ''}{'; '.join(left)}"
        )
    return kept, left


def _unmatched_words(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Yield rows whose words say why no scores are matched to them, with the reason."""
    effects = evidence.data["effects"].to_dataset()
    for name in effects["contrast"].values.tolist():
        row = effects.sel(contrast=name)
        measure = str(printed_words(row).get("measure", "md"))
        if measure != "md":
            yield name, f"differences of means are matched, this is of measure {measure}"
        elif level_of(row) != 0.95:
            yield name, "intervals of level 0.95 are matched"
        elif np.isnan(row["ci_low"]) and np.isnan(row["p_value"]):
            yield name, "an interval or a P is needed"


def _baselines(evidence: Evidence) -> dict[str, tuple[PrintedBaseline, PrintedBaseline]]:
    """Return the printed means and SDs of endpoints at baseline, as if lower were better."""
    if "baseline" not in evidence.data.children:
        return {}
    table = evidence.data["baseline"].to_dataset()
    found = {}
    for index, endpoint in enumerate(table["endpoint"].values.tolist()):
        row = table.isel(characteristic=index)
        if endpoint and row["kind"].item() == "mean_sd":
            higher = evidence.trial.endpoint(str(endpoint)).better == "higher"
            pair = [_baseline(row.isel(treatment=arm), mirrored=higher) for arm in range(2)]
            found[str(endpoint)] = (pair[0], pair[1])
    return found


def _baseline(row: xr.Dataset, *, mirrored: bool) -> PrintedBaseline:
    """Return one group's boxes."""
    boxes = [
        tuple(map(float, rounding_box(row[name], row[f"{name}_decimals"])))
        for name in ("value", "spread")
    ]
    mean, sd = boxes
    mean = (-mean[1], -mean[0]) if mirrored else mean
    return PrintedBaseline(int(row["n"]), (mean[0], mean[1]), (sd[0], sd[1]))


def _claims(evidence: Evidence) -> tuple[Claim, ...]:
    """Return the claims of the text."""
    claims = evidence.data["claims"].to_dataset()
    names = ("endpoint", "analysis", "term", "claim")
    lines = zip(*(claims[name].values.tolist() for name in names), strict=True)
    return tuple(Claim(*map(str, line)) for line in lines)
