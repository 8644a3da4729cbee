"""What a specification of a model is: a frozen value, its digest, and the structure it varies.

A specification says *what* is analyzed; a structure of models, one room of `bayes_ptsd.structures`,
says how: its options and priors, its PyMC model, its exact posterior, its checks and the
frequentist analysis beside it, as functions of the one value that `Structure.problem` makes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bayes_ptsd.display import html_table, listed
from bayes_ptsd.errors import SpecError, nearest, refuse_unknown_keys, shown
from bayes_ptsd.inputs import is_number, short
from bayes_ptsd.prior_family import PRIOR_FAMILY
from bayes_ptsd.priors import MATRICES, Prior, parse_prior
from bayes_ptsd.scaled_priors import ScaledPrior, prior_value
from bayes_ptsd.trial import Endpoint

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr

    from bayes_ptsd.evidence import Evidence

__all__ = [
    "NAME",
    "NAMES",
    "NUMBER",
    "REDRAWN",
    "USUAL",
    "Groups",
    "ModelSpec",
    "Options",
    "PriorValue",
    "Problem",
    "Request",
    "Structure",
    "as_specification",
    "parse_option",
    "parse_override",
    "read_prior",
    "validated",
]

Groups = dict[str, "xr.Dataset"]
Options = Mapping[str, Any]
PriorValue = str | Prior | ScaledPrior
"""A name of the prior family, a distribution in score units, or one in units of the endpoint."""

# Acceptance rates that NUTS tunes its step for: the default of nutpie and PyMC, and one for models
# in which a spread can be near zero: at .8 one divergence in thousands of draws, which fails a
# required check, was seen on ratings that hardly go together in a patient.
USUAL, CAREFUL = 0.8, 0.95

REDRAWN = "redrawn"
"""Attribute, 1, of a fit without the draws that its structure makes of the rest of it."""
NAMES = ("[names]",)
"""Allowed values of an option that is a list of names, which no model file can know beforehand."""
NAME = ("[name]",)
"""Allowed values of an option that is one such name, for example of an endpoint."""
NUMBER = ("[number]",)
"""Allowed values of an option that is any number."""


@dataclass(frozen=True)
class Request:
    """Which evidence somebody asks a model about; what is not said is None."""

    contrast: str | None = None  # id of a printed contrast
    folder: Path | None = None  # of printed evidence; None is the shipped one
    trial: Path | None = None
    data: Path | None = None
    endpoint: str | None = None
    visit: str | None = None
    key: str | bytes | None = field(default=None, repr=False)  # of the pseudonyms


@dataclass(frozen=True)
class Problem:
    """A specification and its evidence, brought together once a fit."""

    model: Any  # what the functions of the structure compute with
    endpoint: Endpoint  # the outcome; its constants travel with the fit
    attrs: Mapping[str, Any]  # name the analysis: contrast or visit, prior, numbers of patients
    notes: tuple[str, ...]  # what a reader has to know, in words; they become warnings
    compiled: str  # what two analyses share if one compiled model serves both
    why_not_exact: str = ""  # why there is no exact posterior; empty where there is one
    careful: bool = False  # whether a spread can be near zero, where NUTS needs shorter steps

    @property
    def target_accept(self) -> float:
        """Acceptance rate that NUTS tunes its step for."""
        return CAREFUL if self.careful else USUAL

    def __repr__(self) -> str:
        """Name outcome and engine; the data behind it are not shown."""
        engine = f"no exact engine ({self.why_not_exact})" if self.why_not_exact else "exact engine"
        notes = f"{len(self.notes)} {'note' if len(self.notes) == 1 else 'notes'}"
        return f"Problem({self.endpoint.id!r}, {engine}, {notes})"


@dataclass(frozen=True)
class Structure:
    """A structure of models: what it accepts, and how everything about a fit of it is computed.

    The functions take the `model` of `Problem`. `exact` and `groups` give groups of the fit; the
    exact engine of printed contrasts gives the whole fit.
    """

    name: str
    # every option with its allowed values, or `NAMES`, `NAME` or `NUMBER`
    options: Mapping[str, tuple[Any, ...]]
    priors: tuple[str, ...]  # every parameter that can have a prior
    equation: str  # the likelihood and the priors in short
    room: str  # its file or folder
    uses: Callable[[Options], tuple[str, ...]]  # options to the parameters that the model then has
    # options to a sentence on which of them exclude each other, or to an empty text
    conflict: Callable[[Options], str]
    select: Callable[[ModelSpec, Request], Evidence]  # loads what is asked for
    problem: Callable[[Evidence, ModelSpec], Problem]
    pymc_model: Callable[[Any], pm.Model]
    exact: Callable[[Any, int], Groups | xr.DataTree]  # seed
    # draws of the posterior, seed and PyMC model or None to predictive, likelihood and prior groups
    groups: Callable[[Any, Groups, int, pm.Model | None], Groups]
    # the fit and its frequentist document to the groups of its checks beyond convergence
    checks: Callable[[Any, xr.DataTree, Mapping[str, Any]], Groups]
    # the frequentist analysis of the same estimand: `method, estimate, se, df, ci95, p_value`
    counterpart: Callable[[Any], dict[str, Any]]
    prior_lines: Callable[[Any], tuple[dict[str, str], bool]]  # in words, and whether all proper
    example: Callable[[ModelSpec], Evidence]  # simulated patients, or a printed contrast
    # kinds of endpoints that it is for; where none is named, `fit` takes the one of such a kind
    kinds: tuple[str, ...] = ("continuous", "ordinal", "binary")
    # what a fit has beyond estimands and checks, for the document of `fit --json`
    document: Callable[[xr.DataTree], dict[str, Any]] = lambda _: {}
    # scores as they enter the model, such as their logarithms
    analyzed: Callable[[Evidence], Evidence] = lambda evidence: evidence
    # groups that follow from posterior and benefit sign alone, and that `document` has words for
    derived: Callable[[Groups, int], Groups] | None = None
    # groups of draws that follow from the rest of a fit and its seed: a store makes them when it
    # loads one, and keeps everything else
    redrawn: Callable[[xr.DataTree], Groups] | None = None
    # what it reads of patients: both "periods" of a crossover, one "visit", all "visits"; or "rows"
    # that a paper printed
    reads: Literal["periods", "visit", "visits", "rows"] = "visit"
    cells: str = "category"  # what the features of its predictive checks are by, for people
    # estimands whose own prior is that of the treatment; of others it follows from several priors
    prior_estimands: tuple[str, ...] = ()
    # treatment differences, whose prior may be a name of the family
    effects: tuple[str, ...] = ("treatment",)
    # levels, period effects and slopes: a flat prior of the treatment difference makes these flat,
    # too
    locations: tuple[str, ...] = ()
    matrices: tuple[str, ...] = ()  # correlation matrices
    # names that parameters had before, with what to write now
    renamed: Mapping[str, str] = field(default_factory=dict)
    # a specification whose prior nobody typed as it applies to what was selected, and in what
    applied: Callable[[ModelSpec, Evidence], tuple[ModelSpec, str]] = lambda spec, _: (spec, "")
    # raised with every change of the model or its engines that moves a posterior: it is part of the
    # id of a result, so that a mended model is never answered with what a faulty one stored
    version: int = 1

    def __repr__(self) -> str:
        """Name it with its options; its functions are not shown."""
        return f"Structure({self.name!r}, options {listed(self.options)})"

    def __reduce__(self) -> tuple[Callable[[str], Structure], tuple[str]]:
        """Travel to another process by name: functions written in place cannot be pickled."""
        return _named, (self.name,)


def _named(name: str) -> Structure:
    """Return the structure of a name in another process."""
    found: Structure = import_module("bayes_ptsd.structures").structure_named(name)
    return found


@dataclass(frozen=True)
class ModelSpec:
    """A model as its file describes it.

    Attributes
    ----------
    name : str
        File name without suffix.
    title, question, estimand : str
        What it is, what it asks, and the quantity it answers with (unit and sign).
    room : Structure
        Everything that its structure of models is and does; `structure` is its name.
    options : mapping
        Every option of the structure, resolved.
    priors : mapping of str to str, Prior or ScaledPrior
        By parameter: a name of the prior family, or a distribution in score units or in units of
        the endpoint. Parameters that the options leave out may have one; it is not used.

    Examples
    --------
    >>> from bayes_ptsd.models_files import load_model
    >>> load_model("published").options["convention"]
    'T'
    """

    name: str
    title: str
    question: str
    room: Structure
    estimand: str
    options: Mapping[str, Any] = field(default_factory=dict)
    priors: Mapping[str, PriorValue] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Name model, structure and the priors that it uses."""
        priors = listed(f"{key}={_said(self.priors[key])}" for key in self.parameters)
        return f"ModelSpec({self.name!r}, structure {self.structure!r}, priors {priors})"

    def _repr_html_(self) -> str:
        """Show question, estimand, options and priors in a notebook."""
        rows = [("question", self.question), ("estimand", self.estimand),
                ("structure", self.structure)]  # fmt: skip
        rows += [(f"option {key}", str(value)) for key, value in self.options.items()]
        rows += [(f"prior {key}", _said(self.priors[key])) for key in self.parameters]
        return html_table(f"{self.name}: {self.title}", rows)

    @property
    def structure(self) -> str:
        """Name of the structure of models."""
        return self.room.name

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters with a prior that the options put into the model."""
        return self.room.uses(self.options)

    @property
    def spec_id(self) -> str:
        """SHA-256 of what can change a posterior: structure, its version, options and priors."""
        version = self.room.version
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
            "version": self.room.version,
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
        >>> from bayes_ptsd.models_files import load_model
        >>> load_model("published").having(priors={"treatment": "skeptical"}).prior_tables
        {'treatment': 'skeptical'}
        """
        changed = replace(
            self,
            options={**self.options, **(options or {})},
            priors={**self.priors, **(priors or {})},
        )
        checked = validated(changed, f"model '{self.name}'")
        where = f"model '{self.name}' with its options [priors]"
        refuse_unknown_keys(priors or {}, checked.parameters, where, error=SpecError)
        return checked

    def under(self, prior: PriorValue) -> ModelSpec:
        """Return the model under another prior of the treatment difference.

        A flat one makes levels, period effects and slopes flat as well, and the specification says
        so; under any other they keep the priors of the model file.

        Examples
        --------
        >>> from bayes_ptsd.models_files import load_model
        >>> load_model("crossover").under("flat").prior_tables["level"]
        {'dist': 'flat'}
        """
        flat = prior == "flat" or (isinstance(prior, Prior) and prior.dist == "flat")
        names = set(self.room.locations) & set(self.parameters) if flat else set()
        return self.having(priors={**dict.fromkeys(names, Prior("flat")), "treatment": prior})


def parse_override(text: str) -> tuple[str, Prior]:
    """Read ``name = distribution(numbers)``, such as ``treatment=normal(0, 20)``."""
    name, equals, distribution = text.partition("=")
    if not equals:
        raise SpecError(f"'{shown(text)}': write NAME=DISTRIBUTION, e.g. treatment=normal(0, 20)")
    return name.strip(), parse_prior(distribution)


def parse_option(text: str, structure: Structure) -> tuple[str, Any]:
    """Read ``name=value``, such as ``covariates=sex,age``; `structure` decides the type."""
    name, equals, value = (part.strip() for part in text.partition("="))
    if not equals:
        raise SpecError(f"'{shown(text)}': write NAME=VALUE, e.g. patients=completers")
    allowed = structure.options.get(name, ())
    if allowed == NAME:
        return name, value
    if allowed == NUMBER:
        return name, _number(value)
    if allowed == NAMES:
        return name, [part.strip() for part in value.split(",") if part.strip()]
    values = {json.dumps(one) if isinstance(one, bool) else str(one): one for one in allowed}
    return name, values.get(value, value)


def as_specification(spec: ModelSpec | str | Path) -> ModelSpec:
    """Return a specification as it is, or read it where it is named: a model or its file."""
    if isinstance(spec, ModelSpec):
        return spec
    # found by name, as rooms are: what reads model files knows every room, and this knows none
    found: ModelSpec = import_module("bayes_ptsd.models_files").load_model(spec)
    return found


def _table(prior: PriorValue) -> Any:
    """Return a prior as its model file has it."""
    return prior if isinstance(prior, str) else prior.table()


def _said(prior: PriorValue) -> str:
    """Return a prior in a few words: its name in the family, or its distribution."""
    if isinstance(prior, str):
        return prior
    numbers = [value for key, value in prior.table().items() if key != "dist"]
    return f"{prior.table()['dist']}({', '.join(map(str, numbers))})"


def read_prior(value: Any, where: str) -> PriorValue:
    """Read a prior: a name of the family or a table."""
    if isinstance(value, str):
        if value not in PRIOR_FAMILY:
            raise SpecError(
                f"{where}: unknown prior '{shown(value)}'{nearest(value, PRIOR_FAMILY)}"
            )
        return value
    if not isinstance(value, dict):
        raise SpecError(f"{where}: a prior is a name or a table with 'dist', got {short(value)}")
    return prior_value(value, where)


def validated(spec: ModelSpec, where: str) -> ModelSpec:
    """Return `spec` if its structure knows every option, value and prior."""
    structure = spec.room
    refuse_unknown_keys(spec.options, structure.options, f"{where} [options]", error=SpecError)
    _refuse_old_names(spec.priors, structure, where)
    refuse_unknown_keys(spec.priors, structure.priors, f"{where} [priors]", error=SpecError)
    for key, allowed in structure.options.items():
        if key not in spec.options:
            raise SpecError(f"{where} [options]: '{key}' is missing; one of {allowed}")
        given = spec.options[key]
        if allowed == NAMES:
            _refuse_no_names(given, f"{where} [options] {key}")
        elif allowed == NAME:
            _refuse_no_name(given, f"{where} [options] {key}")
        elif allowed == NUMBER:
            _refuse_no_number(given, f"{where} [options] {key}")
        elif not any(type(one) is type(given) and one == given for one in allowed):
            known = nearest(str(short(given)).strip("'"), map(str, allowed))
            raise SpecError(f"{where} [options] {key}: {short(given)} not allowed{known}")
    for key in structure.priors:
        if key not in spec.priors:
            raise SpecError(f"{where} [priors]: '{key}' is missing")
        read_prior(_table(spec.priors[key]), f"{where} [priors] {key}")
        _refuse_other_kind(spec.priors[key], key in structure.matrices, f"{where} [priors] {key}")
        if isinstance(spec.priors[key], str) and key not in structure.effects:
            raise SpecError(
                f"{where} [priors] {key}: '{spec.priors[key]}' is a prior of the treatment "
                "difference; give this one as a table with 'dist'"
            )
    if conflict := structure.conflict(spec.options):
        raise SpecError(f"{where} [options]: {conflict}")
    return spec


def _refuse_old_names(priors: Mapping[str, PriorValue], structure: Structure, where: str) -> None:
    """Say what a parameter is called now that was called otherwise before."""
    for key, now in structure.renamed.items():
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
    if not is_number(value):
        got = short(value)
        raise SpecError(f"{where}: write a number from -1e15 to 1e15, such as 0.5; got {got}")


def _refuse_no_name(value: Any, where: str) -> None:
    """Refuse what is no name."""
    if not isinstance(value, str) or not value:
        raise SpecError(f'{where}: write one name, such as "madrs"; got {short(value)}')


def _refuse_no_names(value: Any, where: str) -> None:
    """Refuse what is not a list of different names."""
    if not isinstance(value, list) or not all(isinstance(name, str) and name for name in value):
        got = short(value)
        raise SpecError(f'{where}: write a list of names, such as ["sex", "age"]; got {got}')
    if len(set(value)) < len(value):
        raise SpecError(f"{where}: {', '.join(value)} names one of them twice")
