"""Draws in single precision: what rounding may move, and what is left as it is."""

from __future__ import annotations

import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from bayes_ptsd.describe import example_evidence
from bayes_ptsd.estimands import estimate, summary_document
from bayes_ptsd.fit import fit_model
from bayes_ptsd.models_files import load_model
from bayes_ptsd.posteriors import single_precision
from bayes_ptsd.store import ResultStore

HALF = 2.0**-24  # relative rounding error of a number of 24 binary digits
NOISE = np.random.default_rng(8).normal(size=(4, 1000))
DIMS = ("chain", "draw")


def rounded(values: np.ndarray) -> np.ndarray:
    """Return one variable of draws after rounding."""
    group = xr.Dataset({"x": (DIMS, values)})
    found: np.ndarray = single_precision({"posterior": group})["posterior"]["x"].values
    return found


def test_a_draw_moves_by_half_a_last_digit() -> None:
    """Draws become doubles that single precision holds, each with its sign and within 2**-24."""
    draws = 12.7 + 4.0 * NOISE
    found = rounded(draws)
    assert found.dtype == np.float64
    assert np.array_equal(found.astype(np.float32), found)
    assert not np.array_equal(found, draws)
    assert (np.abs(found - draws) <= HALF * np.abs(draws)).all()
    assert np.array_equal(np.sign(found), np.sign(draws))
    assert np.array_equal(rounded(found), found)


@pytest.mark.parametrize(
    "draws",
    [
        1 - 1e-5 * np.abs(NOISE),
        40_000 + NOISE,
        1e-42 * NOISE,
        1e39 * NOISE,
        np.where(NOISE > 3, np.inf, NOISE),
        np.where(NOISE > 3, np.nan, NOISE),
        np.repeat(0.1, 4000).reshape(4, 1000),
    ],
    ids=["probability near 1", "far from zero", "tiny", "huge", "infinite", "missing", "constant"],
)
def test_draws_that_rounding_would_spoil_stay(draws: np.ndarray) -> None:
    """Where it would move a draw by 1e-4 SD or lose its magnitude every draw is kept in full."""
    assert np.array_equal(rounded(draws), draws, equal_nan=True)


def test_one_label_that_would_be_spoiled_keeps_its_variable() -> None:
    """The SD is that of each label: a mean of 40,000 and SD 1 is not hidden by one of 0."""
    both = xr.Dataset({"x": ((*DIMS, "arm"), np.stack([NOISE, 40_000 + NOISE], axis=-1))})
    assert single_precision({"posterior": both})["posterior"].identical(both)


def test_what_is_no_draw_stays() -> None:
    """Whole numbers, truth values, texts and everything without draws keep value and type."""
    group = xr.Dataset(
        {
            "depth": (DIMS, (NOISE * 10).astype("int64")),
            "diverging": (DIMS, NOISE > 3),
            "score": ("row", NOISE[0]),
            "label": ("row", np.repeat("a", 1000)),
        },
        attrs={"kept": 1},
    )
    assert single_precision({"posterior": group})["posterior"].identical(group)


@pytest.mark.parametrize("name", ["first-period", "crossover", "binary-beta-binomial"])
def test_no_printed_digit_moves(name: str) -> None:
    """Of every estimand no figure moves by more than 2**-23, and its four printed digits stay."""
    spec = load_model(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = fit_model(example_evidence(spec), spec, engine="exact")
    before, after = fit.drop_nodes("exact"), fit.drop_nodes("exact")
    groups = single_precision({"posterior": fit["posterior"].to_dataset()})
    assert not groups["posterior"].identical(fit["posterior"].to_dataset())
    after["posterior"] = xr.DataTree(groups["posterior"])
    one, other = (summary_document(estimate(tree)) for tree in (before, after))
    assert one.keys() == other.keys()
    for estimand, figures in one.items():
        for figure in ("mean", "median", "sd", "mcse_mean", "prob_benefit", "prob_gt_mcid"):
            known, found = figures[figure], other[estimand][figure]
            size = abs(figures["mean"]) + 4 * figures["sd"]
            assert found == pytest.approx(known, abs=2 * HALF * size)
            assert known is None or f"{known:.4g}" == f"{found:.4g}"


def test_a_stored_sampled_fit_says_what_the_fit_said(tmp_path: Path) -> None:
    """Draws are rounded before anything is said of them, so a loaded fit has the same numbers."""
    spec = load_model("published")
    fit = fit_model(example_evidence(spec), spec, engine="nuts", draws=300, tune=300)
    store = ResultStore(tmp_path)
    loaded = store.load(store.save(fit))
    assert loaded.identical(fit)
    assert summary_document(estimate(loaded)) == summary_document(estimate(fit))
    with h5py.File(next((tmp_path / "results").glob("*.nc"))) as file:
        assert file["posterior/treatment_difference"].dtype == np.float32
