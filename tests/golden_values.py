"""What every shipped model answers about its example, kept so that moving code cannot move numbers.

`python tests/golden_values.py quick.json` writes the files of `golden_files/` anew, where
quick.json is what `bayes-ptsd reanalyze --quick --json` printed: for a change that is meant to move
posteriors, with its reason in CHANGELOG.md.
"""

from __future__ import annotations

import json
import math
import sys
import warnings
import zlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.describe import example_evidence
from bayes_ptsd.errors import BayesPtsdError, FitError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.fit import build_model, chosen_engine, fit_model
from bayes_ptsd.fit_view import fit_document
from bayes_ptsd.models_files import list_models, load_model
from bayes_ptsd.specification import ModelSpec

FOLDER = Path(__file__).parent / "golden_files"
POINTS = 20
SCALE = 0.3
"""Spread of the points around the initial one, on the unconstrained scale: far enough that every
term of the density moves, near enough that none overflows."""
PASSING = ("seconds", "result_id", "report", "path", "document")
"""What differs between two runs: times, folders, and ids, which hold the versions of structures."""
LIMIT = 1e-9
"""Largest difference of two numbers, of those above 1 relative: sums of some thousand draws differ
by less between two versions of NumPy, a change of a prior or of a node of a grid by more."""
SMOOTHED = 1e-5
"""The same of what an optimizer finds, which is read to three digits at most: between versions of
ArviZ 3e-7 was seen, between two kinds of processor with the same code 5e-7."""
OPTIMIZED = ("sensitivity", "/replication/priors/", "hdi95")
"""Places of such numbers: power-scaling, fitted mixtures, shortest intervals."""
LIBRARY = {"loo": ("se",)}
"""Groups whose variables ArviZ defines otherwise on each of the two stacks."""
OPTIONS: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "crossover": (
        {"baseline": "covariate"},
        {"sequence_effect": True, "period_sd": "unequal"},
        {"subject_effects": "sampled"},
        {"form": "bivariate", "period_sd": "unequal", "baseline": "joint", "carryover": True},
    ),
    "first-period": (
        {"baseline": "none"},
        {"interaction": True},
        {"arm_sd": "unequal"},
        {"likelihood": "student_t"},
    ),
    "longitudinal": (
        {"covariance": "compound", "visit_sd": "equal"},
        {"covariance": "autoregressive", "nugget": True, "baseline": "common_slope"},
        {"baseline": "none"},
    ),
    "depression-adjusted": ({"interaction": False}, {"baseline": "none"}),
    "subscales-patients": ({"baseline": "none"},),
    "ordinal": ({"baseline": "covariate"},),
    "binary": ({"baseline": "covariate"},),
}
"""Options beside those of the shipped files that no file has and that change the model."""


@cache
def kept(name: str) -> Any:
    """Return a file of golden values."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


@cache
def cases() -> Mapping[str, ModelSpec]:
    """Return every shipped model and those with further options, by a name that says which."""
    found = {name: load_model(name) for name in list_models()}
    for name, variants in OPTIONS.items():
        for options in variants:
            label = ",".join(f"{key}={value}" for key, value in options.items())
            found[f"{name}[{label}]"] = load_model(name).having(options=dict(options))
    return found


def answer(name: str) -> dict[str, Any]:
    """Return digest, exact fit and log densities of a model on its example."""
    spec = cases()[name]
    evidence = example_evidence(spec)
    found: dict[str, Any] = {"spec_id": spec.spec_id}
    try:
        chosen_engine(evidence, spec, engine="exact")
    except FitError:
        pass
    else:
        found |= _exact(evidence, spec)
    with warnings.catch_warnings():
        # without a BLAS to link to, PyTensor says so once a process
        warnings.simplefilter("ignore")
        return found | {"log_densities": _log_densities(name)}


def _exact(evidence: Evidence, spec: ModelSpec) -> dict[str, Any]:
    """Return the document of an exact fit and two sums of every variable of its groups."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = fit_model(evidence, spec, engine="exact")
    document = fit_document(fit, evidence, spec, thresholds=[5.0])
    return {
        "document": {key: value for key, value in document.items() if key not in PASSING},
        "groups": {
            name: _sums(node.to_dataset().drop_vars(LIBRARY.get(name, ())))
            for name, node in sorted(fit.children.items())
        },
    }


def _sums(group: xr.Dataset) -> dict[str, list[float]]:
    """Return number, sum and sum of squares of the finite values of each numeric variable."""
    found = {}
    for name, variable in sorted(group.data_vars.items(), key=lambda item: str(item[0])):
        if variable.dtype.kind in "fiub":
            values = variable.values.astype(float)
            values = values[np.isfinite(values)]
            found[str(name)] = [values.size, float(values.sum()), float((values**2).sum())]
    return found


def _log_densities(name: str) -> list[float] | str:
    """Return the log density of the PyMC model at fixed points, less that at the first of them.

    Constants that a library adds or not (PyMC's of an LKJ correlation) belong to no posterior.
    """
    try:
        found = densities(name)["total"]
    except BayesPtsdError as error:
        return str(error)
    return [float(one - found[0]) for one in found[1:]]


@cache
def densities(name: str) -> dict[str, Any]:
    """Return what the PyMC model says at fixed points, compiled once.

    ``total`` as the sampler has it, ``observed``, ``priors`` by variable (log densities by point)
    and ``draws``, every variable with its dims and one chain whose draws are the points.
    """
    spec = cases()[name]
    model = build_model(example_evidence(spec), spec)
    free = [*model.free_RVs, *model.potentials]
    values = model.unobserved_value_vars
    parts = [
        model.logp(),
        model.logp(vars=model.observed_RVs, jacobian=False),
        *(term.sum() for term in model.logp(vars=free, sum=False, jacobian=False)),
    ]
    compiled = model.compile_fn(
        [*parts, *values],
        inputs=model.value_vars,
        mode="FAST_COMPILE",
        on_unused_input="ignore",
    )
    start = model.initial_point(random_seed=1)
    rows = [
        compiled({name: value + SCALE * _noise(i, name, value) for name, value in start.items()})
        for i in range(POINTS)
    ]
    columns = [np.stack(column) for column in zip(*rows, strict=True)]
    dims = {value.name: model.named_vars_to_dims.get(value.name, ()) for value in values}
    named = dict(zip(dims, columns[len(parts) :], strict=True))
    return {
        "total": columns[0],
        "observed": columns[1],
        "priors": {term.name: one for term, one in zip(free, columns[2:], strict=False)},
        "draws": _draws(named, dims, model.coords),
    }


def _draws(
    columns: Mapping[str, Any], dims: Mapping[str, Any], coords: Mapping[str, Any]
) -> xr.Dataset:
    """Return values by point as one chain of draws; unnamed dims are called after the variable."""
    table = {}
    for name, values in columns.items():
        unnamed = [f"{name}_{i}" for i in range(values.ndim - 1)]
        own = [str(dim) for dim in dims[name]] or unnamed
        table[name] = (("chain", "draw", *own), values[None])
    used = {dim for own, _ in table.values() for dim in own}
    return xr.Dataset(table, coords={key: list(coords[key]) for key in used & coords.keys()})


def _noise(number: int, name: str, value: Any) -> Any:
    """Return normal noise seeded by name: the order of parameters in a model is free."""
    seed = [number, zlib.crc32(name.encode())]
    return np.random.default_rng(seed).normal(size=np.shape(value))


def settled(document: Any) -> Any:
    """Return a document of the quick reanalysis without what differs between two runs."""
    if isinstance(document, dict):
        # results are listed as they were finished, by several processes
        return {
            key: sorted(value) if key == "results" else settled(value)
            for key, value in document.items()
            if key not in PASSING
        }
    if isinstance(document, list):
        return [settled(value) for value in document]
    return document


def differences(found: Any, kept: Any, where: str = "") -> list[str]:
    """Return where two documents differ: numbers by more than `LIMIT`, everything else at all."""
    if isinstance(found, dict) and isinstance(kept, dict):
        lost = [f"{where}/{key}: in one only" for key in sorted(found.keys() ^ kept.keys())]
        pairs = [(found[key], kept[key], f"{where}/{key}") for key in found.keys() & kept.keys()]
    elif isinstance(found, list) and isinstance(kept, list) and len(found) == len(kept):
        lost = []
        pairs = [(a, b, f"{where}/{i}") for i, (a, b) in enumerate(zip(found, kept, strict=True))]
    else:
        return [] if _same(found, kept, where) else [f"{where}: {found!r}, kept {kept!r}"]
    return [*lost, *(line for pair in pairs for line in differences(*pair))]


def _same(found: Any, kept: Any, where: str) -> bool:
    """Say whether two leaves are the same."""
    numbers = [isinstance(one, (int, float)) and not isinstance(one, bool) for one in (found, kept)]
    if not all(numbers):
        return bool(found == kept)
    limit = SMOOTHED if any(place in where for place in OPTIMIZED) else LIMIT
    return math.isclose(found, kept, rel_tol=limit, abs_tol=limit)


def write(quick: Path) -> None:
    """Write the answers of all models, and the document of a quick reanalysis that was made."""
    FOLDER.mkdir(exist_ok=True)
    answers = {name: answer(name) for name in cases()}
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(one)}" for name, one in answers.items())
    (FOLDER / "models.json").write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
    document = settled(json.loads(quick.read_text(encoding="utf-8")))
    text = ",\n".join(f"{json.dumps(key)}: {json.dumps(one)}" for key, one in document.items())
    (FOLDER / "quick.json").write_text(f"{{\n{text}\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
