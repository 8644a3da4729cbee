"""The draws of a problem and everything that belongs to them, as one fit: checks, provenance."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import xarray as xr

from bayes_ptsd.checks import check_fit, checks_passed, failed_checks, joined_checks
from bayes_ptsd.errors import StatisticalWarning
from bayes_ptsd.estimands import estimate, summary_document
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.posteriors import single_precision
from bayes_ptsd.provenance import stamp
from bayes_ptsd.specification import Groups, ModelSpec, Problem

if TYPE_CHECKING:
    import pymc as pm

__all__ = ["assembled_fit"]


def assembled_fit(
    evidence: Evidence,
    spec: ModelSpec,
    problem: Problem,
    groups: Groups,
    *,
    built: pm.Model | None,
    settings: Mapping[str, Any],
    seed: int,
    seconds: Callable[[], float],
    level: int,
    notes: tuple[str, ...] = (),
) -> xr.DataTree:
    """Return the fit of a posterior: predictive groups, checks, frequentist analysis, attributes.

    `built` is the PyMC model of a sampled posterior; `level` is that of the caller whom failed
    checks are a warning to; `notes` are kept beside those of the problem.
    """
    room = spec.room
    counterpart = room.counterpart(problem.model)
    groups = groups | room.groups(problem.model, groups, seed, built)
    if settings["engine"] == "nuts":
        # before anything is said of them, so that a stored fit says the same
        groups = single_precision(groups)
    tree = _checked(groups, lambda fit: room.checks(problem.model, fit, counterpart))
    failures = failed_checks(tree)
    for failure in failures:
        warnings.warn(failure, StatisticalWarning, stacklevel=level)
    tree.attrs = stamp(
        evidence, spec, endpoint=problem.endpoint, settings=settings, seed=seed,
        seconds=seconds(), warnings=[*evidence.notes, *notes, *problem.notes, *failures],
    )  # fmt: skip
    tree.attrs.update(problem.attrs)
    tree.attrs["checks_passed"] = int(checks_passed(tree))
    tree.attrs["frequentist"] = json.dumps(counterpart)
    tree.attrs["summary"] = json.dumps(summary_document(estimate(tree)))
    return tree


def _checked(groups: Groups, further: Callable[[xr.DataTree], Groups]) -> xr.DataTree:
    """Assemble a fit with its checks, those of convergence and those of its structure."""
    tree = xr.DataTree.from_dict(groups)
    tables = [groups["checks"]] if "checks" in groups else []
    if "sample_stats" in groups:
        tables.append(check_fit(tree))
    more = further(tree)
    tables += [more.pop("checks")] if "checks" in more else []
    for name, group in more.items():
        tree[name] = xr.DataTree(group)
    tree["checks"] = xr.DataTree(joined_checks(tables))
    return tree
