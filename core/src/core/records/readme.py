"""Tables for READMEs, generated from records and written between markers.

A README holds a block as::

    <!-- core table brf -->
    ... generated text ...
    <!-- end -->

The blocks of paper ``brf`` are ``table brf`` (main claims with a result, and the command that gives
each), ``table brf compact`` (the same without commands), ``summary brf`` (mean over seeds of what
was run, published or not), ``runs brf`` (each run, where, how long), ``weights brf`` (kept
checkpoints) and ``recipes brf`` (what a run of each configuration should reach). All rows, runs,
weights and recipes stand in pages of their own, ``results/{table,runs,weights,recipes}.md``, which
are generated whole. Other names are free for other generated text (a figure, the output of
a quick run) through :func:`update_between_markers`.
"""

from __future__ import annotations

import re
from pathlib import Path

from core.errors import UserError
from core.files import write_text_atomically
from core.outside.text import read_text
from core.records.claims import load_claims
from core.records.commands import commands
from core.records.comparison import main_markdown, markdown
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
    """Compare blocks in the READMEs and the pages of a paper with its claims and records.

    Args:
        paper_folder: ``papers/<paper>``.
        write: bring the blocks up to date; False only looks.

    Returns:
        The stale blocks and pages (with ``write``: those that were), as ``file (block)`` and
        ``file``.

    Raises:
        UserError: the paper's README lacks its table, or claims or records cannot be read.
    """
    paper = paper_folder.name
    records = load_records(paper_folder)
    claims = load_claims(paper_folder / "claims.yaml")
    rows = table(claims, records)
    orders = order_table(load_orders(paper_folder / "claims.yaml"), records)
    runs, weights = runs_markdown(records), weights_markdown(load_manifest(paper_folder))
    summary, recipes = summary_markdown(records), recipes_markdown(claims)
    blocks = {
        f"recipes {paper}": recipes,
        f"table {paper}": main_markdown(rows, orders, commands(paper, claims, records)),
        f"table {paper} compact": markdown(rows, orders, compact=True),
        f"summary {paper}": summary,
        f"runs {paper}": runs,
        f"weights {paper}": weights,
    }
    pages = {
        "table": ("All published numbers", markdown(rows, orders)),
        "runs": ("Runs", f"{summary}\n\n## Every run\n\n{runs}"),
        "weights": ("Weights", weights),
        "recipes": ("What a run of each configuration should reach", recipes),
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
    for name, (title, content) in pages.items():
        page = paper_folder / "results" / f"{name}.md"
        if _update_page(page, f"{title}: [{paper}](../README.md)", content, paper, write=write):
            stale.append(str(page))
    return stale


def _update_page(page: Path, title: str, content: str, paper: str, *, write: bool) -> bool:
    """Write a page that is generated whole; return whether that changes it."""
    text = f"# {title}\n\nWritten by `core table {paper} --write`.\n\n{content.strip()}\n"
    new = not page.is_file() or read_text(page) != text
    if write and new:
        page.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomically(page, text)
    return new
