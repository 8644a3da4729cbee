"""Checks of a fit: each a name, a figure, a threshold and whether it passed."""

from bayes_ptsd.checks.convergence import check_fit
from bayes_ptsd.checks.loo import compare_fits
from bayes_ptsd.checks.table import check_table, checks_passed, failed_checks, joined_checks

__all__ = [
    "check_fit",
    "check_table",
    "checks_passed",
    "compare_fits",
    "failed_checks",
    "joined_checks",
]
