"""The store of results.

One NetCDF-4 file and one small JSON file, the sidecar, per result. The data file is named after
the result and the digest of its bytes and is published first; the sidecar that names it is
published last, and the first writer wins: it is what makes the result exist.
"""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import pandas as pd
import xarray as xr

from bayes_ptsd.display import html_table
from bayes_ptsd.errors import StoreError, nearest
from bayes_ptsd.evidence import Evidence, EvidenceKind
from bayes_ptsd.specification import REDRAWN, ModelSpec
from bayes_ptsd.store import catalog, records, upkeep
from bayes_ptsd.store.files import RESULTS, command, make_folders, publish, writing
from bayes_ptsd.store.netcdf import decode, encode, write_zarr
from bayes_ptsd.store.patients import without_rows
from bayes_ptsd.store.redrawn import with_draws, without_draws
from bayes_ptsd.store.tables import flat_table, write_table
from bayes_ptsd.whole_files import unique_ending, write_new

__all__ = ["ROOM", "ResultStore", "load_whole"]

# bytes: twice a result of 4,000 draws of 100 variables, the largest that is usual
ROOM = 32_000_000
# bytes that are written to find out: a quota, or a limit on the size of files, shows in no free
# space; more would be felt on a network drive
PROBE = 1_000_000

# as many lines as a notebook shows without scrolling; the whole catalog is `frame`
SHOWN = 10


class ResultStore:
    """A folder of immutable results, addressed by their inputs.

    The folder is created by the first write; reading one that does not exist finds nothing. Any
    number of processes may read and write at once.

    Parameters
    ----------
    path : str or Path
        Folder of the store.

    Attributes
    ----------
    path : Path
        The same folder.

    Raises
    ------
    StoreError
        If `path`, or something on the way to it, is a file.

    Examples
    --------
    >>> import tempfile
    >>> posterior = xr.Dataset({"treatment": (("chain", "draw"), [[9.5, 12.0]])})
    >>> tree = xr.DataTree.from_dict({"posterior": posterior})
    >>> tree.attrs = {
    ...     "result_id": "0f3a9c21d4", "spec": "{}", "evidence_kind": "published", "seed": 1,
    ...     "evidence_digest": "5b1e", "versions": "{}", "model": "published",
    ... }
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = ResultStore(folder)
    ...     result_id = store.save(tree)
    ...     float(store.load(result_id)["posterior/treatment"].mean())
    10.75
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        for place in (self.path, *self.path.absolute().parents):
            if place.is_dir():
                break
            if os.path.lexists(place):
                raise StoreError(f"{place}: is not a folder; name a folder for the results")

    def __repr__(self) -> str:
        """Show the folder."""
        return f"ResultStore({str(self.path)!r})"

    def _repr_html_(self) -> str:
        """Show the newest results in a notebook, read from their sidecars."""
        entries = catalog.list_results(self.path).entries
        keys = ("model", "endpoint", "contrast", "prior", "engine")
        rows = [
            [one["result_id"][:10], *(one.get(key) or "" for key in keys)]
            for one in reversed(entries[-SHOWN:])
        ]
        count = f"{len(entries)} {'result' if len(entries) == 1 else 'results'}"
        shown = f", the newest {SHOWN}" if len(entries) > SHOWN else ""
        return html_table(f"{self.path}: {count}{shown}", rows, head=["result", *keys])

    def check_writable(self, room: int = ROOM) -> None:
        """Create the folder where it is missing, see whether there is room, and write a file in it.

        Asked before hours of computing rather than found out after them.

        Parameters
        ----------
        room : int
            Bytes that are about to be written.

        Raises
        ------
        StoreError
            If the store cannot be written, or the disk has less room.
        """
        make_folders(self.path)
        free = shutil.disk_usage(self.path).free
        if free < room:
            raise StoreError(
                f"{self.path}: {free / 1e6:.0f} MB are free and about {room / 1e6:.0f} MB are "
                "needed; make room, or choose another folder with --store or BAYES_PTSD_STORE"
            )
        probe = self.path / RESULTS / f"writable.{unique_ending()}"
        try:
            publish(probe, bytes(PROBE))
        finally:
            with writing(probe):
                probe.unlink(missing_ok=True)

    def save(
        self,
        tree: Any,
        *,
        evidence: Evidence | None = None,
        spec: ModelSpec | str | Path | None = None,
        keep_data: bool = False,
    ) -> str:
        """Save a result under the id it carries, unless the store has it already.

        Parameters
        ----------
        tree : DataTree or InferenceData
            A result; its root attributes are those of docs/guides/store.md. With `evidence` and
            `spec`, what `pm.sample` returns of a model of `build_model`: its checks and attributes
            are made first, its engine is "pymc (own)", and its id is also that of its draws.
        evidence, spec : Evidence; ModelSpec, str or Path, optional
            What a fit of one's own is of: what `build_model` took.
        keep_data : bool
            Of evidence of kind "patients", keep the rows and everything with one number per
            subject or observation. Otherwise they are left out and the attribute `dropped`
            lists them.

        Returns
        -------
        str
            The result id.

        Raises
        ------
        StoreError
            If the tree lacks an attribute, holds something other than numbers and text, or cannot
            be written. Then nothing is stored.
        SpecError
            If a fit of one's own is not of this evidence and model; the message says which
            variables are missing or which data differ.

        Warns
        -----
        UserWarning
            If rows are to be kept of a result that was stored without them.
        StatisticalWarning
            For every check that a fit of one's own fails.
        """
        tree = _result(tree, evidence, spec)
        described = records.describe(tree.attrs)
        result_id = str(described["result_id"])
        kind = described["evidence_kind"]
        if kind not in get_args(EvidenceKind):
            raise StoreError(f"evidence_kind '{kind}'{nearest(str(kind), get_args(EvidenceKind))}")
        if self.has(result_id):
            self._warn_of_missing_rows(result_id, keep_data)
            return result_id
        dropped: list[str] = []
        if kind == "patients" and not keep_data:
            tree, dropped = without_rows(tree)
            tree.attrs["dropped"] = json.dumps(dropped)
        content = encode(without_draws(tree))
        records.publish_result(self.path, content, {**described, "dropped": dropped})
        return result_id

    def has(self, result_id: str) -> bool:
        """Tell whether a result is stored, without reading it.

        Parameters
        ----------
        result_id : str
            The whole id.

        Returns
        -------
        bool
            True also for a damaged result, which `load` refuses and `remove` clears away.
        """
        return catalog.is_result_id(result_id) and (
            os.path.lexists(catalog.sidecar_path(self.path, result_id))
        )

    def load(self, result_id: str) -> xr.DataTree:
        """Load a result into memory after verifying every byte of it.

        Parameters
        ----------
        result_id : str
            Its id, or at least the first six digits.

        Returns
        -------
        xr.DataTree
            The result as it was saved.

        Raises
        ------
        ResultNotFoundError
            If no result, or more than one, begins so.
        StoreError
            If the result is damaged; the message names the file and what to do.
        """
        sidecar = self._sidecar(result_id)
        content = catalog.read_verified(self.path, sidecar)
        try:
            return with_draws(decode(content))
        except StoreError as error:
            words = command(f"store remove {sidecar['result_id']}", self.path)
            raise StoreError(
                f"{self.path / RESULTS / sidecar['file']}: {error}; remove it with {words} and "
                "compute it again"
            ) from error

    def catalog(self) -> list[dict[str, Any]]:
        """List the sidecars of all results, oldest first.

        Returns
        -------
        list of dict
            With the keys of docs/guides/store.md.

        Warns
        -----
        UserWarning
            For each damaged sidecar, which is left out.
        """
        listing = catalog.list_results(self.path)
        for message in listing.damaged:
            warnings.warn(f"left out: {message}", UserWarning, stacklevel=1)
        return listing.entries

    def frame(self) -> pd.DataFrame:
        """Return the catalog as a table, one row per result.

        Returns
        -------
        pandas.DataFrame
            Indexed by `result_id`. Tables within the sidecar become columns such as
            ``summary.treatment_difference.mean``, and the limits of an interval two columns that
            end in ``.0`` and ``.1``.
        """
        return flat_table(self.catalog())

    def verify(self, *, grace: float = upkeep.GRACE) -> upkeep.Verification:
        """Read every byte of the store and its report; delete what killed writers left behind.

        Parameters
        ----------
        grace : float
            Age in seconds below which an unfinished file is left to its writer.

        Returns
        -------
        Verification
            `checked`, `problems`, `swept`, `unfinished` and `foreign`; no problems means that
            every result is as it was saved.
        """
        return upkeep.verify_store(self.path, grace=grace)

    def record_run(
        self,
        kind: str,
        request: Mapping[str, Any],
        *,
        results: Sequence[str],
        versions: Mapping[str, str] | None = None,
        notes: Mapping[str, Any] | None = None,
    ) -> str:
        """Write the manifest of a run, which nothing changes afterwards.

        Parameters
        ----------
        kind : str
            The command, such as ``"reanalyze"``.
        request : mapping
            What was asked, as JSON values.
        results : sequence of str
            Result ids that answer it.
        versions : mapping of str to str, optional
            Versions of the libraries that computed.
        notes : mapping, optional
            Anything else worth keeping, as JSON values.

        Returns
        -------
        str
            Id of the run; ids sort by time.

        Raises
        ------
        StoreError
            If the store cannot be written, or something is not a JSON value.
        """
        return records.record_run(
            self.path, kind, request=request, results=results, versions=versions, notes=notes
        )

    def runs(self) -> list[dict[str, Any]]:
        """List the run manifests, oldest first.

        Returns
        -------
        list of dict
            With the keys of docs/guides/store.md.

        Warns
        -----
        UserWarning
            For each damaged manifest, which is left out.
        """
        listing = catalog.list_runs(self.path)
        for message in listing.damaged:
            warnings.warn(f"left out: {message}", UserWarning, stacklevel=1)
        return listing.entries

    def remove(self, result_id: str) -> str:
        """Remove a result, damaged, incomplete or lost; run manifests that name it stay.

        Parameters
        ----------
        result_id : str
            Its id, or at least the first six digits.

        Returns
        -------
        str
            The whole id.

        Raises
        ------
        ResultNotFoundError
            If no result, or more than one, begins so.
        """
        return upkeep.remove_result(self.path, result_id)

    def export(self, result_id: str, path: str | Path) -> Path:
        """Copy a verified result to a place outside the store.

        Parameters
        ----------
        result_id : str
            Its id, or at least the first six digits.
        path : str or Path
            The new file, the NetCDF file with all draws, or with suffix ``.zarr`` a Zarr folder.

        Returns
        -------
        Path
            The new file or folder.

        Raises
        ------
        ResultNotFoundError
            If no result, or more than one, begins so.
        StoreError
            If the result is damaged, the file exists already, or it cannot be written.
        """
        if Path(path).suffix == ".zarr":
            return write_zarr(self.load(result_id), Path(path))
        content = catalog.read_verified(self.path, self._sidecar(result_id))
        if REDRAWN in decode(content).attrs:
            content = encode(self.load(result_id))
        write_new({Path(path): content}, error=StoreError)
        return Path(path)

    def export_catalog(self, path: str | Path) -> Path:
        """Write the catalog as a CSV or Parquet file.

        Parameters
        ----------
        path : str or Path
            The new file; its suffix, ``.csv`` or ``.parquet``, decides.

        Returns
        -------
        Path
            The new file.

        Raises
        ------
        StoreError
            If the suffix is another one, the file exists already, or it cannot be written.
        """
        return write_table(self.frame(), Path(path))

    def _sidecar(self, result_id: str) -> dict[str, Any]:
        """Read the verified sidecar of the one result that begins with `result_id`."""
        return catalog.read_sidecar(self.path, catalog.find_result(self.path, result_id))

    def _warn_of_missing_rows(self, result_id: str, keep_data: bool) -> None:
        """Say that rows which are to be kept were left out when the result was stored."""
        if keep_data and catalog.read_sidecar(self.path, result_id).get("dropped"):
            words = command(f"store remove {result_id}", self.path)
            warnings.warn(
                f"{self.path}: result {result_id} is stored without its patients' rows and stays "
                f"so; to keep them, run {words} first",
                UserWarning,
                stacklevel=3,
            )


def _result(tree: Any, evidence: Evidence | None, spec: ModelSpec | str | Path | None) -> Any:
    """Return what is to be stored: a result as it is, or the fit that somebody's draws make."""
    if evidence is None and spec is None:
        if isinstance(tree, xr.DataTree) and "result_id" in tree.attrs:
            return tree
        raise StoreError(
            "a result needs the attribute 'result_id' at its root; of a fit of your own, say what "
            "it is of: store.save(fit, evidence=..., spec=...), as given to build_model"
        )
    if evidence is None or spec is None:
        missing = "evidence" if evidence is None else "spec, the model or its name"
        raise StoreError(f"evidence and spec belong together; give {missing}, as well")
    # checks need ArviZ, which takes a second to import, and results of this package have them
    from bayes_ptsd.own_fits import own_fit

    return own_fit(tree, evidence, spec, level=4)


def load_whole(store: ResultStore, result_ids: Iterable[str]) -> list[xr.DataTree]:
    """Load results that are whole; one that is damaged is left out with a warning."""
    found = []
    for result_id in result_ids:
        try:
            found.append(store.load(result_id))
        except StoreError as error:
            warnings.warn(f"left out: {error}", UserWarning, stacklevel=1)
    return found
