"""What each period of a crossover says alone, in figures, fits, comparisons and pooled results."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from bayes_ptsd.comparison import compare
from bayes_ptsd.comparison.patient_document import patient_comparison_document
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.patient_arrays import outcome_tree, period_differences, period_lines
from bayes_ptsd.fit import frequentist_document
from bayes_ptsd.frequentist import hills_armitage
from bayes_ptsd.models_files import load_model
from bayes_ptsd.reconstruction.release import load_release
from bayes_ptsd.structures.crossover.example import example_patients
from bayes_ptsd.structures.crossover.model import crossover_model
from bayes_ptsd.trial import Endpoint, Trial

ORDERS = {"KM": ["ketamine", "midazolam"], "MK": ["midazolam", "ketamine"]}


def five(better: str = "lower") -> Evidence:
    """Return five patients, one of whom has no second score and one no first."""
    endpoint = Endpoint("score", "Score", "continuous", better)  # type: ignore[arg-type]
    trial = Trial("t", "T", "crossover", "ketamine", "midazolam", {"score": endpoint})
    scores = [[10.0, 20.0], [14.0, np.nan], [30.0, 12.0], [26.0, 10.0], [np.nan, 5.0]]
    sequence = ["KM", "KM", "MK", "MK", "MK"]
    coords = {
        "subject": list("abcde"), "period": [1, 2], "visit": ["only"], "endpoint": ["score"],
        "sequence": ("subject", sequence),
        "treatment": (("subject", "period"), [ORDERS[name] for name in sequence]),
        "hours": ("visit", [24.0]),
    }  # fmt: skip
    values = xr.DataArray(
        np.array(scores)[:, :, None, None],
        dims=("subject", "period", "visit", "endpoint"),
        coords=coords,
    )
    return Evidence("patients", trial, outcome_tree(values))


def test_differences_by_hand() -> None:
    """Means of (10, 14) against (30, 26), and of 20 against (12, 10, 5), with pooled SDs.

    Completers lose the 14 in the first period and the 5 in the second. Within groups the squares
    are 8 + 8 on 2 degrees of freedom, 0 + 26 on 2; of completers 0 + 8 on 1, 0 + 2 on 1.
    """
    lines = period_lines(period_differences(five(), "score"))
    assert [(one["patients"], one["period"], one["n"]) for one in lines] == [
        ("all", 1, 4), ("all", 2, 4), ("completers", 1, 3), ("completers", 2, 3),
    ]  # fmt: skip
    assert [one["difference"] for one in lines] == pytest.approx([16, 11, 18, 9])
    assert [one["sd"] for one in lines] == pytest.approx(np.sqrt([8, 13, 8, 2]))


def test_higher_scores_turn_the_sign() -> None:
    """Where a higher score is better the same scores are a harm."""
    one, other = (period_differences(five(better), "score") for better in ("lower", "higher"))
    np.testing.assert_allclose(other["difference"], -one["difference"])
    np.testing.assert_allclose(other["sd"], one["sd"])


def test_completers_add_up_to_the_crossover_contrast() -> None:
    """Half the sum of both periods is the estimate of Hills and Armitage."""
    evidence, spec = example_patients(), load_model("crossover")
    pairs = crossover_model(evidence, spec).pairs
    row = hills_armitage(pairs, benefit_sign=-1).sel(estimand="treatment_difference")
    found = period_differences(evidence, "ies_r")["difference"].sel(patients="completers")
    assert float(found.sum()) / 2 == pytest.approx(float(row["estimate"]), abs=1e-9)


@pytest.mark.parametrize(
    ("reading", "total", "second"), [("as_published", 25.4, 2.0), ("unhalved", 12.7, 0.9)]
)
def test_shipped_sets_have_the_printed_sum(reading: str, total: float, second: float) -> None:
    """D1 + D2 of completers is 25.4 as published, 12.7 unhalved; SD 2 is 2 or 0.9 times SD 1."""
    tables = [period_differences(one, "ies_r", visit="24h") for one in load_release(reading, m=20)]
    both = xr.concat(tables, dim="reconstruction").sel(patients="completers")
    assert both["difference"].sum("period").values == pytest.approx(total, abs=0.11)
    ratio = (both["sd"].sel(period=2) / both["sd"].sel(period=1)).median()
    assert float(ratio) == pytest.approx(second, abs=0.1)


def test_periods_of_the_paper_as_published() -> None:
    """IES-R over 20 sets: D1 5.2 of completers and 8.8 of all, D2 20.2; SDs 12.6 and 25.7.

    8.8 without the baseline is beside the printed 8.6 with it.
    """
    tables = [period_differences(one, "ies_r", visit="24h") for one in load_release(m=20)]
    mean = xr.concat(tables, dim="reconstruction").mean("reconstruction")
    found = mean["difference"]
    assert float(found.sel(patients="all", period=1)) == pytest.approx(8.8, abs=0.05)
    assert found.sel(patients="completers").values == pytest.approx([5.2, 20.2], abs=0.05)
    assert mean["sd"].sel(patients="completers").values == pytest.approx([12.6, 25.7], abs=0.05)


def test_fits_and_comparisons_of_own_patients_have_them() -> None:
    """The frequentist side of every crossover model and `compare` give the same lines of all."""
    evidence = example_patients()
    lines = period_lines(period_differences(evidence, "ies_r"))
    for name in ("crossover", "crossover-completers"):
        assert frequentist_document(evidence, load_model(name))["periods"] == lines
    table = compare(evidence, models=["crossover"], priors=["weak"])
    assert patient_comparison_document(table)["periods"] == lines
