"""Compiled models that a caller keeps, to be reused over endpoints, priors and data of one shape.

Compiling takes seconds, sampling a fraction of one. What a model has as data is exchanged without
compiling anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pymc as pm

__all__ = ["CompiledModels"]


class CompiledModels:
    """Compiled models by kind, kept as long as the caller keeps this object."""

    def __init__(self) -> None:
        self._found: dict[tuple[Any, ...], Any] = {}

    def has(self, model: pm.Model, *, kind: str) -> bool:
        """Tell whether a model of this kind and shape was compiled before."""
        return _key(model, kind) in self._found

    def get(self, model: pm.Model, *, kind: str) -> Any:
        """Return the compiled model with the data of `model`.

        `kind` decides everything in the model that is no data: two models of one kind share a
        compilation.
        """
        key = _key(model, kind)
        if key not in self._found:
            import nutpie  # with PyMC the slowest import of all, and exact fits do without

            self._found[key] = nutpie.compile_pymc_model(model)
            return self._found[key]
        return self._found[key].with_data(**_data(model))


def _data(model: pm.Model) -> dict[str, Any]:
    """Return the exchangeable data of a model by name."""
    return {variable.name: variable.get_value() for variable in model.data_vars}


def _key(model: pm.Model, kind: str) -> tuple[Any, ...]:
    """Return what two models share if one compilation serves both.

    Lengths of data may differ, those of parameters may not.
    """
    data = sorted((name, value.ndim, str(value.dtype)) for name, value in _data(model).items())
    parameters = [
        (name, tuple(len(model.coords[dim]) for dim in model.named_vars_to_dims.get(name, ())))
        for name in sorted(variable.name for variable in model.free_RVs)
    ]
    return (kind, tuple(data), tuple(parameters))
