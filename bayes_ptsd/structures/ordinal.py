"""The structure of an ordinal outcome in patients."""

from __future__ import annotations

from bayes_ptsd.structures.structure import Options, Structure

__all__ = ["ORDINAL"]


def _uses(options: Options) -> tuple[str, ...]:
    """Return the parameters of an ordinal model that have a prior of their own."""
    names = ["treatment"]
    names += ["period_effect", "sd_subject"] if options["periods"] == "both" else []
    names += ["baseline_slope"] if options["baseline"] == "covariate" else []
    return (*names, *(["gap_ratio"] if options["odds"] == "by_arm" else []))


ORDINAL = Structure(
    options={
        "periods": ("both", "first"),
        "link": ("logit", "probit"),
        "odds": ("proportional", "by_arm"),
        "baseline": ("none", "covariate"),
    },
    priors=("treatment", "period_effect", "baseline_slope", "sd_subject", "gap_ratio"),
    equation="P(y[i,p] <= k) = F(cutpoint[k] - eta[i,p]);  eta[i,p] = s tau x[i,p] + "
    "period_effect (p - 1.5) + u[i], x = 1/2 active, -1/2 control, s = +1 if higher is better else "
    "-1, u ~ Normal(0, sd_subject), no period and no u in one period;  F logistic or normal;  "
    "F(cutpoint) cuts Dirichlet(1) shares, midway between the treatments",
    builder="bayes_ptsd/build/categorical.py",
    uses=_uses,
    conflict=lambda _: "",
    kinds=("ordinal",),
    locations=("period_effect", "baseline_slope"),
    renamed={"period": "period_effect"},
    version=2,  # treatment coded -1/2 and +1/2: no prior of a level moves the difference
)
