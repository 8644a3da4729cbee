"""Published Bayesian reanalyses as a table: what was printed, one command each, and its answers.

Printed numbers are those of the sources named with each; `recomputed` were computed with other
programs (normal algebra, a logistic grid). `gallery` writes the page that shows them beside what
the commands answer.
"""

from __future__ import annotations

import csv
import functools
import json
import math
import tempfile
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from bayes_ptsd.audit import audit_findings, audit_posteriors
from bayes_ptsd.cli import app

__all__ = ["CABANA", "NO_INPUTS", "REPORTS", "ROWS", "Answer", "Reanalysis", "cabana_words",
           "gallery", "judged", "report_contradictions"]  # fmt: skip

COMMAND = ".venv/bin/bayes-ptsd credibility"
PARTS = (0.95, 0.90, 0.85, 0.80)  # risk ratios below which CABANA's table has probabilities


@functools.cache
def judged(words: str) -> dict[str, Any]:
    """Return the document of one command line."""
    done = CliRunner().invoke(app, ["credibility", *words.split(), "--json"])
    if done.exit_code:
        raise AssertionError(f"{words}: {done.stderr or done.exception}")
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def benefit(document: dict[str, Any], position: int = -1) -> float:
    """Return P(benefit) under one of the priors, the last by default."""
    return float(document["posteriors"][position]["prob_benefit"])


def median(document: dict[str, Any]) -> float:
    """Return the median under the last prior."""
    return float(document["posteriors"][-1]["median"])


def log_median(document: dict[str, Any]) -> float:
    """Return the logarithm of the median under the last prior."""
    return math.log(median(document))


def low(document: dict[str, Any]) -> float:
    """Return the lower limit of the 95% interval under the last prior."""
    return float(document["posteriors"][-1]["eti95"][0])


def high(document: dict[str, Any]) -> float:
    """Return the upper limit of the 95% interval under the last prior."""
    return float(document["posteriors"][-1]["eti95"][1])


def spread(document: dict[str, Any]) -> float:
    """Return the SD of a normal posterior under the last prior."""
    return (high(document) - low(document)) / (2 * 1.959964)


def spread_of_log(document: dict[str, Any]) -> float:
    """Return the SD of the logarithm of a ratio under the last prior, as if it were normal."""
    return math.log(high(document) / low(document)) / (2 * 1.959964)


def at(position: int) -> Callable[[dict[str, Any]], float]:
    """Return what reads the probability beyond one threshold under the last prior."""
    return lambda document: float(document["posteriors"][-1]["beyond"][position]["probability"])


def under(position: int, *, harm: bool = False) -> Callable[[dict[str, Any]], float]:
    """Return what reads P(benefit) under one prior, or of harm."""
    return lambda document: abs(float(harm) - benefit(document, position))


@dataclass(frozen=True)
class Answer:
    """One number of a reanalysis: how a document has it, recomputed, and as printed."""

    name: str
    of: Callable[[dict[str, Any]], float]
    recomputed: float
    printed: float | None = None  # None: not printed, or contradicted by its own print
    within: float = 0.01  # of the recomputed number
    text: str = ""  # as printed, where that is no number or contradicts its own print


@dataclass(frozen=True)
class Reanalysis:
    """One published reanalysis with the command that answers it."""

    id: str  # in the table of evidence; what follows a comma is another command for the same row
    about: str
    words: str
    answers: tuple[Answer, ...]
    found: str


# the risk ratios at which the risk falls by 1, 2 and 3 points from 22/79
LAPTOOK = [f"{1 - points / 100 / (22 / 79):.4f}" for points in (1, 2, 3)]

ROWS = (
    Reanalysis(
        "ANDROMEDA-skeptical",
        "ANDROMEDA-SHOCK printed HR 0.75 (0.55 to 1.02). Lane (DataMethods, R code; its title "
        "has HR 0.76): log HR under N(0, 0.392), 5% beyond the design's 0.525.",
        "--measure hr --estimate 0.75 --ci 0.55 1.02 --prior-mass 1 0.525 0.05",
        (Answer("HR, median", median, 0.780, 0.78), Answer("HR, lower limit", low, 0.587, 0.59),
         Answer("HR, upper limit", high, 1.038, 1.04),
         Answer("P(benefit)", benefit, 0.956, 0.95)),
        "Agrees. The source takes the standard error from the upper limit alone, .15688; the whole "
        "interval gives .15756.",
    ),
    Reanalysis(
        "ANDROMEDA-flat",
        "The same hazard ratio under a flat prior; Spiegelhalter, as reported by Bayesian "
        "Spectacles.",
        "--measure hr --estimate 0.75 --ci 0.55 1.02 --prior flat",
        (Answer("P(benefit)", benefit, 0.967, 0.97),),
        "Agrees.",
    ),
    Reanalysis(
        "DIAMOND-KAUL-fig2",
        "Diamond and Kaul (JACC 2004, Figure 2): log odds ratio 0.12, SE 0.06 of a megatrial under "
        "N(0, 0.07). A printed logarithm is a difference.",
        "--measure md --estimate 0.12 --se 0.06 --prior flat --prior normal(0,0.07)",
        (Answer("mean", median, 0.0692, 0.07), Answer("SD", spread, 0.0456, 0.05),
         Answer("one-tailed P, flat", under(0, harm=True), 0.0228, 0.021)),
        "Agrees within the rounding of 0.12 and 0.06.",
    ),
    Reanalysis(
        "DECAF",
        "DECAF: 47/100 against 64/100 events. Brophy (2025): log odds ratio under N(0.525, 0.3); a "
        "figure of the same page draws N(0.41, 0.3).",
        "--counts 47/100 64/100 --prior normal(0.525,0.3) --threshold 0.9",
        (Answer("log OR, mean", log_median, -0.117, -0.117),
         Answer("log OR, SD", spread_of_log, 0.209, 0.209),
         Answer("P(benefit)", benefit, 0.712, text=".79"),
         Answer("P(OR < 0.9)", at(0), 0.522, text=".62")),
        "The printed posterior agrees. The two probabilities of the text do not belong to it: its "
        "own N(-0.117, 0.209) has .712 and .522. Under a flat prior P(benefit) is .992.",
    ),
    Reanalysis(
        "DECAF, normal approximation",
        "The same from the log odds ratio of the counts and its standard error.",
        "--measure or --estimate 0.49882 --se 0.28905 --prior normal(0.525,0.3)",
        (Answer("log OR, mean", log_median, -0.108, -0.117),
         Answer("log OR, SD", spread_of_log, 0.208, 0.209),
         Answer("P(benefit)", benefit, 0.698)),
        "The normal approximation moves the mean by .009.",
    ),
    Reanalysis(
        "ART-tool",
        "ART printed OR 1.27 (0.99 to 1.63), P .057. Tanboga (example of a reanalysis tool): three "
        "by three priors, P(harm) above 93%.",
        "--measure or --estimate 1.27 --ci 0.99 1.63 --prior flat --prior normal(0,0.355) "
        "--prior normal(0,0.205)",
        (Answer("P(harm), flat", under(0, harm=True), 0.970, text="> .93"),
         Answer("P(harm), N(0, 0.355)", under(1, harm=True), 0.962, text="> .93"),
         Answer("P(harm), N(0, 0.205)", under(2, harm=True), 0.945, text="> .93")),
        "The bound holds under these three.",
    ),
    Reanalysis(
        "LAPTOOK",
        "Late Hypothermia (Laptook, JAMA 2017): 19/78 against 22/79 events; adjusted RR 0.86 (0.58 "
        "to 1.29) under N(0, 0.35) of the log risk ratio. Numbers read in a news report, the prior "
        "in a white book, neither in the article. Here the unadjusted risk ratio and its standard "
        "error.",
        "--measure rr --estimate 0.87471 --se 0.26946 --prior normal(0,0.35)",
        (Answer("RR, median", median, 0.919, text="0.86, adjusted"),
         Answer("RR, lower limit", low, 0.605, text="0.58, adjusted"),
         Answer("RR, upper limit", high, 1.397, text="1.29, adjusted"),
         Answer("P(benefit)", benefit, 0.653, text=".76, adjusted")),
        "Their model is adjusted and its data are not printed: the counts alone do not give .76.",
    ),
    Reanalysis(
        "LAPTOOK, its counts",
        "The same as two binomials.",
        "--measure rr --counts 19/78 22/79 --prior normal(0,0.35)",
        # 41 events are few for the normal approximation that was recomputed
        (Answer("RR, median", median, 0.919), Answer("RR, lower limit", low, 0.605),
         Answer("RR, upper limit", high, 1.397, within=0.015),
         Answer("P(benefit)", benefit, 0.653, within=0.015)),
        "41 events are few: the normal approximation of the row above is off by .01.",
    ),
    Reanalysis(
        "LAPTOOK, its printed posterior",
        "The printed adjusted interval as a posterior; absolute reductions from 22/79.",
        "--measure rr --estimate 0.86 --ci 0.58 1.29 --prior flat --control-risk 0.278 "
        + " ".join(f"--threshold {one}" for one in LAPTOOK),
        (Answer("P(benefit)", benefit, 0.77, 0.76),
         Answer("P(1 point and more)", at(0), 0.71, 0.71),
         Answer("P(2 points and more)", at(1), 0.64, 0.64),
         Answer("P(3 points and more)", at(2), 0.56, 0.56)),
        "Interval and probabilities agree with each other.",
    ),
    Reanalysis(
        "EOLIA",
        "EOLIA printed RR 0.76 (0.55 to 1.04), P .09; 44/124 against 57/125 events. Read in a "
        "practical course and an abstract; the answers of the reanalysis were not seen.",
        "--measure rr --estimate 0.76 --ci 0.55 1.04 --prior flat",
        (Answer("P(benefit)", benefit, 0.954),),
        "Nothing to compare with.",
    ),
    Reanalysis(
        "EOLIA, its counts",
        "The same as two binomials.",
        "--measure rr --counts 44/124 57/125 --prior flat",
        (Answer("P(benefit)", benefit, 0.947),),
        "Nothing to compare with.",
    ),
    Reanalysis(
        "INCEPTION",
        "INCEPTION (Heuts 2024, abstract): no inputs printed; risk difference 3.6 points (-9.5 to "
        "16.7) as a posterior, higher is better.",
        "--measure rd --better higher --estimate 3.6 --ci -9.5 16.7 --prior flat --threshold 5",
        (Answer("P(more than 5 points)", at(0), 0.417, 0.42),
         Answer("P(harm)", under(0, harm=True), 0.295, 0.29)),
        "Interval and probabilities agree with each other.",
    ),
    Reanalysis(
        "ESKETAMINE-RoE",
        "Adjunct esketamine, MADRS: 3.07 points, SE 1.19 (Hoefler and Miller 2023, read in the "
        "example of their program): the region of evidence at .975, a figure.",
        "--measure md --estimate 3.07 --se 1.19 --prior flat --threshold 0 --threshold 3 "
        "--threshold -3 --claim -3 --claim 0 --claim 3 --claim-level 0.975",
        (Answer("P(> 0)", at(0), 0.995), Answer("P(> 3)", at(1), 0.523),
         Answer("P(> -3)", at(2), 1.0)),
        "The printed answer is a figure; `--figure FILE` draws it.",
    ),
)  # fmt: skip
NO_INPUTS = {
    "RECOVERY-plasma": "Hamilton (IJID 2021): four priors of the risk difference and three "
    "probabilities under each, no counts and no estimate; what they say of each other is above.",
    "SPORTIF-V": "Kaul and Diamond (JACC 2005, Figure 6): priors N(0, 10), N(0.250, 0.374), "
    "N(-0.338, 0.241) of the log risk ratio and P(not inferior) .804 under the first; the sign of "
    "the third mean differs between two copies of the text.",
    "MISTIE-III": "abstract: risk ratio of mRS 0 to 3, P(> 1, 1.02, 1.10) of 70, 63, 34% under a "
    "minimal prior, and under three more; no counts, no interval.",
    "PSILOCYBIN": "Nayak (2022), abstract: Bayes factors in words on four scales; no numbers seen.",
}
"""Reanalyses whose inputs are not in public text, with what is."""


# prior, mean and SD of the log odds ratio; risk ratio with limits and P(RR < 1, .95, .9, .85, .8)
# in percent, as printed, then recomputed with a logistic grid
CABANA = (
    ("Noninformative", "0", "100", (0.87, 0.66, 1.15), (84, 73, 60, 50, 28),
     (0.87, 0.66, 1.14), (84, 73, 59, 43, 27)),
    ("CASTLE-AF", "-0.702", "0.314", (0.79, 0.62, 1.02), (97, 92, 84, 71, 53),
     (0.79, 0.62, 1.01), (97, 93, 85, 72, 53)),
    ("HF meta-analysis", "-0.763", "0.312", (0.78, 0.60, 1.00), (97, 94, 86, 74, 58),
     (0.78, 0.61, 1.00), (97, 94, 87, 75, 57)),
    ("Non-HF meta-analysis", "-0.408", "0.561", (0.85, 0.65, 1.11), (88, 79, 66, 49, 32),
     (0.86, 0.66, 1.12), (87, 78, 64, 47, 30)),
    ("Optimistic strong", "-0.15", "0.091", (0.87, 0.76, 1.00), (97, 89, 67, 37, 12),
     (0.87, 0.76, 1.00), (97, 89, 67, 36, 11)),
    ("Optimistic moderate", "-0.15", "0.145", (0.87, 0.72, 1.05), (93, 82, 64, 40, 19),
     (0.87, 0.72, 1.05), (92, 81, 63, 40, 19)),
    ("Optimistic weak", "-0.15", "0.287", (0.87, 0.68, 1.12), (86, 74, 59, 41, 24),
     (0.87, 0.68, 1.11), (87, 76, 60, 42, 24)),
    ("Neutral strong", "0", "0.207", (0.92, 0.73, 1.14), (78, 63, 44, 26, 12),
     (0.91, 0.73, 1.14), (78, 63, 44, 26, 12)),
    ("Neutral moderate", "0", "0.354", (0.89, 0.70, 1.14), (82, 69, 53, 36, 20),
     (0.89, 0.69, 1.14), (82, 69, 53, 36, 20)),
    ("Neutral weak", "0", "0.561", (0.88, 0.67, 1.14), (83, 72, 57, 40, 24),
     (0.88, 0.68, 1.14), (83, 72, 57, 40, 24)),
    ("Pessimistic strong", "0.15", "0.091", (1.07, 0.93, 1.23), (19, 5, 1, 0, 0),
     (1.07, 0.93, 1.23), (18, 5, 1, 0, 0)),
    ("Pessimistic moderate", "0.15", "0.145", (1.00, 0.84, 1.20), (48, 28, 12, 4, 1),
     (1.01, 0.83, 1.21), (47, 27, 12, 4, 1)),
    ("Pessimistic weak", "0.15", "0.287", (0.93, 0.71, 1.19), (72, 58, 41, 25, 13),
     (0.93, 0.73, 1.18), (73, 58, 41, 24, 12)),
)  # fmt: skip


def cabana_words(mean: str, sd: str) -> str:
    """Return the command of one prior of the log odds ratio, answered as risk ratio."""
    thresholds = " ".join(f"--threshold {part}" for part in PARTS)
    return f"--counts 89/1108 101/1096 --prior normal({mean},{sd}) --answer rr {thresholds}"


# reports that contradict themselves, as rows of a file for `audit --posteriors`
REPORTS: dict[str, tuple[str, ...]] = {
    "CABANA, noninformative": (
        "id,scale,median,low,high,probabilities",
        "flat,ratio,0.87,0.66,1.15,P(<1)=84%;P(<0.95)=73%;P(<0.9)=60%;P(<0.85)=50%;P(<0.8)=28%",
    ),
    "RECOVERY, convalescent plasma": (
        "id,posterior,likelihood,prior,probabilities",
        "vague,vague,plasma,flat,P(>0)=64%;P(>0.005)=43%;P(>0.01)=20%",
        'optimistic,optimistic,plasma,"normal(.01, .007)",P(>0)=65%;P(>0.005)=41%;P(>0.01)=19%',
        'sceptical,sceptical,plasma,"normal(0, .007)",P(>0)=64%;P(>0.005)=40%;P(>0.01)=19%',
        'pessimistic,pessimistic,plasma,"normal(-.01, .0036)",P(>0)=62%;P(>0.005)=38%;P(>0.01)=18%',
        "abstract,vague,,,P(>0.01)=18%",
    ),
    "DECAF": (
        "id,posterior,scale,mean,median,sd,low,high,probabilities",
        "logarithm,DECAF,log,-0.117,,0.209,-0.525,0.283,",
        "ratio,DECAF,ratio,,0.893,,0.591,1.327,",
        "text,DECAF,ratio,,,,,,P(<1)=79%;P(<0.9)=62%",
    ),
}


@functools.cache
def report_contradictions(name: str) -> tuple[str, ...]:
    """Return what the audit says cannot be true together in one report."""
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "report.csv"
        file.write_text("\n".join(REPORTS[name]) + "\n", "utf-8")
        assert len(list(csv.reader(REPORTS[name]))) == len(REPORTS[name])
        found = audit_findings(audit_posteriors(file))
    return tuple(one.statement for one in found if one.severity == "contradiction")


HEAD = """\
# Published reanalyses, recomputed

26 Bayesian reanalyses of printed trial results, found in public text: what was printed, one command
that answers it on its printed scale, and the two answers side by side. Printed numbers are as read
in the sources named, some of which are secondary: a news report, a forum thread, an abstract, the
example of a program. *Recomputed* is what the command answers. The tests recompute every number of
this page and hold it within one point of another program (normal algebra, a logistic grid), and
within two of print where print does not contradict itself. What is found is arithmetic; it says
nothing about a treatment.

N(m, s) is normal with standard deviation s, where a ratio is printed of its logarithm. How to ask
such questions: [Any printed result](guides/any-printed-result.md). A row of a folder takes the same
words: [Reanalyze a paper](guides/another-paper.md).
"""
CABANA_HEAD = """\
## CABANA: 13 priors

89/1108 against 101/1096 events; tables of the reanalysis' own repository. A prior of the log odds
ratio, answered as risk ratio, with P of a relative reduction of more than 0, 5, 10, 15 and 20%, in
percent. With M and S of the row:
"""
CABANA_FOUND = """\
Twelve agree within 2 points. In the first, P(RR < .85) is printed as 50% beside a median of 0.87,
above which half of the probability lies: it must be below 50%, and is {fourth}%. Priors centered on
-0.15 are centered on the trial's own log odds ratio ({own:.3f}), those on 0.15 on its mirror image:
the data are used twice, which the command warns of.
"""
REPORT_HEAD = """\
## Reports that contradict themselves

`audit --posteriors FILE` takes printed posteriors, a line each
([how](methods/audit.md#reports-of-bayesian-analyses)), and says which of their numbers cannot all
be true.
"""
WIDTH = 108  # of a line of prose in docs/


def gallery() -> str:
    """Return the page, every recomputed number of it from its command."""
    parts = [_wrapped(HEAD), *map(_section, ROWS), _cabana(), _reports(), _without_inputs()]
    return "\n".join(parts)


def _wrapped(text: str) -> str:
    """Return paragraphs with lines of the width of the other pages."""
    return "\n\n".join(
        textwrap.fill(one, WIDTH, break_on_hyphens=False, break_long_words=False)
        for one in text.strip().split("\n\n")
    ) + "\n"  # fmt: skip


def _section(row: Reanalysis) -> str:
    """Return one reanalysis: what was printed, its command, printed and recomputed, found."""
    document = judged(row.words)
    lines = [
        f"| {one.name} | {_printed(one)} | {_number(one, f'{one.of(document):.3f}')} |"
        for one in row.answers
    ]
    table = ["| answer | printed | recomputed |", "|---|---|---|", *lines]
    parts = [_wrapped(row.about), *_shell(row.words), *table, "", _wrapped(row.found)]
    return "\n".join([f"## {row.id}", "", *parts])


def _shell(words: str) -> list[str]:
    """Return the block of a command line, its priors in quotes as a shell needs them."""
    quoted = " ".join(f'"{one}"' if "(" in one else one for one in words.split())
    return ["```sh", f"{COMMAND} {quoted}", "```", ""]


def _printed(answer: Answer) -> str:
    """Return an answer as it was printed."""
    if answer.text or answer.printed is None:
        return answer.text or "not printed"
    return _number(answer, f"{answer.printed:g}")


def _number(answer: Answer, text: str) -> str:
    """Return a number, a probability without the zero before its point."""
    return text.removeprefix("0") if answer.name.startswith(("P(", "one-tailed")) else text


def _cabana() -> str:
    """Return the 13 priors of CABANA."""
    lines = [
        "| prior | RR printed | RR recomputed | P printed | P recomputed |",
        "|---|---|---|---|---|",
    ]
    fourth = 0.0
    for name, mean, sd, printed, shares, _, _ in CABANA:
        document = judged(cabana_words(mean, sd))
        answers = [benefit(document), *(at(one)(document) for one in range(4))]
        fourth = fourth or 100 * answers[3]
        ratio = f"{median(document):.2f} ({low(document):.2f} to {high(document):.2f})"
        shown = f"{printed[0]:.2f} ({printed[1]:.2f} to {printed[2]:.2f})"
        found = " ".join(f"{100 * one:.0f}" for one in answers)
        said = " ".join(map(str, shares))
        lines.append(f"| {name}: N({mean}, {sd}) | {shown} | {ratio} | {said} | {found} |")
    own = math.log(89 / 1019) - math.log(101 / 995)
    parts = [_wrapped(CABANA_HEAD), *_shell(cabana_words("M", "S")), *lines, ""]
    return "\n".join([*parts, _wrapped(CABANA_FOUND.format(fourth=f"{fourth:.0f}", own=own))])


def _reports() -> str:
    """Return the reports that contradict themselves, each with what the audit says."""
    parts = [_wrapped(REPORT_HEAD)]
    for name, rows in REPORTS.items():
        found = [_item(one) for one in report_contradictions(name)]
        parts += [f"### {name}", "", "```csv", *rows, "```", "", *found, ""]
    return "\n".join(parts)


def _without_inputs() -> str:
    """Return the reanalyses that cannot be recomputed, with what is known of each."""
    lines = [_item(f"{name}: {about}") for name, about in NO_INPUTS.items()]
    return "\n".join(["## Without inputs", "", *lines, ""])


def _item(text: str) -> str:
    """Return one item of a list."""
    return textwrap.fill(
        f"- {text}", WIDTH, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False
    )
