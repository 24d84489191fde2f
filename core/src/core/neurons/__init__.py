"""Neurons, written once as mathematics: one file per family."""

from core.neurons.base import Init, Neuron, Normal, Potential, Uniform
from core.neurons.leaky import ALIF, LI, LIF
from core.neurons.resonate import BRF, HRF, RF, IzhikevichRF, divergence_boundary

__all__ = [
    "ALIF",
    "BRF",
    "HRF",
    "LI",
    "LIF",
    "RF",
    "Init",
    "IzhikevichRF",
    "Neuron",
    "Normal",
    "Potential",
    "Uniform",
    "divergence_boundary",
]
