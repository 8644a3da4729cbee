"""Priors for other programs: RBesT's mixture JSON, PreliZ, PyMC, Stan, a plain table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from bayes_ptsd.errors import SpecError
from bayes_ptsd.priors import Prior
from bayes_ptsd.replication.mixtures import mixture_parts
from bayes_ptsd.whole_files import write_new

__all__ = [
    "mixture_frame",
    "mixture_json",
    "preliz_code",
    "pymc_code",
    "stan_code",
    "write_document",
    "write_mixture",
]

FAMILIES = {
    "normal": ("normMix", ("w", "m", "s"), "normal", ("mu", "sigma")),
    "beta": ("betaMix", ("w", "a", "b"), "binomial", ("shape1", "shape2")),
}


def mixture_json(prior: Prior, *, sigma: float | None = None) -> dict[str, Any]:
    """Return a mixture as the document that RBesT's ``read_mix_json`` reads.

    `sigma` is the sd of one unit, from which RBesT counts effective sample sizes of normal
    mixtures; every scalar is in a list, as R writes it.
    """
    family = _family(prior)
    name, rows, likelihood, keys = FAMILIES[family]
    weights, parts = mixture_parts(prior)
    labels = [f"comp{index}" for index in range(1, len(parts) + 1)]
    meta: dict[str, Any] = {"dim": [3, len(parts)], "dimnames": [list(rows), labels]}
    if sigma is not None and family == "normal":
        meta["sigma"] = [float(sigma)]
    meta |= {"class": [name, "mix"], "likelihood": [likelihood], "link": ["identity"]}
    columns = [weights.tolist(), *([float(part.params[key]) for part in parts] for key in keys)]
    return {"meta": meta, "comp": columns}


def write_mixture(prior: Prior, path: Path, *, sigma: float | None = None) -> Path:
    """Write a mixture for RBesT's ``read_mix_json`` to a new file; one that exists is refused."""
    return write_document(mixture_json(prior, sigma=sigma), path)


def write_document(document: dict[str, Any], path: Path) -> Path:
    """Write a JSON document to a new file; one that exists is refused.

    NaN is no JSON: it raises ValueError, before anything is written.
    """
    text = json.dumps(document, allow_nan=False) + "\n"
    write_new({path: text.encode()}, error=SpecError)
    return path


def mixture_frame(prior: Prior) -> pd.DataFrame:
    """Return a mixture as a plain table, one row a component."""
    weights, parts = mixture_parts(prior)
    rows = [{"weight": float(w), **part.table()} for w, part in zip(weights, parts, strict=True)]
    return pd.DataFrame(rows)


def preliz_code(prior: Prior, *, name: str = "prior") -> str:
    """Return Python code that makes a mixture, the variable `name`, in PreliZ."""
    weights, parts = mixture_parts(prior)
    made = [f"pz.{_python(part)}" for part in parts]
    if len(made) == 1:
        body = f"{name} = {made[0]}"
    else:
        lines = "".join(f"    {line},\n" for line in made)
        body = f"{name} = pz.Mixture([\n{lines}], {weights.tolist()})"
    _family(prior)
    return f"import preliz as pz\n\n{body}\n"


def pymc_code(prior: Prior, *, name: str = "treatment_difference") -> str:
    """Return Python code that defines ``replication_model``, a PyMC model under this prior.

    It is a function of the replication's data: estimate and standard error of a treatment
    difference, or patients and events of a proportion.
    """
    weights, parts = mixture_parts(prior)
    if len(parts) == 1:
        call = _python(parts[0]).replace("(", f'("{name}", ', 1)
        body = f"        {name} = pm.{call}\n"
    else:
        dists = [_python(part).replace("(", ".dist(", 1) for part in parts]
        lines = "".join(f"            pm.{line},\n" for line in dists)
        body = (
            f'        {name} = pm.Mixture("{name}", w={weights.tolist()}, comp_dists=[\n'
            f"{lines}        ])\n"
        )
    if _family(prior) == "normal":
        data, seen = (
            "estimate, se",
            f'pm.Normal("estimate", mu={name}, sigma=se, observed=estimate)',
        )
    else:
        data, seen = "n, r", f'pm.Binomial("r", n=n, p={name}, observed=r)'
    return (
        f"import pymc as pm\n\n\ndef replication_model({data}):\n    with pm.Model() as model:\n"
        f"{body}        {seen}\n    return model\n"
    )


def stan_code(prior: Prior, *, name: str = "treatment_difference") -> str:
    """Return the ``target +=`` statement that adds this prior to the density of a Stan model."""
    keys = FAMILIES[_family(prior)][3]
    weights, parts = mixture_parts(prior)
    terms = []
    for weight, part in zip(weights, parts, strict=True):
        numbers = ", ".join(repr(float(part.params[key])) for key in keys)
        log_weight = f"log({float(weight)!r}) + " if len(parts) > 1 else ""
        terms.append(f"{log_weight}{part.dist}_lpdf({name} | {numbers})")
    if len(terms) == 1:
        return f"target += {terms[0]};\n"
    lines = ",\n".join(f"  {term}" for term in terms)
    return f"target += log_sum_exp({{\n{lines}\n}});\n"


def _family(prior: Prior) -> str:
    """Return the family of all components, or refuse."""
    kinds = {part.dist for part in mixture_parts(prior)[1]}
    if len(kinds) != 1 or not kinds <= set(FAMILIES):
        raise SpecError(
            f"only mixtures of normal or of beta densities are exported: {prior.formula}"
        )
    return kinds.pop()


def _python(part: Prior) -> str:
    """Return a component as a call of PreliZ and PyMC, which share names."""
    if part.dist == "normal":
        return f"Normal(mu={part.params['mu']!r}, sigma={part.params['sigma']!r})"
    return f"Beta(alpha={part.params['shape1']!r}, beta={part.params['shape2']!r})"
