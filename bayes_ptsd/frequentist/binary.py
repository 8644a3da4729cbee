"""Binary responses: mixed logistic models, estimating equations, and two independent risks."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy import special

from bayes_ptsd.errors import EvidenceError, SpecError, nearest
from bayes_ptsd.frequentist.inference import inference_table
from bayes_ptsd.frequentist.ordinal import (
    LARGE_SAMPLE,
    Responses,
    ordinal_analysis,
    refuse_separation,
    responses,
)

if TYPE_CHECKING:
    from statsmodels.genmod.generalized_estimating_equations import GEE

__all__ = ["gee_analysis", "logistic_analysis", "two_risks"]

CORRELATIONS = {"exchangeable": "Exchangeable", "independence": "Independence"}
"""Working correlations by name, as statsmodels calls them."""
CORRECTIONS = {"mancl_derouen": "bias_reduced", "none": "robust"}
RISK_METHODS = {
    "log_odds_ratio": "Wald (normal)",
    "conditional_log_odds_ratio": "conditional likelihood, exact; P value: Fisher, two-sided",
    "risk_difference": "Newcombe's hybrid score interval, no P value",
}


def logistic_analysis(
    response: ArrayLike,
    active: ArrayLike,
    *,
    covariates: ArrayLike | None = None,
    subject_effects: bool | None = None,
    points: int = 15,
    profile: bool = True,
    benefit_sign: int = 1,
    level: float = 0.95,
) -> xr.Dataset:
    """Compare treatments on a binary response (0, 1, NaN where missing) by logistic regression.

    As `ordinal_analysis` with two categories: ``log_odds_ratio``, benefit-positive, given the
    subject where there are subject effects.
    """
    table = ordinal_analysis(
        _binary(response),
        active,
        covariates=covariates,
        subject_effects=subject_effects,
        points=points,
        profile=profile,
        benefit_sign=benefit_sign,
        level=level,
    )
    method = str(table.attrs["method"]).replace("Cumulative logit model", "Logistic regression")
    return table.drop_vars("cutpoint").assign_attrs(method=method)


def gee_analysis(
    response: ArrayLike,
    active: ArrayLike,
    *,
    covariates: ArrayLike | None = None,
    correlation: str = "exchangeable",
    correction: str = "mancl_derouen",
    benefit_sign: int = 1,
    level: float = 0.95,
) -> xr.Dataset:
    """Compare treatments on a binary response on average over subjects.

    Generalized estimating equations [1]_ with the logit link; response and treatment have dims
    (subject, period), NaN where missing. The moment estimates of scale and correlation divide by
    the numbers of responses and pairs. The covariance is corrected for small samples [2]_, with
    Student's t on subjects less coefficients, or the plain sandwich with the normal distribution.
    ``log_odds_ratio`` is benefit-positive and population-averaged.

    References
    ----------
    .. [1] Liang KY, Zeger SL. Longitudinal data analysis using generalized linear models.
       Biometrika 1986;73:13-22.
    .. [2] Mancl LA, DeRouen TA. A covariance estimator for GEE with improved small-sample
       properties. Biometrics 2001;57:126-134.
    """
    for value, known in ((correlation, CORRELATIONS), (correction, CORRECTIONS)):
        if value not in known:
            raise SpecError(f"no choice '{value}' here{nearest(value, known)}")
    found = responses(
        _binary(response), active, covariates, link="logit", benefit_sign=benefit_sign
    )
    refuse_separation(found)
    there = found.data.category >= 0
    subject = np.nonzero(there)[0]
    design = np.column_stack([found.data.design[there], np.ones(len(subject))])
    fit = _solve_equations(
        found, design, subject, correlation=correlation, covariance=CORRECTIONS[correction]
    )
    subjects = len(found.data.category)
    corrected = correction != "none"
    kept = slice(0, len(found.names))
    return inference_table(
        dict(zip(found.names, fit.params[kept].tolist(), strict=True)),
        se=fit.bse[kept],
        df=subjects - design.shape[1] if corrected else np.inf,
        level=level,
        attrs={
            "method": f"GEE, logit, {correlation} working correlation; "
            + ("Mancl-DeRouen covariance" if corrected else "sandwich covariance"),
            "note": "" if corrected else LARGE_SAMPLE,
            "correlation": float(fit.cov_struct.dep_params or 0.0),
            "subjects": subjects,
            "observations": len(subject),
        },
    )


def two_risks(
    response: ArrayLike, active: ArrayLike, *, benefit_sign: int = 1, level: float = 0.95
) -> xr.Dataset:
    """Compare the risks of two independent arms.

    On dim ``estimand``, all benefit-positive: ``log_odds_ratio`` (Wald),
    ``conditional_log_odds_ratio`` (exact limits, Fisher's P value) [1]_, ``risk_difference``
    (Newcombe) [2]_. What an analysis does not have is NaN; so are estimate and Wald interval where
    a cell of the table is zero, and ``note`` says so. Attributes ``active`` and ``control``:
    responses of subjects.

    References
    ----------
    .. [1] Fisher RA. The logic of inductive inference. Journal of the Royal Statistical Society
       1935;98:39-82.
    .. [2] Newcombe RG. Interval estimation for the difference between independent proportions:
       comparison of eleven methods. Statistics in Medicine 1998;17:873-890.
    """
    values, arm = _binary(response), np.asarray(active)
    if values.ndim != 1 or arm.shape != values.shape:
        raise SpecError(f"response and active have shapes {values.shape} and {arm.shape}")
    there = np.isfinite(values)
    values, arm = values[there], arm[there].astype(bool)
    counts = np.array([[np.sum(values[arm == a] == v) for v in (1, 0)] for a in (True, False)])
    if (counts.sum(axis=1) == 0).any():
        raise EvidenceError("an arm has no subject with a response")
    rows = [_wald(counts, level), _conditional(counts, level), _difference(counts, level)]
    table = np.array([row if benefit_sign > 0 else _turned(row) for row in rows]).T
    names = ("estimate", "se", "df", "ci_low", "ci_high", "p_value")
    columns: dict[str, tuple[str, ArrayLike]] = {
        name: ("estimand", table[n]) for n, name in enumerate(names)
    }
    columns["method"] = ("estimand", list(RISK_METHODS.values()))
    return xr.Dataset(
        columns,
        coords={"estimand": list(RISK_METHODS)},
        attrs={
            "note": _risk_note(counts),
            "level": level,
            "active": f"{counts[0, 0]} of {counts[0].sum()}",
            "control": f"{counts[1, 0]} of {counts[1].sum()}",
        },
    )


def _binary(response: ArrayLike) -> NDArray[np.float64]:
    """Return responses as numbers; refuse what is neither 0 nor 1."""
    values = np.array(response, dtype=float)
    wrong = values[np.isfinite(values) & ~np.isin(values, (0.0, 1.0))]
    if wrong.size:
        raise EvidenceError(f"a binary response is 0 or 1; found {wrong[0]:g}")
    return values


def _solve_equations(
    found: Responses,
    design: NDArray[np.float64],
    subject: NDArray[np.intp],
    *,
    correlation: str,
    covariance: str,
) -> GEE:
    """Solve the estimating equations; a warning of the solver is a refusal."""
    # statsmodels takes most of a second to import, and few analyses need it
    from statsmodels.genmod import cov_struct
    from statsmodels.genmod.families import Binomial
    from statsmodels.genmod.generalized_estimating_equations import GEE

    category = found.data.category
    model = GEE(
        category[category >= 0].astype(float),
        design,
        groups=subject,
        family=Binomial(),
        cov_struct=getattr(cov_struct, CORRELATIONS[correlation])(),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return model.fit(cov_type=covariance, maxiter=500, ctol=1e-9, ddof_scale=0)
        except (Warning, np.linalg.LinAlgError) as reason:
            raise EvidenceError(
                f"the estimating equations have no solution with {correlation} working "
                f"correlation: {reason}"
            ) from reason


def _wald(counts: NDArray[np.intp], level: float) -> tuple[float, ...]:
    """Return the unconditional log odds ratio, NaN where a cell is zero."""
    if (counts == 0).any():
        return np.nan, np.nan, np.nan, np.nan, np.nan, np.nan
    cells = counts.astype(float)
    estimate = float(np.log(cells[0, 0] * cells[1, 1] / (cells[0, 1] * cells[1, 0])))
    se = float(np.sqrt((1 / cells).sum()))
    half = special.ndtri((1 + level) / 2) * se
    p_value = 2 * special.ndtr(-abs(estimate / se))
    return estimate, se, np.inf, estimate - half, estimate + half, float(p_value)


def _conditional(counts: NDArray[np.intp], level: float) -> tuple[float, ...]:
    """Return the log odds ratio given the margins, with exact limits and Fisher's P value."""
    from scipy import stats

    p_value = float(stats.fisher_exact(counts).pvalue)
    if (counts.sum(axis=0) == 0).any():
        return np.nan, np.nan, np.nan, -np.inf, np.inf, p_value
    found = stats.contingency.odds_ratio(counts, kind="conditional")
    limits = found.confidence_interval(level)
    with np.errstate(divide="ignore"):
        estimate, low, high = np.log([found.statistic, limits.low, limits.high])
    return float(estimate), np.nan, np.nan, float(low), float(high), p_value


def _difference(counts: NDArray[np.intp], level: float) -> tuple[float, ...]:
    """Return the risk difference with Newcombe's interval."""
    from statsmodels.stats.proportion import confint_proportions_2indep

    sizes = counts.sum(axis=1)
    low, high = confint_proportions_2indep(
        counts[0, 0], sizes[0], counts[1, 0], sizes[1], method="newcomb", alpha=1 - level
    )
    risks = counts[:, 0] / sizes
    return float(risks[0] - risks[1]), np.nan, np.nan, float(low), float(high), np.nan


def _turned(row: tuple[float, ...]) -> tuple[float, ...]:
    """Return a row with the opposite sign."""
    estimate, se, df, low, high, p_value = row
    return -estimate, se, df, -high, -low, p_value


def _risk_note(counts: NDArray[np.intp]) -> str:
    """Say what is infinite, and what large-sample theory is behind."""
    if (counts == 0).any():
        return "A cell of the table is zero: the odds ratio is zero or infinite, no Wald interval."
    return f"log_odds_ratio: {LARGE_SAMPLE}"
