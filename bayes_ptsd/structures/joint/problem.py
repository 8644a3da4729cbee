"""Several estimates of one analysis with the prior that ties their differences together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from bayes_ptsd.audit.finding import printed_rows
from bayes_ptsd.audit.relations import mean_correlation
from bayes_ptsd.errors import EvidenceError, SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.published import select_contrast
from bayes_ptsd.exact.summary import likelihood_of
from bayes_ptsd.prior_family import resolve_prior
from bayes_ptsd.priors import FloatArray, Prior
from bayes_ptsd.scaled_priors import ScaledPrior
from bayes_ptsd.specification import ModelSpec
from bayes_ptsd.trial import Endpoint

__all__ = [
    "JointModel",
    "JointProblem",
    "analysis_rows",
    "endpoints_model",
    "equicorrelated",
    "subscales_model",
]


@dataclass(frozen=True)
class JointProblem:
    """Estimates with their sampling covariance, and a prior that ties their differences together.

    With `omega` the heterogeneity, ``estimate | tau ~ Normal(tau, sampling)`` and ``tau | omega ~
    Normal(center, fixed + omega^2 spread)``, in the unit of each estimate.
    """

    endpoint: tuple[str, ...]  # one label per estimate
    estimate: FloatArray  # benefit-positive, dim (endpoint,)
    sampling: FloatArray  # covariance (endpoint, endpoint), as are `fixed` and `spread`
    fixed: FloatArray
    spread: FloatArray
    center: FloatArray  # prior means
    heterogeneity: Prior  # of omega, on positive numbers
    # score units per unit of each estimate: the reference SD for standardized ones, else 1
    unit: FloatArray
    mcid: FloatArray  # in score units; NaN where there is none
    evidence_kind: str
    analysis: str
    crossover_reading: str  # how crossover rows are read
    assumptions: tuple[str, ...] = ()  # in words, what print does not settle

    def __post_init__(self) -> None:
        """Refuse a heterogeneity that is no scale."""
        if not self.heterogeneity.proper or self.heterogeneity.support[0] < 0:
            raise SpecError(
                f"heterogeneity {self.heterogeneity.formula}: give a proper prior on positive "
                "numbers, such as half_normal(0.3)"
            )

    @property
    def size(self) -> int:
        """Number of estimates."""
        return len(self.endpoint)


@dataclass(frozen=True)
class JointModel:
    """Several printed contrasts of one analysis, ready for any engine."""

    spec: ModelSpec
    problem: JointProblem
    # the total of subscales; of endpoints one that stands for all, without MCID or unit
    endpoint: Endpoint
    parts: Mapping[str, Endpoint]  # what the estimates are of
    rows: Mapping[str, xr.Dataset]  # as printed, by endpoint; that of a total first
    priors: Mapping[str, Prior]  # in score units for subscales, in reference SDs for endpoints
    has_total: bool  # whether the differences add up to one that is an estimand

    @property
    def main(self) -> str:
        """The parameter whose prior names the analysis."""
        return "treatment" if self.has_total else "mean"


def endpoints_model(evidence: Evidence, spec: ModelSpec) -> JointModel:
    """Set up the endpoints of one analysis that have a ``domain``, in reference SDs."""
    _refuse_one_row(evidence, spec)
    trial = evidence.trial
    chosen = {name: one for name, one in trial.endpoints.items() if one.domain}
    if not chosen:
        raise EvidenceError(f"{trial.source}: no endpoint has a 'domain'; add it to those to join")
    lacking = [name for name, one in chosen.items() if one.reference_sd is None]
    if lacking:
        raise EvidenceError(f"{trial.source}: no 'reference_sd' for {', '.join(lacking)}; add it")
    mean, heterogeneity = _plain(spec, "mean"), _plain(spec, "heterogeneity")
    if mean.dist != "normal":
        raise SpecError(f"model '{spec.name}': the mean of a domain needs a normal prior")
    rows = _asked_rows(evidence, spec, list(chosen))
    unit = np.array([float(one.reference_sd or np.nan) for one in chosen.values()])
    estimate, se = _normal_errors(rows)
    domains = [one.domain for one in chosen.values()]
    same = np.array([[a == b for b in domains] for a in domains], dtype=float)
    correlation = float(spec.options["correlation"])
    problem = JointProblem(
        endpoint=tuple(chosen),
        estimate=estimate / unit,
        sampling=equicorrelated(se / unit, correlation),
        fixed=mean.params["sigma"] ** 2 * same,
        spread=np.eye(len(chosen)),
        center=np.full(len(chosen), mean.params["mu"]),
        heterogeneity=heterogeneity,
        unit=unit,
        mcid=_mcids(chosen),
        evidence_kind=evidence.kind,
        analysis=str(spec.options["analysis"]),
        crossover_reading=str(spec.options["crossover_reading"]),
        assumptions=(f"correlation {correlation:g} between the estimates, not printed",),
    )
    return JointModel(
        spec=spec,
        problem=problem,
        endpoint=Endpoint("endpoints", "Endpoints of all domains", "continuous", "higher", unit=""),
        parts=chosen,
        rows=dict(zip(chosen, rows, strict=True)),
        priors={"mean": mean, "heterogeneity": heterogeneity},
        has_total=False,
    )


def subscales_model(evidence: Evidence, spec: ModelSpec) -> JointModel:
    """Set up the parts of a total, endpoints ``<total>_...``, in one analysis, in score units.

    A part's weight is its range over the sum of all.
    """
    _refuse_one_row(evidence, spec)
    trial = evidence.trial
    total = trial.endpoint(str(spec.options["total"]))
    parts = {name: one for name, one in trial.endpoints.items() if name.startswith(f"{total.id}_")}
    if len(parts) < 2:
        raise EvidenceError(
            f"endpoint '{total.id}' has no parts; their ids begin with '{total.id}_'"
        )
    prior, heterogeneity = _total_prior(spec, total), _plain(spec, "heterogeneity")
    rows = _asked_rows(evidence, spec, [total.id, *parts])
    estimate, se = _normal_errors(rows)
    correlation = mean_correlation(se[0], se[1:])
    weight = _weights(parts, total)
    problem = JointProblem(
        endpoint=tuple(parts),
        estimate=estimate[1:],
        sampling=equicorrelated(se[1:], correlation),
        fixed=prior.params["sigma"] ** 2 * np.outer(weight, weight),
        spread=np.eye(len(parts)) - 1 / len(parts),
        center=prior.params["mu"] * weight,
        heterogeneity=heterogeneity,
        unit=np.ones(len(parts)),
        mcid=_mcids(parts),
        evidence_kind=evidence.kind,
        analysis=str(spec.options["analysis"]),
        crossover_reading=str(spec.options["crossover_reading"]),
        assumptions=(f"one correlation, {correlation:.3f}, between the parts' estimates",),
    )
    return JointModel(
        spec=spec,
        problem=problem,
        endpoint=total,
        parts=parts,
        rows=dict(zip([total.id, *parts], rows, strict=True)),
        priors={"treatment": prior, "heterogeneity": heterogeneity},
        has_total=True,
    )


def analysis_rows(
    evidence: Evidence, analysis: str, endpoints: Sequence[str], *, crossover_reading: str
) -> list[xr.Dataset]:
    """Return each endpoint's printed row in an analysis, corrected rows in place of misprints.

    Score units, benefit-positive; an endpoint without a row is an EvidenceError.
    """
    rows = printed_rows(evidence, [analysis], corrected=True)
    names = dict(
        zip(rows["endpoint"].values.tolist(), rows["contrast"].values.tolist(), strict=True)
    )
    absent = [name for name in endpoints if name not in names]
    if absent:
        raise EvidenceError(f"analysis '{analysis}' has no printed row of {', '.join(absent)}")
    reading = crossover_reading if analysis == "crossover" else "as_published"
    return [
        select_contrast(evidence, names[name], crossover_reading=reading)
        .data["effects"]
        .to_dataset()
        for name in endpoints
    ]


def equicorrelated(sd: FloatArray, correlation: float) -> FloatArray:
    """Return a covariance with one correlation, dims (n, n); SpecError if none can have it."""
    lowest = -1 / (len(sd) - 1) if len(sd) > 1 else -1.0
    if not lowest < correlation < 1:
        raise SpecError(
            f"correlation {correlation:g} between {len(sd)} estimates; it lies between "
            f"{lowest:.3g} and 1"
        )
    matrix = np.full((len(sd), len(sd)), correlation)
    np.fill_diagonal(matrix, 1.0)
    return matrix * np.outer(sd, sd)


def _refuse_one_row(evidence: Evidence, spec: ModelSpec) -> None:
    """Refuse patients, and a contrast that was selected before."""
    if "effects" not in evidence.data.children or not evidence.data["effects"]["estimate"].ndim:
        raise EvidenceError(
            f"model '{spec.name}' analyzes all printed rows of an analysis together; this is "
            f"evidence of kind '{evidence.kind}', or one row: take load_published()"
        )


def _asked_rows(evidence: Evidence, spec: ModelSpec, endpoints: list[str]) -> list[xr.Dataset]:
    """Return the rows of the analysis and in the reading that the options name."""
    reading = str(spec.options["crossover_reading"])
    return analysis_rows(
        evidence, str(spec.options["analysis"]), endpoints, crossover_reading=reading
    )


def _normal_errors(rows: Sequence[xr.Dataset]) -> tuple[FloatArray, FloatArray]:
    """Return estimates and standard errors under convention N."""
    likelihoods = [likelihood_of(row, "N") for row in rows]
    params = [(one.params["mu"], one.params["sigma"]) for one in likelihoods]
    return np.array([mu for mu, _ in params]), np.array([sigma for _, sigma in params])


def _plain(spec: ModelSpec, name: str) -> Prior:
    """Return a prior that is given in full."""
    prior = spec.priors[name]
    if not isinstance(prior, Prior):
        raise SpecError(f"model '{spec.name}': give the prior of '{name}' with its own numbers")
    return prior


def _total_prior(spec: ModelSpec, total: Endpoint) -> Prior:
    """Return the prior of the total's difference in score units, a normal."""
    asked, sd = spec.priors["treatment"], total.reference_sd
    if isinstance(asked, Prior):
        prior = asked
    elif sd is None:
        raise EvidenceError(f"endpoint '{total.id}' has no 'reference_sd' for prior '{asked}'")
    elif isinstance(asked, ScaledPrior):
        prior = asked.resolve(sd=sd, location=0.0)
    else:
        prior = resolve_prior(asked, sd=sd, se=1.0)
    if prior.dist != "normal":
        raise SpecError(f"prior {prior.name}: the parts of a total need a normal prior")
    return prior


def _weights(parts: Mapping[str, Endpoint], total: Endpoint) -> FloatArray:
    """Return the share of each part in the total's range."""
    widths = []
    for name, part in parts.items():
        if part.range is None:
            raise EvidenceError(
                f"endpoint '{name}' has no 'range', which weighs it in '{total.id}'"
            )
        widths.append(part.range[1] - part.range[0])
    return np.array(widths) / sum(widths)


def _mcids(endpoints: Mapping[str, Endpoint]) -> FloatArray:
    """Return the MCID of each endpoint in score units, NaN where there is none."""
    return np.array([np.nan if one.mcid is None else one.mcid for one in endpoints.values()])
