"""Running a neuron over time: one contract, several backends."""

from core.scan.dispatch import BACKENDS, Backend, choose, scan

__all__ = ["BACKENDS", "Backend", "choose", "scan"]
