"""A prior from history updated by its trial: arms, their difference, and the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import special, stats
from typer.testing import CliRunner

from bayes_ptsd.cli import app
from bayes_ptsd.errors import BayesPtsdError
from bayes_ptsd.priors import Prior, mixture, normal
from bayes_ptsd.replication.mixtures import robustify, update_binomial, update_normal
from bayes_ptsd.replication.new_trial import (
    UpdatedArm,
    difference_cdf,
    new_trial_document,
    parse_arm,
)


def beta(a: float, b: float) -> Prior:
    """Return a beta prior."""
    return Prior("beta", {"shape1": a, "shape2": b})


# as the vignettes of RBesT 1.9 print them, of ankylosing spondylitis and of Crohn's disease
RESPONDERS = mixture(
    [0.4612914, 0.1917812, 0.1893896, 1 - 0.4612914 - 0.1917812 - 0.1893896],
    [beta(33.9513487, 103.0146367), beta(19.4400089, 41.5205219), beta(12.2692310, 55.9202833),
     beta(2.2521243, 5.4812202)],
)  # fmt: skip
ACTIVITY = mixture(
    [0.50104846, 0.41871594, 1 - 0.50104846 - 0.41871594],
    [normal(-51.42408665, 19.04525409), normal(-47.25917128, 7.85193726),
     normal(-55.07086416, 44.57325)],
)  # fmt: skip


def test_published_binary_analysis() -> None:
    """RBesT's own mixture gives the published P(active > placebo) = .9917197 to all digits."""
    control = update_binomial(robustify(RESPONDERS, beta(1, 1), weight=0.2), n=6, r=1)
    active = update_binomial(beta(0.5, 1), n=24, r=14)
    below = difference_cdf(active, control, np.array([0.0]))
    assert 1 - below[0] == pytest.approx(0.9917197, abs=1e-7)


def test_published_normal_analysis() -> None:
    """RBesT's own mixture gives the published P(< 0) = .06270104 and P(< -50) = 3.827361e-06."""
    prior = robustify(ACTIVITY, normal(-50, 88), weight=0.2)
    control = update_normal(prior, estimate=-63.1, se=13.9)
    active = update_normal(normal(-50, 88), estimate=-29.2, se=14.0)
    below = difference_cdf(active, control, np.array([0.0, -50.0]))
    assert below[0] == pytest.approx(0.06270104, abs=1e-8)
    assert below[1] == pytest.approx(3.827361e-06, rel=1e-6)


@pytest.mark.parametrize("d", [-2.0, -1.0, -0.4, 0.0, 0.3, 1.0, 1.5])
def test_difference_of_two_uniform_risks(d: float) -> None:
    """The difference of two uniform risks is triangular, also beyond its ends."""
    wanted = stats.triang(0.5, -1, 2).cdf(d)
    found = difference_cdf(beta(1, 1), beta(1, 1), np.array([d]))[0]
    assert found == pytest.approx(wanted, abs=1e-9)


def test_difference_of_mixtures_is_the_mixture() -> None:
    """P(difference < d) of two mixtures is the weighted mean over the pairs of components."""
    one, two = mixture([0.3, 0.7], [beta(3, 9), beta(1, 2)]), mixture([0.6, 0.4], [beta(8, 4)] * 2)
    pairs = [difference_cdf(part, beta(8, 4), np.array([-0.2])) for part in one.components]
    wanted = 0.3 * pairs[0] + 0.7 * pairs[1]
    assert difference_cdf(one, two, np.array([-0.2])) == pytest.approx(wanted, abs=1e-12)


def test_quantiles_of_the_difference_have_their_probability() -> None:
    """Median and interval of a difference of normals are those of its closed form."""
    arms = [
        UpdatedArm(parse_arm(text, option="--new", likelihood="normal"), Prior("flat"))
        for text in ("y=4,se=3", "y=-2.5,se=4")
    ]
    found = new_trial_document(*arms, below=[1.0])["difference"]
    wanted = stats.norm(-6.5, 5)
    assert (found["mean"], found["sd"]) == pytest.approx((-6.5, 5.0))
    assert list(found["quantiles"].values()) == pytest.approx(wanted.ppf([0.025, 0.5, 0.975]))
    assert found["prob_below"] == [
        {"difference": 1.0, "probability": pytest.approx(wanted.cdf(1.0))}
    ]


def test_weights_after_a_binomial_arm() -> None:
    """A mixture's weights move by the beta-binomial probability of the arm, in closed form."""
    prior = mixture([0.8, 0.2], [beta(12, 36), beta(1, 1)])
    arm = parse_arm("n=6, r=5", option="--new", likelihood="binomial")
    document = new_trial_document(UpdatedArm(arm, prior))
    given = [0.8 * stats.betabinom.pmf(5, 6, 12, 36), 0.2 * stats.betabinom.pmf(5, 6, 1, 1)]
    components = document["control"]["posterior"]["components"]
    assert [one["weight"] for one in components] == pytest.approx(np.array(given) / sum(given))
    assert components[1]["weight"] > 0.8
    assert [components[0][key] for key in ("shape1", "shape2")] == [17, 37]
    assert "difference" not in document


def run(*arguments: str) -> Any:
    """Run `map` and return its JSON document."""
    done = CliRunner().invoke(app, ["map", *arguments, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture
def placebo(tmp_path: Path) -> list[str]:
    """Return the arguments of RBesT's binary example."""
    counts = zip([107, 44, 51, 39, 139, 20, 78, 35], [23, 12, 19, 9, 39, 6, 9, 10], strict=True)
    rows = [f"{place},{n},{r}" for place, (n, r) in enumerate(counts)]
    file = tmp_path / "placebo.csv"
    file.write_text("\n".join(["study,n,r", *rows, ""]))
    return [str(file), "--likelihood", "binomial", "--robust", "0.2"]


@pytest.fixture
def quick(placebo: list[str]) -> list[str]:
    """Return the arguments of the example with a mixture that is found at once."""
    return [*placebo, "--components", "1"]


NEW = ("--new", "n=6,r=1", "--active", "n=24,r=14")


def test_command(placebo: list[str]) -> None:
    """From the history alone the published .9917 is met to the Monte Carlo error of its mixture."""
    found = run(*placebo, *NEW, "--active-prior", "beta(0.5, 1)", "--below", "0", "--below", "0.2")
    new = found["new_trial"]
    below = [one["probability"] for one in new["difference"]["prob_below"]]
    assert 1 - below[0] == pytest.approx(0.9917, abs=1e-3)
    assert below[0] < below[1] < 0.5
    weights = [new["control"]["posterior"]["components"][-1]["weight"],
               found["robust"]["components"][-1]["weight"]]  # fmt: skip
    assert weights[0] < weights[1] == pytest.approx(0.2)
    assert new["active"]["posterior"]["mean"] == pytest.approx(14.5 / 25.5)


def test_command_without_an_active_arm(quick: list[str]) -> None:
    """Without an active arm there is no difference, without a new trial no word of one."""
    assert list(run(*quick, "--new", "n=6,r=1")["new_trial"]) == ["control"]
    assert "new_trial" not in run(*quick)


def test_tables(quick: list[str]) -> None:
    """People read the same probability as the JSON has, and uniform is the default prior."""
    text = CliRunner().invoke(app, ["map", *quick, *NEW], catch_exceptions=False).stdout
    below = run(*quick, *NEW)["new_trial"]["difference"]["prob_below"]
    assert [one["difference"] for one in below] == [0.0]
    assert f"{below[0]['probability']:.6g}" in text
    assert "control (n = 6, r = 1)" in text


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--active", "n=4,r=1"], "give it by --new"),
        (["--new", "n=4,r=1", "--below", "0"], "give it by --active"),
        (["--new", "n=4,r=5"], "r = 5 is not between 0 and n = 4"),
        (["--new", "n=4"], "an arm of a binomial trial is written 'n=..,r=..'"),
        (["--new", "n=4,r=1,n=5"], "is written 'n=..,r=..'"),
        (["--new", "y=4,se=1"], "is written 'n=..,r=..'"),
        (["--new", "n=4,events=1"], "unknown key 'events'"),
        (["--new", "n=4,r=one"], "'one' is no number"),
        (["--new", "n=4,r=1", "--active", "n=4,r=1", "--active-prior", "normal(0, 1)"], "not beta"),
    ],
)
def test_refusals(quick: list[str], options: list[str], named: str) -> None:
    """What is no arm, or belongs to an arm that is not there, is refused with the way to say it."""
    with pytest.raises(BayesPtsdError) as caught:
        CliRunner().invoke(app, ["map", *quick, *options], catch_exceptions=False)
    assert named in str(caught.value)


def test_arm_of_a_normal_trial_by_its_size() -> None:
    """`n` and `y` with sigma is `y` with sigma over the root of n; without sigma it is refused."""
    arm = parse_arm("n=16,y=3", option="--new", likelihood="normal", sigma=8.0)
    assert UpdatedArm(arm, Prior("flat")).posterior == normal(3, 2)
    with pytest.raises(BayesPtsdError, match="sigma"):
        parse_arm("n=16,y=3", option="--new", likelihood="normal")
    assert special.ndtr(0.0) == difference_cdf(normal(1, 2), normal(1, 3), np.array([0.0]))[0]
