"""Every kind of damage is named, hides nothing else, touches nobody's files, and can be mended."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import get_args

import pytest
from store_damage import (
    GONE,
    ID,
    LAYOUTS,
    OTHER,
    WRONG_SIDECARS,
    people_of,
    whole_store,
    write_wrong,
)
from typer.testing import CliRunner, Result

from bayes_ptsd.cli import app
from bayes_ptsd.errors import ResultNotFoundError, StoreError
from bayes_ptsd.evidence import EvidenceKind
from bayes_ptsd.report import page as page_module
from bayes_ptsd.store import ResultStore
from bayes_ptsd.store.metadata import KINDS
from bayes_ptsd.store.upkeep import Verification, verify_store

COMMAND = re.compile(r"'bayes-ptsd (.*? --store (?:\"[^\"]*\"|\S+))'")
LARGE = 10**6  # no file of somebody, and none of the small store, has as many bytes
MEANT = {"problem": "problems", "foreign": "foreign", "swept": "swept", "unfinished": "unfinished"}


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a whole store that is copied for each test."""
    return whole_store(tmp_path_factory.mktemp("damage") / "store").path


@pytest.fixture
def store(made_once: Path, tmp_path: Path) -> ResultStore:
    """Return a whole store of its own, its name with a space, and somebody's files beside it."""
    root = tmp_path / "my store"
    shutil.copytree(made_once, root)
    shutil.copytree(people_of(made_once), people_of(root))
    return ResultStore(root)


def run(*words: str | Path) -> Result:
    """Run a command."""
    return CliRunner().invoke(app, [str(word) for word in words])


def files_of(folder: Path) -> dict[str, bytes]:
    """Return somebody's files, links by where they lead."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and path.stat().st_size < LARGE
    }


def follow(root: Path, message: str) -> None:
    """Do what a message says, to the letter."""
    if "put the folder itself in its place" in message:
        link = Path(message.partition(": ")[0])
        place = link.readlink()
        link.unlink()
        shutil.copytree(place, link)
        return
    command = COMMAND.search(message)
    assert command is not None, message
    done = run(*shlex.split(command[1]))
    if "move it away first" in str(done.exception):
        folder = str(done.exception).partition(": ")[0]
        shutil.move(folder, people_of(root) / "moved away")
        done = run(*shlex.split(command[1]))
    assert done.exit_code == 0, (command[1], done.exception)


def follow_all(root: Path, found: Verification) -> Verification:
    """Follow every message of one verification, and those of the next where a cure shows more."""
    for _ in range(3):
        for message in found.problems:
            # what another message of the same verification has mended already needs no cure
            if message in verify_store(root).problems:
                follow(root, message)
        found = verify_store(root)
        if not found.problems:
            break
    return found


@pytest.fixture
def _quick_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a report have no section, which would take seconds to compute."""
    monkeypatch.setattr(page_module, "page_sections", lambda contents: [])


def test_whole_store_verifies_clean(store: ResultStore) -> None:
    """A removed result is no lost one, and nothing is swept or called foreign."""
    assert store.verify(grace=0.0) == Verification(2, [], [], [], [])


@pytest.mark.usefixtures("_quick_page")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_is_named_and_the_cure_cures(layout: str, store: ResultStore) -> None:
    """Named as what it is, nobody's file is touched, and after the advice the store is whole."""
    root = store.path
    damage, called, name = LAYOUTS[layout]
    damage(root)
    before = files_of(people_of(root))
    kept = {path: data for path, data in files_of(root).items() if data == b"somebody's"}
    found = verify_store(root)
    assert files_of(people_of(root)) == before
    said = {key: getattr(found, key) for key in MEANT.values() if getattr(found, key)}
    assert set(said) == ({MEANT[called]} if called else set())
    if called:
        assert any(name in text for text in said[MEANT[called]]), said
    if called == "foreign":
        assert kept.items() <= files_of(root).items()
    again = follow_all(root, found)
    assert again.problems == []
    assert files_of(people_of(root)).items() >= before.items()


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if "results" not in name])
def test_no_layout_hides_the_rest(layout: str, store: ResultStore) -> None:
    """List, log, tag and export go on with the others, and end in a message at the worst."""
    LAYOUTS[layout].damage(store.path)
    for words in (["list"], ["log"], ["tag"], ["list", "--json"]):
        done = run("store", *words, "--store", store.path)
        refused = isinstance(done.exception, StoreError)
        assert done.exit_code == 0 or (refused and "is a link" in str(done.exception))
    if layout != "all results missing":
        assert OTHER[:10] in run("store", "list", "--store", store.path).output
        assert store.load(OTHER).attrs["result_id"] == OTHER


@pytest.mark.filterwarnings("ignore:left out")
@pytest.mark.parametrize("wrong", WRONG_SIDECARS)
def test_a_sealed_but_wrong_sidecar_is_named_and_blinds_nothing(
    wrong: str, store: ResultStore, tmp_path: Path
) -> None:
    """By verify, the list and whoever opens it; every other command goes on; removing it cures."""
    write_wrong(store.path, WRONG_SIDECARS[wrong])
    (problem,) = store.verify(grace=0.0).problems
    assert ID in problem
    with pytest.raises(StoreError, match=ID):
        store.load(ID)
    listed = json.loads(run("store", "list", "--json", "--store", store.path).stdout)
    of_data = wrong in ("size wrong", "size small", "digest of other data")
    assert [ID in text for text in listed["problems"]] == ([] if of_data else [True])
    assert OTHER in [one["result_id"] for one in listed["results"]]
    for words in (["list"], ["log"], ["tag"], ["tag", "revised"], ["diff", OTHER, OTHER],
                  ["export", tmp_path / "a.csv"], ["diff", "--runs", "submitted", "submitted"],
                  ):  # fmt: skip
        done = run("store", *words, "--store", store.path)
        assert done.exit_code == 0, (words, done.exception)
    follow(store.path, problem)
    assert store.verify(grace=0.0) == Verification(1, [], [], [], [])


def test_wrong_sidecars_are_refused_before_they_are_written(store: ResultStore) -> None:
    """The same rules hold for what is saved: nothing is stored that would be refused later."""
    tree = store.load(OTHER)
    tree.attrs |= {"result_id": "0123456789ab", "summary": '{"treatment_difference": 12.7}'}
    with pytest.raises(StoreError, match="attributes of result 0123456789ab: 'summary' is"):
        store.save(tree)
    assert store.verify(grace=0.0).foreign == []
    with pytest.raises(StoreError, match="manifest of this run: 'results' is"):
        store.record_run("fit", {}, results=["../../thesis"])


def test_kinds_of_evidence_are_those_of_the_package() -> None:
    """The rules for sidecars, which import nothing, know every kind."""
    assert get_args(EvidenceKind) == KINDS


def test_earlier_sidecars_open(store: ResultStore) -> None:
    """Without the keys that the first version did not write, which are null then."""
    later = ("reconstructions", "flow_reading", "printed_digest", "nuisance_priors")

    def earlier(sidecar: dict[str, object]) -> bytes:
        from bayes_ptsd.store.files import sealed

        return sealed({key: sidecar[key] for key in sidecar if key not in (*later, "dropped")})

    write_wrong(store.path, earlier)
    assert store.verify().problems == []
    entry = next(one for one in store.catalog() if one["result_id"] == ID)
    assert [entry[key] for key in later] == [None] * 4
    assert store.load(ID).attrs["result_id"] == ID


def test_removed_results_are_not_lost_until_a_later_run_names_them(store: ResultStore) -> None:
    """A tombstone is older than a run that had the result again; saving it anew buries nothing."""
    tree = store.load(ID)
    store.remove(ID)
    assert store.verify().problems == []
    store.save(tree)
    assert [path.stem for path in (store.path / "removed").iterdir()] == [GONE]
    store.record_run("fit", {}, results=[GONE])
    (problem,) = store.verify().problems
    assert problem.startswith(str(store.path / "results" / f"{GONE}.json: missing"))
    assert run("store", "remove", GONE[:6], "--store", store.path).exit_code == 0
    assert store.verify().problems == []


def test_only_what_is_damaged_is_removed_from_the_history(store: ResultStore) -> None:
    """A whole manifest and a whole tag stay, and unknown names are said to be unknown."""
    run_id = store.runs()[0]["run_id"]
    for words, message in {
        ("--run", run_id): "the record of a run stays",
        ("--tag", "submitted"): "a tag keeps its run",
        ("--run", "../tags/submitted"): "has no run",
        ("--tag", "revised"): "has no tag 'revised'",
    }.items():
        done = run("store", "remove", *words, "--store", store.path)
        assert (done.exit_code, message in str(done.exception)) == (1, True), done.exception
    assert run("store", "remove", "--store", store.path).exit_code == 2
    assert run("store", "remove", ID, "--tag", "submitted", "--store", store.path).exit_code == 2
    assert store.verify() == Verification(2, [], [], [], [])


def test_a_link_is_not_written_through(store: ResultStore) -> None:
    """Saving, removing and recording refuse a store whose folder is a link, with one message."""
    tree = store.load(OTHER)
    tree.attrs["result_id"] = "0123456789ab"
    LAYOUTS["tmp is a link"].damage(store.path)
    before = files_of(people_of(store.path))
    for write in (
        lambda: store.save(tree), store.check_writable,
        lambda: store.record_run("fit", {}, results=[]),
    ):  # fmt: skip
        with pytest.raises(StoreError, match=r"tmp: is a link, and no link .* followed"):
            write()
    assert files_of(people_of(store.path)) == before


def test_a_damaged_tag_hides_no_run(store: ResultStore) -> None:
    """The newest run is found, with a warning; the damaged name itself is not taken as good."""
    from bayes_ptsd.store.tags import find_run

    LAYOUTS["tag flipped"].damage(store.path)
    with pytest.warns(UserWarning, match=r"left out: .*submitted\.json"):
        assert find_run(store.path)["results"] == [ID, OTHER, GONE]
    with pytest.warns(UserWarning, match="left out"), pytest.raises(ResultNotFoundError):
        find_run(store.path, "submitted")
