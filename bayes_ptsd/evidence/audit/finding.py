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
    """One statement about printed numbers.

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
        The finding in words; says what is printed and what follows, not who is right.
    figures : mapping of str to number or text
        The numbers behind the statement.

    Raises
    ------
    EvidenceError
        If `severity` is none of the four.

    Examples
    --------
    >>> Finding("rows.a", "rows", "consistent", "a", "Estimate, limits and P agree.").severity
    'consistent'
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
    """Return "consistent" where a check holds, else `otherwise`.

    Examples
    --------
    >>> severity_of(False, otherwise="caution")
    'caution'
    """
    return "consistent" if holds else otherwise


def sections_of(table: xr.Dataset) -> str:
    """Return where in the paper the rows of a table stand.

    Examples
    --------
    >>> sections_of(xr.Dataset(coords={"section": ("row", ["Table 1", "Table 1", ""])}))
    'Table 1'
    """
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

    Parameters
    ----------
    evidence : Evidence
        Of kind ``"published"``.
    analyses : collection of str, optional
        Only these analyses.
    corrected : bool, default False
        Take a derived row (id with a ``*``) in place of the printed row it is derived from.
    treatment_only : bool, default True
        Leave out coefficients of covariates.

    Returns
    -------
    xr.Dataset
        Along `contrast`.

    Examples
    --------
    >>> from bayes_ptsd.evidence.published import load_published
    >>> rows = printed_rows(load_published(), ["first_period"], corrected=True)
    >>> [name for name in rows["contrast"].values.tolist() if "AVOI" in name]
    ['T2.AVOI.F*']
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
