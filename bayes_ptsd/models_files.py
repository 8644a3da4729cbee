"""Model files: declarative TOML, shipped or somebody's own, read into specifications."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from bayes_ptsd.errors import SpecError, nearest, shown, visible
from bayes_ptsd.inputs import LONGEST_TEXT, TomlTable, read_toml
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
    contents = [(path.stem, _resolved(path).content) for path in paths]
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
    own = str(name).endswith(".toml")
    if not own and name not in list_models():
        raise SpecError(f"unknown model '{shown(name)}'{nearest(str(name), list_models())}")
    path = Path(name) if own else models_folder() / f"{name}.toml"
    return _spec(_resolved(path))


def _read(path: Path) -> TomlTable:
    """Parse one file and refuse unknown keys."""
    file = read_toml(path)
    file.only(SPEC_KEYS)
    file.version()
    for table in ("options", "priors"):
        file.table(table)
    return file


def _resolved(path: Path) -> TomlTable:
    """Return one file with what it extends filled in."""
    file = _read(path)
    return _extended(file, path) if "extends" in file.content else file


def _extended(file: TomlTable, path: Path) -> TomlTable:
    """Fill a variant with what it extends, one level deep."""
    name = file.text("extends")
    beside = {one.stem: one for one in path.parent.glob("*.toml")}
    known = {**{one: models_folder() / f"{one}.toml" for one in list_models()}, **beside}
    if name not in known:
        raise SpecError(f"{path}: extends unknown model '{name}'{nearest(name, list_models())}")
    base = _read(known[name])
    if "extends" in base.content:
        raise SpecError(f"{path}: extends '{name}', which itself extends a model")
    merged = {**base.content, **file.content}
    for table in ("options", "priors"):
        merged[table] = {**base.table(table).content, **file.table(table).content}
    return TomlTable(merged, file.where)


def _spec(file: TomlTable) -> ModelSpec:
    """Build and validate a specification from its file."""
    name = file.text("structure")
    if name not in STRUCTURES:
        raise SpecError(f"{file.where}: unknown structure '{name}'{nearest(name, STRUCTURES)}")
    priors = {
        key: read_prior(value, f"{file.where} [priors] {shown(key)}")
        for key, value in file.table("priors").content.items()
    }
    spec = ModelSpec(
        name=visible(Path(file.where).stem),
        title=file.text("title"),
        question=file.text("question", longest=LONGEST_TEXT),
        room=structure_named(name),
        estimand=file.text("estimand", longest=LONGEST_TEXT),
        options=file.table("options").content,
        priors=priors,
    )
    return validated(spec, file.where)
