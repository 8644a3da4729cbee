"""Options that the commands about a replication share, and what is built from them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayes_ptsd.cli._options import Evidence_, Store
from bayes_ptsd.cli._output import store_path
from bayes_ptsd.errors import SpecError, StatisticalWarning

if TYPE_CHECKING:
    import xarray as xr

    from bayes_ptsd.priors import Prior
    from bayes_ptsd.replication.assurance import Case, Goal
    from bayes_ptsd.replication.designs import ReplicationDesign
    from bayes_ptsd.replication.prior import ReplicationPrior

__all__ = [
    "Aim",
    "DesignKind",
    "Original",
    "OriginalT",
    "Plan",
    "Scale",
    "Sources",
    "VisitPlan",
    "asked_cases",
    "asked_design",
    "asked_goal",
    "asked_prior",
    "asked_readings",
    "asked_results",
]

DesignKind = Annotated[
    str, typer.Option("--design", help="parallel, crossover or repeated (several visits).")
]


@dataclass(frozen=True)
class Original:
    """What is replicated, a printed row or stored results, and how its posterior is weakened."""

    contrast: Annotated[
        str | None,
        typer.Option(
            "--contrast",
            help="Printed row; else the first endpoint's, of groups of patients first.",
        ),
    ] = None
    center: Annotated[
        str, typer.Option("--center", help="Prior the row is analyzed with: cochrane, flat, ...")
    ] = "cochrane"
    convention: Annotated[str, typer.Option("--convention", help="T or N.")] = "T"
    reading: Annotated[
        list[str] | None,
        typer.Option(
            "--reading",
            help="Of a crossover row: averaged (the default), or 'unhalved', or several as "
            "'unhalved=0.5'.",
        ),
    ] = None
    reading_weights: Annotated[
        str | None,
        typer.Option(
            "--reading-weights",
            help="Of the average, as 'as_published=0.2,unhalved=0.8'; by default what print says.",
        ),
    ] = None
    result: Annotated[
        list[str] | None,
        typer.Option(
            "--result",
            help="A stored result instead of a printed row; repeatable: one of each "
            "reconstruction, pooled with equal weight.",
        ),
    ] = None
    heterogeneity: Annotated[
        float, typer.Option("--heterogeneity", help="Half-normal scale between trials, in SDs.")
    ] = 0.25
    robust: Annotated[
        float, typer.Option("--robust", help="Weight of the weakly informative component.")
    ] = 0.2


@dataclass(frozen=True)
class OriginalT(Original):
    """The same under convention T, which plans do not ask for."""

    convention: str = field(default="T", init=False)


@dataclass(frozen=True)
class Sources:
    """Where printed evidence and stored results are."""

    evidence: Evidence_ = None
    store: Store = None


@dataclass(frozen=True)
class Scale:
    """How scores vary."""

    sd: Annotated[
        float | None, typer.Option("--sd", help="Total SD of the score, in score units.")
    ] = None
    correlation: Annotated[
        float | None,
        typer.Option(
            "--correlation",
            help="Between two scores of one patient; by default a crossover planned from a "
            "crossover row has the precision of the row, and .5 is taken elsewhere.",
        ),
    ] = None


@dataclass(frozen=True)
class Plan(Scale):
    """How a replication is done, whatever its design."""

    visits: Annotated[int, typer.Option("--visits", help="Visits of the repeated design.")] = 1
    dropout: Annotated[
        float, typer.Option("--dropout", help="Share of patients lost at random.")
    ] = 0.0
    gate: Annotated[
        tuple[float, float],
        typer.Option("--gate", help="Shares too well to cross over: active first, control first."),
    ] = (0.0, 0.0)


@dataclass(frozen=True)
class VisitPlan(Plan):
    """The same where a repeated design is always among the designs: one visit is none."""

    visits: Annotated[int, typer.Option("--visits", help="Visits of the repeated design.")] = 4


@dataclass(frozen=True)
class Aim:
    """What a replication is to reach."""

    goal: Annotated[
        str, typer.Option("--goal", help="bayes: P(difference > margin) > level; or frequentist.")
    ] = "bayes"
    margin: Annotated[float, typer.Option("--margin", help="Margin of the goal, score units.")] = (
        0.0
    )
    level: Annotated[float, typer.Option("--level", help="Level of the goal.")] = 0.975
    analysis_prior: Annotated[
        str,
        typer.Option(
            "--analysis-prior",
            help="Of the replication's analysis: flat, skeptical, robust (the replication prior) "
            "or 'normal(0, 20)'.",
        ),
    ] = "flat"


def asked_contrast(original: Original, evidence: Path | None) -> str:
    """Return the printed row that is replicated: patients compared with others, by default."""
    from bayes_ptsd.evidence.published import load_published, primary_contrasts

    if original.contrast is not None:
        return original.contrast
    printed = load_published(evidence)
    analysis = printed.data["effects"]["analysis"]
    names = primary_contrasts(printed)
    if not names:
        raise SpecError(f"{printed.source}: no printed treatment contrast to replicate")
    crossed = [str(analysis.sel(contrast=name).item()) == "crossover" for name in names]
    return names[crossed.index(False) if False in crossed else 0]


def asked_readings(original: Original, evidence: Path | None) -> dict[str, float]:
    """Return the readings of a row with their weights; those of the average by default.

    As published, with a warning, where print does not weigh them.
    """
    from bayes_ptsd.evidence.published import load_published, select_contrast
    from bayes_ptsd.evidence.readings import AVERAGED, parse_weights
    from bayes_ptsd.readings.weights import chosen_weights
    from bayes_ptsd.replication.readings import averaged_weights

    asked, weights = original.reading, original.reading_weights
    if asked and asked != [AVERAGED]:
        if weights is not None:
            raise SpecError(
                "--reading-weights are those of --reading averaged; give one of the two"
            )
        return _stated_weights(asked)
    printed = load_published(evidence)
    row = select_contrast(printed, asked_contrast(original, evidence)).data["effects"]
    if str(row["analysis"].item()) != "crossover":
        return {"as_published": 1.0}
    given, source = chosen_weights(printed, None if weights is None else parse_weights(weights))
    if not given:
        warnings.warn(f"{source}; taken as published here", StatisticalWarning, stacklevel=2)
        return {"as_published": 1.0}
    return averaged_weights(printed, given)


def _stated_weights(asked: list[str]) -> dict[str, float]:
    """Return readings with the weights that stand beside them, else equal ones."""
    found: dict[str, float] = {}
    for text in asked:
        name, _, weight = text.partition("=")
        try:
            found[name] = float(weight) if weight else 1 / len(asked)
        except ValueError:
            raise SpecError(f"--reading '{text}': '{weight}' is not a weight") from None
    return found


def asked_prior(
    original: Original,
    sources: Sources,
    readings: dict[str, float],
    *,
    sd: float | None,
    robust_sd: float | None = None,
) -> ReplicationPrior:
    """Return the replication prior of a printed row or of a stored result."""
    from bayes_ptsd.evidence.published import load_published
    from bayes_ptsd.replication.document import row_fits
    from bayes_ptsd.replication.prior import replication_prior

    weights = None
    fits: xr.DataTree | dict[str, xr.DataTree]
    if original.result:
        fits = asked_results(original.result, sources.store)
    else:
        fits = row_fits(
            load_published(sources.evidence), asked_contrast(original, sources.evidence),
            center=original.center,
            convention=original.convention, readings=list(readings),
        )  # fmt: skip
        weights = {name: readings[name] for name in fits} if len(fits) > 1 else None
    return replication_prior(
        fits, heterogeneity=original.heterogeneity, reading_weights=weights,
        robust_weight=original.robust, robust_sd=robust_sd, sd=sd,
    )  # fmt: skip


def asked_results(result: list[str], store: Path | None) -> xr.DataTree:
    """Return a stored result, or several pooled with equal weight."""
    from bayes_ptsd.replication.stored import pooled_fit
    from bayes_ptsd.store import ResultStore

    results = ResultStore(store_path(store))
    return pooled_fit([results.load(name) for name in result])


def asked_design(kind: str, plan: Plan, *, sd: float) -> ReplicationDesign:
    """Return the design that was asked for, with a correlation of .5 where none is stated."""
    from bayes_ptsd.replication.designs import ReplicationDesign

    rho = 0.5 if plan.correlation is None else plan.correlation
    return ReplicationDesign(
        kind, sd=sd, correlation=rho, visits=plan.visits, dropout=plan.dropout, gate=plan.gate
    )


def asked_cases(
    found: ReplicationPrior,
    design: ReplicationDesign,
    *,
    correlation: float | None,
    evidence: Path | None,
) -> list[Case] | None:
    """Return a plan by reading with the row's own precision; none for patients or a stated one."""
    from bayes_ptsd.evidence.published import load_published
    from bayes_ptsd.replication.readings import row_cases

    if not found.about["contrast"] or correlation is not None:
        return None
    return row_cases(found, design, load_published(evidence))


def asked_goal(aim: Aim, found: ReplicationPrior) -> Goal:
    """Return the goal that was asked for."""
    from bayes_ptsd.replication.assurance import Goal

    return Goal(aim.goal, aim.margin, aim.level, _analysis_prior(aim.analysis_prior, found))


def _analysis_prior(text: str, found: ReplicationPrior) -> Prior:
    """Return the prior of the replication's own analysis."""
    from bayes_ptsd.prior_family import resolve_prior
    from bayes_ptsd.priors import parse_prior

    if text == "robust":
        return found.prior
    if "(" in text:
        return parse_prior(text)
    return resolve_prior(text, sd=float(found.about["sd"]))
