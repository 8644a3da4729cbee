"""Every shipped model loads, builds, predicts, and stands in the table of models/README.md."""

from __future__ import annotations

import pymc as pm
import pytest

from bayes_ptsd.describe import describe_model, example_evidence
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.fit import build_model
from bayes_ptsd.models_files import list_models, load_model, models_folder


@pytest.mark.parametrize("name", list_models())
def test_model_builds_and_predicts(name: str) -> None:
    """The PyMC model has a likelihood and its prior predictive can be drawn."""
    spec = load_model(name)
    evidence = example_evidence(spec)
    assert isinstance(evidence, Evidence)
    model = build_model(evidence, spec)
    assert model.observed_RVs
    with model:
        drawn = pm.draw(model.observed_RVs[0], draws=10, random_seed=1)
    assert drawn.shape[0] == 10


@pytest.mark.parametrize("name", list_models())
def test_model_is_in_the_table(name: str) -> None:
    """models/README.md links the file and the room of its structure."""
    table = (models_folder() / "README.md").read_text()
    assert f"[{name}.toml]({name}.toml)" in table
    assert load_model(name).room.room in table


@pytest.mark.parametrize("name", list_models())
def test_model_is_described_with_its_graph(name: str) -> None:
    """`models show` has estimand, equation, prior with its unit and the graph of the model."""
    document = describe_model(load_model(name))
    units = {"score units": "treatment_difference", "log odds": "log_odds_ratio",
             "logarithms": "treatment_difference",
             "latent SD": "probit_difference", "risk": "risk_active",
             "reference SD": "endpoint_difference"}  # fmt: skip
    said = [unit for unit in units if unit in document["text"]["prior interval"]]
    assert document["text"]["equation"]
    assert units[said[0]] in document["graph"]
