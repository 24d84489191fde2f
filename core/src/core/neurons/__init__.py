"""Neurons, written once as mathematics: one file per family."""

from core.neurons.adaptive import AdLIF, BoundedLI, BoundedLIF, CAdLIF
from core.neurons.balanced import BalancedLIF
from core.neurons.base import Init, Neuron, Normal, Potential, Uniform
from core.neurons.competition import winner, winner_takes_all
from core.neurons.general import CubaLIF, GeneralLIF
from core.neurons.leaky import ALIF, LI, LIF
from core.neurons.parametric import PLIF, LogNormalTau
from core.neurons.resonate import BRF, HRF, RF, IzhikevichRF, divergence_boundary
from core.neurons.silif import CSiLIF, SiLIF, SoftResetRF

__all__ = [
    "ALIF",
    "BRF",
    "HRF",
    "LI",
    "LIF",
    "PLIF",
    "RF",
    "AdLIF",
    "BalancedLIF",
    "BoundedLI",
    "BoundedLIF",
    "CAdLIF",
    "CSiLIF",
    "CubaLIF",
    "GeneralLIF",
    "Init",
    "IzhikevichRF",
    "LogNormalTau",
    "Neuron",
    "Normal",
    "Potential",
    "SiLIF",
    "SoftResetRF",
    "Uniform",
    "divergence_boundary",
    "winner",
    "winner_takes_all",
]
