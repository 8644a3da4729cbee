"""The audit of a single row: rounding polygons, P values, and what would reconcile a row."""

from __future__ import annotations

import math

import numpy as np
import pytest
import xarray as xr
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from bayes_ptsd.audit.finding import Finding
from bayes_ptsd.audit.polygon import (
    Printed,
    admissible_polygon,
    agrees,
    area,
    mean_half_width,
    p_range,
    repairs,
    share_between,
    share_printing_p,
    slopes_printing_p,
)
from bayes_ptsd.audit.rows import check_row, check_rows, narrowed_se, printed_of
from bayes_ptsd.evidence.intervals import interval, p_value
from bayes_ptsd.evidence.published import load_published


@pytest.fixture(scope="module")
def table() -> xr.Dataset:
    """Return the table of the shipped rows."""
    found = check_rows(load_published()).table
    assert found is not None
    return found


@pytest.fixture(scope="module")
def findings() -> dict[str, Finding]:
    """Return the findings on the shipped rows by id."""
    return {finding.id: finding for finding in check_rows(load_published()).findings}


def test_every_printed_row_but_one_agrees_with_itself(table: xr.Dataset) -> None:
    """Only avoidance in the first period has no consistent reading; 16 rows and * have one."""
    checked = table.isel(contrast=table["checked"].values)
    assert checked.sizes["contrast"] == 18
    bad = checked["contrast"].values[~checked["consistent"].values].tolist()
    assert bad == ["T2.AVOI.F"]


def test_a_row_is_a_caution_where_a_tenth_of_its_numbers_prints_its_p(
    table: xr.Dataset, findings: dict[str, Finding]
) -> None:
    """Of rows that agree: one in which 4% of the unrounded numbers do, none in which 82% do."""
    agreeing = table.isel(contrast=(table["checked"] & table["consistent"]).values)
    shares = dict(zip(agreeing["contrast"].values, agreeing["share"].values, strict=True))
    said = {name for name in shares if findings[f"rows.{name}"].severity == "caution"}
    assert said == {name for name, share in shares.items() if share < 0.1} == {"T2.CGII.X"}
    assert min(share for share in shares.values() if share > 0.1) < 0.9


def test_avoidance_first_period(table: xr.Dataset, findings: dict[str, Finding]) -> None:
    """P .064 by the upper limit, .103 by the lower, .083 (.075 to .092) by the width."""
    row = table.sel(contrast="T2.AVOI.F")
    assert float(row["se_upper"]) == pytest.approx(1.729, abs=5e-4)
    assert float(row["p_upper"]) == pytest.approx(0.064, abs=5e-4)
    assert float(row["p_lower"]) == pytest.approx(0.103, abs=5e-4)
    assert float(row["p"]) == pytest.approx(0.083, abs=5e-4)
    assert float(row["p_low"]) == pytest.approx(0.075, abs=5e-4)
    assert float(row["p_high"]) == pytest.approx(0.0915, abs=5e-5)
    assert float(row["asymmetry"]) == pytest.approx(0.25)
    figures = findings["rows.T2.AVOI.F"].figures
    assert str(figures["repair_ci_low"]).split(", ")[0] == "-0.2"
    assert not any(key in figures for key in ("repair_estimate", "repair_ci_high"))


def test_polygon_of_the_primary_outcome() -> None:
    """The estimate lies in 12.650 to 12.700 and in 8.550 to 8.597."""
    crossover = admissible_polygon((12.65, 12.75), (2.45, 2.55), (22.75, 22.85))
    first = admissible_polygon((8.55, 8.65), (0.935, 0.945), (16.15, 16.25))
    assert np.allclose([crossover[:, 0].min(), crossover[:, 0].max()], [12.65, 12.70])
    assert np.allclose([first[:, 0].min(), first[:, 0].max()], [8.55, 8.5975])


def test_cgi_i_crossover_prints_its_p_on_4_percent(findings: dict[str, Finding]) -> None:
    """The width implies P .0016, the paper prints .003: 4% of the polygon prints that."""
    finding = findings["rows.T2.CGII.X"]
    assert finding.severity == "caution"
    assert finding.figures["p"] == pytest.approx(0.0016, abs=5e-5)
    assert finding.figures["share"] == pytest.approx(0.042, abs=5e-4)


def test_polygon_share_and_mean_agree_with_simulation() -> None:
    """Share and mean half-width are those of points drawn from the boxes."""
    boxes = ((1.15, 1.25), (0.45, 0.55), (1.85, 1.95))
    polygon = admissible_polygon(*boxes)
    rng = np.random.default_rng(20140601)
    estimate, half = rng.uniform(1.15, 1.25, 400_000), rng.uniform(0.6, 0.8, 400_000)
    low, high = estimate - half, estimate + half
    inside = (low > 0.45) & (low < 0.55) & (high > 1.85) & (high < 1.95)
    p = p_value(estimate, half / stats.t.ppf(0.975, 27), df=27)
    prints = inside & (p > 0.0025) & (p < 0.0035)
    assert area(polygon) == pytest.approx(inside.mean() * 0.1 * 0.2, rel=0.02)
    share = share_printing_p(polygon, (0.0025, 0.0035), df=27)
    assert share == pytest.approx(prints.sum() / inside.sum(), rel=0.1)
    mean = mean_half_width(polygon, (0.0025, 0.0035), df=27)
    assert mean == pytest.approx(half[prints].mean(), abs=5e-4)


def test_share_between_two_slopes_of_a_square() -> None:
    """Of the unit square, s / 2 lies above the line of slope s up to 1: half, a quarter, .15."""
    square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    for shallow, steep, share in ((0.0, 1.0, 0.5), (0.0, 0.5, 0.25), (0.2, 0.5, 0.15)):
        assert share_between(square, shallow=shallow, steep=steep) == pytest.approx(share)


def test_slopes_print_their_p_again() -> None:
    """An estimate of a slope times the half-width has the P at the other end of the box."""
    df = np.array([5.0, 27.0])
    shallow, steep = slopes_printing_p((0.045, 0.055), df=df)
    half = stats.t.ppf(0.975, df)
    assert p_value(shallow * half, 1.0, df=df) == pytest.approx([0.055] * 2)
    assert p_value(steep * half, 1.0, df=df) == pytest.approx([0.045] * 2)
    assert math.isinf(slopes_printing_p((0.0, 0.0005), df=27)[1])


def test_digits_of_a_printed_row() -> None:
    """Hyperarousal in the crossover is 3.9 (0.6 to 7.2), P .02: one digit each, two of P."""
    row = load_published().data["effects"].to_dataset().sel(contrast="T2.HYPE.X")
    assert printed_of(row) == Printed(3.9, 0.6, 7.2, 0.02, (1, 1, 1, 2))


def test_empty_and_flat_polygons_are_said_to_be_so() -> None:
    """Boxes that do not meet have no P range, no share and no area."""
    empty = admissible_polygon((3.25, 3.35), (-0.75, -0.65), (6.75, 6.85))
    assert len(empty) == 0
    assert area(empty) == 0
    assert all(math.isnan(value) for value in p_range(empty, df=38))
    assert math.isnan(share_printing_p(empty, (0.05, 0.07), df=38))
    assert math.isnan(mean_half_width(empty, (0.05, 0.07), df=38))


@given(
    estimate=st.floats(-30, 30), se=st.floats(0.2, 10), df=st.integers(3, 200),
    digits=st.tuples(*[st.integers(0, 3)] * 3), p_digits=st.integers(2, 4),
)  # fmt: skip
def test_numbers_rounded_from_one_analysis_are_consistent(
    estimate: float, se: float, df: int, digits: tuple[int, int, int], p_digits: int
) -> None:
    """Whatever is computed and then rounded is never called a contradiction."""
    low, high = interval(estimate, se, df=df)
    numbers = [round(float(x), d) for x, d in zip((estimate, low, high), digits, strict=True)]
    p = round(float(p_value(estimate, se, df=df)), p_digits)
    assume(numbers[1] < numbers[2])
    check = check_row(Printed(numbers[0], numbers[1], numbers[2], p, (*digits, p_digits)), df=df)
    assert check.centered
    assert check.consistent


@given(estimate=st.floats(1, 30), se=st.floats(1, 8), shift=st.floats(0.45, 5))
def test_a_shifted_limit_is_never_consistent(estimate: float, se: float, shift: float) -> None:
    """A limit that is off by more than rounding and its box can make up for is found."""
    low, high = interval(estimate, se, df=30)
    printed = Printed(
        round(estimate, 1),
        round(float(low) - shift, 1),
        round(float(high), 1),
        np.nan,
        (1, 1, 1, -1),
    )
    assert not check_row(printed, df=30).consistent


@given(
    estimate=st.integers(-40, 40), width=st.integers(4, 60), off=st.integers(4, 30),
    field=st.sampled_from(["estimate", "ci_low", "ci_high"]),
)  # fmt: skip
def test_what_would_reconcile_a_row_does_reconcile_it(
    estimate: int, width: int, off: int, field: str
) -> None:
    """Of a consistent row with one number altered, the original is among the repairs."""
    low, high = estimate - width, estimate + width
    original = {"estimate": estimate, "ci_low": low, "ci_high": high}
    changed = {**original, field: original[field] + (off if field == "ci_high" else -off)}
    row = Printed(*map(float, changed.values()), np.nan, (0, 0, 0, -1))
    assert not agrees(row, df=20)
    assert f"{original[field]}" in repairs(row, df=20)[field]


def test_a_p_value_is_reconciled_by_its_range() -> None:
    """Where estimate and interval agree, the P values they allow are given."""
    row = Printed(3.7, -7.5, 14.9, 0.05, (1, 1, 1, 2))
    assert not agrees(row, df=27)
    assert repairs(row, df=27)["p_value"] == ["0.50 to 0.51"]


def test_p_digits_narrow_the_standard_error() -> None:
    """CGI-I crossover: .341 from the width, .360 from the numbers that also print P = .003."""
    row = Printed(1.2, 0.5, 1.9, 0.003, (1, 1, 1, 3))
    assert check_row(row, df=27).se == pytest.approx(0.341, abs=5e-4)
    assert narrowed_se(row, df=27) == pytest.approx(0.360, abs=5e-4)
    without = Printed(1.2, 0.5, 1.9, np.nan, (1, 1, 1, -1))
    assert narrowed_se(without, df=27) == pytest.approx(0.341, abs=5e-4)
