"""The shipped reconstructions are whole, verified, and the same on every machine."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence.published import load_published
from bayes_ptsd.provenance import DEFAULT_SEED
from bayes_ptsd.reconstruction.plan import READINGS
from bayes_ptsd.reconstruction.release import load_release, release_digest, write_release
from bayes_ptsd.reconstruction.verification import verify

FOLDER = Path(__file__).parents[1] / "bayes_ptsd" / "reconstruction" / "release"
COUNTS = {"paper": 50, "registry": 20}
DIGESTS = {
    "as_published": "56ab62774731b027",
    "unhalved": "ff67b935ace457ed",
    "change": "2f9e732e600c09e0",
    "change_unhalved": "a9411edb57ba043a",
    "carryover_covariate": "71ee9d52a9ca9083",
}
OTHER_DIGESTS = {
    ("as_published", "wide"): "b09a324181f7676e",
    ("as_published", "low-correlation"): "972b01425553941e",
    ("as_published", "high-correlation"): "e888fd145bfca66a",
    ("unhalved", "wide"): "12d235538cc2a3d8",
    ("unhalved", "low-correlation"): "fd912a18b85aa48e",
    ("unhalved", "high-correlation"): "f99ef014852c485a",
}
SETS = [(reading, flow) for flow in ("paper", "registry") for reading in READINGS]


@pytest.mark.parametrize(("reading", "flow_reading"), SETS)
def test_shipped_sets_are_verified(reading: str, flow_reading: str) -> None:
    """A set of each reading and flow, another one for each, prints every number of the paper."""
    index = SETS.index((reading, flow_reading))
    patients = load_release(reading, flow_reading, m=index + 1)[index]
    assert [one for one in verify(patients, load_published()) if not one.agrees] == []


@pytest.mark.parametrize(("reading", "flow_reading"), SETS)
def test_shipped_sets_are_whole(reading: str, flow_reading: str) -> None:
    """Each file has all its sets, none twice, made with the default seed, in whole scores."""
    sets = load_release(reading, flow_reading)
    assert len({one.digest for one in sets}) == len(sets) == COUNTS[flow_reading]
    for index, one in enumerate(sets):
        said = one.assumptions
        assert (said["crossover_reading"], said["flow_reading"]) == (reading, flow_reading)
        assert (said["seed"], said["reconstruction"]) == (str(DEFAULT_SEED), str(index))
        assert "ies_r.slope" in said["nuisance"]
        values = one.data["outcomes"]["value"].values
        assert (values[np.isfinite(values)] % 1 == 0).all()


def test_shipped_numbers_have_not_changed() -> None:
    """The digest of each set of the paper's flow is the one that was released."""
    assert {reading: release_digest(reading)[:16] for reading in READINGS} == DIGESTS


@pytest.mark.parametrize(("reading", "priors"), OTHER_DIGESTS)
def test_sets_under_other_priors_are_verified(reading: str, priors: str) -> None:
    """A set under each other file of nuisance priors prints every number of the paper."""
    patients = load_release(reading, m=4, nuisance=priors)[3]
    assert [one for one in verify(patients, load_published()) if not one.agrees] == []


def test_sets_under_other_priors_are_whole() -> None:
    """Twenty different sets for each file of priors, named by it, as they were released."""
    found = {}
    for reading, priors in OTHER_DIGESTS:
        sets = load_release(reading, nuisance=priors)
        assert len({one.digest for one in sets}) == len(sets) == 20
        assert {one.assumptions["nuisance_priors"] for one in sets} == {priors}
        found[reading, priors] = release_digest(reading, nuisance=priors)[:16]
    assert found == OTHER_DIGESTS


def test_other_priors_make_other_patients() -> None:
    """Accepted nuisances lie where their file has them: correlations low, high, or far apart."""

    def accepted(priors: str | None, name: str) -> np.ndarray:
        sets = load_release("unhalved", m=20, nuisance=priors)
        return np.array([json.loads(one.assumptions["nuisance"])[name] for one in sets])

    for name in ("ies_r.correlation", "madrs.second_loading"):
        low, high = accepted("low-correlation", name), accepted("high-correlation", name)
        assert (low <= 0.15).all()
        assert (high >= 0.75).all()
        assert np.std(accepted("wide", name)) > 1.2 * np.std(accepted(None, name))


def test_scores_are_as_alike_as_the_priors_say() -> None:
    """IES-R totals of periods 1 and 2 correlate more under the file with high correlations."""

    def correlation(priors: str) -> float:
        found = []
        for one in load_release("unhalved", m=20, nuisance=priors):
            scores = one.data["outcomes"]["value"].sel(endpoint="ies_r").isel(visit=0).values
            active = one.data["outcomes"]["sequence"].values == "KM"
            both = np.isfinite(scores).all(axis=1)
            left = [
                scores[both & arm] - scores[both & arm].mean(axis=0) for arm in (active, ~active)
            ]
            found.append(np.corrcoef(np.concatenate(left).T)[0, 1])
        return float(np.median(found))

    assert correlation("low-correlation") < 0.35 < 0.55 < correlation("high-correlation")


def test_files_are_small() -> None:
    """All shipped reconstructions together are below one and a half megabytes."""
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 1_500_000


def test_write_and_load_agree(tmp_path: Path) -> None:
    """What is written is what is loaded: same scores, labels and assumptions, whatever the time."""
    sets = load_release("change", m=2)
    path = write_release(sets, tmp_path)
    with np.load(path) as stored, np.load(FOLDER / path.name) as shipped:
        assert sorted(stored.files) == sorted(shipped.files)
        np.testing.assert_array_equal(stored["value"], shipped["value"][:2])
        assert stored["assumptions"].tolist() == shipped["assumptions"][:2].tolist()


def test_what_is_not_shipped_is_refused() -> None:
    """An unknown reading and more sets than there are are refused by name and number."""
    with pytest.raises(EvidenceError, match="did you mean 'change"):
        load_release("change_halved")
    with pytest.raises(EvidenceError, match=r"'change_unhalved'.*'wide' are shipped"):
        load_release("change_unhalved", nuisance="wide")
    with pytest.raises(EvidenceError, match=r"'narrow' are shipped; there are .*paper-wide"):
        load_release(nuisance="narrow")
    with pytest.raises(EvidenceError, match="asked for 51"):
        load_release(m=51)
