"""``core gpu``: all of it in Triton's interpreter, and what it does about workers that fail."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.bench.first_minutes.command import PARTS, first_minutes
from core.bench.first_minutes.crew import Crew
from core.bench.first_minutes.page import page
from core.errors import UserError
from core.outside.text import read_json

needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="Triton is not installed"
)


@needs_triton
def test_a_rehearsal_goes_through_every_part_without_what_a_machine_may_lack(
    tmp_path: Path,
) -> None:
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    for package in ("yaml", "rich", "platformdirs", "soundfile", "tensorboard", "spikingjelly"):
        (blocked / f"{package}.py").write_text("raise ModuleNotFoundError(__name__)\n")
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-m", "core", "gpu", "--rehearse", "--out", str(out)],
        env={**os.environ, "PYTHONPATH": str(blocked)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = read_json(out / "gpu.json")
    assert found["rehearsal"] is True
    assert list(found["parts"]) == list(PARTS)
    assert "error" not in str(found)
    assert "unanswered" not in str(found)
    kernels = found["parts"]["correctness"]["rows"]
    assert {row["verdict"] for row in kernels} == {"right"}
    assert all(0 < row["rate"] < 1 for row in kernels)
    assert all(row["kernel"].endswith(row["geometry"]) for row in kernels)
    assert {row["data"] for row in found["parts"]["trainings"]["rows"]} > {"drawn"}
    assert found["parts"]["barrier"]["rows"][0]["programs"] == 1
    assert done.stdout.startswith("REHEARSAL")
    assert done.stdout == (out / "gpu.txt").read_text()
    with pytest.raises(UserError, match=r"gpu\.json exists"):
        first_minutes(out, rehearse=True)


def _named(name: str) -> str:
    return f"core.bench.first_minutes.{name}"


def test_what_hangs_or_fails_stops_nothing_else(tmp_path: Path) -> None:
    crew, answers = Crew(tmp_path, {"TRITON_INTERPRET": "1"}), dict[int, Any]()
    rates = (_named("device.rates"), dict[str, Any]())
    crew.run([rates], answers.__setitem__, hands=1, seconds=60.0, longest=0.01)
    assert answers[0] == {"error": "hung for 0.01 s"}
    items: list[Any] = [(_named("device.no_such_thing"), {}), (_named("device.machine"), {})]
    crew.run(items, answers.__setitem__, hands=1, seconds=120.0, longest=120.0)
    assert answers[0]["error"].startswith("AttributeError")
    assert "torch" in answers[1]
    crew.run(items, answers.__setitem__, hands=1, seconds=0.0, longest=1.0)
    assert answers[1] == {"unanswered": "not begun: the part's time was over"}
    crew.close()


def test_a_worker_that_crashes_costs_one_item(tmp_path: Path) -> None:
    dies = tmp_path / "dies.py"
    dies.write_text(
        "import os, sys\nprint('last words\\n', file=sys.stderr, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    items: list[Any] = [("runpy.run_path", {"path_name": str(dies)}), ("os.getpid", {})]
    items += [
        ("warnings.warn", {"message": "of another item"}),
        ("os.abort", {}),
        ("os.getpid", {}),
    ]
    answers = dict[int, Any]()
    crew = Crew(tmp_path, {})
    crew.run(items, answers.__setitem__, hands=1, seconds=120.0, longest=60.0)
    assert answers[0] == {"error": "crashed with exit code -9: last words"}
    assert answers[3]["error"].startswith("crashed with exit code -6: ")
    assert "of another item" not in answers[3]["error"]
    assert isinstance(answers[1], int)
    assert isinstance(answers[4], int)
    assert answers[1] != answers[4]
    os.kill(answers[4], signal.SIGKILL)  # while it has nothing to do
    again = dict[int, Any]()
    crew.run(items[1:2], again.__setitem__, hands=1, seconds=120.0, longest=60.0)
    assert again[0] != answers[4]
    crew.close()


def test_the_page_lists_kernels_that_are_not_right() -> None:
    rows = [
        {"name": "BRF", "verdict": "right"},
        {"name": "LIF", "verdict": "wrong", "unequal_outputs": 3},
    ]
    text = page(
        {"rehearsal": False, "machine": {}, "parts": {"correctness": {"seconds": 1, "rows": rows}}}
    )
    assert "1 right, 1 wrong" in text
    assert "name LIF" in text
    assert "name BRF" not in text
