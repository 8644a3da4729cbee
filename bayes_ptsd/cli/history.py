"""The command about historical trials: their MAP prior, its mixture, its worth in patients."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayes_ptsd.cli._options import Json
from bayes_ptsd.cli._output import emit, number, show_mixture, show_table, told_warnings
from bayes_ptsd.errors import SpecError

if TYPE_CHECKING:
    from bayes_ptsd.exact.history import HistoricalTrials

__all__ = ["map_command"]

Sigma = Annotated[
    float | None, typer.Option("--sigma", help="SD of one patient's outcome (normal).")
]
PriorMean = Annotated[
    tuple[float, float] | None,
    typer.Option("--prior-mean", help="Mean and SD of the mean's prior (binomial: log odds)."),
]
Spread = Annotated[
    str | None,
    typer.Option(
        "--heterogeneity",
        help="Between trials: 'half-normal SCALE', 'half-cauchy SCALE', 'half-t DF SCALE', "
        "'uniform HIGH'; by default half-normal 1 (binomial) or sigma/4.",
    ),
]
Robust = Annotated[
    float | None, typer.Option("--robust", help="Weight of a weakly informative component.")
]
RobustMean = Annotated[
    float | None, typer.Option("--robust-mean", help="Its mean; default: MAP mean, or .5.")
]
RobustSd = Annotated[
    float | None, typer.Option("--robust-sd", help="Its SD; by default it is worth a patient.")
]
Components = Annotated[
    int | None, typer.Option("--components", help="Of the mixture; by default as needed.")
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write the mixture for RBesT here.")
]


def map_command(
    file: Annotated[Path, typer.Argument(help="CSV: study,n,r or study,n,y or study,y,se.")],
    likelihood: Annotated[str, typer.Option("--likelihood", help="normal or binomial.")],
    sigma: Sigma = None,
    prior_mean: PriorMean = None,
    heterogeneity: Spread = None,
    robust: Robust = None,
    robust_mean: RobustMean = None,
    robust_sd: RobustSd = None,
    components: Components = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """Compute a MAP prior from historical trials, its mixture and its worth in patients."""
    from bayes_ptsd.exact.history import parse_heterogeneity, read_trials
    from bayes_ptsd.priors import Prior, normal
    from bayes_ptsd.replication.export import write_mixture
    from bayes_ptsd.replication.historical import map_document, map_prior

    trials = read_trials(file, likelihood=likelihood, sigma=sigma)
    mean = Prior("flat") if prior_mean is None else normal(*prior_mean)
    if prior_mean is None and likelihood == "binomial":
        mean = normal(0, 2)
    with told_warnings() as told:
        found = map_prior(
            trials,
            mean=mean,
            heterogeneity=parse_heterogeneity(heterogeneity or _default_spread(trials)),
            robust_weight=robust,
            robust_mean=robust_mean,
            robust_sd=robust_sd,
            components=components,
        )
    document = map_document(found) | {"warnings": told}
    if output is not None:
        write_mixture(found.robust or found.fitted.prior, output, sigma=_known(trials))
    if json:
        emit("map", document)
        return
    _show_map(document)


def _default_spread(trials: HistoricalTrials) -> str:
    """Return the heterogeneity that is taken where none is given, or ask for one."""
    if trials.likelihood == "binomial":
        return "half-normal 1"
    if _known(trials) is None:
        raise SpecError(
            "give --heterogeneity: its scale is in the unit of the estimates, so there is no "
            "default without --sigma"
        )
    return f"half-normal {trials.sigma / 4:g}"


def _known(trials: HistoricalTrials) -> float | None:
    """Return the SD of one patient's outcome where it is known."""
    return trials.sigma if trials.sigma == trials.sigma else None


def _show_map(document: dict[str, Any]) -> None:
    """Print a MAP prior for people."""
    found, spread = document["map"], document["heterogeneity"]
    kind = document["evidence_kind"]
    rows = [
        [
            name,
            number(item["mean"], 4),
            number(item["sd"], 4),
            *(number(item["quantiles"][key], 4) for key in ("0.025", "0.5", "0.975")),
        ]
        for name, item in (("MAP prior", found), (f"heterogeneity, {spread['scale']}", spread))
    ]
    columns = ["quantity", "mean", "SD", "2.5%", "median", "97.5%"]
    title = f"MAP prior, {document['scale']} scale, {len(document['studies'])} trials"
    show_table(f"{title}, {kind} evidence", columns, rows)
    show_mixture("Mixture", document["mixture"]["components"])
    rows = [_size_row("mixture", document["mixture"]["effective_size"])]
    if document["robust"]:
        show_mixture("Robust mixture", document["robust"]["components"])
        weak = document["robust"]["weak_component"]
        rows += [_size_row("robust mixture", document["robust"]["effective_size"])]
        worth = number(weak["effective_size"])
        rows += [[f"robust component {weak['formula']} alone", worth, worth, worth]]
    columns = ["prior", "ELIR", "moment", "Morita"]
    title = f"Effective sample size: {document['effective_size_unit']}"
    show_table(title, columns, rows)
    show_table(
        "Distance of the mixture", ["quantity", "nats"],
        [["Kullback-Leibler", f"{document['mixture']['divergence']:.2g}"]],
    )  # fmt: skip


def _size_row(name: str, sizes: dict[str, float | None]) -> list[str]:
    """Return one line of effective sample sizes."""
    return [name, *(number(sizes[key], 1) for key in ("elir", "moment", "morita"))]
