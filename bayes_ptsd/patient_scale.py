"""Priors of patient models in score units: the scale and location of an endpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from bayes_ptsd.errors import BayesPtsdError, EvidenceError, SpecError
from bayes_ptsd.prior_family import resolve_prior
from bayes_ptsd.priors import FloatArray, Prior
from bayes_ptsd.scaled_priors import ScaledPrior
from bayes_ptsd.spec import PriorValue
from bayes_ptsd.trial import Endpoint

__all__ = ["endpoint_scale", "in_score_units"]


def endpoint_scale(
    endpoint: Endpoint, arms: Sequence[FloatArray], *, occasion: str, means: str
) -> tuple[float, float, list[str]]:
    """Return standard deviation and location of an endpoint, from the data where the trial is mute.

    Parameters
    ----------
    endpoint : Endpoint
        The outcome.
    arms : sequence of ndarray
        Scores of each arm at one occasion; NaN where missing.
    occasion : str
        What it is called in messages, such as ``first-period``.
    means : str
        Which prior takes the location, for the note.

    Returns
    -------
    sd, location : float
        `reference_sd`, or the pooled standard deviation of the arms; middle of the range, or their
        mean. Score units.
    notes : list of str
        What was taken from the data.

    Raises
    ------
    EvidenceError
        If the trial has no `reference_sd` and the scores do not allow to estimate one.

    Examples
    --------
    >>> endpoint = Endpoint("pef", "PEF", "continuous", "higher", reference_sd=50.0)
    >>> arms = [np.array([310.0, 290.0]), np.array([300.0])]
    >>> endpoint_scale(endpoint, arms, occasion="first-period", means="the intercept")[:2]
    (50.0, 300.0)
    """
    notes = []
    groups = [arm[np.isfinite(arm)] for arm in arms]
    sd, unit = endpoint.reference_sd, endpoint.unit
    if sd is None:
        freedom = sum(len(group) - 1 for group in groups)
        squares = sum(float(((group - group.mean()) ** 2).sum()) for group in groups if len(group))
        sd = float(np.sqrt(squares / freedom)) if freedom > 0 else 0.0
        if not sd > 0:
            raise EvidenceError(
                f"endpoint '{endpoint.id}' has no 'reference_sd' in the trial file and its "
                f"{occasion} scores do not allow to estimate one; add it"
            )
        notes.append(
            f"endpoint '{endpoint.id}' has no reference_sd: prior scales and standardized effects "
            f"use the pooled {occasion} SD of these data, {sd:.4g} {unit}"
        )
    if endpoint.range is not None:
        return sd, float(np.mean(endpoint.range)), notes
    location = float(np.concatenate(groups).mean()) if any(map(len, groups)) else 0.0
    notes.append(
        f"endpoint '{endpoint.id}' has no range: the prior of {means} is centered at the "
        f"{occasion} mean of these data, {location:.4g} {unit}"
    )
    return sd, location, notes


def in_score_units(
    asked: PriorValue, *, sd: float, location: float, standard_error: Callable[[], float]
) -> Prior:
    """Return a prior of a model file in score units.

    Parameters
    ----------
    asked : str, Prior or ScaledPrior
        A name of the prior family, a distribution in score units, or one in units of the endpoint.
    sd, location : float
        From `endpoint_scale`.
    standard_error : callable
        Returns the standard error of the treatment difference; asked by the prior ``cochrane``
        only.

    Returns
    -------
    Prior
        In score units.

    Raises
    ------
    SpecError
        If the prior needs a standard error and there is none.

    Examples
    --------
    >>> in_score_units("weak", sd=14.4, location=44.0, standard_error=lambda: 4.0).sd
    28.8
    """
    if isinstance(asked, Prior):
        return asked
    if isinstance(asked, ScaledPrior):
        return asked.resolve(sd=sd, location=location)
    se = None
    if asked == "cochrane":
        try:
            se = standard_error()
        except BayesPtsdError as error:
            raise SpecError(f"prior 'cochrane' needs a standard error: {error}") from error
    return resolve_prior(asked, sd=sd, se=se)
