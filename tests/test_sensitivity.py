"""Sensitivity to what print cannot settle, against closed forms and known tipping points."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from scipy import stats
from typer.testing import CliRunner

from bayes_ptsd.cli import app
from bayes_ptsd.errors import EvidenceError, SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.published import load_published
from bayes_ptsd.exact.grid import grid_cdf
from bayes_ptsd.exact.summary import exact_posterior
from bayes_ptsd.models_files import load_model
from bayes_ptsd.plots.sensitivity import contour_figure, ranking_figure
from bayes_ptsd.pooling import pool_crossover
from bayes_ptsd.priors import Prior, normal, student_t
from bayes_ptsd.reconstruction.release import load_release
from bayes_ptsd.sensitivity import (
    MissingShares,
    biased_posterior,
    expectancy_bias,
    missing_contour,
    missing_shares,
    normal_bias,
    ranked_assumptions,
    ranking_frame,
    tipping_delta,
    tipping_points,
)
from bayes_ptsd.sensitivity.bias import tipping_bias
from bayes_ptsd.sensitivity.missing import linear_summary
from bayes_ptsd.sensitivity.reconstructed import one_sided_carryover, reconstructed_changes

FLAT = Prior("flat")
CROSSOVER, FIRST = normal(12.7, 5.178664), normal(8.6, 3.892910)


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    """Return the printed evidence."""
    return load_published()


def below(exact: object, x: float) -> float:
    """Return the probability below `x`."""
    return float(grid_cdf(exact, np.array(x)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("likelihood", "mean", "expected"),
    [
        (CROSSOVER, 0.0, (12.70, 5.611, 0.9882)),
        (FIRST, 0.0, (8.60, 4.452, 0.9733)),
        (CROSSOVER, 0.15, (10.54, 5.611, 0.9698)),
        (FIRST, 0.15, (6.44, 4.452, 0.9260)),
    ],
)
def test_normal_bias_is_the_normal_convolution(
    likelihood: Prior, mean: float, expected: tuple[float, float, float]
) -> None:
    """A normal bias of sd 0.15 SD under a flat prior gives the convolution's closed form."""
    exact = biased_posterior(likelihood, FLAT, normal_bias(mean * 14.4, 0.15 * 14.4))
    found = (float(exact["mean"]), float(exact["sd"]), 1 - below(exact, 0.0))
    assert found == pytest.approx(expected, abs=6e-4)
    sd = np.hypot(likelihood.params["sigma"], 2.16)
    assert found[2] == pytest.approx(
        stats.norm.cdf((likelihood.params["mu"] - 14.4 * mean) / sd), abs=1e-9
    )


def test_bias_under_student_t_and_a_skeptical_prior_is_the_double_integral() -> None:
    """P(benefit) equals a two-dimensional quadrature that shares no code with it."""
    exact = biased_posterior(student_t(38, 8.57, 3.769), normal(0, 7.879), normal_bias(2.0, 2.16))

    nodes, weights = np.polynomial.legendre.leggauss(300)
    b, b_weight = 2.0 + 20 * nodes, stats.norm.pdf(2.0 + 20 * nodes, 2.0, 2.16) * weights

    def mass(low: float, high: float) -> float:
        delta = (low + high) / 2 + (high - low) / 2 * nodes
        likelihood = stats.t.pdf(8.57, 38, delta[:, None] + b, 3.769) @ b_weight
        prior = stats.norm.pdf(delta, 0, 7.879)
        return float(likelihood * prior @ weights) * (high - low) / 2

    lower, upper = mass(-60, 0), mass(0, 60)
    assert 1 - below(exact, 0.0) == pytest.approx(upper / (lower + upper), abs=1e-8)


def test_no_bias_changes_nothing() -> None:
    """A bias known to be zero gives the posterior without one."""
    plain, with_bias = (
        exact_posterior(student_t(27, 12.65, 4.947), normal(0, 7.879)),
        biased_posterior(student_t(27, 12.65, 4.947), normal(0, 7.879), normal_bias(0.0, 0.0)),
    )
    for name in ("mean", "sd", "log_marginal_likelihood"):
        assert float(with_bias[name]) == pytest.approx(float(plain[name]), abs=1e-8)


def test_expectancy_has_the_moments_of_a_product() -> None:
    """E (q_a - q_c) of independent factors has the product's mean and variance."""
    difference = np.array([0.1, 0.25, 0.4])
    bias = expectancy_bias(difference, strength_mean=4.32, strength_sd=2.16)
    second = (4.32**2 + 2.16**2) * (difference**2).mean()
    assert bias.mean == pytest.approx(4.32 * 0.25)
    assert bias.sd == pytest.approx(np.sqrt(second - bias.mean**2))


def test_tipping_bias_is_the_lower_limit_under_a_flat_prior() -> None:
    """A bias of the lower 95% limit leaves P(benefit) at .975; a skeptic needs less."""
    likelihood = student_t(27, 12.65, (22.8 - 2.5) / (2 * stats.t.ppf(0.975, 27)))
    assert tipping_bias(likelihood, FLAT) == pytest.approx(2.5, abs=1e-4)
    assert tipping_bias(likelihood, normal(0, 7.879)) < 2.5


@pytest.mark.parametrize(
    ("share", "tips", "null"),
    [(6 / 22, (-18.70, -30.67), -93.13), (9 / 22, (-12.47, -20.44), -62.09)],
)
def test_tipping_deltas_are_known(share: float, tips: tuple[float, float], null: float) -> None:
    """Remitters and all non-completers tip P(benefit) at the Deltas of the closed form."""
    exact = exact_posterior(CROSSOVER, FLAT)
    found = [tipping_delta(exact, share=share, level=level) for level in (0.975, 0.95)]
    assert found == pytest.approx(tips, abs=0.006)
    moved = linear_summary(exact, shift=MissingShares(share, 0, "").shift(null, 0))
    assert moved["mean"] == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize(
    ("share", "expected"), [(6 / 22, (10.97, 0.9829)), (9 / 22, (10.10, 0.9745))]
)
def test_no_benefit_in_the_missing(share: float, expected: tuple[float, float]) -> None:
    """Without within-patient benefit in the missing, mean and P(benefit) are the known ones."""
    exact = exact_posterior(CROSSOVER, FLAT)
    moved = linear_summary(exact, shift=MissingShares(share, 0, "").shift(-12.7, 0))
    assert (moved["mean"], moved["prob_benefit"]) == pytest.approx(expected, abs=6e-3)
    assert moved["prob_benefit"] == pytest.approx(expected[1], abs=6e-5)


def test_linear_summary_of_a_normal_is_normal() -> None:
    """Slope, shift and spread of a normal give a normal: moments, limits and tail."""
    exact = exact_posterior(normal(3.0, 2.0), FLAT)
    found = linear_summary(exact, slope=0.8, shift=-1.0, spread=1.5, mcid=2.0)
    true = stats.norm(0.8 * 3 - 1, np.hypot(1.6, 1.5))
    assert found["low"] == pytest.approx(true.ppf(0.025), abs=1e-6)
    assert found["high"] == pytest.approx(true.ppf(0.975), abs=1e-6)
    assert found["prob_benefit"] == pytest.approx(true.sf(0), abs=1e-8)
    assert found["prob_gt_mcid"] == pytest.approx(true.sf(2.0), abs=1e-8)


def test_contour_falls_with_delta_and_is_the_tail() -> None:
    """Every cell of the contour is the normal tail; it rises with either Delta."""
    exact = exact_posterior(CROSSOVER, FLAT)
    shares = MissingShares(9 / 22, 3 / 19, "all")
    contour = missing_contour(exact, shares, deltas=[-30.0, 0.0, 10.0], margins=[0.0, 7.2])
    cell = contour.sel(margin=7.2, delta_active_first=-30, delta_control_first=10)
    mean = 12.7 + (9 / 22 * -30 + 3 / 19 * 10) / 2
    assert float(cell) == pytest.approx(stats.norm.sf(7.2, mean, 5.178664), abs=1e-8)
    for dim in ("delta_active_first", "delta_control_first"):
        assert bool((contour.diff(dim) > 0).all())


def test_contour_figure_has_a_panel_a_margin() -> None:
    """Each panel names its margin and marks where the missing are like the completers."""
    exact = exact_posterior(CROSSOVER, FLAT)
    contour = missing_contour(
        exact, MissingShares(0.4, 0.2, "all"), deltas=[-20.0, 0.0, 10.0], margins=[0.0, 7.2]
    )
    texts = {"label": "IES-R", "unit": "points", "active": "ketamine"}
    figure = contour_figure(contour, title="Crossover", kind="published", **texts)
    titles = [axes.get_title(loc="left") or axes.get_title() for axes in figure.axes]
    assert titles == ["P(difference > 0)", "P(difference > 7.2)"]
    for axes in figure.axes:
        assert axes.lines[0].get_xydata().tolist() == [[0.0, 0.0]]
        assert axes.lines[0].get_marker() == "+"


def test_shares_follow_the_flow_reading(evidence: Evidence) -> None:
    """The paper's flow has 9/22 and 3/19 without a second rating, the registry's 6/22 and 6/19."""
    paper, registry = (
        missing_shares(evidence, flow_reading=name) for name in ("paper", "registry")
    )
    assert (paper.active_first, paper.control_first) == (9 / 22, 3 / 19)
    assert (registry.active_first, registry.control_first) == (6 / 22, 6 / 19)


def test_ranking_starts_at_the_print_and_falls(evidence: Evidence) -> None:
    """The base is the printed interval; moves of P(benefit) fall; readings keep P(benefit)."""
    table = ranked_assumptions(evidence, "T2.IESR.X")
    base = table.isel(change=0)
    assert [float(base["low"]), float(base["high"])] == pytest.approx([2.5, 22.8], abs=1e-6)
    moves = np.abs(table["move_prob_benefit"].values[1:])
    assert bool((np.diff(moves) <= 0).all())
    reading = table.isel(change=np.flatnonzero(table["assumption"] == "crossover reading"))
    assert float(reading["move_prob_benefit"][0]) == pytest.approx(0, abs=1e-9)
    assert float(reading["mean"][0]) == pytest.approx(6.325, abs=1e-6)
    skeptical = table.isel(change=np.flatnonzero(table["alternative"] == "skeptical prior"))
    assert float(skeptical["prob_benefit"][0]) == pytest.approx(0.9770, abs=6e-5)


def test_ranking_is_a_flat_table(evidence: Evidence) -> None:
    """A line per change, each with its contrast and kind of evidence, and the same numbers."""
    table = ranked_assumptions(evidence, "T2.IESR.F")
    frame = ranking_frame(table)
    assert len(frame) == table.sizes["change"]
    assert set(frame["contrast"]) == {"T2.IESR.F"}
    assert set(frame["evidence_kind"]) == {"published"}
    np.testing.assert_array_equal(frame["prob_benefit"], table["prob_benefit"])


def test_unhalved_deltas_are_half(evidence: Evidence) -> None:
    """Tipping values of missing second periods halve with the contrast."""
    whole, half = (
        {
            (point["who"], point["level"]): point["value"]
            for point in tipping_points(evidence, "T2.IESR.X", crossover_reading=reading)
            if point["assumption"] == "missing second periods"
        }
        for reading in ("as_published", "unhalved")
    )
    assert {key: value / 2 for key, value in whole.items()} == pytest.approx(half)


def test_what_cannot_be_asked_is_refused(evidence: Evidence) -> None:
    """Shares beyond 1, an unknown reason, nobody missing and a negative sd get one message each."""
    with pytest.raises(EvidenceError, match="not a share"):
        MissingShares(1.2, 0.0, "")
    with pytest.raises(EvidenceError, match="reason 'moved'"):
        missing_shares(evidence, reason="moved")
    with pytest.raises(EvidenceError, match="nobody is missing"):
        tipping_delta(exact_posterior(CROSSOVER, FLAT), share=0.0)
    with pytest.raises(SpecError, match="zero or positive"):
        normal_bias(0.0, -1.0)


def test_command_prints_changes_and_tipping_points() -> None:
    """The command prints ranking and tipping points; an unknown row is refused."""
    done = CliRunner().invoke(app, ["sensitivity", "T2.IESR.F", "--reconstructions", "0"])
    assert done.exit_code == 0, done.output
    assert "skeptical prior" in done.output
    assert "known bias" in done.output
    wrong = CliRunner().invoke(app, ["sensitivity", "T2.IESR.Q"])
    assert wrong.exit_code == 1
    assert "T2.IESR.Q" in str(wrong.exception)


@pytest.fixture(scope="module")
def ranked(evidence: Evidence) -> xr.Dataset:
    """Return the ranking of the primary crossover row with five reconstructions."""
    return ranked_assumptions(evidence, "T2.IESR.X", reconstructions=5)


def line_of(table: xr.Dataset, alternative: str, kind: str = "reconstructed") -> xr.Dataset:
    """Return one line of a ranking."""
    mask = (table["alternative"].values == alternative) & (table["evidence_kind"].values == kind)
    return table.isel(change=int(np.flatnonzero(mask)[0]))


def test_each_kind_of_evidence_has_its_own_base(ranked: xr.Dataset) -> None:
    """Two bases first; each move is from the base of its kind; moves of P(benefit) fall."""
    assert ranked["assumption"].values[:2].tolist() == ["base", "base"]
    assert ranked["evidence_kind"].values[:2].tolist() == ["published", "reconstructed"]
    assert ranked.attrs["evidence_kind"] == "published, reconstructed"
    for key in ("mean", "prob_benefit"):
        for place, kind in enumerate(("published", "reconstructed")):
            own = ranked.isel(change=np.flatnonzero(ranked["evidence_kind"] == kind))
            base = float(ranked[key][place])
            assert own[f"move_{key}"].values == pytest.approx(own[key].values - base, abs=1e-12)
    assert bool((np.diff(np.abs(ranked["move_prob_benefit"].values[2:])) <= 0).all())


def test_reconstructed_lines_are_the_pooled_models(ranked: xr.Dataset) -> None:
    """Models, carryover, reading and flow give what the pooled exact engine gives for each."""
    sets = load_release(m=5)
    expected = {
        "crossover model, 5 sets": pool_crossover(
            sets, load_model("crossover"), endpoint="ies_r"),
        "both periods only": pool_crossover(
            sets, load_model("crossover-completers"), endpoint="ies_r"),
        # 0.4 reference SD is the model file's own carryover prior
        "carryover N(0, 0.4\N{SUPERSCRIPT TWO}) SD": pool_crossover(
            sets, load_model("crossover-carryover"), endpoint="ies_r"),
        "read as unhalved": pool_crossover(
            load_release("unhalved", m=5), load_model("crossover"), endpoint="ies_r"),
        "flow of the registry": pool_crossover(
            load_release(flow_reading="registry", m=5), load_model("crossover"),
            endpoint="ies_r"),
    }  # fmt: skip
    for alternative, pooled in expected.items():
        line = line_of(ranked, alternative)
        for key in ("mean", "sd", "low", "high", "prob_benefit", "prob_gt_mcid"):
            assert float(line[key]) == pytest.approx(float(pooled[key]), abs=1e-9), alternative
    # the completers' model is the printed analysis up to its priors: mean and P(benefit) near it
    completers = line_of(ranked, "both periods only")
    assert float(completers["mean"]) == pytest.approx(12.65, abs=0.5)


def test_one_sided_carryover_is_half_of_the_two_sided() -> None:
    """Averaged over both signs it is the carryover model; one sign alone moves the answer up."""
    sets, spec, scale = load_release(m=2), load_model("crossover"), 0.4 * 14.4
    asked = {"endpoint": "ies_r", "visit": "24h", "scale": scale}
    both = one_sided_carryover(sets, spec, low=-4.5, **asked)  # type: ignore[arg-type]
    engine = pool_crossover(sets, load_model("crossover-carryover"), endpoint="ies_r")
    for key in ("mean", "sd", "prob_benefit", "prob_gt_mcid"):
        assert float(both[key]) == pytest.approx(float(engine[key]), abs=2e-4), key
    one = one_sided_carryover(sets, spec, **asked)  # type: ignore[arg-type]
    none = pool_crossover(sets, spec, endpoint="ies_r")
    assert float(one["mean"]) > float(none["mean"]) > float(engine["mean"])


def test_rows_without_patients_have_printed_lines_only(evidence: Evidence) -> None:
    """Corrected rows, rows of other analyses and other printed numbers are not reconstructed."""
    assert reconstructed_changes(evidence, "T2.AVOI.F*", m=2) == []
    assert reconstructed_changes(evidence, "LG.IESR.TRT", m=2) == []
    nodes = {name: node.to_dataset() for name, node in evidence.data.children.items()}
    effects = nodes["effects"].copy(deep=True)
    effects["estimate"].loc["T2.IESR.X"] = 13.1
    other = replace(evidence, data=xr.DataTree.from_dict(nodes | {"effects": effects}))
    assert reconstructed_changes(other, "T2.IESR.X", m=2) == []
    with pytest.raises(EvidenceError, match="50 reconstructions are shipped; asked for 60"):
        reconstructed_changes(evidence, "T2.IESR.X", m=60)


def test_figure_says_what_is_reconstructed(ranked: xr.Dataset) -> None:
    """Lines about reconstructed patients are marked, and the legend says what the mark means."""
    figure = ranking_figure(ranked)
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    kinds = ranked["evidence_kind"].values
    assert all(label.endswith("(r)") == (kind == "reconstructed")
               for label, kind in zip(labels, kinds, strict=True))  # fmt: skip
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts[-1] == "(r), hollow: reconstructed patients"
    assert "published, reconstructed evidence" in figure.legends[0].get_title().get_text()


def test_command_ranks_both_kinds_as_json() -> None:
    """`sensitivity --json` has the kind of evidence and the move on every line."""
    asked = ["sensitivity", "T2.IESR.X", "--reconstructions", "5", "--json"]
    changes = json.loads(CliRunner().invoke(app, asked, catch_exceptions=False).stdout)["changes"]
    assert {change["evidence_kind"] for change in changes} == {"published", "reconstructed"}
    assert all(np.isfinite(change["move_prob_benefit"]) for change in changes)
