"""Mixtures fitted, made robust and updated; what they are worth in patients; their exports."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from bayes_ptsd.errors import EvidenceError, SpecError, StatisticalWarning
from bayes_ptsd.exact.grid import grid_of_distribution, spread_grid
from bayes_ptsd.exact.history import Heterogeneity, binomial_trials, normal_trials
from bayes_ptsd.priors import Prior, mixture, normal
from bayes_ptsd.replication._em import maximize
from bayes_ptsd.replication.export import (
    mixture_frame,
    mixture_json,
    preliz_code,
    pymc_code,
    stan_code,
    write_document,
    write_mixture,
)
from bayes_ptsd.replication.historical import MapPrior, map_document, map_prior, mixture_rows
from bayes_ptsd.replication.mixtures import (
    fit_mixture,
    mixture_of_draws,
    robustify,
    update_binomial,
    update_normal,
)
from bayes_ptsd.replication.worth import (
    effective_size,
    effective_sizes,
    weak_component_worth,
)


def beta(a: float, b: float) -> Prior:
    """Return a beta prior."""
    return Prior("beta", {"shape1": a, "shape2": b})


TWO_NORMALS = mixture([0.7, 0.3], [normal(4, 2), normal(0, 10)])
TWO_BETAS = mixture([0.6, 0.4], [beta(4, 12), beta(2, 3)])


@pytest.fixture(scope="module")
def spondylitis() -> MapPrior:
    """Return RBesT's binary example with a robust component."""
    trials = binomial_trials(
        list("12345678"),
        n=[107, 44, 51, 39, 139, 20, 78, 35],
        r=[23, 12, 19, 9, 39, 6, 9, 10],
    )
    return map_prior(
        trials,
        mean=normal(0, 2),
        heterogeneity=Heterogeneity("half-normal", 1.0),
        robust_weight=0.2,
    )


def test_published_worth_of_the_map_prior(spondylitis: MapPrior) -> None:
    """The mixture keeps mean and sd to 0.0005 and the published ELIR 37.0 and moment 24.1."""
    prior = spondylitis.fitted.prior
    assert (prior.mean, prior.sd) == pytest.approx((0.2583, 0.0874), abs=5e-4)
    sizes = spondylitis.sizes(prior)
    assert sizes["elir"] == pytest.approx(37.0, abs=0.1)
    assert sizes["moment"] == pytest.approx(24.1, abs=0.1)
    assert 0 < spondylitis.fitted.divergence < 1e-4
    assert spondylitis.weak_worth == 2.0


def test_divergence_is_the_integral(spondylitis: MapPrior) -> None:
    """The reported distance is the integral of p log(p/q), and zero where both are the same."""
    exact, prior = spondylitis.exact, spondylitis.fitted.prior
    value, pdf = exact["value"].values, exact["pdf"].values
    inside = (value > 1e-6) & (value < 1 - 1e-6) & (pdf > 0)
    ratio = pdf[inside] * (np.log(pdf[inside]) - prior.logpdf(value[inside]))
    integral = float(integrate.simpson(ratio, x=value[inside]))
    assert spondylitis.fitted.divergence == pytest.approx(integral, abs=1e-5)


def test_update_of_normal_mixtures() -> None:
    """The posterior density is prior times likelihood over their integral, to 1e-6."""
    posterior = update_normal(TWO_NORMALS, estimate=-6.0, se=3.0)
    x = np.linspace(-80, 80, 20001)
    product = TWO_NORMALS.pdf(x) * stats.norm.pdf(-6.0, x, 3.0)
    wanted = product / integrate.simpson(product, x=x)
    assert np.abs(posterior.pdf(x) - wanted).max() < 1e-6


def test_update_of_beta_mixtures() -> None:
    """The posterior density is prior times binomial likelihood over their integral, to 1e-6."""
    posterior = update_binomial(TWO_BETAS, n=15, r=9)
    p = np.linspace(1e-9, 1 - 1e-9, 20001)
    product = TWO_BETAS.pdf(p) * stats.binom.pmf(9, 15, p)
    wanted = product / integrate.simpson(product, x=p)
    assert np.abs(posterior.pdf(p) - wanted).max() < 1e-6
    assert posterior.weights[0] != pytest.approx(0.6, abs=0.05)


@settings(max_examples=20)
@given(a=st.floats(1, 200), b=st.floats(1, 200), sigma=st.floats(0.1, 50))
def test_sizes_of_single_components(a: float, b: float, sigma: float) -> None:
    """For a single conjugate component every definition gives the same size, to 1e-6."""
    for found in effective_sizes(beta(a, b)).values():
        assert found == pytest.approx(a + b, rel=1e-6)
    for found in effective_sizes(normal(3, sigma), information=1 / 100).values():
        assert found == pytest.approx(100 / sigma**2, rel=1e-6)


def test_sizes_of_a_mixture_of_equals() -> None:
    """Splitting a component into two equal ones changes no size, to 1e-6."""
    for single, information in ((beta(3, 7), None), (normal(1, 2), 0.01)):
        split = mixture([0.3, 0.7], [single, single])
        wanted = effective_sizes(single, information=information)
        for method, found in effective_sizes(split, information=information).items():
            assert found == pytest.approx(wanted[method], rel=1e-6), method


def test_beta_elir_is_its_definition() -> None:
    """ELIR of a beta mixture is E[-(log f)'' p (1 - p)], by finite differences of log f."""
    p = np.linspace(1e-5, 1 - 1e-5, 400_001)
    logs, step = TWO_BETAS.logpdf(p), p[1] - p[0]
    curve = -(logs[2:] - 2 * logs[1:-1] + logs[:-2]) / step**2
    inside = p[1:-1]
    direct = integrate.simpson(curve * inside * (1 - inside) * TWO_BETAS.pdf(inside), x=inside)
    assert effective_size(TWO_BETAS) == pytest.approx(float(direct), abs=2e-3)


def test_elir_is_predictively_consistent_for_betas() -> None:
    """The size expected after 12 patients is the size before plus 12, to 1e-6."""
    n, prior = 12, mixture([0.6, 0.4], [beta(4, 12), beta(2, 3)])
    weights = [
        sum(w * stats.betabinom.pmf(r, n, part.params["shape1"], part.params["shape2"])
            for w, part in zip(prior.weights, prior.components, strict=True))
        for r in range(n + 1)
    ]  # fmt: skip
    after = [effective_size(update_binomial(prior, n=n, r=r)) for r in range(n + 1)]
    assert float(np.dot(weights, after)) == pytest.approx(effective_size(prior) + n, rel=1e-6)
    moment = [effective_size(update_binomial(prior, n=n, r=r), method="moment")
              for r in range(n + 1)]  # fmt: skip
    gap = float(np.dot(weights, moment)) - effective_size(prior, method="moment") - n
    assert abs(gap) > 0.5


def test_elir_is_predictively_consistent_for_normals() -> None:
    """The size expected after 9 patients is the size before plus 9, to 1e-6."""
    sd, n = 10.0, 9
    se, information = sd / np.sqrt(n), sd**-2.0
    seen = mixture(list(TWO_NORMALS.weights), [
        normal(part.params["mu"], float(np.hypot(part.params["sigma"], se)))
        for part in TWO_NORMALS.components])  # fmt: skip
    y = np.arange(-52.0, 57.0, 2.0)
    after = [
        effective_size(
            update_normal(TWO_NORMALS, estimate=float(v), se=se), information=information
        )
        for v in y
    ]
    expected = float(integrate.trapezoid(seen.pdf(y) * after, x=y))
    before = effective_size(TWO_NORMALS, information=information)
    assert expected == pytest.approx(before + n, rel=1e-6)


@pytest.mark.parametrize("sigma", [7124.0, 4.0], ids=["of no worth", "of too much worth"])
def test_odd_robust_components_warn(sigma: float) -> None:
    """A component worth less than 0.1 or more than 2 patients is named; one of 1 is not."""
    assert weak_component_worth(normal(0, 11.5), information=11.5**-2) == pytest.approx(1)
    with pytest.warns(StatisticalWarning, match="robust component"):
        weak_component_worth(normal(0, sigma), information=11.5**-2)


def test_robust_components_of_a_map_prior() -> None:
    """The robust component defaults to one patient; an odd sd warns; none without sigma."""
    half = Heterogeneity("half-normal", 1.0)
    trials = normal_trials(["A", "B"], y=[3.0, 5.0], n=[40, 60], sigma=8.0)
    found = map_prior(
        trials, mean=normal(0, 50), heterogeneity=half, robust_weight=0.2, components=1
    )
    assert found.weak is not None
    assert found.weak.params["sigma"] == 8.0
    document = map_document(found)
    assert document["robust"]["weak_component"]["effective_size"] == pytest.approx(1.0)
    json.dumps(document, allow_nan=False)
    with pytest.warns(StatisticalWarning, match="worth 0.01"):
        map_prior(
            trials, mean=normal(0, 50), heterogeneity=half, robust_weight=0.2, robust_sd=80.0,
            components=1,
        )  # fmt: skip
    bare = normal_trials(["A", "B"], y=[3.0, 5.0], se=[1.0, 1.0])
    with pytest.raises(SpecError, match="give its sd, or sigma"):
        map_prior(bare, mean=normal(0, 50), heterogeneity=half, robust_weight=0.2, components=1)


def test_refused() -> None:
    """Weights outside (0, 1), other families, r > n and poles at an end are refused."""
    with pytest.raises(SpecError, match="between 0 and 1"):
        robustify(normal(0, 1), normal(0, 9), weight=1.0)
    with pytest.raises(SpecError, match="not beta"):
        update_binomial(normal(0, 1), n=3, r=1)
    with pytest.raises(EvidenceError, match="r = 4"):
        update_binomial(beta(1, 1), n=3, r=4)
    with pytest.raises(SpecError, match="standard error"):
        update_normal(normal(0, 1), estimate=1, se=-1)
    with pytest.raises(SpecError, match="pole"):
        effective_size(mixture([0.5, 0.5], [beta(0.5, 0.5), beta(2, 3)]))
    with pytest.raises(SpecError, match="did you mean 'elir'"):
        effective_size(normal(0, 1), method="elri", information=1)
    with pytest.raises(SpecError, match="positive"):
        effective_size(normal(0, 1))


def read_rbest(text: str) -> dict[str, Any]:
    """Read a mixture as RBesT documents it: rows of `comp` bound, then the attributes of `meta`.

    An R matrix of `dim` rows by columns; `dimnames` name both; the class tells the family, the
    link must be known, and weights are rescaled to sum to one.
    """
    document = json.loads(text)
    meta, rows = document["meta"], [list(map(float, row)) for row in document["comp"]]
    assert meta["dim"] == [len(rows), len(rows[0])]
    assert len({len(row) for row in rows}) == 1
    assert [len(names) for names in meta["dimnames"]] == meta["dim"]
    assert (meta["link"], meta["class"][-1]) == (["identity"], "mix")
    found = dict(zip(meta["dimnames"][0], rows, strict=True))
    found["w"] = [w / sum(found["w"]) for w in found["w"]]
    return {"class": meta["class"][0], "sigma": meta.get("sigma"), **found}


def test_json_of_rbest(tmp_path: Path) -> None:
    """The JSON is read back by a reader written from RBesT's documentation."""
    file = write_mixture(TWO_NORMALS, tmp_path / "prior.json", sigma=20.0)
    assert read_rbest(file.read_text()) == {
        "class": "normMix", "sigma": [20.0], "w": [0.7, 0.3], "m": [4.0, 0.0], "s": [2.0, 10.0]
    }  # fmt: skip
    found = read_rbest(json.dumps(mixture_json(TWO_BETAS)))
    assert (found["class"], found["a"], found["b"]) == ("betaMix", [4.0, 2.0], [12.0, 3.0])
    with pytest.raises(SpecError, match="exists already"):
        write_mixture(TWO_NORMALS, file)
    with pytest.raises(SpecError, match="normal or of beta"):
        mixture_json(Prior("gamma", {"shape": 1, "rate": 1}))


def test_documents_are_strict_json(tmp_path: Path) -> None:
    """A document is one line of JSON; NaN, which is none, raises and leaves no file."""
    assert write_document({"a": 1}, tmp_path / "a.json").read_text() == '{"a": 1}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_document({"a": float("nan")}, tmp_path / "b.json")
    assert not (tmp_path / "b.json").exists()


def test_table_and_stan() -> None:
    """The table has one row a component; the Stan statement sums their densities."""
    assert mixture_rows(normal(2, 3)) == [
        {"weight": 1.0, "dist": "normal", "mu": 2.0, "sigma": 3.0}
    ]
    assert mixture_frame(TWO_NORMALS)["sigma"].tolist() == [2.0, 10.0]
    code = stan_code(TWO_BETAS, name="p")
    assert code.startswith("target += log_sum_exp({")
    assert code.count("beta_lpdf(p | ") == 2


def test_preliz_code_runs() -> None:
    """The generated PreliZ distributions have the densities of their priors."""
    priors = [TWO_NORMALS, TWO_BETAS]
    printing = "import json\nprint(json.dumps(found.pdf(np.array([0.2, 0.6])).tolist()))\n"
    # one process for both, because importing PreliZ takes most of its time
    program = "import numpy as np\n" + "".join(
        preliz_code(prior, name="found") + printing for prior in priors
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    for prior, line in zip(priors, done.stdout.splitlines(), strict=True):
        assert json.loads(line) == pytest.approx(prior.pdf([0.2, 0.6]), rel=1e-6)


@pytest.mark.parametrize("prior", [TWO_NORMALS, TWO_BETAS], ids=["normal", "beta"])
def test_pymc_code_runs(prior: Prior) -> None:
    """The generated PyMC model has the density of prior times likelihood."""
    scope: dict[str, Any] = {}
    exec(pymc_code(prior, name="theta"), scope)
    normal_data = prior is TWO_NORMALS
    model = scope["replication_model"](*((3.0, 2.0) if normal_data else (10, 4)))
    theta = 2.5 if normal_data else 0.3
    likelihood = (
        stats.norm.logpdf(3.0, theta, 2.0) if normal_data else stats.binom.logpmf(4, 10, theta)
    )
    logp = model.compile_logp(jacobian=False, mode="FAST_COMPILE")
    name = model.value_vars[0].name
    value = theta if normal_data else np.log(theta / (1 - theta))
    found = float(logp({name: np.array(value)}))
    assert found == pytest.approx(float(prior.logpdf(theta) + likelihood), abs=1e-6)


def test_a_mixture_that_misses_its_target_says_so() -> None:
    """Four normals cannot stand for a Cauchy, and it says how far; enough are quiet."""
    points = spread_grid([(0.0, 1.0)], heavy=True)
    heavy = grid_of_distribution(Prior("cauchy", {"mu": 0.0, "sigma": 1.0}), points)
    with pytest.warns(StatisticalWarning, match=r"mixture of 4 normal densities stays .* above"):
        found = fit_mixture(heavy)
    assert found.divergence > 1e-4
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fit_mixture(heavy, components=4).divergence == found.divergence
        fit_mixture(grid_of_distribution(normal(2, 3), spread_grid([(2.0, 3.0)], heavy=False)))


def test_mixture_of_draws_has_as_many_components_as_they_need() -> None:
    """Normal draws make one normal with their mean and sd; two far groups make two."""
    draws = np.random.default_rng(1).normal(5, 2, size=2000)
    one = mixture_of_draws(draws)
    assert one.dist == "normal"
    assert (one.mean, one.sd) == pytest.approx((draws.mean(), draws.std()), rel=1e-4)
    two = mixture_of_draws(np.concatenate([draws, draws[:1000] + 40]))
    assert sorted(two.weights) == pytest.approx([1 / 3, 2 / 3], abs=1e-4)
    with pytest.raises(SpecError, match="at least 100 finite draws, got 99"):
        mixture_of_draws(draws[:99])


def test_em_finds_the_moments_of_a_normal_cut_at_four_sds() -> None:
    """One component has mean 0 and, to three digits, the log sd -.001 of a cut normal.

    Cutting at c sds takes 2 c phi(c) / (2 Phi(c) - 1) off the variance: the log sd is -.00054. The
    sum over 401 points counts both ends in full and has -.00052.
    """
    x = np.linspace(-4, 4, 401)
    weight = stats.norm.pdf(x)
    found = maximize(x, weight / weight.sum(), family="normal", size=1, start="scale")
    assert np.abs(found.round(3)).tolist() == [[0.0, 0.0, 0.001]]
    lost = 2 * 4 * stats.norm.pdf(4) / (2 * stats.norm.cdf(4) - 1)
    assert found[0, 1] == pytest.approx(0, abs=1e-12)
    assert found[0, 2] == pytest.approx(0.5 * np.log(1 - lost), abs=3e-5)
