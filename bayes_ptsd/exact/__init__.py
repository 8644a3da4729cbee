"""Deterministic posteriors: closed forms and quadrature with a stated error."""
