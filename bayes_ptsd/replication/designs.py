"""Designs of a replication: how much one randomized patient tells about the difference."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from bayes_ptsd.errors import EvidenceError, SpecError, nearest
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.sensitivity import missing_shares

__all__ = ["DESIGNS", "ReplicationDesign", "planned_designs"]

DESIGNS = ("parallel", "crossover", "repeated")
# as low as no two scores of a patient correlate, and far enough from -1 to invert their covariance
LEAST_CORRELATION = -0.95
# At a correlation of .5 the mean of four has .625 of the variance of one score; no number of visits
# gets below .5.
VISITS = 4


@dataclass(frozen=True)
class ReplicationDesign:
    """A two-treatment trial with 1:1 allocation, and who leaves it.

    Those who drop out are lost before their only score or first visit; of those who leave a
    crossover, or do not cross over, the first period is analyzed.
    """

    kind: str  # parallel: one score a patient; crossover: AB/BA; repeated: the mean of visits
    sd: float  # of a score, total, in score units
    correlation: float = 0.5  # of two scores of a patient: of two periods, or of any two visits
    visits: int = 1  # of repeated
    dropout: float = 0.0  # share lost at random, in a crossover between the periods
    gate: tuple[float, float] = (0.0, 0.0)  # shares too well to cross, active and control first
    basis: str = ""  # the reading of the row that the precision is from, for the label

    def __post_init__(self) -> None:
        """Refuse what is not a design."""
        if self.kind not in DESIGNS:
            raise SpecError(f"unknown design '{self.kind}'{nearest(self.kind, DESIGNS)}")
        if not (math.isfinite(self.sd) and self.sd > 0):
            raise SpecError(f"{self.kind} design: the sd must be positive, got {self.sd}")
        if not -1 < self.correlation < 1:
            raise SpecError(f"a correlation lies between -1 and 1, got {self.correlation}")
        if self.visits < 1 or self.visits != int(self.visits):
            raise SpecError(f"visits are a whole number of at least one, got {self.visits}")
        for name, share in zip(
            ("dropout", "gate (active first)", "gate (control first)"),
            (self.dropout, *self.gate), strict=True,
        ):  # fmt: skip
            if not 0 <= share < 1:
                raise SpecError(f"{name}: a share from 0 to below 1, got {share}")
        if self.kind == "repeated" and not 1 + (self.visits - 1) * self.correlation > 0:
            raise SpecError(f"no {self.visits} visits have all correlations {self.correlation}")

    @property
    def information(self) -> float:
        """Fisher information of one randomized patient about the treatment difference."""
        if self.kind == "crossover":
            return self._crossover_information()
        spread = (1 + (self.visits - 1) * self.correlation) / self.visits
        factor = spread if self.kind == "repeated" else 1.0
        return (1 - self.dropout) / (4 * self.sd**2 * factor)

    @property
    def complete(self) -> float:
        """Share of the randomized patients that give everything the design asks for."""
        crossing = 1 - sum(self.gate) / 2 if self.kind == "crossover" else 1.0
        return crossing * (1 - self.dropout)

    @property
    def label(self) -> str:
        """The design in words, with its numbers."""
        correlated = f"correlation {self.correlation:.3g}"
        if self.basis:
            correlated = f"precision of the row {self.basis} ({correlated})"
        words = {
            "parallel": "parallel, 1:1",
            "crossover": f"AB/BA crossover, {correlated}",
            "repeated": f"parallel, mean of {self.visits} visits, correlation {self.correlation:g}",
        }[self.kind]
        lost = f", drop-out {self.dropout:g}" if self.dropout else ""
        gated = self.kind == "crossover" and any(self.gate)
        gate = f", gate {self.gate[0]:.2g} and {self.gate[1]:.2g}" if gated else ""
        return f"{words}, sd {self.sd:g}{lost}{gate}"

    def standard_error(self, n: float) -> float:
        """Return the standard error of the difference with `n` patients randomized in all."""
        return 1 / math.sqrt(n * self.information)

    def degrees_of_freedom(self, n: float) -> float:
        """Return the degrees of freedom of that standard error."""
        return n * self.complete - 2

    def with_nuisance(self, *, sd: float, correlation: float | None = None) -> ReplicationDesign:
        """Return the same design with another standard deviation and correlation."""
        rho = self.correlation if correlation is None else correlation
        return replace(self, sd=sd, correlation=rho, basis="")

    def with_difference(self, variance: float, *, basis: str) -> ReplicationDesign:
        """Return the same crossover with another variance of a within-patient difference.

        The sd stays, and the correlation is ``1 - variance / (2 sd^2)``. Where that is not above
        -0.95, as no two scores of a patient correlate, the sd is as large as -0.95 asks for: it
        matters only for those who give one score.
        """
        sd = max(self.sd, math.sqrt(variance / (2 * (1 - LEAST_CORRELATION))))
        return replace(self, sd=sd, correlation=1 - variance / (2 * sd**2), basis=basis)

    def _crossover_information(self) -> float:
        """Weigh the complete and the incomplete patients of both sequences by least squares."""
        rho = self.correlation
        both = np.linalg.inv(self.sd**2 * np.array([[1, rho], [rho, 1]]))
        total = np.zeros((3, 3))
        for active_first, gate in zip((True, False), self.gate, strict=True):
            # columns: mean of period 1, mean of period 2, treatment
            rows = np.array([[1.0, 0, active_first], [0, 1.0, not active_first]])
            crossing = (1 - gate) * (1 - self.dropout)
            total += 0.5 * crossing * rows.T @ both @ rows
            total += 0.5 * (1 - crossing) * np.outer(rows[0], rows[0]) / self.sd**2
        means = np.linalg.solve(total[:2, :2], total[:2, 2])
        return float(total[2, 2] - total[2, :2] @ means)


def planned_designs(evidence: Evidence, *, sd: float) -> dict[str, ReplicationDesign]:
    """Return the designs of a replication that a trial suggests, by name; `sd` in score units.

    ``parallel``; ``repeated``; of a trial with sequences ``crossover``, everybody crosses, and,
    where it prints its flow of patients, ``crossover_leavers``, with its shares that were too well
    to cross (the gate) or left. A patient's scores correlate by .5, which a crossover row replaces
    by its own precision (`bayes_ptsd.replication.readings.row_design`).
    """
    designs = {
        "parallel": ReplicationDesign("parallel", sd=sd),
        "repeated": ReplicationDesign("repeated", sd=sd, visits=VISITS),
    }
    if not evidence.trial.sequences:
        return designs
    designs["crossover"] = ReplicationDesign("crossover", sd=sd)
    try:
        well, gone = (missing_shares(evidence, reason=reason) for reason in ("remitted", "all"))
    except EvidenceError:
        return designs
    gate = (well.active_first, well.control_first)
    # the others who left, as a share of those who were not held back
    left = 1 - (2 - gone.active_first - gone.control_first) / (2 - sum(gate))
    designs["crossover_leavers"] = ReplicationDesign(
        "crossover", sd=sd, gate=gate, dropout=round(left, 3)
    )
    return designs
