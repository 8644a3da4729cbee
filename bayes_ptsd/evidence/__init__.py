"""Evidence: what an analysis is about, in one type for all three kinds.

`Evidence` holds printed numbers, reconstructed patients or a user's patients as labelled arrays,
together with the trial they belong to and the assumptions under which they are read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from bayes_ptsd.display import html_table, listed
from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.trial import Trial

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["ONLY_VISIT", "Evidence", "EvidenceKind"]

COUNTED = {"patients": "subject", "periods": "period"}
ONLY_VISIT = "only"
"""Label of the visit where neither trial nor file names one."""
# an assumption that is longer is a document, such as that of what a reconstruction was built with
LONGEST = 60
EvidenceKind = Literal["published", "reconstructed", "simulated", "patients"]


@dataclass(frozen=True)
class Evidence:
    """What is known, as labelled arrays.

    Attributes
    ----------
    kind : {"published", "reconstructed", "simulated", "patients"}
        Where the numbers come from; carried by every result that uses them.
    trial : Trial
        The trial, with its endpoints and sign convention.
    data : xr.DataTree
        One node per table. Treatment differences are positive when the active treatment is better.
    assumptions : mapping of str to str
        Named readings of the evidence, such as ``{"crossover_reading": "as_published"}``.
    source : str
        File or folder the numbers were read from; not part of the digest.
    notes : tuple of str
        What a reader should know of how the file was read; not part of the digest.

    Raises
    ------
    EvidenceError
        If `kind` is none of the four.

    Examples
    --------
    >>> import xarray as xr
    >>> from bayes_ptsd.trial import load_trial
    >>> tree = xr.DataTree(xr.Dataset({"estimate": 12.7}))
    >>> Evidence("published", load_trial(), tree).kind
    'published'
    """

    kind: EvidenceKind
    trial: Trial
    data: xr.DataTree
    assumptions: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a kind that no table or figure would know how to label."""
        if self.kind not in get_args(EvidenceKind):
            raise EvidenceError(f"evidence kind '{self.kind}' is none of {get_args(EvidenceKind)}")

    def __repr__(self) -> str:
        """Say in a line what there is, without any value."""
        said = [f"{value} {name}" if value.isdigit() else f"{name} {value}"
                for name, value in self._holds().items()]  # fmt: skip
        said += [f"{key} {self.assumptions[key]!r}" for key in self.assumptions
                 if key.endswith("_reading")]  # fmt: skip
        return f"Evidence({self.kind}, trial {self.trial.name!r}: {', '.join(said)})"

    def _repr_html_(self) -> str:
        """Show in a notebook what there is, without any value of a patient."""
        trial = self.trial
        return html_table(
            "Evidence",
            [
                ("kind", self.kind),
                ("trial", f"{trial.title} ({trial.design})"),
                ("comparison", f"{trial.active} against {trial.control}"),
                *self._holds().items(),
                *((key, said) for key, said in self.assumptions.items() if len(said) <= LONGEST),
                *(("note", note) for note in self.notes),
                ("digest", self.digest[:10]),
            ],
        )

    def _holds(self) -> dict[str, str]:
        """Return how much there is: of patients labels and numbers, else the printed rows."""
        nodes = self.data.children
        if "outcomes" in nodes and "endpoint" in nodes["outcomes"].coords:
            scores = nodes["outcomes"].to_dataset()
            labels = {f"{dim}s": listed(np.atleast_1d(scores[dim].values))
                      for dim in ("visit", "endpoint") if dim in scores.coords}  # fmt: skip
            if labels.get("visits") == ONLY_VISIT:
                del labels["visits"]
            counts = {name: str(scores.sizes.get(dim, 1)) for name, dim in COUNTED.items()}
            return counts | labels
        if "effects" in nodes and "contrast" in nodes["effects"].coords:
            rows = nodes["effects"]["contrast"]
            return {"contrasts": str(rows.size)} if rows.ndim else {"contrast": str(rows.item())}
        return {"tables": str(len(nodes))}

    @property
    def digest(self) -> str:
        """SHA-256 of kind, trial, assumptions and every value, label and dimension."""
        summary = hashlib.sha256()
        header = [self.kind, self.trial.digest, sorted(self.assumptions.items())]
        summary.update(json.dumps(header).encode())
        for node in self.data.subtree:
            for name in sorted(map(str, node.variables)):
                variable = node.variables[name]
                label = [node.path, name, list(map(str, variable.dims)), list(variable.shape)]
                summary.update(json.dumps(label).encode())
                summary.update(_content(variable.values))
        return summary.hexdigest()


def _content(values: np.ndarray[Any, Any]) -> bytes:
    """Bytes of an array that do not depend on how the machine holds it."""
    if values.dtype.kind in "OUSTb":
        return json.dumps([str(value) for value in values.ravel().tolist()]).encode()
    return np.ascontiguousarray(values, dtype="<f8").tobytes()
