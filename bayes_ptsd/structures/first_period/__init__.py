"""The room of a comparison of the arms at one visit, before anybody changes treatment.

Patient i, `s` = +1 if higher scores are better, else -1, ``x[i]`` = +1/2 in the active and -1/2 in
the control arm, ``b[i] = baseline[i] - mean``::

    mean[i]  = level + s * treatment_difference * x[i]
             + baseline_slope * b[i]                              (option baseline)
             + s * interaction * b[i] * x[i]                      (option interaction)
             + sum_j covariate[j] * z[i,j]                        (option covariates)
    score[i] ~ Normal(mean[i], sd_residual)                       (arm_sd = "equal")
    score[i] ~ Normal(mean[i], sd_residual[arm of i])             (arm_sd = "unequal")
    score[i] ~ StudentT(nu, mean[i], sd_residual), nu > 2         (likelihood = "student_t")

Every ``z[:,j]`` has mean zero, so the treatment difference is the one at the mean baseline, which
is also its mean over these patients. It is positive where the active treatment is better.

Levels and slopes have priors so wide that they cannot move the difference: a level is the mean over
both treatments and is centered where both arms together lie, blind to which is which, because a
prior of the mean under control alone would pull one arm and the difference with it. No range of a
scale enters a prior. ``docs/methods/first-period.md`` has the reasons with their numbers.
"""

from bayes_ptsd.structures.first_period.room import FIRST_PERIOD

__all__ = ["FIRST_PERIOD"]
