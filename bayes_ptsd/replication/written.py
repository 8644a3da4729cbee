"""An outlook as JSON text and back, number for number: no Python object is ever unpickled."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.priors import Prior
from bayes_ptsd.replication.designs import ReplicationDesign
from bayes_ptsd.replication.exchangeable import OwnEffect
from bayes_ptsd.replication.joint import JointMixture
from bayes_ptsd.replication.outlook import Outlook
from bayes_ptsd.replication.prior import ReplicationPrior

__all__ = ["outlook_of", "outlook_text"]

# key beside which a value says which of these it is; no table of an outlook has a key like it
KIND = "__kind__"
VALUES: Mapping[str, Callable[..., Any]] = {
    one.__name__: one
    for one in (JointMixture, Outlook, OwnEffect, Prior, ReplicationDesign, ReplicationPrior)
}


def outlook_text(outlook: Outlook) -> str:
    """Return an outlook as JSON text."""
    return json.dumps(_plain(outlook))


def outlook_of(text: str) -> Outlook:
    """Return the outlook of a JSON text, equal to the one that was written."""
    found: Outlook = _value(json.loads(text))
    return found


def _plain(value: Any) -> Any:
    """Return a value as JSON, with its kind where JSON has no word for it."""
    if is_dataclass(value):
        parts = {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
        return {KIND: type(value).__name__, **parts}
    if isinstance(value, xr.Dataset):
        return {KIND: "Dataset", "content": value.to_dict()}
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, tuple):
        return {KIND: "tuple", "items": [_plain(one) for one in value]}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, np.ndarray):
        return {KIND: "array", "values": value.tolist()}
    return value.item() if isinstance(value, np.generic) else value


def _value(plain: Any) -> Any:
    """Return a value from JSON."""
    if isinstance(plain, list):
        return [_value(one) for one in plain]
    if not isinstance(plain, dict):
        return plain
    kind = plain.get(KIND, "")
    if kind == "Dataset":
        return xr.Dataset.from_dict(plain["content"])
    if kind == "tuple":
        return tuple(_value(one) for one in plain["items"])
    if kind == "array":
        return np.array(plain["values"])
    parts = {name: _value(one) for name, one in plain.items() if name != KIND}
    return VALUES[kind](**parts) if kind in VALUES else parts
