"""Running a neuron over time: one contract, several backends."""

from core.scan.dispatch import BACKENDS, Backend, Case, choose, scan

__all__ = ["BACKENDS", "Backend", "Case", "choose", "scan"]
