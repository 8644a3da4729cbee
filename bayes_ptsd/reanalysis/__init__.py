"""The main job: every printed contrast under every prior, stored, compared and reported.

The job resumes where it stopped: an analysis whose result is in the store is found, not repeated.
"""

from bayes_ptsd.reanalysis.printed import (
    HEADLINE_PRIORS,
    headline_contrasts,
    headline_rows,
    sampled_checks,
)
from bayes_ptsd.reanalysis.run import reanalyze

__all__ = ["HEADLINE_PRIORS", "headline_contrasts", "headline_rows", "reanalyze", "sampled_checks"]
