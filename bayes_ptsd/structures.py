"""The structures of models: options, priors and equation of each.

A structure decides the builder. A new structure is an entry here and a builder function; a variant
of one is a model file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["STRUCTURES", "Structure"]

Options = Mapping[str, Any]


@dataclass(frozen=True)
class Structure:
    """What a structure accepts and how it is built.

    Attributes
    ----------
    options : mapping of str to tuple
        Every option with its allowed values.
    priors : tuple of str
        Every parameter that can have a prior.
    equation : str
        The likelihood and the priors in short.
    builder : str
        File of the builder function.
    uses : callable
        Options to the parameters that the model then has.
    conflict : callable
        Options to a sentence that says which of them exclude each other, or to an empty text.
    """

    options: Mapping[str, tuple[Any, ...]]
    priors: tuple[str, ...]
    equation: str
    builder: str
    uses: Callable[[Options], tuple[str, ...]]
    conflict: Callable[[Options], str]


def _crossover_uses(options: Options) -> tuple[str, ...]:
    """Return the parameters of a crossover model."""
    names = ["treatment", "period_mean"]
    names += ["carryover"] if options["carryover"] else []
    names += ["sequence"] if options["sequence_effect"] else []
    if options["baseline"] == "joint":
        share = ["carryover_share"] if options["carryover"] else []
        return (*names, *share, "sd_period")
    names += ["baseline_slope"] if options["baseline"] == "covariate" else []
    intercept = options["form"] == "random_intercept"
    names += ["sd_subject", "sd_within"] if intercept else ["sd_period", "correlation"]
    return (*names, *(["nu"] if options["likelihood"] == "student_t" else []))


def _crossover_conflict(options: Options) -> str:
    """Say which options of a crossover model exclude each other."""
    if options["subject_effects"] == "sampled" and options["form"] != "random_intercept":
        return "subject_effects = 'sampled' needs form = 'random_intercept'"
    if options["baseline"] != "joint":
        return ""
    needed = {"form": "bivariate", "period_sd": "unequal", "likelihood": "normal"}
    wrong = [f"{key} = '{value}'" for key, value in needed.items() if options[key] != value]
    return f"baseline = 'joint' needs {wrong[0]}" if wrong else ""


STRUCTURES: Mapping[str, Structure] = {
    "summary": Structure(
        options={
            "analysis": ("any", "crossover", "first_period"),
            "convention": ("N", "T"),
            "crossover_reading": (
                "as_published", "carryover_covariate", "unhalved", "change", "change_unhalved"
            ),
        },
        priors=("treatment",),
        equation="estimate | delta ~ delta + se * t(df)  (T)  or  Normal(delta, s)  (N);  "
        "delta ~ treatment prior",
        builder="bayes_ptsd/build/summary.py",
        uses=lambda _: ("treatment",),
        conflict=lambda _: "",
    ),
    "crossover": Structure(
        options={
            "form": ("random_intercept", "bivariate"),
            "patients": ("all", "completers"),
            "likelihood": ("normal", "student_t"),
            "period_sd": ("equal", "unequal"),
            "carryover": (False, True),
            "sequence_effect": (False, True),
            "baseline": ("none", "covariate", "joint"),
            "subject_effects": ("integrated", "sampled"),
        },
        priors=(
            "treatment", "period_mean", "carryover", "sequence", "baseline_slope", "sd_subject",
            "sd_within", "sd_period", "correlation", "nu", "carryover_share",
        ),
        equation="y[i,p] = period_mean[p] + s (tau active[i,p] + lambda active_first[i] 1[p=2]) + "
        "e[i,p], s = +1 if higher is better else -1;  e[i] ~ Normal2 or Student-t2 with "
        "sd_subject, sd_within (random_intercept) or sd_period, correlation (bivariate)",
        builder="bayes_ptsd/build/crossover.py",
        uses=_crossover_uses,
        conflict=_crossover_conflict,
    ),
}  # fmt: skip
