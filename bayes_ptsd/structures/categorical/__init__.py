"""What the rooms of ordered categories share: one model, of which a binary outcome is a case.

Patient i in period p, treatment x = 1/2 (active) or -1/2 (control), `s` = +1 if higher categories
are better, else -1, F logistic (logit) or standard normal (probit)::

    P(category[i,p] <= k) = F(cutpoint[k] - eta[i,p])
    eta[i,p] = s * effect * x[i,p]
             + period_effect * (p - 1.5) + sd_subject * z[i]    (both periods)
             + baseline_slope * (baseline[i] - mean baseline)   (option baseline)
    z[i] ~ Normal(0, 1), integrated out of the likelihood
    F(cutpoint[1]), F(cutpoint[2]) - F(cutpoint[1]), ... ~ Dirichlet(1, ..., 1)

The Dirichlet prior of the shares midway between the treatments is the same whatever the number of
categories, keeps the cutpoints in order and treats the arms alike; period effect and slope are
nuisances with priors so wide that they do not move the effect. In one period an effect of the
patient could not be told from F. Equations and checks in ``docs/methods/ordinal.md``.
"""
