"""Groups of options: a command takes the fields of its groups, in their place."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from bayes_ptsd.cli._options import Json, grouped

SEEN: list[Any] = []


@dataclass(frozen=True)
class Group:
    """Three options."""

    file: Annotated[Path | None, typer.Option("--file")] = None
    first: Annotated[int, typer.Option("--first", min=1)] = 1
    names: Annotated[list[str] | None, typer.Option("--name")] = None


@dataclass(frozen=True)
class Fewer(Group):
    """The same with another default, a required file and no names."""

    file: Annotated[Path, typer.Option("--file")] = field()
    first: Annotated[int, typer.Option("--first")] = 7
    names: list[str] | None = field(default=None, init=False)


@grouped
def whole(*, model: str, group: Group, json: Json = False) -> None:
    """Say what was asked for."""
    SEEN.append((model, group, json))


@grouped
def fewer(*, json: Json = False, group: Fewer) -> None:
    """Say less."""
    SEEN.append((group, json))


def called(command: Any, *words: str) -> Any:
    """Return what a command was called with."""
    app = typer.Typer()
    app.command()(command)
    done = CliRunner().invoke(app, list(words))
    if done.exit_code:
        return done.stderr
    return SEEN.pop()


def test_fields_stand_where_the_group_stood() -> None:
    """The signature has the fields in place of the group, and the command keeps its docstring."""
    assert list(inspect.signature(whole).parameters) == ["model", "file", "first", "names", "json"]
    assert list(inspect.signature(fewer).parameters) == ["json", "file", "first"]
    assert whole.__doc__ == "Say what was asked for."


@pytest.mark.parametrize(
    ("command", "words", "seen"),
    [
        (whole, ["m"], ("m", Group(), False)),
        (
            whole,
            ["m", "--first", "2", "--name", "a", "--name", "b", "--json"],
            ("m", Group(None, 2, ["a", "b"]), True),
        ),
        (fewer, ["--file", "f.csv"], (Fewer(file=Path("f.csv")), False)),
    ],
)
def test_a_command_gets_its_groups_as_values(
    command: Any, words: list[str], seen: tuple[Any, ...]
) -> None:
    """What is typed arrives as one frozen value a group; what is not, as its default."""
    assert called(command, *words) == seen


@pytest.mark.parametrize(
    ("command", "words", "said"),
    [
        (whole, ["m", "--first", "0"], "--first"),
        (fewer, [], "Missing option '--file'"),
        (fewer, ["--file", "f", "--name", "a"], "No such option"),
    ],
)
def test_limits_and_required_fields_hold(command: Any, words: list[str], said: str) -> None:
    """Limits of a field are kept, a field without a default is required, one left out is none."""
    assert said in called(command, *words)
