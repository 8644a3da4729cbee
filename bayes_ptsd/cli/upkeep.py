"""Commands about the program itself: what is wrong with it, and how to cite it."""

from __future__ import annotations

from typing import Annotated

import typer

from bayes_ptsd.cli._output import CHECK_FAILED, Json, Store, emit, show_table, store_path

__all__ = ["cite", "doctor"]


def doctor(
    sample: Annotated[
        bool, typer.Option("--sample/--no-sample", help="Compile and sample a small model.")
    ] = True,
    store: Store = None,
    json: Json = False,
) -> None:
    """Check the installation: libraries, store, and one known number from each engine."""
    from bayes_ptsd.installation import check_installation

    found = check_installation(store_path(store), sample=sample)
    bad = [one for one in found if not one.good]
    if json:
        emit("doctor", {"passed": not bad, "findings": [one._asdict() for one in found]})
    else:
        columns = ["what", "found", "verdict"]
        rows = [[one.what, one.found, "good" if one.good else one.remedy] for one in found]
        show_table("Installation", columns, rows, prose=columns)
    if bad:
        raise typer.Exit(CHECK_FAILED)


def cite(json: Json = False) -> None:
    """Print how to cite this program and the trial it reanalyzes."""
    from bayes_ptsd.citation import citations

    found = citations()
    if json:
        emit("cite", {"citations": found})
        return
    typer.echo("\n\n".join(f"{one['text']}\n\n{one['bibtex']}" for one in found))
