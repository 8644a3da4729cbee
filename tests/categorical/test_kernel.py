"""The kernel of ordered categories: cutpoints, patient effects, and their PyMC side."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from scipy import special, stats

from bayes_ptsd.categorical import cells, observed
from bayes_ptsd.categorical.cells import induced_cutpoints
from bayes_ptsd.categorical.observed import category_shares, observe_repeated
from bayes_ptsd.categorical.patient_effect import subject_nodes

LINKS = {"logit": special.expit, "probit": special.ndtr}


@pytest.mark.parametrize("link", LINKS)
def test_cutpoints_keep_tiny_shares_apart(link: str) -> None:
    """A share of 1e-20 at either end has a finite cutpoint, with the right tail probability."""
    cuts = induced_cutpoints(np.array([1e-20, 1.0 - 2e-20, 1e-20]), link)
    assert LINKS[link](cuts[0]) == pytest.approx(1e-20, rel=1e-6)
    assert LINKS[link](-cuts[1]) == pytest.approx(1e-20, rel=1e-6)


def test_nodes_have_the_moments_of_a_standard_normal() -> None:
    """The even moments of the patient's effect are 1, 1, 3 and 15."""
    nodes, weights = subject_nodes()
    moments = [float(weights @ nodes**k) for k in (0, 2, 4, 6)]
    np.testing.assert_allclose(moments, [1, 1, 3, 15], rtol=1e-9)


def test_patients_without_an_effect_have_independent_categories() -> None:
    """With a patient sd of nearly zero two even ratings have probability 1/2 times 1/2."""
    with pm.Model() as model:
        cuts, member = pt.zeros((2, 1)), np.array([[0, 1]])
        observe_repeated(
            "score", np.array([0, 0]), cuts=cuts, spread=pt.constant(1e-9), member=member,
            link="logit", dims=None,
        )  # fmt: skip
    density = model.compile_logp(mode="FAST_COMPILE")({})
    assert float(np.exp(density)) == pytest.approx(0.25, abs=1e-9)


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_shares_are_differences_of_the_distribution_function(link: str) -> None:
    """Cuts at -1 and 0.5 give F(-1), F(0.5) - F(-1) and 1 - F(0.5) of the link.

    To 1e-8: PyMC takes the square root of 2 in the inverse probit in single precision.
    """
    below = (stats.logistic if link == "logit" else stats.norm).cdf([-1.0, 0.5])
    shares = category_shares(pt.constant([[-1.0, 0.5]]), link).eval()[0]
    assert shares == pytest.approx([below[0], below[1] - below[0], 1 - below[1]], abs=1e-8)


@pytest.mark.parametrize("link", LINKS)
def test_cutpoints_of_pymc_are_those_of_the_values(link: str) -> None:
    """Of any shares, tiny ones included, and spaced by any ratio of the gaps.

    To 1e-9, and to 3e-8 of a probit: PyMC takes the square root of 2 in single precision.
    """
    limit = {"logit": 1e-9, "probit": 3e-8}[link]
    shares, ratio = np.array([0.2, 1e-12, 0.5, 0.3]), np.array([[0.4, -0.7], [-0.4, 0.7]])
    known = cells.induced_cutpoints(shares, link)
    found = observed.induced_cutpoints(pt.constant(shares), link)
    assert found.eval() == pytest.approx(known, rel=limit)
    spaced = observed.spaced_cutpoints(found, pt.constant(ratio)).eval()
    assert spaced == pytest.approx(cells.spaced_cutpoints(known[None, :], ratio), rel=limit)
