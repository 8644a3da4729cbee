"""All endpoints of an analysis together: shrinkage in place of seventeen unadjusted contrasts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import xarray as xr

from bayes_ptsd.errors import BayesPtsdError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.models_files import load_model
from bayes_ptsd.plots.style import row_title
from bayes_ptsd.report.answers import Question, answered, as_frame, as_table
from bayes_ptsd.report.contents import Contents
from bayes_ptsd.report.markup import around, number, paragraph, probability
from bayes_ptsd.report.section import Line, Section, Table
from bayes_ptsd.specification import ModelSpec
from bayes_ptsd.structures.joint.exact import (
    joint_marginal,
    joint_posterior,
    joint_probabilities,
    joint_table,
)
from bayes_ptsd.structures.joint.problem import JointProblem

__all__ = ["joint_section"]

ANALYSES = (
    ("crossover", "as_published"), ("crossover", "unhalved"), ("first_period", "as_published")
)  # fmt: skip
# Not printed; from none to a large one, the middle of which is shown by endpoint.
CORRELATIONS = (0.0, 0.5, 0.8)
TEXT = (
    "The paper tests each endpoint on its own. Here the endpoints of one analysis share what they "
    "have in common: standardized effects of a domain scatter around its mean, with a scatter "
    "(heterogeneity) that is estimated. The correlation between the estimates of one set of "
    "patients is not printed and matters: with correlated errors, an endpoint far below its "
    "neighbors is pulled away from them, not towards them. With two or three endpoints in a domain "
    "the heterogeneity is mostly its prior; both are shown. Crossover and first period share "
    "patients and are never combined."
)


def joint_section(contents: Contents) -> Section | None:
    """Return the joint results of endpoints and subscales; None if the trial names no domains."""
    if next(_problems(contents.evidence), None) is None:
        return None
    found = answered(contents, _question(contents))
    shrunk, joint = as_frame(found, "shrunk"), as_frame(found, "joint")
    tables = [
        _shrunk_table(contents, shrunk, "joint-endpoints", "Endpoints, correlation 0.5."),
        _joint_table(joint),
    ]
    if "subscales" in found.children:
        caption = "Subscales under one coherent skeptical prior: their differences add up."
        parts = as_frame(found, "subscales")
        tables.append(_shrunk_table(contents, parts, "joint-subscales", caption))
    return Section("joint", "All endpoints together", [paragraph(TEXT), *tables])


def _question(contents: Contents) -> Question:
    """Return what is asked of all endpoints together, and of the subscales of the first."""

    def tables() -> xr.DataTree:
        problems = list(_problems(contents.evidence))
        middle = [one for one, correlation in problems if correlation == 0.5]
        joint = pd.DataFrame([_together(one, correlation) for one, correlation in problems])
        frames = {
            "shrunk": [joint_table(one, joint_posterior(one)) for one in middle],
            "joint": [joint.assign(evidence_kind=contents.kind)],
            "subscales": list(_subscales(contents)),
        }
        made = {name: as_table(pd.concat(parts)) for name, parts in frames.items() if parts}
        return xr.DataTree.from_dict(made)

    specs = {name: load_model(name).spec_id for name in ("endpoints", "subscales")}
    return Question(
        "endpoints-together",
        "treatment difference of each endpoint given the others, positive = active better",
        "of the models endpoints and subscales; subscales skeptical",
        {"specs": specs, "correlations": list(CORRELATIONS)},
        tables,
    )


def _problems(evidence: Evidence) -> Iterator[tuple[JointProblem, float]]:
    """Yield the endpoints of every analysis under every correlation."""
    spec = load_model("endpoints")
    for analysis, reading in ANALYSES:
        for correlation in CORRELATIONS:
            try:
                problem = _read(evidence, spec, analysis, reading, correlation=correlation)
            except BayesPtsdError:
                # another trial may print no such analysis or name no domains
                return
            yield problem, correlation


def _read(
    evidence: Evidence, spec: ModelSpec, analysis: str, reading: str, **options: object
) -> JointProblem:
    """Return the estimates of an analysis with the priors of a model file."""
    asked = spec.having(options={"analysis": analysis, "crossover_reading": reading, **options})
    problem: JointProblem = asked.room.problem(evidence, asked).model.problem
    return problem


def _subscales(contents: Contents) -> Iterator[pd.DataFrame]:
    """Yield the subscales of the primary outcome in every analysis, with their sum."""
    total = next(iter(contents.trial.endpoints))
    spec = load_model("subscales").under("skeptical")
    for analysis, reading in ANALYSES:
        try:
            problem = _read(contents.evidence, spec, analysis, reading, total=total)
        except BayesPtsdError:
            return
        exact = joint_posterior(problem)
        frame = joint_table(problem, exact)
        whole = joint_marginal(exact, np.ones(problem.size))
        low, high = whole.interval()
        mcid = contents.trial.endpoint(total).mcid
        above = [float(whole.sf(np.array(m))) for m in (0.0, mcid if mcid else np.nan)]
        line = {
            "endpoint": "sum of the subscales",
            "estimate": float(problem.estimate.sum()),
            "se": float(np.sqrt(problem.sampling.sum())),
            "mean": whole.mean, "sd": whole.sd, "low": low, "high": high,
            "prob_benefit": above[0], "prob_gt_mcid": above[1],
            "shrinkage": 1 - whole.mean / float(problem.estimate.sum()),
        }  # fmt: skip
        same = {
            key: frame[key].iloc[0] for key in ("analysis", "crossover_reading", "evidence_kind")
        }
        yield pd.concat([frame, pd.DataFrame([line | same])], ignore_index=True)


def _together(problem: JointProblem, correlation: float) -> dict[str, object]:
    """Return joint probabilities and heterogeneity of one problem."""
    exact = joint_posterior(problem)
    found = joint_probabilities(problem, exact)
    size = problem.size
    before, after = (
        float((exact["omega"] * exact[name]).sum()) for name in ("prior_weight", "weight")
    )
    return {
        "analysis": problem.analysis,
        "crossover_reading": problem.crossover_reading,
        "correlation": correlation,
        "endpoints": size,
        "prob_all_above_zero": float(found["at_least_above_zero"].sel(count=size)),
        "prob_three_above_mcid": float(found["at_least_above_mcid"].sel(count=min(3, size))),
        "prob_one_above_mcid": float(found["at_least_above_mcid"].sel(count=1)),
        "heterogeneity_prior_mean": before,
        "heterogeneity_posterior_mean": after,
        "mcse": float(found["mcse"]),
    }


def _shrunk_table(contents: Contents, frame: pd.DataFrame, name: str, caption: str) -> Table:
    """Return printed and joint results."""

    def texts(line: Line) -> Line:
        known = contents.trial.endpoints.get(str(line["endpoint"]))
        digits = 2 if known and known.reference_sd and known.reference_sd < 3 else 1
        halved = line["crossover_reading"] == "unhalved"
        return {
            "analysis": row_title(str(line["analysis"]), str(line["crossover_reading"])),
            "endpoint": known.label if known else str(line["endpoint"]),
            "estimate as read": number(line["estimate"], digits + halved),
            "joint mean (95% interval)": around(line["mean"], line["low"], line["high"], digits),
            "P(benefit)": probability(line["prob_benefit"]),
            "P(> MCID)": probability(line["prob_gt_mcid"]),
        }

    return Table(
        name, frame, texts, caption=caption, convention="N", group="analysis", stub="endpoint"
    )


def _joint_table(frame: pd.DataFrame) -> Table:
    """Return joint probabilities and heterogeneity."""
    return Table(
        "joint-probabilities", frame,
        lambda line: {
            "analysis": row_title(str(line["analysis"]), str(line["crossover_reading"])),
            "correlation": f"{line['correlation']:g}",
            "P(all benefit)": probability(line["prob_all_above_zero"]),
            "P(3 or more > MCID)": probability(line["prob_three_above_mcid"]),
            "P(any > MCID)": probability(line["prob_one_above_mcid"]),
            "heterogeneity, prior": number(line["heterogeneity_prior_mean"], 2),
            "posterior mean": number(line["heterogeneity_posterior_mean"], 2),
        },
        caption="Joint probabilities by the correlation between the estimates, and the "
        "heterogeneity in reference SDs.",
        convention="N", group="analysis", stub="correlation",
        notes=[f"Monte Carlo error at most {frame['mcse'].max():.3f}."],
    )  # fmt: skip
