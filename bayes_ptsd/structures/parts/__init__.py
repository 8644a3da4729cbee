"""The room of the parts of a total in patients, at one visit, under one coherent prior.

Patient i, part k, treatment x = 1/2 (active) or -1/2 (control), `s` = +1 if higher scores are
better, else -1, `w` the share of each part in the total's range, b its baseline around the mean::

    endpoint_difference = w * treatment_difference + heterogeneity * P z,   z ~ Normal(0, 1)
    mean[i,k]  = level[k] + s * endpoint_difference[k] * x[i]
               + baseline_slope[k] * b[i,k]                              (option baseline)
    score[i]   ~ Normal(mean[i], covariance over the parts)
    covariance = sd_residual[k] sd_residual[l] correlation[k,l],   a prior of the matrix

with P P' = I - 1/parts, so that the differences of the parts add up to that of the total, in the
prior too: what is believed of the total is believed of the sum of its parts. Correlations are made
from their partial correlations. Differences are positive where the active treatment is better.

Levels and slopes have priors so wide that they cannot move a difference; their centers come from
the data, blind to which arm is which, and ranges only weigh the parts. ``docs/methods/joint.md``
has the reasons.
"""

from bayes_ptsd.structures.parts.room import PARTS

__all__ = ["PARTS"]
