"""What somebody sees who types the name of a value: a line, and in a notebook a small table."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import xarray as xr

import bayes_ptsd as bp
from bayes_ptsd.display import html_table, listed
from bayes_ptsd.exact.printed import fit_exact
from bayes_ptsd.reconstruction.release import load_release
from bayes_ptsd.trial import Endpoint, Trial

WIDE = 250
"""Two lines of a wide terminal."""
MARKED = Endpoint("y", "<b>Y</b> & more", "continuous", "higher")


class Cells(HTMLParser):
    """The texts in the cells of a table, and every tag."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the tag."""
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        """Keep the text."""
        self.texts.append(data)


@pytest.fixture(scope="module")
def patients() -> bp.Evidence:
    """Return the patients of a release."""
    return load_release(m=1)[0]


def test_names_are_listed_to_the_fourth() -> None:
    """Up to five names are said, of more the first four and how many more; each on one line."""
    assert listed("abc") == "a, b, c"
    assert listed("abcde") == "a, b, c, d, e"
    assert listed("abcdefg") == "a, b, c, d and 3 more"
    assert listed(["two\nlines", "\x1b[2J"]) == r"two lines, \x1b[2J"


def test_lines_say_what_there_is(patients: bp.Evidence) -> None:
    """Each value is a line or two that names it and counts what is in it."""
    outcome = bp.select_outcome(patients, "ies_r", visit="24h")
    spec = bp.load_model("crossover")
    row = bp.select_contrast(bp.load_published(), "T2.IESR.X")
    lines = [
        (
            patients,
            "Evidence(reconstructed, trial 'feder2014': 41 patients, 2 periods, visits 24h, 48h, "
            "72h, 7d, endpoints ies_r, ies_r_intrusion, ies_r_avoidance, ies_r_hyperarousal and 5 "
            "more, crossover_reading 'as_published', flow_reading 'paper')",
        ),
        (
            outcome,
            "Evidence(reconstructed, trial 'feder2014': 41 patients, 2 periods, visits 24h, "
            "endpoints ies_r, crossover_reading 'as_published', flow_reading 'paper')",
        ),
        (bp.load_published(), "Evidence(published, trial 'feder2014': 24 contrasts)"),
        (
            row,
            "Evidence(published, trial 'feder2014': contrast T2.IESR.X, crossover_reading "
            "'as_published')",
        ),
        (
            patients.trial,
            "Trial('feder2014', crossover: 'ketamine' against 'midazolam', endpoints ies_r, "
            "ies_r_intrusion, ies_r_avoidance, ies_r_hyperarousal and 5 more)",
        ),
        (spec.room, "Structure('crossover', options form, patients, likelihood, period_sd and 4 "
                    "more)"),
        (spec.room.problem(outcome, spec), "Problem('ies_r', exact engine, 1 note)"),
    ]  # fmt: skip
    for value, line in lines:
        assert repr(value) == line
        assert len(line) <= WIDE
    for name in bp.list_models():
        said = repr(bp.load_model(name))
        assert said.startswith(f"ModelSpec({name!r}, structure ")
        assert "priors treatment=" in said or "priors " in said
        assert "\n" not in said
        assert len(said) < 2 * WIDE
    assert "treatment=reference, level=normal(0.0, 10.0, sd, data)" in repr(spec)


def test_an_endpoint_is_what_made_it() -> None:
    """The line of an endpoint, without the grounds of its MCID, makes the endpoint again."""
    endpoint = bp.load_trial().endpoint("ies_r")
    assert eval(repr(endpoint), {"Endpoint": Endpoint}) == replace(endpoint, mcid_basis="")
    assert len(repr(endpoint)) <= WIDE


def test_the_line_of_a_replication_prior_has_its_moments() -> None:
    """Mean and SD of the robust prior, its unit, what it is mixed with and its center."""
    row = bp.select_contrast(bp.load_published(), "T2.IESR.F")
    found = bp.replication_prior(fit_exact(row, bp.load_model("published-first-period")))
    assert repr(found) == (
        f"ReplicationPrior(ies_r: mean {found.prior.mean:.3g}, sd {found.prior.sd:.3g} points, "
        "robust weight 0.2, center 'reference')"
    )


def test_no_text_of_a_file_is_markup() -> None:
    """What a trial or model file says is shown in a notebook as text, whatever it is."""
    trial = Trial("<i>t</i>", "<script>alert(1)</script>", "crossover", "<A>", "B&B", {"y": MARKED})
    evidence = bp.simulate_trial(trial, n_by_sequence=4, seed=1)
    evidence = replace(evidence, notes=("<img src=x>",))
    spec = replace(bp.load_model("crossover"), title="<h1>big</h1>", question="a < b & c")
    for value in (evidence, spec):
        page = Cells(value._repr_html_())
        assert set(page.tags) == {"table", "caption", "tr", "th", "td"}
    assert "<script>alert(1)</script> (crossover)" in Cells(evidence._repr_html_()).texts
    assert "a < b & c" in Cells(spec._repr_html_()).texts
    assert "http" not in evidence._repr_html_() + spec._repr_html_()
    assert Cells(html_table("x", [("a", "b")], head=["<", ">"])).texts.count("<") == 1
    assert r"a\x00b" in Cells(html_table("x", [("a\0b", "c")])).texts


def test_tables_of_a_notebook_have_what_is_asked_first(patients: bp.Evidence) -> None:
    """Evidence says who was compared with what, a model its question and every prior."""
    shown = dict(zip(*[iter(_rows(patients._repr_html_()))] * 2, strict=True))
    assert shown["patients"] == "41"
    assert shown["comparison"] == "ketamine against midazolam"
    assert shown["digest"] == patients.digest[:10]
    assert "nuisance" not in shown
    spec = bp.load_model("crossover")
    shown = dict(zip(*[iter(_rows(spec._repr_html_()))] * 2, strict=True))
    assert shown["question"] == spec.question
    assert {f"prior {name}" for name in spec.parameters} <= set(shown)
    assert {f"option {name}" for name in spec.options} <= set(shown)


def _rows(page: str) -> list[str]:
    """Return the texts of the cells of a table, without its caption."""
    return [text for text in Cells(page).texts if text.strip()][1:]


def test_a_store_shows_its_newest_results(tmp_path: Path) -> None:
    """Ten results, newest first, of as many as there are; an empty store has none."""
    store = bp.ResultStore(tmp_path / "<b>")
    assert repr(store) == f"ResultStore({str(tmp_path / '<b>')!r})"
    assert "0 results" in Cells(store._repr_html_()).texts[0]
    posterior = xr.Dataset({"x": (("chain", "draw"), [[1.0, 2.0]])})
    attrs = {"spec": "{}", "evidence_kind": "published", "seed": 1, "evidence_digest": "5b1e",
             "versions": "{}", "model": "published", "prior": "flat"}  # fmt: skip
    for number in range(12):
        tree = xr.DataTree.from_dict({"posterior": posterior})
        tree.attrs = attrs | {"result_id": f"{number:010x}"}
        store.save(tree)
    page = Cells(store._repr_html_())
    assert page.texts[0].endswith("<b>: 12 results, the newest 10")
    ids = [text for text in page.texts if text.startswith("000000")]
    assert ids == [f"{number:010x}" for number in range(11, 1, -1)]
