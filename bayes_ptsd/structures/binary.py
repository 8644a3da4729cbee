"""The structure of a binary outcome in patients."""

from __future__ import annotations

from bayes_ptsd.structures.structure import Options, Structure

__all__ = ["BINARY"]


def _uses(options: Options) -> tuple[str, ...]:
    """Return the parameters of a binary model that have a prior of their own."""
    if options["form"] == "beta_binomial":
        return ("risk",)
    names = ["treatment"]
    names += ["period_effect", "sd_subject"] if options["periods"] == "both" else []
    return (*names, *(["baseline_slope"] if options["baseline"] == "covariate" else []))


def _conflict(options: Options) -> str:
    """Say which options of a binary model exclude each other."""
    if options["form"] == "logistic":
        return ""
    needed = {"periods": "first", "baseline": "none"}
    wrong = [f"{key} = '{value}'" for key, value in needed.items() if options[key] != value]
    return f"form = 'beta_binomial' needs {wrong[0]}" if wrong else ""


BINARY = Structure(
    options={
        "periods": ("both", "first"),
        "form": ("logistic", "beta_binomial"),
        "baseline": ("none", "covariate"),
    },
    priors=("treatment", "period_effect", "baseline_slope", "sd_subject", "risk"),
    equation="logit P(y[i,p] = 1) = -cutpoint + s tau x[i,p] + period_effect (p - 1.5) + u[i], "
    "x = 1/2 active, -1/2 control, s = +1 if 1 is better else -1, u ~ Normal(0, sd_subject), no "
    "period and no u in one period;  P(1) midway between the treatments ~ Uniform(0, 1);  "
    "beta_binomial: a Beta prior on the risk of each arm",
    builder="bayes_ptsd/build/categorical.py",
    uses=_uses,
    conflict=_conflict,
    kinds=("binary",),
    locations=("period_effect", "baseline_slope"),
    renamed={"period": "period_effect"},
    version=2,  # treatment coded -1/2 and +1/2: no prior of a level moves the difference
)
