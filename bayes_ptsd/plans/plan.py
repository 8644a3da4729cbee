"""What a structure contributes to a fit, as one value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import xarray as xr

from bayes_ptsd.trial import Endpoint

if TYPE_CHECKING:
    import pymc as pm

__all__ = ["Groups", "Plan"]

Groups = dict[str, xr.Dataset]


@dataclass(frozen=True)
class Plan:
    """One analysis as its structure sees it.

    Attributes
    ----------
    endpoint : Endpoint
        The outcome; its constants travel with the fit.
    attrs : mapping
        Attributes that name the analysis: contrast or visit, prior, numbers of patients.
    notes : tuple of str
        What a reader has to know, in words; they become warnings of the result.
    kind : str
        What two analyses share if one compiled model serves both.
    why_not_exact : str
        Why there is no exact posterior; empty where there is one.
    build : callable
        Returns the PyMC model.
    exact : callable
        Seed to the groups of the exact posterior, or to the whole fit.
    derive : callable
        Model or None, groups and seed to the predictive, likelihood and prior groups.
    check : callable
        Fit to the groups of its checks beyond convergence.
    target_accept : float
        Acceptance rate that NUTS tunes its step for: higher, and slower, for models with a spread
        that can be near zero.
    """

    endpoint: Endpoint
    attrs: Mapping[str, Any]
    notes: tuple[str, ...]
    kind: str
    why_not_exact: str
    build: Callable[[], pm.Model]
    exact: Callable[[int], Groups | xr.DataTree]
    derive: Callable[[pm.Model | None, Groups, int], Groups]
    check: Callable[[xr.DataTree], Groups]
    target_accept: float = 0.8
