"""The whole assessment of one interval: its values, its labels, what it refuses."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import xarray as xr
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from bayes_ptsd.credibility import (
    QUANTITIES,
    SOURCES,
    assess_interval,
    credibility_document,
    credibility_table,
)
from bayes_ptsd.errors import SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.published import load_published
from bayes_ptsd.exact.summary import likelihood_of
from bayes_ptsd.priors import normal, student_t
from bayes_ptsd.trial import load_trial

CROSSOVER = (12.7, 2.5, 22.8)
FIRST_PERIOD = (8.6, 0.94, 16.2)


def value(result: xr.Dataset, name: str, **where: str) -> float:
    """Return one figure of an assessment."""
    return float(result[name].sel(where))


@pytest.fixture(scope="module")
def crossover() -> xr.Dataset:
    """Return the assessment of the IES-R crossover row."""
    return assess_interval(*CROSSOVER, df=27, sd=14.4)


@pytest.fixture(scope="module")
def first_period() -> xr.Dataset:
    """Return the assessment of the IES-R first-period row."""
    return assess_interval(*FIRST_PERIOD, df=38, sd=14.4)


def test_orientation_values(crossover: xr.Dataset, first_period: xr.Dataset) -> None:
    """Standard error, limits, Bayes factors and Cochrane means are those of the specification."""
    for result, se, limit, factor, mean, sign in (
        (crossover, 5.1787, 13.65, 4.48, 8.6799, 0.9691),
        (first_period, 3.8929, 14.92, 3.15, 5.6619, 0.9516),
    ):
        assert value(result, "se", convention="N") == pytest.approx(se, abs=5e-5)
        assert value(result, "critical_limit") == pytest.approx(limit, abs=0.005)
        factor_n = value(result, "bayes_factor_10", prior="skeptical", convention="N")
        assert factor_n == pytest.approx(factor, abs=0.005)
        posterior = value(result, "posterior_mean", prior="cochrane", convention="N")
        assert posterior == pytest.approx(mean, abs=5e-5)
        assert value(result, "sign_probability") == pytest.approx(sign, abs=5e-5)


def test_posteriors_are_the_specified_ones(crossover: xr.Dataset) -> None:
    """Flat and skeptical P(benefit) under N and T; T with a flat prior returns the interval."""
    benefit = crossover["prob_benefit"].round(4)
    assert benefit.sel(convention="N", prior=["flat", "skeptical"]).values.tolist() == [
        0.9929,
        0.9798,
    ]
    assert benefit.sel(convention="T", prior=["flat", "skeptical"]).values.tolist() == [
        0.9918,
        0.9770,
    ]
    flat = crossover.sel(convention="T", prior="flat")
    assert float(flat["posterior_low"]) == pytest.approx(2.5, abs=1e-10)
    assert float(flat["posterior_high"]) == pytest.approx(22.8, abs=1e-10)


def test_interval_without_a_closed_form_leaves_a_fortieth_on_each_side(
    crossover: xr.Dataset,
) -> None:
    """Student-t likelihood times normal prior, integrated by SciPy: .025 below, .025 above."""
    one = crossover.sel(convention="T", prior="skeptical")
    # .05 above .9 SD, the design alternative
    prior = normal(0, 0.9 * 14.4 / stats.norm.ppf(0.95))
    center, se = 12.65, 10.15 / stats.t.ppf(0.975, 27)

    def density(x: float) -> float:
        return float(stats.t.pdf(x, 27, center, se) * prior.pdf(np.array(x)))

    whole, low, high = (
        integrate.quad(density, start, end, epsabs=1e-13)[0]
        for start, end in (
            (-60.0, 60.0),
            (-60.0, float(one["posterior_low"])),
            (float(one["posterior_high"]), 60.0),
        )
    )
    assert low / whole == pytest.approx(0.025, abs=2e-5)
    assert high / whole == pytest.approx(0.025, abs=2e-5)


def test_conventions_differ_where_they_must(crossover: xr.Dataset) -> None:
    """N has z 2.452 and P .0142; T has t, its P, and z as the normal score of that P."""
    assert value(crossover, "z", convention="N") == pytest.approx(2.452, abs=5e-4)
    assert value(crossover, "p_value", convention="N") == pytest.approx(0.0142, abs=5e-5)
    assert value(crossover, "statistic", convention="T") == pytest.approx(12.65 / 4.9468, abs=1e-4)
    p, z = (value(crossover, name, convention="T") for name in ("p_value", "z"))
    assert math.erfc(z / math.sqrt(2)) == pytest.approx(p, rel=1e-12)


def test_shrinkage_of_the_estimate_is_that_of_the_posterior(crossover: xr.Dataset) -> None:
    """The Cochrane posterior mean under N is the estimate times the shrinkage factor."""
    mean = value(crossover, "posterior_mean", prior="cochrane", convention="N")
    assert mean == pytest.approx(12.7 * value(crossover, "shrinkage_factor"), rel=1e-10)
    probability = value(crossover, "prob_benefit", prior="cochrane", convention="N")
    assert probability == pytest.approx(value(crossover, "sign_probability"), abs=1e-10)


@pytest.mark.parametrize("convention", ["N", "T"])
def test_no_prior_beats_the_minimum(crossover: xr.Dataset, convention: str) -> None:
    """1/BF10 of every prior is above the smallest BF01 of its convention."""
    one = crossover.sel(convention=convention)
    factors = one["bayes_factor_10"].dropna("prior")
    assert factors.sizes["prior"] == 5
    assert bool((1 / factors >= one["minimum_bayes_factor"]).all())


@settings(max_examples=20)
@given(
    low=st.floats(-30, 30), width=st.floats(0.5, 40), share=st.floats(0, 1), df=st.integers(3, 200)
)
def test_mirrored_interval_mirrors_every_measure(
    low: float, width: float, share: float, df: int
) -> None:
    """Turning the sign of the estimate turns signed measures and leaves the others alone."""
    high = low + width
    estimate = min(max(low + share * width, low), high)
    assume(abs(estimate) > 1e-6 * width)
    priors = ["flat", normal(0, 5)]
    one = assess_interval(estimate, low, high, df=df, priors=priors)
    two = assess_interval(-estimate, -high, -low, df=df, priors=priors)
    assert str(one["critical_kind"].item()) == str(two["critical_kind"].item())
    for name in ("estimate", "statistic", "z", "posterior_mean", "critical_limit", "expected_snr"):
        np.testing.assert_allclose(one[name], -two[name], rtol=1e-6, atol=1e-8, err_msg=name)
    for name in (
        "p_value",
        "bayes_factor_10",
        "minimum_bayes_factor",
        "intrinsic_p",
        "sceptical_p",
        "shrinkage_factor",
        "replication_probability",
        "replication_probability_conditional",
    ):
        np.testing.assert_allclose(one[name], two[name], rtol=1e-6, atol=1e-12, err_msg=name)
    np.testing.assert_allclose(one["prob_benefit"], 1 - two["prob_benefit"], atol=1e-8)


def test_every_figure_is_labeled(crossover: xr.Dataset) -> None:
    """Every measure has label, formula and unit; sources exist; N-only measures say so."""
    assert set(map(str, crossover.data_vars)) == set(QUANTITIES)
    for name, variable in crossover.data_vars.items():
        assert variable.attrs["label"], name
        assert variable.attrs["formula"], name
        assert all(key in SOURCES for key in variable.attrs["source"].split(", ") if key), name
        assert ("convention" in variable.dims) != (variable.attrs.get("convention") == "N"), name
    for name, quantity in QUANTITIES.items():
        assert (quantity.convention == "N") == ("convention" not in crossover[name].dims), name


def test_document_is_json_and_says_why_a_value_is_missing() -> None:
    """The document survives JSON without NaN, and a missing value has its reason beside it."""
    document = credibility_document(2.73, 0.0, 5.46, df=39, sd=5.0)
    text = json.dumps(document, allow_nan=False)
    assert json.loads(text) == document
    missing = [item for item in document["quantities"] if item["value"] is None]
    assert all(item["note"] for item in missing)
    by_name = {(item["name"], item.get("prior")): item for item in missing}
    assert "flat prior is improper" in by_name["bayes_factor_10", "flat"]["note"]
    assert "limit of the interval is 0" in by_name["critical_limit", None]["note"]
    assert {item["convention"] for item in document["quantities"]} == {"N", "T"}
    assert set(document["conventions"]) == {"N", "T"}


def test_without_df_and_sd_only_normal_and_scale_free() -> None:
    """An interval alone is read as normal, under the two priors that need no score SD."""
    result = assess_interval(*CROSSOVER)
    assert result["convention"].values.tolist() == ["N"]
    assert result["prior"].values.tolist() == ["flat", "cochrane"]


def test_own_priors_and_replication() -> None:
    """A prior of another kind has a Bayes factor and no closed predictive; zr can be given."""
    result = assess_interval(
        *CROSSOVER, priors=[student_t(3, 0, 7)], relative_size=2, replication_z=1.5
    )
    z, se = (float(result[name].item()) for name in ("z", "se"))
    marginal = stats.t.expect(lambda x: stats.norm.pdf(z - x / se), (3,), loc=0, scale=7)
    factor = float(result["bayes_factor_10"].item())
    assert factor == pytest.approx(marginal / stats.norm.pdf(z), rel=1e-6)
    assert math.isnan(result["replication_probability"].item())
    same = assess_interval(*CROSSOVER, relative_size=2)
    assert (result["sceptical_p"] > same["sceptical_p"]).all()


def test_estimate_of_zero_has_no_direction() -> None:
    """At an estimate of 0 sceptical P and replication probabilities are missing, not invented."""
    document = credibility_document(0.0, -2.0, 2.0, df=20)
    figures = {item["name"]: item for item in document["quantities"]}
    for name in ("sceptical_p", "replication_probability", "replication_probability_conditional"):
        assert figures[name]["value"] is None
        assert "direction" in figures[name]["note"]
    assert figures["critical_kind"]["value"] == "undefined"
    assert figures["shrinkage_factor"]["value"] == pytest.approx(0.42, abs=0.2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"low": 22.8, "high": 2.5}, "lower limit must be below the upper"),
        ({"low": 2.5, "high": 2.5}, "lower limit must be below the upper"),
        ({"estimate": 30.0}, "does not hold the estimate 30"),
        ({"estimate": math.nan}, "must be finite"),
        ({"high": math.inf}, "must be finite"),
        ({"df": 0.5}, "df is 0.5"),
        ({"df": math.nan}, "df is nan"),
        ({"relative_size": 0.0}, "relative_size is 0"),
        ({"relative_size": -1.0}, "relative_size is -1"),
        ({"replication_z": -1.0}, "sign of the original"),
        ({"priors": ["skeptical"]}, "give sd"),
        ({"priors": ["skeptcal"], "sd": 14.4}, "did you mean 'skeptical'"),
        ({"priors": ["flat", "flat"]}, "the same prior twice"),
    ],
    ids=lambda item: str(item)[:40],
)
def test_bad_input_is_refused(arguments: dict[str, object], message: str) -> None:
    """Swapped limits, an estimate outside, df below 1, no size, a wrong prior: one message each."""
    good = {"estimate": 12.7, "low": 2.5, "high": 22.8}
    with pytest.raises(SpecError, match=message):
        credibility_document(**(good | arguments))  # type: ignore[arg-type]


@pytest.fixture
def printed() -> Evidence:
    """Return published evidence of three rows: crossover, first period, a covariate."""
    effects = xr.Dataset(
        {
            "estimate": ("contrast", [12.7, 8.6, 0.9]),
            "interval_low": ("contrast", [2.5, 0.94, 0.43]),
            "interval_high": ("contrast", [22.8, 16.2, 1.37]),
            "df": ("contrast", [27.0, 38.0, 37.0]),
            "term": ("contrast", ["treatment", "treatment", "madrs_24h"]),
            "analysis": ("contrast", ["crossover", "first_period", "first_period_adjusted"]),
            "endpoint": ("contrast", ["ies_r"] * 3),
        },
        coords={"contrast": ["X", "F", "C"]},
    )
    return Evidence("published", load_trial(), xr.DataTree.from_dict({"effects": effects}))


def test_table_has_a_row_per_treatment_contrast(printed: Evidence, crossover: xr.Dataset) -> None:
    """Covariates have no row; the crossover row is the assessment of its interval."""
    table = credibility_table(printed)
    assert table["contrast"].values.tolist() == ["X", "F"]
    assert table.attrs["evidence_kind"] == "published"
    row = table.sel(contrast="X").drop_vars("contrast")
    xr.testing.assert_allclose(row, crossover)


def test_reading_scales_crossover_rows_only(printed: Evidence) -> None:
    """Unhalved, the skepticism limit of the crossover row halves, P stays, other rows stay."""
    published, unhalved = (
        credibility_table(printed),
        credibility_table(printed, crossover_reading="unhalved"),
    )
    ratio = unhalved["critical_limit"] / published["critical_limit"]
    assert ratio.values.tolist() == pytest.approx([0.5, 1.0])
    xr.testing.assert_allclose(unhalved["p_value"], published["p_value"])
    skeptical = unhalved["bayes_factor_10"].sel(prior="skeptical", convention="N", contrast="X")
    assert float(skeptical) != pytest.approx(4.48, abs=0.1)
    cochrane = {"prior": "cochrane"}
    xr.testing.assert_allclose(
        unhalved["prob_benefit"].sel(cochrane), published["prob_benefit"].sel(cochrane)
    )


def test_published_rows() -> None:
    """Every printed contrast has a row; the limit recovered as 0 has no limit, and says so."""
    table = credibility_table(load_published())
    kinds = {str(name): str(kind) for name, kind in table["critical_kind"].to_series().items()}
    assert kinds["T2.IESR.X"] == kinds["T2.IESR.F"] == kinds["T2.CGII.F"] == "skepticism"
    assert kinds["T2.QIDS.F"] == kinds["TX.CAPS.X"] == kinds["LG.MADR.TRT"] == "advocacy"
    assert kinds["LG.QIDS.TRT"] == "undefined"
    assert "RG.DEP.MADRS24" not in kinds
    limits = table["critical_limit"].sel(contrast=["T2.IESR.X", "T2.IESR.F"]).values
    assert limits == pytest.approx([13.65, 14.92], abs=0.005)


def test_infinite_df_is_no_df() -> None:
    """Infinite degrees of freedom are the normal: no convention T, and its likelihood is N's."""
    bare, infinite = (credibility_document(*CROSSOVER, df=df) for df in (None, math.inf))
    assert bare == infinite
    row = xr.Dataset({"estimate": 12.65, "interval_low": 2.5, "interval_high": 22.8, "df": np.inf})
    one, other = (likelihood_of(row, convention) for convention in "TN")
    assert one.dist == other.dist == "normal"
    assert one.params == pytest.approx(other.params)


def test_rows_without_df(printed: Evidence) -> None:
    """A row without degrees of freedom has no convention T; other rows keep theirs."""
    effects = printed.data["effects"].to_dataset()
    effects["df"].loc[{"contrast": "F"}] = np.inf
    bare = Evidence("published", printed.trial, xr.DataTree.from_dict({"effects": effects}))
    p_value = credibility_table(bare)["p_value"]
    assert np.isnan(p_value.sel(contrast="F", convention="T"))
    assert np.isfinite(p_value.sel(contrast="X")).all()
