"""Bayesian reanalysis of randomized crossover trials.

Public names are loaded on first use, so that importing the package is fast and PyMC is imported
only by what samples.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bayes_ptsd.checks import check_fit
    from bayes_ptsd.comparison import compare
    from bayes_ptsd.errors import BayesPtsdError
    from bayes_ptsd.estimands import estimate, prob_benefit
    from bayes_ptsd.evidence import Evidence
    from bayes_ptsd.evidence.outcome import select_outcome, select_outcomes
    from bayes_ptsd.evidence.patients import load_patients
    from bayes_ptsd.evidence.published import load_published, select_contrast
    from bayes_ptsd.evidence.trajectories import select_endpoint
    from bayes_ptsd.fit import build_model, fit_model
    from bayes_ptsd.models_files import list_models, load_model
    from bayes_ptsd.posteriors import to_arviz
    from bayes_ptsd.reconstruction.run import reconstruct
    from bayes_ptsd.replication.prior import replication_prior
    from bayes_ptsd.simulation.patients import simulate_trial
    from bayes_ptsd.specification import ModelSpec
    from bayes_ptsd.store import ResultStore
    from bayes_ptsd.trial import Trial, load_trial

__all__ = [
    "BayesPtsdError",
    "Evidence",
    "ModelSpec",
    "ResultStore",
    "Trial",
    "build_model",
    "check_fit",
    "compare",
    "estimate",
    "fit_model",
    "list_models",
    "load_model",
    "load_patients",
    "load_published",
    "load_trial",
    "prob_benefit",
    "reconstruct",
    "replication_prior",
    "select_contrast",
    "select_endpoint",
    "select_outcome",
    "select_outcomes",
    "simulate_trial",
    "to_arviz",
]

__version__ = "0.1.0"

_HOMES = {
    "BayesPtsdError": "errors",
    "Evidence": "evidence",
    "ModelSpec": "specification",
    "ResultStore": "store",
    "Trial": "trial",
    "build_model": "fit",
    "check_fit": "checks",
    "compare": "comparison",
    "estimate": "estimands",
    "fit_model": "fit",
    "list_models": "models_files",
    "load_model": "models_files",
    "load_patients": "evidence.patients",
    "load_published": "evidence.published",
    "load_trial": "trial",
    "prob_benefit": "estimands",
    "reconstruct": "reconstruction.run",
    "replication_prior": "replication.prior",
    "select_contrast": "evidence.published",
    "select_endpoint": "evidence.trajectories",
    "select_outcome": "evidence.outcome",
    "select_outcomes": "evidence.outcome",
    "simulate_trial": "simulation.patients",
    "to_arviz": "posteriors",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its home when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'bayes_ptsd' has no attribute '{name}'")
    return getattr(import_module(f"bayes_ptsd.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted([*__all__, "__version__"])
