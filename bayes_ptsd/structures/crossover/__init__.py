"""AB/BA crossover: one or two scores of a patient.

Patient i in period p, `s` = +1 if higher scores are better, else -1::

    mean[i,p] = level + period_effect * (p - 3/2)
              + s * treatment_difference * x[i,p]
              + s * carryover * half[i] * 1[p = 2]                  (option carryover)
              + sequence_effect * half[i]                           (option sequence_effect)
              + baseline_slope[p] * (baseline[i] - mean baseline)   (option baseline)
    half[i]   = +1/2 if active first else -1/2;  x[i,1] = half[i], x[i,2] = -half[i]

    random_intercept   score[i,p] = mean[i,p] + u[i] + e[i,p],
                       u[i] ~ Normal(0, sd_subject),  e[i,p] ~ Normal(0, sd_within[p])
    bivariate          (score[i,1], score[i,2]) ~ Normal(mean[i],
                       standard deviations sd_period[p], correlation in (-1, 1))
    student_t          a patient's u and e are divided by sqrt(w[i]), w[i] ~ Gamma(nu/2, nu/2)

Treatment difference and carryover are positive where the active treatment is better; period and
sequence effects are in the direction of the score. With ``subject_effects = "integrated"`` u and w
are integrated out: a patient with one period, whichever it is, contributes the marginal
distribution of that score.

The treatments are coded -1/2 and +1/2, so that the level is the mean over both and no prior of a
level or a period effect pulls at the difference; these priors lie where the data lie, blind to
which treatment is which. Standard deviations have priors about as wide as those of the scores.
Carryover is aliased with the difference between the sequences: no test chooses between the
analyses with and without it, its prior does (`carryover`). The baseline of period 2 is measured
after the first treatment and is never a covariate; a model with both baselines has them as
outcomes (`baselines`).
"""

from bayes_ptsd.structures.crossover.room import CROSSOVER

__all__ = ["CROSSOVER"]
