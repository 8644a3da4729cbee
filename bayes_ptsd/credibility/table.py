"""The credibility of every printed contrast, one row each."""

from __future__ import annotations

import math

import xarray as xr

from bayes_ptsd.credibility.assess import assess_interval
from bayes_ptsd.credibility.catalog import CONVENTIONS
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.readings import crossover_reading_of
from bayes_ptsd.prior_family import PRIOR_FAMILY

__all__ = ["credibility_table"]


def credibility_table(
    evidence: Evidence, *, crossover_reading: str = "as_published", relative_size: float = 1.0
) -> xr.Dataset:
    """Return the credibility measures of every printed treatment contrast.

    Parameters
    ----------
    evidence : Evidence
        Of kind ``published``.
    crossover_reading : str, optional
        Reading of the crossover rows; other rows have one reading.
    relative_size : float, optional
        Size of the replication, original = 1.

    Returns
    -------
    xr.Dataset
        `assess_interval` with dim ``contrast`` in front. Rows without a printed interval use the
        one recovered from their P value. Score-unit priors use the endpoint's reference SD; NaN
        where it has none, and under convention T where the row has no df.

    Raises
    ------
    EvidenceError
        If the reading is unknown.
    SpecError
        If `relative_size` is not positive.

    Examples
    --------
    >>> from bayes_ptsd.evidence.published import load_published
    >>> table = credibility_table(load_published())
    >>> round(float(table["critical_limit"].sel(contrast="T2.IESR.F")), 2)
    14.92
    """
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
