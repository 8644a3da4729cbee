"""Pooling over reconstructions, against closed forms and what the printed numbers fix."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import optimize, stats

from bayes_ptsd.errors import EvidenceError, SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.outcome import select_outcome
from bayes_ptsd.frequentist import frequentist_crossover
from bayes_ptsd.models_files import load_model
from bayes_ptsd.pooling import pool_crossover, pooled_frame, pooled_summary, shared_assumptions
from bayes_ptsd.reconstruction.release import load_release
from bayes_ptsd.structures.crossover.exact import crossover_posterior, exact_priors
from bayes_ptsd.structures.crossover.model import crossover_model

FLAT = {"treatment": "flat"}


@pytest.fixture(scope="module")
def patients() -> list[Evidence]:
    """Return four reconstructions of the default reading."""
    return load_release(m=4)


@pytest.fixture(scope="module")
def pooled(patients: list[Evidence]) -> xr.Dataset:
    """Return the pooled completers' analysis under a flat prior."""
    spec = load_model("crossover-completers").having(priors=FLAT)
    return pool_crossover(patients, spec, endpoint="ies_r")


def test_mixture_of_normals_has_its_closed_form() -> None:
    """Limits, tail and variance parts are those of an equal mixture of normals."""
    mean, sd = np.array([4.0, 6.0, 11.0]), np.array([2.0, 3.0, 2.5])
    limits = np.linspace(-20, 35, 1101)
    above = stats.norm.sf(limits, mean[:, None], sd[:, None])
    found = pooled_summary(mean, sd, limits=limits, above=above, mcid=5.0)

    def below(x: float) -> float:
        return float(stats.norm.cdf(x, mean, sd).mean())

    low = optimize.brentq(lambda x: below(x) - 0.025, -20, 30)
    assert float(found["low"]) == pytest.approx(low, abs=1e-4)
    assert float(found["prob_benefit"]) == pytest.approx(1 - below(0.0), abs=1e-7)
    assert float(found["prob_gt_mcid"]) == pytest.approx(1 - below(5.0), abs=1e-7)
    within, between = (sd**2).mean(), mean.var(ddof=1)
    assert float(found["sd"]) == pytest.approx(np.sqrt(within + between))
    assert float(found["between_set_share"]) == pytest.approx(between / (within + between))


def test_equal_posteriors_leave_nothing_missing() -> None:
    """Reconstructions that agree have no variance between them."""
    limits = np.linspace(-10, 20, 301)
    above = np.tile(stats.norm.sf(limits, 5.0, 2.0), (3, 1))
    found = pooled_summary(np.full(3, 5.0), np.full(3, 2.0), limits=limits, above=above)
    assert float(found["between_set_share"]) == 0.0
    assert np.isnan(float(found["prob_gt_mcid"]))


def test_each_reconstruction_has_the_posterior_of_its_own_fit(
    patients: list[Evidence], pooled: xr.Dataset
) -> None:
    """Mean and sd of every set in the batch are those of the set alone, in any patient order."""
    spec = load_model("crossover-completers").having(priors=FLAT)
    for place in (0, 3):
        model = crossover_model(select_outcome(patients[place], "ies_r", visit="24h"), spec)
        exact = crossover_posterior(
            model.pairs, exact_priors(model), benefit_sign=model.sign, draws=10
        )["exact"].to_dataset()
        alone = exact.sel(estimand="treatment_difference")
        one = pooled.isel(reconstruction=place)
        assert float(one["reconstruction_mean"]) == pytest.approx(float(alone["mean"]), abs=2e-4)
        assert float(one["reconstruction_sd"]) == pytest.approx(float(alone["sd"]), abs=2e-4)


@pytest.mark.parametrize(("reading", "printed"), [("as_published", 12.7), ("unhalved", 6.35)])
def test_what_is_printed_does_not_vary(reading: str, printed: float) -> None:
    """The contrast whose statistics are printed moves by less than the printed digits."""
    estimates = []
    spec = load_model("crossover-completers")
    for one in load_release(reading, m=10):
        model = crossover_model(select_outcome(one, "ies_r", visit="24h"), spec)
        table = frequentist_crossover(model.pairs, benefit_sign=model.sign)
        row = table.sel(analysis="hills_armitage", estimand="treatment_difference")
        estimates.append(float(row["estimate"]))
    assert max(estimates) - min(estimates) < 0.1
    assert np.mean(estimates) == pytest.approx(printed, abs=0.05)


def test_completers_are_near_the_print_and_the_rest_varies(
    patients: list[Evidence], pooled: xr.Dataset
) -> None:
    """Completers' analysis misses little information; all patients' analysis misses more."""
    everybody = pool_crossover(
        patients, load_model("crossover").having(priors=FLAT), endpoint="ies_r"
    )
    frame = pooled_frame([pooled, everybody]).set_index("model")
    assert frame.loc["crossover-completers", "between_set_share"] < 0.03
    spread = frame["between_sd"]
    assert spread["crossover"] > spread["crossover-completers"]
    assert set(frame["evidence_kind"]) == {"reconstructed"}
    assert set(frame["crossover_reading"]) == {"as_published"}


def test_reconstructions_share_their_readings() -> None:
    """What they were made under is said, and sets of two readings are no sample of one."""
    unhalved = load_release("unhalved", m=2)
    shared = shared_assumptions(unhalved)
    assert (shared["crossover_reading"], shared["flow_reading"]) == ("unhalved", "paper")
    with pytest.raises(EvidenceError, match="reading"):
        shared_assumptions([*unhalved, *load_release(m=1)])


def test_what_cannot_be_pooled_is_refused(patients: list[Evidence]) -> None:
    """One set, mixed readings or priors, and models without an exact engine are refused by name."""
    spec = load_model("crossover")
    with pytest.raises(EvidenceError, match="two or more"):
        pool_crossover(patients[:1], spec, endpoint="ies_r")
    with pytest.raises(EvidenceError, match="several readings"):
        pool_crossover([patients[0], *load_release("unhalved", m=1)], spec, endpoint="ies_r")
    with pytest.raises(EvidenceError, match="wide"):
        pool_crossover([patients[0], *load_release(m=1, nuisance="wide")], spec, endpoint="ies_r")
    with pytest.raises(SpecError, match="no exact engine"):
        pool_crossover(patients, load_model("crossover-student-t"), endpoint="ies_r")
