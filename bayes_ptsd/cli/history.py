"""The command about historical trials: their MAP prior, its mixture, its worth in patients."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayes_ptsd.cli._options import Json, grouped
from bayes_ptsd.cli._output import emit, number, show_mixture, show_table, told_warnings
from bayes_ptsd.errors import SpecError

if TYPE_CHECKING:
    from bayes_ptsd.exact.history import HistoricalTrials
    from bayes_ptsd.replication.historical import MapPrior

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


@dataclass(frozen=True)
class NewTrial:
    """The trial that the prior was made for."""

    new: Annotated[
        str | None,
        typer.Option("--new", help="Its control arm: 'n=6,r=1', or 'n=20,y=5', 'y=5,se=2'."),
    ] = None
    active: Annotated[
        str | None, typer.Option("--active", help="Its active arm: adds their difference.")
    ] = None
    active_prior: Annotated[
        str | None,
        typer.Option("--active-prior", help="Of that arm; default: beta(1, 1), or flat (normal)."),
    ] = None
    below: Annotated[
        list[float] | None,
        typer.Option("--below", help="Adds P(active - control < X); 0 by default; repeatable."),
    ] = None


@grouped
def map_command(
    *,
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
    new_trial: NewTrial,
    json: Json = False,
) -> None:
    """Compute a MAP prior from historical trials, its mixture, its worth, and its new trial."""
    from bayes_ptsd.exact.history import parse_heterogeneity, read_trials
    from bayes_ptsd.priors import Prior, normal
    from bayes_ptsd.replication.export import write_mixture
    from bayes_ptsd.replication.historical import map_document, map_prior

    trials = read_trials(file, likelihood=likelihood, sigma=sigma)
    mean = Prior("flat") if prior_mean is None else normal(*prior_mean)
    if prior_mean is None and likelihood == "binomial":
        mean = normal(0, 2)
    arms = _arms(new_trial, trials)
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
    document = map_document(found) | _met(found, new_trial, arms) | {"warnings": told}
    if output is not None:
        write_mixture(found.robust or found.fitted.prior, output, sigma=_known(trials))
    if json:
        emit("map", document)
        return
    _show_map(document)


def _arms(asked: NewTrial, trials: HistoricalTrials) -> list[HistoricalTrials]:
    """Return the control arm of a new trial and its active arm, those that were given."""
    from bayes_ptsd.replication.new_trial import parse_arm

    _check_arms(asked)
    given = [("--new", asked.new), ("--active", asked.active)]
    return [
        parse_arm(text, option=option, likelihood=trials.likelihood, sigma=_known(trials))
        for option, text in given
        if text is not None
    ]


def _met(found: MapPrior, asked: NewTrial, arms: list[HistoricalTrials]) -> dict[str, Any]:
    """Return what the arms of a new trial make of the prior, nothing where none was given."""
    from bayes_ptsd.priors import parse_prior
    from bayes_ptsd.replication.new_trial import DEFAULT_ACTIVE, UpdatedArm, new_trial_document

    if not arms:
        return {}
    own = asked.active_prior
    prior = DEFAULT_ACTIVE[found.trials.likelihood] if own is None else parse_prior(own)
    control, *active = map(UpdatedArm, arms, (found.robust or found.fitted.prior, prior))
    return {"new_trial": new_trial_document(control, *active, below=asked.below or (0.0,))}


def _check_arms(asked: NewTrial) -> None:
    """Refuse what belongs to an arm that is not there."""
    if asked.active is not None and asked.new is None:
        raise SpecError("--active is compared with a control arm: give it by --new")
    if asked.active is None and (asked.active_prior is not None or asked.below):
        raise SpecError("--active-prior and --below are about an active arm: give it by --active")


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
        _place_row(name, item)
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
    if "new_trial" in document:
        _show_new_trial(document["new_trial"])


def _show_new_trial(document: dict[str, Any]) -> None:
    """Print the arms of the new trial and their difference."""
    arms = {name: document[name]["posterior"] for name in ("control", "active") if name in document}
    rows = []
    for name, posterior in arms.items():
        data = ", ".join(f"{key} = {value:g}" for key, value in document[name]["data"].items())
        show_mixture(f"Posterior, {name} arm", posterior["components"])
        rows.append(_place_row(f"{name} ({data})", posterior))
    if "difference" in document:
        rows.append(_place_row("active - control", document["difference"]))
    show_table("After the new trial", ["quantity", "mean", "SD", "2.5%", "median", "97.5%"], rows)
    below = document.get("difference", {}).get("prob_below", ())
    rows = [
        [f"P(active - control < {one['difference']:g})", f"{one['probability']:.6g}"]
        for one in below
    ]
    if rows:
        show_table("Difference between the arms", ["statement", "probability"], rows)


def _place_row(name: str, item: dict[str, Any]) -> list[str]:
    """Return one line of where a distribution lies."""
    quantiles = [number(item["quantiles"][key], 4) for key in ("0.025", "0.5", "0.975")]
    return [name, number(item["mean"], 4), number(item["sd"], 4), *quantiles]


def _size_row(name: str, sizes: dict[str, float | None]) -> list[str]:
    """Return one line of effective sample sizes."""
    return [name, *(number(sizes[key], 1) for key in ("elir", "moment", "morita"))]
