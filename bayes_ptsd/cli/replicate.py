"""Commands that plan a replication: its prior, what it would print, how large it has to be."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bayes_ptsd.cli._output import Evidence_, Json, Store, emit
from bayes_ptsd.cli._planning import (
    AnalysisPrior,
    Center,
    Contrast,
    Convention,
    Correlation,
    DesignKind,
    Dropout,
    Gate,
    GoalKind,
    Heterogeneous,
    Level,
    Margin,
    Reading,
    ReadingWeights,
    Result,
    RobustSpread,
    RobustWeight,
    Sd,
    Visits,
    asked_cases,
    asked_design,
    asked_goal,
    asked_prior,
    asked_readings,
    asked_results,
)
from bayes_ptsd.cli._replication_tables import (
    show_curve,
    show_predictions,
    show_prior,
    show_sizes,
)
from bayes_ptsd.cli.history import told_warnings
from bayes_ptsd.errors import SpecError

__all__ = ["assurance", "predict", "prior", "replicate_app", "sample_size"]

PRIMARY = "T2.IESR.F"

replicate_app = typer.Typer(help="Plan a replication.", no_args_is_help=True)


@replicate_app.command()
def prior(
    contrast: Contrast = PRIMARY,
    center: Center = "cochrane",
    convention: Convention = "T",
    reading: Reading = None,
    reading_weights: ReadingWeights = None,
    result: Result = None,
    heterogeneity: Heterogeneous = 0.25,
    robust: RobustWeight = 0.2,
    robust_sd: RobustSpread = None,
    sd: Sd = None,
    correlation: Correlation = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the mixture for RBesT here.")
    ] = None,
    evidence: Evidence_ = None,
    store: Store = None,
    json: Json = False,
) -> None:
    """Turn this trial's posterior into a prior for a replication, weakened and priced."""
    from bayes_ptsd.replication.document import prior_document
    from bayes_ptsd.replication.export import write_mixture

    readings = asked_readings(reading, reading_weights, contrast=contrast, evidence=evidence)
    with told_warnings() as told:
        found = asked_prior(
            contrast=contrast, center=center, convention=convention,
            readings=readings, result=result, evidence=evidence, store=store,
            heterogeneity=heterogeneity, robust=robust, robust_sd=robust_sd, sd=sd,
        )  # fmt: skip
    total = float(found.about["sd"])
    designs = {}
    for kind in ("parallel", "crossover"):
        plan = asked_design(
            kind, sd=total, correlation=correlation, visits=1, dropout=0.0, gate=(0.0, 0.0)
        )
        cases = asked_cases(found, plan, correlation=correlation, evidence=evidence)
        # priced in patients of the likeliest reading
        designs[kind] = max(cases, key=lambda case: case[0])[2] if cases else plan
    if output is not None:
        write_mixture(found.prior, output, sigma=2 * total)
    document = prior_document(found, designs) | {"warnings": told}
    if json:
        emit("replicate prior", document)
        return
    show_prior(document)


@replicate_app.command()
def predict(
    contrast: Contrast = PRIMARY,
    center: Center = "cochrane",
    convention: Convention = "T",
    reading: Reading = None,
    reading_weights: ReadingWeights = None,
    result: Result = None,
    heterogeneity: Heterogeneous = 0.25,
    robust: RobustWeight = 0.2,
    relative_size: Annotated[
        float | None, typer.Option("--relative-size", help="Size, original = 1; without --n.")
    ] = None,
    n: Annotated[int | None, typer.Option("--n", help="Patients randomized in all.")] = None,
    design: DesignKind = "parallel",
    sd: Sd = None,
    correlation: Correlation = None,
    visits: Visits = 1,
    dropout: Dropout = 0.0,
    gate: Gate = (0.0, 0.0),
    evidence: Evidence_ = None,
    store: Store = None,
    json: Json = False,
) -> None:
    """Foretell what a replication would print, for a relative size or a number of patients."""
    _check_size(n, relative_size)
    readings = asked_readings(reading, reading_weights, contrast=contrast, evidence=evidence)
    rows, priors = [], []
    with told_warnings() as told:
        for name in [""] if result else readings:
            found = asked_prior(
                contrast=contrast, center=center, convention=convention, readings={name: 1.0},
                result=result, evidence=evidence, store=store, heterogeneity=heterogeneity,
                robust=robust, robust_sd=None, sd=sd,
            )  # fmt: skip
            plan = asked_design(
                design, sd=float(found.about["sd"]), correlation=correlation, visits=visits,
                dropout=dropout, gate=gate,
            )  # fmt: skip
            cases = asked_cases(found, plan, correlation=correlation, evidence=evidence)
            plan = cases[0][2] if cases else plan
            original = _original(found, name, result, evidence, store)
            rows.append(_prediction(found, plan, name, n, relative_size, original))
            priors.append(found.prior)
            if not found.about["crossover"]:
                break
    if len(rows) > 1:
        rows.insert(0, _average(rows, priors, readings))
    if not json:
        return show_predictions(rows)
    kind = rows[0]["evidence_kind"]
    emit("replicate predict", {"evidence_kind": kind, "predictions": rows, "warnings": told})


@replicate_app.command()
def assurance(
    contrast: Contrast = PRIMARY,
    center: Center = "cochrane",
    reading: Reading = None,
    reading_weights: ReadingWeights = None,
    result: Result = None,
    heterogeneity: Heterogeneous = 0.25,
    robust: RobustWeight = 0.2,
    design: DesignKind = "parallel",
    sd: Sd = None,
    correlation: Correlation = None,
    visits: Visits = 1,
    dropout: Dropout = 0.0,
    gate: Gate = (0.0, 0.0),
    goal: GoalKind = "bayes",
    margin: Margin = 0.0,
    level: Level = 0.975,
    analysis_prior: AnalysisPrior = "flat",
    n: Annotated[
        list[int] | None, typer.Option("--n", help="Patients randomized in all; repeatable.")
    ] = None,
    evidence: Evidence_ = None,
    store: Store = None,
    json: Json = False,
) -> None:
    """Average the power of a replication over what is believed about the difference."""
    from bayes_ptsd.replication.assurance import assurance_curve
    from bayes_ptsd.replication.document import curve_document

    readings = asked_readings(reading, reading_weights, contrast=contrast, evidence=evidence)
    with told_warnings() as told:
        found = asked_prior(
            contrast=contrast, center=center, convention="T", readings=readings,
            result=result, evidence=evidence, store=store, heterogeneity=heterogeneity,
            robust=robust, robust_sd=None, sd=sd,
        )  # fmt: skip
    total = float(found.about["sd"])
    plan = asked_design(design, sd=total, correlation=correlation, visits=visits,
                        dropout=dropout, gate=gate)  # fmt: skip
    aim = asked_goal(goal, margin=margin, level=level, analysis=analysis_prior, found=found)
    sizes = sorted(set(n or [20, 40, 60, 80, 120, 160, 240, 320]))
    believed = found.nuisance if design == "crossover" and sd is None else []
    curve = curve_document(assurance_curve(
        found.prior, plan, sizes=sizes, goal=aim, nuisance=believed or None,
        cases=asked_cases(found, plan, correlation=correlation, evidence=evidence),
    ))  # fmt: skip
    kind = found.about["evidence_kind"]
    if json:
        emit("replicate assurance", {"evidence_kind": kind, **curve, "warnings": told})
        return
    show_curve(curve, kind)


@replicate_app.command("sample-size")
def sample_size(
    contrast: Contrast = PRIMARY,
    center: Center = "cochrane",
    reading: Reading = None,
    reading_weights: ReadingWeights = None,
    result: Result = None,
    heterogeneity: Heterogeneous = 0.25,
    robust: RobustWeight = 0.2,
    target: Annotated[float, typer.Option("--target", help="Assurance to be reached.")] = 0.6,
    sd: Sd = None,
    correlation: Correlation = None,
    visits: Visits = 4,
    dropout: Dropout = 0.0,
    gate: Gate = (0.0, 0.0),
    goal: GoalKind = "bayes",
    margin: Margin = 0.0,
    level: Level = 0.975,
    analysis_prior: AnalysisPrior = "flat",
    evidence: Evidence_ = None,
    store: Store = None,
    json: Json = False,
) -> None:
    """Find the smallest replication that reaches an assurance, for three designs side by side."""
    from bayes_ptsd.replication.designs import DESIGNS
    from bayes_ptsd.replication.sample_size import expected_size

    readings = asked_readings(reading, reading_weights, contrast=contrast, evidence=evidence)
    with told_warnings() as told:
        found = asked_prior(
            contrast=contrast, center=center, convention="T", readings=readings,
            result=result, evidence=evidence, store=store, heterogeneity=heterogeneity,
            robust=robust, robust_sd=None, sd=sd,
        )  # fmt: skip
    aim = asked_goal(goal, margin=margin, level=level, analysis=analysis_prior, found=found)
    designs = {
        kind: asked_design(kind, sd=float(found.about["sd"]), correlation=correlation,
                           visits=visits, dropout=dropout, gate=gate)
        for kind in DESIGNS
    }  # fmt: skip
    cases = {kind: asked_cases(found, plan, correlation=correlation, evidence=evidence)
             for kind, plan in designs.items()}  # fmt: skip
    document = _sizes(found, designs, cases, aim, target)
    if found.nuisance and sd is None:
        document["expected_crossover_size"] = expected_size(
            found.prior, designs["crossover"], goal=aim, target=target, nuisance=found.nuisance
        )
    if json:
        emit("replicate sample-size", document | {"warnings": told})
        return
    show_sizes(document)


def _check_size(n: int | None, relative_size: float | None) -> None:
    """Refuse two sizes, and one that is none."""
    if relative_size is not None and n is not None:
        raise SpecError("give --relative-size or --n, not both")
    if relative_size is not None and not relative_size > 0:
        raise SpecError(f"--relative-size must be positive, got {relative_size}")


def _sizes(
    found: Any, designs: dict[str, Any], cases: dict[str, Any], goal: Any, target: float
) -> dict[str, Any]:
    """Return the smallest sizes of designs with the readings that they were averaged over."""
    from bayes_ptsd.replication.assurance import discount_note
    from bayes_ptsd.replication.sample_size import compare_designs

    return {
        "evidence_kind": found.about["evidence_kind"],
        "goal": goal.label,
        "target": target,
        "designs": compare_designs(found.prior, designs, goal=goal, target=target, cases=cases),
        "readings": found.about["readings"] if found.about["crossover"] else {},
        "note": discount_note(goal),
    }


def _original(
    found: Any, reading: str, result: list[str] | None, evidence: Path | None, store: Path | None
) -> tuple[float, float] | None:
    """Return the estimate and standard error that a replication is held against."""
    from bayes_ptsd.evidence.published import load_published
    from bayes_ptsd.replication.document import original_estimate
    from bayes_ptsd.replication.stored import observed_estimate

    contrast = found.about["contrast"]
    if not result:
        return original_estimate(load_published(evidence), contrast, reading=reading)
    return observed_estimate(asked_results(result, store), load_published(evidence))


def _prediction(
    found: Any,
    plan: Any,
    reading: str,
    n: int | None,
    size: float | None,
    original: tuple[float, float] | None,
) -> dict[str, Any]:
    """Return what is foretold under one reading."""
    from bayes_ptsd.prior_family import resolve_prior
    from bayes_ptsd.replication.prediction import predict_replication

    about = found.about
    if n is not None:
        se = plan.standard_error(n)
    elif original is not None:
        se = original[1] / (size or 1.0) ** 0.5
    else:
        raise SpecError(
            f"result {about['results'][0]} keeps no frequentist estimate to be as precise as; "
            "give the patients of the replication, --n"
        )
    return {
        "evidence_kind": about["evidence_kind"],
        "contrast": about["contrast"],
        "reading": reading if about["crossover"] else "",
        "center": about["center"],
        "results": about["results"],
        "original": None if original is None else {"estimate": original[0], "se": original[1]},
        "replication": {"n": n, "se": se, "design": None if n is None else plan.label},
        "prior": found.prior.formula,
        **predict_replication(
            found.prior, se=se, original=original, mcid=about["mcid"],
            skeptic=resolve_prior("skeptical", sd=float(about["sd"])),
        ),
    }  # fmt: skip


def _average(
    rows: list[dict[str, Any]], priors: list[Any], weights: dict[str, float]
) -> dict[str, Any]:
    """Return what is foretold averaged over readings, with the weights."""
    from bayes_ptsd.evidence.readings import AVERAGED
    from bayes_ptsd.replication.prediction import predictive_distribution
    from bayes_ptsd.replication.readings import average_predictions

    expected = [
        predictive_distribution(prior, se=row["replication"]["se"])
        for prior, row in zip(priors, rows, strict=True)
    ]
    shares = [weights[row["reading"]] for row in rows]
    numbers = [
        {key: row[key] for key in row if key not in _LABELS}
        | {"original": row["original"] or {}, "se": row["replication"]["se"]}
        for row in rows
    ]
    averaged = average_predictions(numbers, shares, expected)
    plans = dict.fromkeys(row["replication"]["design"] for row in rows)
    return {
        **{key: rows[0][key] for key in _LABELS},
        "reading": AVERAGED,
        "reading_weights": dict(weights),
        "replication": {
            "n": rows[0]["replication"]["n"], "se": averaged.pop("se"),
            "design": None if None in plans else "; or ".join(plans),
        },
        "prior": "; ".join(f"{share:.3g} of {row['prior']}"
                           for share, row in zip(shares, rows, strict=True)),
        "results": [name for row in rows for name in row["results"]],
        **averaged,
    }  # fmt: skip


_LABELS = ("evidence_kind", "contrast", "reading", "center", "results", "replication", "prior")
