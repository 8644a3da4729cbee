"""Printed results of any measure: each as an estimate with its standard error where it is analyzed.

Ratios are analyzed as natural logarithms, differences as they are. Everything here keeps the sign
of print (active minus or over control); `PrintedResult.sign` says which direction is benefit.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from bayes_ptsd.errors import EvidenceError, StatisticalWarning, nearest, shown
from bayes_ptsd.evidence.intervals import half_unit, is_middle, se_from_interval, se_from_p
from bayes_ptsd.inputs import LARGEST

__all__ = [
    "COUNTS",
    "MEASURES",
    "ROW",
    "Counts",
    "Measure",
    "PrintedResult",
    "ask_for_measure",
    "bounded",
    "printed_result",
    "read_counts",
]


@dataclass(frozen=True)
class Measure:
    """A measure of a treatment's effect, active minus or over control."""

    label: str
    better: str  # the direction that is taken for benefit where none is said
    ratio: bool = False  # analyzed as a logarithm, no effect at 1
    odds: bool = False  # of the risk of an event, so that counts can be given

    @property
    def null(self) -> float:
        """The printed value of no effect."""
        return 1.0 if self.ratio else 0.0

    def analyzed(self, printed: float) -> float:
        """Return a printed value on the scale of analysis."""
        if not self.ratio:
            return printed
        if not printed > 0:
            raise EvidenceError(
                f"{self.label} {printed:g}: a ratio is above 0; a logarithm of one is a "
                "difference, measure md"
            )
        return math.log(printed)

    def printed(self, analyzed: Any) -> Any:
        """Return values of the scale of analysis as they are printed; infinite beyond floats."""
        with np.errstate(over="ignore"):
            return np.exp(analyzed) if self.ratio else analyzed


MEASURES: Mapping[str, Measure] = {
    "md": Measure("mean difference", "higher"),
    "smd": Measure("standardized mean difference", "higher"),
    "hr": Measure("hazard ratio", "lower", ratio=True),
    "or": Measure("odds ratio", "lower", ratio=True, odds=True),
    "rr": Measure("risk ratio", "lower", ratio=True, odds=True),
    "irr": Measure("incidence rate ratio", "lower", ratio=True),
    "rd": Measure("risk difference", "lower", odds=True),
    "gmr": Measure("ratio of means", "higher", ratio=True),
}
"""By the word for each; events are taken for harm, scores and means for benefit."""

ROW = (
    "measure", "estimate", "ci_low", "ci_high", "level", "se", "p_value", "t", "f", "df", "counts",
    "mean_active", "sd_active", "n_active", "mean_control", "sd_control", "n_control", "better",
)  # fmt: skip
"""What a printed result may consist of: keys of a row, columns of a file, options of a command."""
COUNTS = "the counts"
"""Source of the standard error of a two-by-two table, by Wald's formula."""
NUMBERS = set(ROW) - {"measure", "counts", "better"}
DIRECTIONS = ("lower", "higher")
# Standard errors of an estimate beyond which something was typed wrong, and the largest logarithm
# of a ratio, whose exponential is still a float with room for its square.
MOST, FARTHEST = 1e6, 100.0


@dataclass(frozen=True)
class Counts:
    """A two-by-two table: patients with the event, and all patients, of both arms."""

    events_active: int
    n_active: int
    events_control: int
    n_control: int

    @property
    def text(self) -> str:
        """The counts as they are typed."""
        return f"{self.events_active}/{self.n_active} {self.events_control}/{self.n_control}"

    def wald(self, measure: str) -> tuple[float, float]:
        """Return estimate and standard error where `measure` is analyzed, normal approximation.

        Half a patient is added to every cell where one is empty.
        """
        a, n1, c, n2 = map(float, (
            self.events_active, self.n_active, self.events_control, self.n_control
        ))  # fmt: skip
        if min(a, n1 - a, c, n2 - c) == 0:
            a, n1, c, n2 = a + 0.5, n1 + 1, c + 0.5, n2 + 1
        p, q = a / n1, c / n2
        if measure == "rd":
            return p - q, math.sqrt(p * (1 - p) / n1 + q * (1 - q) / n2)
        if measure == "rr":
            return math.log(p / q), math.sqrt((1 - p) / a + (1 - q) / c)
        odds = math.log(p / (1 - p)) - math.log(q / (1 - q))
        return odds, math.sqrt(1 / a + 1 / (n1 - a) + 1 / c + 1 / (n2 - c))


@dataclass(frozen=True)
class PrintedResult:
    """One printed result on its scale of analysis, sign as printed: ready for a posterior."""

    measure: str  # a key of `MEASURES`
    estimate: float  # logarithm for ratios; the middle of the interval where one is printed
    se: float  # on the same scale
    df: float  # infinite: normal
    better: str  # lower or higher
    assumed: bool  # whether the direction is the measure's default
    source: str  # where the standard error comes from, for people
    counts: Counts | None = None

    @property
    def of(self) -> Measure:
        """What the measure is."""
        return MEASURES[self.measure]

    @property
    def sign(self) -> int:
        """+1 where higher printed values are better for patients, -1 where lower ones are."""
        return 1 if self.better == "higher" else -1

    @property
    def likelihood(self) -> str:
        """The likelihood in words."""
        if self.counts is not None:
            return "two binomials, flat prior on the control log odds, by quadrature"
        if math.isinf(self.df):
            return "normal, as no finite degrees of freedom come with it"
        return f"Student-t with {self.df:.4g} degrees of freedom"


def printed_result(row: Mapping[str, Any]) -> PrintedResult:
    """Return a printed result of any measure as estimate, standard error and degrees of freedom.

    `row` has keys of `ROW`; what is None, NaN, empty or absent was not printed. The standard error
    comes from the first that is there: counts, arms (means, SDs, n), the interval, `se` (of the
    logarithm for ratios), `t` or `f` with `df`, `p_value`. Estimate, interval and `se` are on the
    printed scale otherwise.
    """
    given = {key: value for key, value in row.items() if key in ROW and _is_given(value)}
    name = str(given.get("measure", ""))
    if name not in MEASURES:
        raise EvidenceError(f"unknown measure '{shown(name)}'{nearest(name, MEASURES)}")
    for key in NUMBERS & given.keys():
        bounded(float(given[key]), key, infinite=key == "df")
    better = str(given.get("better", MEASURES[name].better))
    if better not in DIRECTIONS:
        raise EvidenceError(f"better is '{shown(better)}': say lower or higher")
    counts = read_counts(str(given["counts"])) if "counts" in given else None
    if counts is not None:
        estimate, se, df, source = *_of_counts(counts, name), math.inf, COUNTS
    elif "mean_active" in given:
        estimate, se, df, source = _of_arms(given, name)
    else:
        estimate, se, df, source = _of_print(given, MEASURES[name], name)
    farthest = FARTHEST if MEASURES[name].ratio else math.inf
    if not (0 < se < farthest and abs(estimate) < min(MOST * se, farthest)):
        raise EvidenceError(
            f"{MEASURES[name].label}: estimate {estimate:g} with standard error {se:g}, where it "
            "is analyzed: no trial prints that; a standard error is above 0, of a ratio it is that "
            "of the logarithm"
        )
    return PrintedResult(name, estimate, se, df, better, "better" not in given, source, counts)


def bounded(value: float, what: str, *, infinite: bool = False) -> float:
    """Return a number that can be computed with, or refuse it by what it is."""
    if abs(value) <= LARGEST or (infinite and value == math.inf):
        return value
    raise EvidenceError(f"{what} is {value:g}: give a number of at most {LARGEST:g} in size")


def _is_given(value: Any) -> bool:
    """Tell a value from None, NaN and an empty cell."""
    return value is not None and value != "" and not (isinstance(value, float) and value != value)


def read_counts(text: str) -> Counts:
    """Read ``89/1108 101/1096``: events over patients, the active arm first."""
    match = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)[\s,;v]+(\d+)\s*/\s*(\d+)\s*", text)
    if match is None:
        raise EvidenceError(
            f"counts '{shown(text)}': write events/patients of both arms, the active one first, as "
            "89/1108 101/1096"
        )
    found = Counts(*map(int, match.groups()))
    for arm, events, n in (
        ("active", found.events_active, found.n_active),
        ("control", found.events_control, found.n_control),
    ):
        if not (n > 0 and events <= n):
            raise EvidenceError(f"counts of the {arm} arm: {events} events of {n} patients")
    return found


def _of_counts(counts: Counts, name: str) -> tuple[float, float]:
    """Return the approximate estimate and standard error of counts."""
    if not MEASURES[name].odds:
        raise EvidenceError(
            f"counts make an odds ratio, a risk ratio or a risk difference (or, rr, rd), not a "
            f"{MEASURES[name].label}"
        )
    events = counts.events_active + counts.events_control
    if not 0 < events < counts.n_active + counts.n_control:
        raise EvidenceError(
            f"counts {counts.text}: everybody had the same outcome, which says nothing about the "
            "difference"
        )
    return counts.wald(name)


def _of_arms(given: Mapping[str, Any], name: str) -> tuple[float, float, float, str]:
    """Return estimate, standard error, df and source from means, SDs and n of two arms."""
    needed = ("mean_active", "sd_active", "n_active", "mean_control", "sd_control", "n_control")
    missing = [key for key in needed if key not in given]
    if missing:
        raise EvidenceError(f"'{missing[0]}' is missing: two arms need mean, SD and n of both")
    m1, s1, n1, m2, s2, n2 = (float(given[key]) for key in needed)
    if min(s1, s2) <= 0 or min(n1, n2) < 2 or n1 % 1 or n2 % 1:
        raise EvidenceError(f"arms: SDs {s1:g} and {s2:g}, n {n1:g} and {n2:g}; give SDs above 0 "
                            "and at least 2 patients in each arm")  # fmt: skip
    v1, v2 = s1**2 / n1, s2**2 / n2
    if name == "md":
        df = (v1 + v2) ** 2 / (v1**2 / (n1 - 1) + v2**2 / (n2 - 1))
        return m1 - m2, math.sqrt(v1 + v2), df, "both arms, Welch with Satterthwaite df"
    if name == "smd":
        pooled = math.sqrt(((n1 - 1) * s1**2 + (n2 - 1) * s2**2) / (n1 + n2 - 2))
        return *_hedges((m1 - m2) / pooled, n1, n2), math.inf, "both arms, Hedges' g"
    if name == "gmr" and min(m1, m2) > 0:
        se = math.sqrt(v1 / m1**2 + v2 / m2**2)
        return math.log(m1 / m2), se, math.inf, "both arms, logarithm of the ratio, delta method"
    raise EvidenceError(
        f"means {m1:g} and {m2:g} of two arms make no {MEASURES[name].label}: they make a "
        "difference (md, smd), or a ratio (gmr) if both are above 0"
    )


def _hedges(d: float, n1: float, n2: float) -> tuple[float, float]:
    """Return Hedges' g of a standardized difference and its large-sample standard error."""
    df = n1 + n2 - 2
    correction = math.exp(
        special.gammaln(df / 2) - special.gammaln((df - 1) / 2) - math.log(df / 2) / 2
    ) if df > 1 else math.nan  # fmt: skip
    g = d * correction
    return g, math.sqrt(1 / n1 + 1 / n2 + g**2 / (2 * (n1 + n2)))


def _of_print(
    given: Mapping[str, Any], measure: Measure, name: str
) -> tuple[float, float, float, str]:
    """Return estimate, standard error, df and source from a printed estimate."""
    df = float(given.get("df", math.inf))
    if not df >= 1:
        raise EvidenceError(f"df is {df:g}: give degrees of freedom of 1 or more, or none")
    statistic = _statistic(given)
    if name == "smd" and "estimate" not in given and statistic is not None:
        return *_of_t(statistic, given), math.inf, "t and both n, Hedges' g"
    if "estimate" not in given:
        raise EvidenceError(
            f"{measure.label}: give the estimate, or the counts or means, SDs and n of both arms"
        )
    estimate = measure.analyzed(float(given["estimate"]))
    if "ci_low" in given or "ci_high" in given:
        return *_of_interval(given, measure, df), df, _interval_source(given, measure)
    if "se" in given:
        of = ", of the logarithm" if measure.ratio else ""
        return estimate, float(given["se"]), df, f"the printed standard error{of}"
    if statistic is not None:
        return estimate, _ratio_to(estimate, statistic), df, "estimate over t"
    if "p_value" in given:
        return estimate, float(se_from_p(estimate, float(given["p_value"]), df=df)), df, "P"
    raise EvidenceError(
        f"{measure.label}: an estimate alone has no precision; give its interval, standard error, "
        "t with df, or P"
    )


def _statistic(given: Mapping[str, Any]) -> float | None:
    """Return t, also that of an F with one numerator degree of freedom, which has no sign."""
    if "t" not in given and "f" not in given:
        return None
    if "df" not in given:
        raise EvidenceError("t or F needs its df: the (denominator) degrees of freedom, or inf")
    if "t" in given:
        return float(given["t"])
    if not float(given["f"]) > 0:
        raise EvidenceError(f"F is {given['f']:g}: it must be above 0, with 1 numerator df")
    return math.sqrt(float(given["f"]))


def _ratio_to(estimate: float, statistic: float) -> float:
    """Return the standard error of an estimate with its t; the sign of t does not matter."""
    if not estimate * statistic:
        raise EvidenceError("t or the estimate is 0: no standard error follows; give the interval")
    return abs(estimate / statistic)


def _of_t(statistic: float, given: Mapping[str, Any]) -> tuple[float, float]:
    """Return Hedges' g and its standard error from t and the size of both arms."""
    if not {"n_active", "n_control"} <= given.keys():
        raise EvidenceError("a standardized difference from t or F needs n_active and n_control")
    n1, n2 = float(given["n_active"]), float(given["n_control"])
    if min(n1, n2) < 2:
        raise EvidenceError(f"n of {n1:g} and {n2:g}: give at least 2 patients in each arm")
    return _hedges(statistic * math.sqrt(1 / n1 + 1 / n2), n1, n2)


def _of_interval(given: Mapping[str, Any], measure: Measure, df: float) -> tuple[float, float]:
    """Return the middle of an interval and the standard error, where the measure is analyzed."""
    if not {"ci_low", "ci_high"} <= given.keys():
        raise EvidenceError("an interval has two limits: give both or none")
    estimate, low, high = (float(given[key]) for key in ("estimate", "ci_low", "ci_high"))
    if not low <= estimate <= high:
        raise EvidenceError(f"the interval {low:g} to {high:g} does not hold {estimate:g}")
    ends = measure.analyzed(low), measure.analyzed(high)
    se = float(se_from_interval(*ends, df=df, level=float(given.get("level", 0.95))))
    if not is_middle(estimate, low, high, logarithms=measure.ratio):
        warnings.warn(
            f"{measure.label} {estimate:g} is not the middle of {low:g} to {high:g}, which is "
            f"{float(measure.printed(sum(ends) / 2)):.4g}: the answer takes the interval; is it "
            "of another measure, or no Wald interval?",
            StatisticalWarning,
            stacklevel=2,
        )
    return sum(ends) / 2, se


def _interval_source(given: Mapping[str, Any], measure: Measure) -> str:
    """Say which interval the standard error comes from."""
    scale = " of the logarithm" if measure.ratio else ""
    return f"the {100 * float(given.get('level', 0.95)):g}% interval{scale}, around its middle"


def ask_for_measure(estimate: float, low: float, high: float) -> None:
    """Refuse an interval that may be one of a ratio, where nobody has said what it is of.

    That is: the estimate is its middle as logarithms and not otherwise. Where print does not tell
    the two middles apart, it is refused if it holds 1, the null value of a ratio.
    """
    finite = all(map(math.isfinite, (estimate, low, high)))
    if not (finite and is_middle(estimate, low, high, logarithms=True)):
        return
    alike = (low + high) / 2 - math.sqrt(low * high) <= half_unit(estimate, low, high)
    if is_middle(estimate, low, high) and not (alike and low <= 1 <= high):
        return
    raise EvidenceError(
        f"what is {estimate:g} ({low:g} to {high:g})? Its interval is symmetric on the log scale, "
        "as that of a ratio, whose value of no effect is 1: say --measure hr, or, rr, irr or gmr; "
        "for a difference say --measure md, smd or rd"
    )
