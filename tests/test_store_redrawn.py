"""Draws of printed rows are not stored: a loaded result has them, to the last bit."""

from __future__ import annotations

from pathlib import Path

import arviz_stats
import h5py
import pytest
import xarray as xr

from bayes_ptsd.errors import StoreError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.published import load_published, select_contrast
from bayes_ptsd.exact.printed import fit_exact
from bayes_ptsd.models_files import load_model
from bayes_ptsd.posteriors import to_arviz
from bayes_ptsd.specification import ModelSpec
from bayes_ptsd.store import ResultStore
from bayes_ptsd.store.netcdf import encode
from bayes_ptsd.store.records import describe, publish_result

DRAWN = {
    "posterior", "prior", "posterior_predictive", "prior_predictive", "log_likelihood", "log_prior"
}  # fmt: skip
PRIORS = ("flat", "skeptical", "cochrane", "enthusiastic")


def analysis(prior: str = "skeptical", convention: str = "T") -> tuple[Evidence, ModelSpec]:
    """Return a printed row and its model."""
    row = select_contrast(load_published(), "T2.IESR.F")
    model = load_model("published")
    return row, model.having(priors={"treatment": prior}, options={"convention": convention})


def stored(store: ResultStore) -> set[str]:
    """Return the groups in the one data file of a store."""
    with h5py.File(next((store.path / "results").glob("*.nc"))) as file:
        return set(file)


@pytest.mark.parametrize("convention", ["T", "N"])
@pytest.mark.parametrize("prior", PRIORS)
def test_a_result_comes_back_with_its_draws(prior: str, convention: str, tmp_path: Path) -> None:
    """No draw is in the file, and what is loaded is the fit; proper priors have draws of theirs."""
    fit, store = fit_exact(*analysis(prior, convention)), ResultStore(tmp_path)
    loaded = store.load(store.save(fit))
    assert not stored(store) & DRAWN
    assert loaded.identical(fit)
    assert set(loaded.children) & DRAWN == DRAWN - (
        {"prior", "prior_predictive"} if prior == "flat" else set()
    )


def test_a_fit_that_was_never_drawn_is_the_same_result(tmp_path: Path) -> None:
    """What the main job stores without drawing loads as the fit that was drawn but for its time."""
    row, spec = analysis()
    lean, store = fit_exact(row, spec, drawn=False), ResultStore(tmp_path)
    loaded, fit = store.load(store.save(lean)), fit_exact(row, spec)
    del loaded.attrs["seconds"], fit.attrs["seconds"]
    assert loaded.identical(fit)


def test_the_seed_is_that_of_the_result(tmp_path: Path) -> None:
    """Another seed has other draws after loading, too, of the same posterior."""
    row, spec = analysis()
    store = ResultStore(tmp_path)
    one, other = (store.load(store.save(fit_exact(row, spec, seed=seed))) for seed in (1, 2))
    assert not one["posterior"].to_dataset().equals(other["posterior"].to_dataset())
    assert one["exact"].to_dataset().identical(other["exact"].to_dataset())


def test_arviz_takes_a_loaded_result(tmp_path: Path) -> None:
    """The mean of its draws is within five Monte Carlo errors of the exact one."""
    store = ResultStore(tmp_path)
    loaded = store.load(store.save(fit_exact(*analysis())))
    table = arviz_stats.summary(to_arviz(loaded), kind="stats", round_to="none")
    error = float(loaded["exact/sd"].item()) / 4000**0.5
    assert table.loc["treatment_difference", "mean"] == pytest.approx(
        loaded["exact/mean"].item(), abs=5 * error
    )


def test_other_draws_than_those_of_the_seed_are_kept(tmp_path: Path) -> None:
    """A result with draws of somebody's own is stored whole: nothing is made in their place."""
    fit, store = fit_exact(*analysis()), ResultStore(tmp_path)
    moved = fit["posterior"].to_dataset() + 1.0
    fit["posterior"] = xr.DataTree(moved)
    loaded = store.load(store.save(fit))
    assert stored(store) >= DRAWN
    assert loaded.identical(fit)


def test_a_result_stored_with_its_draws_opens(tmp_path: Path) -> None:
    """A file of the form before, draws in double precision, is read as it was saved."""
    fit, store = fit_exact(*analysis()), ResultStore(tmp_path)
    publish_result(store.path, encode(fit), {**describe(fit.attrs), "dropped": []})
    assert store.load(fit.attrs["result_id"]).identical(fit)


def test_an_export_has_the_draws(tmp_path: Path) -> None:
    """A NetCDF file outside the store is whole for programs that know nothing of this one."""
    fit, store = fit_exact(*analysis()), ResultStore(tmp_path / "store")
    path = store.export(store.save(fit), tmp_path / "result.nc")
    with xr.open_datatree(path) as opened:
        assert opened.load().identical(fit)


def test_draws_that_cannot_be_made_are_said(tmp_path: Path) -> None:
    """A result without draws whose grid is gone is refused, with the command that removes it."""
    lean, store = fit_exact(*analysis(), drawn=False), ResultStore(tmp_path)
    result_id = store.save(lean.drop_nodes("exact"))
    with pytest.raises(StoreError, match=f"cannot make the draws.*store remove {result_id}"):
        store.load(result_id)
