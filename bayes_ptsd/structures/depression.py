"""The structure of a comparison of the arms that is adjusted for a second outcome, the mediator."""

from __future__ import annotations

from bayes_ptsd.structures.structure import NAME, Options, Structure

__all__ = ["DEPRESSION"]


def _uses(options: Options) -> tuple[str, ...]:
    """Return the parameters of both regressions."""
    names = ["treatment", "intercept"]
    names += ["baseline_slope"] if options["baseline"] == "covariate" else []
    names += ["mediator_slope"]
    adjusts = options["mediator_baseline"] == "covariate"
    names += ["mediator_baseline_slope"] if adjusts else []
    names += ["interaction"] if options["interaction"] else []
    names += ["sd_residual", "mediator_treatment", "mediator_mean"]
    names += ["mediator_own_slope"] if adjusts else []
    return (*names, "mediator_sd")


DEPRESSION = Structure(
    options={
        "mediator": NAME,
        "interaction": (False, True),
        "baseline": ("covariate", "none"),
        "mediator_baseline": ("covariate", "none"),
    },
    priors=(
        "treatment", "intercept", "baseline_slope", "mediator_slope", "mediator_baseline_slope",
        "interaction", "sd_residual", "mediator_treatment", "mediator_mean", "mediator_own_slope",
        "mediator_sd",
    ),
    equation="y[i] = intercept + s tau_c active[i] + baseline_slope b[i] + theta (m[i] - mean m) + "
    "eta m0[i] + omega active[i] (m[i] - mean m) + e[i];  "
    "m[i] = a + s_m tau_m active[i] + c m0[i] + u[i];  e, u independent normal;  "
    "treatment difference = tau_c + s omega (a - mean m) + s s_m (theta + omega) tau_m",
    builder="bayes_ptsd/build/depression.py",
    uses=_uses,
    conflict=lambda _: "",
    kinds=(),
    effects=("treatment", "mediator_treatment"),
)  # fmt: skip
