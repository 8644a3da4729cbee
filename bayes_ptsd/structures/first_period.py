"""The structure of a comparison of the arms at one visit, before anybody changes treatment."""

from __future__ import annotations

from bayes_ptsd.structures.structure import NAMES, Options, Structure

__all__ = ["FIRST_PERIOD"]


def _uses(options: Options) -> tuple[str, ...]:
    """Return the parameters of a first-period model."""
    names = ["treatment", "level"]
    names += ["baseline_slope"] if options["baseline"] == "covariate" else []
    names += ["interaction"] if options["interaction"] else []
    names += ["covariate"] if options["covariates"] else []
    names += ["sd_residual"]
    return (*names, *(["nu"] if options["likelihood"] == "student_t" else []))


def _conflict(options: Options) -> str:
    """Say which options of a first-period model exclude each other."""
    if options["interaction"] and options["baseline"] == "none":
        return "interaction = true needs baseline = 'covariate'"
    return ""


FIRST_PERIOD = Structure(
    options={
        "baseline": ("covariate", "none"),
        "interaction": (False, True),
        "arm_sd": ("equal", "unequal"),
        "likelihood": ("normal", "student_t"),
        "covariates": NAMES,
    },
    priors=(
        "treatment", "level", "baseline_slope", "interaction", "covariate", "sd_residual", "nu"
    ),
    equation="y[i] = level + baseline_slope b[i] + s (tau + gamma b[i]) x[i] + z[i]'covariate + "
    "e[i], x = +1/2 active, -1/2 control, b = baseline - mean, s = +1 if higher is better "
    "else -1;  e[i] ~ Normal or Student-t with sd_residual",
    builder="bayes_ptsd/build/first_period.py",
    uses=_uses,
    conflict=_conflict,
    locations=("level", "baseline_slope", "interaction", "covariate"),
    renamed={"intercept": "'level', the mean over both treatments"},
    version=2,  # treatment coded -1/2 and +1/2: no prior of a level moves the difference
)  # fmt: skip
