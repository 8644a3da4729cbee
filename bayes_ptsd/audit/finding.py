"""One finding of the audit: what the printed numbers say about each other, as data."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias, get_args

import xarray as xr

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence

__all__ = [
    "SEVERITIES",
    "Figure",
    "Finding",
    "Section",
    "Severity",
    "printed_rows",
    "sections_of",
    "severity_of",
]

Figure: TypeAlias = float | int | str | bool | None
Severity = Literal["contradiction", "caution", "information", "consistent"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)


@dataclass(frozen=True)
class Finding:
    """One statement about printed numbers; a severity that is none of `SEVERITIES` is refused.

    Attributes
    ----------
    id : str
        Check and place, unique in one audit.
    check : str
        The check that made it; also the node with its table.
    severity : {"contradiction", "caution", "information", "consistent"}
        Numbers that cannot all hold; numbers that a reader should not take at face value; a
        derived fact; numbers that agree.
    place : str
        Ids of the rows and the table cells concerned.
    statement : str
        Says what is printed and what follows, not who is right.
    """

    id: str
    check: str
    severity: Severity
    place: str
    statement: str
    figures: Mapping[str, Figure] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a severity that no table would know how to order."""
        if self.severity not in SEVERITIES:
            raise EvidenceError(f"finding '{self.id}': severity '{self.severity}' is unknown")


class Section(NamedTuple):
    """What one check gives: a table (or none) and its findings."""

    name: str
    table: xr.Dataset | None
    findings: list[Finding]


def severity_of(holds: bool, *, otherwise: Severity = "contradiction") -> Severity:
    """Return "consistent" where a check holds, else `otherwise`."""
    return "consistent" if holds else otherwise


def sections_of(table: xr.Dataset) -> str:
    """Return where in the paper the rows of a table stand."""
    names = dict.fromkeys(name for name in table["section"].values.tolist() if name)
    return "; ".join(names) or "no place given"


def printed_rows(
    evidence: Evidence,
    analyses: Collection[str] | None = None,
    *,
    corrected: bool = False,
    treatment_only: bool = True,
) -> xr.Dataset:
    """Return rows of node `effects`, each printed contrast once.

    `corrected` takes a derived row (id with a ``*``) in place of the printed row it is derived
    from, `treatment_only` leaves out coefficients of covariates.
    """
    effects = evidence.data["effects"].to_dataset()
    names = effects["contrast"].values.tolist()
    dropped = {name[:-1] if corrected else name for name in names if name.endswith("*")}
    labels = zip(
        names, effects["analysis"].values.tolist(), effects["term"].values.tolist(), strict=True
    )
    keep = [
        index
        for index, (name, analysis, term) in enumerate(labels)
        if name not in dropped
        and (analyses is None or analysis in analyses)
        and (not treatment_only or term == "treatment")
    ]
    return effects.isel(contrast=keep)
