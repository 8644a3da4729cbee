"""The structure of a comparison of the arms that is adjusted for a second outcome, the mediator."""

from __future__ import annotations

from bayes_ptsd.structures.structure import NAME, Options, Structure

__all__ = ["DEPRESSION"]


def _uses(options: Options) -> tuple[str, ...]:
    """Return the parameters of both regressions."""
    names = ["treatment", "level"]
    names += ["baseline_slope"] if options["baseline"] == "covariate" else []
    names += ["mediator_slope"]
    adjusts = options["mediator_baseline"] == "covariate"
    names += ["mediator_baseline_slope"] if adjusts else []
    names += ["interaction"] if options["interaction"] else []
    names += ["sd_residual", "mediator_treatment", "mediator_level"]
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
        "treatment", "level", "baseline_slope", "mediator_slope", "mediator_baseline_slope",
        "interaction", "sd_residual", "mediator_treatment", "mediator_level", "mediator_own_slope",
        "mediator_sd",
    ),
    equation="y[i] = level + s tau_c x[i] + baseline_slope b[i] + theta (m[i] - mean m) + "
    "eta m0[i] + omega x[i] (m[i] - mean m) + e[i];  m[i] = a + s_m tau_m x[i] + c m0[i] + u[i];  "
    "x = 1/2 active, -1/2 control;  e, u independent normal;  "
    "treatment difference = tau_c + s omega (a - mean m) + s s_m theta tau_m",
    builder="bayes_ptsd/build/depression.py",
    uses=_uses,
    conflict=lambda _: "",
    kinds=(),
    effects=("treatment", "mediator_treatment"),
    # a flat total needs both differences flat; theta and omega are beliefs, not locations
    locations=(
        "level", "baseline_slope", "mediator_baseline_slope", "mediator_treatment",
        "mediator_level", "mediator_own_slope",
    ),
    renamed={"intercept": "level", "mediator_mean": "mediator_level"},
    version=2,  # treatment coded -1/2 and +1/2: no prior of a level moves the difference
)  # fmt: skip
