"""Signals that stop a command: it leaves at once and in order, or else in time."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["STOPPED", "stoppable"]

# 128 and the number of the signal, as shells have it
STOPPED = {
    128 + number: f"bayes-ptsd: {word}; every result in the store is whole\n"
    for number, word in ((signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated"))
}
# Python looks at signals between its own steps, and compiled code may keep it from that for long:
# nothing is to be left of a command after 5 seconds
GRACE = 3.0  # seconds
# A signal just before the main thread begins to wait does not end the wait; another one does.
AGAIN = 0.2  # seconds


@contextmanager
def stoppable() -> Iterator[None]:
    """Have SIGINT and SIGTERM raise SystemExit, once, and end this process if that does not.

    Signals that are ignored, as a shell does for what runs in the background, stay ignored; so do
    further ones while a command that was stopped leaves.
    """
    heard = [code - 128 for code in STOPPED]
    heard = [one for one in heard if signal.getsignal(one) is not signal.SIG_IGN]
    if not heard or threading.current_thread() is not threading.main_thread():
        yield
        return
    stop, left = _Stop(), threading.Event()
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    threading.Thread(target=_leave_in_time, args=(reading, stop, left), daemon=True).start()
    wakeup = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    before = {one: signal.signal(one, stop) for one in heard}
    try:
        yield
    finally:
        left.set()
        signal.set_wakeup_fd(wakeup)
        os.close(writing)
        # whatever the first one had become on its way up here
        stop.leave()
        for one, handler in before.items():
            signal.signal(one, handler)


class _Stop:
    """What Python runs on a signal: only the first one counts."""

    code = 0

    def __call__(self, number: int, _: FrameType | None) -> None:
        """Leave the command."""
        if not self.code:
            self.code = 128 + number
            self.leave()

    def leave(self) -> None:
        """Leave if there was a signal."""
        if self.code:
            raise SystemExit(self.code) from None


def _leave_in_time(reading: int, stop: _Stop, left: threading.Event) -> None:
    """Wait for a signal, then for the command to leave, and leave without it if it does not."""
    heard = os.read(reading, 1)
    until = time.monotonic() + GRACE
    while heard and time.monotonic() < until and not left.wait(AGAIN):
        if not stop.code and hasattr(signal, "pthread_kill"):
            signal.pthread_kill(threading.main_thread().ident or 0, heard[0])
    if heard and not left.is_set():
        # past the locks and buffers of sys.stderr, which the command may hold
        os.write(2, STOPPED[128 + heard[0]].encode())
        os._exit(128 + heard[0])
    os.close(reading)
