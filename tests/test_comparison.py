"""The comparison: what was printed, what it implies, what each prior makes of it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr

from bayes_ptsd.comparison import compare, comparison_document, comparison_frame, gap_reason
from bayes_ptsd.contrasts import analyses
from bayes_ptsd.errors import SpecError
from bayes_ptsd.evidence.published import contrast_names, load_published
from bayes_ptsd.prior_family import PRIOR_FAMILY
from bayes_ptsd.priors import normal

EVIDENCE = load_published()


@pytest.fixture(scope="module")
def table() -> xr.Dataset:
    """Return the comparison of every row under two priors, convention T."""
    return compare(EVIDENCE, priors=["flat", "cochrane"])


def test_every_printed_treatment_contrast_has_a_row(table: xr.Dataset) -> None:
    """17 printed intervals, the corrected row, the adjusted and three longitudinal contrasts."""
    names = table["contrast"].values.tolist()
    assert len(names) == 22
    assert sum(name.startswith("T2.") for name in names) == 17
    assert {"T2.AVOI.F", "T2.AVOI.F*", "TX.CAPS.X", "RG.DEP.TRT", "LG.MADR.TRT"} <= set(names)


def test_flat_prior_under_t_returns_every_printed_interval(table: xr.Dataset) -> None:
    """All 17 printed intervals come back, avoidance as printed and with the corrected limit."""
    flat = table.sel(prior="flat", crossover_reading="as_published")
    printed = flat.where(flat["published_low"].notnull(), drop=True)
    assert printed.sizes["contrast"] == 18
    for side in ("low", "high"):
        limits = printed["eti95"].sel(bound=side).values
        assert limits == pytest.approx(printed[f"published_{side}"].values, abs=1e-6)


def test_flat_posterior_and_p_value_say_the_same(table: xr.Dataset) -> None:
    """1 - P(benefit) is half the P value recomputed from the interval, up to the center."""
    flat = table.sel(prior="flat", crossover_reading="as_published")
    doubled = 2 * np.minimum(flat["prob_benefit"], 1 - flat["prob_benefit"])
    centered = np.isclose(flat["recomputed_center"], flat["published_estimate"])
    assert doubled.values[centered] == pytest.approx(
        flat["recomputed_p"].values[centered], abs=1e-8
    )
    assert centered.sum() >= 10


def test_scale_free_priors_do_not_depend_on_the_halving(table: xr.Dataset) -> None:
    """P(benefit) under flat and cochrane is the same as published and unhalved; the mean halves."""
    crossover = table.sel(contrast=table["analysis"] == "crossover")
    published, unhalved = (
        crossover.sel(crossover_reading=name) for name in ("as_published", "unhalved")
    )
    assert published["prob_benefit"].values == pytest.approx(
        unhalved["prob_benefit"].values, abs=1e-8
    )
    assert published["mean"].values == pytest.approx(2 * unhalved["mean"].values, rel=1e-7)
    printed = [side["published_estimate"].values for side in (published, unhalved)]
    assert np.array_equal(*printed)


def test_score_unit_priors_do_depend_on_the_halving() -> None:
    """Unhalved and skeptical: P(> 0) about .99, P(> 7.2) far below the as-published value."""
    one = compare(EVIDENCE, endpoint="ies_r", priors=["skeptical"]).sel(
        contrast="T2.IESR.X", prior="skeptical"
    )
    published, unhalved = (one.sel(crossover_reading=name) for name in ("as_published", "unhalved"))
    assert float(unhalved["prob_benefit"]) == pytest.approx(0.99, abs=0.005)
    assert float(unhalved["prob_gt_mcid"]) < 0.5 * float(published["prob_gt_mcid"])


def test_readings_apply_to_crossover_rows_only(table: xr.Dataset) -> None:
    """First-period rows have no unhalved column."""
    rest = table.sel(contrast=table["analysis"] != "crossover", crossover_reading="unhalved")
    assert bool(rest["mean"].isnull().all())


def test_average_is_the_mixture_of_its_rows(table: xr.Dataset) -> None:
    """Mean and probabilities of the average are those of the scales, weighted; so are gaps."""
    from bayes_ptsd.evidence.readings import of_treatment

    weights = of_treatment(json.loads(table.attrs["reading_weights"])["weights"])
    share = weights["as_published"] + weights["change"]
    averaged, published, unhalved = (
        table.sel(contrast=table["analysis"] == "crossover", crossover_reading=name)
        for name in ("averaged", "as_published", "unhalved")
    )
    for key in ("mean", "prob_benefit", "prob_gt_mcid", "rope_narrow", "rope_clinical"):
        mixed = share * published[key] + (1 - share) * unhalved[key]
        assert averaged[key].values == pytest.approx(mixed.values, abs=1e-7), key
    assert set(averaged["result_id"].values.ravel()) == {""}


def test_weights_by_hand_make_the_average() -> None:
    """All weight on one reading gives its row; weights of patients are refused."""
    one = compare(
        EVIDENCE, endpoint="madrs", priors=["skeptical"], convention="N",
        reading_weights={"change_unhalved": 1.0},
    ).sel(contrast="T2.MADR.X", prior="skeptical")  # fmt: skip
    averaged, unhalved = (one.sel(crossover_reading=name) for name in ("averaged", "unhalved"))
    for key in ("mean", "sd", "median", "prob_benefit", "prob_gt_mcid", "rope_clinical"):
        assert float(averaged[key]) == pytest.approx(float(unhalved[key]), abs=1e-8), key
    assert averaged["eti95"].values == pytest.approx(unhalved["eti95"].values, abs=1e-6)
    assert averaged["hdi95"].values == pytest.approx(unhalved["hdi95"].values, abs=1e-3)
    with pytest.raises(SpecError, match="no reading of the treatment difference"):
        compare(EVIDENCE, endpoint="madrs", reading_weights={"carryover_covariate": 1.0})


def test_gaps_add_up(table: xr.Dataset) -> None:
    """Printed estimate plus the parts of the gap is the posterior mean, to the printed digits."""
    frame = comparison_frame(table)
    for row in frame.to_dict("records"):
        parts = [part for part in row["gap"].split("; ") if "read as" not in part]
        moved = sum(float(part.rsplit(" ", 1)[1]) for part in parts)
        assert row["read_estimate"] + moved == pytest.approx(
            row["mean"], abs=0.01 * abs(moved) + 1e-6
        )


def test_document_is_json_with_the_frame_in_it(table: xr.Dataset) -> None:
    """Every line of the frame is in the document, and NaN is written as null."""
    document = json.loads(json.dumps(comparison_document(table), allow_nan=False))
    assert len(document["rows"]) == len(comparison_frame(table))
    assert document["evidence_kind"] == "published"
    longitudinal = [row for row in document["rows"] if row["contrast"] == "LG.IESR.TRT"]
    assert longitudinal[0]["published_low"] is None


def test_analyses_cross_rows_readings_conventions_and_priors() -> None:
    """9 crossover rows in two readings and 13 others, times two conventions and six priors."""
    every = list(analyses(EVIDENCE, conventions=("T", "N")))
    assert len(every) == (2 * 9 + 13) * 2 * len(PRIOR_FAMILY)
    assert len({(row.digest, spec.spec_id) for row, spec in every}) == len(every)


def test_a_prior_of_ones_own_is_labelled_by_its_formula() -> None:
    """The skeptical prior written out gives the numbers of the family's, under its own label."""
    own = normal(0, 0.9 * 14.4 / 1.6448536269514722)
    table = compare(EVIDENCE, endpoint="ies_r", priors=["skeptical", own])
    assert table["prior"].values.tolist() == ["skeptical", own.formula]
    pair = table["prob_benefit"].sel(crossover_reading="as_published")
    assert pair.isel(prior=0).values == pytest.approx(pair.isel(prior=1).values, abs=1e-9)


def test_unknown_names_are_refused() -> None:
    """Unknown endpoints, priors and conventions are refused by name."""
    with pytest.raises(SpecError, match="did you mean 'ies_r'"):
        contrast_names(EVIDENCE, endpoint="iesr")
    with pytest.raises(SpecError, match="did you mean 'skeptical'"):
        compare(EVIDENCE, endpoint="caps", priors=["sceptical"])
    with pytest.raises(SpecError, match="'X' not allowed"):
        compare(EVIDENCE, endpoint="caps", convention="X")


def test_gap_of_the_misprinted_row_names_the_interval() -> None:
    """The avoidance row as printed has its center 0.25 below the printed estimate."""
    row = xr.Dataset({"estimate": 3.3, "scale": 1.0})
    assert gap_reason(row, mean=3.0, center=3.05, prior="weak") == (
        "center of the interval -0.25; prior -0.05"
    )
