"""The formulas behind the assessment, against definitions, simulations and published values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import integrate, special, stats

from bayes_ptsd.credibility.bayes_factors import (
    bayes_factor_10,
    from_log,
    minimum_bayes_factor,
    prior_odds_needed,
    sellke_bound,
)
from bayes_ptsd.credibility.replication import (
    SCEPTICAL_CALIBRATIONS,
    conditional_replication_probability,
    replication_probability,
    sceptical_null_survival,
    sceptical_p_value,
    sceptical_z,
)
from bayes_ptsd.credibility.reverse_bayes import (
    advocacy_limit,
    critical_prior,
    intrinsic_p_value,
    skepticism_limit,
)
from bayes_ptsd.credibility.shrinkage import (
    COCHRANE_SNR,
    achieved_power,
    cochrane_shrinkage,
    empirical_bayes_factor,
    median_achieved_power,
)
from bayes_ptsd.errors import SpecError
from bayes_ptsd.exact.summary import conjugate_posterior
from bayes_ptsd.priors import FloatArray, Prior, mixture, normal, student_t

Z = float(stats.norm.ppf(0.975))
SIZES = st.floats(0.05, 20)
SIGNED = st.floats(0.2, 6)


def posterior_interval(low: float, high: float, prior: Prior) -> tuple[float, float]:
    """Return the 95% posterior interval of a normal likelihood with these confidence limits."""
    likelihood = normal((low + high) / 2, (high - low) / (2 * Z))
    posterior = conjugate_posterior(likelihood, prior)
    assert posterior is not None
    return posterior.interval()


@given(low=st.floats(0.05, 20), width=st.floats(0.5, 40), sign=st.sampled_from([-1, 1]))
def test_skepticism_limit_makes_the_posterior_touch_zero(
    low: float, width: float, sign: int
) -> None:
    """Under N(0, (SL/1.96)^2) the 95% posterior interval ends at 0; narrower priors include it."""
    limits = sorted((sign * low, sign * (low + width)))
    limit = skepticism_limit(*limits)
    assert math.copysign(1, limit) == sign
    near = np.abs(posterior_interval(*limits, normal(0, abs(limit) / Z))).min()
    assert near == pytest.approx(0, abs=1e-9 * (1 + abs(limit)))
    inside = posterior_interval(*limits, normal(0, 0.9 * abs(limit) / Z))
    assert inside[0] < 0 < inside[1]


@given(low=st.floats(-20, -0.05), high=st.floats(0.05, 20))
def test_advocacy_limit_makes_the_posterior_touch_zero(low: float, high: float) -> None:
    """With 95% of the prior between 0 and AL the posterior ends at 0; farther priors include 0."""
    assume(abs(low + high) > 0.01)
    limit = advocacy_limit(low, high)
    assert limit * (low + high) > 0
    for factor, touches in ((1.0, True), (2.0, False)):
        middle = factor * limit / 2
        interval = posterior_interval(low, high, normal(middle, abs(middle) / Z))
        if touches:
            assert np.abs(interval).min() == pytest.approx(0, abs=1e-8 * (1 + abs(limit)))
        else:
            assert interval[0] < 0 < interval[1]


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 5.46), (4e-16, 5.46), (-5.46, 0.0), (-3.0, 3.0), (-3.0, 3.0 + 1e-15)]
)
def test_no_limit_at_zero_or_symmetry(low: float, high: float) -> None:
    """A limit of 0, also one that is 0 but for rounding, and a symmetric interval are undefined."""
    result = critical_prior(low, high)
    assert result.kind == "undefined"
    assert math.isnan(result.limit)
    assert "0" in result.reason


@pytest.mark.parametrize(
    ("function", "limits"),
    [
        (skepticism_limit, (-1, 2)),
        (skepticism_limit, (0, 2)),
        (advocacy_limit, (1, 2)),
        (advocacy_limit, (0, 2)),
        (critical_prior, (2, 1)),
        (critical_prior, (math.nan, 1)),
    ],
)
def test_limits_are_refused_off_their_branch(function: object, limits: tuple[float, float]) -> None:
    """Each limit refuses the intervals of the other branch, zero limits and disorder."""
    with pytest.raises(SpecError):
        function(*limits)  # type: ignore[operator]


def test_intrinsic_thresholds() -> None:
    """P = .0056 (Held) and .0127 (Matthews) are the borders at the 5% level."""
    for method, border in (("held", 0.0056), ("matthews", 0.0127)):
        z = float(stats.norm.isf(border / 2))
        assert intrinsic_p_value(z, method=method) == pytest.approx(0.05, abs=0.0005)
    with pytest.raises(SpecError, match="did you mean 'held'"):
        intrinsic_p_value(2.0, method="hold")


@given(z=st.floats(2.0, 8))
def test_intrinsic_credibility_is_conflict_with_the_skeptical_prior(z: float) -> None:
    """Held: z beats the prior predictive of the skeptical prior; Matthews: z beats its limit."""
    variance = 1 / (z**2 / Z**2 - 1)
    held = abs(z) / math.sqrt(1 + variance) >= Z
    matthews = z >= Z * math.sqrt(variance)
    assume(abs(z / math.sqrt(1 + variance) - Z) > 1e-6)
    assert held == (intrinsic_p_value(z, method="held") <= 0.05)
    assert matthews == (intrinsic_p_value(z, method="matthews") <= 0.05)


def test_published_bounds() -> None:
    """The bounds of Sellke et al., Table 1, and the smallest BF01 at P = .05."""
    for p, bound in (
        (0.1, 0.6259),
        (0.05, 0.4072),
        (0.01, 0.1252),
        (0.005, 0.072),
        (0.001, 0.0188),
    ):
        assert sellke_bound(p) == pytest.approx(bound, abs=6e-5)
    assert minimum_bayes_factor(Z) == pytest.approx(0.1465, abs=5e-5)
    assert math.isnan(sellke_bound(0.37))
    assert sellke_bound(0.0) == 0
    with pytest.raises(SpecError):
        sellke_bound(1.5)


@settings(max_examples=25)
@given(z=st.floats(0.1, 5), mean=st.floats(-5, 5), sd=st.floats(0.05, 20), df=st.integers(3, 300))
def test_bayes_factor_is_an_integral_within_its_bound(
    z: float, mean: float, sd: float, df: int
) -> None:
    """BF10 under T equals adaptive quadrature by other code and stays below 1/minimum."""
    factor = bayes_factor_10(normal(mean, sd), student_t(df, z, 1))
    around = sorted({z, mean, mean - sd, mean + sd})
    integral, _ = integrate.quad(
        lambda x: stats.t.pdf(z - x, df) * stats.norm.pdf(x, mean, sd),
        mean - 9 * sd,
        mean + 9 * sd,
        points=[x for x in around if abs(x - mean) < 9 * sd],
        limit=400,
        epsabs=0,
        epsrel=1e-10,
    )
    assert factor == pytest.approx(integral / stats.t.pdf(z, df), rel=1e-6)
    assert factor <= 1 / minimum_bayes_factor(z, df=df) * (1 + 1e-9)


def test_bayes_factor_of_a_mixture_is_the_mean() -> None:
    """BF10 of a mixture is the weighted mean of the components', under N and T."""
    parts = [normal(0, 3), normal(5, 1)]
    for likelihood in (normal(4, 2), student_t(27, 4, 2)):
        whole = bayes_factor_10(mixture([0.3, 0.7], parts), likelihood)
        single = [bayes_factor_10(part, likelihood) for part in parts]
        assert whole == pytest.approx(0.3 * single[0] + 0.7 * single[1], rel=1e-7)
    with pytest.raises(SpecError, match="flat prior is improper"):
        bayes_factor_10(Prior("flat"), normal(4, 2))


def test_factors_too_large_for_a_float_are_infinite() -> None:
    """A log factor up to that of the largest double has its exponential, one beyond is infinite."""
    assert (from_log(0.0), from_log(-1e4)) == (1.0, 0.0)
    assert from_log(708.0) == math.exp(708.0)
    assert from_log(1e4) == math.inf


def test_prior_odds() -> None:
    """Prior odds times BF10 are the posterior odds asked for; bad requests are refused."""
    odds = prior_odds_needed(4.48)
    assert odds * 4.48 == pytest.approx(19)
    assert prior_odds_needed(0.0) == math.inf
    for bad in ({"bf10": -1.0}, {"bf10": 1.0, "probability": 1.0}):
        with pytest.raises(SpecError):
            prior_odds_needed(**bad)


def test_van_zwet_self_tests() -> None:
    """E(SNR | z), the exaggeration at z = 1.96 and the median achieved power are published."""
    expected = [cochrane_shrinkage(z).expected_snr for z in (1, 2, 3, 4, 5)]
    assert expected == pytest.approx([0.5535, 1.2738, 2.2075, 3.2198, 4.2697], abs=5e-5)
    assert cochrane_shrinkage(1.96).exaggeration == pytest.approx(1.670, abs=5e-4)
    assert median_achieved_power() == pytest.approx(0.132, abs=5e-4)


def test_power_at_a_signal_to_noise_ratio() -> None:
    """Power is .05 without a difference, .8 at 1.96 + .84 standard errors, the same for harm."""
    assert achieved_power(0.0) == pytest.approx(0.05)
    assert achieved_power(Z + float(stats.norm.ppf(0.8))) == pytest.approx(0.8, abs=1e-5)
    assert achieved_power(-2.8) == pytest.approx(achieved_power(2.8))


def test_shrinkage_by_simulation() -> None:
    """Among simulated trials with z near 2, mean and median of the SNR are as computed."""
    snr = COCHRANE_SNR.draw(2_000_000, seed=1)
    z = snr + np.random.default_rng(2).normal(size=snr.size)
    near = snr[np.abs(z - 2) < 0.02]
    result = cochrane_shrinkage(2.0)
    assert near.mean() == pytest.approx(result.expected_snr, abs=4 * near.std() / near.size**0.5)
    assert 2 / np.median(np.abs(near)) == pytest.approx(result.exaggeration, rel=0.03)
    assert (near > 0).mean() == pytest.approx(result.sign_probability, abs=0.01)


@given(z=st.floats(-8, 8))
def test_shrinkage_is_odd_and_shrinks(z: float) -> None:
    """The expected SNR has the sign of z and is smaller; the factors ignore the sign."""
    one, two = cochrane_shrinkage(z), cochrane_shrinkage(-z)
    assert one.expected_snr == pytest.approx(-two.expected_snr)
    assert 0 < one.factor < 1
    assert one.factor == pytest.approx(two.factor)
    assert 0.5 <= one.sign_probability <= 1
    assert 0 <= empirical_bayes_factor(z) < 1


@given(zo=SIGNED, zr=SIGNED, c=SIZES, sign=st.sampled_from([-1, 1]))
def test_sceptical_z_solves_its_equation(zo: float, zr: float, c: float, sign: int) -> None:
    """It solves (zo^2/zS^2 - 1)(zr^2/zS^2 - 1) = c, is below both z, and ignores a common sign."""
    zs = sceptical_z(sign * zo, sign * zr, c=c)
    assert 0 < zs < min(zo, zr)
    product = (zo**2 / zs**2 - 1) * (zr**2 / zs**2 - 1)
    assert product == pytest.approx(c, rel=1e-6)


@given(zo=SIGNED, zr=SIGNED, c=SIZES)
def test_sceptical_calibrations_are_ordered(zo: float, zr: float, c: float) -> None:
    """Nominal is the strictest, and no sceptical P is below the larger one-sided ordinary P."""
    nominal, golden, _ = (
        sceptical_p_value(zo, zr, c=c, calibration=name) for name in SCEPTICAL_CALIBRATIONS
    )
    assert golden < nominal
    assert nominal >= max(stats.norm.sf(zo), stats.norm.sf(zr))


def test_golden_level_needs_an_equal_estimate() -> None:
    """An original at P = .025 one-sided reaches golden .025 only with an estimate as large."""
    for c in (1e4, 1e6):
        at = sceptical_p_value(Z, Z * math.sqrt(c), c=c, calibration="golden")
        assert at == pytest.approx(0.025, abs=2e-3)
        below = sceptical_p_value(Z, 0.8 * Z * math.sqrt(c), c=c, calibration="golden")
        assert below > 0.025


@pytest.mark.parametrize("c", [0.2, 1.0, 3.0])
def test_controlled_calibration_controls_the_error_rate(c: float) -> None:
    """Under no effect the rate of controlled sceptical P <= .025, right sign, is .025^2."""
    zs = 1.3
    generator = np.random.default_rng(7)
    zo, zr = np.abs(generator.normal(size=(2, 2_000_000)))
    arithmetic, harmonic = (zo**2 + zr**2) / 2, 2 / (zo**-2 + zr**-2)
    square = arithmetic * harmonic
    square /= np.sqrt(arithmetic * (arithmetic + (c - 1) * harmonic)) + arithmetic
    share = float((square >= zs**2).mean())
    exact = sceptical_null_survival(zs, c=c)
    assert exact == pytest.approx(share, abs=4 * math.sqrt(share / zo.size))


def survival_by_panels(zs: FloatArray, c: FloatArray) -> FloatArray:
    """Return P(ZS >= zs) by Gauss-Legendre panels over zo, vectorized over pairs (zs, c).

    ``4 int_zs^inf phi(x) Phi(-needed(x)) dx``; panels are geometric in ``x - zs``, 8 nodes each,
    from where ``needed`` is beyond 38, a density of nothing, to 12 beyond the larger of zs and 4.
    """
    low = zs * (np.hypot(1, np.sqrt(c) * zs / 60) - 1)
    high = np.maximum(zs, 4.0) + 12
    edges = low * (high / low) ** np.linspace(0, 1, 81)[:, None]
    node, weight = np.polynomial.legendre.leggauss(8)
    width = np.diff(edges, axis=0)
    total = np.zeros_like(zs)
    for place, share in zip((node + 1) / 2, weight / 2, strict=True):
        excess = edges[:-1] + width * place
        needed = zs * np.sqrt(1 + c * zs**2 / (excess * (excess + 2 * zs)))
        density = stats.norm.pdf(zs + excess) * special.ndtr(-needed)
        total += 4 * share * (width * density).sum(axis=0)
    return total


def test_controlled_p_on_ten_thousand_inputs() -> None:
    """Controlled P is that of another integral, over zo in panels, at 10,000 random inputs.

    One of them is a case where quadrature on an infinite range stopped at .00084319.
    """
    rng = np.random.default_rng(17)
    size = 10_000
    zo, zr = rng.uniform(0.1, 8, (2, size))
    c = np.exp(rng.uniform(np.log(0.05), np.log(20), size))
    zo[0], zr[0], c[0] = 2.27569586497537, 8.3884575178037, 2.04385964912281
    found = [
        sceptical_p_value(*one, c=size, calibration="controlled")
        for *one, size in zip(zo, zr, c, strict=True)
    ]
    zs = np.array([sceptical_z(*one, c=size) for *one, size in zip(zo, zr, c, strict=True)])
    assert found[0] == pytest.approx(0.00084510, abs=5e-9)
    assert found == pytest.approx(np.sqrt(survival_by_panels(zs, c)) / 2, rel=1e-7)


def test_controlled_at_equal_size_is_a_gamma_tail() -> None:
    """For c = 1 the null distribution of zS^2 is gamma with shape 1/2 and rate 2."""
    for zs in (0.1, 1.0, 2.5, 5.0):
        tail = float(stats.gamma.sf(zs**2, 0.5, scale=0.5))
        assert sceptical_null_survival(zs, c=1) == pytest.approx(tail, rel=1e-9)
        both = sceptical_p_value(zs * 2**0.5, zs * 2**0.5, c=1, calibration="controlled")
        assert both == pytest.approx(math.sqrt(tail) / 2, rel=1e-9)
    assert sceptical_null_survival(0.0, c=2) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        {"zo": 2.0, "zr": -2.0, "c": 1.0},
        {"zo": 2.0, "zr": 0.0, "c": 1.0},
        {"zo": 2.0, "zr": 2.0, "c": 0.0},
        {"zo": 2.0, "zr": 2.0, "c": math.inf},
        {"zo": 2.0, "zr": 2.0, "c": 1.0, "calibration": "golde"},
    ],
)
def test_sceptical_p_is_refused_where_undefined(arguments: dict[str, float]) -> None:
    """Opposite signs, a size that is none and an unknown calibration are refused."""
    with pytest.raises(SpecError):
        sceptical_p_value(**arguments)  # type: ignore[arg-type]


def test_replication_probability_by_simulation() -> None:
    """Simulated replications of a mixture posterior succeed as often as computed."""
    posterior = mixture([0.4, 0.6], [normal(2, 1), normal(6, 2)])
    truth = posterior.draw(400_000, seed=3)
    se, c = 2.5, 1.7
    replication = truth + se / c**0.5 * np.random.default_rng(4).normal(size=truth.size)
    share = float((replication > Z * se / c**0.5).mean())
    exact = replication_probability(posterior, se=se, c=c, direction=1)
    assert exact == pytest.approx(share, abs=0.004)
    mirrored = mixture([0.4, 0.6], [normal(-2, 1), normal(-6, 2)])
    assert replication_probability(mirrored, se=se, c=c, direction=-1) == pytest.approx(exact)


@given(z=st.floats(-5, 5), c=SIZES)
def test_replication_under_a_flat_prior(z: float, c: float) -> None:
    """A flat prior gives Phi((|z| - 1.96/sqrt c)/sqrt(1 + 1/c)), nearer 1/2 than conditional."""
    assume(z != 0)
    exact = replication_probability(normal(3 * z, 3), se=3, c=c, direction=z)
    formula = float(stats.norm.cdf((abs(z) - Z / math.sqrt(c)) / math.sqrt(1 + 1 / c)))
    assert exact == pytest.approx(formula, abs=1e-12)
    conditional = conditional_replication_probability(z, c=c)
    assert abs(exact - 0.5) <= abs(conditional - 0.5) + 1e-12


def test_replication_requests_are_checked() -> None:
    """No size, no standard error, no direction or a posterior that is not normal is refused."""
    for arguments in (
        {"se": 1, "c": 0, "direction": 1},
        {"se": 0, "c": 1, "direction": 1},
        {"se": 1, "c": 1, "direction": 0},
    ):
        with pytest.raises(SpecError):
            replication_probability(normal(1, 1), **arguments)
    with pytest.raises(SpecError, match="not a normal posterior"):
        replication_probability(student_t(3, 0, 1), se=1, c=1, direction=1)
