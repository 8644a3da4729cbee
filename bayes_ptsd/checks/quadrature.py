"""Checks of the error figures of an exact fit."""

from __future__ import annotations

import xarray as xr

from bayes_ptsd.check_roles import Check

__all__ = ["quadrature_checks"]

# What `exact._quadrature` refuses, so that a result beyond these was not made by it as it is: size
# of the highest Legendre coefficients relative to the density, and density at the edge of the
# widest box relative to its peak.
QUADRATURE, BOX = 1e-2, 1e-5


def quadrature_checks(fit: xr.DataTree) -> list[Check]:
    """Judge the integration of an exact fit: resolution, mass beyond the box; none if sampled."""
    if "quadrature" not in fit.children:
        return []
    error, edge = (float(fit["quadrature"][name]) for name in ("quadrature_error", "box_edge"))
    return [
        Check("quadrature_error", error, QUADRATURE, error <= QUADRATURE),
        Check("box_edge", edge, BOX, edge <= BOX),
    ]
