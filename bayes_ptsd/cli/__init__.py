"""The command line.

Nothing heavy is imported before a command needs it: `--help` and `store list` run on the standard
library, typer and rich.
"""

from __future__ import annotations

import os
import sys
import warnings
from contextlib import suppress
from typing import Annotated

import typer

from bayes_ptsd import __version__
from bayes_ptsd.cli._signals import STOPPED, stoppable
from bayes_ptsd.cli.calibrate import calibrate_command
from bayes_ptsd.cli.comparison import compare, compare_models_command
from bayes_ptsd.cli.field import field_command
from bayes_ptsd.cli.fit import fit_command
from bayes_ptsd.cli.history import map_command
from bayes_ptsd.cli.inspect import cite, doctor, models_app, store_app
from bayes_ptsd.cli.patients import check_data, simulate, template
from bayes_ptsd.cli.printed import audit, credibility, readings_command, sensitivity
from bayes_ptsd.cli.reconstruct import reconstruct_command
from bayes_ptsd.cli.replicate import replicate_app
from bayes_ptsd.cli.run import reanalyze, report
from bayes_ptsd.cli.sweep import carryover
from bayes_ptsd.errors import BayesPtsdError

__all__ = ["app", "main", "program"]

app = typer.Typer(
    name="bayes-ptsd",
    help="Bayesian reanalysis of randomized crossover trials. "
    "Positive differences mean that the active treatment is better.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    reanalyze, audit, compare, credibility, sensitivity, report, check_data, template, simulate,
    carryover, doctor, cite,
):  # fmt: skip
    app.command()(command)
app.command("fit")(fit_command)
app.command("map")(map_command)
app.command("field")(field_command)
app.command("readings")(readings_command)
models_app.command("compare")(compare_models_command)
app.command("calibrate")(calibrate_command)
app.command("reconstruct")(reconstruct_command)
app.add_typer(models_app, name="models")
app.add_typer(store_app, name="store")
app.add_typer(replicate_app, name="replicate")


def _print_version(asked: bool) -> None:
    """Print the version and leave."""
    if asked:
        sys.stdout.write(f"bayes-ptsd {__version__}\n")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Bayesian reanalysis of randomized crossover trials."""


def _one_line(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    line: str | None = None,
) -> str:
    """Return a warning for people without the place in the code from which it comes."""
    return f"bayes-ptsd: warning: {message}\n"


def program() -> None:
    """Run the command line as a program: what was stopped waits for nothing that is left of it."""
    try:
        main()
    except SystemExit as left:
        if left.code in STOPPED:
            with suppress(OSError):
                sys.stdout.flush()
            os._exit(int(left.code))
        raise


def main() -> None:
    """Run the command line: exit 0 done, 1 wrong request, 2 usage, 3 failed check, else stopped."""
    warnings.formatwarning = _one_line
    try:
        with stoppable():
            app()
    except BayesPtsdError as error:
        sys.stderr.write(f"bayes-ptsd: {error}\n")
        raise SystemExit(1) from None
    except BrokenPipeError:
        raise SystemExit(1) from None
    except SystemExit as left:
        if left.code in STOPPED:
            sys.stderr.write(STOPPED[left.code])
        raise
