"""Layers: projection, normalisation, a neuron run over time, recurrence, dropout, readouts."""

from core.layers.delay import AxonalDelay
from core.layers.gated import GRULayer, LiGRULayer, MLPLayer, RNNLayer
from core.layers.joint import Layer
from core.layers.network import Network, NetworkOutput
from core.layers.normalization import Normalization
from core.layers.readout import PooledReadout, ReadoutOutput, SoftmaxSumReadout, TracedReadout
from core.layers.sequence import LayerOutput, TracedOutput
from core.layers.spiking import SpikingLayer

__all__ = [
    "AxonalDelay",
    "GRULayer",
    "Layer",
    "LayerOutput",
    "LiGRULayer",
    "MLPLayer",
    "Network",
    "NetworkOutput",
    "Normalization",
    "PooledReadout",
    "RNNLayer",
    "ReadoutOutput",
    "SoftmaxSumReadout",
    "SpikingLayer",
    "TracedOutput",
    "TracedReadout",
]
