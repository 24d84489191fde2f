"""What the papers claim, what our runs gave, and the tables that join the two.

Claims are read from a paper's ``claims.yaml`` (:mod:`.claims`); results are recorded on purpose,
one line per run (:mod:`.store`), with the weights worth keeping (:mod:`.weights`); verdicts
(:mod:`.verdicts`, :mod:`.orders`) follow one written rule (:mod:`.rule`); READMEs hold only tables
generated from these (:mod:`.readme`).
"""

from core.records.claims import Claim, Task, load_claims
from core.records.comparison import markdown
from core.records.layout import runs_markdown
from core.records.orders import OrderClaim, OrderRow, load_orders, order_table
from core.records.places import find_paper, find_papers
from core.records.readme import refresh, update_between_markers
from core.records.store import (
    Record,
    load_records,
    record_counts,
    record_evaluation,
    record_run,
    supersede,
)
from core.records.summary import summary_markdown
from core.records.verdicts import VERDICTS, Row, table
from core.records.weights import keep_weights, load_manifest

__all__ = [
    "VERDICTS",
    "Claim",
    "OrderClaim",
    "OrderRow",
    "Record",
    "Row",
    "Task",
    "find_paper",
    "find_papers",
    "keep_weights",
    "load_claims",
    "load_manifest",
    "load_orders",
    "load_records",
    "markdown",
    "order_table",
    "record_counts",
    "record_evaluation",
    "record_run",
    "refresh",
    "runs_markdown",
    "summary_markdown",
    "supersede",
    "table",
    "update_between_markers",
]
