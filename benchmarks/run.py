"""Seconds of start-up and of one posterior; a row without a checked number is refused.

Run by `make benchmarks`. CPU seconds include child processes; the first call of each command is
not counted, because it writes bytecode.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from bayes_ptsd.exact.summary import exact_posterior
from bayes_ptsd.prior_family import resolve_prior
from bayes_ptsd.priors import Prior, normal, student_t

REPEATS = 5
SD = 14.4
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


if __name__ == "__main__":
    main()
