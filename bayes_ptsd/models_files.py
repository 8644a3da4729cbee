"""Model files: declarative TOML, shipped or somebody's own, read into specifications."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from bayes_ptsd.errors import SpecError, nearest, refuse_unknown_keys
from bayes_ptsd.specification import ModelSpec, read_prior, validated
from bayes_ptsd.structures import STRUCTURES, structure_named

__all__ = ["list_models", "load_model", "models_folder", "shipped_questions"]

SPEC_KEYS = {"schema", "extends", "title", "question", "structure", "estimand", "options", "priors"}


def models_folder() -> Path:
    """Return the folder of the shipped models: in the wheel, else in the source checkout."""
    package = Path(str(resources.files("bayes_ptsd")))
    shipped = package / "models"
    return shipped if shipped.is_dir() else package.parent / "models"


def list_models() -> list[str]:
    """Return the names of the shipped models.

    Examples
    --------
    >>> "published" in list_models()
    True
    """
    return sorted(path.stem for path in models_folder().glob("*.toml"))


def shipped_questions() -> list[tuple[str, str, str]]:
    """Return name, structure and question of every shipped model, without loading any room."""
    paths = [models_folder() / f"{name}.toml" for name in list_models()]
    contents = [(path.stem, _resolved(path)) for path in paths]
    return [(name, one["structure"], one["question"]) for name, one in contents]


def load_model(name: str | Path) -> ModelSpec:
    """Read a model specification.

    Parameters
    ----------
    name : str or Path
        Name of a shipped model, or the path of a TOML file of one's own.

    Returns
    -------
    ModelSpec
        The specification, with what it `extends` filled in.

    Raises
    ------
    SpecError
        If there is no such model, or its file breaks the closed schema.

    Examples
    --------
    >>> load_model("published-crossover-unhalved").options["crossover_reading"]
    'unhalved'
    """
    path = Path(name) if str(name).endswith(".toml") else models_folder() / f"{name}.toml"
    if not path.is_file():
        if str(name).endswith(".toml"):
            raise SpecError(f"{path}: there is no such model file")
        raise SpecError(f"unknown model '{name}'{nearest(str(name), list_models())}")
    return _spec(_resolved(path), path)


def _read(path: Path) -> dict[str, Any]:
    """Parse one file and refuse unknown keys."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SpecError(f"{path}: not a readable TOML file: {error}") from error
    refuse_unknown_keys(content, SPEC_KEYS, str(path), error=SpecError)
    if content.get("schema") != 1:
        raise SpecError(f"{path}: 'schema' is {content.get('schema')!r}; write 'schema = 1'")
    for table in ("options", "priors"):
        if not isinstance(content.get(table, {}), dict):
            raise SpecError(f"{path}: '{table}' must be a table")
    return content


def _resolved(path: Path) -> dict[str, Any]:
    """Return the content of one file with what it extends filled in."""
    content = _read(path)
    return _extended(content, path) if "extends" in content else content


def _extended(content: dict[str, Any], path: Path) -> dict[str, Any]:
    """Fill a variant with what it extends, one level deep."""
    parent = path.parent / f"{content['extends']}.toml"
    if not parent.is_file():
        parent = models_folder() / f"{content['extends']}.toml"
    if not parent.is_file():
        known = nearest(str(content["extends"]), list_models())
        raise SpecError(f"{path}: extends unknown model '{content['extends']}'{known}")
    base = _read(parent)
    if "extends" in base:
        raise SpecError(f"{path}: extends '{content['extends']}', which itself extends a model")
    merged = {**base, **content}
    for table in ("options", "priors"):
        merged[table] = {**base.get(table, {}), **content.get(table, {})}
    return merged


def _spec(content: dict[str, Any], path: Path) -> ModelSpec:
    """Build and validate a specification from the content of its file."""
    for key in ("title", "question", "structure", "estimand"):
        if not isinstance(content.get(key), str):
            raise SpecError(f"{path}: '{key}' is missing or not a text")
    if (name := content["structure"]) not in STRUCTURES:
        raise SpecError(f"{path}: unknown structure '{name}'{nearest(name, STRUCTURES)}")
    priors = {
        key: read_prior(value, f"{path} [priors] {key}")
        for key, value in content.get("priors", {}).items()
    }
    spec = ModelSpec(
        name=path.stem,
        title=content["title"],
        question=content["question"],
        room=structure_named(name),
        estimand=content["estimand"],
        options=content.get("options", {}),
        priors=priors,
    )
    return validated(spec, str(path))
