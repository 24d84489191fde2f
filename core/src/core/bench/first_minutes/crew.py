"""Worker processes, each of which a crash, a hang or a broken device may end."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

Item = tuple[str, dict[str, Any]]
"""A function by its dotted name, and its arguments."""
_spawn = multiprocessing.get_context("spawn")


def in_a_line(error: Exception) -> str:
    """Kind and beginning of an error."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def _serve(connection: Connection, errors: Path, environment: dict[str, str]) -> None:
    os.environ.update(environment)  # before Triton is imported
    with errors.open("a") as file:
        os.dup2(file.fileno(), sys.stderr.fileno())
    while True:
        name, arguments = connection.recv()
        try:
            answer = resolve_name(name)(**arguments)
            settle()
        except Exception as error:
            answer = {"error": in_a_line(error)}
        try:
            settle()
        except Exception:  # what broke the device broke it for this process
            connection.send((answer, False))
            return
        connection.send((answer, True))


def settle() -> None:
    """Wait for the device, which raises what it has against the item, and free its memory."""
    torch = sys.modules.get("torch")  # else nothing has been done there
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize()
        torch.cuda.empty_cache()


class _Worker:
    def __init__(self, folder: Path, number: int, environment: dict[str, str]) -> None:
        self.connection, theirs = _spawn.Pipe()
        self._errors = folder / f"worker{number}.txt"
        self._errors.touch()
        arguments = (theirs, self._errors, environment)
        self.process = _spawn.Process(target=_serve, args=arguments, daemon=True)
        self.process.start()
        theirs.close()

    def begin(self, item: Item) -> None:
        self.since, self._before = time.monotonic(), self._errors.stat().st_size
        with suppress(OSError):  # it is dead, as whoever waits for its answer finds
            self.connection.send(item)

    def stop(self) -> None:
        self.process.kill()
        self.process.join(5.0)
        self.connection.close()

    def last_words(self) -> str:
        self.process.join(5.0)
        lines = self._errors.read_bytes()[self._before :].decode(errors="replace").split("\n")
        said = [line.strip() for line in lines if line.strip()] or ["nothing said"]
        return f"crashed with exit code {self.process.exitcode}: {said[-1][:300]}"


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
        while self._free:
            worker = self._free.pop()
            if worker.process.is_alive():
                return worker
            worker.stop()
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
            done: Called with the number of an item and its answer; ``{"unanswered": line}`` where
                time was over.
            hands: Workers at once.
            seconds: For all items.
            longest: For one item; a worker that takes longer hangs, and is killed.
        """
        waiting, busy = deque(range(len(items))), dict[Any, tuple[int, _Worker]]()
        end = time.monotonic() + seconds
        while waiting or busy:
            while waiting and len(busy) < hands and time.monotonic() < end:
                worker, number = self._worker(), waiting.popleft()
                worker.begin(items[number])
                busy[worker.connection] = (number, worker)
            for connection in wait(list(busy), timeout=0.5):
                number, worker = busy.pop(connection)
                done(number, self._answer(worker))
            now = time.monotonic()
            for connection, (number, worker) in list(busy.items()):
                if now >= end or now - worker.since > longest:
                    late = {"unanswered": "killed: the part's time was over"}
                    done(number, late if now >= end else {"error": f"hung for {longest:g} s"})
                    del busy[connection]
                    worker.stop()
            if now >= end:
                for number in waiting:
                    done(number, {"unanswered": "not begun: the part's time was over"})
                waiting.clear()

    def _answer(self, worker: _Worker) -> Any:
        """Of a worker that has one, or is dead."""
        try:
            answer, alive = worker.connection.recv()
        except (EOFError, OSError):
            answer, alive = {"error": worker.last_words()}, False
        if alive:
            self._free.append(worker)
        else:
            worker.stop()
        return answer

    def close(self) -> None:
        """End all processes."""
        for worker in self._free:
            worker.stop()
