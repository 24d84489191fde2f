"""Worker processes, each of which a crash, a hang or a broken device may end."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from importlib import import_module
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

Item = tuple[str, dict[str, Any]]
"""A function of :mod:`core.bench.first_minutes.parts`, and its arguments."""
_spawn = multiprocessing.get_context("spawn")


def _serve(connection: Connection, errors: Path, environment: dict[str, str]) -> None:
    os.environ.update(environment)  # before Triton is imported
    with errors.open("w") as file:
        os.dup2(file.fileno(), sys.stderr.fileno())
    while True:
        name, arguments = connection.recv()
        parts = import_module("core.bench.first_minutes.parts")
        try:
            answer = getattr(parts, name)(**arguments)
            parts.settle()
        except Exception as error:
            text = " ".join(str(error).split())[:300]
            answer = {"error": f"{type(error).__name__}: {text}"}
        try:
            parts.settle()
        except Exception:  # what broke the device broke it for this process
            connection.send((answer, False))
            return
        connection.send((answer, True))


class _Worker:
    def __init__(self, folder: Path, number: int, environment: dict[str, str]) -> None:
        self.connection, theirs = _spawn.Pipe()
        self.errors = folder / f"worker{number}.txt"
        arguments = (theirs, self.errors, environment)
        self.process = _spawn.Process(target=_serve, args=arguments, daemon=True)
        self.process.start()
        theirs.close()

    def stop(self) -> None:
        self.process.kill()
        self.process.join(5.0)
        self.connection.close()

    def last_words(self) -> str:
        self.process.join(5.0)
        lines = self.errors.read_text("utf-8", "replace").strip().splitlines()
        return f"crashed with exit code {self.process.exitcode}: {(lines or ['nothing said'])[-1]}"


class Crew:
    """Processes that are started when they are needed and kept from part to part.

    Args:
        folder: For what they write to standard error.
        environment: Variables of theirs.
    """

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder, self._environment = folder, environment
        self._free: list[_Worker] = []
        self._made = 0

    def _worker(self) -> _Worker:
        if self._free:
            return self._free.pop()
        self._made += 1
        return _Worker(self._folder, self._made, self._environment)

    def run(
        self,
        items: Sequence[Item],
        done: Callable[[int, Any], object],
        *,
        hands: int,
        seconds: float,
        longest: float,
    ) -> None:
        """Have every item answered; a failure is an answer ``{"error": line}``.

        Args:
            items: In the order in which they are begun.
            done: Called with the number of an item and its answer.
            hands: Workers at once.
            seconds: For all items; those that are not answered by then fail.
            longest: For one item; a worker that takes longer hangs, and is killed.
        """
        waiting, busy = deque(range(len(items))), dict[Any, tuple[int, _Worker, float]]()
        end = time.monotonic() + seconds
        while waiting or busy:
            while waiting and len(busy) < hands and time.monotonic() < end:
                worker, number = self._worker(), waiting.popleft()
                worker.connection.send(items[number])
                busy[worker.connection] = (number, worker, time.monotonic())
            for connection in wait(list(busy), timeout=0.5):
                number, worker, _ = busy.pop(connection)
                try:
                    answer, alive = worker.connection.recv()
                    done(number, answer)
                    if alive:
                        self._free.append(worker)
                    else:
                        worker.stop()
                except (EOFError, OSError):
                    done(number, {"error": worker.last_words()})
                    worker.stop()
            now = time.monotonic()
            for connection, (number, worker, since) in list(busy.items()):
                if now >= end or now - since > longest:
                    why = "the part's time was over" if now >= end else f"hung for {longest:g} s"
                    done(number, {"error": f"killed: {why}"})
                    del busy[connection]
                    worker.stop()
            if now >= end:
                for number in waiting:
                    done(number, {"error": "not begun: the part's time was over"})
                waiting.clear()

    def close(self) -> None:
        """End all processes."""
        for worker in self._free:
            worker.stop()
