"""What print leaves open, as priors in a file: read, drawn, and kept with what was accepted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bayes_ptsd.errors import SpecError, shown
from bayes_ptsd.inputs import TomlTable, read_toml
from bayes_ptsd.models_files import models_folder
from bayes_ptsd.priors import Prior, parse_prior

if TYPE_CHECKING:
    from bayes_ptsd.reconstruction.plan import Plan

__all__ = ["Nuisance", "load_nuisance"]

DEFAULT, ALONE = "reconstruction", "any-trial"
"""Files for a trial whose endpoints are reconstructed together, and for any other."""
ANY = "any"
AS_RECORDED = ("level", "baseline_mean", "period")
FROM_MIDDLE = ("level", "baseline_mean")
NEEDED = {
    "common": (
        "correlation", "remission", "subscale_correlation", "first_loading", "second_loading",
        "visit_correlation", "visit_sd", "carryover",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Nuisance:
    """Priors of what print does not identify, by section (``common`` or an endpoint) and name.

    In score units where not said otherwise; `label` is empty for the shipped default.
    """

    priors: Mapping[str, Mapping[str, Prior]]
    source: str
    label: str = ""

    def has(self, section: str, name: str) -> bool:
        """Tell whether a section has a prior of that name."""
        return name in self.priors.get(section, {})

    def open(self, plan: Plan, endpoint: str, name: str, rng: np.random.Generator) -> float:
        """Draw what print leaves open of an endpoint, as if lower scores were better.

        From its own section, where scores are as recorded; else from ``any``, in SDs of the
        endpoint, levels and baseline means from the middle of its range.
        """
        if self.has(endpoint, name) or not self.has(ANY, name):
            sign = plan.sign(endpoint) if name in AS_RECORDED else 1.0
            return sign * self.draw(endpoint, name, rng)
        origin = plan.middle(endpoint) if name in FROM_MIDDLE else 0.0
        scale = 1.0 if name == "slope" else plan.unit(endpoint)
        return origin + scale * self.draw(ANY, name, rng)

    def draw(self, section: str, name: str, rng: np.random.Generator) -> float:
        """Draw one value; a prior that the file lacks is refused by name."""
        if not self.has(section, name):
            raise SpecError(f"{self.source}: [{section}] needs '{name}'")
        return float(self.priors[section][name].quantile(rng.uniform()))


def load_nuisance(path: str | Path | None = None, *, joint: bool = True) -> Nuisance:
    """Read the priors of what print leaves open: a TOML file, or a name in ``models/nuisance``.

    Without a path, those for endpoints reconstructed together (`joint`) or alone.
    """
    file, label = _file((DEFAULT if joint else ALONE) if path is None else path)
    read = read_toml(file)
    read.version()
    priors = {
        section: _section(read.table(section)) for section in read.content if section != "schema"
    }
    for section, names in NEEDED.items():
        missing = [name for name in names if name not in priors.get(section, {})]
        if missing:
            raise SpecError(f"{file}: [{section}] needs '{missing[0]}'")
    return Nuisance(priors, file.name, label)


def _file(path: str | Path) -> tuple[Path, str]:
    """Return a file and what sets made under it are called."""
    shipped = models_folder() / "nuisance" / f"{path}.toml"
    if Path(path).name != str(path) or not shipped.exists():
        return Path(path), Path(path).name
    return shipped, "" if str(path) in (DEFAULT, ALONE) else str(path)


def _section(table: TomlTable) -> dict[str, Prior]:
    """Return the priors of one table."""
    found = {}
    for name in table.content:
        where, text = f"{table.where}: '{shown(name)}'", table.text(name)
        try:
            found[name] = parse_prior(text)
        except SpecError as error:
            raise SpecError(f"{where}: {error}") from error
        if not found[name].proper:
            raise SpecError(f"{where}: give a proper distribution; '{text}' is not")
    return found
