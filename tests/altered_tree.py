"""A copy of what the digests of the committed studies read, to alter one thing of it at a time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
KEPT = "tests/golden_files/models.json"
READ = (
    "validation/*.py", "validation/forecasts/*.csv", "bayes_ptsd/*.py", "bayes_ptsd/*/*.py",
    "bayes_ptsd/*/curtin2002/*", KEPT,
)  # fmt: skip


class AlteredTree:
    """A folder with copies; what is altered inside a block is as before after it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for pattern in READ:
            for path in ROOT.glob(pattern):
                copy = folder / path.relative_to(ROOT)
                copy.parent.mkdir(parents=True, exist_ok=True)
                if path.is_file():
                    shutil.copyfile(path, copy)

    @contextmanager
    def text(self, name: str, old: str, new: str) -> Iterator[Path]:
        """Replace the first `old` in a file, which has it."""
        path = self.folder / name
        before = path.read_text(encoding="utf-8")
        assert old in before, (name, old)
        path.write_text(before.replace(old, new, 1), encoding="utf-8")
        yield self.folder
        path.write_text(before, encoding="utf-8")

    @contextmanager
    def answer(self, name: str, part: str, by: float = 1e-4) -> Iterator[Path]:
        """Move the numbers of a part of a kept answer by a share."""
        path = self.folder / KEPT
        before = path.read_text(encoding="utf-8")
        kept = json.loads(before)
        *above, last = part.split("/")
        holder = kept[name]
        for key in above:
            holder = holder[key]
        holder[last] = _moved(holder[last], by)
        path.write_text(json.dumps(kept), encoding="utf-8")
        yield self.folder
        path.write_text(before, encoding="utf-8")


def _moved(value: Any, by: float) -> Any:
    """Return a document with every float moved by a share."""
    if isinstance(value, dict):
        return {key: _moved(one, by) for key, one in value.items()}
    if isinstance(value, list):
        return [_moved(one, by) for one in value]
    return value * (1 + by) if isinstance(value, float) else value
