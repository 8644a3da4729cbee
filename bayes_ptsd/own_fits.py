"""A posterior that somebody sampled with PyMC outside this package, as a fit that a store keeps.

It gets what fits of this package have: checks, predictive groups, the frequentist analysis and
attributes. Its engine is a name of its own and its id a digest of its draws as well, so that it is
never taken for what this package computed of the same evidence and model.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.assembly import assembled_fit
from bayes_ptsd.errors import SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.posteriors import GIVE, KEPT, as_tree, own_posterior
from bayes_ptsd.provenance import DEFAULT_SEED, NOT_KNOWN, OWN_ENGINE, library_versions
from bayes_ptsd.specification import ModelSpec

__all__ = ["own_fit"]

STATISTICS = ("diverging", "energy")
"""What NUTS notes down of every draw and checks of convergence need."""


def own_fit(
    result: Any, evidence: Evidence, spec: ModelSpec | str | Path, *, level: int = 3
) -> xr.DataTree:
    """Return what `pm.sample` made of a model of `build_model` as a fit.

    `level` is that of the caller whom failed checks are a warning to. Refused, as SpecError, is
    what lacks a variable, was sampled from other data or priors, or lacks what checks need.
    """
    tree = as_tree(result)
    _refuse_incomplete(tree)
    own = own_posterior(tree, evidence, spec)
    _refuse_broken(own.groups["posterior"])
    noted = _noted(tree)
    settings = _settings(own.groups["posterior"], noted)
    seconds = float(noted.get("sampling_time", np.nan))
    fit = assembled_fit(
        own.evidence, own.spec, own.problem, own.groups, built=own.built, settings=settings,
        seed=DEFAULT_SEED, seconds=lambda: seconds, level=level + 1,
    )  # fmt: skip
    fit.attrs["seed"] = NOT_KNOWN
    fit.attrs["versions"] = json.dumps(dict(library_versions()) | _version(noted))
    return fit


def _refuse_incomplete(tree: xr.DataTree) -> None:
    """Refuse what lacks the draws, what the sampler noted of them, or the data behind them."""
    if "result_id" in tree.attrs:
        raise SpecError(
            f"this is result {tree.attrs['result_id']}, which says itself what it is of; save it "
            "without evidence and spec"
        )
    if missing := [name for name in KEPT if name not in tree.children]:
        raise SpecError(
            f"this result has no {', '.join(missing)}; {GIVE}: its checks need what the sampler "
            "noted of each draw, and the data show which evidence it is of"
        )
    stats = tree["sample_stats"].data_vars
    if missing := [name for name in STATISTICS if name not in stats]:
        raise SpecError(
            f"sample_stats has no {', '.join(missing)}: only results of NUTS can be checked and "
            "kept; sample with pm.sample and its default step"
        )


def _refuse_broken(posterior: xr.Dataset) -> None:
    """Refuse draws that are no numbers."""
    broken = [str(n) for n, v in posterior.data_vars.items() if not np.isfinite(v.values).all()]
    if broken:
        raise SpecError(
            f"draws of {', '.join(broken)} are not finite: the sampler failed; sample again, "
            "longer or under priors that are less wide"
        )


def _noted(tree: xr.DataTree) -> dict[str, Any]:
    """Return what sampler and ArviZ noted down of themselves."""
    found = [node.attrs for node in (tree, tree["sample_stats"], tree["posterior"])]
    return {str(key): value for attrs in found for key, value in attrs.items()}


def _settings(posterior: xr.Dataset, noted: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that are the identity of the fit, the digest of its draws among them."""
    digest = hashlib.sha256()
    for name in sorted(map(str, posterior.data_vars)):
        values = np.ascontiguousarray(posterior[name].values, dtype="<f8")
        digest.update(json.dumps([name, list(values.shape)]).encode() + values.tobytes())
    tune = noted.get("tuning_steps")
    return {
        "engine": OWN_ENGINE,
        "sampler": str(noted.get("inference_library", NOT_KNOWN)),
        "draws": posterior.sizes["draw"],
        "tune": NOT_KNOWN if tune is None else int(tune),
        "chains": posterior.sizes["chain"],
        "draws_sha256": digest.hexdigest(),
    }


def _version(noted: dict[str, Any]) -> dict[str, str]:
    """Return the version of the library that sampled."""
    keys = ("inference_library", "inference_library_version")
    return {str(noted[keys[0]]): str(noted[keys[1]])} if all(key in noted for key in keys) else {}
