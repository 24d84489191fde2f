"""Leaving on request: the signal that ends a job is handled like the one that a keyboard sends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interruptible() -> Iterator[Callable[[], None]]:
    """While the body runs, SIGTERM and Ctrl-C raise KeyboardInterrupt in the main thread.

    Schedulers and shutdowns send SIGTERM some time before they kill, which is enough to leave in
    an orderly way. What a handler raises is dropped where Python happens to run a finaliser, of
    whatever library. So a loop also calls what it is given, which raises once more if a signal
    has come. Outside the main thread, where Python allows no handlers, nothing changes.
    """
    come: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        come.append(number)
        raise KeyboardInterrupt

    def check() -> None:
        if come:
            raise KeyboardInterrupt

    before = {}
    if threading.current_thread() is threading.main_thread():
        before[signal.SIGTERM] = signal.signal(signal.SIGTERM, interrupt)
        # A shell has background jobs ignore Ctrl-C, and a caller may handle it in its own way.
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            before[signal.SIGINT] = signal.signal(signal.SIGINT, interrupt)
    try:
        yield check
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
