"""What grows with patients: seconds and memory of an exact fit with all its checks.

Run by `make benchmarks`. Every size has a process of its own, so that its largest memory is seen.
The answer is checked against restricted maximum likelihood within a tenth of its standard error.
"""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from typing import Any

from results import record

SIZES = (290, 2900, 29_000)
# MB that a fit of the largest size may take: a laptop of 4 GB with other work on it
MEMORY = 2000.0
FIT = """
import json, resource, sys, time
from bayes_ptsd import fit_model
from bayes_ptsd.structures.crossover.example import example_patients

subjects = int(sys.argv[1])
fit_model(example_patients(subjects=20, seed=1), "crossover")  # imports and first calls
start = time.process_time()
evidence = example_patients(subjects=subjects, seed=2)
fit = fit_model(evidence, "crossover")
seconds = time.process_time() - start
one = fit["exact"].sel(estimand="treatment_difference")
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
peak /= 1e6 if sys.platform == "darwin" else 1e3  # bytes there, kilobytes elsewhere
beside = json.loads(fit.attrs["frequentist"])
print(json.dumps({"seconds": seconds, "peak": peak, "mean": float(one["mean"]),
                  "estimate": beside["estimate"], "se": beside["se"]}))
"""


def fitted(subjects: int) -> dict[str, Any]:
    """Return seconds, largest memory in MB and the answer of one fit in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FIT, str(subjects)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = dict(json.loads(done.stdout.splitlines()[-1]))
    if not abs(found["mean"] - found["estimate"]) < 0.1 * found["se"]:
        raise SystemExit(f"benchmarks: {subjects} patients have {found['mean']}, REML {found}")
    return found


def main() -> None:
    """Record how seconds and memory grow."""
    found = {subjects: fitted(subjects) for subjects in SIZES}
    for less, more in pairwise(SIZES):
        record(
            f"exact fit with checks, {more:,} patients", found[more]["seconds"], "s",
            beside=f"{less:,} patients", peer=found[less]["seconds"], most=more / less,
        )  # fmt: skip
    record(
        f"its memory, {SIZES[-1]:,} patients", found[SIZES[-1]]["peak"], "MB", beside="limit",
        peer=MEMORY,
    )  # fmt: skip


if __name__ == "__main__":
    main()
