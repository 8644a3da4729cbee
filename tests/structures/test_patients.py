"""What names an analysis of patients, and what lets two of them share a compiled model."""

from __future__ import annotations

import json

import pytest

from bayes_ptsd.models_files import load_model
from bayes_ptsd.priors import Prior, mixture, normal
from bayes_ptsd.structures.patients import patient_attrs, prior_kinds

HALVES = mixture([0.5, 0.5], [normal(0, 1), normal(0, 3)])


@pytest.mark.parametrize(
    ("prior", "inside", "kind"),
    [
        (normal(0, 28.8), (), "normal"),
        (normal(3, 1), (), "normal"),
        (normal(0, 28.8), ("treatment",), normal(0, 28.8).table()),
        (HALVES, (), HALVES.table()),
    ],
)
def test_a_compiled_model_serves_any_numbers_of_a_prior(
    prior: Prior, inside: tuple[str, ...], kind: object
) -> None:
    """Only the distribution is compiled in; of mixtures and of what is named inside all is."""
    assert prior_kinds({"treatment": prior}, inside=inside) == {"treatment": kind}


@pytest.mark.parametrize(
    ("prior", "formula", "said"),
    [(normal(0, 28.8), "N(0, 28.8²)", "reference"), (Prior("flat"), "flat", "flat")],
)
def test_the_prior_of_the_treatment_names_the_analysis(
    prior: Prior, formula: str, said: str
) -> None:
    """The name in the specification stands beside the formula in score units."""
    spec = load_model("first-period").having(priors={"treatment": said})
    found = patient_attrs(spec, {"treatment": prior}, visit="24h", size={"subjects": 23})
    assert (found["prior_formula"], found["prior"], found["timepoint"]) == (formula, said, "24h")
    assert json.loads(found["size"]) == {"subjects": 23}
