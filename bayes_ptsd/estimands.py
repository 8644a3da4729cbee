"""Summaries of estimands: what a posterior says, in the quantities that people compare.

Everything here reads a fit (an `xr.DataTree`) and asks no question about the engine behind it:
where the group ``exact`` is present its distribution function is used, else the draws. Positive
differences mean that the active treatment is better.

Two attributes of a fit say what its estimands are: ``estimand_nulls``, the value of each comparison
if the treatments are alike (0 of a difference, 0.5 of a probability to win), and
``estimand_units``. Without them the treatment difference is the one comparison, in score units.
Where labels are endpoints, ``label_constants`` has the unit, MCID and reference SD of each.
"""

from __future__ import annotations

import itertools
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.errors import SpecError, StatisticalWarning
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.exact.grid import GridPosterior, on_grid
from bayes_ptsd.posteriors import described
from bayes_ptsd.priors import FloatArray
from bayes_ptsd.specification import ModelSpec

__all__ = [
    "benefit_curve",
    "estimand_draws",
    "estimate",
    "prob_benefit",
    "probabilities_above",
    "summary_document",
]

LEVEL = 0.95  # that of the printed intervals, so that one can be read beside the other
CURVE_POINTS = 61  # a margin every 0.025 SD
CURVE_REACH = 1.5  # total SDs: three times an MCID of half an SD, such as that of the IES-R
ROPE_SD = 0.1  # half of a small standardized effect of 0.2, the convention of Kruschke (2018)
DRAWN_DIMS = 2  # chain and draw, which every variable of a posterior has
DIFFERENCE, INTERACTION = "treatment_difference", "interaction_max"
CONTRASTS = (DIFFERENCE, "difference")
NAMELESS = (
    "nothing says what this posterior is of, so that its estimands have no unit and no MCID; give "
    "what build_model took: estimate(fit, evidence=..., spec=...)"
)
LABELED = {
    "visit_difference": DIFFERENCE,
    "sd_visit": "sd_visit",
    "visit_correlation": "visit_correlation",
    "prob_at_most": "prob_at_most",
    "endpoint_difference": "difference",
}
"""Variables with dims of labels whose elements are estimands, and what those are called."""


def estimate(
    fit: Any,
    *,
    thresholds: Sequence[float] = (),
    evidence: Evidence | None = None,
    spec: ModelSpec | str | Path | None = None,
) -> xr.Dataset:
    """Summarize every estimand of a fit.

    Parameters
    ----------
    fit : DataTree, InferenceData or Dataset
        A fit with a ``posterior`` group, an ``exact`` group, or both; what `pm.sample` returns; or
        a posterior alone, dims ``chain`` and ``draw``.
    thresholds : sequence of float
        Score units; each adds a probability that the estimand exceeds it.
    evidence, spec : Evidence; ModelSpec, str or Path, optional
        What a posterior of one's own is of: what `build_model` took. Without them it has no unit,
        MCID and reference SD, and nothing beside its own variables. A fit of this package knows
        them.

    Returns
    -------
    xr.Dataset
        Dim ``estimand``: ``mean, median, sd, mcse_mean`` (0 for exact posteriors), ``eti95`` and
        ``hdi95`` on dim ``bound`` (low, high); ``null`` and ``prob_benefit`` = P(> null), NaN for
        what is no comparison of the treatments; ``prob_gt_mcid``, ``rope_narrow`` = P(within 0.1 SD
        of 0) and ``rope_clinical`` = P(within the MCID of 0) of treatment differences, NaN where
        the endpoint has no MCID or SD; ``prob_gt`` on dim ``threshold``; ``unit``, in which they
        all are. Several visits have an estimand each, such as ``treatment_difference[7d]``;
        ``prob_gt_mcid`` of ``interaction_max`` is the probability that any of them is further from
        their mean than the MCID.

    Raises
    ------
    SpecError
        If the fit holds no posterior, or is not of this evidence and model.

    Warns
    -----
    StatisticalWarning
        If nothing says what the posterior is of.

    Examples
    --------
    >>> from bayes_ptsd.evidence.published import load_published, select_contrast
    >>> from bayes_ptsd.exact.printed import fit_exact
    >>> from bayes_ptsd.models_files import load_model
    >>> spec = load_model("published").having(priors={"treatment": "flat"})
    >>> fit = fit_exact(select_contrast(load_published(), "T2.IESR.X"), spec)
    >>> estimate(fit)["eti95"].sel(estimand="treatment_difference").values.round(2)
    array([ 2.5, 22.8])
    """
    fit = described(fit, evidence=evidence, spec=spec)
    if not {"posterior", "exact"} & set(fit.children):
        raise SpecError("this result holds no posterior, so there is nothing to summarize")
    # an exact posterior is one of this package's, which need not be of an endpoint: two risks
    if "endpoint_constants" not in fit.attrs and "exact" not in fit.children:
        warnings.warn(NAMELESS, StatisticalWarning, stacklevel=2)
    constants = json.loads(fit.attrs.get("endpoint_constants", "{}"))
    labels = json.loads(fit.attrs.get("label_constants", "{}"))
    rows = []
    for name in _estimand_names(fit):
        own = labels.get(name.partition("[")[2].rstrip("]"))
        unit = own["unit"] if own else _unit(fit, name, constants.get("unit", ""))
        one = _summary(fit, name, own or constants, list(thresholds))
        rows.append(one.assign(unit=unit).expand_dims(estimand=[name]))
    return xr.concat(rows, dim="estimand").assign_attrs(unit=constants.get("unit", ""))


def prob_benefit(
    fit: Any,
    *,
    margin: float = 0.0,
    evidence: Evidence | None = None,
    spec: ModelSpec | str | Path | None = None,
) -> float:
    """Return the posterior probability that the active treatment is better by more than `margin`.

    Parameters
    ----------
    fit : DataTree, InferenceData or Dataset
        A fit, what `pm.sample` returns of a model of `build_model`, or its posterior.
    margin : float
        Score units.
    evidence, spec : Evidence; ModelSpec, str or Path, optional
        What a posterior of one's own is of, as in `estimate`: it is held against them. Needed only
        where the difference is no variable of the model but follows from several.

    Returns
    -------
    float
        P(treatment difference > margin).

    Raises
    ------
    SpecError
        If there is no treatment difference; the message says what there is.

    Examples
    --------
    >>> from bayes_ptsd.evidence.published import load_published, select_contrast
    >>> from bayes_ptsd.exact.printed import fit_exact
    >>> from bayes_ptsd.models_files import load_model
    >>> fit = fit_exact(select_contrast(load_published(), "T2.IESR.X"), load_model("published"))
    >>> 0.99 < prob_benefit(fit) < 0.995
    True
    """
    known = described(fit, evidence=evidence, spec=spec)
    return float(1 - _below(_posterior(known, "treatment_difference"), np.array(margin)))


def benefit_curve(fit: xr.DataTree, *, margins: FloatArray | None = None) -> xr.DataArray:
    """Return P(treatment difference > m) on dim ``margin``, score units; by default 0 to 1.5 SD."""
    if margins is None:
        sd = json.loads(fit.attrs.get("endpoint_constants", "{}")).get("reference_sd")
        if sd is None:
            raise SpecError("the endpoint has no reference SD; give the margins of the curve")
        margins = np.linspace(0, CURVE_REACH * sd, CURVE_POINTS)
    posterior = _posterior(fit, "treatment_difference")
    above = 1 - _below(posterior, np.asarray(margins, dtype=float))
    return xr.DataArray(above, coords={"margin": margins}, dims="margin", name="prob_gt")


def estimand_draws(fit: xr.DataTree) -> dict[str, xr.DataArray]:
    """Return the draws of every estimand, dims (chain, draw), comparisons of the treatments first.

    Attributes are ``unit`` and ``null``, the value if the treatments are alike, NaN where they are
    not compared. Several visits have an estimand each.
    """
    unit, nulls = json.loads(fit.attrs["endpoint_constants"])["unit"], _nulls(fit)
    return {
        name: _draws(fit, name).assign_attrs(
            null=nulls.get(_stem(name), np.nan), unit=_unit(fit, name, unit)
        )
        for name in _estimand_names(fit)
    }


def summary_document(summary: xr.Dataset) -> dict[str, Any]:
    """Return the summary of `estimate` as a JSON-safe document; missing quantities are None."""
    return {str(name): _row(summary.sel(estimand=name)) for name in summary["estimand"].values}


def _row(one: xr.Dataset) -> dict[str, Any]:
    """Return one estimand as a JSON-safe document."""
    plain = ("mean", "median", "sd", "mcse_mean", "null", "prob_benefit", "prob_gt_mcid")
    document: dict[str, Any] = {key: _number(one[key].item()) for key in plain}
    document["unit"] = str(one["unit"].item())
    for key in ("eti95", "hdi95"):
        document[key] = [_number(value) for value in one[key].values.tolist()]
    document["rope"] = {
        "narrow": _number(one["rope_narrow"].item()),
        "clinical": _number(one["rope_clinical"].item()),
    }
    if "threshold" in one.dims:
        document["prob_gt"] = _by_threshold(one["threshold"].values, one["prob_gt"].values)
    return document


def probabilities_above(
    fit: xr.DataTree, thresholds: Sequence[float]
) -> dict[str, dict[str, float | None]]:
    """Return the probability of every estimand above thresholds, as `summary_document` has it."""
    limits = np.array(thresholds, dtype=float)
    return {
        name: _by_threshold(limits, 1 - _below(_posterior(fit, name), limits))
        for name in _estimand_names(fit)
    }


def _by_threshold(limits: FloatArray, above: FloatArray) -> dict[str, float | None]:
    """Return probabilities by what they are above."""
    return {f"{x:g}": _number(p) for x, p in zip(limits, above, strict=True)}


def _number(value: float) -> float | None:
    """Return a number that JSON can hold, None for NaN and infinities."""
    return float(value) if np.isfinite(value) else None


def _estimand_names(fit: xr.DataTree) -> list[str]:
    """Return scalars of the posterior and elements of the labelled ones, comparisons first."""
    if "posterior" not in fit.children:
        return [str(name) for name in _group(fit, "exact")["estimand"].values]
    posterior = _group(fit, "posterior")
    names = [str(n) for n, v in posterior.data_vars.items() if set(v.dims) == {"chain", "draw"}]
    names += [name for variable in LABELED for name in _labels(posterior, variable)]
    nulls = [DIFFERENCE, *_nulls(fit)]
    places = {name: nulls.index(_stem(name)) for name in names if _stem(name) in nulls}
    # sorting keeps the labels in their order: visits come in time, not in the alphabet
    return sorted(names, key=lambda n: (places.get(n, len(nulls)), _stem(n), "[" in n))


def _nulls(fit: xr.DataTree) -> dict[str, float]:
    """Return the value of each comparison if the treatments are alike."""
    found: dict[str, float] = json.loads(
        fit.attrs.get("estimand_nulls", f'{{"{DIFFERENCE}": 0.0}}')
    )
    return found


def _unit(fit: xr.DataTree, name: str, score: str) -> str:
    """Return the unit of an estimand; of a fit that names none, differences are in score units."""
    units: dict[str, str] = json.loads(fit.attrs.get("estimand_units", "{}"))
    return units.get(_stem(name), "" if units or _stem(name) != DIFFERENCE else score)


def _stem(name: str) -> str:
    """Return the name of an estimand without its label."""
    return name.partition("[")[0]


def _labels(posterior: xr.Dataset, variable: str) -> list[str]:
    """Return the estimands that a variable holds, one for each label; none if it has no dim."""
    if variable not in posterior or posterior[variable].ndim == DRAWN_DIMS:
        return []
    dims = [dim for dim in posterior[variable].dims if dim not in ("chain", "draw")]
    labels = itertools.product(*(posterior[dim].values.tolist() for dim in dims))
    return [f"{LABELED[variable]}[{', '.join(map(str, one))}]" for one in labels]


def _summary(
    fit: xr.DataTree, name: str, constants: dict[str, Any], thresholds: list[float]
) -> xr.Dataset:
    """Summarize one estimand."""
    posterior = _posterior(fit, name)
    tails = _quantile(posterior, np.array([0.025, 0.5, 0.975]))
    mcid, sd = constants.get("mcid"), constants.get("reference_sd")
    contrast, null = _stem(name) in CONTRASTS, _nulls(fit).get(_stem(name))
    narrow = ROPE_SD * sd if sd else None
    summary = xr.Dataset(
        {
            **_moments(posterior),
            "median": tails[1],
            "eti95": ("bound", tails[[0, 2]]),
            "hdi95": ("bound", _hdi(posterior)),
            "null": float("nan") if null is None else null,
            "prob_benefit": _above(posterior, null),
            "prob_gt_mcid": _above(posterior, mcid if contrast or name == INTERACTION else None),
            "rope_narrow": _within(posterior, narrow if contrast else None),
            "rope_clinical": _within(posterior, mcid if contrast else None),
        },
        coords={"bound": ["low", "high"]},
    )
    if thresholds:
        above = 1 - _below(posterior, np.array(thresholds))
        summary = summary.assign_coords(threshold=thresholds)
        summary["prob_gt"] = ("threshold", above)
    return summary


def _posterior(fit: xr.DataTree, name: str) -> GridPosterior | xr.DataArray:
    """Return the exact posterior of one estimand, if the fit has one, else its draws."""
    if "exact" not in fit.children or name not in _group(fit, "exact")["estimand"].values:
        return _draws(fit, name)
    return on_grid(_group(fit, "exact").sel(estimand=name))


def _draws(fit: xr.DataTree, name: str) -> xr.DataArray:
    """Return the draws of one estimand."""
    posterior = _group(fit, "posterior")
    if name in posterior:
        return posterior[name]
    for variable in LABELED:
        names = _labels(posterior, variable)
        if name in names:
            values = posterior[variable].transpose("chain", "draw", ...)
            shape = (*values.shape[:DRAWN_DIMS], -1)
            one = values.values.reshape(shape)[..., names.index(name)]
            return xr.DataArray(one, dims=("chain", "draw"), name=name)
    raise SpecError(
        f"this result has no estimand '{name}'; it has {', '.join(_estimand_names(fit))}"
    )


def _group(fit: xr.DataTree, name: str) -> xr.Dataset:
    """Return one group of a fit as a Dataset."""
    return fit.children[name].to_dataset()


def _moments(posterior: GridPosterior | xr.DataArray) -> dict[str, float]:
    """Return mean, sd and the Monte Carlo standard error of the mean."""
    if isinstance(posterior, GridPosterior):
        return {"mean": posterior.mean, "sd": posterior.sd, "mcse_mean": 0.0}
    from arviz_stats import mcse  # slow to import, and only sampled fits need it

    error = mcse(posterior.to_dataset(name="x"), method="mean")["x"]
    mean, sd = float(posterior.mean()), float(posterior.std(ddof=1))
    return {"mean": mean, "sd": sd, "mcse_mean": float(error)}


def _quantile(posterior: GridPosterior | xr.DataArray, p: FloatArray) -> FloatArray:
    """Return quantiles of one estimand."""
    if isinstance(posterior, GridPosterior):
        return posterior.quantile(p)
    return np.asarray(posterior.quantile(p).values)


def _below(posterior: GridPosterior | xr.DataArray, x: FloatArray) -> FloatArray:
    """Return probabilities below values."""
    if isinstance(posterior, GridPosterior):
        return posterior.below(x)
    draws = np.sort(posterior.values.ravel())
    return np.asarray(np.searchsorted(draws, x, side="right") / draws.size)


def _above(posterior: GridPosterior | xr.DataArray, value: float | None) -> float:
    """Return the probability above a value, NaN if there is no value to compare with."""
    return float("nan") if value is None else float(1 - _below(posterior, np.array(value)))


def _within(posterior: GridPosterior | xr.DataArray, half_width: float | None) -> float:
    """Return the probability within a distance of zero, NaN if there is no distance."""
    if half_width is None:
        return float("nan")
    low, high = _below(posterior, np.array([-half_width, half_width]))
    return float(high - low)


def _hdi(posterior: GridPosterior | xr.DataArray) -> FloatArray:
    """Return the shortest interval of probability 0.95 (one interval, also if two modes exist)."""
    if not isinstance(posterior, GridPosterior):
        from arviz_stats import hdi  # slow to import, and only sampled fits need it

        return np.asarray(hdi(posterior.to_dataset(name="x"), prob=LEVEL)["x"].values)
    from scipy.optimize import minimize_scalar

    def width(lower: float) -> float:
        low, high = posterior.quantile(np.array([lower, lower + LEVEL]))
        return float(high - low)

    edge = 1e-9
    best = minimize_scalar(width, bounds=(edge, 1 - LEVEL - edge), method="bounded")
    return posterior.quantile(np.array([best.x, best.x + LEVEL]))
