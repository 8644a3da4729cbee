"""Least-squares analyses of an AB/BA crossover, and all analyses side by side.

Treatment differences and carryover are positive where the active treatment is better; period
effects (second minus first) and sequence effects (active first minus control first) are in the
direction of the recorded score.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import xarray as xr

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence.pairs import CrossoverPairs, FloatArray
from bayes_ptsd.frequentist.inference import inference_table
from bayes_ptsd.frequentist.reml import reml_crossover

__all__ = [
    "CARRYOVER_WARNING",
    "first_period",
    "frequentist_crossover",
    "grizzle_carryover",
    "hills_armitage",
]

CARRYOVER_WARNING = (
    "Not a gate: this test compares patients with each other, has little power, and shares its "
    "data with the first-period analysis. Choosing the analysis by its result biases the estimate "
    "and inflates the error rate (Freeman 1989). It cannot tell carryover from a sequence effect "
    "or a treatment-by-period interaction."
)


def hills_armitage(
    pairs: CrossoverPairs, *, benefit_sign: int = 1, level: float = 0.95
) -> xr.Dataset:
    """Compare within-patient differences between the sequences: the t test for a crossover [1]_.

    Patients with one period are left out; ``treatment_difference`` (benefit-positive) and
    ``period_effect`` (second minus first) are in score units.

    References
    ----------
    .. [1] Hills M, Armitage P. The two-period cross-over clinical trial. British Journal of
       Clinical Pharmacology 1979;8:7-20.
    """
    used = _both_sequences(pairs)
    order = benefit_sign * np.where(used.active_first, -1.0, 1.0)
    return _least_squares(
        {"treatment_difference": order, "period_effect": np.ones(len(order))},
        used.score[:, 1] - used.score[:, 0],
        level=level,
        method="Hills-Armitage: t test on within-patient differences, complete patients",
    )


def grizzle_carryover(
    pairs: CrossoverPairs, *, benefit_sign: int = 1, level: float = 0.95
) -> xr.Dataset:
    """Compare patients' totals between the sequences: the test of unequal carryover [1]_.

    As `hills_armitage` for estimand ``carryover``, in score units. Attribute ``note`` holds
    `CARRYOVER_WARNING`, which must be shown beside the result: as a gate the test misleads [2]_.

    References
    ----------
    .. [1] Grizzle JE. The two-period change-over design and its use in clinical trials. Biometrics
       1965;21:467-480.
    .. [2] Freeman PR. The performance of the two-stage analysis of two-treatment, two-period
       crossover trials. Statistics in Medicine 1989;8:1421-1432.
    """
    used = _both_sequences(pairs)
    column = benefit_sign * used.active_first.astype(float)
    return _least_squares(
        {"carryover": column, "": np.ones(len(column))},
        used.score.sum(axis=1),
        level=level,
        method="Grizzle: t test on patients' totals, complete patients",
        note=CARRYOVER_WARNING,
    )


def first_period(
    pairs: CrossoverPairs,
    *,
    benefit_sign: int = 1,
    level: float = 0.95,
    adjusted: bool = False,
) -> xr.Dataset:
    """Compare the treatments in the first period alone: the parallel-group part of the trial.

    A pooled t test or, `adjusted`, an analysis of covariance on the baseline; patients without a
    second period are included.
    """
    here = np.isfinite(_single(pairs).score[:, 0])
    column = benefit_sign * pairs.active_first[here].astype(float)
    columns = {"treatment_difference": column, "": np.ones(len(column))}
    method = "First period: pooled t test"
    if adjusted:
        if pairs.baseline is None:
            raise EvidenceError("an adjusted first-period analysis needs a baseline")
        columns["baseline_slope"] = pairs.baseline[here]
        method = "First period: analysis of covariance on the baseline"
    return _least_squares(columns, pairs.score[here, 0], level=level, method=method).drop_sel(
        estimand="baseline_slope", errors="ignore"
    )


def frequentist_crossover(
    pairs: CrossoverPairs,
    *,
    benefit_sign: int = 1,
    level: float = 0.95,
    known: Mapping[str, xr.Dataset] | None = None,
) -> xr.Dataset:
    """Run every analysis of one crossover, dims ``(analysis, estimand)``.

    NaN where an analysis has no such estimand; ``sd_subject`` and ``sd_within`` of the mixed models
    are in score units. Attribute ``not_possible`` has the reason by analysis that the data do not
    allow; only if they allow none there is an error. `known` are analyses of the same patients at
    the same level that were run before.
    """
    tables, reasons = dict(known or {}), {}
    for name, analysis in _ANALYSES.items():
        if name in tables:
            continue
        if name != "first_period_adjusted" or pairs.baseline is not None:
            try:
                tables[name] = analysis(_single(pairs), benefit_sign=benefit_sign, level=level)
            except EvidenceError as error:
                reasons[name] = str(error)
    if not tables:
        raise EvidenceError("; ".join(dict.fromkeys(reasons.values())))
    tables = {name: tables[name] for name in _ANALYSES if name in tables}
    joined = xr.concat(
        [table.drop_attrs() for table in tables.values()],
        dim=xr.Variable("analysis", list(tables)),
        join="outer",
        data_vars="all",
    )
    labels = {
        key: ("analysis", [str(table.attrs[key]) for table in tables.values()])
        for key in ("method", "note")
    }
    spreads = {
        key: ("analysis", [float(table.attrs.get(key, np.nan)) for table in tables.values()])
        for key in ("sd_subject", "sd_within")
    }
    return joined.assign({**labels, **spreads}).assign_attrs(level=level, not_possible=reasons)


_ANALYSES: Mapping[str, Callable[..., xr.Dataset]] = {
    "hills_armitage": hills_armitage,
    "reml": reml_crossover,
    "reml_sequence": partial(reml_crossover, sequence=True),
    "first_period": first_period,
    "first_period_adjusted": partial(first_period, adjusted=True),
    "grizzle": grizzle_carryover,
}


def _both_sequences(pairs: CrossoverPairs) -> CrossoverPairs:
    """Return the patients with both periods; refuse if a sequence has none."""
    complete = _single(pairs).complete
    if len(set(pairs.active_first[complete])) < 2:
        raise EvidenceError(
            f"it needs patients with both periods in both sequences; {int(complete.sum())} have "
            "both, none of them in one of the sequences"
        )
    return pairs.completers()


def _single(pairs: CrossoverPairs) -> CrossoverPairs:
    """Refuse a batch."""
    if pairs.batched:
        raise EvidenceError("the frequentist analyses take one data set at a time")
    return pairs


def _least_squares(
    columns: dict[str, FloatArray], score: FloatArray, *, level: float, method: str, note: str = ""
) -> xr.Dataset:
    """Regress the scores on the columns; a column without a name is not reported."""
    design = np.stack(list(columns.values()), axis=1)
    freedom = len(score) - design.shape[1]
    if freedom < 1 or np.linalg.matrix_rank(design) < design.shape[1]:
        raise EvidenceError(
            f"{len(score)} usable patients do not allow '{method}': each sequence needs some, and "
            f"there must be more than {design.shape[1]}"
        )
    coefficients, *_ = np.linalg.lstsq(design, score)
    variance = float(np.sum((score - design @ coefficients) ** 2)) / freedom
    se = np.sqrt(variance * np.diag(np.linalg.inv(design.T @ design)))
    kept = [number for number, name in enumerate(columns) if name]
    names = [name for name in columns if name]
    return inference_table(
        dict(zip(names, coefficients[kept].tolist(), strict=True)),
        se=se[kept],
        df=freedom,
        level=level,
        attrs={"method": method, "note": note, "patients": len(score)},
    )
