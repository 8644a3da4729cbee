"""Model files: a closed schema, one level of variants, a digest of what matters."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayes_ptsd.errors import SpecError
from bayes_ptsd.models_files import list_models, load_model, models_folder
from bayes_ptsd.priors import normal
from bayes_ptsd.specification import parse_override

GOOD = """
schema = 1
title = "Own model"
question = "What?"
structure = "summary"
estimand = "Difference"
[options]
analysis = "any"
convention = "N"
crossover_reading = "as_published"
[priors]
treatment = { dist = "normal", mu = 0, sigma = 7.879 }
"""


def test_every_shipped_model_loads() -> None:
    """All files in models/ are valid and are named after themselves."""
    assert {"published", "published-crossover", "published-first-period"} <= set(list_models())
    for name in list_models():
        assert load_model(name).name == name


def test_a_variant_is_its_parent_with_its_own_lines() -> None:
    """`extends` fills what the variant leaves out and nothing else."""
    parent, variant = load_model("published"), load_model("published-crossover-unhalved")
    assert variant.options == {
        **parent.options, "analysis": "crossover", "crossover_reading": "unhalved",
    }  # fmt: skip
    assert variant.prior_tables == parent.prior_tables
    assert variant.title != parent.title


def test_digest_changes_with_the_posterior_only(tmp_path: Path) -> None:
    """Titles do not enter the digest; options and priors do."""
    spec = load_model("published")
    (tmp_path / "own.toml").write_text(
        (models_folder() / "published.toml").read_text().replace("One printed contrast", "Other")
    )
    assert load_model(tmp_path / "own.toml").spec_id == spec.spec_id
    assert spec.having(options={"convention": "N"}).spec_id != spec.spec_id
    assert spec.having(priors={"treatment": "weak"}).spec_id != spec.spec_id
    assert spec.having(priors={"treatment": normal(0, 1)}).spec_id != spec.spec_id


@given(st.floats(-20, 20), st.floats(0.1, 50))
def test_an_override_is_the_prior_it_spells(mu: float, sigma: float) -> None:
    """`--set treatment=normal(mu, sigma)` changes that prior, exactly."""
    name, prior = parse_override(f"treatment=normal({mu!r}, {sigma!r})")
    assert load_model("published").having(priors={name: prior}).priors["treatment"] == normal(
        mu, sigma
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("schema = 1", "schema = 3", "write 'schema = 1'"),
        ('title = "Own model"', "", "'title' is missing"),
        ('title = "Own model"', 'titel = "x"', "did you mean 'title'"),
        ('structure = "summary"', 'structure = "sumary"', "did you mean 'summary'"),
        ('convention = "N"', 'convention = "Z"', "'Z' not allowed"),
        ('convention = "N"', 'konvention = "N"', "did you mean 'convention'"),
        ('convention = "N"\n', "", "'convention' is missing"),
        ("treatment =", "treatmnt =", "did you mean 'treatment'"),
        ('dist = "normal"', 'dist = "norm"', "unknown distribution"),
        ("sigma = 7.879", "sigma = 0", "must be positive"),
        ('{ dist = "normal", mu = 0, sigma = 7.879 }', '"sceptical"', "did you mean 'skeptical'"),
        ('{ dist = "normal", mu = 0, sigma = 7.879 }', "3", "a prior is a name or a table"),
        ("[options]", "options = 3\n[more]", "unknown key 'more'"),
        ("schema = 1", 'schema = 1\nextends = "nothing"', "extends unknown model"),
        ("schema = 1", 'schema = 1\nextends = "published-crossover"', "itself extends"),
        ("schema = 1", "schema = ", "not valid TOML"),
    ],
)
def test_bad_model_files_are_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    """Each fault gets one message with the file and, where there is one, the nearest name."""
    file = tmp_path / "own.toml"
    assert old in GOOD
    file.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(SpecError, match=message) as caught:
        load_model(file)
    assert "own.toml" in str(caught.value)


def test_unknown_model_and_missing_file(tmp_path: Path) -> None:
    """A name that is not shipped and a path that is not there are refused."""
    with pytest.raises(SpecError, match="did you mean 'published'"):
        load_model("publised")
    with pytest.raises(SpecError, match="there is no such file"):
        load_model(tmp_path / "own.toml")


@pytest.mark.parametrize("text", ["treatment", "treatment normal(0, 1)", "treatment=gauss(0, 1)"])
def test_bad_overrides_are_refused(text: str) -> None:
    """An override without an equals sign or with an unknown distribution is refused."""
    with pytest.raises(SpecError):
        parse_override(text)


def test_no_copy_of_the_models_in_the_package_tree() -> None:
    """A source checkout has one copy of models/, beside the package."""
    checkout = Path(__file__).parents[1]
    assert not (checkout / "bayes_ptsd" / "models").exists()
    assert (checkout / "models" / "published.toml").is_file()
