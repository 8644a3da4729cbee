# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: -all
#     formats: ipynb,py:percent
#     notebook_metadata_filter: kernelspec,jupytext,-jupytext.text_representation.jupytext_version
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 5. A prior for the next trial
#
# **Question.** What now? Turn what this trial says into a prior for a replication, say how it was weakened
# and what it is worth in patients, and ask how large a second trial would have to be.
#
# A power calculation takes one difference, usually the published one, and treats it as known. Here the
# difference has a distribution: the posterior of this trial, made weaker for everything that makes the
# next trial another one. The IES-R total at 24 hours in the first period is the example.

# %%
import json
import os
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from IPython.display import Markdown
from scipy import stats

import bayes_ptsd as bp

# %matplotlib inline
pd.set_option("display.max_colwidth", None)

evidence = bp.load_published()
store = bp.ResultStore(os.environ.get("BAYES_PTSD_STORE", "bayes-ptsd-results"))
ies_r = evidence.trial.endpoint("ies_r")
sd = ies_r.reference_sd
table = bp.compare(evidence, endpoint="ies_r", priors=["flat", "cochrane"], store=store)


def stored(contrast: str, reading: str, prior: str) -> xr.DataTree:
    """Return a stored fit of one printed row."""
    cell = table["result_id"].sel(contrast=contrast, crossover_reading=reading, prior=prior)
    return store.load(cell.item())


# %% [markdown]
# ## The winner's curse
#
# A result is replicated because somebody noticed it, and it was noticed because the estimate was large
# next to its standard error. Results chosen so overstate, on average. The size of this is known from
# some twenty thousand trials of the Cochrane database: simulate true signal-to-noise ratios from what
# they say, add noise, and look only at the trials that came out like this one.

# %%
from bayes_ptsd.credibility.shrinkage import COCHRANE_SNR, cochrane_shrinkage

first = table.sel(contrast="T2.IESR.F", crossover_reading="as_published")
estimate, p_value = float(first["published_estimate"]), float(first["recomputed_p"].item())
z = float(stats.norm.isf(p_value / 2))
rng = np.random.default_rng(5)
truth = COCHRANE_SNR.draw(2_000_000, seed=5)
found = truth + rng.normal(size=truth.size)
alike = abs(found - z) < 0.05
simulated = float(truth[alike].mean() / found[alike].mean())
known = cochrane_shrinkage(z)
error = float(truth[alike].std() / np.sqrt(alike.sum()) / z)
assert abs(simulated - known.factor) < 4 * error + 0.005
Markdown(
    f"Of two million simulated trials {int(alike.sum()):,} came out with a z value near this one's "
    f"{z:.2f}. Their true differences are {simulated:.2f} of their estimates on average (in closed form "
    f"{known.factor:.2f}). For this row that makes {known.factor * estimate:.1f} points of "
    f"{estimate:.1f}; the difference has the sign of the estimate with probability "
    f"{known.sign_probability:.3f}."
)

# %% [markdown]
# So the prior for a replication is *not* centered on the published estimate here but on the posterior under
# the Cochrane prior. Centering on the estimate is one argument away, and is shown beside it throughout.

# %% [markdown]
# ## From posterior to prior
#
# Four steps, each named in the result: the **center**; **another trial**, whose difference is not this one's
# (a half-normal standard deviation between trials, integrated); the **readings** of the paper, averaged with
# the weights that print gives them, where the row is of the crossover; and a **robust component**, wide and
# worth one patient, that takes over if the next trial contradicts everything.
#
# The two trials are exchangeable. So the prior that shrank this trial's difference holds for the other's as
# well, and draws it closer to no difference the more trials differ. Only under a flat prior does another
# trial's difference stay where this one's estimate is, and get wider.

# %%
from bayes_ptsd.replication.readings import averaged_weights

sources = {
    "first period, flat": stored("T2.IESR.F", "as_published", "flat"),
    "first period, cochrane": stored("T2.IESR.F", "as_published", "cochrane"),
}
priors = {label: bp.replication_prior(fit) for label, fit in sources.items()}
weights = averaged_weights(evidence)
priors["crossover, averaged over readings, cochrane"] = bp.replication_prior(
    {reading: stored("T2.IESR.X", reading, "cochrane") for reading in weights},
    reading_weights=weights,
)
chosen = priors["first period, cochrane"]
Markdown(f"The prior that is used below: `{chosen.prior.formula}` (IES-R points).")

# %%
from bayes_ptsd.replication.designs import ReplicationDesign
from bayes_ptsd.replication.exchangeable import predictive_grid
from bayes_ptsd.replication.prior import ReplicationPrior

designs = {
    "parallel": ReplicationDesign("parallel", sd=sd),
    "crossover": ReplicationDesign("crossover", sd=sd, correlation=0.5, gate=(6 / 22, 1 / 19)),
    "four visits": ReplicationDesign("repeated", sd=sd, correlation=0.5, visits=4),
}


def line(found: ReplicationPrior) -> dict[str, float]:
    """Return what a replication prior says, and what it is worth in patients."""
    low, high = found.prior.interval()
    worth = found.worth(designs["parallel"])
    return {
        "mean": found.prior.mean,
        "low": low,
        "high": high,
        "P(benefit)": float(found.prior.sf(0)),
        "P(> MCID)": float(found.prior.sf(ies_r.mcid)),
        "worth, informative": worth["informative"]["elir"],
        "worth, robust": worth["robust"]["elir"],
        "worth, weak alone": found.weak_worth,
    }


lines = pd.DataFrame({label: line(found) for label, found in priors.items()}).T
assert (lines["worth, weak alone"].round(6) == 1).all()
lines.round(2)

# %%
x = np.linspace(-25, 35, 601)
figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
(posterior,) = chosen.posteriors.values()
(own,) = chosen.own.values()
# more heterogeneity, a smaller difference: never the other way round
means = [
    float(predictive_grid(own, scale=scale * sd)["mean"]) for scale in (0, 0.125, 0.25, 0.5, 1)
]
assert (np.diff(means) < 0).all()
axes.plot(x, posterior.pdf(x), color="#8e3b90", label="posterior of this trial (cochrane)")
axes.plot(x, chosen.informative.pdf(x), color="#0b5cad", linestyle="--", label="of another trial")
axes.plot(x, chosen.prior.pdf(x), color="#c2410c", label="with the robust component")
axes.axvline(0, color="#1f2933", linewidth=0.8)
axes.set_xlabel("treatment difference (IES-R points, positive = ketamine better)", fontsize=9)
axes.set_yticks([])
axes.legend(fontsize=8, frameon=False, title="published evidence", title_fontsize=8)
plt.show()

# %% [markdown]
# The worth is an effective sample size (ELIR), in patients of a parallel trial: a prior that weighs as much
# as so many patients. How much the next trial may differ is a choice, so the prior is shown for half and for
# twice that choice.

# %%
chosen.sensitivity[["sd", "elir"]].to_dataframe().round(2)

# %% [markdown]
# ## What would a replication print?
#
# A second trial of the same size, with the same standard error. Its estimate has a distribution: the prior
# plus its own noise.

# %%
from bayes_ptsd.credibility.replication import conditional_replication_probability
from bayes_ptsd.prior_family import resolve_prior
from bayes_ptsd.replication.document import original_estimate
from bayes_ptsd.replication.prediction import predict_replication

original = original_estimate(evidence, "T2.IESR.F", reading="as_published")
skeptic = resolve_prior("skeptical", sd=sd)
predicted = {
    label: predict_replication(
        found.prior, se=original[1], original=original, skeptic=skeptic, mcid=ies_r.mcid
    )
    for label, found in priors.items()
    if label.startswith("first period")
}
foretold = pd.DataFrame(
    {
        label: {
            "estimate, mean": one["mean"],
            "low": one["interval95"][0],
            "high": one["interval95"][1],
            "P(same sign)": one["same_sign"],
            "P(P < .05, same direction)": one["p_below_05"],
            "P(estimate > MCID)": one["estimate_above_mcid"],
            "P(sceptical P < .025, golden)": one["sceptical_p"]["golden"],
            "P(Bayes factor > 3)": one["bayes_factor"]["3"],
        }
        for label, one in predicted.items()
    }
)
foretold.round(3)

# %%
naive = conditional_replication_probability(original[0] / original[1], c=1.0)
agreed = foretold.loc["P(P < .05, same direction)"]
assert naive > agreed["first period, flat"] > agreed["first period, cochrane"]
Markdown(
    f"If the published estimate were the truth, a trial of this size would have P < .05 with "
    f"probability {naive:.2f}: that is its power at the estimate, and all that a power calculation sees. "
    f"With what another trial may differ it is {agreed['first period, flat']:.2f}, and "
    f"{agreed['first period, cochrane']:.2f} once the winner's curse is taken off both. A replication that fails "
    "is therefore no surprise, and proves little."
)

# %% [markdown]
# ## How large?
#
# **Assurance** is power averaged over the prior. It has a ceiling, the probability that there is a benefit at
# all, to which it tends as trials grow. The goal here, in the title of the figure, is a posterior probability of
# benefit that under a flat analysis prior is a two-sided P < .05 in the right direction.

# %%
from bayes_ptsd.plots.assurance import assurance_figure
from bayes_ptsd.replication.assurance import Goal, assurance_curve
from bayes_ptsd.replication.sample_size import compare_designs

sizes = [20, 40, 80, 120, 200, 400, 700]
goal = Goal()
curves = {
    f"{name}, cochrane": assurance_curve(chosen.prior, design, sizes=sizes, goal=goal)
    for name, design in designs.items()
}
curves["parallel, flat"] = assurance_curve(
    priors["first period, flat"].prior, designs["parallel"], sizes=sizes, goal=goal
)
assurance_figure(curves, kind=evidence.kind)

# %%
target = 0.6
needed = pd.DataFrame(compare_designs(chosen.prior, designs, goal=goal, target=target))
needed = needed.set_index("design")
needed[["n", "complete", "treatments", "patient_worth"]].round(1)

# %%
worthwhile = Goal(margin=ies_r.mcid, level=0.8)
curves = {
    name: assurance_curve(chosen.prior, design, sizes=sizes, goal=worthwhile)
    for name, design in designs.items()
}
assurance_figure(curves, kind=evidence.kind)

# %% [markdown]
# The crossover needs fewest patients because each is his or her own control. That rests on three things which
# the first period does not tell: the correlation of a patient's two scores (one half is assumed; a plan from
# the crossover row has the precision that the row printed), no carryover, and patients who come back. The share
# that was too well to cross over in this trial is already counted.

# %% [markdown]
# ## Take it along
#
# The prior is a mixture of normals, so any program can use it: as JSON for RBesT's mixture reader, and as
# code for PyMC, PreliZ and Stan.

# %%
from bayes_ptsd.replication.export import pymc_code, write_mixture

with tempfile.TemporaryDirectory() as folder:
    path = write_mixture(chosen.prior, Path(folder, "replication-prior.json"), sigma=2 * sd)
    mixture = json.loads(path.read_text())
weights, means, sds = (np.array(row, dtype=float) for row in mixture["comp"])
assert abs(weights.sum() - 1) < 1e-9
assert abs(weights @ means - chosen.prior.mean) < 1e-6
mixture

# %%
Markdown(f"```python\n{pymc_code(chosen.prior)}\n```")

# %% [markdown]
# ## Answer

# %%
worth = lines.loc["first period, cochrane"]
ceiling = {name: float(curve["ceiling"]) for name, curve in curves.items()}["parallel"]
at_forty = assurance_curve(chosen.prior, designs["parallel"], sizes=[40], goal=goal)["assurance"]
assert needed["n"].idxmin() == "crossover"
assert ceiling < target
Markdown(
    f"""
- **The prior**: {worth["mean"]:.1f} points, 95% from {worth["low"]:.1f} to {worth["high"]:.1f}, P(benefit)
  {worth["P(benefit)"]:.2f}; the wide ends are the robust component. It is worth {worth["worth, robust"]:.0f} patients of a parallel trial
  ({worth["worth, informative"]:.0f} without the robust component); {int(first["n"].item())} were randomized.
  The rest is the price of not believing an estimate that was noticed, and of another trial being another
  trial.
- **A replication of the same size** would print P < .05 in the same direction with probability
  {agreed["first period, cochrane"]:.2f}, not {naive:.2f}. Forty patients in two arms have an assurance of
  {float(at_forty.item()):.2f}.
- **For an assurance of {target:g}** it takes {int(needed.loc["parallel", "n"])} patients in parallel arms,
  {int(needed.loc["four visits", "n"])} with four visits each, or {int(needed.loc["crossover", "n"])} in a
  crossover with this trial's gate, if two scores of a patient correlate {designs["crossover"].correlation:g}
  and nothing carries over.
- **That the difference is worthwhile**, above {ies_r.mcid:g} points, cannot be planned for with much assurance:
  its ceiling is {ceiling:.2f}, whatever the size.
"""
)
