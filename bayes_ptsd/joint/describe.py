"""What a specification of several printed contrasts says in words."""

from __future__ import annotations

from bayes_ptsd.evidence import Evidence
from bayes_ptsd.joint.groups import exact_joint, joint_groups
from bayes_ptsd.joint.model import joint_model
from bayes_ptsd.provenance import DEFAULT_SEED
from bayes_ptsd.spec import ModelSpec

__all__ = ["joint_prior_lines"]


def joint_prior_lines(evidence: Evidence, spec: ModelSpec) -> tuple[dict[str, str], bool]:
    """Return the priors of a specification in words, and whether all are proper."""
    model = joint_model(evidence, spec)
    lines = {f"prior {name}": prior.formula for name, prior in model.priors.items()}
    main = model.priors["treatment" if model.has_total else "mean"]
    low, high = main.interval()
    what = "treatment" if model.has_total else "mean of a domain"
    unit = "score units" if model.has_total else "reference SDs"
    lines["prior interval"] = f"{what}: 95% from {low:.2f} to {high:.2f} {unit}"
    posterior = exact_joint(model, seed=DEFAULT_SEED)["posterior"]
    drawn = joint_groups(posterior, model, seed=DEFAULT_SEED)["prior_predictive"]["estimate"]
    for name, printed in zip(
        model.problem.endpoint, model.problem.estimate * model.problem.unit, strict=True
    ):
        ends = drawn.sel(endpoint=name).quantile([0.025, 0.975]).values
        lines[f"prior predictive {name}"] = (
            f"95% of estimates from {ends[0]:.1f} to {ends[1]:.1f}; as read {printed:.1f}"
        )
    return lines, True
