"""Seconds of one reconstruction, and what its two shortcuts are worth; every row is checked.

Run by `make benchmarks`. CPU seconds of one process, the first set of patients not counted.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from statistics import median

import numpy as np
import statsmodels.api as sm

from bayes_ptsd.evidence.published import load_published
from bayes_ptsd.reconstruction.plan import READINGS
from bayes_ptsd.reconstruction.refit import moment_start
from bayes_ptsd.reconstruction.release import load_release
from bayes_ptsd.reconstruction.run import reconstructions
from bayes_ptsd.reconstruction.verification import verify

SETS = 10


def cpu(action: Callable[[], object]) -> float:
    """Return the CPU seconds of an action."""
    start = time.process_time()
    action()
    return time.process_time() - start


def whole_seconds(reading: str) -> list[float]:
    """Return the CPU seconds of each set, which must be the shipped one."""
    shipped, seconds = load_release(reading, m=SETS), []
    running = reconstructions(m=SETS, reading=reading)
    for number, patients in enumerate(shipped):
        start = time.process_time()
        made = next(running)
        seconds.append(time.process_time() - start)
        if made.patients.digest != patients.digest:
            raise SystemExit(f"benchmarks: set {number} of {reading} is not the shipped one")
    return seconds


def verifying_seconds() -> float:
    """Return the median CPU seconds to verify a set, which must agree."""
    published, seconds = load_published(), []
    for patients in load_release(m=SETS):
        start = time.process_time()
        agrees = all(one.agrees for one in verify(patients, published))
        seconds.append(time.process_time() - start)
        if not agrees:
            raise SystemExit("benchmarks: a shipped set does not verify")
    return median(seconds)


def reml_seconds() -> tuple[float, float]:
    """Return the CPU seconds of REML fits from moment estimates and from statsmodels' start."""
    taken, errors = ([], []), []
    for patients in load_release(m=SETS):
        both = patients.data["outcomes"].to_dataset().sel(endpoint="madrs", visit="24h")
        both = both.dropna("subject", subset=["value"])
        y, count = both["value"].values.ravel(), both.sizes["subject"]
        active = (both["treatment"] == "ketamine").values
        columns = [np.ones(len(y)), active.ravel(), np.tile([0, 1], count)]
        x = np.column_stack([*columns, np.repeat(active[:, 0], 2)]).astype(float)
        # half the standard error of the differences within patients is exact
        left = (y.reshape(-1, 2) * np.array([1, -1])).sum(axis=1)
        left = left - np.where(active[:, 0], left[active[:, 0]].mean(), left[~active[:, 0]].mean())
        sizes = float((1 / np.bincount(active[:, 0].astype(int))).sum())
        exact = 0.5 * np.sqrt(float(left @ left) / (count - 2) * sizes)
        for place, start in enumerate((moment_start(y, x, count), None)):
            begun = time.process_time()
            fit = sm.MixedLM(y, x, groups=np.repeat(np.arange(count), 2)).fit(
                reml=True, start_params=start
            )
            taken[place].append(time.process_time() - begun)
            errors.append(abs(float(fit.bse[1]) / exact - 1))
    if max(errors) > 1e-3:
        raise SystemExit(f"benchmarks: a standard error is off by {max(errors):.1e}")
    return median(taken[0]), median(taken[1])


def main() -> None:
    """Print one row per benchmark."""
    warnings.simplefilter("ignore")
    list(reconstructions(m=1, reading="change"))
    sys.stdout.write(f"{'one reconstruction':<44} {'CPU s':>8}  checked\n")
    for reading in READINGS:
        seconds = whole_seconds(reading)
        sys.stdout.write(
            f"{f'drawn and verified, {reading}':<44} {median(seconds):>8.3f}  {SETS} shipped sets, "
            f"longest {max(seconds):.1f}\n"
        )
    sys.stdout.write(f"{'verified only':<44} {verifying_seconds():>8.3f}  every number agrees\n")
    moments, default = reml_seconds()
    sys.stdout.write(f"{'REML from moment estimates':<44} {moments:>8.4f}  same standard error\n")
    name = "REML from statsmodels' own start"
    sys.stdout.write(f"{name:<44} {default:>8.4f}  {default / moments:.1f} times\n")


if __name__ == "__main__":
    main()
