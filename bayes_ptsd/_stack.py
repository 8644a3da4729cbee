"""The differences between PyMC 5 with ArviZ 0 and PyMC 6 with ArviZ 1.

The rest of the package sees data trees only. Nothing else may ask which stack is installed.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import arviz_base
import pymc as pm
import pytensor
import xarray as xr
from pymc.backends import arviz as backend

__all__ = ["as_datatree", "data_groups", "for_arviz", "native"]

pytensor.config.blas__ldflags = ""  # no search for a BLAS to link, which warns on PyMC 5
pytensor.config.mode = "NUMBA"  # the same code with and without a C compiler
logging.getLogger("pymc").setLevel(logging.WARNING)  # PyMC announces each predictive draw

if int(pm.__version__.split(".")[0]) >= 6:

    def as_datatree(result: Any) -> xr.DataTree:
        """Return the result as it is: PyMC 6 makes data trees."""
        return result  # type: ignore[no-any-return]

    def native(groups: Mapping[str, xr.Dataset]) -> Any:
        """Return groups in the type that this PyMC reads."""
        return xr.DataTree.from_dict(dict(groups))

    def for_arviz(tree: xr.DataTree) -> Any:
        """Return a data tree as it is: ArviZ 1 takes nothing else."""
        return tree

else:
    import arviz

    def as_datatree(result: Any) -> xr.DataTree:
        """Return an InferenceData as a data tree."""
        return result.to_datatree()  # type: ignore[no-any-return]

    def native(groups: Mapping[str, xr.Dataset]) -> Any:
        """Return groups in the type that this PyMC reads."""
        return arviz.InferenceData(**groups)

    def for_arviz(tree: xr.DataTree) -> Any:
        """Return the InferenceData of a data tree."""
        return arviz.from_datatree(tree)


def data_groups(model: pm.Model) -> dict[str, xr.Dataset]:
    """Return `observed_data` and `constant_data` of a model, which nutpie leaves out.

    Without `constant_data`, PyMC 5 silently draws the posterior predictive from the prior.
    """
    coords, dims = backend.coords_and_dims_for_inferencedata(model)
    found = {
        "observed_data": backend.find_observations(model),
        "constant_data": backend.find_constants(model),
    }
    # ArviZ 1 notes sample_dims = [] in the attributes, which no file can hold
    return {
        group: arviz_base.dict_to_dataset(
            values, coords=coords, dims=dims, sample_dims=[]
        ).drop_attrs()
        for group, values in found.items()
        if values
    }
