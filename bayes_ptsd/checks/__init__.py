"""Checks of a fit: each a name, a figure, a threshold and whether it passed."""

from bayes_ptsd.check_roles import check_table, checks_passed, failed_checks, joined_checks
from bayes_ptsd.checks.convergence import check_fit
from bayes_ptsd.checks.loo import compare_fits

__all__ = [
    "check_fit",
    "check_table",
    "checks_passed",
    "compare_fits",
    "failed_checks",
    "joined_checks",
]
