"""Where the papers are: beside the working directory's project, else beside this package."""

from __future__ import annotations

import difflib
from pathlib import Path

import core
from core.errors import UserError


def find_papers() -> list[Path]:
    """Return the folders of all papers, those with a ``claims.yaml``, sorted by name.

    The project is the nearest folder at or above the working directory that holds ``papers/``
    with a paper in it; without one it is the checkout the editable ``core`` package lies in.
    """
    here = Path.cwd().resolve()
    checkout = Path(str(core.__file__)).resolve().parents[3]
    for project in (here, *here.parents, checkout):
        if found := sorted(path.parent for path in project.glob("papers/*/claims.yaml")):
            return found
    return []


def find_paper(name: str) -> Path:
    """Return the folder of one paper.

    Raises:
        UserError: there is no such paper; names the nearest one.
    """
    known = {folder.name: folder for folder in find_papers()}
    if name in known:
        return known[name]
    if not known:
        raise UserError("no papers/*/claims.yaml here or above: change into a checkout of it")
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise UserError(f"no paper is called {name!r}.{hint} Known: {', '.join(known)}.")
