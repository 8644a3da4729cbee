"""Small trials of odd data: each kind by name, and random ones, read from files as people hand in.

What every engine has to do with them is `answered`: a finite answer with checks, or one true
sentence that says what is the matter.
"""

from __future__ import annotations

import json
import math
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayes_ptsd.compiled import CompiledModels
from bayes_ptsd.errors import BayesPtsdError, StatisticalWarning
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.patients import load_patients
from bayes_ptsd.fit import fit_model
from bayes_ptsd.models_files import load_model
from bayes_ptsd.simulation.patients import made_up_trial
from bayes_ptsd.specification import ModelSpec
from bayes_ptsd.trial import Trial

__all__ = [
    "CATEGORIES",
    "EXACT",
    "KINDS",
    "Scores",
    "answered",
    "assert_finite",
    "integrated",
    "model_of",
    "odd_categories",
    "odd_evidence",
    "random_categories",
    "random_evidence",
]

FloatArray = NDArray[np.float64]
Generator = np.random.Generator

EXACT: Mapping[str, Mapping[str, Any]] = {
    "crossover": {},
    "crossover-bivariate": {},
    "crossover-carryover": {},
    "crossover-completers": {},
    "crossover-log": {},
    "crossover, baseline": {"baseline": "covariate"},
    "first-period": {"baseline": "none"},
    "first-period, baseline": {},
    "first-period, arms": {"baseline": "none", "arm_sd": "unequal"},
}
"""Models of a score that have an exact engine, with the options that make them one."""


class Scores:
    """Scores and baselines of two sequences, dims (subject, period); NaN where there is none."""

    def __init__(self, rng: Generator, each: tuple[int, int]) -> None:
        """Simulate a trial: level 50, subjects differ by 8, scores within by 5, active 4 better."""
        self.rng = rng
        self.first = np.repeat([True, False], each)
        count = len(self.first)
        self.baseline = 50 + 10 * rng.normal(size=count)
        gain = np.where(self.first[:, None], [4.0, 0.0], [0.0, 4.0])
        effects = 8 * rng.normal(size=(count, 1)) + 0.3 * (self.baseline[:, None] - 50)
        self.score = np.round(50 + effects + gain + 5 * rng.normal(size=(count, 2)), 1)

    @property
    def active(self) -> NDArray[np.bool_]:
        """Whether a score is under the active treatment."""
        return np.stack([self.first, ~self.first], axis=1)

    def table(self) -> str:
        """Return the patient file."""
        lines = ["subject,sequence,period,treatment,value,baseline"]
        for subject, first in enumerate(self.first):
            for period in (0, 1):
                drug = "A" if first == (period == 0) else "B"
                score, before = self.score[subject, period], self.baseline[subject]
                cells = ["" if math.isnan(x) else repr(float(x)) for x in (score, before)]
                line = [f"S{subject:02d}", "AB" if first else "BA", str(period + 1), drug, *cells]
                lines.append(",".join(line))
        return "\n".join(lines) + "\n"


Kind = Callable[[Scores], None]


def _set(scores: Scores, value: Any, where: Any = slice(None)) -> None:
    """Put scores somewhere."""
    scores.score[where] = value


def _missing(scores: Scores, subjects: Any, period: int) -> None:
    """Take the scores of some subjects in a period away."""
    scores.score[subjects, period] = np.nan


def _identical(scores: Scores) -> None:
    """Let all differences between the treatments be 5."""
    scores.score = np.where(scores.active, scores.score[:, :1] + 5, scores.score[:, :1])


def _drop(scores: Scores, keep: NDArray[np.bool_]) -> None:
    """Keep some subjects."""
    scores.first, scores.score = scores.first[keep], scores.score[keep]
    scores.baseline = scores.baseline[keep]


def _one_a_sequence(scores: Scores) -> None:
    """Keep the first subject of each sequence."""
    place = np.arange(len(scores.first))
    _drop(scores, (place == 0) | (place == np.argmin(scores.first)))


def _outlier(scores: Scores) -> None:
    """Mistype one score by a factor of a million."""
    scores.score[0, 0] *= 1e6


def _scaled(scores: Scores, factor: float, shift: float = 0.0) -> None:
    """Change unit and origin of the scores."""
    scores.score = scores.score * factor + shift


def _same_baseline(scores: Scores) -> None:
    """Let all baselines be 50."""
    scores.baseline[:] = 50


def _baseline_is_arm(scores: Scores) -> None:
    """Let the baseline tell the sequence and nothing else."""
    scores.baseline = 40 + 10.0 * scores.first


def _baseline_is_score(scores: Scores) -> None:
    """Let the baseline be the score of period 1."""
    scores.baseline = scores.score[:, 0].copy()


def _no_baseline_of_some(scores: Scores) -> None:
    """Take the baselines of two subjects away."""
    scores.baseline[:2] = np.nan


KINDS: Mapping[str, Kind] = {
    "plain": lambda _: None,
    "constant": lambda s: _set(s, 42.0),
    "zero": lambda s: _set(s, 0.0),
    "constant by treatment": lambda s: _set(s, np.where(s.active, 45.0, 40.0)),
    "constant in period 1": lambda s: _set(s, 40.0, np.s_[:, 0]),
    "constant in period 1 by arm": lambda s: _set(s, np.where(s.first, 45.0, 40.0), np.s_[:, 0]),
    "constant within patients": lambda s: _set(s, s.score[:, :1]),
    "identical differences": _identical,
    "identical changes": lambda s: _set(s, s.score[:, 0] + 11, np.s_[:, 1]),
    "one a sequence": _one_a_sequence,
    "one patient": lambda s: _drop(s, np.arange(len(s.first)) == 0),
    "two of one sequence": lambda s: _drop(s, np.arange(len(s.first)) < 2),
    "one sequence": lambda s: _drop(s, s.first),
    "no second visit": lambda s: _missing(s, slice(None), 1),
    "no first visit": lambda s: _missing(s, slice(None), 0),
    "no second visit in BA": lambda s: _missing(s, ~s.first, 1),
    "no first visit in AB": lambda s: _missing(s, s.first, 0),
    "active arm empty": lambda s: _set(s, np.where(s.active, np.nan, s.score)),
    "no score": lambda s: _set(s, np.nan),
    "huge": lambda s: _scaled(s, 1e12),
    "tiny": lambda s: _scaled(s, 1e-12),
    "far from zero": lambda s: _scaled(s, 1.0, 1e9),
    "ties": lambda s: _set(s, np.round(s.score / 20) * 20),
    "two values": lambda s: _set(s, np.where(s.score > 50, 1.0, 0.0)),
    "an outlier": _outlier,
    "negative": lambda s: _scaled(s, -1.0),
    "same baseline": _same_baseline,
    "baseline is the arm": _baseline_is_arm,
    "baseline is the score": _baseline_is_score,
    "baselines missing": _no_baseline_of_some,
}
"""Kinds of odd scores by name; each changes a plain trial."""


CATEGORIES: Mapping[str, Callable[[Scores, int], None]] = {
    "plain": lambda _, __: None,
    "one category": lambda s, top: _set(s, float(top)),
    "separated": lambda s, top: _set(s, np.where(s.active, float(top), 0.0)),
    "zero events under A": lambda s, _: _set(s, np.where(s.active, 0.0, s.score)),
    "ends only": lambda s, top: _set(s, np.where(s.score > top / 2, float(top), 0.0)),
    "constant within patients": lambda s, _: _set(s, s.score[:, :1]),
    **{
        name: lambda s, _, kind=KINDS[name]: kind(s)  # type: ignore[misc]
        for name in (
            "one a sequence",
            "no second visit",
            "no first visit",
            "no second visit in BA",
            "no first visit in AB",
            "active arm empty",
        )
    },
}
"""Kinds of odd categories 0 to `top`, by name."""


def odd_evidence(
    kind: str, *, seed: int = 1, each: tuple[int, int] = (6, 6), reference_sd: float | None = None
) -> Evidence:
    """Read a trial of one kind of odd scores from its file; a refusal is an error."""
    scores = Scores(np.random.default_rng(seed), each)
    KINDS[kind](scores)
    return _read(_with(made_up_trial(), reference_sd=reference_sd), scores)


def odd_categories(kind: str, top: int, *, seed: int = 1) -> Evidence:
    """Read a trial of one kind of odd categories, 0 and 1 or 0 to `top`, from its file."""
    rng = np.random.default_rng(seed)
    return _read(*_categorized(Scores(rng, (6, 6)), [kind], top))


def random_evidence(seed: int) -> Evidence:
    """Read a random small trial of scores, up to two kinds of odd data upon each other."""
    rng = np.random.default_rng(seed)
    scores = Scores(rng, (int(rng.integers(1, 8)), int(rng.integers(1, 8))))
    for kind in rng.choice(list(KINDS), size=rng.integers(0, 3)):
        KINDS[kind](scores)
    _lose(scores)
    trial = made_up_trial(better=rng.choice(["lower", "higher"]))
    known = {"reference_sd": 10.0, "mcid": 5.0} if rng.uniform() < 0.4 else {}
    return _read(_with(trial, **known), scores)


def random_categories(seed: int, top: int) -> Evidence:
    """Read a random small trial of an outcome in categories, 0 and 1 or 0 to `top`."""
    rng = np.random.default_rng(seed)
    scores = Scores(rng, (int(rng.integers(1, 8)), int(rng.integers(1, 8))))
    trial, scores = _categorized(scores, rng.choice(list(CATEGORIES), size=1), top)
    _lose(scores)
    return _read(trial, scores)


def _with(trial: Trial, **known: Any) -> Trial:
    """Return a trial whose endpoint has more known of it."""
    return replace(trial, endpoints={"score": replace(trial.endpoints["score"], **known)})


def _categorized(scores: Scores, kinds: Any, top: int) -> tuple[Trial, Scores]:
    """Cut scores into categories and make them odd."""
    scores.score = np.clip(np.round(top * (scores.score - 30) / 40), 0, top)
    scores.baseline[:] = np.nan
    for kind in kinds:
        CATEGORIES[kind](scores, top)
    if top == 1:
        return made_up_trial(kind="binary"), scores
    return made_up_trial(kind="ordinal", range=(0.0, float(top))), scores


def _lose(scores: Scores) -> None:
    """Lose no score, a tenth of them or two fifths at random."""
    lost = scores.rng.choice([0.0, 0.1, 0.4])
    scores.score[scores.rng.uniform(size=scores.score.shape) < lost] = np.nan


def _read(trial: Trial, scores: Scores) -> Evidence:
    """Write a patient file and read it again."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "patients.csv"
        path.write_text(scores.table(), encoding="utf-8")
        return load_patients(path, trial)


def model_of(name: str, prior: str = "") -> ModelSpec:
    """Return a model of `EXACT`, or a shipped one, perhaps under another prior of the treatment."""
    spec = load_model(name.partition(",")[0]).having(options=dict(EXACT.get(name, {})))
    return spec.under(prior) if prior else spec


def answered(
    make: Callable[[], Evidence],
    spec: ModelSpec,
    *,
    engine: str = "exact",
    compiled: CompiledModels | None = None,
) -> str:
    """Fit; return ``answer``, ``answer, checks failed`` or the one sentence of a refusal.

    Anything else, such as a warning of a library or a number that is none, is an AssertionError.
    """

    def fit() -> str:
        found = fit_model(
            make(), spec, engine=engine, draws=100, tune=200, chains=2, compiled=compiled
        )
        assert_finite(found)
        return "answer" if found.attrs["checks_passed"] else "answer, checks failed"

    return _said(fit)


def integrated(make: Callable[[], Evidence], spec: ModelSpec) -> str:
    """Integrate without checks; return ``answer`` or the one sentence of a refusal."""

    def integrate() -> str:
        groups = spec.room.exact(spec.room.problem(make(), spec).model, 1)
        assert isinstance(groups, dict)
        for name in ("posterior", "exact"):
            _assert_numbers(groups[name], name)
        return "answer"

    return _said(integrate)


def _said(work: Callable[[], str]) -> str:
    """Return what work returns, or the sentence of its refusal, which must be one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", StatisticalWarning)
            return work()
    except BayesPtsdError as error:
        message = str(error)
        assert message, "an empty message"
        assert "\n" not in message.partition("\n  ")[0], message
        assert not {"nan", "inf", "-inf"} & set(message.replace(",", " ").split()), message
        return message


def assert_finite(fit: xr.DataTree) -> None:
    """Assert that every number that a fit says is one."""
    for group in ("posterior", "exact", "prior", "log_likelihood"):
        if group in fit.children:
            _assert_numbers(fit[group].to_dataset(), group)
    for name, found in json.loads(fit.attrs["summary"]).items():
        for key in ("mean", "sd", "prob_benefit"):
            value = found.get(key)
            assert value is None or math.isfinite(value), f"{name}: {key} is {value}"


def _assert_numbers(table: xr.Dataset, group: str) -> None:
    """Assert that no value is infinite, and none missing but means that do not exist."""
    for name, values in table.data_vars.items():
        assert not np.isinf(values.values.astype(float)).any(), f"{group}: {name}"
        allowed = group == "log_likelihood" or name in ("mean", "sd")
        assert allowed or bool(values.notnull().all()), f"{group}: {name}"
