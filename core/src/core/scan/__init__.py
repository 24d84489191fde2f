"""Running a neuron over time: one contract, several backends."""

from core.scan.case import Case, Traces
from core.scan.dispatch import BACKENDS, Backend, choose, refuse_unknown, scan
from core.scan.explanation import Explained, explain

__all__ = [
    "BACKENDS",
    "Backend",
    "Case",
    "Explained",
    "Traces",
    "choose",
    "explain",
    "refuse_unknown",
    "scan",
]
