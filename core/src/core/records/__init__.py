"""What the papers claim, what our runs gave, and the tables that join the two.

Claims are read from a paper's ``claims.yaml`` (:mod:`.claims`); results are recorded on purpose,
one line per run (:mod:`.store`), with the weights worth keeping (:mod:`.weights`); verdicts follow
one written rule (:mod:`.verdicts`); READMEs hold only tables generated from these (:mod:`.readme`).
"""

from core.records.claims import Claim, Task, load_claims
from core.records.layout import markdown, runs_markdown
from core.records.places import find_paper, find_papers
from core.records.readme import refresh, update_between_markers
from core.records.runs import read_run
from core.records.store import (
    Record,
    load_records,
    record_counts,
    record_evaluation,
    record_run,
)
from core.records.summary import summary_markdown
from core.records.verdicts import VERDICTS, Row, table
from core.records.weights import keep_weights, load_manifest

__all__ = [
    "VERDICTS",
    "Claim",
    "Record",
    "Row",
    "Task",
    "find_paper",
    "find_papers",
    "keep_weights",
    "load_claims",
    "load_manifest",
    "load_records",
    "markdown",
    "read_run",
    "record_counts",
    "record_evaluation",
    "record_run",
    "refresh",
    "runs_markdown",
    "summary_markdown",
    "table",
    "update_between_markers",
]
