"""What is wrong with an installation: versions, folders, and one number from each engine."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement

from bayes_ptsd.errors import BayesPtsdError
from bayes_ptsd.estimands import estimate
from bayes_ptsd.evidence.published import load_published, select_contrast
from bayes_ptsd.exact.printed import fit_exact
from bayes_ptsd.models_files import load_model
from bayes_ptsd.store import ResultStore

__all__ = ["Finding", "check_installation"]

CONTRAST, PRIOR = "T2.IESR.F", "skeptical"
PUBLISHED = 0.9751
"""P(benefit) of that row under that prior, convention T: a number of the documentation."""


class Finding(NamedTuple):
    """One thing that an installation needs."""

    what: str
    found: str
    good: bool
    remedy: str  # empty where it is good


def check_installation(store: str | Path, *, sample: bool = True) -> list[Finding]:
    """Look at all that the commands need; `sample` compiles and samples one model, ten seconds."""
    found = [_python(), *_libraries(), _folder(Path(store))]
    found.append(_computed("exact engine", _exact))
    return [*found, _computed("sampler", _sampled)] if sample else found


def _python() -> Finding:
    """Look at the Python that runs."""
    good = sys.version_info >= (3, 11)
    return Finding("Python", platform.python_version(), good, "" if good else "install 3.11")


def _libraries() -> Iterator[Finding]:
    """Look at every library that the package requires on this Python."""
    for text in metadata.requires("bayes-ptsd") or []:
        needed = Requirement(text)
        if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(needed.name)
        except metadata.PackageNotFoundError:
            version = "not installed"
        good = version != "not installed" and needed.specifier.contains(version, prereleases=True)
        remedy = "" if good else f"pip install '{needed.name}{needed.specifier}'"
        yield Finding(needed.name, version, good, remedy)


def _folder(store: Path) -> Finding:
    """Look whether results can be stored."""
    if not store.exists():
        near = next(place for place in store.absolute().parents if place.exists())
        good = near.is_dir() and os.access(near, os.W_OK)
        words = f"{store}: not there yet, {near} {'can' if good else 'cannot'} be written"
        return Finding("store", words, good, "" if good else "choose another folder with --store")
    try:
        ResultStore(store).check_writable()
    except BayesPtsdError as error:
        return Finding("store", str(error), False, "choose another folder with --store")
    return Finding("store", f"{store}: can be written", True, "")


def _computed(what: str, compute: Callable[[], tuple[str, bool]]) -> Finding:
    """Look whether an engine works and gives the known number."""
    try:
        words, good = compute()
    except Exception as error:
        return Finding(what, f"{type(error).__name__}: {error}", False, "reinstall from the lock")
    return Finding(what, words, good, "" if good else "reinstall from the lock")


def _exact() -> tuple[str, bool]:
    """Compute one posterior exactly."""
    row = select_contrast(load_published(), CONTRAST)
    fit = fit_exact(row, load_model("published-first-period").having(priors={"treatment": PRIOR}))
    probability = float(estimate(fit).sel(estimand="treatment_difference")["prob_benefit"])
    words = f"P(benefit) of {CONTRAST}, {PRIOR} prior: {probability:.4f}, documented {PUBLISHED}"
    return words, abs(probability - PUBLISHED) < 0.0001


def _sampled() -> tuple[str, bool]:
    """Sample the same posterior."""
    from bayes_ptsd.fit import fit_model

    row = select_contrast(load_published(), CONTRAST)
    spec = load_model("published-first-period").having(priors={"treatment": PRIOR})
    exact, sampled = (
        estimate(fit).sel(estimand="treatment_difference")
        for fit in (fit_exact(row, spec), fit_model(row, spec, engine="nuts", chains=2))
    )
    off = float((sampled["mean"] - exact["mean"]) / sampled["mcse_mean"])
    words = f"mean {float(sampled['mean']):.2f}, {off:+.1f} Monte Carlo errors from the exact one"
    return words, abs(off) < 4
