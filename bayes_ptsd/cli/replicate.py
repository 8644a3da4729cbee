"""Commands that plan a replication: its prior, what it would print, how large it has to be."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bayes_ptsd.cli._options import Json, grouped
from bayes_ptsd.cli._output import emit, told_warnings
from bayes_ptsd.cli._planning import (
    Aim,
    DesignKind,
    Original,
    OriginalT,
    Plan,
    Scale,
    Sources,
    VisitPlan,
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
from bayes_ptsd.errors import SpecError

__all__ = ["assurance", "predict", "prior", "replicate_app", "sample_size"]

replicate_app = typer.Typer(help="Plan a replication.", no_args_is_help=True)


@replicate_app.command()
@grouped
def prior(
    *,
    original: Original,
    robust_sd: Annotated[
        float | None, typer.Option("--robust-sd", help="Its SD in score units; 2 SD by default.")
    ] = None,
    scale: Scale,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the mixture for RBesT here.")
    ] = None,
    sources: Sources,
    json: Json = False,
) -> None:
    """Turn this trial's posterior into a prior for a replication, weakened and priced."""
    from bayes_ptsd.replication.document import prior_document
    from bayes_ptsd.replication.export import write_mixture

    with told_warnings() as told:
        readings = asked_readings(original, sources.evidence)
        found = asked_prior(original, sources, readings, sd=scale.sd, robust_sd=robust_sd)
    total = float(found.about["sd"])
    designs = {}
    for kind in ("parallel", "crossover"):
        design = asked_design(kind, Plan(correlation=scale.correlation), sd=total)
        cases = asked_cases(found, design, correlation=scale.correlation, evidence=sources.evidence)
        # priced in patients of the likeliest reading
        designs[kind] = max(cases, key=lambda case: case[0])[2] if cases else design
    if output is not None:
        write_mixture(found.prior, output, sigma=2 * total)
    document = prior_document(found, designs) | {"warnings": told}
    if json:
        emit("replicate prior", document)
        return
    show_prior(document)


@replicate_app.command()
@grouped
def predict(
    *,
    original: Original,
    relative_size: Annotated[
        float | None, typer.Option("--relative-size", help="Size, original = 1; without --n.")
    ] = None,
    n: Annotated[int | None, typer.Option("--n", help="Patients randomized in all.")] = None,
    design: DesignKind = "parallel",
    plan: Plan,
    sources: Sources,
    json: Json = False,
) -> None:
    """Foretell what a replication would print, for a relative size or a number of patients."""
    from bayes_ptsd.evidence.measured_rows import printed_scale

    _check_size(n, relative_size)
    rows, priors = [], []
    with told_warnings() as told:
        readings = asked_readings(original, sources.evidence)
        for name in [""] if original.result else readings:
            found = asked_prior(original, sources, {name: 1.0}, sd=plan.sd)
            planned = asked_design(design, plan, sd=float(found.about["sd"]))
            cases = asked_cases(
                found, planned, correlation=plan.correlation, evidence=sources.evidence
            )
            planned = cases[0][2] if cases else planned
            printed = _printed(found, name, original.result, sources)
            rows.append(_prediction(found, planned, name, n, relative_size, printed))
            priors.append(found.prior)
            if not found.about["crossover"]:
                break
    if len(rows) > 1:
        rows.insert(0, _average(rows, priors, readings))
    scale = printed_scale(found.about)
    if scale is not None:
        for row in rows:
            ends = list(scale.limits(*row["interval95"]))
            row["printed_scale"] = {"label": scale.label, "interval95": ends}
    if not json:
        return show_predictions(rows)
    kind = rows[0]["evidence_kind"]
    emit("replicate predict", {"evidence_kind": kind, "predictions": rows, "warnings": told})


@replicate_app.command()
@grouped
def assurance(
    *,
    original: OriginalT,
    design: DesignKind = "parallel",
    plan: Plan,
    aim: Aim,
    n: Annotated[
        list[int] | None, typer.Option("--n", help="Patients randomized in all; repeatable.")
    ] = None,
    sources: Sources,
    json: Json = False,
) -> None:
    """Average the power of a replication over what is believed about the difference."""
    from bayes_ptsd.replication.assurance import assurance_curve
    from bayes_ptsd.replication.document import curve_document

    with told_warnings() as told:
        readings = asked_readings(original, sources.evidence)
        found = asked_prior(original, sources, readings, sd=plan.sd)
    planned = asked_design(design, plan, sd=float(found.about["sd"]))
    sizes = sorted(set(n or [20, 40, 60, 80, 120, 160, 240, 320]))
    believed = found.nuisance if design == "crossover" and plan.sd is None else []
    curve = curve_document(assurance_curve(
        found.prior, planned, sizes=sizes, goal=asked_goal(aim, found), nuisance=believed or None,
        cases=asked_cases(found, planned, correlation=plan.correlation, evidence=sources.evidence),
    ))  # fmt: skip
    kind = found.about["evidence_kind"]
    if json:
        emit("replicate assurance", {"evidence_kind": kind, **curve, "warnings": told})
        return
    show_curve(curve, kind)


@replicate_app.command("sample-size")
@grouped
def sample_size(
    *,
    original: OriginalT,
    target: Annotated[float, typer.Option("--target", help="Assurance to be reached.")] = 0.6,
    plan: VisitPlan,
    aim: Aim,
    sources: Sources,
    json: Json = False,
) -> None:
    """Find the smallest replication that reaches an assurance, for three designs side by side."""
    from bayes_ptsd.replication.designs import DESIGNS
    from bayes_ptsd.replication.sample_size import expected_size

    with told_warnings() as told:
        readings = asked_readings(original, sources.evidence)
        found = asked_prior(original, sources, readings, sd=plan.sd)
    goal = asked_goal(aim, found)
    sd = float(found.about["sd"])
    designs = {kind: asked_design(kind, plan, sd=sd) for kind in DESIGNS}
    cases = {
        kind: asked_cases(found, one, correlation=plan.correlation, evidence=sources.evidence)
        for kind, one in designs.items()
    }
    document = _sizes(found, designs, cases, goal, target)
    if found.nuisance and plan.sd is None:
        document["expected_crossover_size"] = expected_size(
            found.prior, designs["crossover"], goal=goal, target=target, nuisance=found.nuisance
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


def _printed(
    found: Any, reading: str, result: list[str] | None, sources: Sources
) -> tuple[float, float] | None:
    """Return the estimate and standard error that a replication is held against."""
    from bayes_ptsd.evidence.published import load_published
    from bayes_ptsd.replication.document import original_estimate
    from bayes_ptsd.replication.stored import observed_estimate

    contrast = found.about["contrast"]
    printed = load_published(sources.evidence)
    if not result:
        return original_estimate(printed, contrast, reading=reading)
    return observed_estimate(asked_results(result, sources.store), printed)


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
