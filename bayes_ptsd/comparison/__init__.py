"""Published, frequentist and Bayesian side by side, with the reason for each gap."""

from bayes_ptsd.comparison.any_evidence import compare
from bayes_ptsd.comparison.patient_document import patient_comparison_document
from bayes_ptsd.comparison.patients import PATIENT_MODELS, compare_patients
from bayes_ptsd.comparison.published import (
    compare_published,
    comparison_document,
    comparison_frame,
    gap_reason,
)

__all__ = [
    "PATIENT_MODELS",
    "compare",
    "compare_patients",
    "compare_published",
    "comparison_document",
    "comparison_frame",
    "gap_reason",
    "patient_comparison_document",
]
