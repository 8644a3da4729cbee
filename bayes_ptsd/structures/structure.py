"""What a structure of models is: its options, priors, equation and builder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["NAME", "NAMES", "NUMBER", "Options", "Structure"]

Options = Mapping[str, Any]
NAMES = ("[names]",)
"""Allowed values of an option that is a list of names, which no model file can know beforehand."""
NAME = ("[name]",)
"""Allowed values of an option that is one such name, for example of an endpoint."""
NUMBER = ("[number]",)
"""Allowed values of an option that is any number."""


@dataclass(frozen=True)
class Structure:
    """What a structure accepts and how it is built."""

    # every option with its allowed values, or `NAMES`, `NAME` or `NUMBER`
    options: Mapping[str, tuple[Any, ...]]
    priors: tuple[str, ...]  # every parameter that can have a prior
    equation: str  # the likelihood and the priors in short
    builder: str  # file of the builder function
    uses: Callable[[Options], tuple[str, ...]]  # options to the parameters that the model then has
    # options to a sentence on which of them exclude each other, or to an empty text
    conflict: Callable[[Options], str]
    # kinds of endpoints that it is for; where none is named, `fit` takes the one of such a kind
    kinds: tuple[str, ...] = ("continuous", "ordinal", "binary")
    # treatment differences, whose prior may be a name of the family
    effects: tuple[str, ...] = ("treatment",)
    # levels, period effects and slopes: a flat prior of the treatment difference makes these flat,
    # too
    locations: tuple[str, ...] = ()
    matrices: tuple[str, ...] = ()  # correlation matrices
    # names that parameters had before, with what to write now
    renamed: Mapping[str, str] = field(default_factory=dict)
    # raised with every change of the model or its engines that moves a posterior: it is part of the
    # id of a result, so that a mended model is never answered with what a faulty one stored
    version: int = 1
