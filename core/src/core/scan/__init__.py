"""Running a neuron over time: one contract, several backends."""

from core.scan.case import Case
from core.scan.dispatch import BACKENDS, Backend, choose, refuse_unknown, scan

__all__ = ["BACKENDS", "Backend", "Case", "choose", "refuse_unknown", "scan"]
