"""What goes wrong around the work, counted: kills, races, damage, odd data, memory.

Run by `make benchmarks` beside the others; `--quick` runs a few of each. Every line has the number
of attempts and what was found wrong, which has to be nothing; otherwise the status is 1.
"""

from __future__ import annotations

import argparse
import io
import itertools
import multiprocessing
import os
import runpy
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bayes_ptsd.errors import BayesPtsdError, StoreError
from bayes_ptsd.store import ResultStore

__all__ = ["FULL", "QUICK", "Counts", "Line", "lines", "main"]

TESTS = Path(__file__).parents[1] / "tests"
sys.path.insert(0, str(TESTS))

import odd_trials  # noqa: E402
import process_kills  # noqa: E402
import store_damage  # noqa: E402

small_tree = runpy.run_path(str(TESTS / "store_trees.py"))["small_tree"]
driver = runpy.run_path(str(TESTS / "store_driver.py"))
WRITERS = 8
# Seconds that a process may take to notice that its parent or worker is gone.
NOTICED = 5.0
# Megabytes that the resident memory may grow by after the warm-up: a result that stays, or its
# compiled code, is at least one a fit.
GROWTH = 30.0
CATEGORIES = {"binary": 1, "ordinal": 3}


class Counts(NamedTuple):
    """How often each thing is tried."""

    kills: int = 200
    results: int = 200
    flips: int = 100
    cuts: int = 50
    layouts: int = 1000
    sidecars: int = 1000
    process_kills: int = 1000
    tables: int = 500
    categories: int = 100
    fits: int = 500


FULL = Counts()
QUICK = Counts(
    kills=6, results=2, flips=12, cuts=12, layouts=3, sidecars=3, process_kills=2, tables=3,
    categories=0, fits=4,
)  # fmt: skip


class Line(NamedTuple):
    """One line of the table: attempts, how they came out, and what was wrong."""

    name: str
    attempts: int
    figures: str
    wrong: list[str]


def kills(count: int, folder: Path) -> Line:
    """Kill writers of results, two thirds inside a write and the rest between the steps of one."""
    store, wrong, inside, whole = ResultStore(folder), [], 0, 0
    rng = np.random.default_rng(1)
    steps = itertools.cycle(range(1, first_step_unreached(store)))
    for number in range(count):
        tree = small_tree(f"{number:012x}", seed=number)
        if number % 3:
            die = partial(_die_in_write, int(rng.integers(1, 3)), float(rng.uniform()))
        else:
            die = partial(driver["die_at"], next(steps))
        killed = _killed(lambda die=die, tree=tree: (die(), store.save(tree)))
        inside += killed and number % 3 > 0
        wrong += [] if killed else [f"writer {number} was not killed"]
        found = whole_or_absent(store, tree)
        whole += found == "whole"
        wrong += [found] if found not in ("whole", "absent") else []
    wrong += store.verify(grace=0.0).problems
    return Line("writers killed", count, f"{inside} inside a write, {whole} results whole", wrong)


def first_step_unreached(store: ResultStore) -> int:
    """Return the first change of the file system that a save into this store does not come to."""
    return next(
        step
        for step in itertools.count(1)
        if not _killed(lambda step=step: _save_until(store, step))
    )


def _save_until(store: ResultStore, step: int) -> None:
    """Save one more result and die at a step, if the save comes to it."""
    tree = small_tree(f"ffff{step:08x}", seed=step)
    driver["die_at"](step)
    store.save(tree)


def _killed(work: Callable[[], object]) -> bool:
    """Do the work in a process of its own; return whether it was killed."""
    _, status = os.waitpid(driver["in_child"](work), 0)
    return os.WIFSIGNALED(status)


def _die_in_write(number: int, share: float) -> None:
    """Have this process kill itself when a share of the bytes of its n-th new file is written."""
    left, io_open = number, io.open

    class Torn(io.FileIO):
        """A new file of which only a share reaches the disk."""

        def write(self, content: Any) -> int:
            """Write a share and die."""
            super().write(bytes(content)[: int(share * len(content))])
            os.kill(os.getpid(), signal.SIGKILL)
            return 0

    def opened(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        nonlocal left
        left -= "x" in mode
        return (
            Torn(file, "xb") if "x" in mode and left == 0 else io_open(file, mode, *args, **kwargs)
        )

    io.open = opened  # type: ignore[assignment]


def whole_or_absent(store: ResultStore, tree: Any) -> str:
    """Return ``whole``, ``absent`` or what is wrong with one result of a store."""
    result_id = tree.attrs["result_id"]
    if not store.has(result_id):
        return "absent"
    try:
        return "whole" if store.load(result_id).identical(tree) else f"{result_id}: is another"
    except BayesPtsdError as error:
        return f"{result_id}: {error}"


def writers(results: int, folder: Path) -> Line:
    """Let eight processes save results into one store at once."""
    store = ResultStore(folder)

    def write(writer: int) -> None:
        for number in range(results):
            store.save(small_tree(f"{writer:04x}{number:08x}", seed=1000 * writer + number))

    pids = [driver["in_child"](partial(write, writer)) for writer in range(WRITERS)]
    wrong = [f"writer {pid} failed" for pid in pids if os.waitpid(pid, 0)[1]]
    wrong += lost_or_torn(store, results)
    return Line("results of 8 writers at once", WRITERS * results, "all whole, none lost", wrong)


def lost_or_torn(store: ResultStore, results: int) -> list[str]:
    """Return what is wrong with the results of eight writers."""
    wrong = list(store.verify().problems)
    for writer, number in itertools.product(range(WRITERS), range(results)):
        tree = small_tree(f"{writer:04x}{number:08x}", seed=1000 * writer + number)
        found = whole_or_absent(store, tree)
        wrong += [] if found == "whole" else [f"{tree.attrs['result_id']}: {found}"]
    return wrong


def damage(flips: int, cuts: int, folder: Path) -> Line:
    """Flip bits and cut files of every kind that a store has; `verify` has to name each."""
    store = store_damage.whole_store(folder)
    rng, wrong = np.random.default_rng(2), []
    kinds = kinds_of_files(store.path)
    turns = itertools.cycle(sorted(kinds))
    for number in range(flips + cuts):
        path = Path(str(rng.choice([str(one) for one in kinds[next(turns)]])))
        content = path.read_bytes()
        place = int(rng.integers(len(content)))
        flipped = content[:place] + bytes([content[place] ^ (1 << int(rng.integers(8)))])
        path.write_bytes(flipped + content[place + 1 :] if number < flips else content[:place])
        what = f"{'flip' if number < flips else 'cut'} at byte {place} of {path.name}"
        wrong += [f"{what}: {said}" for said in unnoticed(store, path)]
        path.write_bytes(content)
    return Line("bits flipped, files cut", flips + cuts, f"of {len(kinds)} kinds", wrong)


def kinds_of_files(root: Path) -> dict[str, list[Path]]:
    """Return the files of a store by folder and suffix."""
    kinds: dict[str, list[Path]] = {}
    for path in sorted(root.rglob("*")):
        if path.is_file():
            place = path.relative_to(root)
            kinds.setdefault(f"{'/'.join(place.parts[:-1])}/*{path.suffix}", []).append(path)
    return kinds


def unnoticed(store: ResultStore, path: Path) -> Iterator[str]:
    """Yield what a store does not notice about a damaged file."""
    problems = " ".join(store.verify().problems)
    if not ({path.name, path.stem, path.stem.partition("-")[0]} & set(_words(problems))):
        yield f"verify does not name it, but says '{problems}'"
    if path.parent.name == "results":
        try:
            store.load(path.stem.partition("-")[0])
        except StoreError:
            return
        yield "it was read as good"


def _words(text: str) -> list[str]:
    """Return the words and the last parts of the paths of a text."""
    return [part.strip("':;,()") for word in text.split() for part in word.split("/")]


def layouts(count: int, folder: Path) -> Line:
    """Damage stores by missing and foreign files; verify has to say what it is, and touch none."""
    chosen, wrong = dict(itertools.islice(store_damage.LAYOUTS.items(), count)), []
    for number, (name, layout) in enumerate(chosen.items()):
        root = folder / f"{number:03d}"
        store = store_damage.whole_store(root)
        layout.damage(root)
        before = somebodys(root)
        found = store.verify()._asdict()
        said = found["problems" if layout.called == "problem" else layout.called or "problems"]
        named = any(layout.name in line for line in said) if layout.called else not said
        wrong += [] if named else [f"{name}: {found}"]
        wrong += [] if somebodys(root) == before else [f"{name}: somebody's files were changed"]
        shutil.rmtree(root, ignore_errors=True)
    return Line("layouts of missing and foreign files", len(chosen), "each named", wrong)


def somebodys(root: Path) -> dict[str, bytes]:
    """Return the files beside a store that are somebody else's."""
    people = store_damage.people_of(root)
    return {one.name: one.read_bytes() for one in sorted(people.iterdir()) if one.is_file()}


def sidecars(count: int, folder: Path) -> Line:
    """Write sidecars that are sealed but wrong; each is named and blinds nothing else."""
    chosen, wrong = dict(itertools.islice(store_damage.WRONG_SIDECARS.items(), count)), []
    for number, (name, make) in enumerate(chosen.items()):
        store = store_damage.whole_store(folder / f"{number:03d}")
        store_damage.write_wrong(store.path, make)
        sidecar = store_damage.sidecar_of(store.path, store_damage.ID)
        wrong += [f"{name}: {said}" for said in unnoticed(store, sidecar)]
        wrong += [] if store.has(store_damage.OTHER) else [f"{name}: blinds the other result"]
    return Line("sidecars sealed but wrong", len(chosen), "each named", wrong)


def processes(count: int, folder: Path) -> Line:
    """Kill parents and workers at every moment; nothing is left, and the parent notices."""
    signals = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
    tasks: list[Callable[[Path], Any]] = [
        partial(process_kills.kill_worker, moment) for moment in process_kills.MOMENTS
    ] + [
        partial(process_kills.kill_parent, number, moment)
        for number, moment in itertools.product(
            signals, (*process_kills.MOMENTS, *process_kills.STAGES)
        )
    ]
    chosen, wrong, slowest = tasks[:count], [], 0.0
    for number, task in enumerate(chosen):
        place = folder / f"{number:03d}"
        place.mkdir(parents=True)
        try:
            seconds = task(place).seconds
        except Exception as error:  # whatever goes wrong with a kill is what is counted here
            wrong.append(f"kill {number}: {type(error).__name__}: {error}")
            continue
        slowest = max(slowest, seconds)
        wrong += [] if seconds < NOTICED else [f"kill {number}: noticed after {seconds:.1f} s"]
    return Line("parents and workers killed", len(chosen), f"noticed in {slowest:.1f} s", wrong)


def tables(count: int) -> Line:
    """Give random tables to every exact engine, and to one of them with all checks."""
    found = _shared(_table, range(count))
    return _answers("random tables, exact engines", found)


def categories(count: int) -> Line:
    """Give random tables of categories to the sampled models of binary and ordinal outcomes."""
    return _answers("random tables, binary and ordinal", _shared(_categorical, range(count)))


def _shared(task: Callable[[int], list[str]], seeds: Iterable[int]) -> list[str]:
    """Share tasks among as many processes as there are processors."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=os.cpu_count(), mp_context=context) as pool:
        return [said for one in pool.map(task, seeds, chunksize=5) for said in one]


def _table(seed: int) -> list[str]:
    """Return what every exact engine made of one random table."""
    make = partial(odd_trials.random_evidence, seed)
    specs = {name: odd_trials.model_of(name) for name in odd_trials.EXACT}
    found = [
        _answer(odd_trials.integrated, make, spec, f"{seed} {name}") for name, spec in specs.items()
    ]
    checked = list(specs)[seed % len(specs)]
    whole = _answer(odd_trials.answered, make, specs[checked], f"{seed} {checked}, with checks")
    return [*found, whole]


def _categorical(seed: int) -> list[str]:
    """Return what the sampled models made of one random table of categories."""
    return [
        _answer(
            partial(odd_trials.answered, engine="nuts", compiled=_compiled()),
            partial(odd_trials.random_categories, seed, top),
            odd_trials.model_of(name),
            f"{seed} {name}",
        )
        for name, top in CATEGORIES.items()
    ]


def _compiled(kept: list[Any] = []) -> Any:  # noqa: B006  one for the life of a process
    """Return the compiled models of this process."""
    from bayes_ptsd.compiled import CompiledModels

    if not kept:
        kept.append(CompiledModels())
    return kept[0]


def _answer(ask: Callable[..., str], make: Any, spec: Any, name: str) -> str:
    """Return an answer, a refusal, or ``wrong:`` with what was neither."""
    try:
        return ask(make, spec)
    except Exception as error:  # whatever is neither an answer nor a refusal is counted
        return f"wrong: {name}: {type(error).__name__}: {error}"


def _answers(name: str, found: list[str]) -> Line:
    """Count answers, refusals and what is neither."""
    wrong = [one for one in found if one.startswith("wrong: ")]
    answers = sum(one.startswith("answer") for one in found)
    refused = len(found) - answers - len(wrong)
    return Line(name, len(found), f"{answers} answered, {refused} refused", wrong)


def memory(fits: int) -> Line:
    """Fit over and over; after a fifth of the fits the resident memory stays where it is."""
    spec, sizes = odd_trials.model_of("first-period"), []
    for number in range(fits):
        odd_trials.answered(partial(odd_trials.odd_evidence, "plain", seed=number), spec)
        sizes.append(resident())
    grown = growth(sizes)
    wrong = [f"grown by {grown:.1f} MB"] if grown > GROWTH else []
    return Line("fits, resident memory", fits, f"{sizes[-1]:.0f} MB, {grown:+.1f} after", wrong)


def resident() -> float:
    """Return the resident memory of this process in megabytes."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def growth(sizes: list[float]) -> float:
    """Return by how much the last fifth of sizes is above the second fifth, medians."""
    part = max(len(sizes) // 5, 1)
    return float(np.median(sizes[-part:]) - np.median(sizes[part : 2 * part]))


def lines(counts: Counts, folder: Path) -> Iterator[tuple[Line, float]]:
    """Yield every line with its seconds."""
    for work in (
        partial(kills, counts.kills, folder / "kills"),
        partial(writers, counts.results, folder / "writers"),
        partial(damage, counts.flips, counts.cuts, folder / "damage"),
        partial(layouts, counts.layouts, folder / "layouts"),
        partial(sidecars, counts.sidecars, folder / "sidecars"),
        partial(processes, counts.process_kills, folder / "processes"),
        partial(tables, counts.tables),
        partial(categories, counts.categories),
        partial(memory, counts.fits),
    ):
        start = time.perf_counter()
        yield work(), time.perf_counter() - start


def main() -> None:
    """Print the table; the status is 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few of each")
    counts, wrong = QUICK if parser.parse_args().quick else FULL, 0
    sys.stdout.write(f"{'fault':<38} {'tried':>6} {'wrong':>6} {'seconds':>8}  found\n")
    with tempfile.TemporaryDirectory() as folder:
        for line, seconds in lines(counts, Path(folder)):
            row = f"{line.name:<38} {line.attempts:>6} {len(line.wrong):>6} {seconds:>8.1f}"
            sys.stdout.write(f"{row}  {line.figures}\n" + "".join(f"  {x}\n" for x in line.wrong))
            sys.stdout.flush()
            wrong += len(line.wrong)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
