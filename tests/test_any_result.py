"""A printed result of any measure: posterior, questions, priors, prior plane, command."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from typer.testing import CliRunner

from bayes_ptsd.cli import app
from bayes_ptsd.credibility import assess_interval
from bayes_ptsd.credibility.any_result import (
    claims_document,
    result_document,
    result_grid,
    result_likelihood,
)
from bayes_ptsd.credibility.elicited import Beliefs, believed
from bayes_ptsd.credibility.prior_plane import Evidential, boundary_mean, prob_beyond
from bayes_ptsd.credibility.questions import Questions
from bayes_ptsd.credibility.reverse_bayes import skepticism_limit
from bayes_ptsd.errors import EvidenceError, SpecError, StatisticalWarning
from bayes_ptsd.evidence.measures import PrintedResult, printed_result
from bayes_ptsd.exact.grid import grid_cdf
from bayes_ptsd.exact.summary import exact_posterior
from bayes_ptsd.plots import figure_svg, prior_plane_figure
from bayes_ptsd.priors import Prior, mixture, normal, parse_prior, reflected, student_t

HR = {"measure": "hr", "estimate": 0.75, "ci_low": 0.55, "ci_high": 1.02}
MADRS = {"measure": "md", "estimate": 3.07, "se": 1.19}
COUNTS = {"measure": "or", "counts": "89/1108 101/1096"}


def read(row: dict[str, Any], **more: Any) -> PrintedResult:
    """Return a printed result."""
    return printed_result(row | more)


def run(*words: str) -> Any:
    """Return what one command line did."""
    return CliRunner().invoke(app, ["credibility", *words])


def test_a_hazard_ratio_under_a_normal_prior() -> None:
    """Median, interval and probabilities are those of the conjugate normal, as printed."""
    result = read(HR)
    shrunk = 0.392**2 / (0.392**2 + result.se**2)
    known = stats.norm(shrunk * result.estimate, result.se * math.sqrt(shrunk))
    asked = Questions(thresholds=(0.9, 1.1), rope=(0.9, 1.1), margin=1.2, control_risk=0.4)
    document = result_document(result, beliefs=Beliefs(priors=(normal(0, 0.392),)), asked=asked)
    found = document["posteriors"][0]
    assert found["median"] == pytest.approx(math.exp(known.mean()), abs=1e-7)
    assert np.log(found["eti95"]) == pytest.approx(known.interval(0.95), abs=1e-7)
    assert found["prob_benefit"] == pytest.approx(known.cdf(0), abs=1e-8)
    below = [known.cdf(math.log(t)) for t in (0.9, 1.1, 1.2)]
    assert [one["probability"] for one in found["beyond"]] == pytest.approx(below[:2], abs=1e-8)
    assert found["rope"]["inside"] == pytest.approx(below[1] - below[0], abs=1e-8)
    assert found["rope"]["better"] == pytest.approx(below[0], abs=1e-8)
    assert found["noninferiority"]["probability"] == pytest.approx(below[2], abs=1e-8)
    # proportional hazards: 1 - 0.6^HR
    difference = 0.6 - 0.6 ** math.exp(known.mean())
    absolute = found["absolute"]
    assert absolute["risk_difference"]["median"] == pytest.approx(difference, abs=1e-7)
    assert absolute["nnt"][0]["number"] == pytest.approx(-1 / difference, rel=1e-6)
    assert [one["for_one_more"] for one in absolute["nnt"]] == ["benefit", "benefit", "harm"]


@pytest.mark.parametrize(
    ("measure", "risk"),
    [("or", lambda ratio: 0.3 * ratio / (0.7 + 0.3 * ratio)), ("rr", lambda ratio: 0.3 * ratio)],
)
def test_ratios_at_a_control_risk(measure: str, risk: Any) -> None:
    """Odds and risk ratios at a control risk of .3 are the risks of the textbook."""
    result = read({"measure": measure, "estimate": 0.8, "se": 0.1})
    document = result_document(result, asked=Questions(control_risk=0.3))
    found = document["posteriors"][0]["absolute"]["risk_difference"]["median"]
    assert found == pytest.approx(risk(0.8) - 0.3, abs=1e-8)


def test_the_curve_is_the_probability_at_every_threshold() -> None:
    """The curve of a flat posterior is the normal distribution function, falling with benefit."""
    document = result_document(read(HR))
    result = read(HR)
    thresholds = np.array(document["curve"]["threshold"])
    known = stats.norm.cdf(np.log(thresholds), result.estimate, result.se)
    assert document["curve"]["prob_beyond"]["flat"] == pytest.approx(known, abs=1e-8)
    assert len(thresholds) == 201


@pytest.mark.parametrize("df", [5.0, math.inf])
def test_direction_turns_every_answer(df: float) -> None:
    """A difference with the other sign and the other direction has the same answers."""
    up = result_document(read(MADRS, df=df), beliefs=Beliefs(sd=9.0))
    down = result_document(
        read({"measure": "md", "estimate": -3.07, "se": 1.19}, df=df, better="lower"),
        beliefs=Beliefs(sd=9.0),
    )
    assert len(up["posteriors"]) == 6
    for one, other in zip(up["posteriors"], down["posteriors"], strict=True):
        assert one["prior"] == other["prior"]
        assert one["prob_benefit"] == pytest.approx(other["prob_benefit"], abs=1e-9)
        assert one["median"] == pytest.approx(-other["median"], abs=1e-7)
    figures = [
        [one["value"] for one in document["credibility"]["quantities"]] for document in (up, down)
    ]
    assert len(figures[0]) == len(figures[1])
    for one, other in zip(*figures, strict=True):
        if isinstance(one, float):
            assert one == pytest.approx(other, rel=1e-6, abs=1e-9)


def test_likelihood_follows_what_is_printed() -> None:
    """With df it is Student-t and without, or with infinite df, normal; the flat P says which."""
    for df, known in ((30.0, stats.t(30)), (math.inf, stats.norm())):
        found = result_document(read(MADRS, df=df))["posteriors"][0]
        assert found["prob_benefit"] == pytest.approx(known.cdf(3.07 / 1.19), abs=1e-8)
    assert "Student-t with 30" in read(MADRS, df=30.0).likelihood
    assert student_t(math.inf, 1, 2) == normal(1, 2)


def test_credibility_is_that_of_the_interval() -> None:
    """Bayes factors and the rest are those of the interval of the logarithm, benefit positive."""
    document = result_document(read(HR), beliefs=Beliefs(priors=(normal(-0.2, 0.4),)))
    known = assess_interval(
        -math.log(0.55 * 1.02) / 2, -math.log(1.02), -math.log(0.55), priors=[normal(0.2, 0.4)]
    )
    found = {one["name"]: one["value"] for one in document["credibility"]["quantities"]}
    for name in ("bayes_factor_10", "critical_limit", "replication_probability"):
        assert found[name] == pytest.approx(float(known[name].squeeze()), rel=1e-9)


def test_zampieri_three_by_three() -> None:
    """From an odds ratio of .86: the SDs that CABANA's reanalysis printed for its nine priors."""
    with pytest.warns(StatisticalWarning, match="the data are used twice"):
        priors = believed(read(COUNTS), Beliefs(mcid=0.8607))
    assert [one.name for one in priors[:4]] == [
        "flat", "optimistic strong", "optimistic moderate", "optimistic weak",
    ]  # fmt: skip
    sds = [one.params["sigma"] for one in priors[1:]]
    printed = [0.091, 0.145, 0.287, 0.207, 0.354, 0.561, 0.091, 0.145, 0.287]
    assert sds == pytest.approx(printed, abs=1.1e-3)
    means = [one.params["mu"] for one in priors[1:]]
    assert means == pytest.approx([-0.15] * 3 + [0] * 3 + [0.15] * 3, abs=1e-4)
    assert [float(one.cdf(0)) for one in priors[1:4]] == pytest.approx([0.95, 0.85, 0.70])


def test_mass_and_history_as_priors() -> None:
    """A mass of .05 beyond 0.525 is N(0, 0.392²); half an earlier trial, twice its variance."""
    mass, history = believed(
        read(HR), Beliefs(mass=(1, 0.525, 0.05), historical=(0.6, 0.4, 0.9), discount=0.5)
    )[1:]
    assert mass.params == pytest.approx({"mu": 0, "sigma": 0.392}, abs=4e-4)
    se = math.log(0.9 / 0.4) / (2 * 1.959964)
    assert history.params == pytest.approx(
        {"mu": math.log(0.6), "sigma": se * math.sqrt(2)}, abs=1e-6
    )
    assert "0.5 of it" in history.name


@given(mu=st.floats(-3, 3), sigma=st.floats(0.1, 3), x=st.floats(-5, 5))
def test_reflected_priors_are_mirror_images(mu: float, sigma: float, x: float) -> None:
    """A reflected prior has at x the density of the prior at -x; one-sided ones are refused."""
    parts = [normal(mu, sigma), Prior("cauchy", {"mu": -mu, "sigma": 1.0})]
    for prior in (*parts, mixture([0.4, 0.6], parts), student_t(4, mu, sigma)):
        assert reflected(prior).logpdf(x) == pytest.approx(float(prior.logpdf(-x)), abs=1e-12)
    low = parse_prior("uniform(-1, 3)")
    assert reflected(low) == parse_prior("uniform(-3, 1)")
    with pytest.raises(SpecError, match="one side of 0"):
        reflected(parse_prior("half_normal(1)"))


@pytest.mark.parametrize("claim", [-3.0, 0.0, 3.0])
@pytest.mark.parametrize("sd", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("df", [4.0, math.inf])
def test_the_boundary_is_exact(claim: float, sd: float, df: float) -> None:
    """At the boundary mean the posterior probability of the claim is its level, to 1e-6.

    By the posterior of another quadrature; half a millionth of an SD to either side it is not.
    """
    likelihood = student_t(df, 3.07, 1.19)
    evidence = Evidential.of(likelihood)
    mean = boundary_mean(evidence, sd, claim, 0.975)
    found = 1 - float(grid_cdf(exact_posterior(likelihood, normal(mean, sd)), np.array(claim)))
    assert found == pytest.approx(0.975, abs=1e-6)
    assert prob_beyond(evidence, mean, sd, claim) == pytest.approx(0.975, abs=1e-8)
    assert prob_beyond(evidence, mean + 1e-6 * sd, sd, claim) > 0.975
    assert prob_beyond(evidence, mean - 1e-6 * sd, sd, claim) < 0.975


@pytest.mark.parametrize("row", [MADRS, HR, COUNTS])
def test_a_prior_makes_a_claim_where_the_plane_says_so(row: dict[str, Any]) -> None:
    """Each normal prior asked about is on the side of the boundary that its own posterior is on."""
    result = read(row)
    scale = 1.5 if row is MADRS else 0.2
    priors = tuple(normal(mean, scale) for mean in (-3 * scale, -scale, 0.5 * scale, 3 * scale))
    document = result_document(
        result, beliefs=Beliefs(priors=priors), claims=[result.of.null], claim_level=0.9
    )
    (claim,) = document["claims"]
    sds = np.log(claim["prior_sd"])
    boundary = float(np.interp(math.log(scale), sds, claim["boundary_mean"]))
    made = [one["makes_claim"] for one in claim["priors"]]
    assert made == [(one.params["mu"] - boundary) * result.sign > 0 for one in priors]
    assert True in made
    assert False in made


@pytest.mark.parametrize("measure", ["or", "rr"])
def test_the_boundary_of_counts_is_exact(measure: str) -> None:
    """The boundary of two binomials is one of their own posterior, to 1e-6."""
    result = printed_result({"measure": measure, "counts": "3/12 8/14"})
    (claim,) = claims_document(result, [0.9], 0.9)
    for place in (10, 30, 45):
        prior = normal(claim["boundary_mean"][place], claim["prior_sd"][place])
        exact = result_grid(result, prior, result.measure).dataset()
        assert float(grid_cdf(exact, np.array(math.log(0.9)))) == pytest.approx(0.9, abs=1e-6)


def test_esketamine_region_of_evidence() -> None:
    """MADRS 3.07, SE 1.19: the neutral prior that just makes P(> 0) = .975 is reverse-Bayes.

    Its SD is the skepticism limit of the interval over 1.96; no prior centered on 0 makes the claim
    of more than 3 points, every one that of more than -3.
    """
    claims = claims_document(read(MADRS), [-3, 0, 3], 0.975)
    assert claims[0]["neutral_prior_sd"] == [[0.0, None]]
    assert claims[2]["neutral_prior_sd"] == []
    half = 1.19 * stats.norm.ppf(0.975)
    limit = skepticism_limit(3.07 - half, 3.07 + half)
    ((least, most),) = claims[1]["neutral_prior_sd"]
    assert (least, most) == (pytest.approx(limit / stats.norm.ppf(0.975), abs=1e-6), None)
    assert claims[1]["who"] == "a prior centered on 0 makes this claim where its SD is above 1.39"
    wide = [one["widest_prior_probability"] for one in claims]
    assert wide == pytest.approx([1.000, 0.995, 0.523], abs=3e-3)


def test_the_figure_shows_every_claim() -> None:
    """The figure of the esketamine example names its three claims and the evidence, as SVG."""
    document = result_document(
        read(MADRS), beliefs=Beliefs(priors=(normal(0, 1.5),)), claims=[-3, 0, 3], claim_level=0.975
    )
    figure = prior_plane_figure(document)
    axes = figure.axes[0]
    labels = axes.get_legend_handles_labels()[1]
    assert labels[:3] == [f"above: P(MD > {t}) > 0.975" for t in (-3, 0, 3)]
    assert axes.texts[0].get_text() == "N(0, 1.5²)"
    assert figure_svg(figure).startswith("<svg")
    ratio = prior_plane_figure(result_document(read(HR), claims=[1]))
    assert "1.25" in [one.get_text() for one in ratio.axes[0].get_yticklabels()]
    with pytest.raises(SpecError, match="1 to 4 claims, not 0"):
        prior_plane_figure(result_document(read(HR)))


def test_a_prior_at_the_own_estimate_is_warned_of() -> None:
    """CABANA's N(-0.15, 0.091²) is the trial's own log odds ratio; a neutral prior is not."""
    with pytest.warns(StatisticalWarning, match=r"own estimate, -0.1503"):
        believed(read(COUNTS), Beliefs(priors=(normal(-0.15, 0.091),)))
    believed(read(COUNTS), Beliefs(priors=(normal(0, 0.091), normal(-0.7, 0.3))))


def test_a_likelihood_of_counts_is_on_the_scale_of_its_prior() -> None:
    """Counts with a risk difference have a prior on the odds ratio, and the Wald normal beside."""
    result = read(COUNTS, measure="rd")
    document = result_document(result, beliefs=Beliefs(priors=(normal(0, 1),)))
    assert document["result"]["prior_scale"]["measure"] == "or"
    assert result_likelihood(result).params["mu"] == pytest.approx(-0.1503, abs=1e-4)
    found = document["posteriors"][0]
    assert found["median"] == pytest.approx(found["absolute"]["risk_difference"]["median"])


REFUSED = {
    "asked": (["--estimate", "0.75", "--ci", "0.55", "1.02"], "say --measure hr"),
    "option without measure": (["--estimate", "3", "--ci", "1", "5", "--p", ".1"], "--p needs a"),
    "question without measure": (
        ["--estimate", "3", "--ci", "1", "5", "--threshold", "2"], "--threshold needs a measure",
    ),
    "prior without measure": (
        ["--estimate", "3", "--ci", "1", "5", "--mcid", "2"], "--mcid needs a measure",
    ),
    "unknown measure": (["--measure", "hzr", "--estimate", "1", "--se", "1"], "did you mean 'hr'"),
    "margin of benefit": (["--measure", "hr", "--estimate", ".8", "--se", ".1", "--margin", ".9"],
                          "not on the side of harm"),
    "MCID of harm": (["--measure", "md", "--estimate", "3", "--se", "1", "--mcid", "-2"],
                     "not on the side of benefit"),
    "no such mass": (["--measure", "md", "--estimate", "3", "--se", "1", "--prior-mass", "0", "2",
                      ".7"], "it must be below .5"),
    "threshold that is no ratio": (
        ["--measure", "hr", "--estimate", ".8", "--se", ".1", "--threshold", "0"], "above 0",
    ),
    "rope turned around": (
        ["--measure", "hr", "--estimate", ".8", "--se", ".1", "--rope", "1.1", ".9"], "comes first",
    ),
    "control risk of a mean": (
        ["--measure", "md", "--estimate", "3", "--se", "1", "--control-risk", ".2"],
        "needs an odds",
    ),
    "answer without counts": (
        ["--measure", "or", "--estimate", ".8", "--se", ".1", "--answer", "rd"], "needs counts",
    ),
    "sd of a ratio": (
        ["--measure", "or", "--estimate", ".8", "--se", ".1", "--sd", "3"], "has none",
    ),
    "family without sd": (
        ["--measure", "or", "--estimate", ".8", "--se", ".1", "--prior", "weak"], "--mcid",
    ),
    "one-sided prior": (
        ["--measure", "or", "--estimate", ".8", "--se", ".1", "--prior", "gamma(1, 1)"],
        "one side of 0",
    ),
    "discount of nothing": (
        ["--measure", "or", "--estimate", ".8", "--se", ".1", "--discount", ".5"], "--historical",
    ),
    "claim level": (
        ["--measure", "or", "--estimate", ".8", "--se", ".1", "--claim", "1", "--claim-level",
         "95"], "as 0.95",
    ),
    "no number": (["--measure", "md", "--estimate", "3", "--se", "1", "--df", "nan"], "df is nan"),
    "claim without end": (
        ["--measure", "md", "--estimate", "3", "--se", "1", "--claim=-inf"], "give a number",
    ),
    "prior not of a logarithm": (
        ["--measure", "hr", "--estimate", "3", "--se", "1", "--prior", "normal(1e9, 1)"],
        "one of its logarithm",
    ),
    "counts far from the prior": (
        ["--counts", "3/9", "4/9", "--prior", "normal(1e9, 1)"], "is of a logarithm",
    ),
    "empty arm under flat": (["--counts", "0/50", "5/50"], "give --prior"),
}  # fmt: skip


@pytest.mark.parametrize("fault", REFUSED)
def test_wrong_requests_have_one_message(fault: str) -> None:
    """What cannot be answered is refused with a message that says what to do."""
    words, message = REFUSED[fault]
    done = run(*words)
    assert isinstance(done.exception, EvidenceError | SpecError)
    assert message in str(done.exception)
    assert done.stdout == ""


def test_following_the_question_answers_it() -> None:
    """HR 0.75 (0.55 to 1.02) is asked about; with --measure hr P(benefit) is .967."""
    words = ["--estimate", "0.75", "--ci", "0.55", "1.02"]
    assert run(*words).exit_code == 1
    done = run(*words, "--measure", "hr", "--prior", "flat", "--json")
    document = json.loads(done.stdout)
    assert document["posteriors"][0]["prob_benefit"] == pytest.approx(0.967, abs=5e-4)
    assert document["input"] == {"measure": "hr", "estimate": 0.75, "ci_low": 0.55, "ci_high": 1.02}
    assert document["warnings"] == []


def test_the_command_for_people(tmp_path: Path) -> None:
    """Counts with every kind of prior and question: tables with their columns, and the figure."""
    figure = tmp_path / "plane.svg"
    done = run(
        "--counts", "89/1108", "101/1096", "--answer", "rr", "--threshold", "0.9", "--rope", "0.9",
        "1.1", "--margin", "1.2", "--prior", "flat", "--prior-mass", "1", "0.7", "0.05",
        "--historical", "0.8", "0.6", "1.0667", "--claim", "1", "--claim", "0.9",
        "--figure", str(figure),
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    for text in (
        "Odds ratio 0.8604", "Lower is better, the default of this measure", "P(RR < 0.9)",
        "P(0.9 to 1.1)", "P(not inferior, 1.2)", "Risk difference, these patients",
        "mean 1, P(beyond 0.7)", "historical 0.8", "P(OR < 1) > 0.95",
        "Credibility of the interval where it is analyzed, positive = benefit",
    ):  # fmt: skip
        assert text in done.stdout
    assert figure.read_text(encoding="utf-8").startswith("<svg")
    again = run("--counts", "89/1108", "101/1096", "--figure", str(figure))
    assert again.exit_code == 1


def test_a_document_of_arms_is_json() -> None:
    """Two arms with SDs and n are a Student-t result with a document that JSON can hold."""
    done = run(
        "--measure", "md", "--active", "12", "4", "20", "--control", "9", "6", "30", "--sd", "5",
        "--json",
    )  # fmt: skip
    document = json.loads(done.stdout)
    assert document["result"]["df"] == pytest.approx(47.9, abs=0.1)
    assert document["result"]["estimate"] == pytest.approx(3.0)
    assert [one["prior"] for one in document["posteriors"]] == [
        "flat", "reference", "weak", "skeptical", "enthusiastic", "cochrane",
    ]  # fmt: skip


def test_the_guide_says_what_the_program_answers() -> None:
    """The numbers of the guide are those of its commands."""
    guide = (Path(__file__).parents[1] / "docs/guides/any-printed-result.md").read_text("utf-8")
    beliefs, asked = Beliefs(mass=(1, 0.525, 0.05)), Questions(thresholds=(0.9,))
    flat, skeptic = result_document(read(HR), beliefs=beliefs, asked=asked)["posteriors"]
    who = claims_document(read(MADRS), [0], 0.975)[0]["who"]
    numbers = [
        (flat["prob_benefit"], "P(benefit) under a flat prior is {:.4f}"),
        (flat["beyond"][0]["probability"], "9) is {:.3f}"),
        (skeptic["prob_benefit"], "and P(benefit) {:.3f}"),
    ]
    texts = [text.format(one).replace(" 0.", " .") for one, text in numbers]
    texts += [
        f"{skeptic['median']:.2f} ({skeptic['eti95'][0]:.2f} to {skeptic['eti95'][1]:.2f})",
        f"SD is above {who.split()[-1]}",
    ]
    plain = " ".join(guide.split())
    assert [one for one in texts if one not in plain] == []
