"""What a network costs on hardware: operations, updates, sparsity and memory."""

from core.counting.counter import Counter
from core.counting.counts import Counts, LayerCounts, Synapses

__all__ = ["Counter", "Counts", "LayerCounts", "Synapses"]
