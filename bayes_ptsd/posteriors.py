"""What samplers and ArviZ return, as the data trees that everything here reads, and back.

A posterior of one's own is one that PyMC sampled outside this package, from a model of
`build_model`. With its evidence and specification it is held against that model: the variables it
has to have, and the data that it was sampled from.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayes_ptsd.errors import SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.provenance import DEFAULT_SEED, endpoint_constants
from bayes_ptsd.specification import Groups, ModelSpec, Problem, as_specification

if TYPE_CHECKING:
    import pymc as pm

__all__ = ["OwnPosterior", "as_tree", "described", "own_posterior", "single_precision", "to_arviz"]

DRAWN = ("chain", "draw")
KEPT = ("posterior", "sample_stats", "observed_data", "constant_data")
# relative: data are handed over as they are, some of them in single precision on the way
CLOSE = 1e-6
# of the SD of a variable, by which rounding may move a draw: a hundredth of the Monte Carlo error
# of the mean of 4,000 draws, .016 SD
ROUNDING = 1e-4
GIVE = "give what pm.sample returns, whole"


@dataclass(frozen=True)
class OwnPosterior:
    """A posterior that was sampled elsewhere, held against the model that it is of."""

    evidence: Evidence
    spec: ModelSpec
    problem: Problem
    built: pm.Model  # what it must have been sampled from
    groups: Groups  # posterior and, where they are known, sample_stats and data


def as_tree(result: Any) -> xr.DataTree:
    """Return what PyMC, ArviZ or this package makes, or a posterior alone, as a data tree."""
    if isinstance(result, xr.DataTree):
        return result
    if isinstance(result, xr.Dataset):
        if missing := [dim for dim in DRAWN if dim not in result.dims]:
            raise SpecError(
                f"this posterior has no dim {' and no '.join(missing)}; give it with dims chain "
                "and draw, as pm.sample returns it and az.extract(..., combined=False)"
            )
        return xr.DataTree.from_dict({"posterior": result})
    if hasattr(result, "to_datatree"):
        tree: xr.DataTree = result.to_datatree()
        return tree
    raise SpecError(
        f"this is no result but {_article(type(result).__name__)}; {GIVE} (an InferenceData or a "
        "DataTree), or its posterior as a Dataset"
    )


def to_arviz(fit: xr.DataTree) -> Any:
    """Return a fit in the type that the functions of the installed ArviZ take.

    Parameters
    ----------
    fit : xr.DataTree
        A fit, for example one that a store loads. Groups that hold nothing, such as those of rows
        that a store left out, are left out.

    Returns
    -------
    DataTree or InferenceData
        A data tree for ArviZ 1, which takes a fit as it is, too; an InferenceData for ArviZ 0.

    Examples
    --------
    >>> posterior = xr.Dataset({"level": (("chain", "draw"), [[41.0, 42.0, 43.0]])})
    >>> fit = to_arviz(xr.DataTree.from_dict({"posterior": posterior}))
    >>> float(fit["posterior"]["level"].mean())
    42.0
    """
    # ArviZ 0 takes seconds to import
    from bayes_ptsd._stack import for_arviz

    groups = {str(name): node.to_dataset() for name, node in as_tree(fit).children.items()}
    tree = xr.DataTree.from_dict({name: one for name, one in groups.items() if one.data_vars})
    tree.attrs = dict(fit.attrs)
    return for_arviz(tree)


def single_precision(groups: Groups) -> Groups:
    """Return groups with draws rounded to numbers that single precision holds, of type double.

    A variable stays as it is where that would move a draw by more than 1e-4 of its SD, as of one
    far from zero with a small spread, or loses the magnitude: beyond 3e38 and below 1e-38.
    """
    return {name: group.map(_rounded, keep_attrs=True) for name, group in groups.items()}


def _rounded(variable: xr.DataArray) -> xr.DataArray:
    """Return draws in single precision, where it is close to every one of them."""
    if variable.dtype != np.float64 or not set(DRAWN) <= set(variable.dims):
        return variable
    values, axes = variable.values, tuple(variable.get_axis_num(DRAWN))
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        near = values.astype(np.float32).astype(np.float64)
        error = np.abs(near - values)
        close = error <= ROUNDING * values.std(axis=axes, keepdims=True)
        close &= error <= np.finfo(np.float32).eps * np.abs(values)
    return variable.copy(data=near) if close.all() else variable


def described(
    result: Any,
    *,
    evidence: Evidence | None = None,
    spec: ModelSpec | str | Path | None = None,
) -> xr.DataTree:
    """Return a result with what summaries have to know of it.

    A fit of this package knows it. Of a posterior of one's own, evidence and model say it: the
    constants of the endpoint, the names, units and null values of the estimands, and those that
    follow from the parameters.
    """
    tree = as_tree(result)
    if evidence is None and spec is None:
        return tree
    if evidence is None or spec is None:
        missing = "evidence" if evidence is None else "spec, the model or its name"
        raise SpecError(f"evidence and spec belong together; give {missing}, as well")
    chosen = as_specification(spec)
    if "result_id" in tree.attrs:
        _refuse_other_analysis(tree, evidence, chosen)
        return tree
    own = own_posterior(tree, evidence, chosen)
    found = chosen.room.groups(own.problem.model, own.groups, DEFAULT_SEED, None)
    groups = own.groups | {"posterior": found.get("posterior", own.groups["posterior"])}
    completed = xr.DataTree.from_dict(groups)
    constants = json.dumps(endpoint_constants(own.problem.endpoint))
    completed.attrs = {"endpoint_constants": constants, **own.problem.attrs}
    return completed


def own_posterior(result: Any, evidence: Evidence, spec: ModelSpec | str | Path) -> OwnPosterior:
    """Hold a posterior that was sampled elsewhere against the model of some evidence.

    What lacks a variable of the model, has other dims or was sampled from other data is a
    SpecError.
    """
    tree, spec = as_tree(result), as_specification(spec)
    if "posterior" not in tree.children:
        raise SpecError(f"this result has no group 'posterior'; {GIVE}")
    problem = spec.room.problem(evidence, spec)
    built = spec.room.pymc_model(problem.model)
    where = f"build_model(evidence, '{spec.name}')"
    _refuse_other_data(tree, built, where)
    groups = {name: tree[name].to_dataset().drop_attrs() for name in KEPT if name in tree.children}
    groups["posterior"] = _of_model(groups["posterior"], built, where)
    if "observed_data" in groups:
        groups["observed_data"] = _without_made_up_dims(groups["observed_data"], built)
    if "sample_stats" in groups:
        stats = groups["sample_stats"]
        groups["sample_stats"] = stats[[n for n, v in stats.data_vars.items() if v.dtype != object]]
    return OwnPosterior(evidence, spec, problem, built, groups)


def _refuse_other_analysis(tree: xr.DataTree, evidence: Evidence, spec: ModelSpec) -> None:
    """Refuse evidence or a model that a fit of this package is not of."""
    own = json.loads(str(tree.attrs["spec"]))
    if tree.attrs["evidence_digest"] != evidence.digest:
        raise SpecError(
            f"result {tree.attrs['result_id']} is of other evidence; it says itself what it is of: "
            "leave evidence and spec out"
        )
    if own.get("spec_id") != spec.spec_id:
        raise SpecError(
            f"result {tree.attrs['result_id']} is of model '{own.get('name')}' under its own "
            f"priors, not of '{spec.name}' as given; it says itself what it is of: leave evidence "
            "and spec out"
        )


def _of_model(posterior: xr.Dataset, built: pm.Model, where: str) -> xr.Dataset:
    """Return the variables that a model has, with its labels."""
    names = [variable.name for variable in (*built.free_RVs, *built.deterministics)]
    if missing := [name for name in names if name not in posterior]:
        raise SpecError(
            f"the posterior has no {', '.join(missing)}, which {where} has; it has "
            f"{', '.join(map(str, posterior.data_vars)) or 'no variable'}: sample that model, with "
            "all of its variables"
        )
    for name in names:
        dims = {dim: len(built.coords[dim]) for dim in built.named_vars_to_dims.get(name, ())}
        sizes = {str(dim): size for dim, size in posterior[name].sizes.items()}
        if {dim: size for dim, size in sizes.items() if dim not in DRAWN} != dims:
            raise SpecError(
                f"'{name}' of the posterior has dims {_sizes(sizes)}; {where} gives it "
                f"{_sizes(dict.fromkeys(DRAWN, None) | dims)}: sample that model"
            )
    chosen = posterior[names]
    chosen = chosen.drop_vars([str(c) for c in chosen.coords if c not in chosen.dims])
    labels = {dim: list(built.coords[dim]) for dim in chosen.dims if dim in built.coords}
    return chosen.assign_coords(labels).transpose(*DRAWN, ...)


def _without_made_up_dims(observed: xr.Dataset, built: pm.Model) -> xr.Dataset:
    """Return observed data with numbers as numbers: ArviZ gives each of them a dim of its own."""
    numbers = [f"{one.name}_dim_0" for one in built.observed_RVs if one.ndim == 0]
    return observed.squeeze([dim for dim in numbers if dim in observed.dims], drop=True)


def _refuse_other_data(tree: xr.DataTree, built: pm.Model, where: str) -> None:
    """Refuse a result that was sampled from other scores, another design or other priors."""
    if "constant_data" not in tree.children:
        return
    known = tree["constant_data"].to_dataset()
    other = [
        variable.name
        for variable in built.data_vars
        if variable.name in known and not _same(known[variable.name].values, variable.get_value())
    ]
    if other:
        raise SpecError(
            f"this was sampled from other data than {where} has: {', '.join(other)} differ; give "
            "the evidence and the model, with its priors, that the sampled model was built from"
        )


def _same(one: Any, other: Any) -> bool:
    """Tell whether two arrays hold the same numbers."""
    left, right = np.asarray(one, dtype=float), np.asarray(other, dtype=float)
    return left.shape == right.shape and np.allclose(left, right, rtol=CLOSE, equal_nan=True)


def _sizes(sizes: Any) -> str:
    """Write dims and their sizes."""
    said = [name if size is None else f"{name} ({size})" for name, size in sizes.items()]
    return ", ".join(said) or "no dims"


def _article(name: str) -> str:
    """Write a name of a type with its article."""
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
