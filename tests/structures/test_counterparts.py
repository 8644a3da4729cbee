"""The frequentist analysis that stands beside a model answers for its estimand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.published import load_published, select_contrast
from bayes_ptsd.fit import frequentist_document
from bayes_ptsd.frequentist.cumulative import maximize_likelihood
from bayes_ptsd.frequentist.ordinal import responses
from bayes_ptsd.models_files import load_model
from bayes_ptsd.structures.categorical.patients import example_categories
from bayes_ptsd.structures.crossover.example import example_patients
from bayes_ptsd.structures.depression.example import example_mediation
from bayes_ptsd.structures.longitudinal.example import example_trajectories
from bayes_ptsd.structures.parts.example import example_parts

Make = Callable[[], Evidence]


@pytest.mark.parametrize(
    ("model", "make", "method", "analysis", "estimand"),
    [
        ("binary-beta-binomial", lambda: example_categories("binary"), "Newcombe's hybrid score",
         "risk_difference", "treatment_difference"),
        ("binary", lambda: example_categories("binary"), "Logistic regression", "logistic",
         "log_odds_ratio"),
        ("ordinal-first-period", example_categories, "Cumulative logit", "cumulative_link",
         "log_odds_ratio"),
        ("crossover-carryover", example_patients, "First period", "first_period",
         "treatment_difference"),
        ("crossover-completers", example_patients, "Hills-Armitage", "hills_armitage",
         "treatment_difference"),
        ("crossover", example_patients, "REML", "reml", "treatment_difference"),
        ("first-period", example_patients, "Analysis of covariance", "ancova",
         "treatment_difference"),
        ("depression-adjusted", example_mediation, "Least squares", "least squares",
         "treatment_difference"),
        ("longitudinal", example_trajectories, "MMRM", "mmrm", "treatment_difference"),
        ("subscales-patients", example_parts, "Analysis of covariance", "ancova",
         "treatment_difference"),
    ],
)  # fmt: skip
def test_the_first_line_is_the_analysis_of_the_estimand_of_the_model(
    model: str, make: Make, method: str, analysis: str, estimand: str
) -> None:
    """The estimate that stands first is that of one named analysis, not of another."""
    mirror = frequentist_document(make(), load_model(model))
    analyses = mirror["analyses"][analysis]["estimands"]
    line = analyses.get(estimand, analyses.get("risk_difference"))
    assert mirror["method"].startswith(method)
    assert mirror.get("estimand", "treatment_difference") == estimand
    assert line["estimate"] is not None
    assert {key: mirror[key] for key in line} == line


@pytest.mark.parametrize(
    ("model", "make", "coefficients"),
    [
        ("first-period", example_patients, 3),
        ("depression-adjusted", example_mediation, 6),
        ("subscales-patients", example_parts, 3),
    ],
)
def test_least_squares_have_the_patients_less_the_coefficients(
    model: str, make: Make, coefficients: int
) -> None:
    """23, 60 and 40 patients have 20, 54 and 37 degrees of freedom: the outcome's coefficients."""
    subjects = {"first-period": 23, "depression-adjusted": 60, "subscales-patients": 40}[model]
    mirror = frequentist_document(make(), load_model(model))
    assert mirror["df"] == pytest.approx(subjects - coefficients)


@pytest.mark.parametrize("model", ["binary", "ordinal"])
def test_mixed_models_say_their_standard_deviation(model: str) -> None:
    """The subjects' sd is where the profile likelihood peaks; one period has none."""
    spec = load_model(model)
    evidence = spec.room.example(spec)
    analysis = {"binary": "logistic", "ordinal": "cumulative_link"}[model]
    mirror = frequentist_document(evidence, spec)["analyses"][analysis]
    sd = mirror["standard_deviations"]["sd_subject"]
    categories = spec.room.problem(evidence, spec).model
    scores, active = categories.observed["score"].values, categories.scores.active == 1
    found = responses(scores, active, None, link="logit", benefit_sign=1).data
    data = replace(found, points=31)
    start = np.concatenate(
        [np.linspace(-1, 1, data.cutpoints), np.zeros(data.design.shape[2]), [1]]
    )
    heights = [
        maximize_likelihood(data, start, fixed={data.size - 1: sd + shift})[1].value
        for shift in (-0.05, 0.0, 0.05)
    ]
    assert heights[1] == max(heights)
    first = frequentist_document(evidence, load_model(f"{model}-first-period"))["analyses"]
    assert "standard_deviations" not in first[analysis]


def test_printed_limits_are_as_read() -> None:
    """Table 2 prints 2.5 to 22.8 for IES-R in the crossover, 0.94 to 16.2 in the first period."""
    published = load_published()
    row = select_contrast(published, "T2.IESR.X")
    assert frequentist_document(row, load_model("published"))["ci95"] == [2.5, 22.8]
    total = frequentist_document(published, load_model("subscales"))
    assert total["ci95"] == [0.94, 16.2]
    assert set(total["analyses"]["printed"]["estimands"]) == {
        "treatment_difference", "difference[ies_r_intrusion]", "difference[ies_r_avoidance]",
        "difference[ies_r_hyperarousal]",
    }  # fmt: skip


def test_several_endpoints_have_no_line_of_their_own() -> None:
    """Endpoints of domains add up to nothing: each has its row, and none stands for all."""
    mirror = frequentist_document(load_published(), load_model("endpoints"))
    assert mirror["estimate"] is None
    assert all(
        name.startswith("difference[") for name in mirror["analyses"]["printed"]["estimands"]
    )


def test_cutpoints_by_arm_have_no_counterpart() -> None:
    """The odds of the cumulative-link analysis are proportional: it does not answer for others."""
    mirror = frequentist_document(example_categories(), load_model("ordinal-by-arm"))
    assert mirror["method"] == "none: no analysis here has cutpoints by arm"
    assert mirror["estimate"] is None
