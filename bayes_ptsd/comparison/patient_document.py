"""A comparison of patients as a document, with the reason for each gap in words and numbers."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.comparison.patients import PARTS, STEPS
from bayes_ptsd.comparison.posteriors import BEYOND
from bayes_ptsd.evidence.patient_arrays import period_lines

__all__ = ["patient_comparison_document"]

COLUMNS = ("estimate", "se", "df", "p_value")
NAMED = 0.01
"""A prior that moves the mean by less than this part of a standard error is not named."""
NAMES = {
    "one_period_patients": "patients with one period",
    "unequal_sds": "a standard deviation for each period",
    "carryover": "carryover under its prior",
    "student_t": "Student-t patients",
}


def patient_comparison_document(table: xr.Dataset) -> dict[str, Any]:
    """Return a comparison from `compare_patients` as JSON values, None for missing numbers.

    ``not_possible`` has, by analysis, the reason that these patients do not allow it; each line of
    ``posteriors`` its frequentist counterpart, the parts of the gap and ``why``; ``periods`` what
    each period says alone; ``unit`` that of all differences. Models of logarithms have a ``ratio``
    in each line and in its counterpart.
    """
    attrs = table.attrs
    # its only note says that the subject variance is at zero
    mixed = "reml" in table["analysis"].values
    boundary = mixed and bool(str(table["note"].sel(analysis="reml").item()))
    return {
        **{key: attrs[key] for key in ("evidence_kind", "trial", "endpoint", "unit")},
        "n": {key: attrs[key] for key in ("subjects", "observations", "by_sequence", "complete")},
        "analyses": [_analysis(table.sel(analysis=name)) for name in table["analysis"].values],
        "not_possible": attrs["not_possible"],
        "posteriors": [
            _posterior(table.sel(model=model, prior=prior), boundary=boundary)
            for model in table["model"].values
            for prior in table["prior"].values
        ],
        "steps": [
            _step(table, str(step), str(prior))
            for step in table["step"].values
            for prior in table["prior"].values
        ],
        "periods": period_lines(_periods(table)),
    }


def _periods(table: xr.Dataset) -> xr.Dataset:
    """Return what each period says alone."""
    names = {f"period_{name}": name for name in ("difference", "sd", "n")}
    return table[list(names)].rename(names)


def _analysis(one: xr.Dataset) -> dict[str, Any]:
    """Return one frequentist analysis."""
    return {
        "analysis": str(one["analysis"].item()),
        "estimand": str(one["frequentist_estimand"].item()),
        **{key: _number(one[key]) for key in COLUMNS},
        "ci95": [_number(one[key]) for key in ("ci_low", "ci_high")],
        "method": str(one["method"].item()),
        "note": str(one["note"].item()),
    }


def _posterior(one: xr.Dataset, *, boundary: bool) -> dict[str, Any]:
    """Return one model under one prior."""
    plain = ("mean", "median", "sd", "prob_benefit", "prob_gt_mcid")
    return {
        **{key: str(one[key].item()) for key in ("model", "prior", "engine", "result_id")},
        **{key: _number(one[key]) for key in plain},
        "eti95": [_number(one[key]) for key in ("eti95_low", "eti95_high")],
        "mirror": {
            "analysis": str(one["mirror"].item()),
            **{key: _number(one[f"mirror_{key}"]) for key in ("estimate", "se", "df")},
            "ci95": [_number(one[key]) for key in ("mirror_low", "mirror_high")],
            **_beyond(one, f"mirror_{BEYOND}"),
        },
        "gap": {part.removeprefix("gap_"): _number(one[part]) for part in PARTS},
        "gap_of_priors": {
            str(name): float(one["gap_of"].sel(parameter=name))
            for name in one["parameter"].values
            if np.isfinite(one["gap_of"].sel(parameter=name))
        },
        "why": _why(one, boundary=boundary),
        "to_run": str(one["to_run"].item()),
        **_beyond(one, BEYOND),
    }


def _beyond(one: xr.Dataset, name: str) -> dict[str, Any]:
    """Return what there is beyond a difference."""
    text = one[name].item() if name in one else None
    found: dict[str, Any] = json.loads(text) if isinstance(text, str) else {}
    return found


def _why(one: xr.Dataset, *, boundary: bool) -> str:
    """Say why a posterior is not its frequentist counterpart, with the share of each cause."""
    value = {key: float(one[key]) for key in
             ("mean", "sd", "eti95_low", "eti95_high", "mirror_estimate", "mirror_se",
              "mirror_low", "mirror_high", *PARTS)}  # fmt: skip
    if np.isnan(value["mean"]):
        asked = bool(str(one["to_run"].item()))
        reason = str(one["reason"].item())
        return reason or ("no result in the store" if asked else "NUTS takes no flat prior")
    if np.isnan(value["mirror_estimate"]):
        return f"no frequentist analysis, {str(one['mirror'].item()).removeprefix('none: ')}"
    total = value["mean"] - value["mirror_estimate"]
    digits = int(np.clip(2 - np.floor(np.log10(value["mirror_se"])), 0, 6))
    words = [f"mean {_signed(total, digits)}"]
    if np.isfinite(value["gap_model"]):
        model, other, prior = (_signed(value[part], digits) for part in PARTS)
        each = {str(name): float(one["gap_of"].sel(parameter=name))
                for name in one["parameter"].values}  # fmt: skip
        named = [f"{name} {_signed(moved, digits)}, {moved / value['mirror_se']:+.2f} SE"
                 for name, moved in each.items()
                 if abs(moved) >= NAMED * value["mirror_se"]]  # fmt: skip
        other += f" ({'; '.join(named)})" if named else ""
        words[0] += f" = model {model}, other priors {other}, treatment prior {prior}"
    wide = (value["eti95_high"] - value["eti95_low"]) / 2 / value["sd"]
    usual = (value["mirror_high"] - value["mirror_low"]) / 2 / value["mirror_se"]
    words.append(f"sd {value['sd']:.3g} v SE {value['mirror_se']:.3g}")
    words.append(f"half-width {wide:.2f} sd v {usual:.2f} SE (t, df {float(one['mirror_df']):.3g})")
    if boundary and str(one["mirror"].item()).startswith("REML"):
        words.append("REML puts the subject sd at zero, the posterior averages over it")
    return "; ".join(words)


def _signed(value: float, digits: int) -> str:
    """Return a difference with its sign, plain zero where it rounds to zero."""
    text = f"{value:+.{digits}f}"
    return "0" if not text.strip("+-0.") else text


def _step(table: xr.Dataset, step: str, prior: str) -> dict[str, Any]:
    """Return what changes between two models."""
    one = table.sel(step=step, prior=prior)
    before, after = STEPS[step]
    ratio = float(one["step_sd_ratio"])
    line = {
        "step": step,
        "from": before,
        "to": after,
        "prior": prior,
        "because_of": NAMES[step],
        "mean": _number(one["step_mean"]),
        "sd_ratio": _number(one["step_sd_ratio"]),
    }
    if step == "one_period_patients":
        alone = int(table.attrs["subjects"]) - int(table.attrs["complete"])
        worth = int(table.attrs["complete"]) * (1 / ratio**2 - 1) if ratio > 0 else np.nan
        line |= {"patients": alone, "worth_in_complete_patients": _number(worth)}
    return line


def _number(value: Any) -> float | None:
    """Return a number that JSON can hold."""
    return float(value) if np.isfinite(float(value)) else None
