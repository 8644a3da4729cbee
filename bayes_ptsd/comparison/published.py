"""Published, recomputed and Bayesian side by side, with the reason for each gap.

One row per printed contrast and reading, one column per prior. Differences are positive when the
active treatment is better, in score units.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_ptsd.contrasts import analyses, contrast_names
from bayes_ptsd.errors import SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.intervals import p_value
from bayes_ptsd.exact.printed import SETTINGS, summarize_exact
from bayes_ptsd.exact.summary import likelihood_of
from bayes_ptsd.prior_family import PRIOR_FAMILY
from bayes_ptsd.priors import Prior
from bayes_ptsd.provenance import DEFAULT_SEED, make_result_id
from bayes_ptsd.spec import ModelSpec
from bayes_ptsd.store import ResultStore
from bayes_ptsd.store.catalog import read_sidecar

__all__ = ["compare_published", "comparison_document", "comparison_frame", "gap_reason"]

QUANTITIES = ("mean", "median", "sd", "prob_benefit", "prob_gt_mcid")


def compare_published(
    evidence: Evidence,
    *,
    endpoint: str | None = None,
    convention: str = "T",
    priors: Sequence[str | Prior] = tuple(PRIOR_FAMILY),
    store: ResultStore | None = None,
    seed: int = DEFAULT_SEED,
) -> xr.Dataset:
    """Put the published results, their recomputation and the posteriors side by side.

    Parameters
    ----------
    evidence : Evidence
        Of kind ``published``.
    endpoint : str, optional
        Keep this endpoint only.
    convention : {"N", "T"}
        Likelihood convention of the posteriors.
    priors : sequence of str or Prior
        Names in the prior family, or priors in score units, labelled by their formula.
    store : ResultStore, optional
        Read what it holds; what it lacks is computed by the exact engine and not stored.
    seed : int
        Seed of the draws, part of the identity of a stored result.

    Returns
    -------
    xr.Dataset
        Dims ``contrast, crossover_reading, prior, bound``. By contrast: ``published_*`` as printed,
        ``read_estimate`` under the reading and ``recomputed_*`` from its interval. By prior:
        ``mean, median, sd, eti95, hdi95, prob_benefit, prob_gt_mcid, rope_narrow, rope_clinical,
        result_id, gap``.
        NaN where a reading does not apply.

    Raises
    ------
    SpecError
        If the convention or a prior is unknown, or there is no contrast to compare.

    Examples
    --------
    >>> from bayes_ptsd.evidence.published import load_published
    >>> table = compare_published(load_published(), endpoint="ies_r", priors=["flat", "skeptical"])
    >>> row = table.sel(contrast="T2.IESR.X", crossover_reading="as_published", prior="flat")
    >>> row["eti95"].values.round(2)
    array([ 2.5, 22.8])
    """
    names = contrast_names(evidence, endpoint=endpoint)
    if not names:
        raise SpecError(f"no printed treatment contrast for endpoint '{endpoint}'")
    rows = []
    for row, spec in analyses(evidence, contrasts=names, conventions=[convention], priors=priors):
        rows.append(_posterior_row(row, spec, store=store, seed=seed))
    frame = pd.DataFrame(rows).set_index(["contrast", "crossover_reading", "prior"])
    table = _labelled(frame, names, [_label(prior) for prior in priors])
    return table.assign_attrs(
        evidence_kind=evidence.kind, convention=convention, trial=evidence.trial.name
    )


def comparison_frame(table: xr.Dataset) -> pd.DataFrame:
    """Return a comparison as a flat table for people and CSV files.

    Parameters
    ----------
    table : xr.Dataset
        From `compare_published`.

    Returns
    -------
    pd.DataFrame
        A row per contrast, reading and prior; rows of readings that do not apply are left out.

    Examples
    --------
    >>> from bayes_ptsd.evidence.published import load_published
    >>> table = compare_published(load_published(), endpoint="caps", priors=["weak"])
    >>> frame = comparison_frame(table)
    >>> frame["crossover_reading"].tolist()
    ['as_published', 'unhalved']
    """
    low, high = (table.sel(bound=side, drop=True) for side in ("low", "high"))
    flat = table.drop_dims("bound").assign(
        eti95_low=low["eti95"], eti95_high=high["eti95"],
        hdi95_low=low["hdi95"], hdi95_high=high["hdi95"],
    )  # fmt: skip
    frame = flat.to_dataframe().reset_index()
    frame = frame[frame["mean"].notna()]
    return frame.assign(
        evidence_kind=table.attrs["evidence_kind"], convention=table.attrs["convention"]
    ).reset_index(drop=True)


def comparison_document(table: xr.Dataset) -> dict[str, Any]:
    """Return a comparison as a JSON-safe document, a list of rows.

    Parameters
    ----------
    table : xr.Dataset
        From `compare_published`.

    Returns
    -------
    dict
        ``evidence_kind, convention, trial, rows``; missing numbers are None.

    Examples
    --------
    >>> from bayes_ptsd.evidence.published import load_published
    >>> table = compare_published(load_published(), endpoint="caps", priors=["weak"])
    >>> comparison_document(table)["rows"][0]["contrast"]
    'TX.CAPS.X'
    """
    frame = comparison_frame(table).astype(object)
    rows = frame.where(frame.notna(), None).to_dict("records")
    return {**{str(key): value for key, value in table.attrs.items()}, "rows": rows}


def gap_reason(row: xr.Dataset, *, mean: float, center: float, prior: str) -> str:
    """Say why a posterior mean is not the published estimate, with the share of each cause.

    Parameters
    ----------
    row : xr.Dataset
        The selected printed row.
    mean : float
        Posterior mean, score units.
    center : float
        Center of the likelihood, score units.
    prior : str
        Name of the prior.

    Returns
    -------
    str
        One sentence.

    Examples
    --------
    >>> row = xr.Dataset(dict(estimate=3.3, scale=1.0))
    >>> gap_reason(row, mean=3.05, center=3.05, prior="flat")
    'center of the interval -0.25; prior +0'
    """
    printed = float(row["estimate"])
    parts = []
    if float(row["scale"]) != 1:
        parts.append(f"{printed / float(row['scale']):g} read as {printed:g}")
    if not np.isclose(center, printed, atol=1e-9):
        parts.append(f"center of the interval {center - printed:+.3g}")
    parts.append(f"prior {mean - center:+.3g}")
    return "; ".join(parts)


def _posterior_row(
    row: Evidence, spec: ModelSpec, *, store: ResultStore | None, seed: int
) -> dict[str, Any]:
    """Return one line of the comparison."""
    printed = row.data["effects"].to_dataset()
    result_id = make_result_id(row, spec, settings=SETTINGS, seed=seed)
    summary = _summary(row, spec, store, result_id)
    center = likelihood_of(printed, spec.options["convention"]).params["mu"]
    scale = float(printed["scale"])
    low, high, estimate, se = (
        float(printed[key]) for key in ("interval_low", "interval_high", "estimate", "se")
    )
    return {
        "contrast": str(printed["contrast"].item()),
        "crossover_reading": row.assumptions["crossover_reading"],
        "prior": _label(spec.priors["treatment"]),
        "endpoint": str(printed["endpoint"].item()),
        "analysis": str(printed["analysis"].item()),
        "timepoint": str(printed["timepoint"].item()),
        "n": int(printed["n"]),
        "published_estimate": estimate / scale,
        "published_low": float(printed["ci_low"]) / scale,
        "published_high": float(printed["ci_high"]) / scale,
        "published_p": float(printed["p_value"]),
        "read_estimate": estimate,
        "recomputed_center": (low + high) / 2,
        "recomputed_se": se,
        "recomputed_df": float(printed["df"]),
        "recomputed_t": estimate / se,
        "recomputed_p": float(p_value(estimate, se, df=float(printed["df"]))),
        **{key: summary[key] for key in QUANTITIES},
        "rope_narrow": summary["rope"]["narrow"],
        "rope_clinical": summary["rope"]["clinical"],
        **{f"{key}_{side}": value for key in ("eti95", "hdi95")
           for side, value in zip(("low", "high"), summary[key], strict=True)},
        "gap": gap_reason(printed, mean=summary["mean"], center=center,
                          prior=_label(spec.priors["treatment"])),
        "result_id": result_id,
    }  # fmt: skip


def _summary(
    row: Evidence, spec: ModelSpec, store: ResultStore | None, result_id: str
) -> dict[str, Any]:
    """Return the summary of the treatment difference, stored or computed."""
    if store is not None and store.has(result_id):
        document = read_sidecar(store.path, result_id)["summary"]
    else:
        document = summarize_exact(row, spec)
    return document["treatment_difference"]  # type: ignore[no-any-return]


def _label(prior: object) -> str:
    """Return the coordinate of a prior: its name in the family, else its formula."""
    return prior.formula if isinstance(prior, Prior) else str(prior)


def _labelled(frame: pd.DataFrame, names: list[str], priors: list[str]) -> xr.Dataset:
    """Return the lines as a Dataset on named dims, with the intervals on dim bound."""
    table = xr.Dataset.from_dataframe(frame).reindex(contrast=names, prior=priors)
    for key in ("eti95", "hdi95"):
        sides = [table[f"{key}_{side}"] for side in ("low", "high")]
        table[key] = xr.concat(sides, dim=pd.Index(["low", "high"], name="bound"))
    table = table.drop_vars(
        [f"{key}_{side}" for key in ("eti95", "hdi95") for side in ("low", "high")]
    )
    of_row = ("published_", "read_", "recomputed_")
    by_row = ["n", *(str(key) for key in table.data_vars if str(key).startswith(of_row))]
    for key in by_row:
        table[key] = table[key].isel(prior=0, drop=True)
    first = table[["endpoint", "analysis", "timepoint"]].sel(crossover_reading="as_published")
    return table.assign(first.isel(prior=0, drop=True).drop_vars("crossover_reading"))
