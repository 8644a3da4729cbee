"""Figures show the numbers they are given, name their evidence, and nothing on them overlaps."""

from __future__ import annotations

import itertools
import json
import re

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from bayes_ptsd.comparison import compare
from bayes_ptsd.contrasts import model_of
from bayes_ptsd.errors import SpecError
from bayes_ptsd.estimands import estimate
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.published import load_published, select_contrast
from bayes_ptsd.exact.printed import fit_exact
from bayes_ptsd.fit import fit_model
from bayes_ptsd.models_files import load_model
from bayes_ptsd.plots import (
    PRIOR_STYLES,
    agreement_figure,
    benefit_figure,
    figure_svg,
    forest_figure,
    prior_style,
    update_figure,
    update_reach,
)
from bayes_ptsd.plots.patients import drawn_estimand
from bayes_ptsd.plots.style import (
    difference_label,
    evidence_legend,
    fit_title,
    new_figure,
    number_text,
    row_title,
)
from bayes_ptsd.plots.update import likelihood_of_fit
from bayes_ptsd.prior_family import PRIOR_FAMILY
from bayes_ptsd.structures.crossover.example import example_patients

PRIORS = ("flat", "skeptical", "cochrane")


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    """Return the shipped evidence."""
    return load_published()


@pytest.fixture(scope="module")
def fits(evidence: Evidence) -> list[xr.DataTree]:
    """Return the first-period IES-R row under three priors."""
    return fits_of(evidence, "T2.IESR.F", "as_published")


@pytest.fixture(scope="module")
def table(evidence: Evidence) -> xr.Dataset:
    """Return the comparison of the IES-R rows under three priors."""
    return compare(evidence, endpoint="ies_r", priors=PRIORS)


def fits_of(evidence: Evidence, name: str, reading: str) -> list[xr.DataTree]:
    """Return exact fits of one row, one per prior."""
    row = select_contrast(evidence, name, crossover_reading=reading)
    return [fit_exact(row, model_of(row, convention="T", prior=prior)) for prior in PRIORS]


def all_figures(
    evidence: Evidence, fits: list[xr.DataTree], table: xr.Dataset
) -> dict[str, Figure]:
    """Return one figure of each kind."""
    options = {"reading": "as_published", "title": "IES-R"}
    names = [str(name) for name in table["contrast"].values]
    return {
        "update": update_figure(fits),
        "benefit": benefit_figure(fits),
        "forest": forest_figure(table, evidence.trial, contrasts=names, **options),
        "agreement": agreement_figure(fits[1], fits[1]),
    }


def curve(figure: Figure, label: str, *, axes: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return the points of one labelled line."""
    lines = {line.get_label(): line for line in figure.axes[axes].get_lines()}
    return np.asarray(lines[label].get_xdata()), np.asarray(lines[label].get_ydata())


def test_every_figure_names_its_evidence(
    evidence: Evidence, fits: list[xr.DataTree], table: xr.Dataset
) -> None:
    """Kind of evidence and convention stand in every figure, and follow the fit, not the code."""
    simulated = [fit.copy() for fit in fits]
    for fit in simulated:
        fit.attrs = fit.attrs | {"evidence_kind": "simulated", "convention": "N"}
    marked = table.assign_attrs(evidence_kind="simulated", convention="N")
    for name, figure in all_figures(evidence, simulated, marked).items():
        title = figure.legends[0].get_title().get_text()
        assert title == "simulated evidence, convention N", name


def test_every_axis_has_unit_and_sign(
    evidence: Evidence, fits: list[xr.DataTree], table: xr.Dataset
) -> None:
    """The axis of a difference says its unit and which treatment is better on its positive side."""
    for name, figure in all_figures(evidence, fits, table).items():
        label = figure.axes[-1].get_xlabel()
        assert "points" in label or "reference SDs" in label, name
        assert re.search("ketamine (is )?better", label), name


def test_nothing_overlaps(evidence: Evidence, fits: list[xr.DataTree], table: xr.Dataset) -> None:
    """Titles, labels, tick labels and legend are inside the figure and apart from each other."""
    for name, figure in all_figures(evidence, fits, table).items():
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        renderer = canvas.get_renderer()
        boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in drawn(figure)]
        for text, box in boxes:
            corners = box.corners()
            assert np.all(corners >= -1), (name, text)
            assert np.all(corners <= np.array([figure.bbox.width, figure.bbox.height]) + 1), text
        for (one, first), (two, second) in itertools.combinations(boxes, 2):
            assert not first.padded(-1).overlaps(second.padded(-1)), (name, one, two)


def drawn(figure: Figure) -> list[Text]:
    """Return the texts of a figure that have ink: no tick labels beyond the axis."""
    ticks = [
        (label, low <= tick.get_loc() <= high)
        for axes in figure.axes
        for axis, (low, high) in (
            (axes.xaxis, sorted(axes.get_xlim())),
            (axes.yaxis, sorted(axes.get_ylim())),
        )
        for tick in [*axis.majorTicks, *axis.minorTicks]
        for label in (tick.label1, tick.label2)
    ]
    beyond = {id(label) for label, inside in ticks if not inside}
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
    return [text for text in texts if id(text) not in beyond]


def test_posterior_in_the_figure_is_the_posterior(fits: list[xr.DataTree]) -> None:
    """The drawn density has area 1 and the mean of the fit, for every prior."""
    figure = update_figure(fits)
    for number, fit in enumerate(fits):
        x, density = curve(figure, "posterior", axes=number)
        mean = float(estimate(fit)["mean"].sel(estimand="treatment_difference"))
        assert np.trapezoid(density, x) == pytest.approx(1, abs=0.01)
        assert np.trapezoid(density * x, x) == pytest.approx(mean, abs=0.05)


def test_panels_have_mean_and_interval(fits: list[xr.DataTree]) -> None:
    """Each panel is titled with prior, posterior mean and interval; flat T is the printed one."""
    titles = [axes.get_title(loc="left") for axes in update_figure(fits).axes]
    assert titles[0] == "flat: 8.6 (0.9 to 16.2)"
    assert titles[1].startswith("skeptical: 6.9 (")


def test_common_axis_holds_every_posterior(evidence: Evidence, fits: list[xr.DataTree]) -> None:
    """An axis for several contrasts holds 0 and the 99.8% of each likelihood."""
    crossover = fits_of(evidence, "T2.IESR.X", "as_published")
    low, high = update_reach([*fits, *crossover])
    assert low < -5
    assert high > 28


def test_curve_starts_at_the_probability_of_benefit(fits: list[xr.DataTree]) -> None:
    """Each curve falls from P(> 0) and passes P(> MCID) at the marked MCID."""
    figure = benefit_figure(fits)
    assert "MCID 7.2" in [text.get_text() for text in figure.axes[0].texts]
    for fit in fits:
        margin, probability = curve(figure, fit.attrs["prior"])
        summary = estimate(fit).sel(estimand="treatment_difference")
        assert np.all(np.diff(probability) <= 0)
        assert probability[0] == pytest.approx(float(summary["prob_benefit"]), abs=1e-9)
        at_mcid = np.interp(7.2, margin, probability)
        assert at_mcid == pytest.approx(float(summary["prob_gt_mcid"]), abs=1e-3)


def test_curve_without_an_mcid_has_no_mark(fits: list[xr.DataTree]) -> None:
    """An endpoint without MCID gets the curve and no line that could be taken for one."""
    bare = fits[0].copy()
    constants = json.loads(bare.attrs["endpoint_constants"]) | {"mcid": None}
    bare.attrs = bare.attrs | {"endpoint_constants": json.dumps(constants)}
    assert not benefit_figure([bare]).axes[0].texts


def test_forest_has_every_row_and_prior(evidence: Evidence, table: xr.Dataset) -> None:
    """Each row has a mean and an interval per prior, in reference SDs, and the printed band."""
    names = ["T2.IESR.X", "T2.IESR.F"]
    figure = forest_figure(
        table, evidence.trial, contrasts=names, reading="as_published", title="IES-R"
    )
    axes = figure.axes[0]
    markers = [line for line in axes.get_lines() if line.get_marker() not in ("None", None, "")]
    means = table["mean"].sel(contrast=names, crossover_reading="as_published").values.ravel()
    assert sorted(float(m.get_xdata()[0]) for m in markers) == pytest.approx(sorted(means / 14.4))
    bands = [collection.get_datalim(axes.transData) for collection in axes.collections]
    assert [(b.x0 * 14.4, b.x1 * 14.4) for b in bands] == [
        pytest.approx((2.5, 22.8)),
        pytest.approx((0.94, 16.2)),
    ]


def test_forest_labels_start_from_the_reading(evidence: Evidence, table: xr.Dataset) -> None:
    """Unhalved rows are labelled and banded with half of what was printed, and marked as such."""
    figure = forest_figure(
        table, evidence.trial, contrasts=["T2.IESR.X"], reading="unhalved", title="unhalved"
    )
    assert figure.axes[0].get_yticklabels()[0].get_text() == "IES-R total\n6.35 (1.25 to 11.4)"
    assert "printed 95% CI / 2" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_rows_without_an_interval_say_where_theirs_is_from(
    evidence: Evidence, table: xr.Dataset
) -> None:
    """A band that was recovered from P is not called printed."""
    figure = forest_figure(
        table, evidence.trial, contrasts=["LG.IESR.TRT"], reading="as_published", title="visits"
    )
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "95% CI from printed P" in legend
    assert "printed 95% CI" not in legend
    assert "longitudinal, 24h-7d" in figure.axes[0].get_yticklabels()[0].get_text()


def test_agreement_is_of_one_posterior(fits: list[xr.DataTree]) -> None:
    """The histogram has area 1 under the exact curve; two different posteriors are refused."""
    figure = agreement_figure(fits[1], fits[1])
    bars = figure.axes[0].patches
    assert sum(bar.get_width() * bar.get_height() for bar in bars) == pytest.approx(1)
    with pytest.raises(SpecError, match="prior is 'skeptical' in one fit and 'flat'"):
        agreement_figure(fits[1], fits[0])


def test_agreement_of_patients_is_of_the_same_patients() -> None:
    """Fits of patients are drawn with their model and kind; those of other patients are refused."""
    fit = fit_model(example_patients(seed=2), load_model("crossover"), engine="exact")
    figure = agreement_figure(fit, fit)
    assert figure.axes[0].get_title(loc="left") == "Crossover: reference prior"
    assert figure.legends[0].get_title().get_text() == "simulated evidence"
    other = fit.copy()
    other.attrs = {**fit.attrs, "evidence_digest": "5b1e"}
    with pytest.raises(SpecError, match="evidence_digest is '5b1e' in one fit and"):
        agreement_figure(other, fit)


@pytest.mark.parametrize("draw", [update_figure, benefit_figure])
def test_nothing_to_draw_is_said(draw: object) -> None:
    """No fit gives a message, not an empty figure."""
    with pytest.raises(SpecError, match="at least one"):
        draw([])  # type: ignore[operator]


def test_svg_repeats_and_stands_alone(fits: list[xr.DataTree]) -> None:
    """The same figure is the same bytes, and refers to nothing outside itself."""
    svg, again = (figure_svg(update_figure(fits)) for _ in range(2))
    assert svg == again
    assert {link[0] for link in re.findall(r'href="([^"]*)"', svg)} <= {"#"}
    assert not re.search(r"<script|url\(http", svg)
    assert "<text" not in svg  # glyphs are drawn, so that no font is needed


def test_drawing_leaves_no_trace(fits: list[xr.DataTree]) -> None:
    """Matplotlib's settings are after a figure what they were before."""
    before = dict(mpl.rcParams)
    figure_svg(benefit_figure(fits))
    assert dict(mpl.rcParams) == before


def test_priors_are_told_apart() -> None:
    """No two priors share color, marker or line; every prior of the family has its own."""
    assert set(PRIOR_STYLES) == set(PRIOR_FAMILY)
    for key in ("color", "marker", "line"):
        shown = [getattr(style, key) for style in (*PRIOR_STYLES.values(), prior_style("mine"))]
        assert len(set(shown)) == len(shown), key


@pytest.mark.parametrize(
    ("value", "text"), [(-0.3, "\N{MINUS SIGN}0.3"), (6.35, "6.35"), (4.0, "4.0")]
)
def test_numbers_keep_one_decimal_at_least(value: float, text: str) -> None:
    """A second decimal is shown where it is not 0, and minus is a minus, no hyphen."""
    assert number_text(value) == text


def test_fits_are_named_by_what_was_analyzed() -> None:
    """A printed row is named by its analysis and a crossover's reading, patients by their model."""
    assert row_title("crossover", "as_published") == "Crossover, as published"
    assert row_title("first_period", "") == "First period"
    attrs = {"endpoint_constants": '{"unit": "points"}', "active": "ketamine",
             "model": "crossover-bivariate"}  # fmt: skip
    fit = xr.DataTree(xr.Dataset(attrs=attrs))
    assert fit_title(fit) == "Crossover-bivariate"
    assert difference_label(fit) == "points, positive = ketamine better"
    assert drawn_estimand(fit) == "treatment_difference"


def test_figures_fit_a_column_and_a_phone() -> None:
    """Every figure is 5 inches wide; the legend says the kind of evidence and the convention."""
    figure = new_figure(3.0)
    assert figure.get_size_inches().tolist() == [5.0, 3.0]
    evidence_legend(figure, [], kind="published", convention="T", columns=1)
    assert figure.legends[0].get_title().get_text() == "published evidence, convention T"


@pytest.mark.parametrize(
    ("df", "formula"), [(np.inf, "N(12.7, 5.179\u00b2)"), (27.0, "student_t(27, 12.7, 5.179)")]
)
def test_likelihood_follows_the_degrees_of_freedom(df: float, formula: str) -> None:
    """Infinite degrees of freedom make a normal, others Student's t about the same estimate."""
    groups = {"observed_data": xr.Dataset({"estimate": 12.7}),
              "constant_data": xr.Dataset({"se": 5.179, "df": df})}  # fmt: skip
    assert likelihood_of_fit(xr.DataTree.from_dict(groups)).formula == formula
