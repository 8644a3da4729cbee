"""A replication that was done beside its original: formulas, published table, the command."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats
from typer.testing import CliRunner

from bayes_ptsd.cli import app
from bayes_ptsd.credibility import replication_document
from bayes_ptsd.credibility.observed_replication import sceptical_bayes_factor
from bayes_ptsd.errors import BayesPtsdError

Z = float(stats.norm.ppf(0.975))
# Table 1 of Pawel and Held (2022), as the tests of BayesRep 0.42 have it: original and replication
# with standard errors (Fisher z), sceptical BF, and BF of no difference over the original
PUBLISHED = {
    "Hauser": (1.144173, 0.164399, 1.194763, 0.2294157, 5.30477e-05, 1.612751e-06),
    "Aviezer": (1.963825, 0.2886751, 1.184516, 0.3015113, 0.01277782, 0.00352146),
    "Kovacs": (0.4853268, 0.2182179, 0.6718629, 0.1042572, 0.3091702, 2.997457e-09),
    "Janssen": (0.7437419, 0.1290994, 0.3584148, 0.1601282, 0.6299350, 0.6066042),
    "Pyc": (0.3960188, 0.1740777, 0.1508644, 0.05744850, 0.8491042, 0.2481847),
    "Ackerman": (0.2765705, 0.1400280, 0.06278620, 0.04096160, math.nan, 3.219065),
    "Shah": (0.2741100, 0.1373606, -0.01500687, 0.04029115, math.nan, 25.48253),
}


def interval(estimate: float, se: float) -> tuple[float, float, float]:
    """Return an estimate with its normal 95% limits."""
    return estimate, estimate - Z * se, estimate + Z * se


def figures(original: tuple[float, float], replication: tuple[float, float]) -> dict[str, Any]:
    """Return every figure by its label."""
    found = replication_document(interval(*original), interval(*replication))
    return {item["label"]: item["value"] for item in found["quantities"]}


BF_R = "replication Bayes factor, as in the original over no difference"
BF_S = "sceptical Bayes factor, success below 1"


@pytest.mark.parametrize("study", PUBLISHED)
def test_published_bayes_factors(study: str) -> None:
    """Both Bayes factors of published replications are the paper's, missing where they are."""
    to, so, tr, sr, sceptical, null = PUBLISHED[study]
    found = figures((to, so), (tr, sr))
    assert 1 / found[BF_R] == pytest.approx(null, rel=1e-4)
    # the paper's root finder stops at 1e-4 of the prior's variance
    wanted = None if math.isnan(sceptical) else pytest.approx(sceptical, rel=2e-4)
    assert found[BF_S] == wanted


@settings(deadline=None, max_examples=60)
@given(st.floats(1.2, 6), st.floats(0.2, 6))
def test_sceptical_bayes_factor_in_closed_form(zo: float, zr: float) -> None:
    """At equal sizes the crossing is Pawel and Held's Lambert W, where it is a crossing."""
    half = 0.5 * (zo**2 + zr**2)
    x = half / math.sqrt(2) * math.exp(-0.5 * (zo**2 + 0.5 * (zr - zo) ** 2))
    found = sceptical_bayes_factor(zo, zr, c=1.0)
    if x > math.exp(-1):
        assert math.isnan(found) or found == pytest.approx(zo * math.exp(-0.5 * (zo**2 - 1)))
        return
    g = -half / special.lambertw(-x, -1).real - 1
    if g < 0:
        assert math.isnan(found)
    elif g < zo**2 - 1:
        assert found == pytest.approx(math.sqrt(1 + g) * math.exp(-g * zo**2 / (2 + 2 * g)))
    else:
        assert found == pytest.approx(zo * math.exp(-0.5 * (zo**2 - 1)))


def test_no_skeptic_of_a_small_original() -> None:
    """An original within one standard error of 0 has no skeptic but no difference itself."""
    assert sceptical_bayes_factor(0.8, 2.0, c=1.0) == 1.0
    assert math.isnan(sceptical_bayes_factor(0.8, -2.0, c=1.0))


def test_prediction_and_difference() -> None:
    """Hedges and Schauer's Q test of 2 (1) and 0.5 (0.5) is chi-square 1.8, inside the interval."""
    found = figures((2.0, 1.0), (0.5, 0.5))
    assert found["two-sided P of no difference between the studies"] == pytest.approx(
        stats.chi2.sf(1.8, 1)
    )
    limits = [found[f"95% prediction interval, {end}"] for end in ("lower", "upper")]
    assert limits == pytest.approx([2 - Z * math.sqrt(1.25), 2 + Z * math.sqrt(1.25)])
    inside = "replication estimate and the prediction interval"
    assert found[inside] == "inside"
    assert figures((2.0, 1.0), (limits[0] - 0.01, 0.5))[inside] == "outside"


def test_replications_of_the_same_truth_fall_inside() -> None:
    """Of 4,000 simulated pairs with one truth, .95 of the replications are inside."""
    generator = np.random.default_rng(20261130)
    pairs = generator.normal([3.0, 3.0], [2.0, 1.0], size=(4000, 2))
    inside = [abs(one - two) <= Z * math.hypot(2, 1) for one, two in pairs]
    label = "replication estimate and the prediction interval"
    said = [figures((one, 2.0), (two, 1.0))[label] == "inside" for one, two in pairs[:200]]
    assert said == inside[:200]
    assert np.mean(inside) == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / 4000))


def test_held_2020_example() -> None:
    """Held's example, z^2 of 12.19 and 3.99 at one size, has a two-sided sceptical P of .083."""
    found = figures((math.sqrt(12.19), 1.0), (math.sqrt(3.99), 1.0))
    assert 2 * found["one-sided sceptical P, nominal"] == pytest.approx(0.083, abs=5e-4)


def test_other_sign_and_no_effect() -> None:
    """A replication in the other direction has no sceptical P, an original of 0 no direction."""
    found = replication_document(interval(3, 1), interval(-1, 1))
    missing = {item["label"]: item["note"] for item in found["quantities"] if item["value"] is None}
    assert missing["one-sided sceptical P, golden"] == "the replication points the other way"
    assert figures((3, 1), (-1, 1))[
        "one-sided P of the replication, direction of the original"
    ] == pytest.approx(stats.norm.sf(-1))
    assert figures((0, 1), (2, 1))["relative effect"] is None
    json.dumps(found, allow_nan=False)


@settings(deadline=None, max_examples=40)
@given(st.floats(0.1, 5), st.floats(-4, 5), st.floats(0.3, 3))
def test_mirrored_studies_say_the_same(zo: float, zr: float, sr: float) -> None:
    """Both studies negated, or in another unit, have the same P values and Bayes factors."""
    one, two = figures((zo, 1), (zr, sr)), figures((-10 * zo, 10), (-10 * zr, 10 * sr))
    for label in one:
        if "estimate" not in label and "interval" not in label and label != "standard error":
            assert two[label] == (
                pytest.approx(one[label], rel=1e-5) if isinstance(one[label], float) else one[label]
            ), label


CREDIBILITY = ("credibility", "--estimate", "8.6", "--ci", "0.94", "16.2", "--df", "38")


def test_command() -> None:
    """The command adds the replication to the JSON and prints the same figures to people."""
    extra = ("--replication", "5", "--replication-ci", "-1", "11")
    done = CliRunner().invoke(app, [*CREDIBILITY, *extra, "--json"], catch_exceptions=False)
    document = json.loads(done.stdout)
    assert document["replication"] == replication_document((8.6, 0.94, 16.2), (5, -1, 11))
    plain = CliRunner().invoke(app, [*CREDIBILITY, "--json"], catch_exceptions=False)
    assert json.loads(plain.stdout) == {k: v for k, v in document.items() if k != "replication"}
    text = CliRunner().invoke(app, [*CREDIBILITY, *extra], catch_exceptions=False).stdout
    assert "-1.1065" in text
    assert "sceptical Bayes factor, success below 1" in text


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        (["--replication", "5"], "give --replication and --replication-ci"),
        (["--replication", "5", "--replication-ci", "11", "-1"], "the lower limit first"),
        (["--replication", "15", "--replication-ci", "-1", "11"], "between the limits"),
    ],
)
def test_refusals(extra: list[str], named: str) -> None:
    """Half a replication, swapped limits and an estimate outside them are refused."""
    with pytest.raises(BayesPtsdError) as caught:
        CliRunner().invoke(app, [*CREDIBILITY, *extra], catch_exceptions=False)
    assert named in str(caught.value)


def test_half_a_replication_is_refused_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """An estimate without its limits is refused before the original is computed, of any measure."""

    def compute(*_: object, **__: object) -> None:
        raise AssertionError("computed")

    for module, name in (("any_result", "result_document"), ("assess", "assess_interval")):
        monkeypatch.setattr(f"bayes_ptsd.credibility.{module}.{name}", compute)
    words = ["credibility", "--measure", "hr", "--estimate", "0.75", "--ci", "0.55", "1.02"]
    for command in (words, list(CREDIBILITY)):
        with pytest.raises(BayesPtsdError) as caught:
            CliRunner().invoke(app, [*command, "--replication", "0.8"], catch_exceptions=False)
        assert "give --replication and --replication-ci" in str(caught.value)
