"""The graph of a model as text, which needs no drawing program."""

from __future__ import annotations

import pymc as pm

__all__ = ["model_graph"]


def model_graph(model: pm.Model) -> str:
    """Return the graph of a model in mermaid's notation.

    Parameters
    ----------
    model : pm.Model
        Any model.

    Returns
    -------
    str
        A mermaid graph with a node per variable.

    Examples
    --------
    >>> with pm.Model() as model:
    ...     mu = pm.Normal("mu", 0, 1)
    >>> "mu" in model_graph(model)
    True
    """
    return str(pm.model_to_mermaid(model))
