"""Printed posteriors audited: what cannot all be true is found, what is correct raises nothing."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from typer.testing import CliRunner

from bayes_ptsd.audit import audit_document, audit_findings, audit_frame, audit_posteriors
from bayes_ptsd.audit.report_file import read_report
from bayes_ptsd.cli import app
from bayes_ptsd.errors import BayesPtsdError

HEADER = ("id", "posterior", "scale", "likelihood", "prior", "mean", "median", "sd", "low", "high",
          "interval", "level", "probabilities", "place")  # fmt: skip


def report(folder: Path, *rows: dict[str, str]) -> Path:
    """Write rows as a report."""
    file = folder / "report.csv"
    with file.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, HEADER)
        writer.writeheader()
        writer.writerows(rows)
    return file


def contradictions(file: Path) -> dict[str, str]:
    """Return the statements of all contradictions by id; nothing is a caution."""
    found = audit_findings(audit_posteriors(file))
    assert {one.severity for one in found} <= {"contradiction", "consistent"}
    return {one.id: one.statement for one in found if one.severity == "contradiction"}


def published(shared: Path) -> dict[str, dict[str, str]]:
    """Return the rows of the published reanalyses."""
    file = shared / "evidence" / "published_reanalyses.csv"
    with file.open(encoding="utf-8", newline="") as handle:
        return {row["id"]: row for row in csv.DictReader(handle)}


def risk_ratios(name: str, text: str) -> dict[str, str]:
    """Return a row of ``RR m (low; high); P(RRR>0,.05,.10,.15,.20) = a b c d e``."""
    numbers = re.findall(r"\d*\.?\d+", text)
    median, low, high, shares = *numbers[:3], numbers[-5:]
    places = ("1", "0.95", "0.9", "0.85", "0.8")
    said = ";".join(f"P(<{at})={p}%" for at, p in zip(places, shares, strict=True))
    return {"id": name, "scale": "ratio", "median": median, "low": low, "high": high,
            "probabilities": said}  # fmt: skip


@pytest.mark.shared
def test_cabana(shared: Path, tmp_path: Path) -> None:
    """Of CABANA's 13 posteriors the first alone contradicts itself: P(RRR > .15) and its median."""
    rows = [
        risk_ratios(name, row["printed_bayesian_answers"])
        for name, row in published(shared).items()
        if name.startswith("CABANA")
    ]
    found = contradictions(report(tmp_path, *rows))
    assert len(rows) == 13
    assert list(found) == ["bayes_shape:CABANA-primary-01"]
    assert "'P(<0.85)=50%'" in found["bayes_shape:CABANA-primary-01"]
    assert "'median 0.87'" in found["bayes_shape:CABANA-primary-01"]


@pytest.mark.shared
def test_recovery(shared: Path, tmp_path: Path) -> None:
    """RECOVERY's printed priors give other posteriors than printed, from its own vague row."""
    row = published(shared)["RECOVERY-plasma"]
    answers = dict(re.findall(r"(\w+) (\d+/\d+/\d+)", row["printed_bayesian_answers"]))
    priors = dict(re.findall(r"(\w+) N\(([^)]+)\)", row["prior"]))
    rows = [
        {"id": name, "likelihood": "plasma",
         "prior": "flat" if name == "vague" else f"normal({', '.join(priors[name].split(','))})",
         "probabilities": ";".join(f"P(>{at})={share}%" for at, share in zip(
             ("0", "0.005", "0.01"), shares.split("/"), strict=True))}
        for name, shares in answers.items()
    ]  # fmt: skip
    found = contradictions(report(tmp_path, *rows))
    assert set(answers) == {"vague", "optimistic", "sceptical", "pessimistic"}
    for name in ("optimistic", "sceptical", "pessimistic"):
        assert "'P(>0)=" in found[f"bayes_likelihood:vague:{name}"]
    assert "no normal likelihood" in found["bayes_likelihood:plasma"]
    twice = [rows[0], {"id": "abstract", "posterior": "vague", "probabilities": "P(>0.01)=18%"}]
    assert "'P(>0.01)=18%'" in contradictions(report(tmp_path, *twice))["bayes_order:vague"]


@pytest.mark.shared
def test_decaf(shared: Path, tmp_path: Path) -> None:
    """DECAF's text contradicts its table, which alone is consistent, also as a normal posterior."""
    row = published(shared)["DECAF"]["printed_bayesian_answers"]
    numbers = re.findall(r"-?\d+\.\d+", row)
    rows = [
        {"id": "logarithm", "posterior": "DECAF", "scale": "log", "likelihood": "DECAF",
         "prior": "flat", "mean": numbers[0], "sd": numbers[1], "low": numbers[2],
         "high": numbers[3]},
        {"id": "ratio", "posterior": "DECAF", "scale": "ratio", "median": numbers[4],
         "low": numbers[5], "high": numbers[6]},
        {"id": "text", "posterior": "DECAF", "scale": "ratio",
         "probabilities": "P(<1)=79%; P(<0.9)=62%"},
    ]  # fmt: skip
    assert "text: P(benefit) ~79%, P(>=10% reduction) ~62%" in row
    found = contradictions(report(tmp_path, *rows))
    assert set(found) == {"bayes_shape:DECAF", "bayes_likelihood:DECAF"}
    assert "'P(<0.9)=62%'" in found["bayes_shape:DECAF"]
    assert contradictions(report(tmp_path, *rows[:2])) == {}


@pytest.mark.shared
def test_consistent_reports(shared: Path, tmp_path: Path) -> None:
    """INCEPTION raises nothing, nor do ANDROMEDA, Diamond and Kaul, and Laptook with inputs."""
    found = published(shared)
    assert (
        "ARD 3.6% (-9.5 to 16.7); RR 1.22 (0.59 to 2.51)"
        in (found["INCEPTION"]["printed_bayesian_answers"])
    )
    rows = [
        {"id": "ard", "likelihood": "ard", "prior": "flat", "median": "3.6", "low": "-9.5",
         "high": "16.7", "probabilities": "P(>5)=42%; P(<0)=29%"},
        {"id": "rr", "scale": "ratio", "likelihood": "rr", "prior": "flat", "median": "1.22",
         "low": "0.59", "high": "2.51", "probabilities": "P(<1)=29%"},
        {"id": "hr", "scale": "ratio", "likelihood": "andromeda", "prior": "flat",
         "median": found["ANDROMEDA-skeptical"]["estimate"], "low": "0.55", "high": "1.02"},
        {"id": "skeptical", "scale": "ratio", "likelihood": "andromeda",
         "prior": "normal(0, 0.392)", "median": "0.78", "low": "0.59", "high": "1.04",
         "probabilities": "P(<1)=0.95"},
        {"id": "trial", "likelihood": "fig2", "prior": "flat", "mean": "0.12", "sd": "0.06",
         "probabilities": "P(<0)=0.021"},
        {"id": "kaul", "likelihood": "fig2", "prior": "normal(0, 0.07)", "mean": "0.07",
         "sd": "0.05"},
        {"id": "laptook", "scale": "ratio", "likelihood": "cooling", "prior": "flat",
         "median": "0.86", "low": "0.58", "high": "1.29", "probabilities": "P(<1)=76%"},
    ]  # fmt: skip
    assert contradictions(report(tmp_path, *rows)) == {}


# twins of the published reports, with made-up numbers of the same kinds
def test_a_probability_against_its_median(tmp_path: Path) -> None:
    """Half of the mass cannot lie below 4 if the median is 4.6 and the density has no hole."""
    row = {"id": "a", "median": "4.6", "low": "-2.1", "high": "11.4"}
    fine = "P(<0)=9%; P(<2)=22%; P(<4)=43%; P(<6)=66%"
    assert contradictions(report(tmp_path, row | {"probabilities": fine})) == {}
    found = contradictions(report(tmp_path, row | {"probabilities": fine.replace("43", "50")}))
    assert list(found) == ["bayes_shape:a"]
    assert "'P(<4)=50%'" in found["bayes_shape:a"]


def test_numbers_out_of_order(tmp_path: Path) -> None:
    """Probabilities that fall, medians on the wrong side of one half, two prints of one number."""
    rows = [
        {"id": "falls", "probabilities": "P(<1)=40%; P(<2)=38%"},
        {"id": "side", "median": "3.0", "probabilities": "P(>2.5)=0.42"},
        {"id": "table", "posterior": "twice", "probabilities": "P(>1)=62%"},
        {"id": "text", "posterior": "twice", "probabilities": "P(>1)=60%"},
        {"id": "bound", "high": "5.0", "probabilities": "P(>5.2)>4%"},
        {"id": "rounds", "median": "3.0", "probabilities": "P(<3.04)=0.50; P(>1)>93%"},
    ]
    found = contradictions(report(tmp_path, *rows))
    assert set(found) == {f"bayes_order:{name}" for name in ("falls", "side", "twice", "bound")}


def test_priors_against_one_likelihood(tmp_path: Path) -> None:
    """A likelihood of 3 (2) under N(0, 1.5) is 1.08 (1.20); printed 2.6 (1.20) is contradicted."""
    flat = {"id": "flat", "likelihood": "data", "prior": "flat", "mean": "3.0", "sd": "2.0",
            "probabilities": "P(>0)=93%"}  # fmt: skip
    skeptic = {"id": "skeptic", "likelihood": "data", "prior": "normal(0, 1.50)", "sd": "1.20"}
    said = f"P(>0)={100 * stats.norm.cdf(1.08 / 1.2):.0f}%"
    right = skeptic | {"mean": "1.08", "probabilities": said}
    assert contradictions(report(tmp_path, flat, right)) == {}
    found = contradictions(report(tmp_path, flat, skeptic | {"probabilities": "P(>0)=93%"}))
    assert set(found) == {"bayes_likelihood:data", "bayes_likelihood:flat:skeptic"}
    low, high = map(float, re.findall(r"\d\.\d{3}", found["bayes_likelihood:flat:skeptic"])[:2])
    assert low < 0.816 < high < 0.85


def test_a_highest_density_interval_is_no_quantile(tmp_path: Path) -> None:
    """Limits of highest density are held to no tail probability of a skewed posterior."""
    density = stats.lognorm(0.9)
    row = {"id": "a", "median": "1.00", "low": "0.03", "high": "4.61",
           "probabilities": f"P(<0.03)={density.cdf(0.03):.3f}"}  # fmt: skip
    assert contradictions(report(tmp_path, row)) != {}
    assert contradictions(report(tmp_path, row | {"interval": "hdi"})) == {}


def normal_reports(rng: np.random.Generator, name: str) -> list[dict[str, str]]:
    """Return three correct posteriors of one normal likelihood, rounded as printed."""
    ratio, digits = bool(rng.integers(2)), int(rng.integers(2, 4))
    mean, se = rng.normal(0, 0.3), rng.uniform(0.05, 0.4)
    # as typed: the posterior is that of the rounded prior
    priors = ["flat", *(f"normal({rng.normal(0, 0.2):.2f}, {rng.uniform(0.1, 0.6):.3f})"
                        for _ in range(2))]  # fmt: skip
    return [_normal_row(f"{name}-{n}", name, prior, (mean, se), ratio=ratio, digits=digits)
            for n, prior in enumerate(priors)]  # fmt: skip


def _normal_row(
    name: str, data: str, prior: str, likelihood: tuple[float, float], *, ratio: bool, digits: int
) -> dict[str, str]:
    """Return one posterior of a normal likelihood as it is printed."""
    mean, se = likelihood
    center, sd = map(float, re.findall(r"-?\d\.\d+", prior)) if prior != "flat" else (0.0, np.inf)
    information = se**-2 + sd**-2
    posterior = stats.norm((mean / se**2 + center / sd**2) / information, information**-0.5)
    places = ["0.8", "0.9", "0.95", "1"] if ratio else ["-0.1", "0", "0.05", "0.1"]
    at = np.log(np.array(places, dtype=float)) if ratio else np.array(places, dtype=float)
    low, median, high = posterior.ppf([0.025, 0.5, 0.975])
    shown = [f"{np.exp(one) if ratio else one:.{digits}f}" for one in (low, median, high)]
    row = {"id": name, "scale": "ratio" if ratio else "difference", "likelihood": data,
           "prior": prior, **dict(zip(("low", "median", "high"), shown, strict=True)),
           "probabilities": ";".join(f"P(<{place})={100 * posterior.cdf(one):.0f}%"
                                     for place, one in zip(places, at, strict=True))}  # fmt: skip
    moments = {"mean": f"{posterior.mean():.{digits}f}", "sd": f"{posterior.std():.{digits}f}"}
    return row if ratio else row | moments


def binomial_reports(rng: np.random.Generator, name: str) -> list[dict[str, str]]:
    """Return risk difference and risk ratio of two arms from 10,000 draws, rounded as printed."""
    n = rng.integers(20, 300, size=2)
    r = rng.binomial(n, rng.uniform(0.1, 0.6, size=2))
    one, two = (rng.beta(r[i] + 1, n[i] - r[i] + 1, size=10_000) for i in (0, 1))
    rows = []
    for scale, draws, places in (("difference", one - two, ("-0.05", "0", "0.01", "0.05")),
                                 ("ratio", one / two, ("0.8", "0.9", "1", "1.1"))):  # fmt: skip
        low, median, high = np.quantile(draws, [0.025, 0.5, 0.975])
        said = ";".join(f"P(<{at})={100 * (draws < float(at)).mean():.0f}%" for at in places)
        rows.append({"id": f"{name}-{scale}", "scale": scale, "low": f"{low:.3f}",
                     "median": f"{median:.3f}", "high": f"{high:.3f}",
                     "probabilities": said})  # fmt: skip
    return rows


def test_correct_reports_raise_nothing(tmp_path: Path) -> None:
    """200 simulated correct reports, rounded as printed, half of them from draws, raise nothing."""
    rng = np.random.default_rng(20261130)
    rows = [row for n in range(100) for row in normal_reports(rng, f"n{n}")]
    rows += [row for n in range(100) for row in binomial_reports(rng, f"b{n}")]
    file = report(tmp_path, *rows)
    assert len(read_report(file)) == 500
    assert contradictions(file) == {}


def test_altered_reports_are_found(tmp_path: Path) -> None:
    """A probability moved by 12 points is found in nine of ten reports of a normal likelihood."""
    rng = np.random.default_rng(7)
    found = 0
    for number in range(30):
        rows = normal_reports(rng, f"n{number}")
        shares = [int(one) for one in re.findall(r"=(\d+)%", rows[1]["probabilities"])]
        place = int(np.argmin([abs(one - 50) for one in shares]))
        moved = shares[place] + (12 if shares[place] < 50 else -12)
        parts = rows[1]["probabilities"].split(";")
        parts[place] = parts[place].replace(f"={shares[place]}%", f"={moved}%")
        found += bool(contradictions(report(tmp_path, rows[0], rows[1] | {
            "probabilities": ";".join(parts)}, rows[2])))  # fmt: skip
    assert found >= 27


def test_command(tmp_path: Path) -> None:
    """`audit --posteriors` prints the findings of the library, contradictions first."""
    file = report(tmp_path, {"id": "fine", "median": "1", "probabilities": "P(<0)=20%"},
                  {"id": "falls", "probabilities": "P(<1)=40%; P(<2)=38%"})  # fmt: skip
    arguments = ["audit", "--posteriors", str(file)]
    done = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    tree = audit_posteriors(file)
    document: dict[str, Any] = json.loads(done.stdout)
    assert document == {"schema": 1, "command": "audit", **audit_document(tree)}
    assert document["counts"]["contradiction"] == 1
    people = CliRunner().invoke(app, arguments, catch_exceptions=False).stdout
    assert people.index("contradiction") < people.index("consistent")
    assert audit_frame(tree)["statement"][0] in " ".join(people.replace("│", " ").split())


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({"probabilities": "P<1=40%"}, "write P(<0.9)=60%"),
        ({"probabilities": "P(<1)=40"}, "write % behind it"),
        ({"probabilities": "P(<-1)=40%", "scale": "ratio"}, "a ratio is positive"),
        ({"mean": "0.9", "scale": "ratio"}, "give the median, or a row of scale 'log'"),
        ({"median": "-0.9", "scale": "ratio"}, "of its logarithm write scale 'log'"),
        ({"low": "3", "high": "2"}, "increasing order"),
        ({"sd": "-1"}, "a standard deviation is positive"),
        ({"median": "1", "level": "950"}, "between 0 and 1"),
        ({"median": "1", "prior": "gamma(1, 1)"}, "only normal and flat priors"),
        ({"median": "1", "prior": "normal(1)"}, "normal takes 2 numbers"),
        ({"median": "1", "scale": "hazard"}, "'hazard' is not allowed"),
        ({"place": "Table 1"}, "says nothing of its posterior"),
    ],
)
def test_refusals(tmp_path: Path, row: dict[str, str], named: str) -> None:
    """What cannot be read is refused with file, row, column and what to write."""
    with pytest.raises(BayesPtsdError) as caught:
        audit_posteriors(report(tmp_path, {"id": "r1"} | row))
    assert "report.csv, line 2 (id 'r1')" in str(caught.value)
    assert named in str(caught.value)


def test_rows_of_one_posterior_agree(tmp_path: Path) -> None:
    """Two rows of one posterior have one scale and one prior; a report excludes a folder."""
    first = {"id": "a", "posterior": "p", "median": "1", "prior": "flat"}
    for other in ({"scale": "ratio"}, {"prior": "normal(0, 1)"}):
        with pytest.raises(BayesPtsdError, match="row 'a'"):
            read_report(
                report(tmp_path, first, {"id": "b", "posterior": "p", "median": "2"} | other)
            )
    arguments = ["audit", "--posteriors", "a.csv", "--evidence", str(tmp_path)]
    with pytest.raises(BayesPtsdError, match="not both"):
        CliRunner().invoke(app, arguments, catch_exceptions=False)
