"""The report of a quick reanalysis, opened from disk in a browser."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from bayes_ptsd.fit import fit_model
from bayes_ptsd.models_files import load_model
from bayes_ptsd.report import write_report
from bayes_ptsd.store import ResultStore
from bayes_ptsd.structures.categorical.patients import example_categories

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars", "--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=5000",
)  # fmt: skip
WIDTHS = (1280, 480)
HEADINGS = ("audit", "credibility", "provenance")
LOADING = {"src", "srcset", "href", "xlink:href", "data", "poster", "action", "background"}
CATCH = """<script>
window.failures = [];
addEventListener('error', event => failures.push(String(event.message)), true);
</script>"""
MEASURE = """<script>
const local = /^(data|file|blob):/, root = document.documentElement;
addEventListener('load', () => parent.postMessage(JSON.stringify({
  width: root.clientWidth,
  needed: root.scrollWidth,
  height: root.scrollHeight,
  broken: [...document.images].filter(image => !image.naturalWidth).length,
  fetched: performance.getEntriesByType('resource').map(e => e.name).filter(n => !local.test(n)),
  failures: window.failures}), '*'));
</script>"""
# Chromium makes no window narrower than 500 px, but a frame may have any width.
FRAME = """<!doctype html><meta charset="utf-8">
<style>body {{ margin: 0 }} iframe {{ border: 0; display: block }}</style>
<script>
addEventListener('message', event => document.documentElement.dataset.page = event.data);
</script>
<iframe src="page.html" width="{width}" height="{height}"></iframe>"""


class Page(HTMLParser):
    """Tags, headings and addresses of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.headings: list[tuple[str, str]] = []
        self._heading: list[str] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the tag; start a heading."""
        self.tags.append((tag, {key: value or "" for key, value in attrs}))
        if re.fullmatch("h[1-6]", tag):
            self._heading = []

    def handle_endtag(self, tag: str) -> None:
        """Finish a heading."""
        if self._heading is not None and re.fullmatch("h[1-6]", tag):
            self.headings.append((tag, " ".join("".join(self._heading).split())))
            self._heading = None

    def handle_data(self, data: str) -> None:
        """Collect the text of a heading."""
        if self._heading is not None:
            self._heading.append(data)

    def external(self) -> list[str]:
        """Return everything that would be loaded from, or leads to, another place."""
        addresses = [
            value
            for _, attributes in self.tags
            for key, value in attributes.items()
            if key in LOADING or key == "style"
        ]
        return [
            value for value in addresses if re.search(r"(?:https?:)?//\w", value, re.IGNORECASE)
        ]


@dataclass(frozen=True)
class View:
    """What a browser says about the page at one width."""

    width: int
    needed: int
    height: int
    broken: int
    screenshot: Path
    fetched: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page of a quick reanalysis."""
    store = tmp_path_factory.mktemp("store")
    program = Path(sys.executable).with_name("bayes-ptsd")
    done = subprocess.run(
        [program, "reanalyze", "--quick", "--store", store],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return store / "report" / "index.html"


@pytest.fixture(scope="module")
def patients_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page of one exact fit of patients."""
    store = ResultStore(tmp_path_factory.mktemp("patients") / "store")
    store.save(fit_model(example_categories("binary"), load_model("binary-beta-binomial"),
                         engine="exact"))  # fmt: skip
    return write_report(None, store, store.path / "report")


@pytest.fixture(scope="module", params=WIDTHS)
def view(
    request: pytest.FixtureRequest,
    report: Path,
    browser: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> View:
    """Open the page in a frame of one width, twice: to measure it and to photograph all of it."""
    folder = tmp_path_factory.mktemp("view")
    kept = Path(os.environ.get("BAYES_PTSD_SCREENSHOTS") or folder)
    return open_page(report, browser, width=request.param, folder=folder, kept=kept)


def open_page(page: Path, browser: str, *, width: int, folder: Path, kept: Path) -> View:
    """Measure and photograph a page at one width; keep the picture in `kept`."""
    kept.mkdir(parents=True, exist_ok=True)
    shutil.copytree(page.parent, folder, dirs_exist_ok=True)
    text = page.read_text(encoding="utf-8").replace("<head>", f"<head>{CATCH}", 1)
    (folder / "page.html").write_text(text + MEASURE, encoding="utf-8")
    frame = folder / "frame.html"
    frame.write_text(FRAME.format(width=width, height=900), encoding="utf-8")
    said = run_browser(browser, folder, f"--window-size={max(width, 500)},900", "--dump-dom", frame)
    match = re.search(r'data-page="(.*?)"', said)
    assert match, "the page never finished loading"
    found = json.loads(match[1].replace("&quot;", '"').replace("&amp;", "&"))
    height = min(found["height"], 16_000)
    frame.write_text(FRAME.format(width=width, height=height), encoding="utf-8")
    target = kept / f"report-{width}.png"
    run_browser(browser, folder, f"--window-size={width},{height}", f"--screenshot={target}", frame)
    return View(screenshot=target, **found)


def run_browser(browser: str, folder: Path, *arguments: str | Path) -> str:
    """Run a browser without a window and without network; return what it prints."""
    *options, page = arguments
    profile = f"--user-data-dir={folder / 'profile'}"
    done = subprocess.run(
        [browser, *FLAGS, profile, *map(str, options), Path(page).as_uri()],
        capture_output=True, text=True, timeout=180, check=True,
    )  # fmt: skip
    return done.stdout


@pytest.mark.browser
def test_page_needs_nothing_from_elsewhere(report: Path) -> None:
    """No attribute and no style of the page names an address outside it."""
    text = report.read_text(encoding="utf-8")
    assert Page(text).external() == []
    assert re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//[^)\s]*", text) == []


@pytest.mark.browser
def test_page_is_readable_without_seeing_it(report: Path) -> None:
    """One main heading, the announced parts, language, and a text for every image."""
    text = report.read_text(encoding="utf-8")
    page = Page(text)
    headings = [heading.lower() for level, heading in page.headings if level == "h2"]
    assert [level for level, _ in page.headings].count("h1") == 1
    assert [word for word in HEADINGS if not any(word in heading for heading in headings)] == []
    assert next(attributes for tag, attributes in page.tags if tag == "html").get("lang")
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert images or "<svg" in text
    assert [image.get("src", "")[:40] for image in images if not image.get("alt", "").strip()] == []
    drawn = [a for tag, a in page.tags if tag == "svg" and a.get("aria-hidden") != "true"]
    assert [a for a in drawn if not (a.get("aria-label") or a.get("aria-labelledby"))] == []


@pytest.mark.browser
def test_page_opens_whole(view: View) -> None:
    """All images are drawn, no script fails and nothing is fetched, at either width."""
    assert (view.broken, view.failures, view.fetched) == (0, [], [])
    assert view.height > 900


@pytest.mark.browser
def test_page_fits_its_width(view: View) -> None:
    """Nothing makes the page wider than a screen of 1280 or a phone of 480 pixels."""
    assert view.width in WIDTHS
    assert view.needed <= view.width


@pytest.mark.browser
def test_screenshot_shows_a_page(view: View) -> None:
    """The picture has the width asked for and more on it than one color."""
    picture = matplotlib.image.imread(view.screenshot)
    assert picture.shape[1] == view.width
    assert len(np.unique(picture.reshape(-1, picture.shape[2]), axis=0)) > 20


@pytest.mark.browser
@pytest.mark.parametrize("width", WIDTHS)
def test_page_about_patients_opens_whole(
    patients_page: Path, browser: str, tmp_path: Path, width: int
) -> None:
    """The page about patients is drawn, loads nothing and fits screen and phone."""
    view = open_page(patients_page, browser, width=width, folder=tmp_path / "v", kept=tmp_path)
    assert (view.broken, view.failures, view.fetched) == (0, [], [])
    assert view.needed <= view.width == width
    page = Page(patients_page.read_text(encoding="utf-8"))
    assert page.external() == []
    assert ("h2", "Score: the arms") in page.headings


@pytest.mark.browser
def test_a_bad_page_is_seen(tmp_path: Path, browser: str) -> None:
    """Overflow, a broken image, a failing script and an outside address are all reported."""
    page = tmp_path / "report" / "index.html"
    page.parent.mkdir()
    page.write_text(
        "<!doctype html><html><head><title>t</title></head><body>"
        '<div style="width: 700px">wide</div><img alt="x" src="missing.png">'
        '<img alt="y" src="http://localhost.invalid/y.png"><script>nothing()</script></body></html>'
    )
    view = open_page(page, browser, width=480, folder=tmp_path / "view", kept=tmp_path)
    assert view.needed >= 700 > view.width == 480
    assert view.broken == 2
    assert len(view.fetched) == 1
    assert any("nothing" in failure for failure in view.failures)
    assert Page(page.read_text()).external() == ["http://localhost.invalid/y.png"]
