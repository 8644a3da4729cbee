"""Figures: forest plots, prior to posterior, probability curves; every one names its evidence."""

from __future__ import annotations

from bayes_ptsd.plots.agreement import agreement_figure
from bayes_ptsd.plots.carryover import carryover_figure
from bayes_ptsd.plots.categories import categories_figure
from bayes_ptsd.plots.curves import benefit_figure
from bayes_ptsd.plots.forest import forest_figure
from bayes_ptsd.plots.mediation import error_correlation_figure
from bayes_ptsd.plots.patients import drawn_estimand, patient_update_figure, predictive_figure
from bayes_ptsd.plots.prior_plane import prior_plane_figure
from bayes_ptsd.plots.style import PRIOR_STYLES, PriorStyle, figure_svg, prior_style
from bayes_ptsd.plots.trajectories import trajectory_figure, visit_forest_figure
from bayes_ptsd.plots.update import update_figure, update_reach

__all__ = [
    "PRIOR_STYLES",
    "PriorStyle",
    "agreement_figure",
    "benefit_figure",
    "carryover_figure",
    "categories_figure",
    "drawn_estimand",
    "error_correlation_figure",
    "figure_svg",
    "forest_figure",
    "patient_update_figure",
    "predictive_figure",
    "prior_plane_figure",
    "prior_style",
    "trajectory_figure",
    "update_figure",
    "update_reach",
    "visit_forest_figure",
]
