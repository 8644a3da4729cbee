"""Priors as values: density, distribution function, quantiles, tables that round-trip.

A `Prior` says nothing about PyMC; `bayes_ptsd.pymc_priors` turns one into a PyMC variable. The
named family for a treatment difference is in `bayes_ptsd.prior_family`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayes_ptsd.errors import SpecError, nearest, refuse_unknown_keys, shown
from bayes_ptsd.inputs import LARGEST, short
from bayes_ptsd.location_scale import LocationScale

__all__ = [
    "DISTRIBUTIONS",
    "MATRICES",
    "FloatArray",
    "Prior",
    "mixture",
    "normal",
    "parse_prior",
    "prior_from_table",
    "reflected",
    "student_t",
]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Distribution:
    """One entry of the closed list: parameter names and the SciPy distribution they make."""

    parameters: tuple[str, ...]
    frozen: Callable[..., Any]
    positive: tuple[str, ...] = ("sigma",)


IMPROPER = ("flat", "inverse_sd")
MATRICES = ("lkj", "uniform_correlations")  # their densities belong to the models that have one
# logarithm of a location that is a float, with room for its square
LARGEST_LOG = 300.0
# mixtures within mixtures: a mixture of mixtures is one more mixture, deeper ones nobody means
DEEPEST = 3


def _frozen(name: str, *parameters: float) -> Any:
    """Return a frozen distribution of `scipy.stats`, imported by the priors that need it."""
    from scipy import stats

    return getattr(stats, name)(*parameters)


DISTRIBUTIONS: Mapping[str, Distribution] = {
    "flat": Distribution((), lambda: None, ()),
    "inverse_sd": Distribution((), lambda: None, ()),  # density 1/x, for standard deviations
    "lkj": Distribution(("shape",), lambda shape: None, ("shape",)),
    "uniform_correlations": Distribution((), lambda: None, ()),  # each one uniform on (-1, 1)
    "normal": Distribution(("mu", "sigma"), LocationScale),
    "student_t": Distribution(
        ("nu", "mu", "sigma"), lambda nu, mu, sigma: LocationScale(mu, sigma, nu), ("nu", "sigma")
    ),
    "cauchy": Distribution(("mu", "sigma"), lambda mu, sigma: _frozen("cauchy", mu, sigma)),
    "half_normal": Distribution(("sigma",), lambda sigma: _frozen("halfnorm", 0, sigma)),
    "half_cauchy": Distribution(("sigma",), lambda sigma: _frozen("halfcauchy", 0, sigma)),
    "log_normal": Distribution(
        ("mu", "sigma"), lambda mu, sigma: _frozen("lognorm", sigma, 0, math.exp(mu))
    ),
    "gamma": Distribution(
        ("shape", "rate"), lambda shape, rate: _frozen("gamma", shape, 0, 1 / rate),
        ("shape", "rate"),
    ),
    # of a standard deviation: its precision 1/x^2 is gamma, as BUGS writes dgamma(shape, rate)
    "gamma_precision": Distribution(
        ("shape", "rate"), lambda shape, rate: _frozen("gengamma", shape, -2, 0, math.sqrt(rate)),
        ("shape", "rate"),
    ),
    "exponential": Distribution(("rate",), lambda rate: _frozen("expon", 0, 1 / rate), ("rate",)),
    "beta": Distribution(
        ("shape1", "shape2"), lambda shape1, shape2: _frozen("beta", shape1, shape2),
        ("shape1", "shape2"),
    ),
    "uniform": Distribution(
        ("low", "high"), lambda low, high: _frozen("uniform", low, high - low), ()
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Prior:
    """A distribution as a value."""

    dist: str  # one of `DISTRIBUTIONS` or "mixture"
    # by name, in the unit of the quantity; empty for a mixture
    params: Mapping[str, float] = field(default_factory=dict)
    components: tuple[Prior, ...] = ()
    weights: tuple[float, ...] = ()  # of the components, summing to one
    # name in the prior family and, for people, why this prior: neither is part of the value
    name: str = field(default="custom", compare=False)
    source: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        """Refuse what is not a distribution."""
        if self.dist == "mixture":
            _check_mixture(self)
            return
        if self.dist not in DISTRIBUTIONS:
            known = [*DISTRIBUTIONS, "mixture"]
            raise SpecError(f"unknown distribution '{self.dist}'{nearest(self.dist, known)}")
        _check_parameters(self)

    @property
    def proper(self) -> bool:
        """Whether the density integrates to one."""
        return self.dist not in IMPROPER

    @property
    def drawable(self) -> bool:
        """Whether draws are numbers to compute with: proper, and tails no worse than a Cauchy's.

        A gamma_precision of small shape, the BUGS default, has most of its mass beyond any score.
        """
        return self.proper and self._moments >= 1

    @cached_property
    def _parts(self) -> list[tuple[float, Any]]:
        """Weights and SciPy distributions of the components (one for a simple prior)."""
        if not self.proper:
            raise SpecError(
                f"the {self.dist} prior is improper: it has no distribution function or draws"
            )
        if self.dist in MATRICES:
            raise SpecError(f"{self.dist} is a prior of a correlation matrix, not of one number")
        if self.dist == "mixture":
            pairs = zip(self.weights, self.components, strict=True)
            return [(w * v, part) for w, component in pairs for v, part in component._parts]
        return [(1.0, DISTRIBUTIONS[self.dist].frozen(**self.params))]

    def logpdf(self, x: ArrayLike) -> FloatArray:
        """Log density at `x`; of an improper prior up to a constant, zero for the flat one."""
        points = np.asarray(x, dtype=float)
        if not self.proper:
            return -np.log(points) if self.dist == "inverse_sd" else np.zeros_like(points)
        logs = [math.log(w) + part.logpdf(points) for w, part in self._parts]
        return np.asarray(logs[0] if len(logs) == 1 else _log_sum(np.array(logs)))

    def pdf(self, x: ArrayLike) -> FloatArray:
        """Density at `x`; one everywhere for the flat prior, 1/x for ``inverse_sd``."""
        return np.exp(self.logpdf(x))

    def cdf(self, x: ArrayLike) -> FloatArray:
        """Probability below `x`."""
        return np.asarray(sum(w * part.cdf(np.asarray(x, float)) for w, part in self._parts))

    def sf(self, x: ArrayLike) -> FloatArray:
        """Probability above `x`, accurate in the tail."""
        return np.asarray(sum(w * part.sf(np.asarray(x, float)) for w, part in self._parts))

    def quantile(self, p: ArrayLike) -> FloatArray:
        """Value below which the probability is `p`."""
        probability = np.asarray(p, dtype=float)
        # a gamma_precision of small shape has quantiles that no float can hold
        with np.errstate(divide="ignore", over="ignore"):
            ends = np.array([part.ppf(probability) for _, part in self._parts])
        if len(ends) == 1:
            return np.asarray(ends[0])
        low, high = ends.min(axis=0), ends.max(axis=0)
        # rounding can give both ends of the bracket one sign; a hair more room cannot
        room = 1e-9 * (np.abs(low) + np.abs(high) + 1e-300)
        bracket = (low - room, high + room)
        from scipy.optimize import elementwise

        root = elementwise.find_root(lambda x, q: self.cdf(x) - q, bracket, args=(probability,))
        return np.asarray(np.where(root.success, root.x, low))

    @property
    def mean(self) -> float:
        """Expectation; NaN or infinite where the distribution has none."""
        if self._moments <= 1:
            return math.inf
        return float(sum(w * part.mean() for w, part in self._parts))

    @property
    def sd(self) -> float:
        """Standard deviation; infinite or NaN where the distribution has none."""
        if self._moments <= 2:
            return math.inf
        mean = self.mean
        # a t with one or two degrees of freedom has none: infinity minus infinity
        with np.errstate(invalid="ignore"):
            second = sum(w * (part.var() + (part.mean() - mean) ** 2) for w, part in self._parts)
        return float(np.sqrt(second))

    @property
    def _moments(self) -> float:
        """Order below which moments of a gamma_precision exist, which SciPy does not look at."""
        if self.dist == "mixture":
            return min(component._moments for component in self.components)
        return 2 * self.params["shape"] if self.dist == "gamma_precision" else math.inf

    @property
    def support(self) -> tuple[float, float]:
        """Lowest and highest value with positive density."""
        if not self.proper:
            return -math.inf, math.inf
        ends = [part.support() for _, part in self._parts]
        return float(min(low for low, _ in ends)), float(max(high for _, high in ends))

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Equal-tailed interval of probability `level`, in the unit of the quantity."""
        low, high = self.quantile([(1 - level) / 2, (1 + level) / 2])
        return float(low), float(high)

    def draw(self, size: int, *, seed: int) -> FloatArray:
        """Return `size` draws by inverting the distribution function."""
        return self.quantile(np.random.default_rng(seed).uniform(size=size))

    def table(self) -> dict[str, Any]:
        """Return the prior as a plain table that JSON and TOML can hold."""
        if self.dist == "mixture":
            components = [component.table() for component in self.components]
            return {"dist": "mixture", "weights": list(self.weights), "components": components}
        return {"dist": self.dist, **{key: float(value) for key, value in self.params.items()}}

    @property
    def formula(self) -> str:
        """The prior in short mathematical notation."""
        if self.dist == "mixture":
            pairs = zip(self.weights, self.components, strict=True)
            return " + ".join(f"{w:g} {component.formula}" for w, component in pairs)
        if not self.params:
            return self.dist
        if self.dist == "normal":
            return f"N({self.params['mu']:.4g}, {self.params['sigma']:.4g}²)"
        return f"{self.dist}({', '.join(f'{value:.4g}' for value in self.params.values())})"

    def named(self, name: str, source: str = "") -> Prior:
        """Return the same value under a name of the family."""
        return replace(self, name=name, source=source)


def _log_sum(logs: FloatArray) -> FloatArray:
    """Return the logarithm of the sum over the first axis of what `logs` are the logarithms of."""
    top = logs.max(axis=0)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(top + np.log(np.exp(logs - top).sum(axis=0)))


def normal(mu: float, sigma: float) -> Prior:
    """Return a normal prior with mean `mu` and standard deviation `sigma`."""
    return Prior("normal", {"mu": float(mu), "sigma": float(sigma)})


def student_t(nu: float, mu: float, sigma: float) -> Prior:
    """Return a Student-t prior with `nu` degrees of freedom, location `mu`, scale `sigma`.

    With infinite degrees of freedom it is the normal prior.
    """
    if nu == math.inf:
        return normal(mu, sigma)
    return Prior("student_t", {"nu": float(nu), "mu": float(mu), "sigma": float(sigma)})


def mixture(weights: list[float], components: list[Prior]) -> Prior:
    """Return a mixture of priors, none flat, of positive weights that sum to one within 1e-8."""
    return Prior("mixture", components=tuple(components), weights=tuple(map(float, weights)))


def reflected(prior: Prior) -> Prior:
    """Return the prior of the negative of a quantity, such as of a difference taken around."""
    if prior.dist == "mixture":
        parts = tuple(map(reflected, prior.components))
        return replace(prior, components=parts)
    params = dict(prior.params)
    if prior.dist == "uniform":
        return replace(prior, params={"low": -params["high"], "high": -params["low"]})
    if (params and "mu" not in params) or prior.dist in ("log_normal", "inverse_sd", *MATRICES):
        raise SpecError(
            f"the prior {prior.formula} lies on one side of 0: take normal, student_t, cauchy, "
            "uniform or a mixture of them for a treatment difference"
        )
    # 0.0 rather than -0.0, which a formula would show
    return replace(prior, params=params | ({"mu": 0.0 - params["mu"]} if params else {}))


def prior_from_table(table: Mapping[str, Any], where: str = "prior", *, depth: int = 0) -> Prior:
    """Read a prior from a plain table such as ``{dist = "normal", mu = 0, sigma = 7.9}``.

    `depth` is the number of mixtures that it is a component of.
    """
    dist = table.get("dist")
    if dist == "mixture":
        return _mixture_from_table(table, where, depth)
    if not isinstance(dist, str) or dist not in DISTRIBUTIONS:
        raise SpecError(
            f"{where}: unknown distribution '{shown(dist)}'"
            f"{nearest(str(dist), [*DISTRIBUTIONS, 'mixture'])}"
        )
    names = DISTRIBUTIONS[dist].parameters
    refuse_unknown_keys(table, {"dist", *names}, where, error=SpecError)
    missing = [name for name in names if name not in table]
    if missing:
        raise SpecError(f"{where}: {dist} needs '{missing[0]}' (parameters: {', '.join(names)})")
    params = {name: _written(dist, name, table[name], f"{where}: '{name}'") for name in names}
    try:
        return Prior(dist, params)
    except SpecError as error:
        raise SpecError(f"{where}: {error}") from error


def _mixture_from_table(table: Mapping[str, Any], where: str, depth: int) -> Prior:
    """Read a mixture from a plain table."""
    refuse_unknown_keys(table, {"dist", "weights", "components"}, where, error=SpecError)
    weights, items = table.get("weights", []), table.get("components", [])
    if not isinstance(weights, list) or not isinstance(items, list):
        raise SpecError(f"{where}: 'weights' and 'components' must be lists")
    parts = []
    for number, item in enumerate(items, start=1):
        place = f"{where} component {number}"
        if not isinstance(item, Mapping) or depth == DEEPEST:
            raise SpecError(f"{place}: must be a table with 'dist', no mixture of mixtures again")
        parts.append(prior_from_table(item, place, depth=depth + 1))
    numbers = [_number(one, f"{where}: a weight") for one in weights]
    try:
        return mixture(numbers, parts)
    except SpecError as error:
        raise SpecError(f"{where}: {error}") from error


def parse_prior(text: str) -> Prior:
    """Read a prior from the notation of the command line, ``normal(0, 20)``."""
    match = re.fullmatch(r"\s*(\w+)\s*(?:\((.*)\))?\s*", text)
    if match is None or match[1] not in DISTRIBUTIONS:
        known = ", ".join(f"{n}({', '.join(d.parameters)})" for n, d in DISTRIBUTIONS.items())
        raise SpecError(f"'{shown(text)}' is not a distribution; write one of {known}")
    names = DISTRIBUTIONS[match[1]].parameters
    values = [part for part in (match[2] or "").split(",") if part.strip()]
    if len(values) != len(names):
        raise SpecError(
            f"'{shown(text)}': {match[1]} takes {len(names)} numbers ({', '.join(names)})"
        )
    pairs = zip(names, values, strict=True)
    return Prior(match[1], {n: _written(match[1], n, v, f"'{shown(text)}'") for n, v in pairs})


def _number(value: Any, where: str) -> float:
    """Return a finite number or refuse."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if isinstance(value, bool) or not math.isfinite(number):
        raise SpecError(f"{where}: expected a finite number, got {short(value)}")
    return number


def _written(dist: str, name: str, value: Any, where: str) -> float:
    """Return a parameter that somebody wrote, of a size that densities can be computed with."""
    number = _number(value, where)
    least = 1 / LARGEST if name in DISTRIBUTIONS[dist].positive and number > 0 else 0.0
    if not least <= abs(number) <= LARGEST:
        raise SpecError(f"{where}: {name} is {number:g}, beyond 1e15 or, a scale, below 1e-15")
    return number


def _check_parameters(prior: Prior) -> None:
    """Refuse missing, infinite or non-positive parameters."""
    family = DISTRIBUTIONS[prior.dist]
    if tuple(sorted(prior.params)) != tuple(sorted(family.parameters)):
        raise SpecError(f"{prior.dist} takes {family.parameters}, got {tuple(prior.params)}")
    for key, value in prior.params.items():
        _number(value, f"{prior.dist} '{key}'")
        if key in family.positive and value <= 0:
            raise SpecError(f"{prior.dist}: '{key}' must be positive, got {value:g}")
    if prior.dist == "log_normal" and abs(prior.params["mu"]) > LARGEST_LOG:
        raise SpecError(f"log_normal: 'mu' is a logarithm, at most {LARGEST_LOG:g} in size")
    if prior.dist == "uniform" and prior.params["low"] >= prior.params["high"]:
        raise SpecError(f"uniform: 'low' must be below 'high', got {dict(prior.params)}")


def _check_mixture(prior: Prior) -> None:
    """Refuse weights that are no distribution, and improper components."""
    if not prior.components or len(prior.weights) != len(prior.components):
        raise SpecError(
            f"a mixture needs one weight per component, got {len(prior.weights)} weights for "
            f"{len(prior.components)} components"
        )
    if any(not weight > 0 for weight in prior.weights):
        raise SpecError(f"mixture weights must be positive, got {prior.weights}")
    if not math.isclose(sum(prior.weights), 1.0, abs_tol=1e-8):
        raise SpecError(f"mixture weights must sum to one, got {sum(prior.weights):.10g}")
    if not all(component.proper for component in prior.components):
        raise SpecError("a component of a mixture is flat or improper: it has no weight")
