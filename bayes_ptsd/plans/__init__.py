"""What each structure contributes to a fit; everything else about a fit is the same for all."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bayes_ptsd.evidence import Evidence
from bayes_ptsd.plans.categorical import categorical_plan
from bayes_ptsd.plans.crossover import crossover_plan
from bayes_ptsd.plans.depression import depression_plan
from bayes_ptsd.plans.first_period import first_period_plan
from bayes_ptsd.plans.joint import joint_plan
from bayes_ptsd.plans.longitudinal import longitudinal_plan
from bayes_ptsd.plans.parts import parts_plan
from bayes_ptsd.plans.plan import Groups, Plan
from bayes_ptsd.plans.summary import summary_plan
from bayes_ptsd.spec import ModelSpec

__all__ = ["PLANS", "Groups", "Plan"]

PLANS: Mapping[str, Callable[[Evidence, ModelSpec], Plan]] = {
    "summary": summary_plan,
    "crossover": crossover_plan,
    "first_period": first_period_plan,
    "longitudinal": longitudinal_plan,
    "ordinal": categorical_plan,
    "binary": categorical_plan,
    "depression": depression_plan,
    "endpoints": joint_plan,
    "subscales": joint_plan,
    "parts": parts_plan,
}
