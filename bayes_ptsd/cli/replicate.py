"""Commands that plan a replication: its prior, what it would print, how large it has to be."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bayes_ptsd.cli._output import Evidence_, Json, Store, emit, number, show_table
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
    Result,
    RobustSpread,
    RobustWeight,
    Sd,
    Visits,
    asked_design,
    asked_goal,
    asked_prior,
    asked_results,
    reading_weights,
)
from bayes_ptsd.cli.history import show_mixture, told_warnings
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
    result: Result = None,
    heterogeneity: Heterogeneous = 0.25,
    robust: RobustWeight = 0.2,
    robust_sd: RobustSpread = None,
    sd: Sd = None,
    correlation: Correlation = 0.5,
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

    with told_warnings() as told:
        found = asked_prior(
            contrast=contrast, center=center, convention=convention,
            readings=reading_weights(reading), result=result, evidence=evidence, store=store,
            heterogeneity=heterogeneity, robust=robust, robust_sd=robust_sd, sd=sd,
        )  # fmt: skip
    total = float(found.about["sd"])
    designs = {
        kind: asked_design(
            kind, sd=total, correlation=correlation, visits=1, dropout=0.0, gate=(0.0, 0.0)
        )
        for kind in ("parallel", "crossover")
    }
    if output is not None:
        write_mixture(found.prior, output, sigma=2 * total)
    document = prior_document(found, designs) | {"warnings": told}
    if json:
        emit("replicate prior", document)
        return
    _show_prior(document)


@replicate_app.command()
def predict(
    contrast: Contrast = PRIMARY,
    center: Center = "cochrane",
    convention: Convention = "T",
    reading: Reading = None,
    result: Result = None,
    heterogeneity: Heterogeneous = 0.25,
    robust: RobustWeight = 0.2,
    relative_size: Annotated[
        float | None, typer.Option("--relative-size", help="Size, original = 1; without --n.")
    ] = None,
    n: Annotated[int | None, typer.Option("--n", help="Patients randomized in all.")] = None,
    design: DesignKind = "parallel",
    sd: Sd = None,
    correlation: Correlation = 0.5,
    visits: Visits = 1,
    dropout: Dropout = 0.0,
    gate: Gate = (0.0, 0.0),
    evidence: Evidence_ = None,
    store: Store = None,
    json: Json = False,
) -> None:
    """Foretell what a replication would print, for a relative size or a number of patients."""
    if relative_size is not None and n is not None:
        raise SpecError("give --relative-size or --n, not both")
    if relative_size is not None and not relative_size > 0:
        raise SpecError(f"--relative-size must be positive, got {relative_size}")
    rows = []
    with told_warnings() as told:
        for name in [""] if result else reading_weights(reading):
            found = asked_prior(
                contrast=contrast, center=center, convention=convention, readings={name: 1.0},
                result=result, evidence=evidence, store=store, heterogeneity=heterogeneity,
                robust=robust, robust_sd=None, sd=sd,
            )  # fmt: skip
            plan = asked_design(
                design, sd=float(found.about["sd"]), correlation=correlation, visits=visits,
                dropout=dropout, gate=gate,
            )  # fmt: skip
            original = _original(found, name, result, evidence, store)
            rows.append(_prediction(found, plan, name, n, relative_size, original))
            if not found.about["crossover"]:
                break
    document = {"evidence_kind": rows[0]["evidence_kind"], "predictions": rows, "warnings": told}
    if json:
        emit("replicate predict", document)
        return
    _show_predictions(rows)


@replicate_app.command()
def assurance(
    contrast: Contrast = PRIMARY,
    center: Center = "cochrane",
    reading: Reading = None,
    result: Result = None,
    heterogeneity: Heterogeneous = 0.25,
    robust: RobustWeight = 0.2,
    design: DesignKind = "parallel",
    sd: Sd = None,
    correlation: Correlation = 0.5,
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

    with told_warnings() as told:
        found = asked_prior(
            contrast=contrast, center=center, convention="T", readings=reading_weights(reading),
            result=result, evidence=evidence, store=store, heterogeneity=heterogeneity,
            robust=robust, robust_sd=None, sd=sd,
        )  # fmt: skip
    total = float(found.about["sd"])
    plan = asked_design(design, sd=total, correlation=correlation, visits=visits,
                        dropout=dropout, gate=gate)  # fmt: skip
    aim = asked_goal(goal, margin=margin, level=level, analysis=analysis_prior, found=found)
    sizes = sorted(set(n or [20, 40, 60, 80, 120, 160, 240, 320]))
    believed = found.nuisance if design == "crossover" and sd is None else []
    curve = curve_document(
        assurance_curve(found.prior, plan, sizes=sizes, goal=aim, nuisance=believed or None)
    )
    kind = found.about["evidence_kind"]
    if json:
        emit("replicate assurance", {"evidence_kind": kind, **curve, "warnings": told})
        return
    _show_curve(curve, kind)


@replicate_app.command("sample-size")
def sample_size(
    contrast: Contrast = PRIMARY,
    center: Center = "cochrane",
    reading: Reading = None,
    result: Result = None,
    heterogeneity: Heterogeneous = 0.25,
    robust: RobustWeight = 0.2,
    target: Annotated[float, typer.Option("--target", help="Assurance to be reached.")] = 0.6,
    sd: Sd = None,
    correlation: Correlation = 0.5,
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
    from bayes_ptsd.replication.sample_size import compare_designs, expected_size

    with told_warnings() as told:
        found = asked_prior(
            contrast=contrast, center=center, convention="T", readings=reading_weights(reading),
            result=result, evidence=evidence, store=store, heterogeneity=heterogeneity,
            robust=robust, robust_sd=None, sd=sd,
        )  # fmt: skip
    total = float(found.about["sd"])
    aim = asked_goal(goal, margin=margin, level=level, analysis=analysis_prior, found=found)
    designs = {
        kind: asked_design(kind, sd=total, correlation=correlation, visits=visits,
                           dropout=dropout, gate=gate)
        for kind in DESIGNS
    }  # fmt: skip
    rows = compare_designs(found.prior, designs, goal=aim, target=target)
    kind = found.about["evidence_kind"]
    document = {"evidence_kind": kind, "goal": aim.label, "target": target, "designs": rows}
    if found.nuisance and sd is None:
        document["expected_crossover_size"] = expected_size(
            found.prior, designs["crossover"], goal=aim, target=target, nuisance=found.nuisance
        )
    if json:
        emit("replicate sample-size", document | {"warnings": told})
        return
    _show_sizes(document)


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


def _show_prior(document: dict[str, Any]) -> None:
    """Print a replication prior for people."""
    prior_, weak = document["prior"], document["weak_component"]
    title = f"Prior for a replication of {document['contrast'] or document['results'][0]}"
    low, high = prior_["interval95"]
    rows = [
        ["center", document["center_words"]],
        ["readings", ", ".join(f"{k} {v:g}" for k, v in document["readings"].items())
         if document["crossover"] else "one only"],
        *([["results", f"{len(document['results'])}, pooled with equal weight"]]
          if not document["crossover"] and len(document["results"]) > 1 else []),
        ["between trials", f"half-normal({document['heterogeneity']['scale_in_sd']:g} SD)"],
        ["robust component", f"{weak['formula']}, weight {weak['weight']:g}, worth "
         f"{weak['effective_size']:.3g} patients of a parallel trial"],
        ["mean, SD", f"{prior_['mean']:.2f}, {prior_['sd']:.2f} {document['unit']}"],
        ["95% interval", f"{low:.2f} to {high:.2f}, positive = {document['active']} better"],
        ["P(benefit)", number(prior_["prob_benefit"], 4)],
        ["distance of the mixture", f"{prior_['divergence']:.2g} nats"],
    ]  # fmt: skip
    show_table(f"{title}, {document['evidence_kind']} evidence", ["what", "value"], rows,
               prose=["value"])  # fmt: skip
    show_mixture("Mixture", prior_["components"])
    rows = [
        [f"{document['designs'][name]}", part, *(number(sizes[key], 1) for key in sizes)]
        for name, parts in document["worth"].items()
        for part, sizes in parts.items()
    ]
    show_table("Worth in patients of a stated design", ["design", "part", "ELIR", "moment",
               "Morita"], rows, prose=["part"])  # fmt: skip
    rows = [
        [f"{row['scale_in_sd']:g} SD", number(row["sd"]),
         f"{row['interval95'][0]:.2f} to {row['interval95'][1]:.2f}", number(row["elir"], 1)]
        for row in document["sensitivity"]
    ]  # fmt: skip
    show_table("Informative part by heterogeneity", ["between trials", "SD", "95% interval",
               "ELIR, parallel"], rows)  # fmt: skip


def _show_predictions(rows: list[dict[str, Any]]) -> None:
    """Print predictions for people, one column a reading."""
    labels: list[tuple[str, Any]] = [
        ("SE of the replication", lambda r: number(r["replication"]["se"])),
        ("relative size", lambda r: number(r.get("relative_size"))),
        ("estimate, mean", lambda r: number(r["mean"])),
        ("estimate, 95% prediction interval",
         lambda r: f"{r['interval95'][0]:.1f} to {r['interval95'][1]:.1f}"),
        ("P(same sign)", lambda r: number(r["same_sign"], 3)),
        ("P(two-sided P < .05, same direction)", lambda r: number(r["p_below_05"], 3)),
        *((f"P(sceptical P < .025), {name}", lambda r, k=name: number(r["sceptical_p"][k], 3))
          for name in rows[0].get("sceptical_p", ())),
        *((f"P(replication BF > {key})", lambda r, k=key: number(r["bayes_factor"][k], 3))
          for key in rows[0].get("bayes_factor", ())),
        *((f"P(BF over skeptical mixture > {key})",
           lambda r, k=key: number(r["skeptical_mixture"][k], 3))
          for key in rows[0].get("skeptical_mixture", ())),
    ]  # fmt: skip
    table = [[label, *(show(row) for row in rows)] for label, show in labels]
    first = rows[0]
    what = first["contrast"] or first["results"][0]
    title = f"Replication of {what}, centered by {first['center']}"
    columns = [row["reading"].replace("_", " ") or "value" for row in rows]
    show_table(f"{title}, {first['evidence_kind']} evidence", ["quantity", *columns], table)


def _show_curve(curve: dict[str, Any], kind: str) -> None:
    """Print an assurance curve for people."""
    rows = [
        [str(row["n"]), number(row["complete"], 1), number(row["standard_error"]),
         number(row["same_sign"], 3), number(row["assurance"], 3),
         *(number(value, 3) for value in row["prob_quantiles"].values())]
        for row in curve["rows"]
    ]  # fmt: skip
    quantiles = [f"{float(key) * 100:g}%" for key in curve["rows"][0]["prob_quantiles"]]
    title = f"Assurance of {curve['goal']}; {curve['design']}; {kind} evidence; "
    show_table(f"{title}ceiling {curve['ceiling']:.3f}", ["n", "complete", "SE", "P(estimate > 0)",
               "assurance", *(f"P(goal's event), {q}" for q in quantiles)], rows)  # fmt: skip


def _show_sizes(document: dict[str, Any]) -> None:
    """Print sample sizes for people."""
    rows = [
        [row["label"], str(row["n"]), str(row["per_group"]), number(row["complete"], 1),
         number(row["treatments"], 0), number(row["assurance"], 3), number(row["ceiling"], 3),
         number(row["patient_worth"])]
        for row in document["designs"]
    ]  # fmt: skip
    title = f"Smallest n with assurance {document['target']:g} of {document['goal']}"
    show_table(f"{title}; {document['evidence_kind']} evidence", ["design", "n", "per group",
               "complete", "treatments", "assurance", "ceiling", "one patient = parallel"],
               rows)  # fmt: skip
    if expected := document.get("expected_crossover_size"):
        values = [number(expected[key], 0) for key in ("mean", "q10", "q50", "q90")]
        title = "Crossover n over the posterior of the sd and the correlation"
        show_table(title, ["quantity", "mean", "10%", "50%", "90%"], [["n", *values]])
