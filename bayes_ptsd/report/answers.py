"""What a section computes beyond the posteriors of its rows, kept in the store as a result.

An answer is addressed by what decides it: the printed evidence, the question with its options, and
the seed. The run keeps every answer of its page; a page finds it again, whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import xarray as xr

from bayes_ptsd.provenance import library_versions
from bayes_ptsd.reconstructed.sets import is_shipped
from bayes_ptsd.reconstruction.release import shipped_digest
from bayes_ptsd.report.contents import Contents
from bayes_ptsd.store.results import load_whole

__all__ = ["Question", "answered", "as_frame", "as_table", "on_sets"]

# raised where the same question has another answer than before: stored ones are then not found
FORM = 1


@dataclass(frozen=True)
class Question:
    """What is asked of the printed evidence, in words and by the options that decide the answer."""

    name: str  # what takes the place of a model's name in lists
    estimand: str
    prior: str
    options: Mapping[str, Any]  # JSON-safe
    answer: Callable[[], xr.DataTree]  # tables by group, none at the root
    kind: str = "published"  # of the evidence that it rests on

    @property
    def document(self) -> dict[str, Any]:
        """What stands for the specification of a model: question, estimand and options."""
        return {"asked": self.name, "estimand": self.estimand, "options": dict(self.options)}

    def result_id(self, digest: str, seed: int) -> str:
        """Return the identity of the answer: 24 hexadecimal digits of a digest of its inputs."""
        content = [digest, FORM, self.name, dict(self.options), seed]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]


def answered(contents: Contents, question: Question) -> xr.DataTree:
    """Return an answer, from the store where it is; else computed, and kept if the page keeps."""
    digest, store = contents.evidence.digest, contents.store
    result_id = question.result_id(digest, contents.seed)
    known = [result_id] if store is not None and store.has(result_id) else []
    found = [] if store is None else load_whole(store, known)
    if found:
        return found[0]
    start = time.perf_counter()
    tree = question.answer()
    if store is not None and contents.keeps and not known:
        tree.attrs = {
            "result_id": result_id,
            "model": question.name,
            "spec": json.dumps(question.document),
            "prior": question.prior,
            "trial": contents.trial.name,
            "evidence_kind": question.kind,
            "evidence_digest": digest,
            "engine": "exact",
            "seed": contents.seed,
            "seconds": time.perf_counter() - start,
            "summary": "{}",
            "warnings": "[]",
            "versions": json.dumps(dict(library_versions())),
        }
        store.save(tree)
    return tree


def on_sets(contents: Contents) -> dict[str, Any]:
    """Return the options of a question about reconstructed patients: how many sets, and which."""
    if not is_shipped(contents.evidence):
        return {"sets": 0}
    return {"sets": contents.sets, "release": shipped_digest()}


def as_table(frame: pd.DataFrame) -> xr.Dataset:
    """Return the lines of a table as a dataset on dim ``line``."""
    lines = frame.reset_index(drop=True).rename_axis("line")
    return xr.Dataset.from_dataframe(lines).drop_vars("line")


def as_frame(tree: xr.DataTree, name: str) -> pd.DataFrame:
    """Return a table of an answer as lines again, the columns in their order."""
    return tree[name].to_dataset().to_dataframe().reset_index(drop=True)
