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
    """What a structure accepts and how it is built.

    Attributes
    ----------
    options : mapping of str to tuple
        Every option with its allowed values; `NAMES` stands for a list of names, such as covariates
        of a patient file, `NAME` for one of them, `NUMBER` for any
        number.
    priors : tuple of str
        Every parameter that can have a prior.
    equation : str
        The likelihood and the priors in short.
    builder : str
        File of the builder function.
    uses : callable
        Options to the parameters that the model then has.
    conflict : callable
        Options to a sentence that says which of them exclude each other, or to an empty text.
    kinds : tuple of str
        Kinds of endpoints that the structure is for; `fit` takes the one endpoint of such a kind
        where none is named.
    effects : tuple of str
        Parameters that are treatment differences, whose prior may be a name of the family.
    locations : tuple of str
        Levels, period effects and slopes: parameters that a flat prior of the treatment difference
        makes flat, too.
    matrices : tuple of str
        Parameters that are correlation matrices.
    renamed : mapping of str to str
        Names that parameters had before, with what to write now.
    version : int
        Raised with every change of the model or its engines that moves a posterior: it is part of
        the id of a result, so that a mended model is never answered with what a faulty one stored.
    """

    options: Mapping[str, tuple[Any, ...]]
    priors: tuple[str, ...]
    equation: str
    builder: str
    uses: Callable[[Options], tuple[str, ...]]
    conflict: Callable[[Options], str]
    kinds: tuple[str, ...] = ("continuous", "ordinal", "binary")
    effects: tuple[str, ...] = ("treatment",)
    locations: tuple[str, ...] = ()
    matrices: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    version: int = 1
