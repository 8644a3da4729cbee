"""Options that the commands about a replication share, and what is built from them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayes_ptsd.cli._output import store_path
from bayes_ptsd.errors import SpecError

if TYPE_CHECKING:
    import xarray as xr

    from bayes_ptsd.priors import Prior
    from bayes_ptsd.replication.assurance import Goal
    from bayes_ptsd.replication.designs import ReplicationDesign
    from bayes_ptsd.replication.prior import ReplicationPrior

__all__ = [
    "AnalysisPrior",
    "Center",
    "Contrast",
    "Convention",
    "Correlation",
    "DesignKind",
    "Dropout",
    "Gate",
    "GoalKind",
    "Heterogeneous",
    "Level",
    "Margin",
    "Reading",
    "Result",
    "RobustSpread",
    "RobustWeight",
    "Sd",
    "Visits",
    "asked_design",
    "asked_goal",
    "asked_prior",
    "asked_results",
    "reading_weights",
]

Contrast = Annotated[
    str, typer.Option("--contrast", help="Printed row; the primary endpoint's first period.")
]
Center = Annotated[
    str, typer.Option("--center", help="Prior the row is analyzed with: cochrane, flat, ...")
]
Convention = Annotated[str, typer.Option("--convention", help="T or N.")]
Reading = Annotated[
    list[str] | None,
    typer.Option("--reading", help="Of a crossover row, as 'unhalved' or 'unhalved=0.5'."),
]
Result = Annotated[
    list[str] | None,
    typer.Option(
        "--result",
        help="A stored result instead of a printed row; repeatable: one of each reconstruction, "
        "pooled with equal weight.",
    ),
]
Heterogeneous = Annotated[
    float, typer.Option("--heterogeneity", help="Half-normal scale between trials, in SDs.")
]
RobustWeight = Annotated[
    float, typer.Option("--robust", help="Weight of the weakly informative component.")
]
RobustSpread = Annotated[
    float | None, typer.Option("--robust-sd", help="Its SD in score units; 2 SD by default.")
]
Sd = Annotated[float | None, typer.Option("--sd", help="Total SD of the score, in score units.")]
DesignKind = Annotated[
    str, typer.Option("--design", help="parallel, crossover or repeated (several visits).")
]
Correlation = Annotated[
    float, typer.Option("--correlation", help="Between two scores of one patient.")
]
Visits = Annotated[int, typer.Option("--visits", help="Visits of the repeated design.")]
Dropout = Annotated[float, typer.Option("--dropout", help="Share of patients lost at random.")]
Gate = Annotated[
    tuple[float, float],
    typer.Option("--gate", help="Shares too well to cross over: active first, control first."),
]
GoalKind = Annotated[
    str, typer.Option("--goal", help="bayes: P(difference > margin) > level; or frequentist.")
]
Margin = Annotated[float, typer.Option("--margin", help="Margin of the goal, score units.")]
Level = Annotated[float, typer.Option("--level", help="Level of the goal.")]
AnalysisPrior = Annotated[
    str,
    typer.Option(
        "--analysis-prior",
        help="Of the replication's analysis: flat, skeptical, robust (the replication prior) or "
        "'normal(0, 20)'.",
    ),
]


def reading_weights(asked: list[str] | None) -> dict[str, float]:
    """Return the readings that were asked for with their weights, both scales by default."""
    texts = asked or ["as_published", "unhalved"]
    found: dict[str, float] = {}
    for text in texts:
        name, _, weight = text.partition("=")
        try:
            found[name] = float(weight) if weight else 1 / len(texts)
        except ValueError:
            raise SpecError(f"--reading '{text}': '{weight}' is not a weight") from None
    return found


def asked_prior(
    *,
    contrast: str,
    center: str,
    convention: str,
    readings: dict[str, float],
    result: list[str] | None,
    evidence: Path | None,
    store: Path | None,
    heterogeneity: float,
    robust: float,
    robust_sd: float | None,
    sd: float | None,
) -> ReplicationPrior:
    """Return the replication prior of a printed row or of a stored result."""
    from bayes_ptsd.evidence.published import load_published
    from bayes_ptsd.replication.document import row_fits
    from bayes_ptsd.replication.prior import replication_prior

    weights = None
    fits: xr.DataTree | dict[str, xr.DataTree]
    if result:
        fits = asked_results(result, store)
    else:
        fits = row_fits(
            load_published(evidence), contrast, center=center, convention=convention,
            readings=list(readings),
        )  # fmt: skip
        weights = {name: readings[name] for name in fits} if len(fits) > 1 else None
    return replication_prior(
        fits, heterogeneity=heterogeneity, reading_weights=weights, robust_weight=robust,
        robust_sd=robust_sd, sd=sd,
    )  # fmt: skip


def asked_results(result: list[str], store: Path | None) -> xr.DataTree:
    """Return a stored result, or several pooled with equal weight."""
    from bayes_ptsd.replication.stored import pooled_fit
    from bayes_ptsd.store import ResultStore

    results = ResultStore(store_path(store))
    return pooled_fit([results.load(name) for name in result])


def asked_design(
    kind: str, *, sd: float, correlation: float, visits: int, dropout: float,
    gate: tuple[float, float],
) -> ReplicationDesign:  # fmt: skip
    """Return the design that was asked for."""
    from bayes_ptsd.replication.designs import ReplicationDesign

    return ReplicationDesign(
        kind, sd=sd, correlation=correlation, visits=visits, dropout=dropout, gate=gate
    )


def asked_goal(
    kind: str, *, margin: float, level: float, analysis: str, found: ReplicationPrior
) -> Goal:
    """Return the goal that was asked for."""
    from bayes_ptsd.replication.assurance import Goal

    return Goal(kind, margin, level, _analysis_prior(analysis, found))


def _analysis_prior(text: str, found: ReplicationPrior) -> Prior:
    """Return the prior of the replication's own analysis."""
    from bayes_ptsd.prior_family import resolve_prior
    from bayes_ptsd.priors import parse_prior

    if text == "robust":
        return found.prior
    if "(" in text:
        return parse_prior(text)
    return resolve_prior(text, sd=float(found.about["sd"]))
