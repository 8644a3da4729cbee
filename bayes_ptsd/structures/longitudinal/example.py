"""A small simulated trial of several visits that shows what a model does, with known truth.

The visits are unevenly spaced and neighbors are alike, the difference fades from visit to visit,
and patients leave: what an autoregression, shrinkage and missing visits are for.
"""

from __future__ import annotations

from bayes_ptsd.evidence import Evidence
from bayes_ptsd.simulation.patients import Baseline, Missingness, simulate_trial
from bayes_ptsd.trial import Endpoint, Trial, load_trial

__all__ = ["TRUTH", "VISITS", "example_trajectories"]

# hours after treatment
VISITS = {"24h": 24.0, "48h": 48.0, "72h": 72.0, "7d": 168.0}
TRUTH = {"24h": 8.0, "48h": 7.0, "72h": 6.0, "7d": 4.0}
"""Treatment differences of the example by visit, score units."""


def example_trajectories(
    *,
    subjects: int = 40,
    dropout: float = 0.05,
    reference_sd: float | None = 14.4,
    seed: int = 1,
) -> Evidence:
    """Simulate a parallel trial of four visits on the IES-R scale; differences 8, 7, 6 and 4.

    The standard deviation of a score is 14; correlation .5 between patients' visits, more for
    neighbors. `dropout` is the probability to leave for good after a visit; without `reference_sd`
    the data have to give it, and the endpoint has no range.
    """
    return simulate_trial(
        _trial(reference_sd),
        n_by_sequence=subjects // 2,
        treatment=list(TRUTH.values()),
        level=[38.0, 37.0, 36.0, 36.0],
        sd_subject=10.0,
        sd_within=10.0,
        visit_correlation=0.6,
        visit_structure="autoregressive",
        baseline=Baseline(mean=47.0, sd=14.0, correlation=0.4),
        missingness=Missingness(dropout=dropout) if dropout else None,
        seed=seed,
    )


def _trial(reference_sd: float | None) -> Trial:
    """Return the trial of the example: one endpoint of the shipped one, in two arms."""
    shipped = load_trial()
    endpoint = Endpoint(
        "ies_r", "IES-R total", "continuous", "lower",
        range=(0.0, 88.0) if reference_sd is not None else None,
        mcid=7.2, reference_sd=reference_sd,
    )  # fmt: skip
    return Trial(
        "example", "Simulated example of several visits", "parallel", shipped.active,
        shipped.control, {"ies_r": endpoint}, visits=dict(VISITS),
    )  # fmt: skip
