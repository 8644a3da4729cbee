"""What an answer hangs on: assumptions that print leaves open, moved one at a time."""

from bayes_ptsd.sensitivity.bias import Bias, Change, biased_posterior, expectancy_bias, normal_bias
from bayes_ptsd.sensitivity.missing import (
    MissingShares,
    missing_contour,
    missing_shares,
    tipping_delta,
)
from bayes_ptsd.sensitivity.ranking import ranked_assumptions, ranking_frame
from bayes_ptsd.sensitivity.tipping import tipping_points

__all__ = [
    "Bias",
    "Change",
    "MissingShares",
    "biased_posterior",
    "expectancy_bias",
    "missing_contour",
    "missing_shares",
    "normal_bias",
    "ranked_assumptions",
    "ranking_frame",
    "tipping_delta",
    "tipping_points",
]
