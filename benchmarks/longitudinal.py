"""Seconds and effective draws of one longitudinal posterior, beside the usual ways to sample it.

41 patients, four visits, 8% of the scores missing, unstructured covariance. Ours and
the textbook form (an LKJ Cholesky factor, missing scores as parameters) under PyMC's own sampler,
nutpie and, where it is installed, numpyro. A row whose mean difference is not that of REML within a
tenth of a standard error and 4 Monte Carlo errors is refused.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import arviz_stats
import numpy as np
import nutpie
import pymc as pm
import pytensor.tensor as pt
import xarray as xr
from results import HERE, record

from bayes_ptsd._stack import as_datatree
from bayes_ptsd.compiled import CompiledModels
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.models_files import load_model
from bayes_ptsd.priors import Prior, normal
from bayes_ptsd.simulation.patients import Baseline, Missingness, made_up_trial, simulate_trial
from bayes_ptsd.specification import ModelSpec
from bayes_ptsd.structures.longitudinal.model import (
    LongitudinalModel,
    longitudinal_model,
    trajectory_mmrm,
)
from bayes_ptsd.structures.longitudinal.model import pymc_model as longitudinal_pymc

VISITS = {"1d": 24.0, "2d": 48.0, "3d": 72.0, "7d": 168.0}
# seconds to compile by visits: what people wait for, and not over twice that at twice the visits
LIMITS = {4: 20.0, 8: 40.0}
DRAWS, TUNE, CHAINS, SEED = 1000, 1000, 4, 1


def patients() -> Evidence:
    """Return the simulated trial."""
    return simulate_trial(
        made_up_trial("parallel", better="lower", visits=VISITS),
        n_by_sequence={"A": 22, "B": 19}, treatment=6.0, level=40.0, sd_subject=9.0,
        sd_within=8.0, visit_correlation=0.5, visit_structure="autoregressive",
        baseline=Baseline(mean=47.0, sd=12.0, correlation=0.4),
        missingness=Missingness(at_random=0.08), seed=SEED,
    )  # fmt: skip


def specification() -> ModelSpec:
    """Return the unstructured model under priors that say next to nothing."""
    priors = {
        "treatment": normal(0, 100),
        "level": normal(40, 100),
        "baseline_slope": normal(0, 10),
        "sd_visit": Prior("log_normal", {"mu": 2.5, "sigma": 2.0}),
    }
    return load_model("longitudinal").having(priors=priors)


def textbook(problem: LongitudinalModel) -> pm.Model:
    """Return the same posterior as it is usually written, missing scores as parameters."""
    assert problem.baseline is not None
    count = len(problem.visits)
    missing = np.nonzero(~np.isfinite(problem.values))
    with pm.Model() as model:
        mean = pm.Normal("visit_mean", 40, 100, shape=count)
        difference = pm.Normal("visit_difference", 0, 100, shape=count)
        slope = pm.Normal("baseline_slope", 0, 10, shape=count)
        root, _, _ = pm.LKJCholeskyCov(
            "root", n=count, eta=1.0, sd_dist=pm.LogNormal.dist(2.5, 2.0, shape=count)
        )
        center = mean + slope * problem.baseline[:, None]
        center = center + problem.sign * difference * problem.active.astype(float)[:, None]
        filled = pt.as_tensor(np.nan_to_num(problem.values))
        unseen = pm.Flat("unseen", shape=len(missing[0]), initval=np.full(len(missing[0]), 40.0))
        filled = pt.set_subtensor(filled[missing], unseen)
        standard = pt.linalg.solve_triangular(root, (filled - center).T, lower=True)
        size = len(problem.values)
        log_det = size * pt.log(pt.diagonal(root)).sum()
        pm.Potential("score", -log_det - 0.5 * (standard**2).sum())
    return model


def nutpie_runs(model: pm.Model) -> tuple[float, Callable[[], Any]]:
    """Compile once; return the seconds that took and a function that samples."""
    start = time.perf_counter()
    compiled = CompiledModels().get(model, kind="benchmark")
    seconds = time.perf_counter() - start

    def sample() -> Any:
        return nutpie.sample(
            compiled, draws=DRAWS, tune=TUNE, chains=CHAINS, seed=SEED, progress_bar=False
        )

    return seconds, sample


def pymc_runs(model: pm.Model, sampler: str) -> tuple[float, Callable[[], Any]]:
    """Return a function that compiles and samples, as PyMC does at each call."""

    def sample() -> Any:
        with model:
            return pm.sample(
                DRAWS, tune=TUNE, chains=CHAINS, cores=1, random_seed=SEED, nuts_sampler=sampler,
                progressbar=False,
            )  # fmt: skip

    return 0.0, sample


def measured(name: str, runs: tuple[float, Callable[[], Any]], reference: xr.Dataset) -> str:
    """Return one row; leave if its estimate is not the reference."""
    compile_seconds, sample = runs
    start, cpu = time.perf_counter(), time.process_time()
    trace = sample()
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    tree = trace if isinstance(trace, xr.DataTree) else as_datatree(trace)
    draws = tree["posterior"].to_dataset()["visit_difference"]
    visit = next(dim for dim in draws.dims if dim not in ("chain", "draw"))
    mean = draws.mean(visit).to_dataset(name="x")
    found, error = float(mean["x"].mean()), float(arviz_stats.mcse(mean, method="mean")["x"])
    expected, se = (float(reference[key]) for key in ("estimate", "se"))
    if abs(found - expected) > 0.1 * se + 4 * error:
        raise SystemExit(f"benchmarks: {name} has mean {found:.3f}, REML {expected:.3f}")
    least = float(arviz_stats.ess(draws.to_dataset(name="x"))["x"].min())
    return (
        f"{name:<34} {compile_seconds:8.1f} {seconds:9.2f} {cpu:9.2f} {least:8.0f} "
        f"{least / max(seconds, 1e-9):9.0f} {found:8.3f} {error:7.3f}"
    )


COMPILE = """
import sys, time
import longitudinal

days = [1, 2, 3, 7, 14, 21, 28, 42]
longitudinal.VISITS = {f"{day}d": 24.0 * day for day in days[: int(sys.argv[1])]}
model = longitudinal.longitudinal_model(longitudinal.patients(), longitudinal.specification())
start = time.process_time()
longitudinal.CompiledModels().get(longitudinal.longitudinal_pymc(model), kind="benchmark")
print(time.process_time() - start)
"""


def compile_cpu(visits: int) -> float:
    """Return the CPU seconds of building and compiling in a process that finds nothing compiled."""
    with tempfile.TemporaryDirectory() as folder:
        flags = f"{os.environ.get('PYTENSOR_FLAGS', '')},base_compiledir={folder}".lstrip(",")
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", COMPILE, str(visits)], cwd=HERE, check=True,
            env={**os.environ, "PYTENSOR_FLAGS": flags}, capture_output=True, text=True,
        )  # fmt: skip
    return float(done.stdout.splitlines()[-1])


def main() -> None:
    """Print one row a sampler."""
    for visits, most in LIMITS.items():
        record(f"longitudinal compile, {visits} visits", compile_cpu(visits), "s", beside="limit",
               peer=most)  # fmt: skip
    problem = longitudinal_model(patients(), specification())
    table = trajectory_mmrm(problem).sel(estimand="treatment_difference")
    print(f"{CHAINS} x ({TUNE} + {DRAWS}); REML {float(table['estimate']):.3f}, "
          f"SE {float(table['se']):.3f}; PyMC {pm.__version__}")  # fmt: skip
    heads = ("compile", "seconds", "cpu", "min ESS", "ESS/s", "mean", "MCSE")
    print(f"{'sampler':<34} " + " ".join(f"{head:>8}" for head in heads))
    ours = longitudinal_pymc(problem)
    print(measured("bayes_ptsd, nutpie, compiled once", nutpie_runs(ours), table), flush=True)
    usual = textbook(problem)
    print(measured("textbook, nutpie, compiled once", nutpie_runs(usual), table), flush=True)
    print(measured("textbook, PyMC's own sampler", pymc_runs(usual, "pymc"), table), flush=True)
    if importlib.util.find_spec("numpyro"):
        print(measured("textbook, numpyro", pymc_runs(usual, "numpyro"), table), flush=True)
    else:
        print("textbook, numpyro: not installed here")


if __name__ == "__main__":
    sys.exit(main())
