"""The structure of an AB/BA crossover in patients."""

from __future__ import annotations

from bayes_ptsd.structures.structure import Options, Structure

__all__ = ["CROSSOVER"]


def _uses(options: Options) -> tuple[str, ...]:
    """Return the parameters of a crossover model."""
    names = ["treatment", "level", "period_effect"]
    names += ["carryover"] if options["carryover"] else []
    names += ["sequence"] if options["sequence_effect"] else []
    if options["baseline"] == "joint":
        share = ["carryover_share"] if options["carryover"] else []
        return (*names, *share, "baseline_level", "sd_period", "correlations")
    names += ["baseline_slope"] if options["baseline"] == "covariate" else []
    intercept = options["form"] == "random_intercept"
    names += ["sd_subject", "sd_within"] if intercept else ["sd_period", "correlation"]
    return (*names, *(["nu"] if options["likelihood"] == "student_t" else []))


def _conflict(options: Options) -> str:
    """Say which options of a crossover model exclude each other."""
    if options["subject_effects"] == "sampled" and options["form"] != "random_intercept":
        return "subject_effects = 'sampled' needs form = 'random_intercept'"
    if options["baseline"] != "joint":
        return ""
    needed = {"form": "bivariate", "period_sd": "unequal", "likelihood": "normal"}
    wrong = [f"{key} = '{value}'" for key, value in needed.items() if options[key] != value]
    return f"baseline = 'joint' needs {wrong[0]}" if wrong else ""


CROSSOVER = Structure(
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
        "treatment", "level", "period_effect", "carryover", "sequence", "baseline_slope",
        "baseline_level", "sd_subject", "sd_within", "sd_period", "correlation", "correlations",
        "nu", "carryover_share",
    ),
    equation="y[i,p] = level + period_effect (p - 1.5) + s (tau x[i,p] + lambda c[i,p]) + e[i,p], "
    "x = +1/2 if active else -1/2, c = +1/2 (active first) or -1/2 in period 2, else 0, "
    "s = +1 if higher is better else -1;  e[i] ~ Normal2 or Student-t2 with "
    "sd_subject, sd_within (random_intercept) or sd_period, correlation (bivariate)",
    builder="bayes_ptsd/build/crossover.py",
    uses=_uses,
    conflict=_conflict,
    locations=("level", "period_effect", "baseline_slope", "baseline_level"),
    matrices=("correlations",),
    renamed={
        "period_mean": "'level', the mean of both periods and treatments, and 'period_effect', "
        "period 2 minus period 1"
    },
    version=2,  # treatment coded -1/2 and +1/2: no prior of a level moves the difference
)  # fmt: skip
