"""Where the root's files name each paper: NOTICE, CITATION.cff, README.md and mypy's path."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from core.errors import UserError
from core.outside.text import read_text

CITATION = """\
  - type: article
    title: The title of the paper
    notes: Reproduced in papers/{name}.
    authors:
      - name: its authors
    year: 2000
"""


def root_edits(root: Path, name: str) -> dict[Path, str]:
    """New texts of the root's files, all else in them as it was; those that name it already, not.

    Raises:
        UserError: A file is missing or damaged, or has no place for the entry.
    """
    edits = {}
    for file, add in PLACES.items():
        old = read_text(root / file)
        new = add(old, name)
        if new is None:
            raise UserError(f"{root / file} has no place for an entry of {name}; restore it")
        if new != old:
            edits[root / file] = new
    return edits


def _notice(text: str, name: str) -> str | None:
    """An entry after the last one: a name in the first column, and lines that are indented."""
    if re.search(rf"^{name} ", text, re.MULTILINE):
        return text
    entry = (
        f"{name:<7} its authors:\n        The title of the paper. Where it appeared, and when.\n"
    )
    entry += "        Original code: where it is. Its licence.\n"
    return _after_last(r"^ {8}\S.*\n", text, f"\n{entry}")


def _citation(text: str, name: str) -> str | None:
    """An entry at the end, where the references stand."""
    if re.search(rf"\bpapers/{name}\.", text):
        return text
    references = re.search(r"^references:\n(?:[ #].*\n|\n)*\Z", text, re.MULTILINE)
    return text + CITATION.format(name=name) if references else None


def _readme(text: str, name: str) -> str | None:
    """A row of the table of the house."""
    if f"(papers/{name}/README.md)" in text:
        return text
    row = f"| [papers/{name}](papers/{name}/README.md) | The title of the paper |\n"
    return _after_last(r"^\| \[papers/.*\n", text, row)


def _pyproject(text: str, name: str) -> str | None:
    """Where mypy finds the package."""
    place = re.search(r'^mypy_path = "([^"\n]*)"$', text, re.MULTILINE)
    if place is None:
        return None
    if f"papers/{name}/src" in place[1].split(":"):
        return text
    return f"{text[: place.end(1)]}:papers/{name}/src{text[place.end(1) :]}"


def _after_last(line: str, text: str, entry: str) -> str | None:
    """``text`` with an entry behind its last line of this pattern; None where there is none."""
    found = list(re.finditer(line, text, re.MULTILINE))
    return text[: found[-1].end()] + entry + text[found[-1].end() :] if found else None


PLACES: dict[str, Callable[[str, str], str | None]] = {
    "NOTICE": _notice,
    "CITATION.cff": _citation,
    "README.md": _readme,
    "pyproject.toml": _pyproject,
}
"""File of the root -> its text and a name to the text with an entry; None where it has no place."""
