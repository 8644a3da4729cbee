"""A comparison of the arms that is adjusted for a second outcome at the same visit, the mediator.

Patient i, x = 1/2 under the active treatment and -1/2 under control, `s` and `s_m` = +1 where
higher scores of outcome and mediator are better, else -1, `m` the mean of the mediator over these
patients, baselines `b` and `m0` around their means::

    mediator[i] ~ Normal(mediator_level + s_m mediator_difference x[i]
                         + mediator_own_slope m0[i], mediator_sd)
    score[i]    ~ Normal(level + s controlled_direct_effect x[i] + baseline_slope b[i]
                         + (mediator_slope + interaction x[i]) (mediator[i] - m)
                         + mediator_baseline_slope m0[i], sd_residual)

    under_control           = mediator_level - s_m mediator_difference / 2
    natural_direct_effect   = controlled_direct_effect + s interaction (under_control - m)
    natural_indirect_effect = s s_m (mediator_slope + interaction / 2) mediator_difference
    treatment_difference    = natural_direct_effect + natural_indirect_effect

Options leave out the interaction, the baseline of the outcome, or that of the mediator; effects are
positive where the active treatment is better.

Levels and slopes on baselines have priors so wide (ten SDs) that they move no difference. Only the
slope on the mediator, around half an SD per SD, and its difference between the arms, around none,
say something: how a difference splits into direct and indirect rests on them, and every result
names them. The mediator is not randomized, so that both errors may share a cause; no data tell
their correlation, and the model shows what each would make of the effects.
"""

from bayes_ptsd.structures.depression.room import DEPRESSION

__all__ = ["DEPRESSION"]
