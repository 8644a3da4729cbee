"""Published, recomputed and Bayesian side by side, with the reason for each gap.

One row per printed contrast and reading, one column per prior. Differences are positive when the
active treatment is better, in score units.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_ptsd.errors import SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.intervals import p_value
from bayes_ptsd.evidence.published import select_contrast
from bayes_ptsd.exact.printed import SETTINGS, summarize_exact
from bayes_ptsd.exact.summary import likelihood_of
from bayes_ptsd.prior_family import PRIOR_FAMILY
from bayes_ptsd.priors import Prior
from bayes_ptsd.provenance import DEFAULT_SEED, make_result_id
from bayes_ptsd.spec import ModelSpec, load_model
from bayes_ptsd.store import ResultStore
from bayes_ptsd.store.catalog import read_sidecar

__all__ = [
    "READINGS",
    "Analysis",
    "analyses",
    "compare",
    "comparison_document",
    "comparison_frame",
    "contrast_names",
    "gap_reason",
    "model_of",
]

READINGS = ("as_published", "unhalved")
"""The two scales on which every crossover claim in score units is reported."""

QUANTITIES = ("mean", "median", "sd", "prob_benefit", "prob_gt_mcid")
Analysis = tuple[Evidence, ModelSpec]


def contrast_names(evidence: Evidence, *, endpoint: str | None = None) -> list[str]:
    """Return the ids of the printed treatment contrasts, in the order of the evidence.

    Parameters
    ----------
    evidence : Evidence
        Of kind ``published``.
    endpoint : str, optional
        Keep the contrasts of this endpoint only.

    Returns
    -------
    list of str
        Ids; coefficients of covariates are left out.

    Raises
    ------
    SpecError
        If the trial has no such endpoint.

    Examples
    --------
    >>> from bayes_ptsd.evidence.published import load_published
    >>> contrast_names(load_published(), endpoint="caps")
    ['TX.CAPS.X']
    """
    effects = evidence.data["effects"].to_dataset()
    keep = effects["term"] == "treatment"
    if endpoint is not None:
        keep = keep & (effects["endpoint"] == evidence.trial.endpoint(endpoint).id)
    return [str(name) for name in effects["contrast"].values[keep.values]]


def model_of(row: Evidence, *, convention: str, prior: str | Prior) -> ModelSpec:
    """Return the shipped model that a selected row is analyzed with.

    Parameters
    ----------
    row : Evidence
        One selected contrast.
    convention : {"N", "T"}
        Likelihood convention.
    prior : str or Prior
        Name in the prior family, or a prior in score units.

    Returns
    -------
    ModelSpec
        ``published-crossover``, ``published-crossover-unhalved``, ``published-first-period`` or,
        for the other analyses, ``published``.

    Examples
    --------
    >>> from bayes_ptsd.evidence.published import load_published
    >>> row = select_contrast(load_published(), "T2.IESR.F")
    >>> model_of(row, convention="T", prior="flat").name
    'published-first-period'
    """
    analysis = str(row.data["effects"]["analysis"].item())
    reading = row.assumptions["crossover_reading"]
    names = {
        ("crossover", "as_published"): "published-crossover",
        ("crossover", "unhalved"): "published-crossover-unhalved",
        ("first_period", "as_published"): "published-first-period",
    }
    spec = load_model(names.get((analysis, reading), "published"))
    options = {"convention": convention}
    if analysis == "crossover":
        options["crossover_reading"] = reading
    return spec.having(options=options, priors={"treatment": prior})


def analyses(
    evidence: Evidence,
    *,
    contrasts: Sequence[str] | None = None,
    conventions: Sequence[str] = ("T",),
    priors: Sequence[str | Prior] = tuple(PRIOR_FAMILY),
    readings: Sequence[str] = READINGS,
) -> Iterator[Analysis]:
    """Yield every analysis of the printed evidence: a selected row and the model for it.

    Parameters
    ----------
    evidence : Evidence
        Of kind ``published``.
    contrasts : sequence of str, optional
        Ids; all treatment contrasts by default.
    conventions, priors, readings : sequence
        What to cross them with; priors are names of the family or values. Readings apply to
        crossover rows, other rows have one.

    Yields
    ------
    tuple of Evidence and ModelSpec
        One selected contrast under one reading, and its specification.

    Examples
    --------
    >>> from bayes_ptsd.evidence.published import load_published
    >>> len(list(analyses(load_published(), contrasts=["T2.IESR.X", "T2.IESR.F"])))
    18
    """
    for name in contrast_names(evidence) if contrasts is None else contrasts:
        for reading in readings:
            crossover = str(_row_of(evidence, name)["analysis"].item()) == "crossover"
            if not crossover and reading != "as_published":
                continue
            row = select_contrast(evidence, name, crossover_reading=reading)
            for convention, prior in product(conventions, priors):
                yield row, model_of(row, convention=convention, prior=prior)


def compare(
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
    >>> table = compare(load_published(), endpoint="ies_r", priors=["flat", "skeptical"])
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
        From `compare`.

    Returns
    -------
    pd.DataFrame
        A row per contrast, reading and prior; rows of readings that do not apply are left out.

    Examples
    --------
    >>> from bayes_ptsd.evidence.published import load_published
    >>> frame = comparison_frame(compare(load_published(), endpoint="caps", priors=["weak"]))
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
        From `compare`.

    Returns
    -------
    dict
        ``evidence_kind, convention, trial, rows``; missing numbers are None.

    Examples
    --------
    >>> from bayes_ptsd.evidence.published import load_published
    >>> table = compare(load_published(), endpoint="caps", priors=["weak"])
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


def _label(prior: str | Prior) -> str:
    """Return the coordinate of a prior: its name in the family, else its formula."""
    return prior.formula if isinstance(prior, Prior) else prior


def _row_of(evidence: Evidence, name: str) -> xr.Dataset:
    """Return one printed row, or refuse an unknown id by the loader's own message."""
    return select_contrast(evidence, name).data["effects"].to_dataset()


def _labelled(frame: pd.DataFrame, names: list[str], priors: list[str]) -> xr.Dataset:
    """Return the lines as a Dataset on named dims, with the intervals on dim bound."""
    table = xr.Dataset.from_dataframe(frame).reindex(contrast=names, prior=priors)
    for key in ("eti95", "hdi95"):
        sides = [table[f"{key}_{side}"] for side in ("low", "high")]
        table[key] = xr.concat(sides, dim=pd.Index(["low", "high"], name="bound"))
    table = table.drop_vars(
        [f"{key}_{side}" for key in ("eti95", "hdi95") for side in ("low", "high")]
    )
    by_row = [
        key
        for key in table.data_vars
        if str(key).startswith(("published_", "read_", "recomputed_"))
    ]
    by_row += ["n"]
    for key in by_row:
        table[key] = table[key].isel(prior=0, drop=True)
    first = table[["endpoint", "analysis", "timepoint"]].sel(crossover_reading="as_published")
    return table.assign(first.isel(prior=0, drop=True).drop_vars("crossover_reading"))
