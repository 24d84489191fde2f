"""What ``core gpu`` does: part after part, everything kept as it comes, then a page."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.bench.first_minutes.crew import Crew
from core.bench.first_minutes.goals import Rows, add_limits
from core.bench.first_minutes.page import page
from core.errors import UserError
from core.files import write_text_atomically
from core.outside.text import to_json


@dataclass(frozen=True)
class Part:
    """Some of the questions.

    Attributes:
        seconds: For it; what other parts leave goes at the end to what was not answered.
        items: Function that lists its items, or None where it is one.
        measure: Function that answers an item.
        hands: Workers at once.
    """

    seconds: float
    items: str | None
    measure: str
    hands: int = 1


#: The most valuable first.
PARTS = {
    "machine": Part(15.0, None, "device.rates"),
    "correctness": Part(100.0, "contract.items", "contract.check", hands=8),
    "speed": Part(60.0, "speed.items", "speed.timed"),
    "tiles": Part(40.0, "speed.tile_items", "speed.tile"),
    "trainings": Part(45.0, "trainings.items", "trainings.training"),
    "networks": Part(15.0, "networks.items", "networks.network"),
    "barrier": Part(10.0, "barrier.items", "barrier.barrier"),
}
#: Seconds of everything, and those after which one item hangs.
ALL, LONGEST = 300.0, 40.0
#: So much more time has a rehearsal: a machine without a GPU may have other work.
PATIENCE = 10.0


def first_minutes(folder: Path, *, rehearse: bool, say: Callable[[str], object] = print) -> None:
    """Write ``gpu.json`` and ``gpu.txt``; print the latter.

    Args:
        folder: Made where it does not exist.
        rehearse: Toy sizes, interpreted on the CPU.
        say: Called with the page.

    Raises:
        UserError: The folder has a ``gpu.json``; there is no GPU and this is no rehearsal.
    """
    file, pace = folder / "gpu.json", PATIENCE if rehearse else 1.0
    end = time.monotonic() + pace * ALL
    if file.exists():
        raise UserError(f"{file} exists; give another --out, or move it away")
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {"rehearsal": rehearse, "parts": {}}
    # One thread: tiny products in several wait for each other where other work has the cores.
    interpreted = {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    crew = Crew(folder, interpreted if rehearse else {})

    def keep() -> None:
        add_limits(found["parts"])
        write_text_atomically(file, to_json(found, indent=0) + "\n")

    try:
        found["machine"] = _ask(crew, "device.machine", {}, pace * 120.0)
        if missing := found["machine"].get("missing"):
            raise UserError(f"{missing}; --rehearse goes through every part without a GPU")
        for name, part in PARTS.items():
            started = time.monotonic()
            over = min(started + pace * part.seconds, end)
            kept = found["parts"][name] = _listed(crew, part, rehearse, over - started)
            _answer(crew, part, kept["rows"], rehearse, over - time.monotonic())
            kept["seconds"] = round(time.monotonic() - started, 1)
            keep()
        for name, part in PARTS.items():
            _answer(crew, part, found["parts"][name]["rows"], rehearse, end - time.monotonic())
        found["clocks at the end"] = _ask(crew, "device.clocks", {}, pace * 20.0)
        keep()
    finally:
        crew.close()
    text = page(found)
    write_text_atomically(folder / "gpu.txt", text + "\n")
    say(text)


def _named(name: str) -> str:
    return f"core.bench.first_minutes.{name}"


def _ask(crew: Crew, name: str, arguments: dict[str, Any], seconds: float) -> Any:
    answers: list[Any] = []
    crew.run(
        [(_named(name), arguments)],
        lambda _, answer: answers.append(answer),
        hands=1,
        seconds=seconds,
        longest=seconds,
    )
    return answers[0]


def _listed(crew: Crew, part: Part, rehearse: bool, seconds: float) -> dict[str, Any]:
    """A part of which nothing is answered."""
    arguments = {"rehearse": rehearse}
    items = _ask(crew, part.items, arguments, seconds) if part.items is not None else [{}]
    if not isinstance(items, list):
        return {"error": " ".join(items.values()), "rows": []}
    return {"rows": [{**item, "unanswered": "not begun"} for item in items]}


def _answer(crew: Crew, part: Part, rows: Rows, rehearse: bool, seconds: float) -> None:
    """Have those rows answered that are not yet."""
    numbers = [number for number, row in enumerate(rows) if "unanswered" in row]
    items = [{k: v for k, v in rows[n].items() if k != "unanswered"} for n in numbers]

    def done(place: int, answer: dict[str, Any]) -> None:
        rows[numbers[place]] = _row(items[place], answer)

    crew.run(
        [(_named(part.measure), item) for item in items],
        done,
        hands=1 if rehearse else min(part.hands, os.cpu_count() or 1),
        seconds=seconds,
        longest=PATIENCE * LONGEST if rehearse else LONGEST,
    )


def _row(item: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """An item and its answer.

    Of a part about kernels the row names the ``kernel`` that was ``asked`` for where the device had
    a verdict; one that took its worker down has failed. Of one that was refused or not answered
    nothing is known: the same kernel may be right for another size.
    """
    row = {**item, **answer}
    if "asked" in item and "unanswered" not in answer:
        row.setdefault("verdict", "failed")
        asked = row.pop("asked")
        if row["verdict"] != "refused":
            row["kernel"] = asked
    return row
