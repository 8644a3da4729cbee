"""A printed result of any measure on the command line: its options, and its answers for people."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import typer

from bayes_ptsd.cli._options import typed_prior
from bayes_ptsd.cli._output import interval, number, show_prose, show_table
from bayes_ptsd.errors import BayesPtsdError, SpecError

__all__ = [
    "Asked",
    "Believed",
    "Printed",
    "measured_document",
    "show_measured",
    "write_plane",
]


@dataclass(frozen=True)
class Printed:
    """What was printed, on its printed scale."""

    measure: Annotated[
        str | None,
        typer.Option("--measure", help="What it is: md, smd, hr, or, rr, irr, rd or gmr."),
    ] = None
    estimate: Annotated[
        float | None, typer.Option("--estimate", help="Printed estimate, as printed.")
    ] = None
    ci: Annotated[
        tuple[float, float] | None, typer.Option("--ci", help="Printed limits, low high.")
    ] = None
    level: Annotated[
        float | None, typer.Option("--level", help="Level of the interval; .95 by default.")
    ] = None
    se: Annotated[
        float | None, typer.Option("--se", help="Standard error; of the logarithm for ratios.")
    ] = None
    p: Annotated[float | None, typer.Option("--p", help="Two-sided P value.")] = None
    t: Annotated[float | None, typer.Option("--t", help="t statistic, with --df.")] = None
    f: Annotated[float | None, typer.Option("--f", help="F with 1 numerator df, with --df.")] = None
    df: Annotated[
        float | None, typer.Option("--df", help="Degrees of freedom of the t; else normal.")
    ] = None
    counts: Annotated[
        tuple[str, str] | None,
        typer.Option("--counts", help="Events/patients, active then control: 89/1108 101/1096."),
    ] = None
    active: Annotated[
        tuple[float, float, int] | None,
        typer.Option("--active", help="Mean, SD and n of the active arm, with --control."),
    ] = None
    control: Annotated[
        tuple[float, float, int] | None,
        typer.Option("--control", help="Mean, SD and n of the control arm."),
    ] = None
    n: Annotated[
        tuple[int, int] | None,
        typer.Option("--n", help="Patients of the active and control arm, for smd from t or F."),
    ] = None
    better: Annotated[
        str | None,
        typer.Option("--better", help="lower or higher; by default events are harm."),
    ] = None

    @classmethod
    def of(cls, words: Mapping[str, Any]) -> Printed:
        """Return a printed result from the words of a row, as `row` gives them back."""

        def pair(one: str, other: str) -> Any:
            return (words[one], words[other]) if {one, other} <= words.keys() else None

        def arm(name: str) -> Any:
            keys = (f"mean_{name}", f"sd_{name}", f"n_{name}")
            return tuple(words[key] for key in keys) if keys[0] in words else None

        counts = words.get("counts")
        alike = {key: words.get(key) for key in ("measure", "estimate", "level", "se", "t", "f")}
        return cls(
            **alike, p=words.get("p_value"), df=words.get("df"), better=words["better"],
            ci=pair("ci_low", "ci_high"), counts=None if counts is None else _both(counts),
            n=pair("n_active", "n_control"), active=arm("active"), control=arm("control"),
        )  # fmt: skip

    def row(self) -> dict[str, Any]:
        """Return what was printed as a row of `bayes_ptsd.evidence.measures.ROW`."""
        low, high = self.ci or (None, None)
        arms = {"active": self.active, "control": self.control}
        row: dict[str, Any] = {
            "measure": self.measure or "or", "estimate": self.estimate, "ci_low": low,
            "ci_high": high, "level": self.level, "se": self.se, "p_value": self.p, "t": self.t,
            "f": self.f, "df": self.df, "better": self.better,
            "counts": " ".join(self.counts) if self.counts else None,
        }  # fmt: skip
        for position, (arm, values) in enumerate(arms.items()):
            row[f"mean_{arm}"], row[f"sd_{arm}"], row[f"n_{arm}"] = values or (None, None, None)
            row[f"n_{arm}"] = row[f"n_{arm}"] or (self.n[position] if self.n else None)
        return row

    def difference(self, *, needing_measure: list[str]) -> tuple[float, tuple[float, float]]:
        """Return estimate and 95% limits of a difference; whatever else was typed needs a measure.

        `needing_measure` are options of other groups that do.
        """
        own = {"--estimate", "--ci", "--df"}
        more = [one for one in _given(self) if one not in own] + needing_measure
        if more:
            raise SpecError(
                f"{more[0]} needs a measure: say --measure md, smd, hr, or, rr, irr, rd or gmr"
            )
        if self.estimate is None or self.ci is None:
            raise typer.BadParameter(
                "give --estimate with --ci, --measure with what was printed, --counts or --evidence"
            )
        return self.estimate, self.ci


@dataclass(frozen=True)
class Believed:
    """Which priors a printed result is judged under."""

    sd: Annotated[
        float | None, typer.Option("--sd", help="Total SD of the score: adds the prior family.")
    ] = None
    prior: Annotated[
        list[str] | None,
        typer.Option(
            "--prior",
            help="Of the family, or 'normal(0, 20)' in points, of a ratio's logarithm; repeatable.",
        ),
    ] = None
    mcid: Annotated[
        float | None,
        typer.Option("--mcid", help="Adds optimistic, neutral, pessimistic priors, 3 strengths."),
    ] = None
    prior_mass: Annotated[
        tuple[float, float, float] | None,
        typer.Option("--prior-mass", help="Adds the prior of a MEAN with P(beyond T) = P."),
    ] = None
    historical: Annotated[
        tuple[float, float, float] | None,
        typer.Option("--historical", help="Adds an earlier estimate, LOW HIGH its 95% limits."),
    ] = None
    discount: Annotated[
        float | None, typer.Option("--discount", help="Share of the earlier trial, 0 to 1.")
    ] = None

    @property
    def needing_measure(self) -> list[str]:
        """The options that were typed and mean something only with a measure."""
        return [one for one in _given(self) if one not in ("--sd", "--prior")]


@dataclass(frozen=True)
class Asked:
    """What is asked of a printed result, on the printed scale of the answer."""

    threshold: Annotated[
        list[float] | None,
        typer.Option("--threshold", help="Adds P(benefit beyond it); repeatable."),
    ] = None
    rope: Annotated[
        tuple[float, float] | None,
        typer.Option("--rope", help="Adds P(within these limits of equivalence)."),
    ] = None
    margin: Annotated[
        float | None, typer.Option("--margin", help="Adds P(not inferior by this margin).")
    ] = None
    answer: Annotated[
        str | None, typer.Option("--answer", help="With --counts, another scale: or, rr or rd.")
    ] = None
    control_risk: Annotated[
        float | None,
        typer.Option("--control-risk", help="Adds risk difference and NNT at this risk."),
    ] = None
    claim: Annotated[
        list[float] | None,
        typer.Option("--claim", help="Which priors make P(benefit beyond it) high; repeatable."),
    ] = None
    claim_level: Annotated[
        float | None, typer.Option("--claim-level", help="How high; .95 by default.")
    ] = None
    figure: Annotated[
        Path | None, typer.Option("--figure", help="Draw those priors, SVG, to this new file.")
    ] = None

    @property
    def given(self) -> list[str]:
        """The options that were typed."""
        return _given(self)


def _both(counts: str) -> tuple[str, str]:
    """Return the counts of a row as two arms."""
    from bayes_ptsd.evidence.measures import read_counts

    active, control = read_counts(counts).text.split()
    return active, control


def _given(group: Printed | Believed | Asked) -> list[str]:
    """Return the options of a group that were typed."""
    names = [one.name for one in fields(group) if getattr(group, one.name) not in (None, [])]
    return [f"--{name.replace('_', '-')}" for name in names]


def measured_document(
    printed: Printed, beliefs: Believed, asked: Asked, relative_size: float
) -> dict[str, Any]:
    """Return everything that a printed result says, with what was typed."""
    from bayes_ptsd.credibility.any_result import result_document
    from bayes_ptsd.credibility.elicited import Beliefs
    from bayes_ptsd.credibility.questions import Questions
    from bayes_ptsd.evidence.measures import printed_result

    if beliefs.discount is not None and beliefs.historical is None:
        raise SpecError("--discount is of an earlier estimate: give --historical as well")
    row = {key: value for key, value in printed.row().items() if value is not None}
    for key, value in row.items():
        if value != value:
            raise SpecError(f"{key} is nan: give a number, or leave it out where it is not printed")
    result = printed_result(row)
    null = result.of.null if result.counts is None or result.measure != "rd" else 1.0
    drawn = (null,) if asked.figure is not None else ()
    found = result_document(
        result,
        beliefs=Beliefs(
            priors=tuple(typed_prior(text) for text in beliefs.prior or ()),
            sd=beliefs.sd,
            mcid=beliefs.mcid,
            mass=beliefs.prior_mass,
            historical=beliefs.historical,
            discount=1.0 if beliefs.discount is None else beliefs.discount,
        ),
        asked=Questions(
            thresholds=tuple(asked.threshold or ()),
            rope=asked.rope,
            margin=asked.margin,
            control_risk=asked.control_risk,
        ),
        answer=asked.answer or "",
        claims=tuple(asked.claim or ()) or drawn,
        claim_level=0.95 if asked.claim_level is None else asked.claim_level,
        relative_size=relative_size,
    )
    # JSON has no infinite df: leaving it out says the same
    return {"input": {key: value for key, value in row.items() if value != math.inf}} | found


def write_plane(document: Mapping[str, Any], path: Path) -> None:
    """Write the figure of the prior plane as a new file."""
    from bayes_ptsd.plots.prior_plane import prior_plane_figure
    from bayes_ptsd.plots.style import figure_svg
    from bayes_ptsd.whole_files import write_new

    svg = figure_svg(prior_plane_figure(document)).encode()
    write_new({path: svg}, error=BayesPtsdError)


def show_measured(document: Mapping[str, Any]) -> None:
    """Print what a printed result says for people."""
    result = document["result"]
    why = ", the default of this measure (--better)" if result["better_is_default"] else ""
    show_prose(
        f"{result['label'].capitalize()} {result['estimate']:.4g}, 95% {_ends(result['ci95'])}: "
        f"standard error {result['se']:.4g}, from {result['se_source']}.",
        f"Likelihood: {result['likelihood']}. {result['better'].capitalize()} is better{why}.",
    )
    words = {one["prior"]: one["words"] for one in document["priors"]}
    answer = result["answer"].upper()
    columns = ["prior", f"on the {result['prior_scale']['label']}", answer, "95% interval"]
    columns += _asked_columns(document)
    rows = [[one["prior"], words[one["prior"]], *_line(one)] for one in document["posteriors"]]
    show_table("Posterior, published evidence", columns, rows, prose=columns[1:2])
    _show_absolute(document)
    claims = [
        [one["claim"], ", ".join(x["prior"] for x in one["priors"] if x["makes_claim"]) or "none",
         one["who"]]
        for one in document["claims"]
    ]  # fmt: skip
    if claims:
        columns = ["claim", "of these priors", "of all normal ones"]
        show_table("Which priors make a claim", columns, claims, prose=columns)


def _ends(limits: list[float]) -> str:
    """Return an interval with four digits."""
    return " to ".join(f"{one:.4g}" for one in limits)


def _asked_columns(document: Mapping[str, Any]) -> list[str]:
    """Return a column per question."""
    result, first = document["result"], document["posteriors"][0]
    answer, sign = result["answer"].upper(), "<" if result["better"] == "lower" else ">"
    columns = ["P(benefit)"]
    columns += [f"P({answer} {sign} {one['threshold']:g})" for one in first["beyond"]]
    if "rope" in first:
        columns.append(f"P({_ends(first['rope']['limits'])})")
    if "noninferiority" in first:
        columns.append(f"P(not inferior, {first['noninferiority']['margin']:g})")
    return columns


def _line(one: Mapping[str, Any]) -> list[str]:
    """Return the answers under one prior."""
    figures = [one["prob_benefit"], *(part["probability"] for part in one["beyond"])]
    figures += [one["rope"]["inside"]] if "rope" in one else []
    figures += [one["noninferiority"]["probability"]] if "noninferiority" in one else []
    return [f"{one['median']:.4g}", _ends(one["eti95"]), *(number(x, 4) for x in figures)]


def _show_absolute(document: Mapping[str, Any]) -> None:
    """Print risk differences and numbers needed to treat, where there are some."""
    found = [one for one in document["posteriors"] if "absolute" in one]
    if not found:
        return
    rows = []
    for one in found:
        difference = one["absolute"]["risk_difference"]
        needed = one["absolute"]["nnt"]
        rows.append([
            one["prior"], number(difference["median"], 4), interval(difference["eti95"], 4),
            _needed(needed[0]), " to ".join(map(_needed, needed[1:])),
        ])  # fmt: skip
    columns = ["prior", "risk difference", "95% interval", "one more in", "of its limits"]
    show_table(f"Risk difference, {found[0]['absolute']['at']}", columns, rows)


def _needed(one: Mapping[str, Any]) -> str:
    """Return a number needed to treat with what it is needed for."""
    if one["number"] is None:
        return "none"
    return f"{one['number']:.0f} ({one['for_one_more']})"
