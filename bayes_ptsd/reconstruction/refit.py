"""The analyses of the paper, run again on patients with an independent library.

Nothing here knows how the patients were made. Positive differences favor the active treatment.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import statsmodels.api as sm
from scipy import stats
from statsmodels.regression.mixed_linear_model import MixedLMParams

from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.intervals import FloatArray

__all__ = ["Refits", "Result", "moment_start"]


@dataclass(frozen=True)
class Result:
    """A coefficient with its standard error, score units, and the degrees of freedom of its t."""

    estimate: float
    se: float
    df: float

    @property
    def p(self) -> float:
        """Two-sided P value."""
        return float(2 * stats.t.sf(abs(self.estimate / self.se), self.df))

    def scaled(self, factor: float) -> Result:
        """Return the result in other units, or with the other sign."""
        return Result(factor * self.estimate, abs(factor) * self.se, self.df)

    def numbers(self) -> dict[str, float]:
        """Return estimate, 95% limits and P value by the names of `effects.csv`."""
        half = self.se * float(stats.t.ppf(0.975, self.df))
        low, high = self.estimate - half, self.estimate + half
        return {"estimate": self.estimate, "ci_low": low, "ci_high": high, "p_value": self.p}


class Refits:
    """The analyses of one set of patients."""

    def __init__(self, patients: Evidence) -> None:
        self.trial = patients.trial
        self.reading = patients.assumptions["crossover_reading"]
        self.flow_reading = patients.assumptions["flow_reading"]
        self.outcomes = patients.data["outcomes"].to_dataset()
        self.covariates = patients.data["covariates"].to_dataset()
        self.active: FloatArray = (self.outcomes["treatment"] == self.trial.active).values.astype(
            float
        )
        self.on_time = self.covariates["late"].values == 0
        # plain arrays once: labels are looked up thousands of times otherwise
        order = ("endpoint", "period", "visit", "subject")
        self._value = self.outcomes["value"].transpose(*order).values.astype(float)
        self._baseline = self.outcomes["baseline"].transpose(*order[:2], order[3]).values
        self._endpoints = self.outcomes["endpoint"].values.tolist()
        self._visits = self.outcomes["visit"].values.tolist()

    def score(self, endpoint: str, period: int, visit: str | None = None) -> FloatArray:
        """Return scores, dim (subject,), at the first visit that has any."""
        values = self._value[self._endpoints.index(endpoint)]
        if visit is None:
            place = int(np.isfinite(values).any(axis=(0, 2)).argmax())
        else:
            place = self._visits.index(visit)
        scores: FloatArray = values[period - 1, place]
        return scores

    def baseline(self, endpoint: str, period: int = 1) -> FloatArray:
        """Return baselines, dim (subject,), NaN where there is none."""
        values = self._baseline[self._endpoints.index(endpoint), period - 1]
        return np.asarray(values, dtype=float)

    @property
    def printed(self) -> float:
        """How often the treatment difference goes into what the crossover rows print."""
        return 2.0 if self.reading.endswith("unhalved") else 1.0

    def sign(self, endpoint: str) -> float:
        """Return the factor that turns active minus control into benefit."""
        return float(self.trial.endpoint(endpoint).benefit_sign)

    def first_period(self, endpoint: str, *, adjusted: bool = True) -> Result:
        """Difference in period 1, given the baseline if the endpoint has one and `adjusted`."""
        own = self.baseline(endpoint)
        columns = {"active": self.active[:, 0]}
        columns |= {"baseline": own} if adjusted and np.isfinite(own).any() else {}
        return _ols(self.score(endpoint, 1), columns, "active").scaled(self.sign(endpoint))

    def adjusted(self, endpoint: str, mediator: str, term: str, *, product: bool = False) -> Result:
        """Coefficient of the first-period regression on another outcome, with both baselines."""
        columns = {
            "treatment": self.active[:, 0],
            f"{mediator}_24h": self.score(mediator, 1),
            f"{endpoint}_baseline": self.baseline(endpoint),
            f"{mediator}_baseline": self.baseline(mediator),
        }
        if product:
            one, other = term.split(":")
            columns[term] = columns[one] * columns[other]
        sign = -1.0 if term == "treatment" else 1.0
        return _ols(self.score(endpoint, 1), columns, term).scaled(sign)

    def modifier(self, endpoint: str, mediator: str) -> Result:
        """Product of treatment and another baseline in the first-period regression."""
        other = self.baseline(mediator)
        columns = {
            "active": self.active[:, 0],
            "baseline": self.baseline(endpoint),
            "other": other,
            "product": self.active[:, 0] * other,
        }
        return _ols(self.score(endpoint, 1), columns, "product")

    def pair(self, endpoint: str) -> FloatArray:
        """Return what the crossover rows analyze, dims (subject, period)."""
        pair = np.stack([self.score(endpoint, period) for period in (1, 2)], axis=1)
        before = np.stack([self.baseline(endpoint, period) for period in (1, 2)], axis=1)
        change = self.reading.startswith("change") and np.isfinite(before).any()
        return pair - before if change else pair

    def differences(self, endpoint: str, *, what: str, late: bool = True) -> Result:
        """Least squares on one number a patient: treatment, period or carryover contrast."""
        pair, active = self.pair(endpoint), self.active
        y = {
            "treatment": (pair * (1 - 2 * active)).sum(axis=1),
            "period": pair[:, 1] - pair[:, 0],
            "carryover": pair.sum(axis=1),
        }[what]
        keep = np.isfinite(y) & (late | self.on_time)
        x = np.column_stack([np.ones(keep.sum()), active[keep, 0] - 0.5])
        fit = sm.OLS(y[keep], x).fit()
        which = int(what == "carryover")
        found = Result(float(fit.params[which]), float(fit.bse[which]), float(fit.df_resid))
        return found.scaled(-self.sign(endpoint)) if what == "treatment" else found

    def crossover(self, endpoint: str, *, late: bool = True) -> Result:
        """Treatment contrast of two periods under a random intercept, as the reading has it."""
        pair = self.pair(endpoint)
        keep = np.isfinite(pair).all(axis=1) & (late | self.on_time)
        active, count = self.active[keep], int(keep.sum())
        period, first = np.tile([0.0, 1.0], count), np.repeat(active[:, 0], 2)
        last = first * period if self.reading == "carryover_covariate" else first
        x = np.column_stack([np.ones(2 * count), 1 - active.ravel(), period, last])
        estimate, covariance = _mixed(pair[keep].ravel(), x, np.repeat(np.arange(count), 2))
        result = Result(float(estimate[1]), float(np.sqrt(covariance[1, 1])), count - 2.0)
        return result.scaled(-self.sign(endpoint) * self.printed)

    def visits(self, endpoint: str) -> tuple[Result, Mapping[str, float]]:
        """Difference over all visits of period 1, and P of time and of treatment by time."""
        names = list(self.trial.visits)
        scores = np.stack([self.score(endpoint, 1, visit) for visit in names], axis=1)
        count, last = len(scores), len(names) - 1
        coded = np.vstack([np.eye(last), -np.ones(last)])
        active = np.repeat(self.active[:, 0] - 0.5, len(names))
        time = np.tile(coded, (count, 1))
        x = np.column_stack([np.ones(len(active)), active, time, time * active[:, None]])
        estimate, covariance = _mixed(scores.ravel(), x, np.repeat(np.arange(count), len(names)))
        difference = Result(float(estimate[1]), float(np.sqrt(covariance[1, 1])), count - 2.0)
        tests = {}
        for term, start in (("time", 2), ("treatment:time", 2 + last)):
            here = slice(start, start + last)
            wald = estimate[here] @ np.linalg.solve(covariance[here, here], estimate[here])
            tests[term] = float(stats.f.sf(wald / last, last, last * (count - 2)))
        return difference.scaled(self.sign(endpoint)), tests


def _ols(y: FloatArray, columns: Mapping[str, FloatArray], term: str) -> Result:
    """Return one coefficient of least squares with an intercept, complete patients only."""
    x = np.column_stack([np.ones(len(y)), *columns.values()])
    keep = np.isfinite(y) & np.isfinite(x).all(axis=1)
    fit = sm.OLS(y[keep], x[keep]).fit()
    which = 1 + list(columns).index(term)
    return Result(float(fit.params[which]), float(fit.bse[which]), float(fit.df_resid))


def _mixed(y: FloatArray, x: FloatArray, subject: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return coefficients and their covariance under a random intercept, by REML."""
    with warnings.catch_warnings():
        # near a variance of 0 the optimizer complains; its result is compared with print anyway
        warnings.simplefilter("ignore")
        model = sm.MixedLM(y, x, groups=subject)
        fit = model.fit(reml=True, start_params=moment_start(y, x, int(subject[-1]) + 1))
    count = x.shape[1]
    return np.asarray(fit.fe_params), np.asarray(fit.cov_params())[:count, :count]


def moment_start(y: FloatArray, x: FloatArray, subjects: int) -> MixedLMParams:
    """Return moment estimates, from which the optimizer of REML needs few steps and stops nearer.

    Scores of a subject stand together, equally many each. Coefficients are by least squares, the
    variance between subjects is in units of that within.
    """
    estimate = np.linalg.lstsq(x, y, rcond=None)[0]
    left = (y - x @ estimate).reshape(subjects, -1)
    each, mean = left.shape[1], left.mean(axis=1)
    between = each * float(mean @ mean) / (subjects - 2)
    within = float(((left - mean[:, None]) ** 2).sum()) / ((subjects - 2) * (each - 1))
    ratio = (between / within - 1) / each
    # with balanced scores this is the optimum; a smaller one would be where nothing moves
    ratio = ratio if ratio > 0 else 0.01
    return MixedLMParams.from_components(fe_params=estimate, cov_re=np.array([[ratio]]))
