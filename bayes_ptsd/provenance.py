"""What every result says about itself: inputs, versions, seed, identity.

The identity of a result is a digest of its inputs; library versions are recorded beside it and are
not part of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from importlib import metadata
from types import MappingProxyType
from typing import Any

from bayes_ptsd.evidence import Evidence
from bayes_ptsd.spec import ModelSpec
from bayes_ptsd.trial import Endpoint

__all__ = ["DEFAULT_SEED", "endpoint_constants", "library_versions", "make_result_id", "stamp"]

DEFAULT_SEED = 20140521
"""Seed of every command unless another is given."""

LIBRARIES = (
    "arviz-base", "arviz-stats", "bayes-ptsd", "numpy", "nutpie", "pymc", "pytensor", "scipy",
    "xarray",
)  # fmt: skip


@cache
def library_versions() -> Mapping[str, str]:
    """Return the versions of the libraries that compute, without importing them.

    Examples
    --------
    >>> "scipy" in library_versions()
    True
    """
    return MappingProxyType({name: metadata.version(name) for name in LIBRARIES})


def make_result_id(
    evidence: Evidence | str, spec: ModelSpec, *, settings: Mapping[str, Any], seed: int
) -> str:
    """Return the identity of an analysis: 24 hexadecimal digits of a digest of its inputs.

    Parameters
    ----------
    evidence : Evidence or str
        What is analyzed, or its digest.
    spec : ModelSpec
        Under which model and priors.
    settings : mapping
        Engine and sampler settings that can change a posterior.
    seed : int
        Seed of the draws.

    Returns
    -------
    str
        Same inputs, same id, on every machine and with every library version.

    Examples
    --------
    >>> from bayes_ptsd.evidence.published import load_published, select_contrast
    >>> from bayes_ptsd.spec import load_model
    >>> row = select_contrast(load_published(), "T2.IESR.X")
    >>> len(make_result_id(row, load_model("published"), settings={"engine": "exact"}, seed=1))
    24
    """
    digest = evidence if isinstance(evidence, str) else evidence.digest
    content = [digest, spec.spec_id, dict(settings), seed]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]


def endpoint_constants(endpoint: Endpoint) -> dict[str, Any]:
    """Return what summaries of a difference need to know of its endpoint, JSON-safe.

    Examples
    --------
    >>> from bayes_ptsd.trial import load_trial
    >>> endpoint_constants(load_trial().endpoint("ies_r"))["mcid"]
    7.2
    """
    return asdict(endpoint) | {"range": list(endpoint.range) if endpoint.range else None}


def stamp(
    evidence: Evidence,
    spec: ModelSpec,
    *,
    endpoint: Endpoint,
    settings: Mapping[str, Any],
    seed: int,
    seconds: float,
    warnings: Sequence[str],
) -> dict[str, Any]:
    """Return the attributes that every fit carries at its root.

    Parameters
    ----------
    evidence, spec
        What was analyzed under which model.
    endpoint : Endpoint
        The outcome; its MCID, reference SD, unit and range travel with the fit.
    settings : mapping
        Engine and sampler settings.
    seed : int
        Seed of the draws.
    seconds : float
        Wall time of the computation.
    warnings : sequence of str
        Statistical warnings, in words.

    Returns
    -------
    dict
        Texts and numbers only, so that NetCDF can hold them.

    Examples
    --------
    >>> from bayes_ptsd.evidence.published import load_published, select_contrast
    >>> from bayes_ptsd.spec import load_model
    >>> row = select_contrast(load_published(), "T2.IESR.X")
    >>> attrs = stamp(row, load_model("published"), endpoint=row.trial.endpoint("ies_r"),
    ...               settings={"engine": "exact"}, seed=1, seconds=0.1, warnings=[])
    >>> attrs["evidence_kind"]
    'published'
    """
    return {
        "result_id": make_result_id(evidence, spec, settings=settings, seed=seed),
        "model": spec.name,
        "spec": json.dumps(spec.document()),
        "trial": evidence.trial.name,
        "trial_title": evidence.trial.title,
        "active": evidence.trial.active,
        "control": evidence.trial.control,
        "endpoint": endpoint.id,
        "endpoint_constants": json.dumps(endpoint_constants(endpoint)),
        "evidence_kind": evidence.kind,
        "evidence_digest": evidence.digest,
        "assumptions": json.dumps(dict(evidence.assumptions)),
        "settings": json.dumps(dict(settings)),
        "engine": str(settings["engine"]),
        "seed": seed,
        "seconds": seconds,
        "warnings": json.dumps(list(warnings)),
        "versions": json.dumps(dict(library_versions())),
    }
