"""The room of a comparison of the arms at several visits.

Patient i at visit t, `s` = +1 if higher scores are better, else -1, ``x[i]`` = +1/2 in the active
and -1/2 in the control arm, ``b[i]`` the baseline minus its mean::

    mean[i,t] = level[t] + s * visit_difference[t] * x[i]
              + baseline_slope[t] * b[i]                    (baseline = "covariate")
              + baseline_slope * b[i]                       (baseline = "common_slope")
              + sum_j covariate[j] * z[i,j]                 (option covariates)
    score[i]  ~ Normal(mean[i], covariance over the visits)

    visit_difference[t] ~ treatment prior, independently                      (no shrinkage)
    visit_difference[t] = shrinkage_mean + shrinkage_sd * u[t], u ~ Normal(0, 1)  (shrinkage)
    treatment_difference = mean of visit_difference over the visits

    covariance[t,u] = sd_visit[t] sd_visit[u] * correlation[t,u]
    unstructured      correlation ~ prior of a matrix, by its partial correlations
    compound          correlation[t,u] = correlation
    autoregressive    correlation[t,u] = (1 - nugget) 2^(-|days[t] - days[u]| / half_life)

With ``baseline = "joint"`` the baseline is the first occasion of the vector, with one mean,
``level[baseline]``, for both arms. Occasions that are missing are integrated out: their row of the
covariance is that of an independent variable of variance 1 and their residual is zero, which leaves
the marginal density of the others. Differences are positive where the active treatment is better.

Levels and slopes have priors so wide that they cannot move a difference. Correlations are uniform
one by one, not LKJ, which pulls every one of them toward zero, more with every visit, and makes the
standard error of the mean over the visits too small. There is no patient effect beside an
autoregression: a process whose correlation hardly decays is one. Visits do not inform each other
unless that is asked for. ``docs/methods/longitudinal.md`` has the reasons with their numbers.
"""

from bayes_ptsd.structures.longitudinal.room import LONGITUDINAL

__all__ = ["LONGITUDINAL"]
