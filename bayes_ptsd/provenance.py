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
from bayes_ptsd.specification import ModelSpec
from bayes_ptsd.trial import Endpoint

__all__ = [
    "DEFAULT_SEED",
    "EXACT_DRAWS",
    "EXACT_SETTINGS",
    "NOT_KNOWN",
    "OWN_ENGINE",
    "endpoint_constants",
    "library_versions",
    "make_result_id",
    "stamp",
]

DEFAULT_SEED = 20140521
"""Seed of every command unless another is given."""

# as many as NUTS keeps by default, 4 chains of 1,000
EXACT_DRAWS = 4000
"""Draws of an exact posterior that a result holds."""
EXACT_SETTINGS: Mapping[str, Any] = MappingProxyType({"engine": "exact", "draws": EXACT_DRAWS})
"""What an exact posterior has for sampler settings, in its id."""
OWN_ENGINE = "pymc (own)"
"""Engine of a fit that somebody sampled outside this package."""
NOT_KNOWN = "not known"
"""What such a fit says of its seed, and of settings that its sampler did not note down."""

LIBRARIES = (
    "arviz-base", "arviz-stats", "bayes-ptsd", "numpy", "nutpie", "pymc", "pytensor", "scipy",
    "xarray",
)  # fmt: skip


@cache
def library_versions() -> Mapping[str, str]:
    """Return the versions of the libraries that compute, without importing them."""
    return MappingProxyType({name: metadata.version(name) for name in LIBRARIES})


def make_result_id(
    evidence: Evidence | str, spec: ModelSpec, *, settings: Mapping[str, Any], seed: int
) -> str:
    """Return the identity of an analysis: 24 hexadecimal digits of a digest of its inputs.

    Same inputs, same id, on every machine and with every library version; `settings` are those that
    can change a posterior.
    """
    digest = evidence if isinstance(evidence, str) else evidence.digest
    content = [digest, spec.spec_id, dict(settings), seed]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]


def endpoint_constants(endpoint: Endpoint) -> dict[str, Any]:
    """Return what summaries of a difference need to know of its endpoint, JSON-safe."""
    constants = asdict(endpoint) | {"range": list(endpoint.range) if endpoint.range else None}
    del constants["event"]  # how cells were read, not what a difference means
    return constants


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
    """Return the attributes at the root of every fit: texts and numbers, so that NetCDF holds them.

    `seconds` is the wall time of the computation; `warnings` are statistical ones, in words.
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
