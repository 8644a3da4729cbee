"""Seconds of start-up, of one posterior and of storing it, and its room; checked, each of them.

Each stands beside a peer of the same run: the imports that nobody can do without, the
Gauss-Legendre rule of 100 nodes, the same values written and read by h5py alone. Run by `make
benchmarks`. CPU seconds include child processes; the first call of each command is not counted,
because it writes bytecode.
"""

from __future__ import annotations

import io
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import h5py
import numpy as np
import xarray as xr
from results import record
from scipy import stats

from bayes_ptsd.evidence.published import load_published, select_contrast
from bayes_ptsd.exact.printed import fit_exact
from bayes_ptsd.exact.summary import exact_posterior
from bayes_ptsd.models_files import load_model
from bayes_ptsd.posteriors import single_precision
from bayes_ptsd.prior_family import resolve_prior
from bayes_ptsd.priors import Prior, normal, student_t
from bayes_ptsd.store.netcdf import decode, encode
from bayes_ptsd.store.redrawn import with_draws, without_draws

REPEATS = 5
# of the peer of a posterior, made once as anybody would
NODES, WEIGHTS = np.polynomial.legendre.leggauss(100)
ROW = ("--contrast", "T2.IESR.X")
SD = 14.4
# half of what a quick run took before speed was worked on, 126 s
QUICK = 63.0
PROGRAM = Path(sys.executable).with_name("bayes-ptsd")
# IES-R first period, 8.6 (0.94 to 16.2): convention N, then T.
NORMAL = normal(8.6, 3.8929)
STUDENT = student_t(38, 8.57, 3.76903)


def child_cpu() -> float:
    """CPU seconds of finished child processes."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def command_seconds(arguments: list[str], expected: str) -> float:
    """Return the median CPU seconds of a command whose output must hold `expected`."""
    with tempfile.TemporaryDirectory() as store:
        environment = {**os.environ, "BAYES_PTSD_STORE": store, "COLUMNS": "200"}
        seconds = []
        for _ in range(REPEATS + 1):
            start = child_cpu()
            done = subprocess.run(
                [PROGRAM, *arguments], env=environment, capture_output=True, text=True, check=True
            )
            seconds.append(child_cpu() - start)
            if expected not in done.stdout:
                raise SystemExit(f"benchmarks: '{' '.join(arguments)}' did not print '{expected}'")
    return median(seconds[1:])


def posterior_seconds(likelihood: Prior, prior: Prior, mean: float) -> float:
    """Return the median seconds of an exact posterior, whose mean must be `mean`."""
    seconds = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        found = float(exact_posterior(likelihood, prior)["mean"])
        seconds.append(time.perf_counter() - start)
        if abs(found - mean) > 1e-4:
            raise SystemExit(f"benchmarks: posterior mean {found}, expected {mean}")
    return median(seconds[1:])


def least_cpu(call: Callable[[], object]) -> float:
    """Return the least CPU seconds of several calls, which a busy machine makes no shorter."""
    seconds = []
    for _ in range(4 * REPEATS):
        start = time.process_time()
        call()
        seconds.append(time.process_time() - start)
    return min(seconds)


def imports_cpu(names: str) -> float:
    """Return the median CPU seconds of a Python process that imports modules."""
    seconds = []
    for _ in range(REPEATS + 1):
        start = child_cpu()
        subprocess.run([sys.executable, "-c", f"import {names}"], check=True)
        seconds.append(child_cpu() - start)
    return median(seconds[1:])


def gauss_legendre() -> tuple[float, float]:
    """Return mean and SD of the skeptical posterior under T by one rule over 24 standard errors."""
    center, se = STUDENT.params["mu"], STUDENT.params["sigma"]
    x = center + 12 * se * NODES
    prior = resolve_prior("skeptical", sd=SD).params
    density = stats.t(38, center, se).pdf(x) * stats.norm(prior["mu"], prior["sigma"]).pdf(x)
    mass = WEIGHTS @ density
    mean = WEIGHTS @ (density * x) / mass
    return float(mean), float(np.sqrt(WEIGHTS @ (density * (x - mean) ** 2) / mass))


def plain_save(tree: xr.DataTree) -> bytes:
    """Write the values and attributes of a result with h5py, in one opening and as they are."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for node in tree.subtree:
            group = file.require_group(node.path)
            group.attrs.update(node.attrs)
            for name, one in node.to_dataset(inherit=False).variables.items():
                values, kind = one.values, None
                if values.dtype.kind == "U":
                    values, kind = values.astype(object), h5py.string_dtype()
                group.create_dataset(str(name), data=values, dtype=kind)
    return buffer.getvalue()


def plain_load(content: bytes) -> dict[str, object]:
    """Read every value and attribute of a file with h5py."""
    found: dict[str, object] = {}

    def read(name: str, one: h5py.Group | h5py.Dataset) -> None:
        found[name] = (dict(one.attrs), one[()] if isinstance(one, h5py.Dataset) else None)

    with h5py.File(io.BytesIO(content), "r") as file:
        file.visititems(read)
    return found


def reports() -> None:
    """Record a quick run, its whole page and that page once more."""
    with tempfile.TemporaryDirectory() as folder:
        store, page = ["--store", f"{folder}/store"], ["--output", f"{folder}/page"]
        commands = [
            ("reanalyze --quick", ["reanalyze", "--quick"], "results computed"),
            ("report of its store, the whole page", ["report", *page], "index.html"),
            ("report, second time", ["report", *page], "unchanged"),
        ]
        found = {}
        for name, words, expected in commands:
            start = child_cpu()
            done = subprocess.run(
                [PROGRAM, *words, *store], capture_output=True, text=True, check=True
            )
            if expected not in done.stdout + done.stderr:
                raise SystemExit(f"benchmarks: '{name}' did not print '{expected}'")
            found[name] = child_cpu() - start
    quick, whole, again = found.values()
    record("reanalyze --quick", quick, "s", beside="limit", peer=QUICK)
    record(
        "report, second time", again, "s", beside="report of a quick store", peer=whole, most=0.5
    )


def ratios() -> None:
    """Record what stands beside a peer: seconds of both and their ratio."""
    prior = resolve_prior("skeptical", sd=SD)
    found = exact_posterior(STUDENT, prior)
    if not np.allclose([found["mean"], found["sd"]], gauss_legendre(), rtol=1e-9, atol=0):
        raise SystemExit("benchmarks: the posterior is not that of 100 nodes")
    tree = fit_exact(select_contrast(load_published(), "T2.IESR.F"), load_model("published"))
    content = encode(tree)
    if not decode(content).identical(tree):
        raise SystemExit("benchmarks: a result does not come back as it was saved")
    interval = ["credibility", "--estimate", "8.6", "--ci", "0.94", "16.2", "--df", "38"]
    compare, stored = ["compare", "--endpoint", "ies_r"], ["fit", "published-crossover", *ROW]
    scipy, frames = imports_cpu("scipy.stats"), imports_cpu("pandas, xarray")
    everything = imports_cpu("scipy.stats, pandas, xarray")
    for job, ours, peer, theirs, most in [
        ("credibility", command_seconds(interval, "BF10"), "import scipy.stats", scipy, 1.4),
        ("compare --endpoint ies_r", command_seconds(compare, "T2.IESR.X"),
         "import scipy.stats, pandas, xarray", everything, 2.2),
        ("fit published-crossover, stored", command_seconds(stored, "treatment_difference"),
         "import pandas, xarray", frames, 2.0),
        ("printed posterior, T, skeptical", least_cpu(lambda: exact_posterior(STUDENT, prior)),
         "100 nodes of Gauss and Legendre", least_cpu(gauss_legendre), 3.0),
        ("save of a printed row", least_cpu(lambda: encode(tree)), "plain h5py",
         least_cpu(lambda: plain_save(tree)), 4.0),
        ("load of a printed row", least_cpu(lambda: decode(content)), "plain h5py",
         least_cpu(lambda: plain_load(content)), 6.0),
    ]:  # fmt: skip
        record(job, ours, "s", beside=peer, peer=theirs, most=most)


def rooms() -> None:
    """Print the bytes of stored results beside those of their values in memory."""
    row = fit_exact(select_contrast(load_published(), "T2.IESR.F"), load_model("published"))
    normal_draws = np.random.default_rng(1).normal(12.7, 4.0, size=(20, 4, 1000))
    named = {f"x{i}": (("chain", "draw"), one) for i, one in enumerate(normal_draws)}
    sampled = xr.DataTree.from_dict(single_precision({"posterior": xr.Dataset(named)}))
    sys.stdout.write(f"\n{'room of a result':<44} {'bytes':>8} {'memory':>8} {'ratio':>6}\n")
    for name, tree in (("printed row", row), ("20 variables of 4,000 sampled draws", sampled)):
        content = encode(without_draws(tree)) if tree is row else encode(tree)
        if not with_draws(decode(content)).identical(tree):
            raise SystemExit(f"benchmarks: a {name} does not come back as it was saved")
        memory = sum(node.to_dataset(inherit=False).nbytes for node in tree.subtree)
        sys.stdout.write(
            f"{name:<44} {len(content):>8} {memory:>8} {len(content) / memory:>6.2f}\n"
        )


def main() -> None:
    """Print one row per benchmark."""
    sys.stdout.write(f"{'benchmark':<44} {'seconds':>8}  checked\n")
    for arguments, expected in [
        (["--help"], "reanalyze"),
        (["store", "list"], "0 results"),
        (["models", "list"], "published-first-period"),
    ]:
        seconds = command_seconds(arguments, expected)
        name = f"bayes-ptsd {' '.join(arguments)} (CPU)"
        sys.stdout.write(f"{name:<44} {seconds:>8.3f}  prints '{expected}'\n")
    # Means: conjugate formula, published mixture of normals, adaptive quadrature by scipy.
    for label, likelihood, prior, mean in [
        ("N, skeptical", NORMAL, resolve_prior("skeptical", sd=SD), 6.9126),
        ("N, cochrane", NORMAL, resolve_prior("cochrane", sd=SD, se=3.8929), 5.6619),
        ("T, skeptical", STUDENT, resolve_prior("skeptical", sd=SD), 6.9180),
    ]:
        seconds = posterior_seconds(likelihood, prior, mean)
        sys.stdout.write(f"{f'exact posterior, {label}':<44} {seconds:>8.4f}  mean {mean}\n")
    rooms()
    reports()
    ratios()


if __name__ == "__main__":
    main()
