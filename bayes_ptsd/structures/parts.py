"""The structure of the parts of a total in patients, at one visit."""

from __future__ import annotations

from bayes_ptsd.structures.structure import NAME, Options, Structure

__all__ = ["PARTS"]


def _uses(options: Options) -> tuple[str, ...]:
    """Return the parameters of the model."""
    slope = ["baseline_slope"] if options["baseline"] == "covariate" else []
    return ("treatment", "heterogeneity", "level", *slope, "sd_residual", "correlations")


PARTS = Structure(
    options={"total": NAME, "baseline": ("covariate", "none")},
    priors=(
        "treatment", "heterogeneity", "level", "baseline_slope", "sd_residual", "correlations"
    ),
    equation="y[i,k] = level[k] + s difference[k] x[i] + baseline_slope[k] b[i,k] + e[i,k], "
    "x = 1/2 active, -1/2 control;  e[i] ~ Normal(0, Sigma);  difference[k] = w[k] tau + d[k], "
    "sum of d = 0, d ~ Normal(0, heterogeneity^2) on that plane;  treatment difference = tau",
    builder="bayes_ptsd/build/parts.py",
    uses=_uses,
    conflict=lambda _: "",
    kinds=(),
    locations=("level", "baseline_slope"),
    matrices=("correlations",),
    renamed={"intercept": "level"},
    version=2,  # treatment coded -1/2 and +1/2: no prior of a level moves the difference
)  # fmt: skip
