"""Where a comparison of patients finds its posteriors: in a store, else by quadrature."""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.errors import EvidenceError, FitError, SpecError
from bayes_ptsd.estimands import estimate, summary_document
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.priors import Prior
from bayes_ptsd.provenance import (
    EXACT_SETTINGS,
    OWN_ENGINE,
    endpoint_constants,
    make_result_id,
)
from bayes_ptsd.specification import ModelSpec
from bayes_ptsd.store import ResultStore
from bayes_ptsd.structures.crossover.exact import (
    crossover_posterior,
    exact_priors,
    why_not_exact,
)
from bayes_ptsd.structures.crossover.model import crossover_model

__all__ = ["BEYOND", "PosteriorSource", "label_of"]

QUANTITIES = ("mean", "median", "sd", "prob_benefit", "prob_gt_mcid")
BEYOND = "beyond"
"""Column of what a room has beyond its difference, such as a ratio, as JSON; not of every room."""


class PosteriorSource:
    """Summaries of the treatment difference of one outcome of patients; nothing is stored.

    `seed` is that of the draws of exact results, part of their identity.
    """

    def __init__(self, evidence: Evidence, *, store: ResultStore | None, seed: int) -> None:
        self.evidence = evidence
        self.store = store
        self.seed = seed

    @cached_property
    def stored(self) -> dict[str, dict[str, Any]]:
        """Sidecars of stored results of this evidence by specification: exact, else sampled here.

        What somebody sampled outside this package counts where it has nothing of its own.
        """
        entries = [] if self.store is None else self.store.catalog()
        own = [entry for entry in entries if entry["evidence_digest"] == self.evidence.digest]
        own = [entry for entry in own if entry.get("checks_passed") and entry.get("summary")]
        order = (OWN_ENGINE, "nuts", "exact")
        own.sort(key=lambda entry: order.index(entry["engine"]) if entry["engine"] in order else 0)
        return {entry["spec"]["spec_id"]: entry for entry in own}

    def summary(self, spec: ModelSpec) -> dict[str, Any]:
        """Return the treatment difference under a crossover model, NaN where nothing has it.

        Then ``to_run`` is the command that would, or ``reason`` why these patients have no such
        posterior.
        """
        entry = self.stored.get(spec.spec_id)
        if entry is not None:
            one, result_id = entry["summary"]["treatment_difference"], str(entry["result_id"])
            return _line(one, str(entry["engine"]), result_id) | self._stored(spec, result_id)
        if why_not_exact(spec.options):
            return _line({}, "", "") | {"to_run": _command(spec)}
        result_id = make_result_id(self.evidence, spec, settings=EXACT_SETTINGS, seed=self.seed)
        try:
            one, further = self._exact(spec)
            return _line(one, "exact", result_id) | further
        except (EvidenceError, FitError, SpecError) as error:
            return _line({}, "", "") | {"reason": str(error)}

    def _stored(self, spec: ModelSpec, result_id: str) -> dict[str, str]:
        """Return what a stored fit has beyond its difference."""
        if self.store is None or spec.room.derived is None:
            return {}
        return {BEYOND: json.dumps(spec.room.document(self.store.load(result_id)))}

    def _exact(self, spec: ModelSpec) -> tuple[dict[str, Any], dict[str, str]]:
        """Return the summary by quadrature, and what the room has beyond it."""
        model = crossover_model(self.evidence, spec)
        tree = crossover_posterior(
            model.pairs, exact_priors(model), benefit_sign=model.sign,
            covariance=model.options["form"], draws=1, seed=self.seed,
        )  # fmt: skip
        exact = tree["exact"].to_dataset().sel(estimand=["treatment_difference"])
        found = xr.DataTree.from_dict({"exact": exact})
        found.attrs["endpoint_constants"] = json.dumps(endpoint_constants(model.endpoint))
        document: dict[str, Any] = summary_document(estimate(found))["treatment_difference"]
        if spec.room.derived is None:
            return document, {}
        derived = spec.room.derived({"exact": tree["exact"].to_dataset()}, model.sign)
        return document, {BEYOND: json.dumps(spec.room.document(xr.DataTree.from_dict(derived)))}


def label_of(prior: object) -> str:
    """Return the coordinate of a prior: its name in the family, else its formula."""
    return prior.formula if isinstance(prior, Prior) else str(prior)


def _line(one: dict[str, Any], engine: str, result_id: str) -> dict[str, Any]:
    """Return a summary as plain columns."""
    values = {key: one.get(key) for key in QUANTITIES}
    values |= dict(zip(("eti95_low", "eti95_high"), one.get("eti95", (None, None)), strict=True))
    numbers = {key: np.nan if value is None else float(value) for key, value in values.items()}
    return {**numbers, "engine": engine, "result_id": result_id, "to_run": "", "reason": ""}


def _command(spec: ModelSpec) -> str:
    """Return the command that would compute a specification; none does with a flat prior."""
    prior = spec.priors["treatment"]
    if prior == "flat" or (isinstance(prior, Prior) and not prior.proper):
        return ""
    if isinstance(prior, str):
        return f"bayes-ptsd fit {spec.name} --prior {prior}"
    return f'bayes-ptsd fit {spec.name} --set "treatment={label_of(prior)}"'
