"""How far each assumption moves the answer, one at a time, each from its own base.

The base of a row about printed numbers is the printed interval itself: convention T, flat prior.
The base of a row about reconstructed patients is the main model of the analysis on reconstructions,
see `bayes_ptsd.sensitivity.reconstructed`. One assumption is changed, the posterior computed again,
and the rows are ranked by how far P(benefit) moved. Nothing is combined: two assumptions together
can move more, or less, than their sum.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.published import select_contrast
from bayes_ptsd.exact.binary import binary_posterior
from bayes_ptsd.exact.binary_outcomes import binary_outcomes_of
from bayes_ptsd.exact.grid import grid_quantile
from bayes_ptsd.exact.summary import exact_posterior, likelihood_of
from bayes_ptsd.prior_family import resolve_prior
from bayes_ptsd.priors import FloatArray, Prior
from bayes_ptsd.sensitivity.bias import Bias, Change, biased_posterior, expectancy_bias, normal_bias
from bayes_ptsd.sensitivity.missing import MissingShares, linear_summary, missing_shares
from bayes_ptsd.sensitivity.reconstructed import reconstructed_changes
from bayes_ptsd.trial import Endpoint

__all__ = ["FEWEST_DF", "ranked_assumptions", "ranking_frame"]

FLAT = Prior("flat")
PRIORS = ("weak", "skeptical", "enthusiastic", "cochrane")
# (mean, sd) in reference SD: assumptions, as no guesses were printed; none, some, and a bias whose
# mean is two of its sds from none
BIASES = ((0.0, 0.15), (0.15, 0.15), (0.3, 0.15))
# (mean, sd) of believing against not believing: the largest of these biases, if beliefs part fully
STRENGTH = (0.3, 0.15)
FEWEST_DF = 2  # Student's t has a variance above it
BELIEF = "AE.DISS"
"""Dissociation, the only printed event that could have told patients what they had received."""


class _Row(NamedTuple):
    """A printed contrast with the constants of its endpoint."""

    likelihood: Prior
    normal: Prior
    endpoint: Endpoint
    sd: float
    analysis: str


def ranked_assumptions(
    evidence: Evidence,
    contrast: str,
    *,
    crossover_reading: str = "as_published",
    flow_reading: str = "paper",
    reconstructions: int = 0,
) -> xr.Dataset:
    """Change one assumption at a time and rank the changes on dim ``change``, score units.

    The bases come first, then changes by falling ``|prob_benefit - base|``: the summary of each and
    the moves ``move_mean, move_prob_benefit`` from the base of the same kind of evidence.
    `reconstructions` are the sets of patients changed too; 0 for the printed row alone.
    """
    row = _row(evidence, contrast, crossover_reading)
    changes = [
        Change("base", "the printed interval, flat prior", _summary(row, row.likelihood, FLAT))
    ]
    changes += _priors(row)
    normal = _summary(row, row.normal, FLAT)
    changes.append(Change("likelihood", "normal, at the estimate", normal))
    changes += _biases(row, evidence)
    if row.analysis == "crossover":
        other = "unhalved" if crossover_reading == "as_published" else "as_published"
        read = _row(evidence, contrast, other)
        summary = _summary(read, read.likelihood, FLAT)
        changes.append(Change("crossover reading", f"read as {other.removeprefix('as_')}", summary))
        changes += _missing(row, evidence, flow_reading)
    if reconstructions:
        changes += reconstructed_changes(
            evidence, contrast, m=reconstructions, crossover_reading=crossover_reading,
            flow_reading=flow_reading,
        )  # fmt: skip
    return _table(changes).assign_attrs(
        contrast=contrast,
        analysis=row.analysis,
        crossover_reading=crossover_reading,
        flow_reading=flow_reading,
        evidence_kind=", ".join(dict.fromkeys(change.evidence_kind for change in changes)),
        label=row.endpoint.label,
        unit=row.endpoint.unit,
        active=evidence.trial.active,
    )


def ranking_frame(table: xr.Dataset) -> pd.DataFrame:
    """Return a ranking as a flat table of a line per change, with contrast and evidence kind."""
    frame = table.to_dataframe().reset_index(drop=True)
    first, last = ["assumption", "alternative"], "evidence_kind"
    middle = [name for name in frame.columns if name not in (*first, last)]
    frame = frame.assign(**{name: table.attrs[name] for name in ("contrast", "crossover_reading")})
    return frame[[*first, *middle, "contrast", "crossover_reading", last]]


def _row(evidence: Evidence, contrast: str, reading: str) -> _Row:
    """Return a printed row under a reading of the crossover."""
    selected = select_contrast(evidence, contrast, crossover_reading=reading)
    row = selected.data["effects"].to_dataset()
    endpoint = evidence.trial.endpoint(str(row["endpoint"].item()))
    if endpoint.reference_sd is None:
        raise EvidenceError(
            f"endpoint '{endpoint.id}' has no 'reference_sd' in {evidence.trial.source}; priors "
            "and biases here are multiples of it; add it"
        )
    if float(row["df"]) <= FEWEST_DF:
        raise EvidenceError(
            f"row '{contrast}': Student's t of {float(row['df']):g} degrees of freedom has no "
            "standard deviation, so assumptions cannot be compared by means"
        )
    return _Row(
        likelihood_of(row, "T"),
        likelihood_of(row, "N"),
        endpoint,
        endpoint.reference_sd,
        str(row["analysis"].item()),
    )


def _summary(row: _Row, likelihood: Prior, prior: Prior) -> dict[str, float]:
    """Summarize the posterior of one likelihood and prior."""
    return linear_summary(exact_posterior(likelihood, prior), mcid=row.endpoint.mcid)


def _priors(row: _Row) -> Iterator[Change]:
    """Yield the members of the prior family."""
    for name in PRIORS:
        prior = resolve_prior(name, sd=row.sd, se=row.likelihood.params["sigma"])
        yield Change("prior", f"{name} prior", _summary(row, row.likelihood, prior))


def _biases(row: _Row, evidence: Evidence) -> Iterator[Change]:
    """Yield unblinding biases: a grid of assumptions, and one by expectancy."""
    biases = [
        (f"bias N({mean:g}, {sd:g}²) SD", normal_bias(mean * row.sd, sd * row.sd))
        for mean, sd in BIASES
    ]
    difference = _belief_difference(evidence)
    if difference is not None:
        biases.append(("expectancy (dissociation as stand-in)", _expectancy(row, difference)))
    for label, bias in biases:
        exact = biased_posterior(row.likelihood, FLAT, bias)
        yield Change("unblinding", label, linear_summary(exact, mcid=row.endpoint.mcid))


def _expectancy(row: _Row, difference: FloatArray) -> Bias:
    """Return the bias of believing against not believing, in units of the endpoint."""
    mean, sd = STRENGTH
    return expectancy_bias(difference, strength_mean=mean * row.sd, strength_sd=sd * row.sd)


def _belief_difference(evidence: Evidence) -> FloatArray | None:
    """Return points of the difference in dissociation, which stands in for beliefs."""
    try:
        outcomes = {outcome.id: outcome for outcome in binary_outcomes_of(evidence)}
    except EvidenceError:
        return None
    if BELIEF not in outcomes:
        return None
    (active, control), (n_active, n_control) = outcomes[BELIEF].events, outcomes[BELIEF].n
    return _difference_points(int(active), int(n_active), int(control), int(n_control))


@cache
def _difference_points(active: int, n_active: int, control: int, n_control: int) -> FloatArray:
    """Return points of the difference of two risks; every row of a page needs the same ones."""
    fit = binary_posterior(active, n_active, control, n_control, prior="jeffreys")
    exact = fit["exact"].to_dataset().sel(estimand="risk_difference")
    points = grid_quantile(exact, (np.arange(41) + 0.5) / 41)
    points.setflags(write=False)
    return points


def _missing(row: _Row, evidence: Evidence, flow_reading: str) -> Iterator[Change]:
    """Yield assumptions about second periods that are missing."""
    exact = exact_posterior(row.likelihood, FLAT)
    for reason in ("remitted", "all"):
        try:
            shares = missing_shares(evidence, reason=reason, flow_reading=flow_reading)
        except EvidenceError:
            return
        none = -float(exact["mean"])
        yield Change(
            "missing second periods",
            f"no benefit: {shares.label}",
            linear_summary(exact, shift=shares.shift(none, none), mcid=row.endpoint.mcid),
        )
        yield Change(
            "missing second periods",
            f"half the benefit: {shares.label}",
            _half(exact, shares, row),
        )


def _half(exact: xr.Dataset, shares: MissingShares, row: _Row) -> dict[str, float]:
    """Summarize Delta ~ N(-tau/2, MCID^2), independent between the sequences."""
    both = shares.active_first + shares.control_first
    spread = (row.endpoint.mcid or 0.5 * row.sd) / 2
    return linear_summary(
        exact,
        slope=1 - both / 4,
        spread=spread * float(np.hypot(shares.active_first, shares.control_first)),
        mcid=row.endpoint.mcid,
    )


def _table(changes: list[Change]) -> xr.Dataset:
    """Return the changes, the bases first and the others by how far they move P(benefit)."""
    bases = {change.evidence_kind: change for change in changes if change.assumption == "base"}

    def move(change: Change, key: str = "prob_benefit") -> float:
        return change.summary[key] - bases[change.evidence_kind].summary[key]

    others = [change for change in changes if change.assumption != "base"]
    ordered = [*bases.values(), *sorted(others, key=lambda one: abs(move(one)), reverse=True)]
    columns: dict[str, Any] = {
        key: ("change", [change.summary[key] for change in ordered]) for key in changes[0].summary
    }
    for key in ("mean", "prob_benefit"):
        columns[f"move_{key}"] = ("change", [move(change, key) for change in ordered])
    coords = {
        key: ("change", [getattr(change, key) for change in ordered])
        for key in ("assumption", "alternative", "evidence_kind")
    }
    return xr.Dataset(columns, coords=coords)
