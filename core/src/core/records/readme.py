"""Tables for READMEs, generated from records and written between markers.

A README holds a block as::

    <!-- core table brf -->
    ... generated text ...
    <!-- end -->

The blocks of paper ``brf`` are ``table brf`` (all claims), ``table brf compact`` (main claims with
a result), ``summary brf`` (mean over seeds of what was run, published or not), ``runs brf`` (each
run, where, how long), ``weights brf`` (kept checkpoints) and ``recipes brf`` (what a run of each
configuration should reach). Other names are free for other generated text (a figure, the output of
a quick run) through :func:`update_between_markers`.
"""

from __future__ import annotations

import re
from pathlib import Path

from core.errors import UserError
from core.files import write_text_atomically
from core.outside.text import read_text
from core.records.claims import load_claims
from core.records.comparison import markdown
from core.records.layout import recipes_markdown, runs_markdown, weights_markdown
from core.records.orders import load_orders, order_table
from core.records.store import load_records
from core.records.summary import summary_markdown
from core.records.verdicts import table
from core.records.weights import load_manifest


def update_between_markers(readme: Path, name: str, text: str, *, write: bool = True) -> bool:
    """Put ``text`` into the block ``name`` of a README; return whether that changes the file.

    Args:
        readme: file that holds ``<!-- core NAME -->`` and, below, ``<!-- end -->``.
        name: what stands in the opening marker.
        text: the new content, without markers.
        write: False leaves the file alone and only tells whether it differs.

    Raises:
        UserError: the file or its block is missing, or the block is there twice.
    """
    old = read_text(readme)
    opening = f"<!-- core {name} -->"
    block = re.compile(rf"({re.escape(opening)}\n)((?:(?!<!-- core ).)*?)(<!-- end -->)", re.DOTALL)
    found = block.findall(old)
    if len(found) != 1 or old.count(opening) != 1:
        raise UserError(
            f"{readme} must hold the lines {opening} and <!-- end --> once, with only the "
            f"generated text between them; found {old.count(opening)} opening, {len(found)} closed"
        )
    new = block.sub(lambda match: f"{match[1]}{text.strip()}\n{match[3]}", old)
    if write and new != old:
        write_text_atomically(readme, new)
    return new != old


def refresh(paper_folder: Path, *, write: bool) -> list[str]:
    """Compare the blocks of a paper in its README and the project's with claims and records.

    Args:
        paper_folder: ``papers/<paper>``.
        write: bring the blocks up to date; False only looks.

    Returns:
        The stale blocks (with ``write``: those that were), as ``file (block)``.

    Raises:
        UserError: the paper's README lacks its table, or claims or records cannot be read.
    """
    paper = paper_folder.name
    records = load_records(paper_folder)
    claims = load_claims(paper_folder / "claims.yaml")
    rows = table(claims, records)
    orders = order_table(load_orders(paper_folder / "claims.yaml"), records)
    blocks = {
        f"recipes {paper}": recipes_markdown(claims),
        f"table {paper}": markdown(rows, orders),
        f"table {paper} compact": markdown(rows, orders, compact=True),
        f"summary {paper}": summary_markdown(records),
        f"runs {paper}": runs_markdown(records),
        f"weights {paper}": weights_markdown(load_manifest(paper_folder)),
    }
    stale = []
    own, project = paper_folder / "README.md", paper_folder.parent.parent / "README.md"
    for readme in (own, project):
        text = read_text(readme) if readme.is_file() else ""
        for name, content in blocks.items():
            needed = readme == own and name == f"table {paper}"
            if not needed and f"<!-- core {name} -->" not in text:
                continue
            if update_between_markers(readme, name, content, write=write):
                stale.append(f"{readme} ({name})")
    return stale
