"""Published, recomputed and Bayesian side by side, with the reason for each gap.

One row per printed contrast and reading, one column per prior; a crossover contrast also averaged
over its readings. Differences are positive when the active treatment is better, in score units.
What is published of a ratio is the ratio, the posterior is one of its logarithm, and ``answer_*``
have its median and interval as ratios.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_ptsd.comparison.averaged import averaged_posterior, averaged_summary
from bayes_ptsd.contrasts import READINGS, analyses, left_out
from bayes_ptsd.errors import EvidenceError, SpecError, StoreError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.intervals import p_value
from bayes_ptsd.evidence.measured_rows import level_of, p_bound, printed_scale, printed_words
from bayes_ptsd.evidence.measures import COUNTS
from bayes_ptsd.evidence.published import contrast_names, select_contrast
from bayes_ptsd.evidence.readings import AVERAGED, CROSSOVER_READINGS, of_treatment
from bayes_ptsd.exact.printed import summarize_exact
from bayes_ptsd.exact.summary import likelihood_of
from bayes_ptsd.prior_family import PRIOR_FAMILY
from bayes_ptsd.priors import Prior
from bayes_ptsd.provenance import DEFAULT_SEED, EXACT_SETTINGS, make_result_id
from bayes_ptsd.readings.weights import chosen_weights
from bayes_ptsd.specification import ModelSpec
from bayes_ptsd.store import ResultStore
from bayes_ptsd.store.catalog import read_sidecar

__all__ = ["ANSWER", "compare_published", "comparison_document", "comparison_frame", "gap_reason"]

READ, PRINTED = "crossover_reading", "as_published"
ADD = "add it to trial.toml"
# columns of a ratio on its printed scale
ANSWER = ("answer_median", "answer_low", "answer_high")
QUANTITIES = ("mean", "median", "sd", "prob_benefit", "prob_gt_mcid")


def compare_published(
    evidence: Evidence,
    *,
    endpoint: str | None = None,
    convention: str = "T",
    priors: Sequence[str | Prior] = tuple(PRIOR_FAMILY),
    store: ResultStore | None = None,
    seed: int = DEFAULT_SEED,
    reading_weights: Mapping[str, float] | None = None,
) -> xr.Dataset:
    """Put the published results, their recomputation and the posteriors side by side.

    Dims ``contrast, crossover_reading, prior, bound``. By contrast: ``published_*`` as printed,
    ``read_estimate`` under the reading and ``recomputed_*`` from its interval; by prior the
    posterior and ``gap``. Reading ``averaged`` is the mixture of the posteriors under the readings
    of the treatment difference, and no stored result: it has no id. Its weights, by default those
    that the printed standard errors give, and where they are from are in attribute
    ``reading_weights`` (JSON). NaN where a reading does not apply, or a prior that is a multiple of
    a reference SD that the endpoint lacks: attribute ``notes`` says so in lines. What `store` lacks
    is computed by the exact engine and not stored.
    """
    names = contrast_names(evidence, endpoint=endpoint)
    if not names:
        raise SpecError(f"no printed treatment contrast for endpoint '{endpoint}'")
    weights, source = chosen_weights(evidence, reading_weights)
    rows: list[dict[str, Any]] = []
    selected, digest = None, ""
    for row, spec in analyses(evidence, contrasts=names, conventions=[convention], priors=priors):
        if row is not selected:
            selected, digest = row, row.digest
        result_id = make_result_id(digest, spec, settings=EXACT_SETTINGS, seed=seed)
        rows.append(_posterior_row(row, spec, store=store, result_id=result_id))
        if weights and rows[-1]["analysis"] == "crossover" and rows[-1][READ] == PRINTED:
            rows.append(_averaged_row(evidence, rows[-1], spec, of_treatment(weights)))
    notes = left_out(evidence, priors)
    if not rows:
        raise EvidenceError(f"nothing to compare: {'; '.join(notes)}; {ADD}")
    frame = pd.DataFrame(rows).set_index(["contrast", "crossover_reading", "prior"])
    table = _labelled(frame, names, [_label(prior) for prior in priors])
    lines = [*(f"{note}; {ADD}" for note in notes), *_counted(evidence, names)]
    said = {"notes": lines} if lines else {}
    return table.assign_attrs(
        evidence_kind=evidence.kind, convention=convention, trial=evidence.trial.name,
        reading_weights=json.dumps({"weights": weights, "source": source}), **said,
    )  # fmt: skip


def _counted(evidence: Evidence, names: Sequence[str]) -> list[str]:
    """Say that counts enter a comparison as a normal distribution, where there are any."""
    effects = evidence.data["effects"].to_dataset()
    source = effects["se_source"].sel(contrast=list(names))
    rows = source["contrast"].values[source.values == COUNTS].tolist()
    if not rows:
        return []
    return [
        f"{', '.join(rows)}: counts enter as a normal distribution with Wald's standard error; "
        "credibility has the two binomials"
    ]


def comparison_frame(table: xr.Dataset) -> pd.DataFrame:
    """Return a comparison as a flat table, a row a contrast, prior and reading that applies."""
    low, high = (table.sel(bound=side, drop=True) for side in ("low", "high"))
    flat = table.drop_dims("bound").assign(
        eti95_low=low["eti95"], eti95_high=high["eti95"],
        hdi95_low=low["hdi95"], hdi95_high=high["hdi95"],
    )  # fmt: skip
    frame = flat.to_dataframe().reset_index()
    # a posterior may have no mean, it always has a median
    frame = frame[frame["median"].notna()]
    return frame.assign(
        evidence_kind=table.attrs["evidence_kind"], convention=table.attrs["convention"]
    ).reset_index(drop=True)


def comparison_document(table: xr.Dataset) -> dict[str, Any]:
    """Return a comparison as a JSON-safe document, a list of rows, None for missing numbers."""
    frame = comparison_frame(table).replace(np.inf, np.nan).astype(object)
    rows = frame.where(frame.notna(), None).to_dict("records")
    about: dict[str, Any] = {str(key): value for key, value in table.attrs.items()}
    return {**about, "reading_weights": json.loads(about["reading_weights"]), "rows": rows}


def gap_reason(row: xr.Dataset, *, mean: float, center: float, prior: str) -> str:
    """Say why a posterior mean is not the published estimate, with the share of each cause.

    `center` is that of the likelihood, score units.
    """
    printed = float(row["estimate"])
    parts = []
    if float(row["scale"]) != 1:
        parts.append(f"{printed / float(row['scale']):g} read as {printed:g}")
    if not np.isclose(center, printed, atol=1e-9):
        parts.append(f"center of the interval {center - printed:+.3g}")
    # a Student-t likelihood of one degree of freedom has no mean, nor has what a flat prior adds
    parts.append(
        f"prior {mean - center:+.3g}" if np.isfinite(mean) else "the posterior has no mean"
    )
    return "; ".join(parts)


def _posterior_row(
    row: Evidence, spec: ModelSpec, *, store: ResultStore | None, result_id: str
) -> dict[str, Any]:
    """Return one line of the comparison."""
    printed = row.data["effects"].to_dataset()
    summary = _summary(row, spec, store, result_id)
    center = likelihood_of(printed, spec.options["convention"]).params["mu"]
    scale = float(printed["scale"])
    low, high, estimate, se = (
        float(printed[key]) for key in ("interval_low", "interval_high", "estimate", "se")
    )
    shown = _as_printed(printed, [estimate / scale, *(
        float(printed[key]) / scale for key in ("ci_low", "ci_high")
    )])  # fmt: skip
    return {
        "contrast": str(printed["contrast"].item()),
        "crossover_reading": row.assumptions["crossover_reading"],
        "prior": _label(spec.priors["treatment"]),
        "endpoint": str(printed["endpoint"].item()),
        "analysis": str(printed["analysis"].item()),
        "timepoint": str(printed["timepoint"].item()),
        "n": float(printed["n"]),
        **dict(zip(("published_estimate", "published_low", "published_high"), shown, strict=True)),
        **({"published_level": level_of(printed)} if printed_words(printed) else {}),
        **({"published_p_bound": p_bound(printed)} if p_bound(printed) else {}),
        "published_p": float(printed["p_value"]),
        "read_estimate": estimate,
        "recomputed_center": (low + high) / 2,
        "recomputed_se": se,
        "recomputed_df": float(printed["df"]),
        "recomputed_t": estimate / se,
        "recomputed_p": float(p_value(estimate, se, df=float(printed["df"]))),
        **_told(summary),
        **_answer(printed, summary),
        "gap": gap_reason(printed, mean=_or_nan(summary["mean"]), center=center,
                          prior=_label(spec.priors["treatment"])),
        "result_id": result_id,
    }  # fmt: skip


def _averaged_row(
    evidence: Evidence, line: dict[str, Any], spec: ModelSpec, weights: Mapping[str, float]
) -> dict[str, Any]:
    """Return the line of a crossover contrast averaged over readings, from that as published."""
    prior = spec.priors["treatment"]
    asked = prior if isinstance(prior, Prior) else str(prior)
    posterior = averaged_posterior(
        evidence, line["contrast"], weights=weights, prior=asked,
        convention=spec.options["convention"],
    )  # fmt: skip
    endpoint = evidence.trial.endpoint(line["endpoint"])
    summary = averaged_summary(posterior, mcid=endpoint.mcid, sd=endpoint.reference_sd)
    scale = sum(w * CROSSOVER_READINGS[name].scale for name, w in weights.items())
    read = {key: scale * line[key] for key in ("read_estimate", "recomputed_center")}
    one = xr.Dataset({"estimate": read["read_estimate"], "scale": scale})
    center = read["read_estimate" if spec.options["convention"] == "N" else "recomputed_center"]
    first = select_contrast(evidence, line["contrast"]).data["effects"].to_dataset()
    return line | read | _told(summary) | _answer(first, summary) | {
        READ: AVERAGED,
        # a mixture of two scales has no standard error of its own
        "recomputed_se": np.nan,
        "gap": gap_reason(one, mean=_or_nan(summary["mean"]), center=center, prior=_label(prior)),
        "result_id": "",
    }  # fmt: skip


def _as_printed(row: xr.Dataset, values: Sequence[float]) -> list[float]:
    """Return estimate and limits, benefit-positive, of a ratio on its printed scale."""
    scale = printed_scale(row)
    if scale is None:
        return list(values)
    return [scale.printed(values[0]), *scale.limits(values[1], values[2])]


def _answer(row: xr.Dataset, summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return the posterior of a ratio on its printed scale, nothing of a difference."""
    scale = printed_scale(row)
    if scale is None:
        return {}
    values = _as_printed(row, [summary["median"], *summary["eti95"]])
    return {"answer": scale.label, **dict(zip(ANSWER, values, strict=True))}


def _told(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return the cells of one posterior."""
    return {
        **{key: _or_nan(summary[key]) for key in QUANTITIES},
        "rope_narrow": _or_nan(summary["rope"]["narrow"]),
        "rope_clinical": _or_nan(summary["rope"]["clinical"]),
        **{f"{key}_{side}": value for key in ("eti95", "hdi95")
           for side, value in zip(("low", "high"), summary[key], strict=True)},
    }  # fmt: skip


def _or_nan(value: float | None) -> float:
    """Return a number, NaN where a summary has none."""
    return np.nan if value is None else value


def _summary(
    row: Evidence, spec: ModelSpec, store: ResultStore | None, result_id: str
) -> dict[str, Any]:
    """Return the summary of the treatment difference, stored or computed."""
    found: dict[str, Any] = {}
    if store is not None and store.has(result_id):
        try:
            stored = read_sidecar(store.path, result_id)["summary"] or {}
            found = stored.get("treatment_difference", {})
        except StoreError as error:
            warnings.warn(f"computed, not read: {error}", UserWarning, stacklevel=1)
    if not {*QUANTITIES, "rope", "eti95", "hdi95"} <= set(found):
        found = summarize_exact(row, spec)["treatment_difference"]
    return found


def _label(prior: object) -> str:
    """Return the coordinate of a prior: its name in the family, else its formula."""
    return prior.formula if isinstance(prior, Prior) else str(prior)


def _labelled(frame: pd.DataFrame, names: list[str], priors: list[str]) -> xr.Dataset:
    """Return the lines as a Dataset on named dims, with the intervals on dim bound."""
    table = xr.Dataset.from_dataframe(frame).reindex(contrast=names, prior=priors)
    # of a row, whichever prior it was analyzed under: some priors may not apply to it
    rows = xr.Dataset.from_dataframe(frame.groupby(level=["contrast", READ]).first())
    rows = rows.reindex(contrast=names)
    order = [name for name in (AVERAGED, *READINGS) if name in table[READ].values]
    table, rows = table.sel({READ: order}), rows.sel({READ: order})
    for key in ("eti95", "hdi95"):
        sides = [table[f"{key}_{side}"] for side in ("low", "high")]
        table[key] = xr.concat(sides, dim=pd.Index(["low", "high"], name="bound"))
    table = table.drop_vars(
        [f"{key}_{side}" for key in ("eti95", "hdi95") for side in ("low", "high")]
    )
    of_row = ("published_", "read_", "recomputed_")
    by_row = ["n", *(str(key) for key in table.data_vars if str(key).startswith(of_row))]
    for key in by_row:
        table[key] = rows[key]
    first = rows[["endpoint", "analysis", "timepoint"]].sel(crossover_reading="as_published")
    return table.assign(first.drop_vars("crossover_reading"))
