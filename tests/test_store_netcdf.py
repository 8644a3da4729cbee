"""What goes into a file comes out of it, and nothing that could run code goes in."""

from __future__ import annotations

import io
import runpy
from pathlib import Path
from typing import Any

import arviz_base
import arviz_stats
import hypothesis.extra.numpy as arrays
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import netcdf_file

from bayes_ptsd.errors import StoreError
from bayes_ptsd.store import netcdf
from bayes_ptsd.store.netcdf import decode, encode

result_tree = runpy.run_path(str(Path(__file__).with_name("store_trees.py")))["result_tree"]
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
# HDF5 ends a text at a NUL, and numpy drops those at the end of one
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=9)
DTYPES = st.sampled_from(["float64", "float32", "int64", "int32", "uint8", "bool"])
SIZES = {"chain": 2, "draw": 3, "endpoint": 4, "none": 0}
ATTRS = st.dictionaries(
    NAMES.map(lambda name: f"a_{name}"),
    st.one_of(
        TEXTS, st.integers(-(2**63), 2**63 - 1), st.floats(),
        st.lists(st.integers(0, 9), min_size=2, max_size=4), st.just("x" * 100_000),
    ),
    max_size=3,
)  # fmt: skip


@st.composite
def variables(draw: st.DrawFn) -> xr.Variable:
    """Draw a variable of any allowed type, with up to three dimensions."""
    dims = draw(st.lists(st.sampled_from(sorted(SIZES)), unique=True, max_size=3))
    shape = tuple(SIZES[dim] for dim in dims)
    if draw(st.booleans()):
        values = draw(arrays.arrays(draw(DTYPES), shape))
    else:
        values = draw(arrays.arrays(object, shape, elements=TEXTS, fill=st.nothing())).astype("U")
    return xr.Variable(dims, values, draw(ATTRS))


@st.composite
def trees(draw: st.DrawFn) -> xr.DataTree:
    """Draw a tree of up to three groups, one inside another or side by side."""
    paths = draw(st.lists(st.sampled_from(["/", "/exact", "/checks", "/checks/deep"]), unique=True))
    nodes = {}
    for path in paths:
        found = draw(st.dictionaries(NAMES.map(lambda name: f"v_{name}"), variables(), max_size=3))
        coords = {"chain": [0, 1]} if draw(st.booleans()) and path != "/" else {}
        nodes[path] = xr.Dataset(found, coords=coords, attrs=draw(ATTRS))
    return xr.DataTree.from_dict(nodes)


def same(first: Any, second: Any) -> bool:
    """Tell whether two attributes are equal, NaN to NaN."""
    return np.array_equal(
        np.asarray(first), np.asarray(second), equal_nan=np.asarray(first).dtype.kind == "f"
    )


@settings(max_examples=40)
@given(trees())
def test_any_tree_survives(tree: xr.DataTree) -> None:
    """Values, types, dimensions, groups and attributes come back exactly, NaN and all."""
    back = decode(encode(tree))
    assert [node.path for node in back.subtree] == [node.path for node in tree.subtree]
    for node in tree.subtree:
        found = back[node.path].to_dataset(inherit=False)
        expected = node.to_dataset(inherit=False)
        assert set(found.variables) == set(expected.variables)
        for name, variable in expected.variables.items():
            assert found[name].dims == variable.dims
            assert found[name].dtype.kind == variable.dtype.kind
            assert np.array_equal(
                found[name].values, variable.values, equal_nan=variable.dtype.kind == "f"
            )
            if variable.dtype.kind != "U":
                assert found[name].dtype == variable.dtype
            assert set(found[name].attrs) == set(variable.attrs)
            assert all(same(found[name].attrs[key], variable.attrs[key]) for key in variable.attrs)
        assert set(found.attrs) == set(expected.attrs)
        assert all(same(found.attrs[key], expected.attrs[key]) for key in expected.attrs)


def test_result_survives_and_any_program_reads_it(tmp_path: Path) -> None:
    """The same tree comes out of `decode`, plain xarray and ArviZ."""
    tree = result_tree()
    content = encode(tree)
    assert decode(content).identical(tree)
    path = tmp_path / "result.nc"
    path.write_bytes(content)
    with xr.open_datatree(path) as opened:
        assert opened.load().identical(tree)
        table = arviz_stats.summary(
            opened, kind="stats", ci_kind="eti", ci_prob=0.95, round_to="none"
        )
        assert arviz_base.extract(opened).size == 100
    mean = float(tree["posterior/treatment"].mean())
    assert float(table.loc["treatment", "mean"]) == pytest.approx(mean, rel=1e-12)


def earlier_form(tree: xr.DataTree) -> bytes:
    """Return a result as versions before 0.2 wrote it: by xarray, group by group, uncompressed."""
    buffer = io.BytesIO()
    nodes = {node.path: node.to_dataset(inherit=False) for node in tree.subtree}
    fill = {path: {name: {"_FillValue": None} for name in one.variables}
            for path, one in nodes.items()}  # fmt: skip
    tree.to_netcdf(buffer, engine="h5netcdf", encoding=fill)
    return buffer.getvalue()


@settings(max_examples=20)
@given(trees())
def test_any_tree_of_the_earlier_form_opens(tree: xr.DataTree) -> None:
    """What xarray wrote opens as what is written now: names, types, values and attributes."""
    assert decode(earlier_form(tree)).identical(decode(encode(tree)))


def test_result_of_the_earlier_form_opens() -> None:
    """A result as it was stored before is read as it was saved, with coordinates and texts."""
    tree = result_tree()
    assert decode(earlier_form(tree)).identical(tree)


def test_result_with_every_draw_in_double_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was stored before single precision was used is read as what is stored now."""
    tree = draws_of(np.arange(4000.0).reshape(4, 1000))
    now = encode(tree)
    monkeypatch.setattr(netcdf, "_is_single", lambda _: False)
    before = encode(tree)
    assert before != now
    assert decode(before).identical(decode(now))


def test_what_is_too_large_for_one_piece_is_kept_in_several(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Above the limit a variable is cut into pieces, and read as it was written."""
    monkeypatch.setattr(netcdf, "MOST_AT_ONCE", 4096)
    draws = xr.Dataset({"mu": (("chain", "draw"), np.arange(400_000.0).reshape(4, -1))})
    tree = xr.DataTree.from_dict({"posterior": draws})
    assert decode(encode(tree)).identical(tree)


def draws_of(values: Any) -> xr.DataTree:
    """Return a result with one variable of draws."""
    return xr.DataTree.from_dict({"posterior": xr.Dataset({"mu": (("chain", "draw"), values)})})


def test_single_precision_takes_what_it_holds(tmp_path: Path) -> None:
    """Doubles that are singles take half the room; every program reads them as doubles."""
    full = np.random.default_rng(1).normal(size=(4, 10_000))
    half = draws_of(full.astype(np.float32).astype(np.float64))
    content = encode(half)
    assert len(content) < 0.51 * len(encode(draws_of(full)))
    assert decode(content).identical(half)
    path = tmp_path / "result.nc"
    path.write_bytes(content)
    with xr.open_datatree(path) as opened:
        assert opened.load().identical(half)
        assert opened["posterior/mu"].dtype == np.float64


@pytest.mark.parametrize("odd", [0.1, 1e300, 1e-300, -0.0, np.nan, -np.inf])
def test_no_double_is_rounded_on_its_way(odd: float) -> None:
    """One draw that single precision lacks keeps its variable in double, bit by bit."""
    values = np.zeros((4, 1000))
    values[2, 3] = odd
    back = decode(encode(draws_of(values)))["posterior/mu"].values
    assert back.dtype == np.float64
    assert np.array_equal(back.view("int64"), values.view("int64"))


def test_counted_draws_take_no_room() -> None:
    """The numbers 0 to 3999 of the draws take less than a twentieth of their 32,000 bytes."""
    draws = np.random.default_rng(1).normal(size=(1, 4000))
    bare = xr.Dataset({"x": (("chain", "draw"), draws)})
    counted = bare.assign_coords(chain=[0], draw=np.arange(4000))
    sizes = [len(encode(xr.DataTree.from_dict({"posterior": one}))) for one in (bare, counted)]
    assert sizes[1] - sizes[0] < 32_000 / 20


def test_same_tree_makes_same_bytes() -> None:
    """The digest of a file depends on what is in it and on nothing else."""
    assert encode(result_tree()) == encode(result_tree())


def test_text_of_objects_becomes_plain_text() -> None:
    """Text that a sampler or pandas holds as objects is stored as text of fixed length."""
    labels = pd.Index(["KM", "naïve"])
    dataset = xr.Dataset(
        {"label": ("sequence", np.array(["a", "bc"], dtype=object), {"note": "kept"})},
        coords={"sequence": labels},
    )
    back = decode(encode(xr.DataTree.from_dict({"posterior": dataset})))["posterior"]
    assert back["label"].dtype.kind == back["sequence"].dtype.kind == "U"
    assert back["label"].attrs == {"note": "kept"}
    assert back["sequence"].values.tolist() == ["KM", "naïve"]


def test_hours_stay_numbers() -> None:
    """A unit of time does not turn a number into a duration."""
    visits = xr.Dataset({"visit": ("row", [24.0, 168.0], {"units": "hours"})})
    back = decode(encode(xr.DataTree(visits)))
    assert back["visit"].values.tolist() == [24.0, 168.0]


def test_encoding_of_another_file_is_forgotten() -> None:
    """Values read from a file that packed them are written in full."""
    dataset = xr.Dataset({"mu": ("draw", [0.123456789, 2.0])})
    dataset["mu"].encoding = {"dtype": "int16", "scale_factor": 0.1, "zlib": True}
    back = decode(encode(xr.DataTree(dataset)))
    assert back["mu"].values.tolist() == [0.123456789, 2.0]
    assert dataset["mu"].encoding["dtype"] == "int16"


def test_encoding_does_not_change_the_tree() -> None:
    """Saving leaves the caller's tree as it was, its attributes too."""
    tree = result_tree()
    tree["posterior"].attrs["tuned"] = True
    tree["posterior/treatment"].attrs["kept"] = True
    encode(tree)
    assert tree["posterior"].attrs["tuned"] is True
    assert tree["posterior/treatment"].attrs["kept"] is True


@pytest.mark.parametrize(
    ("value", "stored"),
    [(True, 1), (np.bool_(False), 0), ([7], 7), (np.array(["x", "y"]), ["x", "y"]), ("", "")],
    ids=repr,
)
def test_attributes_netcdf_has_no_form_for_take_the_nearest(value: Any, stored: Any) -> None:
    """Booleans become 0 or 1 and a list of one its item; texts stay texts, empty ones too."""
    tree = xr.DataTree(xr.Dataset(attrs={"kept": value}))
    assert decode(encode(tree)).attrs["kept"] == stored


class Bomb:
    """An object that would run code if it were ever unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Fail the test."""
        return (pytest.fail, ("code ran",))


REFUSED: dict[str, tuple[Any, str]] = {
    "object": (np.array([Bomb()], dtype=object), "'/exact/bad' has type object"),
    "mixed": (np.array(["a", 1.0], dtype=object), "'/exact/bad' has type object"),
    "complex": (np.array([1j]), "complex"),
    "moment": (np.array(["2024-05-01"], dtype="datetime64[ns]"), "as hours"),
    "half": (np.array([1.0], dtype="float16"), "float16"),
    "bytes": (np.array([b"a"]), "has type"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_anything_but_numbers_and_text_is_refused(kind: str) -> None:
    """The message names the variable and its type."""
    values, message = REFUSED[kind]
    tree = xr.DataTree.from_dict({"exact": xr.Dataset({"bad": ("row", values)})})
    with pytest.raises(StoreError, match=message):
        encode(tree)


@pytest.mark.parametrize(
    "value",
    [None, {"a": 1}, [], Bomb(), [[1, 2], [3, 4]]],
    ids=["none", "mapping", "empty list", "object", "nested list"],
)
def test_attributes_that_netcdf_lacks_are_refused(value: Any) -> None:
    """The message names the attribute and says to write it as JSON text."""
    tree = result_tree()
    tree["exact"].attrs["settings"] = value
    with pytest.raises(StoreError, match=r"'/exact@settings'.*JSON text"):
        encode(tree)


def test_reserved_attributes_are_refused() -> None:
    """A scale factor in an attribute would change the values when they are read."""
    tree = result_tree()
    tree["exact/mean"].attrs["scale_factor"] = 2.0
    with pytest.raises(StoreError, match="scale_factor"):
        encode(tree)


def test_other_failures_say_what_cannot_be_written() -> None:
    """A NUL inside a text, which HDF5 cannot hold, is refused and not cut off."""
    with pytest.raises(StoreError, match="cannot be written as NetCDF"):
        encode(xr.DataTree(xr.Dataset(attrs={"spec": "a\0b"})))


@pytest.mark.parametrize("content", [b"", b"not HDF5", b"\x89HDF\r\n\x1a\n" + b"\0" * 64])
def test_bytes_that_are_no_file_are_refused(content: bytes) -> None:
    """Whatever the bytes are, the error is a StoreError."""
    with pytest.raises(StoreError, match="not a NetCDF-4 file"):
        decode(content)


def test_older_form_of_netcdf_is_refused() -> None:
    """A NetCDF-3 file is not a result."""
    buffer = io.BytesIO()
    with netcdf_file(buffer, "w") as file:
        file.createDimension("row", 1)
        file.flush()
        content = buffer.getvalue()
    with pytest.raises(StoreError, match="not a NetCDF-4 file"):
        decode(content)


def test_a_variable_may_share_its_name_with_a_group() -> None:
    """A group 'prior' beside a variable 'prior' of another group: both come back into memory."""
    tree = xr.DataTree.from_dict({
        "prior": xr.Dataset({"x": ("draw", [1.0, 2.0])}),
        "sensitivity": xr.Dataset({"prior": ("estimand", [0.25])}),
    })  # fmt: skip
    found = decode(encode(tree))
    assert found["sensitivity"].to_dataset()["prior"].values.tolist() == [0.25]
    assert found["prior"].to_dataset()["x"].values.tolist() == [1.0, 2.0]
