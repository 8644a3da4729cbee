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
# # 1. The published numbers
#
# **Question.** The report of the trial prints an estimate, a 95% confidence interval and a P value
# for each outcome. Do these numbers agree with each other? And what does a reader learn who asks
# not how surprising the data are if the drugs are alike, but how probable it is that ketamine is
# the better one?
#
# You need to know what a P value is; nothing Bayesian is taken for granted. Every number below is
# computed in the cell above it, from the evidence that ships with the package and from the results
# of `bayes-ptsd reanalyze --quick`. Sentences with numbers are written by the cells themselves.
#
# One convention holds throughout: a *treatment difference is positive where ketamine is better*,
# whatever sign the paper prints.

# %%
import os

import pandas as pd
from IPython.display import Markdown
from scipy import stats

import bayes_ptsd as bp

# %matplotlib inline
pd.set_option("display.max_colwidth", None)

evidence = bp.load_published()
store = bp.ResultStore(os.environ.get("BAYES_PTSD_STORE", "bayes-ptsd-results"))
effects = evidence.data["effects"].to_dataset()
ies_r = evidence.trial.endpoint("ies_r")

# %% [markdown]
# ## What is printed
#
# Each row of the evidence is one printed estimate with its place in the paper. Rows that end in
# `.X` compare each patient's two periods (29 people), rows that end in `.F` compare the arms in the
# first period (41 people). A row with a star is derived, not printed: the audit below says why.

# %%
assert set(effects["n"].sel(contrast=["T2.IESR.X", "T2.IESR.F"]).values) == {29, 41}
printed = effects.sel(contrast=effects["term"] == "treatment")
printed[["estimate", "ci_low", "ci_high", "p_value", "n", "df"]].to_dataframe()[
    ["endpoint", "analysis", "estimate", "ci_low", "ci_high", "p_value", "n", "df"]
]

# %% [markdown]
# ## Do the numbers agree?
#
# Printed numbers are rounded, so each is a small range. The audit asks of every row whether one
# unrounded estimate and one unrounded standard error print as all of its numbers, and of the tables
# whether their sums close. A *contradiction* is a set of numbers that cannot all hold.

# %%
from bayes_ptsd.audit import audit_evidence, audit_frame

audit = audit_evidence(evidence)
findings = audit_frame(audit)
findings.loc[findings["severity"] == "contradiction", ["check", "place", "statement"]]

# %%
avoidance = audit["rows"].to_dataset().sel(contrast="T2.AVOI.F")
rows = audit["rows"].to_dataset()
rows = rows.sel(contrast=rows["checked"] & (effects["ci_low"].notnull()))
off = [str(name) for name in rows["contrast"].values[~rows["consistent"].values]]
assert off == ["T2.AVOI.F"]
Markdown(
    f"One row of {rows.sizes['contrast']} disagrees with itself: avoidance in the first period. Its "
    f"estimate lies {float(avoidance['asymmetry']):+.2f} points from the middle of its interval, "
    f"and its P value is {float(avoidance['p_upper']):.3f} by the upper limit but "
    f"{float(avoidance['p_lower']):.3f} by the lower one. A lower limit of "
    f"{float(effects['ci_low'].sel(contrast='T2.AVOI.F*')):.1f} in place of "
    f"{float(effects['ci_low'].sel(contrast='T2.AVOI.F')):.1f} would settle it, so the derived row "
    "`T2.AVOI.F*` has that limit. The package analyzes both."
)

# %% [markdown]
# ### The precision paradox
#
# A crossover compares every patient with him- or herself. That removes the differences between
# people, and the reward is a smaller standard error. The printed intervals say the opposite.

# %%
precision = audit["precision"].to_dataset()
table = precision[["se_crossover", "se_first_period", "ratio"]].to_dataframe()
needed = precision["correlation"].sel(se_basis="with_p", sd_factor=1.2)
for reading in ("as_published", "unhalved"):
    table[f"correlation, {reading}"] = needed.sel(crossover_reading=reading).values
table.round(2)

# %%
assert (precision["ratio"] > 1).all()
impossible = int((needed.sel(crossover_reading="as_published") < -1).sum())
Markdown(
    f"In all {precision.sizes['endpoint']} outcomes the paired standard error is the larger one, by "
    f"a factor of {float(precision['ratio'].min()):.2f} to {float(precision['ratio'].max()):.2f}. "
    "Taken as the usual halved contrast of a crossover, the intervals need a correlation between a "
    f"patient's two scores that is below zero everywhere and below minus one, which no correlation "
    f"can be, in {impossible} outcomes (last columns: two scores of one patient, equal standard "
    "deviations). Read as a contrast that was not halved, all but one of these correlations are "
    "ordinary, and the treatment difference is half the printed one."
)

# %%
assert (needed.sel(crossover_reading="as_published") < 0).all()
assert int((needed.sel(crossover_reading="unhalved") < 0).sum()) == 1

# %% [markdown]
# Print does not say which reading is right, but its standard errors say how probable each one is:
# `bayes-ptsd readings` weighs them, and the headline stands for their average. As published stays
# beside it, as what the paper says; none is called an error here. The P value is the same under both,
# because estimate and standard error shrink together. Everything *in points* is not, so the rows
# below are there in both: **as published** and **unhalved**.

# %% [markdown]
# ## From the interval to a posterior
#
# A confidence interval and its degrees of freedom give back the estimate and its standard error,
# and with them the *likelihood*: how well each possible treatment difference explains the printed
# numbers. Two conventions are on offer.
#
# - **Convention T**: a t distribution with the degrees of freedom of the analysis, centered on the
#   middle of the interval. Used for all headline numbers.
# - **Convention N**: a normal distribution around the printed estimate. Used where formulas in
#   closed form need it.
#
# A posterior is likelihood times prior. With a *flat* prior, which favors no value, the posterior
# is the likelihood itself, and this gives the first check: it must return the printed interval.

# %%
comparison = {
    convention: bp.compare(evidence, endpoint="ies_r", convention=convention, store=store)
    for convention in ("T", "N")
}
flat = {c: t.sel(crossover_reading="as_published", prior="flat") for c, t in comparison.items()}
rows = ["T2.IESR.X", "T2.IESR.F"]
for name in rows:
    returned = flat["T"]["eti95"].sel(contrast=name).values
    interval = effects[["ci_low", "ci_high"]].sel(contrast=name).to_array().values
    assert abs(returned - interval).max() < 1e-6
pd.concat(
    {
        c: t.sel(contrast=rows)[["mean", "sd", "prob_benefit"]].to_dataframe()
        for c, t in flat.items()
    },
    names=["convention"],
)[["mean", "sd", "prob_benefit"]].round(4)

# %% [markdown]
# ### What a P value has to do with it
#
# Under a flat prior, P(benefit), the probability that the treatment difference is above zero, is
# one minus half the two-sided P value: the same tail area, read as a statement about the
# difference and not about the data. That is the one case in which the two coincide, and it
# holds *because* every difference, however large, was held equally plausible before the data.

# %%
for name in rows:
    one = flat["T"].sel(contrast=name)
    t = float(one["recomputed_center"] / one["recomputed_se"])
    one_sided = stats.t.sf(t, float(one["recomputed_df"]))
    assert abs(float(one["prob_benefit"]) - (1 - one_sided)) < 1e-6

# %% [markdown]
# ## Priors
#
# Nobody thinks that 80 points on a scale from 0 to 88 are as plausible as 8. The *prior family* is
# four answers to the question what was plausible before the trial, as multiples of the
# endpoint's standard deviation. **Skeptical**: probably no difference; 5% for a difference above
# the one that the trial was planned to find. **Enthusiastic**: the planned difference; 5% for harm.
# **Cochrane**: what earlier trials of all kinds found once their noise is taken off. The last column
# says what each is worth: a trial of how many patients would weigh as much.

# %%
from bayes_ptsd.contrasts import model_of
from bayes_ptsd.evidence.published import select_contrast
from bayes_ptsd.exact.printed import row_prior
from bayes_ptsd.prior_family import ess_patients

family = ("flat", "skeptical", "enthusiastic", "cochrane")
first_period = select_contrast(evidence, "T2.IESR.F")
assert ies_r.range == (0, 88)
priors = [
    row_prior(model_of(first_period, convention="T", prior=name), first_period) for name in family
]
pd.DataFrame(
    {
        "prior": family,
        "formula (points of the IES-R)": [prior.formula for prior in priors],
        "worth in patients": [round(ess_patients(p, sd=ies_r.reference_sd), 1) for p in priors],
    }
).set_index("prior")

# %% [markdown]
# ## Posteriors
#
# The quick reanalysis has stored the posterior of every printed row under these four priors, by
# quadrature with a stated error. One panel a prior: prior, likelihood and posterior of the IES-R
# total in the first period.

# %%
from bayes_ptsd.plots import forest_figure, update_figure

answers = comparison["T"].sel(prior=list(family))
ids = answers["result_id"].sel(contrast="T2.IESR.F", crossover_reading="as_published")
update_figure([store.load(result_id) for result_id in ids.values])

# %%
from bayes_ptsd.comparison import comparison_frame

shown = comparison_frame(answers)
shown = shown[shown["contrast"].isin(rows)]
shown[
    ["contrast", "crossover_reading", "prior", "mean", "eti95_low", "eti95_high", "prob_benefit",
     "prob_gt_mcid"]
].round(3)  # fmt: skip

# %% [markdown]
# All outcomes at once, in units of their standard deviations. The band is the printed interval, the
# lines are the posteriors; the avoidance row with the star has the corrected limit.

# %%
everything = bp.compare(evidence, priors=list(family), store=store)
analysis = everything["analysis"]
first = [
    str(n) for n in everything["contrast"].values if analysis.sel(contrast=n) == "first_period"
]
crossed = [str(n) for n in everything["contrast"].values if analysis.sel(contrast=n) == "crossover"]
forest_figure(
    everything,
    evidence.trial,
    contrasts=first,
    reading="as_published",
    title="First period, 41 patients",
)

# %%
forest_figure(
    everything, evidence.trial, contrasts=crossed, reading="as_published",
    title="Crossover as published, 29 patients", reach=(-1.6, 1.9),
)  # fmt: skip

# %%
forest_figure(
    everything, evidence.trial, contrasts=crossed, reading="unhalved",
    title="Crossover unhalved, 29 patients", reach=(-1.6, 1.9),
)  # fmt: skip

# %% [markdown]
# ## How credible is one interval?
#
# Turn the question around: *which prior would it take to change what the interval says?* For each
# row: the skeptical prior that would just bring zero into the 95% interval (a normal around zero
# with 95% of its mass within the critical limit), the Bayes factor against no difference at all
# under the skeptical prior, and what is left of the estimate once it is shrunk as the record of
# other trials suggests.

# %%
from bayes_ptsd.credibility import credibility_table

credibility = credibility_table(evidence).sel(contrast=rows)
measures = pd.DataFrame(
    {
        "critical limit (points)": credibility["critical_limit"].values,
        "critical limit (SDs)": credibility["critical_limit"].values / ies_r.reference_sd,
        "Bayes factor, skeptical": credibility["bayes_factor_10"]
        .sel(prior="skeptical", convention="T")
        .values,
        "share of the estimate left": credibility["shrinkage_factor"].values,
        "sceptical P of an equal replication": credibility["sceptical_p"]
        .sel(calibration="golden", convention="T")
        .values,
    },
    index=rows,
)
measures.round(3)

# %% [markdown]
# ## Answer

# %%
table = answers.sel(crossover_reading="as_published")
halved = answers.sel(crossover_reading="unhalved", contrast="T2.IESR.X")
low = {name: float(table["prob_benefit"].sel(contrast=name).min()) for name in rows}
high = {name: float(table["prob_benefit"].sel(contrast=name).max()) for name in rows}
mcid = {
    "as published": table["prob_gt_mcid"].sel(contrast="T2.IESR.X", prior="skeptical"),
    "unhalved": halved["prob_gt_mcid"].sel(prior="skeptical"),
    "first period": table["prob_gt_mcid"].sel(contrast="T2.IESR.F", prior="skeptical"),
}
Markdown(
    f"""
- **Each row but one agrees with itself; the rows do not agree with each other.** One limit does not
  fit the other numbers of its row. In all {precision.sizes["endpoint"]} outcomes the paired analysis
  is less precise than the unpaired one, which patients with ordinary correlations do not produce;
  print leaves open what was computed.
- **Better at 24 hours on the IES-R: probable under every prior here.** P(benefit) is
  {low["T2.IESR.X"]:.3f} to {high["T2.IESR.X"]:.3f} from the crossover and {low["T2.IESR.F"]:.3f} to
  {high["T2.IESR.F"]:.3f} from the first period. With a flat prior it is one minus half the P value
  and says nothing new; what is new is how little it moves for a skeptic.
- **Better by how much is not settled.** The probability of more than {ies_r.mcid:g} points, half a
  standard deviation, under the skeptical prior: {float(mcid["as published"]):.2f} from the
  crossover as published, {float(mcid["unhalved"]):.2f} from the same row unhalved,
  {float(mcid["first period"]):.2f} from the first period.
- **A doubter needs no extreme prior.** A normal prior with 95% within
  {measures["critical limit (SDs)"].iloc[0]:.2f} standard deviations of zero brings zero into the
  interval of the crossover, {measures["critical limit (SDs)"].iloc[1]:.2f} into that of the first
  period.

These are statements about this trial's printed numbers. They hold if the printed analysis was
unbiased: whether patients could tell the drugs apart, and why some left, is the subject of
notebook 4.
"""
)
