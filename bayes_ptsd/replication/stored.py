"""Stored results as the ground of a replication prior: one fit, or one of each reconstruction."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import xarray as xr

from bayes_ptsd.errors import SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.replication.document import original_estimate

__all__ = ["observed_estimate", "pooled_fit"]

DIFFERENCE = "treatment_difference"
SAME = ("model", "prior", "endpoint", "timepoint", "contrast", "convention", "evidence_kind")
READINGS = ("crossover_reading", "flow_reading")
# of all members together: five exact fits in full, and a pool of any size in the memory of these
MOST_DRAWS = 20_000


def pooled_fit(fits: Sequence[xr.DataTree]) -> xr.DataTree:
    """Return several fits of one model as one, each with equal weight.

    Meant for a model that was fitted to every reconstruction of one reading: the data are never
    stacked, the posteriors are mixed. ``posterior`` has as many draws of each, of the parameters
    that all have; ``exact`` the mean density where all are exact; attribute ``frequentist`` the
    mean estimate and standard error where all keep one. A single fit is returned as it is.
    """
    if not fits:
        raise SpecError("a replication prior needs at least one fit")
    if len(fits) == 1:
        return fits[0]
    members = [str(fit.attrs.get("result_id", "")) for fit in fits]
    twice = sorted({name for name in members if name and members.count(name) > 1})
    if twice:
        raise SpecError(f"result named twice: {', '.join(twice)}")
    _refuse_different(fits)
    groups = {"posterior": _draws(fits)}
    if all(_has_exact(fit) for fit in fits):
        groups["exact"] = _mean_density(fits)
    tree = xr.DataTree.from_dict(groups)
    tree.attrs = {key: value for key, value in fits[0].attrs.items()
                  if key not in ("result_id", "frequentist")}  # fmt: skip
    tree.attrs["members"] = json.dumps(members)
    mirrors = [_mirror(fit) for fit in fits]
    seen = [one for one in mirrors if one is not None]
    if len(seen) == len(fits):
        estimate, se = np.mean(seen, axis=0).tolist()
        tree.attrs["frequentist"] = json.dumps({"estimate": estimate, "se": se})
    return tree


def observed_estimate(
    fit: xr.DataTree, evidence: Evidence | None = None
) -> tuple[float, float] | None:
    """Return the estimate and standard error that a replication of this result is held against.

    Of a printed row under convention N; of patients, by the frequentist analysis of the same
    estimand that their fit keeps; of a result pooled over reconstructions of `evidence`, the row
    that they print; None where there is neither. Score units, benefit-positive.
    """
    contrast = str(fit.attrs.get("contrast", ""))
    if contrast and evidence is not None:
        reading = str(fit.attrs.get("crossover_reading", "")) or "as_published"
        return original_estimate(evidence, contrast, reading=reading)
    own = _mirror(fit)
    return own if own is not None or evidence is None else _printed(fit, evidence)


def _printed(fit: xr.DataTree, evidence: Evidence) -> tuple[float, float] | None:
    """Return the printed row that the reconstructed patients of a pooled result print."""
    if str(fit.attrs.get("printed_digest", "")) != evidence.digest:
        return None
    effects = evidence.data["effects"].to_dataset()
    wanted = {
        "analysis": json.loads(fit.attrs["spec"])["structure"],
        "endpoint": fit.attrs["endpoint"],
        "timepoint": fit.attrs["timepoint"],
        "term": "treatment",
    }
    same = np.all([effects[key].values == value for key, value in wanted.items()], axis=0)
    names = [str(name) for name in effects["contrast"].values[same] if not str(name).endswith("*")]
    if len(names) != 1:
        return None
    crossed = wanted["analysis"] == "crossover"
    reading = str(fit.attrs["crossover_reading"]) if crossed else "as_published"
    return original_estimate(evidence, names[0], reading=reading)


def _mirror(fit: xr.DataTree) -> tuple[float, float] | None:
    """Return estimate and standard error of the frequentist analysis beside a fit."""
    found = json.loads(fit.attrs.get("frequentist", "{}"))
    pair = (found.get("estimate"), found.get("se"))
    if None in pair or not pair[1] > 0:
        return None
    return float(pair[0]), float(pair[1])


def _refuse_different(fits: Sequence[xr.DataTree]) -> None:
    """Refuse fits that are not of one model, prior, endpoint and reading."""
    readings = [json.loads(fit.attrs.get("assumptions", "{}")) for fit in fits]
    for key in (*SAME, *READINGS):
        values = {
            str(fit.attrs.get(key, assumed.get(key, "")))
            for fit, assumed in zip(fits, readings, strict=True)
        }
        if len(values) > 1:
            raise SpecError(
                f"the results differ in {key}: {', '.join(sorted(values))}; pool results that "
                "differ in their patients only"
            )


def _draws(fits: Sequence[xr.DataTree]) -> xr.Dataset:
    """Return as many draws of each fit, one chain a fit."""
    parts = []
    for fit in fits:
        if "posterior" not in fit.children or DIFFERENCE not in fit["posterior"].data_vars:
            name = fit.attrs.get("result_id", "a result")
            raise SpecError(f"{name} keeps no draws of the treatment difference to pool")
        drawn = fit["posterior"].to_dataset()
        flat = drawn.stack(one=("chain", "draw"), create_index=False)
        parts.append(flat.drop_vars(["chain", "draw"], errors="ignore"))
    count = min([MOST_DRAWS // len(fits), *(part.sizes["one"] for part in parts)])
    names = set.intersection(*(set(map(str, part.data_vars)) for part in parts))
    thinned = [
        part[sorted(names)].isel(
            one=np.linspace(0, part.sizes["one"] - 1, count).round().astype(int)
        )
        for part in parts
    ]
    return xr.concat(thinned, dim="chain", join="override").rename(one="draw")


def _has_exact(fit: xr.DataTree) -> bool:
    """Return whether a fit has the density of the treatment difference."""
    if "exact" not in fit.children:
        return False
    return DIFFERENCE in fit["exact"].to_dataset()["estimand"].values


def _mean_density(fits: Sequence[xr.DataTree]) -> xr.Dataset:
    """Return the equal mixture of exact posteriors on one grid."""
    parts = [fit["exact"].to_dataset().sel(estimand=DIFFERENCE) for fit in fits]
    grid = np.unique(np.concatenate([part["value"].values for part in parts]))
    mean, sd = (np.array([float(part[key]) for part in parts]) for key in ("mean", "sd"))
    sides = {"pdf": (0.0, 0.0), "cdf": (0.0, 1.0)}
    table = {
        key: np.mean(
            [np.interp(grid, part["value"], part[key], left, right) for part in parts], axis=0
        )
        for key, (left, right) in sides.items()
    }
    return xr.Dataset(
        {
            "value": ("grid", grid),
            **{key: ("grid", values) for key, values in table.items()},
            "mean": mean.mean(),
            "sd": float(np.sqrt(np.mean(sd**2) + mean.var())),
        }
    ).expand_dims(estimand=[DIFFERENCE])
