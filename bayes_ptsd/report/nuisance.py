"""What print left open about reconstructed patients: its priors beside the values accepted."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd

from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.reconstruct.nuisance import Nuisance, load_nuisance
from bayes_ptsd.report.markup import interval_text, number
from bayes_ptsd.report.table import table_html

__all__ = ["nuisance_frame", "nuisance_table"]


def nuisance_frame(patients: Sequence[Evidence]) -> pd.DataFrame:
    """Return every quantity that was drawn: its prior and the values the sets accepted.

    Parameters
    ----------
    patients : sequence of Evidence
        Reconstructions made under the shipped priors.

    Returns
    -------
    pd.DataFrame
        A line a quantity: ``block`` (an endpoint, or its later visits), ``quantity``, ``prior``,
        ``median, least, most`` of the accepted values, ``sets``, ``evidence_kind``. Score units
        as recorded where the quantity has a unit.

    Examples
    --------
    >>> from bayes_ptsd.evidence.reconstruct.release import load_release
    >>> frame = nuisance_frame(load_release(m=2))
    >>> frame.loc[frame["quantity"] == "period", "prior"].tolist()[0]
    'N(0, 4²)'
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
    """Return the accepted values as texts.

    Parameters
    ----------
    frame : pd.DataFrame
        From `nuisance_frame`.
    kind : str
        Kind of evidence.

    Returns
    -------
    str
        HTML.

    Examples
    --------
    >>> from bayes_ptsd.evidence.reconstruct.release import load_release
    >>> "baseline sd" in nuisance_table(nuisance_frame(load_release(m=2)), "reconstructed")
    True
    """
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
