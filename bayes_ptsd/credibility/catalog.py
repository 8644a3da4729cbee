"""What every credibility measure is: label, formula, source, and where it is undefined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["CONVENTIONS", "QUANTITIES", "SOURCES", "Quantity"]

CONVENTIONS: Mapping[str, str] = {
    "N": "normal around the printed estimate, standard error (U - L) / (2 x 1.959964)",
    "T": "Student-t around the middle of the interval, standard error (U - L) / (2 t_df,.975); P "
    "is that of t, and z the normal score of that P",
}

SOURCES: Mapping[str, str] = {
    "edwards1963": "Edwards W, Lindman H, Savage LJ. Bayesian statistical inference for "
    "psychological research. Psychological Review 1963;70(3):193-242",
    "goodman1992": "Goodman SN. A comment on replication, p-values and evidence. Statistics in "
    "Medicine 1992;11(7):875-879",
    "held2019": "Held L. The assessment of intrinsic credibility and a new argument for "
    "p < 0.005. Royal Society Open Science 2019;6(3):181534",
    "held2020": "Held L. A new standard for the analysis and design of replication studies. "
    "Journal of the Royal Statistical Society A 2020;183(2):431-448",
    "held2022": "Held L, Micheloud C, Pawel S. The assessment of replication success based on "
    "relative effect size. Annals of Applied Statistics 2022;16(2):706-720",
    "kass1995": "Kass RE, Raftery AE. Bayes factors. Journal of the American Statistical "
    "Association 1995;90(430):773-795",
    "matthews2018": "Matthews RAJ. Beyond 'significance': principles and practice of the "
    "analysis of credibility. Royal Society Open Science 2018;5(1):171047",
    "micheloud2023": "Micheloud C, Balabdaoui F, Held L. Assessing replicability with the "
    "sceptical p-value: Type-I error control and sample size planning. Statistica Neerlandica "
    "2023, doi:10.1111/stan.12312",
    "patil2016": "Patil P, Peng RD, Leek JT. What should researchers expect when they replicate "
    "studies? A statistical view of replicability in psychological science. Perspectives on "
    "Psychological Science 2016;11(4):539-544",
    "pawel2022": "Pawel S, Held L. The sceptical Bayes factor for the assessment of replication "
    "success. Journal of the Royal Statistical Society B 2022;84(3):879-911",
    "sellke2001": "Sellke T, Bayarri MJ, Berger JO. Calibration of p values for testing precise "
    "null hypotheses. The American Statistician 2001;55(1):62-71",
    "vanzwet2021": "van Zwet E, Schwab S, Senn S. The statistical properties of RCTs and a "
    "proposal for shrinkage. Statistics in Medicine 2021;40(27):6107-6117",
    "verhagen2014": "Verhagen J, Wagenmakers EJ. Bayesian tests to quantify the result of a "
    "replication attempt. Journal of Experimental Psychology: General 2014;143(4):1457-1475",
}


@dataclass(frozen=True)
class Quantity:
    """One measure of `bayes_ptsd.credibility.assess_interval`."""

    label: str
    formula: str
    source: str = ""  # keys of `SOURCES`, separated by commas; empty for plain arithmetic
    undefined: str = ""  # when the value is missing, and why
    convention: str = ""  # "N" for measures of it only, empty where ``convention`` is a dimension
    unit: str = "1"  # or "score"


NO_SIGN = "the estimate is 0 and has no direction"

QUANTITIES: Mapping[str, Quantity] = {
    "estimate": Quantity("estimate", "printed estimate (N), (L + U) / 2 (T)", unit="score"),
    "se": Quantity("standard error", "(U - L) / (2 x .975 quantile)", unit="score"),
    "statistic": Quantity("z or t", "estimate / se"),
    "p_value": Quantity("two-sided P", "2 (1 - F(|statistic|))"),
    "z": Quantity("z", "estimate / se (N), sign x normal score of P (T)"),
    "posterior_mean": Quantity("posterior mean", "E(difference | estimate)", unit="score"),
    "posterior_low": Quantity("95% interval, lower", ".025 quantile", unit="score"),
    "posterior_high": Quantity("95% interval, upper", ".975 quantile", unit="score"),
    "prob_benefit": Quantity("P(benefit)", "P(difference > 0 | estimate)"),
    "bayes_factor_10": Quantity(
        "BF10",
        "f(estimate | prior) / f(estimate | 0)",
        "kass1995",
        "the flat prior is improper: it has no Bayes factor",
    ),
    "prior_odds_needed": Quantity(
        "prior odds needed for P(H1) = .95",
        "19 / BF10",
        "kass1995",
        "the flat prior is improper: it has no Bayes factor",
    ),
    "minimum_bayes_factor": Quantity(
        "smallest BF01 of any prior",
        "exp(-z^2/2) (N), (1 + t^2/df)^(-(df+1)/2) (T)",
        "edwards1963",
    ),
    "prior_odds_at_minimum": Quantity(
        "prior odds needed for P(H1) = .95, at the least",
        "19 x smallest BF01",
        "edwards1963",
    ),
    "sellke_bound": Quantity(
        "bound on BF01 from P",
        "-e P ln P",
        "sellke2001",
        "the bound holds for P below 1/e = .368 only",
    ),
    "critical_kind": Quantity(
        "analysis of credibility", "by the signs of L and U", "matthews2018", convention="N"
    ),
    "critical_limit": Quantity(
        "skepticism or advocacy limit",
        "(U - L)^2 / (4 sqrt(U L)), or -(U + L)(U - L)^2 / (2 U L)",
        "matthews2018",
        "a limit of the interval is 0, or it is symmetric about 0",
        "N",
        "score",
    ),
    "critical_prior_low": Quantity(
        "critical prior interval, lower",
        "-limit, or 0",
        "matthews2018",
        "no skepticism or advocacy limit",
        "N",
        "score",
    ),
    "critical_prior_high": Quantity(
        "critical prior interval, upper",
        "limit",
        "matthews2018",
        "no skepticism or advocacy limit",
        "N",
        "score",
    ),
    "critical_reason": Quantity("meaning of the limit", "in words", "matthews2018", convention="N"),
    "intrinsic_p": Quantity(
        "P for intrinsic credibility",
        "2 (1 - Phi(|z| f)), f = sqrt(1/2) (held), sqrt((sqrt 5 - 1)/2) (matthews)",
        "held2019, matthews2018",
    ),
    "sceptical_p": Quantity(
        "one-sided sceptical P",
        "1 - Phi(zS) (nominal), 1 - Phi(1.272 zS) (golden), sqrt(P0(ZS >= zS))/2 (controlled)",
        "held2020, held2022, micheloud2023",
        NO_SIGN,
    ),
    "expected_snr": Quantity(
        "expected signal-to-noise ratio", "E(SNR | z)", "vanzwet2021", convention="N"
    ),
    "shrinkage_factor": Quantity(
        "shrinkage, Cochrane record", "E(SNR | z) / z", "vanzwet2021", convention="N"
    ),
    "exaggeration": Quantity(
        "exaggeration, Cochrane record", "|z| / median(|SNR| | z)", "vanzwet2021", convention="N"
    ),
    "sign_probability": Quantity(
        "P(sign is right), Cochrane record", "P(SNR z > 0 | z)", "vanzwet2021", convention="N"
    ),
    "empirical_bayes_shrinkage": Quantity(
        "shrinkage, empirical Bayes", "max(1 - 1/z^2, 0)", convention="N"
    ),
    "replication_probability": Quantity(
        "P(replication: P < .05, same direction)",
        "Phi((m - 1.96 s/sqrt c) / sqrt(v + s^2/c)) over the posterior",
        "goodman1992",
        f"{NO_SIGN}, or the posterior is not a mixture of normals",
        "N",
    ),
    "replication_probability_conditional": Quantity(
        "P(replication: P < .05, same direction) if the estimate is the truth",
        "Phi(|z| sqrt c - 1.96)",
        "goodman1992",
        NO_SIGN,
        "N",
    ),
}
