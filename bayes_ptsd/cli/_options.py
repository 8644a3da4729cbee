"""Options of the commands: single ones as aliases, and groups that several commands take.

A group is a frozen dataclass, and `grouped` gives a command its fields as options, where the group
stands among the parameters. A command that has no use for a field takes a subclass in which the
field is `init=False`.
"""

from __future__ import annotations

import inspect
from codecs import BOM_UTF8
from collections.abc import Callable
from dataclasses import dataclass, field, is_dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from bayes_ptsd.cli._output import Talk
from bayes_ptsd.errors import SpecError

if TYPE_CHECKING:
    from bayes_ptsd.priors import Prior
    from bayes_ptsd.specification import Request

__all__ = [
    "Engine",
    "Evidence_",
    "Json",
    "KeyFile",
    "Patients",
    "Priors",
    "ReadingWeights",
    "Run",
    "Seed",
    "Store",
    "Unseeded",
    "Variant",
    "chosen_readings",
    "grouped",
    "typed_key",
    "typed_prior",
]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Store = Annotated[
    Path | None,
    typer.Option(
        "--store", help="Results store; else BAYES_PTSD_STORE, else ./bayes-ptsd-results."
    ),
]
Seed = Annotated[int | None, typer.Option("--seed", help="Seed of every draw; fixed by default.")]
Evidence_ = Annotated[
    Path | None,
    typer.Option("--evidence", help="Folder of printed evidence; the shipped paper by default."),
]
ReadingWeights = Annotated[
    str | None,
    typer.Option(
        "--reading-weights",
        help="Of the crossover readings, 'as_published=0.2,unhalved=0.8'; else those of print.",
    ),
]
Priors = Annotated[
    list[str] | None,
    typer.Option(
        "--prior",
        help="Of the family, or 'normal(0, 20)'; repeatable. reference stands in for flat, it is "
        "no belief.",
    ),
]
Engine = Annotated[
    str, typer.Option("--engine", help="exact, nuts, or auto: exact where there is one.")
]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--key-file",
        envvar="BAYES_PTSD_KEY_FILE",
        help="File with the key of the pseudonyms; without it every patient file has its own.",
    ),
]


@dataclass(frozen=True)
class Run:
    """How a command draws and what it says."""

    seed: Seed = None
    json: Json = False
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no messages.")] = False
    log: Annotated[Path | None, typer.Option("--log", help="Also write messages to this file.")] = (
        None
    )

    @property
    def fixed_seed(self) -> int:
        """The seed that was asked for, else the one of the package."""
        from bayes_ptsd.provenance import DEFAULT_SEED

        return DEFAULT_SEED if self.seed is None else self.seed

    def talk(self) -> Talk:
        """Return what says messages and shows progress."""
        return Talk(quiet=self.quiet, log=self.log)


@dataclass(frozen=True)
class Unseeded(Run):
    """How a command that draws nothing says what it does."""

    seed: int | None = field(default=None, init=False)


@dataclass(frozen=True)
class Patients:
    """Which patients a model is asked about."""

    trial: Annotated[Path | None, typer.Option("--trial", help="Trial file of patients.")] = None
    data: Annotated[Path | None, typer.Option("--data", help="Patient file.")] = None
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", help="Endpoint of the patients.")
    ] = None
    visit: Annotated[str | None, typer.Option("--visit", help="Visit of the patients.")] = None
    key_file: KeyFile = None

    @property
    def key(self) -> bytes | None:
        """The key of the pseudonyms, None where each file has its own."""
        return typed_key(self.key_file)

    def request(self, *, contrast: str | None = None, folder: Path | None = None) -> Request:
        """Return which evidence a model is asked about."""
        from bayes_ptsd.specification import Request

        return Request(
            contrast=contrast, folder=folder, trial=self.trial, data=self.data,
            endpoint=self.endpoint, visit=self.visit, key=self.key,
        )  # fmt: skip


@dataclass(frozen=True)
class Variant:
    """What differs from the file of a model: its priors and options."""

    prior: Priors = None
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Prior of a parameter, 'treatment=normal(0, 20)'; repeatable."),
    ] = None
    option: Annotated[
        list[str] | None,
        typer.Option("--option", help="Option of the model, 'patients=completers'; repeatable."),
    ] = None


def grouped(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the fields of every group among its parameters as options, in its place."""
    hints = get_type_hints(function, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    options: list[inspect.Parameter] = []
    for name, one in inspect.signature(function).parameters.items():
        one = one.replace(annotation=hints[name])
        options += _fields(hints[name]) if name in groups else [one]

    @wraps(function)
    def command(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{one.name: given.pop(one.name) for one in _fields(group)})
        function(**given)

    # by keyword, as a required option may follow one with a default
    options = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in options]
    command.__dict__["__signature__"] = inspect.Signature(options)
    command.__annotations__ = {one.name: one.annotation for one in options}
    return command


def _fields(group: Any) -> list[inspect.Parameter]:
    """Return what the constructor of a group takes, annotations resolved."""
    hints = get_type_hints(group, include_extras=True)
    taken = inspect.signature(group).parameters
    return [one.replace(annotation=hints[name]) for name, one in taken.items()]


def chosen_readings(text: str | None) -> dict[str, float] | None:
    """Return weights of readings that were typed, None where none were."""
    from bayes_ptsd.evidence.readings import parse_weights

    return None if text is None else parse_weights(text)


def typed_key(path: Path | None) -> bytes | None:
    """Return the key of the pseudonyms in a file, without the blanks and the line end around it."""
    if path is None:
        return None
    from bayes_ptsd.inputs import read_bytes

    key = read_bytes(path, str(path)).removeprefix(BOM_UTF8).strip()
    if not key:
        raise SpecError(
            f"{path}: the key of the pseudonyms is empty; write a secret text into the file, at "
            "best a random one, and keep it as long as the pseudonyms"
        )
    return key


def typed_prior(text: str) -> str | Prior:
    """Return a prior that was typed: a name of the family or a distribution."""
    from bayes_ptsd.priors import parse_prior

    return parse_prior(text) if "(" in text else text
