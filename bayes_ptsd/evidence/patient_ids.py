"""Ids of subjects, replaced before anything else sees them.

Nothing that leaves this module, messages included, holds an id of the file.
"""

from __future__ import annotations

from hashlib import blake2b

import pandas as pd

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence.patient_cells import cell_text
from bayes_ptsd.evidence.patient_readers import Refusal

__all__ = ["file_key", "pseudonym", "pseudonyms"]

NO_IDS = {"NA", "N/A", "NaN", "nan", "."}


def pseudonym(subject: str, key: str | bytes) -> str:
    """Return the label of a subject: ``p`` and 16 hexadecimal digits of a keyed BLAKE2b digest.

    The key is secret, without it ids cannot be tried one by one; an empty one is refused.
    """
    secret = key.encode() if isinstance(key, str) else key
    if not secret:
        raise EvidenceError("the key of the pseudonyms is empty; give any secret text, or none")
    secret = secret if len(secret) <= 64 else blake2b(secret).digest()
    content = subject.encode("utf-8", "surrogatepass")
    return f"p{blake2b(content, key=secret, digest_size=8).hexdigest()}"


def file_key(digest: bytes) -> bytes:
    """Return a key that only the holder of the file, by its digest, can compute."""
    return blake2b(digest, person=b"pseudonyms").digest()


def pseudonyms(rows: pd.DataFrame, key: str | bytes) -> tuple[list[str | None], list[Refusal]]:
    """Replace the ids of the subjects, None where there is none, and refuse odd or missing ids."""
    labels: list[str | None] = []
    refusals: list[Refusal] = []
    for row, cell in zip(rows["row"], rows["subject"], strict=True):
        text, problem = cell_text(cell)
        if text in NO_IDS:
            text, problem = None, "is missing"
        if text is None:
            # What stands in parentheses quotes the cell, which may be an id.
            refusals.append((row, f"subject {problem.partition(' (')[0]}"))
        labels.append(None if text is None else pseudonym(text, key))
    return labels, refusals
