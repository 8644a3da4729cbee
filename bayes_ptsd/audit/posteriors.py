"""Printed posteriors against themselves, against their priors and against each other.

Three checks, from the weakest assumption to the strongest: probabilities are in order, whatever the
distribution; its density is log-concave, as that of every posterior of a normal, binomial or
Poisson likelihood under normal, flat or peaked beta priors, so that log P(below x) and log P(above
x) are concave; posteriors of one normal likelihood have, under their printed normal priors, one
mean and one standard error behind them.

Printed digits stand for every number that rounds to them, and probabilities have, beside their
rounding, Monte Carlo error.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
from scipy import special

from bayes_ptsd.audit.finding import Finding, Section
from bayes_ptsd.audit.report_file import Box, PrintedPosterior, Statement
from bayes_ptsd.priors import FloatArray

__all__ = ["check_likelihoods", "check_order", "check_shape"]

MONTE_CARLO = 0.02
"""Two standard errors of a probability from 10,000 draws, over sqrt(p (1 - p)): reports seldom have
fewer, and at .5 this is one of the percent points that they print."""
# of the standard error of a likelihood, from a thousandth to a thousand times the printed widths
GRID = np.geomspace(1e-3, 1e3, 1201)
# grids around the best information, each a hundredth as coarse: steps of 1e-8 in the end
ZOOMS, ZOOMED = 3, 401
# halvings of the slack: to a hundredth of a Monte Carlo error
HALVINGS = 12
# of a probability: what is left of decimal arithmetic in binary
ROUNDING = 1e-12
# of a probability: what makes a set with one point a set with some, for its ends to be found
ROOM = 1e-4
# of the slack in units of `MONTE_CARLO`, at which nothing printed is contradicted any more
MOST_SLACK = 50.0

Point = tuple[float, float, Statement]
"""A place, a probability that the mass below it reaches or keeps within, and what says so."""


def check_order(posteriors: Sequence[PrintedPosterior]) -> Section:
    """Hold the printed probabilities and limits of each posterior to be in order."""
    found = [_finding(one, "bayes_order", _disorder(one), ORDERED) for one in posteriors]
    return Section("bayes_order", None, [finding for finding in found if finding])


def check_shape(posteriors: Sequence[PrintedPosterior]) -> Section:
    """Hold the printed numbers of each posterior to be those of a log-concave density."""
    found = [
        _finding(one, "bayes_shape", _bulge(one), SHAPED)
        for one in posteriors
        if _disorder(one) is None
    ]
    return Section("bayes_shape", None, [finding for finding in found if finding])


ORDERED = "probabilities and limits are in order"
SHAPED = "the printed numbers can be those of a log-concave density"


def _finding(one: PrintedPosterior, check: str, problem: str | None, fine: str) -> Finding | None:
    """Return what a check says of a posterior with two numbers at least."""
    if len(one.statements) < 2:
        return None
    return Finding(
        id=f"{check}:{one.name}",
        check=check,
        severity="contradiction" if problem else "consistent",
        place=_place(one),
        statement=f"{one.name}: {problem or fine}.",
        figures={"numbers": len(one.statements)},
    )


def _place(one: PrintedPosterior) -> str:
    """Return rows and place in the report."""
    rows = ", ".join(one.rows)
    return f"{rows} ({one.place})" if one.place else rows


def _widened(one: Statement, slack: float = 1.0) -> Box:
    """Return the box of a probability with its Monte Carlo error, times `slack`."""
    low, high = one.below
    error = [slack * MONTE_CARLO * math.sqrt(max(p * (1 - p), 0.0)) for p in one.below]
    return max(low - error[0], 0.0), min(high + error[1], 1.0)


def _reached(one: PrintedPosterior, *, slack: float = 1.0) -> list[Point]:
    """Return the places below which at least a probability lies."""
    points = [(item.at[1], _widened(item, slack)[0], item) for item in one.statements]
    return [point for point in points if point[2].quantile and math.isfinite(point[0])]


def _kept(one: PrintedPosterior, *, slack: float = 1.0) -> list[Point]:
    """Return the places below which at most a probability lies."""
    points = [(item.at[0], _widened(item, slack)[1], item) for item in one.statements]
    return [point for point in points if point[2].quantile and math.isfinite(point[0])]


def _disorder(one: PrintedPosterior) -> str | None:
    """Say which two numbers are out of order, None if none are."""
    pairs = [
        (p - q, first, second)
        # in order among the same draws as well: no Monte Carlo error
        for (x, p, first), (y, q, second) in product(
            _reached(one, slack=0.0), _kept(one, slack=0.0)
        )
        if x <= y and p > q + ROUNDING
    ]
    if not pairs:
        return None
    _, first, second = max(pairs, key=lambda pair: pair[0])
    return f"'{first.text}' and '{second.text}' cannot both be true of any distribution"


def _bulge(one: PrintedPosterior) -> str | None:
    """Say which three numbers no log-concave density has, None if one has all."""
    mirrored = replace(one, statements=tuple(map(_mirrored, one.statements)))
    found = [*_dents(one, "below"), *_dents(mirrored, "above")]
    return max(found, key=lambda item: item[0])[1] if found else None


def _mirrored(one: Statement) -> Statement:
    """Return a statement about the negative quantity."""
    (x, y), (p, q) = one.at, one.below
    return replace(one, at=(-y, -x), below=(1 - q, 1 - p))


def _dents(one: PrintedPosterior, side: str) -> Iterator[tuple[float, str]]:
    """Yield triples in which a concave log probability must exceed what the middle one allows."""
    low = [point for point in _reached(one) if point[1] > 0]
    for (x, p, first), (y, q, middle), (z, r, last) in product(low, _kept(one), low):
        if not x < y < z or middle in (first, last):
            continue
        share = (y - x) / (z - x)
        least = p ** (1 - share) * r**share
        if least > q:
            place = -y if side == "above" else y
            place = math.exp(place) if one.logarithm else place
            text = f"'{first.text}' and '{last.text}' put at least {least:.3f} {side} {place:.4g} "
            text += f"where '{middle.text}' leaves at most {q:.3f}"
            yield least - q, f"{text}, so they are not the numbers of a log-concave density"


def check_likelihoods(posteriors: Sequence[PrintedPosterior]) -> Section:
    """Hold posteriors of one likelihood, and their priors, to one normal likelihood behind them."""
    names = dict.fromkeys(one.likelihood for one in posteriors if one.likelihood)
    found: list[Finding] = []
    for name in names:
        group = [one for one in posteriors if one.likelihood == name and one.prior]
        if group:
            found += _likelihood_findings(name, group)
    return Section("bayes_likelihood", None, found)


def _likelihood_findings(name: str, group: list[PrintedPosterior]) -> list[Finding]:
    """Return what a group says together and, where that is a contradiction, each posterior."""
    if (together := _least_slack(group)) <= 1:
        return [_whole(name, group, together)]
    first = min(group, key=_information)
    alone = {one.name: _least_slack([one]) for one in group}
    found = [_whole(name, group, together)] if len(group) > 1 else []
    found += [_alone(one, alone[one.name]) for one in group if alone[one.name] > 1]
    behind = _likelihoods(first, max(alone[first.name], 1.0))
    found += [
        _follows(one, first, problems)
        for one in group
        if one is not first and (problems := list(_contradicted(one, behind)))
    ]
    return found


def _information(one: PrintedPosterior) -> float:
    """Return the information of a posterior's prior."""
    return one.prior.information[0] if one.prior else 0.0


def _whole(name: str, group: list[PrintedPosterior], slack: float) -> Finding:
    """Return what a group of posteriors says together."""
    names = ", ".join(one.name for one in group)
    holds = slack <= 1
    return Finding(
        id=f"bayes_likelihood:{name}",
        check="bayes_likelihood",
        severity="consistent" if holds else "contradiction",
        place="; ".join(map(_place, group)),
        statement=f"likelihood {name}: {'one' if holds else 'no'} normal likelihood gives the "
        f"printed posteriors {names} under their printed priors.",
        figures={"posteriors": len(group), "slack": slack},
    )


def _alone(one: PrintedPosterior, slack: float) -> Finding:
    """Return that no normal posterior prints the numbers of one posterior."""
    return Finding(
        id=f"bayes_likelihood:{one.name}",
        check="bayes_likelihood",
        severity="contradiction",
        place=_place(one),
        statement=f"{one.name}: no normal posterior prints {_texts(one)}.",
        figures={"slack": slack},
    )


def _texts(one: PrintedPosterior) -> str:
    """Return everything that is printed of a posterior."""
    return ", ".join(item.text for item in (*one.statements, *one.mean, *one.sd))


def _follows(one: PrintedPosterior, first: PrintedPosterior, problems: list[str]) -> Finding:
    """Return what follows for one posterior from the one that is nearest to the data."""
    prior = one.prior.text if one.prior else ""
    return Finding(
        id=f"bayes_likelihood:{first.name}:{one.name}",
        check="bayes_likelihood",
        severity="contradiction",
        place=f"{_place(first)}; {_place(one)}",
        statement=f"{one.name}: under {prior} the likelihood behind {first.name} gives "
        f"{'; '.join(problems)}.",
        figures={"numbers": len(problems)},
    )


def _least_slack(group: Sequence[PrintedPosterior]) -> float:
    """Return how many times its Monte Carlo error each probability must be off, 1 at the least."""
    low, high = 1.0, MOST_SLACK
    if _feasible(group, low):
        return low
    if not _feasible(group, high):
        return math.inf
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if _feasible(group, middle) else (middle, high)
    return high


def _feasible(group: Sequence[PrintedPosterior], slack: float) -> bool:
    """Tell whether some normal likelihood gives all posteriors of a group."""
    return bool((_gap(group, _informations(group, slack), slack) <= 0).any())


def _informations(group: Sequence[PrintedPosterior], slack: float) -> FloatArray:
    """Return the information of likelihoods, one over the variance, finest where they fit best."""
    places = [
        end
        for one in group
        for item in (*one.statements, *one.mean, *one.sd)
        for end in item.at
        if math.isfinite(end)
    ]
    width = max(max(places) - min(places), max(map(abs, places)) * ROOM, ROOM**2)
    grid = (width * GRID) ** -2.0
    found = [grid]
    for _ in range(ZOOMS):
        best = int(np.argmin(_gap(group, grid, slack)))
        ends = grid[max(best - 2, 0)], grid[min(best + 2, len(grid) - 1)]
        grid = np.geomspace(*ends, ZOOMED)
        found.append(grid)
    return np.concatenate(found)


def _gap(group: Sequence[PrintedPosterior], information: FloatArray, slack: float) -> FloatArray:
    """Return by how many standard errors each likelihood fails to give all; 0 and less fits."""
    ends = np.array([_ends(one, information, slack) for one in group])
    apart = (ends[:, 0].max(axis=0) - ends[:, 1].min(axis=0)) / np.sqrt(information)
    return np.asarray(np.maximum(apart, ends[:, 2:].max(axis=(0, 1)) - 1))


def _ends(
    one: PrintedPosterior, information: FloatArray, slack: float
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return least and largest estimate times information, and ratios of the sd that are at most 1.

    Of all priors that print as the posterior's own: the least printed sd over the posterior's, and
    the posterior's over the largest printed.
    """
    found = [_weight(one, information, prior, slack) for prior in _corners(one)]
    low, high, short, long = map(np.array, zip(*found, strict=True))
    return low.min(axis=0), high.max(axis=0), short.min(axis=0), long.min(axis=0)


def _corners(one: PrintedPosterior) -> list[tuple[float, float]]:
    """Return mean and information of a prior at the corners of its rounding."""
    if one.prior is None:
        return [(0.0, 0.0)]
    return list(dict.fromkeys(product(one.prior.mean, one.prior.information)))


def _weight(
    one: PrintedPosterior, information: FloatArray, prior: tuple[float, float], slack: float
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return the same under one prior."""
    whole = information + prior[1]
    sd = whole**-0.5
    low, high = np.full(information.shape, -np.inf), np.full(information.shape, np.inf)
    for item in one.statements:
        p, q = _widened(item, slack)
        low = np.maximum(low, item.at[0] - special.ndtri(q) * sd)
        high = np.minimum(high, item.at[1] - special.ndtri(p) * sd)
    for item in one.mean:
        low, high = np.maximum(low, item.at[0]), np.minimum(high, item.at[1])
    short, long = np.zeros(information.shape), np.zeros(information.shape)
    for item in one.sd:
        short, long = np.maximum(short, item.at[0] / sd), np.maximum(long, sd / item.at[1])
    shift = prior[0] * prior[1]
    return low * whole - shift, high * whole - shift, short, long


def _likelihoods(one: PrintedPosterior, slack: float) -> tuple[FloatArray, FloatArray]:
    """Return estimate and information of likelihoods at the ends of what one posterior allows."""
    information = _informations([one], slack)
    there = information[_gap([one], information, slack + ROOM) <= 0]
    low, high, *_ = _ends(one, there, slack + ROOM)
    return np.concatenate([low, high]) / np.tile(there, 2), np.tile(there, 2)


def _contradicted(
    one: PrintedPosterior, likelihoods: tuple[FloatArray, FloatArray]
) -> Iterator[str]:
    """Yield the probabilities that none of the likelihoods gives under the posterior's prior."""
    for item in one.statements:
        implied = [_below(item.at, *likelihoods, prior) for prior in _corners(one)]
        least, most = min(a for a, _ in implied), max(b for _, b in implied)
        p, q = _widened(item)
        if least > q or most < p:
            yield _said(least, most, item)


def _below(at: Box, estimate: FloatArray, u: FloatArray, prior: tuple[float, float]) -> Box:
    """Return the least and largest P(below) of a place under likelihoods and a prior."""
    whole = u + prior[1]
    mean = (estimate * u + prior[0] * prior[1]) / whole
    low, high = (special.ndtr((end - mean) * np.sqrt(whole)) for end in at)
    return float(low.min()), float(high.max())


def _said(least: float, most: float, item: Statement) -> str:
    """Return an implied probability beside the printed number, in its direction."""
    if not item.text.startswith("P"):
        return f"{least:.3f} to {most:.3f} below the printed '{item.text}'"
    above = ">" in item.text.partition(")")[0]
    low, high = (1 - most, 1 - least) if above else (least, most)
    return f"{low:.3f} to {high:.3f} for the printed '{item.text}'"
