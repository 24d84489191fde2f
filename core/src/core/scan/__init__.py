"""Running a neuron over time: one contract, several backends."""

from core.scan.case import Case
from core.scan.dispatch import BACKENDS, Backend, choose, scan

__all__ = ["BACKENDS", "Backend", "Case", "choose", "scan"]
