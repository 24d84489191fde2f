"""A new paper: its folder, from the templates beside this file, and its entries in the root."""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
import tempfile
from pathlib import Path
from string import Template

from core.errors import UserError
from core.files import write_text_atomically
from core.new.places import root_edits
from core.outside.text import read_text, shown
from core.records import find_papers, refresh

TEMPLATES = Path(__file__).parent / "template"
SUFFIX = ".template"
RESERVED = {"bench", "conftest", "core", "lint", "noxfile", "papers", "tests", "types"}
LONGEST = 20


def new_paper(name: str) -> Path:
    """Write ``papers/<name>`` and enter it into the files of the root: all of it, or nothing.

    Returns:
        The folder.

    Raises:
        UserError: The name cannot be used, or a file cannot be written or extended.
    """
    found = find_papers()
    if not found:
        raise UserError("no papers/*/claims.yaml here or above: change into a checkout of it")
    papers = found[0].parent
    if reason := refusal(name, papers):
        raise UserError(f"no paper can be called {shown(name)}: {reason}; choose another name")
    edits = root_edits(papers.parent, name)
    before = {path: path.read_bytes() for path in edits}
    try:
        with tempfile.TemporaryDirectory(dir=papers, prefix=".new-") as scratch:
            _write(Path(scratch) / name)
            try:
                for path, text in edits.items():
                    write_text_atomically(path, text)
                (Path(scratch) / name).rename(papers / name)
            except BaseException:
                for path, content in before.items():
                    if path.read_bytes() != content:
                        path.write_bytes(content)
                raise
    except OSError as error:
        raise UserError(
            f"cannot write papers/{name} and its entries ({error}); nothing was changed"
        ) from error
    return papers / name


def refusal(name: str, papers: Path) -> str | None:
    """Why a paper cannot have this name, or None.

    Args:
        name: Of folder, project and Python package.
        papers: The folder of all papers.
    """
    if len(name) > LONGEST or not re.fullmatch(r"[a-z](?:_?[a-z0-9])*", name):
        return (
            f"it takes at most {LONGEST} small letters, digits and single underscores between "
            "them, a letter first"
        )
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        return "it is a word of Python"
    if name in RESERVED:
        return "this project calls something else so"
    if (papers / name).exists() or (papers / name).is_symlink():
        return f"{papers / name} exists already"
    if name in sys.stdlib_module_names or importlib.util.find_spec(name) is not None:
        return "there is a Python package of that name"
    return None


def _write(home: Path) -> None:
    """Every template, filled; then the table of its claims."""
    words = {"name": home.name, "constant": home.name.upper()}
    for template in sorted(TEMPLATES.rglob(f"*{SUFFIX}")):
        path = template.relative_to(TEMPLATES).with_suffix("")
        target = home / (Path("src") / home.name / path.name if path.parts[0] == "src" else path)
        target.parent.mkdir(parents=True, exist_ok=True)
        text = Template(read_text(template)).substitute(words)
        target.write_text(_sorted_imports(text), encoding="utf-8")
    refresh(home, write=True)


def _sorted_imports(text: str) -> str:
    """Neighbouring lines ``from ... import`` in order: the paper's own depend on its name."""
    block = re.compile(r"(?:^ *from [^_].*\n){2,}", re.MULTILINE)
    by_module = lambda line: line.split()[1]  # noqa: E731
    return block.sub(
        lambda found: "".join(sorted(found[0].splitlines(keepends=True), key=by_module)), text
    )
