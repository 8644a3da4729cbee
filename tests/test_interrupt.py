"""Sampling that ends early, by an interrupt or a fault, leaves no part of a result behind."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nutpie
import pymc as pm
import pytest

from bayes_ptsd.cli import main
from bayes_ptsd.errors import FitError
from bayes_ptsd.sampler import sample_groups
from bayes_ptsd.store import ResultStore


@pytest.fixture(autouse=True)
def _interruptible() -> Iterator[None]:
    """Have SIGINT interrupt, which a shell switches off in what it runs in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_interrupt_while_sampling_stores_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C in the middle of the chains: exit 130, one message, no shortened chain is kept.

    The same command then computes the result in the same store.
    """
    store, sample, compiler = tmp_path / "store", nutpie.sample, nutpie.compile_pymc_model
    ready: list[Any] = []

    def compiled_once(model: Any) -> Any:
        ready.append(ready[0] if ready else compiler(model))
        return ready[-1]

    def interrupted(*given: Any, **more: Any) -> Any:
        running = sample(*given, **more)
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        return running

    command = ["bayes-ptsd", "fit", "published", "--contrast", "T2.IESR.X", "--engine", "nuts"]
    command += ["--store", str(store), "--json"]
    monkeypatch.setattr(sys, "argv", [*command, "--draws", "1000000"])
    monkeypatch.setattr(nutpie, "compile_pymc_model", compiled_once)
    with monkeypatch.context() as patch:
        patch.setattr(nutpie, "sample", interrupted)
        with pytest.raises(SystemExit) as left:
            main()
    assert left.value.code == 130
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "interrupted" in printed.err
    assert not [path for path in store.rglob("*") if path.is_file()]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 0
    (entry,) = ResultStore(store).catalog()
    assert ResultStore(store).load(entry["result_id"])["posterior"].sizes["draw"] == 1000
    found = ResultStore(store).verify(grace=0.0)
    assert (found.problems, found.swept) == ([], [])


def test_a_sampler_that_cannot_start_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the sampler says becomes one message of this package, without its stack."""

    class Failing:
        def wait(self) -> None:
            raise RuntimeError("All initialization points failed\n\nStack backtrace:\n 0: unknown")

    with pm.Model() as model:
        mu = pm.Normal("mu", 0, 1)
        pm.Normal("y", mu, 1, observed=[1.0])
    monkeypatch.setattr(nutpie, "compile_pymc_model", lambda _: None)
    monkeypatch.setattr(nutpie, "sample", lambda *_, **__: Failing())
    with pytest.raises(FitError, match="All initialization points failed; a prior may be too") as e:
        sample_groups(model, draws=10, tune=10, chains=1, seed=1)
    assert "backtrace" not in str(e.value)
