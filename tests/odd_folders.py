"""Folders of printed numbers as somebody may fill them in: anything optional there or not, and odd.

Numbers agree with each other in most rows, as those of papers do; some cells are what no paper
prints.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from typer.testing import CliRunner

from bayes_ptsd.cli import app
from bayes_ptsd.errors import BayesPtsdError
from bayes_ptsd.evidence.published import ANALYSES, EFFECTS
from bayes_ptsd.evidence.side_tables import BASELINE_KINDS, CLAIMS, COLUMNS, FLOW_STAGES

__all__ = ["PAGES", "QUICK", "failures", "write_folder"]

QUICK = (
    "audit", "compare", "credibility --contrast R0", "readings", "fit published --contrast R0",
    "replicate prior --contrast R0", "replicate predict", "sensitivity R0 --reconstructions 0",
    "reconstruct --m 1 --workers 1",
)  # fmt: skip
"""Commands that take a folder; those of `PAGES` take seconds each."""
PAGES = ("report", "reanalyze --quick --reconstructions 2 --workers 1")
STORED = ("compare", "fit", "report", "reanalyze")
ODD = ("abc", "-1", "0", "1e3", "1,2", " ", "99999999999999999", "<.001", "\x1b[2J", "=1+1")
SIGNS = ("benefit-positive", "active-minus-control", "control-minus-active")
runner = CliRunner()


def write_folder(folder: Path, seed: int) -> Path:
    """Write one folder, the same for the same seed."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    design = str(rng.choice(["crossover", "parallel"]))
    endpoints = [f"e{number}" for number in range(int(rng.integers(1, 4)))]
    endpoints += ["e0_part", "e0_rest"] if rng.uniform() < 0.15 else []
    sequences = {"crossover": ["AB", "BA"], "parallel": ["A", "B"]}[design]
    sequences = sequences if rng.uniform() < 0.7 else []
    folder.joinpath("trial.toml").write_text(_trial(rng, design, endpoints, sequences), "utf-8")
    rows = [_effect(rng, number, endpoints, design) for number in range(int(rng.integers(1, 6)))]
    _write(folder / "effects.csv", EFFECTS, rows, rng)
    fill = {"baseline": _baseline, "flow": _flow, "adverse_events": _event, "design": _design}
    for name, (required, optional) in COLUMNS.items():
        if rng.uniform() < 0.5:
            count = int(rng.integers(0, 8))
            if name == "claims":
                lines = [_claim(rng, rows) for _ in range(count)]
            else:
                lines = [fill[name](rng, endpoints, sequences) for _ in range(count)]
            for number, line in enumerate(lines):
                line.setdefault("id", f"{name}{number}")
            lines = list({str(line["id"]): line for line in lines}.values())
            _write(folder / f"{name}.csv", (*required, *optional), lines, rng)
    return folder


def failures(folder: Path, commands: Iterable[str], store: Path) -> list[str]:
    """Return a line for every command that neither accepts a folder nor refuses it in one line."""
    found = []
    for command in commands:
        words = [*command.split(), "--evidence", str(folder)]
        words += ["--store", str(store)] if words[0] in STORED else []
        done = runner.invoke(app, words)
        error = done.exception
        if isinstance(error, BayesPtsdError):
            said = "" if len(str(error).splitlines()) == 1 else "several lines"
        else:
            said = "" if error is None or isinstance(error, SystemExit) else repr(error)
        found += [f"{folder.name}: {command}: {said}"] if said else []
    return found


def _write(
    path: Path, columns: Iterable[str], rows: list[dict[str, Any]], rng: np.random.Generator
) -> None:
    """Write a table; in one of fifteen a cell is odd."""
    cells = [[str(row.get(name, "")) for name in columns] for row in rows]
    if cells and rng.uniform() < 1 / 15:
        line = cells[int(rng.integers(len(cells)))]
        line[int(rng.integers(len(line)))] = str(rng.choice(ODD))
    lines = [",".join(f'"{cell}"' if "," in cell else cell for cell in line) for line in cells]
    path.write_text("\n".join([",".join(columns), *lines]) + "\n", "utf-8")


def _trial(
    rng: np.random.Generator, design: str, endpoints: list[str], sequences: list[str]
) -> str:
    """Return a trial file with some of what is optional."""
    lines = ["schema = 1", 'name = "odd"', f'design = "{design}"']
    lines += ["[treatments]", 'active = "A"', 'control = "B"']
    lines += ["[sequences]"] if sequences else []
    lines += [f"{name} = {list(name)}" for name in sequences]
    lines += ["[visits]", '"24h" = 24', '"7d" = 168'] if rng.uniform() < 0.4 else []
    for name in endpoints:
        better = str(rng.choice(["lower", "higher"]))
        kind = str(rng.choice(["continuous", "continuous", "ordinal", "binary"]))
        lines += [f"[endpoints.{name}]", f'kind = "{kind}"', f'better = "{better}"']
        if kind != "binary" and rng.uniform() < 0.5:
            lines.append(f"range = [0, {int(rng.choice([4, 27, 60, 136]))}]")
        lines += ["mcid = 1.5"] if rng.uniform() < 0.4 and kind != "binary" else []
        lines += ["reference_sd = 3.5"] if rng.uniform() < 0.4 and kind != "binary" else []
    return "\n".join(lines).replace("'", '"') + "\n"


def _effect(
    rng: np.random.Generator, number: int, endpoints: list[str], design: str
) -> dict[str, Any]:
    """Return one row: an estimate with interval, P or both."""
    digits, scale = int(rng.integers(0, 3)), float(rng.choice([0.5, 3, 10]))
    estimate, se = rng.normal(scale), scale * rng.uniform(0.2, 1.5)
    often = ["crossover", "first_period"] if design == "crossover" else ["parallel"]
    row: dict[str, Any] = {
        "id": f"R{number}", "endpoint": rng.choice(endpoints),
        "analysis": rng.choice([*ANALYSES, *often * 4]), "estimate": f"{estimate:.{digits}f}",
        "sign_as_printed": rng.choice(SIGNS),
        "timepoint": rng.choice(["", "", "24h", "7d"]),
    }  # fmt: skip
    low, high = estimate - 2.05 * se, estimate + 2.05 * se
    with_interval = rng.uniform() < 0.8
    if with_interval:
        row |= {"ci_low": f"{low:.{digits}f}", "ci_high": f"{high:.{digits}f}"}
    if not with_interval or rng.uniform() < 0.4:
        row["p_value"] = rng.choice([".03", ".5", ".001", ".0496", ".20", ".03", ".07", "1"])
    sizes = {"n_active": rng.integers(1, 40), "n_control": rng.integers(1, 40)}
    row |= {"n": sum(sizes.values())} if rng.uniform() < 0.5 else {}
    row |= sizes if rng.uniform() < 0.5 else {}
    row |= {"df": rng.choice([1, 2, 16, 27, 38.5])} if rng.uniform() < 0.5 else {}
    row |= {"df_basis": "analysis not stated"} if rng.uniform() < 0.1 else {}
    row |= {"n_stated": 41, "df_stated": 38} if rng.uniform() < 0.1 else {}
    if rng.uniform() < 0.1:
        row |= {"term": "e1_24h", "sign_as_printed": ""}
    return row | _words(rng, estimate, se) if rng.uniform() < 0.3 else row


def _words(rng: np.random.Generator, estimate: float, se: float) -> dict[str, Any]:
    """Return what makes a row one of any measure, its interval left out or that of a ratio."""
    arms = {"mean_active": "9.1", "sd_active": "4.0", "n_active": 20, "mean_control": "7.5",
            "sd_control": "5", "n_control": 19}  # fmt: skip
    events = f"{rng.integers(0, 30)}/30 {rng.integers(1, 30)}/31"
    small = se / (abs(estimate) + se)
    kinds: list[dict[str, Any]] = [
        {"measure": rng.choice(["hr", "or", "gmr"]), "estimate": f"{math.exp(small):.2f}",
         "ci_low": f"{math.exp(small - 1):.2f}", "ci_high": f"{math.exp(small + 1):.2f}"},
        {"se": f"{se:.3f}", "ci_low": "", "ci_high": ""},
        {"t": "2.1", "df": 20, "ci_low": "", "ci_high": "", "measure": rng.choice(["md", "smd"])},
        {"counts": events, "estimate": "", "measure": rng.choice(["", "or", "rr", "rd"]),
         "sign_as_printed": "active-minus-control", "ci_low": "", "ci_high": ""},
        {"level": rng.choice(["0.90", "0.99", "95"])},
        {"p_value": rng.choice(["<.001", "> .05", "<.05"]), "measure": rng.choice(["", "md"])},
        arms | {"measure": "md", "sign_as_printed": "active-minus-control"},
    ]  # fmt: skip
    return kinds[int(rng.integers(len(kinds)))]


def _baseline(
    rng: np.random.Generator, endpoints: list[str], sequences: list[str]
) -> dict[str, Any]:
    """Return a line of the baseline table."""
    kind = str(rng.choice(BASELINE_KINDS))
    row = {"characteristic": rng.choice(["Age", "Sex"]), "kind": kind,
           "endpoint": rng.choice(["", *endpoints])}  # fmt: skip
    for arm in ("active", "control"):
        n = int(rng.integers(0, 30))
        value = int(rng.integers(0, n + 1)) if kind == "count_pct" else f"{rng.normal(20, 4):.1f}"
        row |= {f"n_{arm}": n, f"value_{arm}": value, f"spread_{arm}": rng.choice([0, 4.2, 33.3])}
    return row


def _flow(rng: np.random.Generator, _endpoints: list[str], sequences: list[str]) -> dict[str, Any]:
    """Return a line of the flow of patients."""
    return {"item": "somebody", "stage": rng.choice(FLOW_STAGES), "count": rng.integers(0, 30),
            "sequence": rng.choice(["", *sequences]),
            "flow_reading": rng.choice(["", "", "paper", "registry"])}  # fmt: skip


def _event(
    rng: np.random.Generator, _endpoints: list[str], _sequences: list[str]
) -> dict[str, Any]:
    """Return a line of adverse events."""
    row = {"event": rng.choice(["headache", "dissociation"])}
    for arm in ("active", "control"):
        row |= {f"percent_{arm}": rng.choice(["", 0, 12, 33.3, 100])}
        row |= {f"n_{arm}": rng.choice([0, 3, 20])} if rng.uniform() < 0.4 else {}
        row |= {f"count_{arm}": rng.choice([0, 3, 20])} if rng.uniform() < 0.4 else {}
    return row


def _design(
    rng: np.random.Generator, _endpoints: list[str], _sequences: list[str]
) -> dict[str, Any]:
    """Return a design fact."""
    ids = ["D.N", "D.POWER", "D.EFF", "D.ALPHA", "D.HALF", "D.X", "D.Y"]
    return {"id": rng.choice(ids), "item": rng.choice(["eligibility", "size"]),
            "value": rng.choice(["40", "80", "0", "0.9", ".05", "many"])}  # fmt: skip


def _claim(rng: np.random.Generator, rows: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a claim of the text about a row."""
    row = rows[int(rng.integers(len(rows)))]
    return {"contrast": rng.choice([row["id"], ""]), "term": rng.choice(["treatment", "period"]),
            "claim": rng.choice(CLAIMS), "endpoint": row["endpoint"],
            "analysis": row["analysis"]}  # fmt: skip
