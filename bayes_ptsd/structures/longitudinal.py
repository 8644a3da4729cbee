"""The structure of a comparison of the arms at several visits."""

from __future__ import annotations

from bayes_ptsd.structures.structure import NAMES, Options, Structure

__all__ = ["LONGITUDINAL"]

CORRELATIONS = {
    "unstructured": ("correlations",),
    "compound": ("correlation",),
    "autoregressive": ("half_life",),
}
SLOPES = ("covariate", "common_slope")


def _uses(options: Options) -> tuple[str, ...]:
    """Return the parameters of a longitudinal model."""
    names = ["treatment", *(["shrinkage_sd"] if options["shrinkage"] else []), "level"]
    names += ["baseline_slope"] if options["baseline"] in SLOPES else []
    names += ["covariate"] if options["covariates"] else []
    names += ["sd_visit", *CORRELATIONS[options["covariance"]]]
    return (*names, *(["nugget"] if options["nugget"] else []))


def _conflict(options: Options) -> str:
    """Say which options of a longitudinal model exclude each other."""
    if options["nugget"] and options["covariance"] != "autoregressive":
        return "nugget = true needs covariance = 'autoregressive'"
    if options["visit_sd"] == "equal" and options["covariance"] == "unstructured":
        return "visit_sd = 'equal' needs covariance = 'compound' or 'autoregressive'"
    return ""


LONGITUDINAL = Structure(
    options={
        "covariance": ("unstructured", "compound", "autoregressive"),
        "visit_sd": ("unequal", "equal"),
        "nugget": (False, True),
        "baseline": ("covariate", "common_slope", "joint", "none"),
        "shrinkage": (False, True),
        "covariates": NAMES,
    },
    priors=(
        "treatment", "shrinkage_sd", "level", "baseline_slope", "covariate", "sd_visit",
        "correlations", "correlation", "half_life", "nugget",
    ),
    equation="y[i,t] = level[t] + baseline_slope[t] b[i] + s delta[t] x[i] + z[i]'covariate + "
    "e[i,t], x = +1/2 active, -1/2 control, s = +1 if higher is better else -1;  delta[t] ~ the "
    "treatment prior or Normal(mu, shrinkage_sd);  e[i] ~ Normal(0, covariance over the visits);  "
    "treatment difference = mean of delta over the visits",
    builder="bayes_ptsd/build/longitudinal.py",
    uses=_uses,
    conflict=_conflict,
    locations=("level", "baseline_slope", "covariate"),
    matrices=("correlations",),
    renamed={
        "visit_mean": "'level', the mean over both treatments",
        "baseline_mean": "'level', whose first element is then the baseline",
    },
    version=2,  # treatment coded -1/2 and +1/2: no prior of a level moves the difference
)  # fmt: skip
