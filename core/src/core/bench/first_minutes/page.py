"""What a person reads first: what is right, what is fast, which tile wins."""

from __future__ import annotations

from collections import Counter
from typing import Any

from core.bench.first_minutes.goals import comparison


def page(found: dict[str, Any]) -> str:
    """The page of ``gpu.json``."""
    title = "REHEARSAL: no number here means anything" if found["rehearsal"] else "GPU"
    lines = [title, _line(found["machine"])]
    if clocks := found.get("clocks at the end"):
        lines.append(f"at the end: {_line(clocks)}")
    for name, part in found["parts"].items():
        lines += ["", f"{name} ({part.get('seconds', 0):g} s)"]
        lines += [f"  error: {part['error']}"] if "error" in part else []
        rows = part["rows"]
        if name == "correctness":
            counted = Counter(row.get("verdict", "no answer") for row in rows)
            lines.append("  " + ", ".join(f"{n} {verdict}" for verdict, n in counted.items()))
            rows = [row for row in rows if row.get("verdict") != "right"]
        if name == "speed":
            lines += [f"  {line}" for line in comparison(found["parts"])] + [""]
        lines += [f"  {_line(row)}" for row in rows]
    return "\n".join(lines)


def _line(row: dict[str, Any]) -> str:
    return ", ".join(f"{key} {_shown(value)}" for key, value in row.items())


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return (" to " if len(value) == 2 else " ").join(map(_shown, value))  # a spread, or many
    if isinstance(value, dict):
        return f"({_line(value)})"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
