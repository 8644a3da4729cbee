"""One model over several reconstructions as one result, stored and read as any other result."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.check_roles import Check, check_table, failed_checks
from bayes_ptsd.estimands import estimand_draws, estimate, summary_document
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.patient_arrays import period_differences, period_lines
from bayes_ptsd.pooling import pool_crossover, pool_draws, pool_first_period, shared_assumptions
from bayes_ptsd.provenance import DEFAULT_SEED, make_result_id, stamp
from bayes_ptsd.reconstructed.sets import sets_digest
from bayes_ptsd.specification import ModelSpec
from bayes_ptsd.structures.crossover.model import crossover_model
from bayes_ptsd.structures.first_period.model import first_period_model

__all__ = ["EXACT", "LAYOUT", "pooled_exact", "pooled_fits", "pooled_id"]

DIFFERENCE = "treatment_difference"
LAYOUT = 2
"""What a pooled result holds, part of its id: raised when a group or a name changes."""
EXACT: Mapping[str, Any] = {"engine": "exact", "pooled": LAYOUT}
PARTS = ("within_sd", "between_sd", "between_set_share", "between_set_share_mcse")
GRID = ("value", "pdf", "cdf")
FIGURES = ("rhat_max", "ess_bulk_min", "ess_tail_min", "divergences", "ebfmi_min")
LABELED = ("visit_difference", "sd_visit", "visit_correlation", "prob_at_most", "sd_period")
"""Variables with dims of labels that are pooled beside the scalars."""


def pooled_id(
    patients: Sequence[Evidence], spec: ModelSpec, *, settings: Mapping[str, Any], seed: int
) -> str:
    """Return the identity of a pooled result: a digest of all its sets, its model and settings."""
    return make_result_id(sets_digest(patients), spec, settings=settings, seed=seed)


def pooled_exact(
    patients: Sequence[Evidence],
    spec: ModelSpec,
    *,
    printed: str,
    seed: int = DEFAULT_SEED,
) -> xr.DataTree:
    """Pool the exact posteriors of the treatment difference over reconstructions of one outcome.

    Group ``pooled`` has dims ``estimand`` and ``reconstruction``; ``exact`` is the mixture; of a
    crossover ``periods`` is what each period says alone, by reconstruction.
    """
    start = time.perf_counter()
    first = patients[0]
    endpoint, visit = (str(first.data["outcomes"][dim].item(0)) for dim in ("endpoint", "visit"))
    crossover = spec.room.reads == "periods"
    pool = pool_crossover if crossover else pool_first_period
    summary = pool(patients, spec, endpoint=endpoint, visit=visit)
    model = crossover_model(first, spec) if crossover else first_period_model(first, spec)
    named = {"estimand": [DIFFERENCE]}
    mixture = summary[[*GRID, "mean", "sd"]].assign(quadrature_error=0.0)
    groups = {
        "pooled": summary.drop_vars(GRID).drop_attrs().expand_dims(named),
        "exact": mixture.drop_attrs().expand_dims(named),
        "checks": check_table([Check("failed_fits", 0.0, 0.0, True)]),
    }
    tree = xr.DataTree.from_dict(groups)
    tree.attrs = stamp(
        first, spec, endpoint=model.endpoint, settings=EXACT, seed=seed, seconds=0.0, warnings=[]
    )
    prior = model.priors["treatment"]
    tree.attrs |= {
        "timepoint": visit,
        "prior": str(spec.document()["priors"]["treatment"]),
        "prior_formula": prior.formula,
        "prior_table": json.dumps(prior.table()),
        "members": "[]",
    }
    tree.attrs["seconds"] = time.perf_counter() - start
    return _named(tree, patients, spec, printed=printed, settings=EXACT, seed=seed)


def pooled_fits(
    fits: Sequence[xr.DataTree],
    patients: Sequence[Evidence],
    spec: ModelSpec,
    *,
    printed: str,
    settings: Mapping[str, Any],
    seed: int = DEFAULT_SEED,
) -> xr.DataTree:
    """Pool the draws of one model over reconstructions, failed fits included.

    A set whose sampling was hard is not left out: that would select the sets by what was not
    printed. How many fits failed a required check, and why, is part of the result. ``pooled`` has
    dims ``estimand`` and ``reconstruction``; ``posterior`` the draws of all fits, as many of each,
    one after the other on dim ``chain``; ``fits`` the checks by reconstruction; ``predictive`` what
    each fit predicts of its set.
    """
    drawn = [estimand_draws(fit) for fit in fits]
    mcid = json.loads(fits[0].attrs["endpoint_constants"])["mcid"]
    pooled = [
        pool_draws(
            np.stack([one[name].values.ravel() for one in drawn]),
            null=draws.attrs["null"],
            mcid=mcid if name.partition("[")[0] == DIFFERENCE else None,
        )
        .drop_vars(GRID)
        .assign(unit=draws.attrs["unit"])
        .expand_dims(estimand=[name])
        for name, draws in drawn[0].items()
    ]
    single = _by_reconstruction(fits)
    failed = int((~single["passed"]).sum())
    groups = {
        "pooled": xr.concat(pooled, dim="estimand"),
        "posterior": _draws_of_all(fits),
        "fits": single,
        "checks": check_table(
            [
                Check(
                    "failed_fits", failed, 0.0, failed == 0,
                    meaning=f"{failed} of {len(fits)} fits failed a required check",
                )
            ]
        ),
    }  # fmt: skip
    if all("predictive_summary" in fit.children for fit in fits):
        groups["predictive"] = _predictions(fits)
    tree = xr.DataTree.from_dict(groups)
    own = ("frequentist", "size", "dropped")
    tree.attrs = {key: value for key, value in fits[0].attrs.items() if key not in own}
    tree.attrs["seconds"] = sum(float(fit.attrs["seconds"]) for fit in fits)
    tree.attrs["members"] = json.dumps([fit.attrs["result_id"] for fit in fits])
    tree.attrs["warnings"] = json.dumps([*_common_notes(fits), *failed_checks(tree)])
    return _named(tree, patients, spec, printed=printed, settings=settings, seed=seed)


def _common_notes(fits: Sequence[xr.DataTree]) -> list[str]:
    """Return what is said of every single fit alike, such as that its visits are shrunk."""
    said = [json.loads(fit.attrs["warnings"]) for fit in fits]
    return [note for note in said[0] if all(note in other for other in said)]


def _named(
    tree: xr.DataTree,
    patients: Sequence[Evidence],
    spec: ModelSpec,
    *,
    printed: str,
    settings: Mapping[str, Any],
    seed: int,
) -> xr.DataTree:
    """Say what was pooled, under which identity, and the summary of every estimand."""
    readings = shared_assumptions(patients)
    tree.attrs |= {
        "result_id": pooled_id(patients, spec, settings=settings, seed=seed),
        "evidence_digest": sets_digest(patients),
        "printed_digest": printed,
        "assumptions": json.dumps(readings),
        "settings": json.dumps(dict(settings)),
        "reconstructions": int(tree["pooled"].sizes["reconstruction"]),
        "checks_passed": int(bool(tree["checks"]["passed"].all())),
        **readings,
    }
    summary = summary_document(estimate(tree))
    if spec.room.reads == "periods":
        periods = _periods(patients)
        tree["periods"] = xr.DataTree(periods)
        summary[DIFFERENCE]["periods"] = _period_lines(periods)
    pooled = tree["pooled"].to_dataset()
    for name, one in summary.items():
        one |= {part: float(pooled[part].sel(estimand=name)) for part in PARTS}
    tree.attrs["summary"] = json.dumps(summary)
    return tree


def _periods(patients: Sequence[Evidence]) -> xr.Dataset:
    """Return what each period says alone, by reconstruction."""
    endpoint = str(patients[0].data["outcomes"]["endpoint"].item(0))
    found = xr.concat([period_differences(one, endpoint) for one in patients], dim="reconstruction")
    return found.assign_coords(reconstruction=np.arange(1, len(patients) + 1))


def _period_lines(periods: xr.Dataset) -> list[dict[str, Any]]:
    """Return the means over the sets as lines, with the range of the differences."""
    lines = period_lines(periods.mean("reconstruction"))
    for line in lines:
        place = {key: line[key] for key in ("patients", "period")}
        difference = periods["difference"].sel(place)
        line |= {"lowest": float(difference.min()), "highest": float(difference.max())}
    return lines


def _by_reconstruction(fits: Sequence[xr.DataTree]) -> xr.Dataset:
    """Return the checks of every fit, and which required ones failed."""
    columns: dict[str, list[Any]] = {}
    for fit in fits:
        checks = fit["checks"].to_dataset()
        known = checks["check"].values.tolist()
        broken = checks.isel(check=np.flatnonzero(~checks["passed"].values))
        required = broken.isel(check=np.flatnonzero(broken["required"].values))
        line: dict[str, Any] = {
            key: float(checks["figure"].sel(check=key)) if key in known else float("nan")
            for key in FIGURES
        }
        line |= {
            "passed": not required.sizes["check"],
            "reason": _said(required),
            "warned": ", ".join(map(str, broken["check"].values)),
            "result_id": str(fit.attrs["result_id"]),
        }
        for key, value in line.items():
            columns.setdefault(key, []).append(value)
    place = np.arange(1, len(fits) + 1)
    named = {key: ("reconstruction", values) for key, values in columns.items()}
    return xr.Dataset(named, coords={"reconstruction": place})


def _said(broken: xr.Dataset) -> str:
    """Return failed checks with figure and threshold in words."""
    rows = zip(*(broken[key].values for key in ("check", "figure", "threshold")), strict=True)
    return "; ".join(f"{name} {figure:.4g} (threshold {limit:g})" for name, figure, limit in rows)


def _draws_of_all(fits: Sequence[xr.DataTree]) -> xr.Dataset:
    """Put the draws of all fits one after the other."""
    parts = [fit["posterior"].to_dataset() for fit in fits]
    names = [
        name
        for name, variable in parts[0].data_vars.items()
        if set(variable.dims) == {"chain", "draw"} or name in LABELED
    ]
    joined = xr.concat([part[names] for part in parts], dim="chain")
    return joined.assign_coords(chain=np.arange(joined.sizes["chain"]))


def _predictions(fits: Sequence[xr.DataTree]) -> xr.Dataset:
    """Return what each fit predicts of its own set, beside what the set shows."""
    parts = [fit["predictive_summary"].to_dataset() for fit in fits]
    joined = xr.concat(parts, dim="reconstruction", join="inner")
    return joined.assign_coords(reconstruction=np.arange(1, len(fits) + 1))
