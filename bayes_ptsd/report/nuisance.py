"""What print left open about reconstructed patients: its priors beside the values accepted."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd

from bayes_ptsd.evidence import Evidence
from bayes_ptsd.reconstruction.nuisance import Nuisance, load_nuisance
from bayes_ptsd.report.markup import interval_text, number
from bayes_ptsd.report.table import table_html

__all__ = ["nuisance_frame", "nuisance_table"]


def nuisance_frame(patients: Sequence[Evidence]) -> pd.DataFrame:
    """Return a line per drawn quantity: its prior, and median and range that the sets accepted.

    Score units as recorded where the quantity has a unit; `block` is an endpoint or its later
    visits. The priors are those of the shipped file.
    """
    drawn = [json.loads(str(one.assumptions["nuisance"])) for one in patients]
    priors = load_nuisance()
    lines = []
    for name in dict.fromkeys(name for one in drawn for name in one):
        block, quantity = name.split(".")
        values = np.array([one[name] for one in drawn if name in one])
        lines.append(
            {
                "block": block,
                "quantity": quantity,
                "prior": _prior(priors, block.split()[0], quantity),
                "median": float(np.median(values)),
                "least": float(values.min()),
                "most": float(values.max()),
                "sets": len(values),
            }
        )
    return pd.DataFrame(lines).assign(evidence_kind=patients[0].kind)


def nuisance_table(frame: pd.DataFrame, kind: str) -> str:
    """Return the accepted values as texts."""
    lines = [
        {
            "block": str(line["block"]).replace("_", "-"),
            "quantity": str(line["quantity"]).replace("_", " "),
            "prior": str(line["prior"]),
            "accepted, median": number(line["median"], 2),
            "accepted, range": interval_text(line["least"], line["most"], 2),
        }
        for line in frame.to_dict("records")
    ]
    return table_html(
        pd.DataFrame(lines),
        caption=f"What print leaves open, in {int(frame['sets'].max())} sets that print the "
        "crossover as published.",
        kind=kind, name="reconstructed-nuisance", group="block", stub="quantity",
        notes=["Values that could not meet print were redrawn, so accepted values are not draws "
               "from the priors. Scores as recorded, higher = worse."],
    )  # fmt: skip


def _prior(priors: Nuisance, section: str, quantity: str) -> str:
    """Return the prior of a quantity in words: the endpoint's own, else the common one."""
    place = section if priors.has(section, quantity) else "common"
    return priors.priors[place][quantity].formula if priors.has(place, quantity) else ""
