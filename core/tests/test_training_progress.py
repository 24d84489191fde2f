"""What a person sees: a bar with the time left on a terminal, plain lines in a log."""

from __future__ import annotations

import io
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from unittest import mock

import pytest

from core.training import progress
from core.training.progress import RunProgress, duration


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


def run(steps: int = 6) -> None:
    with RunProgress(total_steps=steps) as shown:
        for step in range(steps):
            shown.step(1 + step // 3, 0.5)
            if step == 2:
                shown.line("epoch 1/2 | val loss [0.25]")


def test_a_log_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", log := io.StringIO())
    run()
    assert log.getvalue() == "epoch 1/2 | val loss [0.25]\n"


def test_a_log_hears_of_a_long_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10_000, 50))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(sys, "stdout", log := io.StringIO())
    run(steps=6)
    lines = [line for line in log.getvalue().splitlines() if "step" in line]
    assert lines[0] == "  epoch 1: step 2/6, batch loss 0.5000, about 3m20s left"
    assert len(lines) == 3  # every 60 of 50 seconds each: at steps 2, 4 and 6
    assert re.fullmatch(r"[\x20-\x7e\n]+", log.getvalue())


def test_a_resumed_run_does_not_count_the_steps_of_before(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 100.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(sys, "stdout", log := io.StringIO())
    RunProgress(total_steps=20, done_steps=10).step(2, 0.5)
    assert "step 11/20, batch loss 0.5000, about 15m00s left" in log.getvalue()


@contextmanager
def terminal(shown: list[str]) -> Iterator[None]:
    """Makes standard output a terminal; afterwards ``shown`` holds all that was on it."""
    ours, theirs = os.openpty()

    def read() -> None:
        with suppress(OSError):  # how a terminal says that its other end was closed
            while chunk := os.read(ours, 4096):
                chunks.append(chunk)

    chunks: list[bytes] = []
    reader = threading.Thread(target=read)
    reader.start()
    with open(theirs, "w", encoding="utf-8") as screen, mock.patch.object(sys, "stdout", screen):
        yield
    reader.join()
    os.close(ours)
    shown.append(b"".join(chunks).decode())


def test_a_terminal_gets_a_bar_with_the_time_left() -> None:
    shown: list[str] = []
    with terminal(shown):
        run()
    assert "\x1b[" in shown[0]
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown[0])
    assert "6/6 steps" in text
    assert re.search(r"epoch 2 +batch loss 0\.5000", text)
    assert re.search(r"\d:\d\d:\d\d left \d:\d\d:\d\d", text)
    assert "epoch 1/2 | val loss [0.25]" in text


def test_the_bar_ends_when_a_run_fails() -> None:
    shown: list[str] = []
    with terminal(shown), pytest.raises(ValueError, match="stop"), RunProgress(total_steps=2):
        raise ValueError("stop")
    assert shown[0].rindex("\x1b[?25h") > shown[0].rindex("\x1b[?25l")  # the cursor is back


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0s"), (59.6, "1m00s"), (75, "1m15s"), (3599.7, "1h00m"), (8000, "2h13m")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_redirected_to_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(tmp_path / "log", "w", encoding="utf-8") as file:
        monkeypatch.setattr(sys, "stdout", file)
        run()
        # on the disk at once: a log is for following
        assert (tmp_path / "log").read_text() == "epoch 1/2 | val loss [0.25]\n"
