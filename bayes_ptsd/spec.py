"""Model specifications: declarative files, a frozen value, a digest.

A specification says *what* is analyzed; how its posterior is computed is the business of
`bayes_ptsd.exact` and `bayes_ptsd.fit`.
"""

from __future__ import annotations

import hashlib
import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

from bayes_ptsd.errors import SpecError, nearest, refuse_unknown_keys
from bayes_ptsd.prior_family import PRIOR_FAMILY
from bayes_ptsd.priors import MATRICES, Prior, parse_prior
from bayes_ptsd.scaled_priors import ScaledPrior, prior_value
from bayes_ptsd.structures import STRUCTURES
from bayes_ptsd.structures.structure import NAME, NAMES, NUMBER

__all__ = [
    "STRUCTURES",
    "ModelSpec",
    "PriorValue",
    "list_models",
    "load_model",
    "parse_option",
    "parse_override",
]

PriorValue = str | Prior | ScaledPrior
"""A name of the prior family, a distribution in score units, or one in units of the endpoint."""

SPEC_KEYS = {"schema", "extends", "title", "question", "structure", "estimand", "options", "priors"}


@dataclass(frozen=True)
class ModelSpec:
    """A model as its file describes it.

    Attributes
    ----------
    name : str
        File name without suffix.
    title, question, estimand : str
        What it is, what it asks, and the quantity it answers with (unit and sign).
    structure : str
        Key of `STRUCTURES`; decides the builder.
    options : mapping
        Every option of the structure, resolved.
    priors : mapping of str to str, Prior or ScaledPrior
        By parameter: a name of the prior family, or a distribution in score units or in units of
        the endpoint. Parameters that the options leave out may have one; it is not used.

    Examples
    --------
    >>> load_model("published").options["convention"]
    'T'
    """

    name: str
    title: str
    question: str
    structure: str
    estimand: str
    options: Mapping[str, Any] = field(default_factory=dict)
    priors: Mapping[str, PriorValue] = field(default_factory=dict)

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters with a prior that the options put into the model."""
        return STRUCTURES[self.structure].uses(self.options)

    @property
    def spec_id(self) -> str:
        """SHA-256 of what can change a posterior: structure, its version, options and priors."""
        version = STRUCTURES[self.structure].version
        content = {"structure": self.structure, "version": version, "options": dict(self.options)}
        return hashlib.sha256(
            json.dumps(content | {"priors": self.prior_tables}, sort_keys=True).encode()
        ).hexdigest()

    @property
    def prior_tables(self) -> dict[str, Any]:
        """Priors of the model's parameters: a name of the family, or the table of a prior."""
        return {key: _table(self.priors[key]) for key in self.parameters}

    def document(self) -> dict[str, Any]:
        """Return the resolved specification as a JSON-safe document."""
        return {
            "name": self.name,
            "title": self.title,
            "question": self.question,
            "structure": self.structure,
            "version": STRUCTURES[self.structure].version,
            "estimand": self.estimand,
            "options": dict(self.options),
            "priors": self.prior_tables,
            "spec_id": self.spec_id,
        }

    def having(
        self,
        *,
        options: Mapping[str, Any] | None = None,
        priors: Mapping[str, PriorValue] | None = None,
    ) -> ModelSpec:
        """Return a copy with some options or priors replaced.

        Raises
        ------
        SpecError
            If the model has no such option or parameter, or the value is not allowed.

        Examples
        --------
        >>> load_model("published").having(priors={"treatment": "skeptical"}).prior_tables
        {'treatment': 'skeptical'}
        """
        changed = replace(
            self,
            options={**self.options, **(options or {})},
            priors={**self.priors, **(priors or {})},
        )
        checked = _validated(changed, f"model '{self.name}'")
        where = f"model '{self.name}' with its options [priors]"
        refuse_unknown_keys(priors or {}, checked.parameters, where, error=SpecError)
        return checked

    def under(self, prior: PriorValue) -> ModelSpec:
        """Return the model under another prior of the treatment difference.

        A flat one makes levels, period effects and slopes flat as well, and the specification says
        so; under any other they keep the priors of the model file.

        Examples
        --------
        >>> load_model("crossover").under("flat").prior_tables["level"]
        {'dist': 'flat'}
        """
        flat = prior == "flat" or (isinstance(prior, Prior) and prior.dist == "flat")
        names = set(STRUCTURES[self.structure].locations) & set(self.parameters) if flat else set()
        return self.having(priors={**dict.fromkeys(names, Prior("flat")), "treatment": prior})


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
    content = _read(path)
    if "extends" in content:
        content = _extended(content, path)
    return _spec(content, path)


def parse_override(text: str) -> tuple[str, Prior]:
    """Read ``name = distribution(numbers)``, such as ``treatment=normal(0, 20)``."""
    name, equals, distribution = text.partition("=")
    if not equals:
        raise SpecError(f"'{text}': write NAME=DISTRIBUTION, e.g. treatment=normal(0, 20)")
    return name.strip(), parse_prior(distribution)


def parse_option(text: str, structure: str) -> tuple[str, Any]:
    """Read ``name=value``, such as ``covariates=sex,age``; `structure` decides the type."""
    name, equals, value = (part.strip() for part in text.partition("="))
    if not equals:
        raise SpecError(f"'{text}': write NAME=VALUE, e.g. patients=completers")
    allowed = STRUCTURES[structure].options.get(name, ())
    if allowed == NAME:
        return name, value
    if allowed == NUMBER:
        return name, _number(value)
    if allowed == NAMES:
        return name, [part.strip() for part in value.split(",") if part.strip()]
    values = {json.dumps(one) if isinstance(one, bool) else str(one): one for one in allowed}
    return name, values.get(value, value)


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
    priors = {
        key: _prior(value, f"{path} [priors] {key}")
        for key, value in content.get("priors", {}).items()
    }
    spec = ModelSpec(
        name=path.stem,
        title=content["title"],
        question=content["question"],
        structure=content["structure"],
        estimand=content["estimand"],
        options=content.get("options", {}),
        priors=priors,
    )
    return _validated(spec, str(path))


def _table(prior: PriorValue) -> Any:
    """Return a prior as its model file has it."""
    return prior if isinstance(prior, str) else prior.table()


def _prior(value: Any, where: str) -> PriorValue:
    """Read a prior: a name of the family or a table."""
    if isinstance(value, str):
        if value not in PRIOR_FAMILY:
            raise SpecError(f"{where}: unknown prior '{value}'{nearest(value, PRIOR_FAMILY)}")
        return value
    if not isinstance(value, dict):
        raise SpecError(f"{where}: a prior is a name or a table with 'dist', got {value!r}")
    return prior_value(value, where)


def _validated(spec: ModelSpec, where: str) -> ModelSpec:
    """Return `spec` if its structure knows every option, value and prior."""
    if spec.structure not in STRUCTURES:
        raise SpecError(
            f"{where}: unknown structure '{spec.structure}'{nearest(spec.structure, STRUCTURES)}"
        )
    structure = STRUCTURES[spec.structure]
    refuse_unknown_keys(spec.options, structure.options, f"{where} [options]", error=SpecError)
    _refuse_old_names(spec.priors, spec.structure, where)
    refuse_unknown_keys(spec.priors, structure.priors, f"{where} [priors]", error=SpecError)
    for key, allowed in structure.options.items():
        if key not in spec.options:
            raise SpecError(f"{where} [options]: '{key}' is missing; one of {allowed}")
        if allowed == NAMES:
            _refuse_no_names(spec.options[key], f"{where} [options] {key}")
        elif allowed == NAME:
            _refuse_no_name(spec.options[key], f"{where} [options] {key}")
        elif allowed == NUMBER:
            _refuse_no_number(spec.options[key], f"{where} [options] {key}")
        elif spec.options[key] not in allowed:
            known = nearest(str(spec.options[key]), map(str, allowed))
            raise SpecError(f"{where} [options] {key}: '{spec.options[key]}' not allowed{known}")
    for key in structure.priors:
        if key not in spec.priors:
            raise SpecError(f"{where} [priors]: '{key}' is missing")
        _prior(_table(spec.priors[key]), f"{where} [priors] {key}")
        _refuse_other_kind(spec.priors[key], key in structure.matrices, f"{where} [priors] {key}")
        if isinstance(spec.priors[key], str) and key not in structure.effects:
            raise SpecError(
                f"{where} [priors] {key}: '{spec.priors[key]}' is a prior of the treatment "
                "difference; give this one as a table with 'dist'"
            )
    if conflict := structure.conflict(spec.options):
        raise SpecError(f"{where} [options]: {conflict}")
    return spec


def _refuse_old_names(priors: Mapping[str, PriorValue], structure: str, where: str) -> None:
    """Say what a parameter is called now that was called otherwise before."""
    for key, now in STRUCTURES[structure].renamed.items():
        if key in priors:
            raise SpecError(f"{where} [priors]: there is no '{key}' any more; set {now}")


def _refuse_other_kind(prior: PriorValue, matrix: bool, where: str) -> None:
    """Refuse a prior of one number for a correlation matrix, and the other way round."""
    dist = prior.dist if isinstance(prior, Prior) else ""
    if matrix and dist not in MATRICES:
        raise SpecError(f"{where}: it is a correlation matrix; write one of {', '.join(MATRICES)}")
    if not matrix and dist in MATRICES:
        raise SpecError(f"{where}: {dist} is a prior of a correlation matrix; this is one number")


def _number(text: str) -> Any:
    """Return a text as a number where it is one; what is none is refused with the option's name."""
    try:
        return float(text)
    except ValueError:
        return text


def _refuse_no_number(value: Any, where: str) -> None:
    """Refuse what is no finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise SpecError(f"{where}: write a number, such as 0.5; got {value!r}")


def _refuse_no_name(value: Any, where: str) -> None:
    """Refuse what is no name."""
    if not isinstance(value, str) or not value:
        raise SpecError(f'{where}: write one name, such as "madrs"; got {value!r}')


def _refuse_no_names(value: Any, where: str) -> None:
    """Refuse what is not a list of different names."""
    if not isinstance(value, list) or not all(isinstance(name, str) and name for name in value):
        raise SpecError(f'{where}: write a list of names, such as ["sex", "age"]; got {value!r}')
    if len(set(value)) < len(value):
        raise SpecError(f"{where}: {', '.join(value)} names one of them twice")
