"""What ``core gpu`` does: part after part, everything kept as it comes, then a page."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.bench.first_minutes.crew import Crew
from core.errors import UserError
from core.files import write_text_atomically
from core.outside.text import to_json

#: Part: seconds for it, what lists its items (or itself, where it is one), what does one, workers.
PARTS: dict[str, tuple[float, str, str, int]] = {
    "machine": (45.0, "", "rates", 1),
    "correctness": (100.0, "correctness_items", "correctness", 8),
    "speed": (70.0, "timed_items", "timed", 1),
    "tiles": (50.0, "tile_items", "tile", 1),
    "networks": (20.0, "network_items", "network", 1),
}
#: Seconds after which one item hangs.
LONGEST = 40.0


def first_minutes(folder: Path, *, rehearse: bool, say: Callable[[str], object] = print) -> None:
    """Write ``gpu.json`` and ``gpu.txt``; print the latter.

    Args:
        folder: Made where it does not exist.
        rehearse: Toy sizes, interpreted on the CPU.
        say: Called with the page.

    Raises:
        UserError: The folder has a ``gpu.json``; there is no GPU and this is no rehearsal.
    """
    file = folder / "gpu.json"
    if file.exists():
        raise UserError(f"{file} exists; give another --out, or move it away")
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {"rehearsal": rehearse, "parts": {}}
    # One thread: tiny products in several wait for each other where other work has the cores.
    interpreted = {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    crew = Crew(folder, interpreted if rehearse else {})
    try:
        found["machine"] = _ask(crew, "machine", {})
        if missing := found["machine"].get("missing"):
            raise UserError(f"{missing}; --rehearse goes through every part without a GPU")
        for name in PARTS:
            found["parts"][name] = _part(crew, name, rehearse)
            write_text_atomically(file, to_json(found, indent=0) + "\n")
    finally:
        crew.close()
    text = page(found)
    write_text_atomically(folder / "gpu.txt", text + "\n")
    say(text)


def _ask(crew: Crew, name: str, arguments: dict[str, Any]) -> Any:
    answers: list[Any] = []
    crew.run(
        [(name, arguments)], lambda _, a: answers.append(a), hands=1, seconds=120.0, longest=120.0
    )
    return answers[0]


def _part(crew: Crew, name: str, rehearse: bool) -> dict[str, Any]:
    seconds, lister, measure, hands = PARTS[name]
    started = time.monotonic()
    items = _ask(crew, lister, {"rehearse": rehearse}) if lister else [{}]
    if not isinstance(items, list):
        return {"error": items["error"], "rows": []}
    rows: list[dict[str, Any]] = [dict(item) for item in items]
    crew.run(
        [(measure, item) for item in items],
        lambda number, answer: rows[number].update(answer),
        hands=1 if rehearse else min(hands, os.cpu_count() or 1),
        seconds=seconds,
        longest=LONGEST,
    )
    return {"seconds": round(time.monotonic() - started, 1), "rows": rows}


def page(found: dict[str, Any]) -> str:
    """What a person reads first: what is right, what is fast, which tile wins."""
    title = "REHEARSAL: no number here means anything" if found["rehearsal"] else "GPU"
    lines = [title, ", ".join(f"{k} {v}" for k, v in found["machine"].items())]
    for name, part in found["parts"].items():
        lines += ["", f"{name} ({part.get('seconds', 0):g} s)"]
        lines += [f"  error: {part['error']}"] if "error" in part else []
        rows = part["rows"]
        if name == "correctness":
            counted = Counter(row.get("verdict", "no answer") for row in rows)
            lines.append("  " + ", ".join(f"{n} {verdict}" for verdict, n in counted.items()))
            rows = [row for row in rows if row.get("verdict") != "right"]
        lines += ["  " + ", ".join(f"{k} {_shown(v)}" for k, v in row.items()) for row in rows]
    return "\n".join(lines)


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
