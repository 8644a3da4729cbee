"""The credibility of every printed contrast, one row each."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bayes_ptsd.credibility.assess import assess_interval
from bayes_ptsd.credibility.catalog import CONVENTIONS
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.readings import crossover_reading_of
from bayes_ptsd.prior_family import PRIOR_FAMILY

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["credibility_table"]


def credibility_table(
    evidence: Evidence, *, crossover_reading: str = "as_published", relative_size: float = 1.0
) -> xr.Dataset:
    """Return `assess_interval` of every printed treatment contrast, dim ``contrast`` in front.

    `crossover_reading` scales crossover rows only; rows without a printed interval use the one
    recovered from their P value. Score-unit priors use the endpoint's reference SD; NaN where it
    has none, and under convention T where the row has no df.
    """
    import xarray as xr

    effects = evidence.data["effects"].to_dataset()
    scale = crossover_reading_of(crossover_reading).scale
    names = effects["contrast"].values[(effects["term"] == "treatment").values]
    rows = [
        _row(evidence, effects.sel(contrast=name), scale, relative_size).expand_dims(
            contrast=[str(name)]
        )
        for name in names
    ]
    return xr.concat(rows, dim="contrast", combine_attrs="override").assign_attrs(
        evidence_kind=evidence.kind, crossover_reading=crossover_reading
    )


def _row(evidence: Evidence, row: xr.Dataset, scale: float, relative_size: float) -> xr.Dataset:
    """Return the measures of one contrast; the reading's scale applies to crossover rows only."""
    factor = scale if str(row["analysis"].item()) == "crossover" else 1.0
    estimate, low, high = (
        factor * float(row[key]) for key in ("estimate", "interval_low", "interval_high")
    )
    df = float(row["df"])
    result = assess_interval(
        estimate,
        low,
        high,
        df=df if math.isfinite(df) else None,
        sd=evidence.trial.endpoint(str(row["endpoint"].item())).reference_sd,
        relative_size=relative_size,
    )
    return result.reindex(convention=list(CONVENTIONS), prior=list(PRIOR_FAMILY))
