"""The graph of a model as text, which needs no drawing program."""

from __future__ import annotations

import pymc as pm

__all__ = ["model_graph"]


def model_graph(model: pm.Model) -> str:
    """Return the graph of a model in mermaid's notation, a node for each variable."""
    return str(pm.model_to_mermaid(model))
