"""Which parts of a fit hold patients' rows.

A store of a user's trial keeps summaries and draws of what the patients have in common. Their
rows, and everything with one number per patient or per observation, stay out unless asked for.
"""

from __future__ import annotations

import re
from collections.abc import Hashable

import xarray as xr

__all__ = ["ROW_DIMS", "without_rows"]

ROW_GROUPS = ("observed_data", "constant_data", "predictions_constant_data")
POINTWISE_GROUPS = (
    "log_likelihood", "posterior_predictive", "prior_predictive", "predictions"
)  # fmt: skip
ROW_DIMS = frozenset({
    "subject", "patient", "participant", "individual", "observation", "obs", "obs_id", "obs_idx",
    "row", "record", "unit", "id", "usubjid", "subjid", "pair", "completer",
    "unconstrained_parameter"
})  # fmt: skip
SHARED_DIMS = frozenset({
    "chain", "draw", "sample", "period", "treatment", "sequence", "visit", "endpoint", "estimand",
    "prior", "reconstruction", "arm", "contrast", "check", "statistic", "quantile", "prob",
    "probability", "threshold", "category", "bin", "column", "other_column"
})  # fmt: skip
UNNAMED_DIM = re.compile(r".*_dim_\d+")


def without_rows(tree: xr.DataTree) -> tuple[xr.DataTree, list[str]]:
    """Return a fit without what could identify a patient, and the names of what was left out.

    Left out are the groups of data ("observed_data"); every variable and coordinate with a
    dimension for subjects or observations ("posterior/subject_effect"), by name or because the data
    or a pointwise group has it; and every variable with a dimension nobody named (such as
    ``y_dim_0``), because it could be one.
    """
    rows = _row_dims(tree)
    nodes: dict[str, xr.Dataset] = {}
    dropped: list[str] = []
    for node in tree.subtree:
        path = node.path.strip("/")
        if set(path.split("/")) & set(ROW_GROUPS):
            dropped.append(path)
            continue
        dataset = node.to_dataset(inherit=False)
        gone = [name for name, v in dataset.variables.items() if _has_rows(name, v, rows)]
        dropped += [f"{path}/{name}".lstrip("/") for name in gone]
        nodes[node.path] = dataset.drop_vars(gone)
    return xr.DataTree.from_dict(nodes), dropped


def _row_dims(tree: xr.DataTree) -> set[str]:
    """Find the dimensions along which the data or the pointwise groups have their rows."""
    rows = set(ROW_DIMS)
    for node in tree.subtree:
        if set(node.path.split("/")) & {*ROW_GROUPS, *POINTWISE_GROUPS}:
            rows |= {str(dim).lower() for dim in node.dims} - SHARED_DIMS
    return rows


def _has_rows(name: Hashable, variable: xr.Variable, rows: set[str]) -> bool:
    """Tell whether a variable names a subject, or has, or may have, one number per row."""
    dims = {str(dim).lower() for dim in variable.dims}
    return (
        str(name).lower() in ROW_DIMS
        or bool(dims & rows)
        or any(UNNAMED_DIM.fullmatch(dim) for dim in dims)
    )
