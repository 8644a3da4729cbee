"""The crossover with a random intercept: refits on new data, by this package and by its peers.

Run by `make benchmarks`, in an environment that has the peers. Every row is one refit on patients
that the program has not seen, after a first fit of other patients; peers run at their defaults.
Its treatment difference is checked against quadrature: a sampler that is further off than 4 Monte
Carlo standard errors and 0.034 points is refused. The points, 2% of a posterior sd, are for priors
of the means that are wide in every program and not the same.
"""

from __future__ import annotations

import logging
import platform
import resource
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

import arviz_stats
import numpy as np
import nutpie
import pandas as pd
import pymc as pm
from results import record

from bayes_ptsd.calibration.ranks import simulated_ranks
from bayes_ptsd.compiled import CompiledModels
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.pairs import CrossoverPairs
from bayes_ptsd.fit import build_model
from bayes_ptsd.models_files import load_model
from bayes_ptsd.priors import Prior, normal
from bayes_ptsd.sampler import sample_posterior
from bayes_ptsd.structures.crossover.exact import exact_priors, treatment_batch
from bayes_ptsd.structures.crossover.example import example_patients
from bayes_ptsd.structures.crossover.model import crossover_model

SUBJECTS = 29
BATCH = 500
# Of an assurance by simulation, and of a calibration by ranks.
TRIALS, SIMULATIONS = 20_000, 240
WIDE, HALF = 1000.0, 15.0
SPEC = load_model("crossover").having(
    priors={
        "treatment": normal(0.0, WIDE),
        "level": normal(40.0, WIDE),
        "period_effect": normal(0.0, WIDE),
        "sd_subject": Prior("half_normal", {"sigma": HALF}),
        "sd_within": Prior("half_normal", {"sigma": HALF}),
    }
)
REFIT, RAW = "nutpie, compiled once", "nutpie by hand, compiled once"
ALONE, IN_BATCH = "exact engine, alone", f"exact engine, in a batch of {BATCH}"
ASSURANCE = f"exact engine, {TRIALS:,} simulated trials"
CALIBRATION = f"exact engine, calibration by {SIMULATIONS} ranks"
# seconds a data set of a prototype of the quadrature alone, 500 data sets at once
PROTOTYPE = 0.000155
PEERS = ("pymc", "nutpie", "bambi", "numpy", "scipy")


class Row(NamedTuple):
    """One refit: CPU and wall seconds, the treatment difference, and how far it may be off."""

    label: str
    cpu: float
    wall: float
    mean: float
    error: float


def cpu_seconds() -> float:
    """CPU seconds of this process and of its finished children."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def timed(call: Callable[[], Any]) -> tuple[Any, float, float]:
    """Return what a call returns, with its CPU and wall seconds."""
    cpu, wall = cpu_seconds(), time.perf_counter()
    found = call()
    return found, cpu_seconds() - cpu, time.perf_counter() - wall


def patients(seed: int) -> Evidence:
    """Return simulated patients, three without a second period and one without a first."""
    return example_patients(subjects=SUBJECTS, seed=seed)


def exact_batch(seed: int, count: int) -> Callable[[], float]:
    """Return what computes the exact mean of a patient set beside those of altered copies."""
    model = crossover_model(patients(seed), SPEC)
    noise = np.random.default_rng(seed).normal(0, 1, (count, *model.pairs.score.shape))
    noise[0] = 0
    pairs = CrossoverPairs(model.pairs.score + noise, model.pairs.active_first, model.pairs.subject)
    priors = exact_priors(model)
    return lambda: float(treatment_batch(pairs, priors, benefit_sign=model.sign).mean[0, 0])


def exact_rows(alone: float) -> list[Row]:
    """Return the rows of the exact engine, arrays out, CPU and wall seconds a data set."""
    found = []
    for label, count, calls in (
        (ALONE, 1, BATCH),
        (IN_BATCH, BATCH, 1),
        (ASSURANCE, TRIALS, 1),
    ):
        call = exact_batch(2, count)
        means, cpu, wall = timed(lambda once=call, n=calls: [once() for _ in range(n)])
        found.append(Row(label, cpu / count / calls, wall / count / calls, means[-1], 1e-6))
    model = crossover_model(patients(2), SPEC)
    ranks, cpu, wall = timed(lambda: simulated_ranks(model, SIMULATIONS)["rank"])
    # the ranks of a calibrated engine are uniform from 0 to 100: their mean, to 5 standard errors
    off = float(np.abs(ranks.mean("simulation") - 50).max()) / (29.2 / SIMULATIONS**0.5)
    mean = alone if off < 5 else float("nan")
    return [*found, Row(CALIBRATION, cpu / SIMULATIONS, wall / SIMULATIONS, mean, 0.0)]


def sampled_row(label: str, call: Callable[[], Any], name: str, sign: float = 1.0) -> Row:
    """Return the row of a sampler from the draws that it returns."""
    found, cpu, wall = timed(call)
    draws = sign * found[name]
    error = float(arviz_stats.mcse(draws.rename("x").to_dataset(), method="mean")["x"])
    return Row(label, cpu, wall, float(draws.mean()), 4 * error)


def reused(compiled: CompiledModels, seed: int) -> Any:
    """Sample with nutpie, compiled once."""
    model = build_model(patients(seed), SPEC)
    groups = sample_posterior(
        model, draws=1000, tune=1000, chains=4, seed=seed, compiled=compiled, kind="crossover"
    )
    return groups["posterior"]


def raw_nutpie() -> Callable[[int], Any]:
    """Return what samples with nutpie itself, compiled once, data exchanged by hand."""
    compiled = nutpie.compile_pymc_model(build_model(patients(1), SPEC))

    def sample(seed: int) -> Any:
        model = build_model(patients(seed), SPEC)
        data = {variable.name: variable.get_value() for variable in model.data_vars}
        found = nutpie.sample(
            compiled.with_data(**data), draws=1000, tune=1000, chains=4, seed=seed,
            progress_bar=False, save_warmup=False,
        )  # fmt: skip
        return found["posterior"]

    return sample


def pymc_default(seed: int) -> Any:
    """Sample the same model with PyMC as it comes."""
    with build_model(patients(seed), SPEC):
        return pm.sample(progressbar=False, random_seed=seed)["posterior"]


def bambi_default(seed: int) -> Any:
    """Sample the same model with bambi as it comes; its random intercepts are its own."""
    import bambi as bmb

    outcomes = patients(seed).data["outcomes"].to_dataset()
    frame = outcomes["value"].to_dataframe().reset_index().dropna(subset=["value"])
    active = outcomes["treatment"].to_series().rename("arm").reset_index()
    frame = frame.drop(columns="treatment", errors="ignore").merge(
        active[["subject", "period", "arm"]]
    )
    rows = pd.DataFrame(
        {
            "score": frame["value"],
            "active": (frame["arm"] == "ketamine").astype(float),
            "late": (frame["period"] == 2).astype(float),
            "subject": frame["subject"].astype(str),
        }
    )
    priors = {
        "Intercept": bmb.Prior("Normal", mu=40, sigma=WIDE),
        "active": bmb.Prior("Normal", mu=0, sigma=WIDE),
        "late": bmb.Prior("Normal", mu=0, sigma=WIDE),
        "1|subject": bmb.Prior("Normal", mu=0, sigma=bmb.Prior("HalfNormal", sigma=HALF)),
        "sigma": bmb.Prior("HalfNormal", sigma=HALF),
    }
    model = bmb.Model("score ~ active + late + (1|subject)", rows, priors=priors)
    return model.fit(progressbar=False, random_seed=seed)["posterior"]


def rows() -> list[Row]:
    """Measure every program: a first fit that is not counted, then a refit on new patients."""
    alone = exact_batch(2, 1)()
    measured = exact_rows(alone)
    compiled = CompiledModels()
    reused(compiled, 1)
    raw = raw_nutpie()
    raw(1)
    for label, call in ((REFIT, lambda: reused(compiled, 2)), (RAW, lambda: raw(2))):
        measured.append(sampled_row(label, call, "treatment_difference"))
    pymc_default(1)
    measured.append(
        sampled_row("PyMC, its default sampler", lambda: pymc_default(2), "treatment_difference")
    )
    try:
        bambi_default(1)
        measured.append(sampled_row("bambi", lambda: bambi_default(2), "active", sign=-1.0))
    except ImportError:
        sys.stdout.write("bambi: does not install here\n")
    for row in measured:
        # 2% of a posterior sd for priors of means that are wide and not the same
        slack = 0.0 if row.label.startswith("exact") else 0.02 * 1.7
        if not abs(row.mean - alone) <= row.error + slack:
            raise SystemExit(f"benchmarks: {row.label} has mean {row.mean}, quadrature {alone}")
    return measured


def compared(cpu: dict[str, float]) -> None:
    """Record the rows that stand beside one another."""
    record("warm refit, 29 patients", cpu[REFIT], "s", beside=RAW, peer=cpu[RAW], most=1.1)
    for label, most in ((ALONE, 5.0), (IN_BATCH, 2.0)):
        record(label, 1000 * cpu[label], "ms", beside="the prototype's kernel",
               peer=1000 * PROTOTYPE, most=most)  # fmt: skip
    for label, least in ((ASSURANCE, 1000.0), (CALIBRATION, 60.0)):
        record(f"{label}, each", 1000 * cpu[label], "ms", beside=REFIT, peer=1000 * cpu[REFIT],
               most=least, faster=True)  # fmt: skip


def main() -> None:
    """Print the table, its ratios and the versions."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    table = rows()
    refit = next(row for row in table if row.label == REFIT)
    heading = "one refit, 29 patients, 4 x (1000 + 1000)"
    sys.stdout.write(f"{heading:<44} {'CPU s':>9} {'wall s':>9} {'to refit':>9}  difference\n")
    for row in table:
        ratio = row.cpu / refit.cpu
        sys.stdout.write(
            f"{row.label:<44} {row.cpu:>9.4f} {row.wall:>9.4f} {ratio:>9.4f}  {row.mean:.3f}\n"
        )
    compared({row.label: row.cpu for row in table})
    said = []
    for name in PEERS:
        try:
            said.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            said.append(f"{name} absent")
    sys.stdout.write(f"Python {platform.python_version()}, {', '.join(said)}\n")


if __name__ == "__main__":
    main()
