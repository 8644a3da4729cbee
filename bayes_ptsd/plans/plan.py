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
    """One analysis as its structure sees it."""

    endpoint: Endpoint  # the outcome; its constants travel with the fit
    attrs: Mapping[str, Any]  # names the analysis: contrast or visit, prior, numbers of patients
    # what a reader has to know, in words; they become warnings of the result
    notes: tuple[str, ...]
    kind: str  # what two analyses share if one compiled model serves both
    why_not_exact: str  # empty where there is an exact posterior
    build: Callable[[], pm.Model]
    # seed to the groups of the exact posterior, or to the whole fit
    exact: Callable[[int], Groups | xr.DataTree]
    # model or None, groups and seed to the predictive, likelihood and prior groups
    derive: Callable[[pm.Model | None, Groups, int], Groups]
    check: Callable[[xr.DataTree], Groups]  # fit to the groups of its checks beyond convergence
    # of NUTS; higher, and slower, for models with a spread that can be near zero
    target_accept: float = 0.8
