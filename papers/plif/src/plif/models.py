"""The networks of the paper."""

from __future__ import annotations

from functools import partial

from core.layers import Network, SoftmaxSumReadout, SpikingLayer
from core.neurons import LIF, Uniform
from core.paper import Task
from plif.config import Config

TAU_MEM = Uniform(2.0, 6.0)
"""Steps."""


def build(config: Config, task: Task) -> Network:
    """One recurrent layer of LIF neurons and a readout."""
    hidden = SpikingLayer(
        task.inputs,
        config.hidden,
        partial(LIF, tau_mem=TAU_MEM),
        recurrent=True,
        normalization="batchnorm",
        backend=config.backend,
    )
    return Network([hidden], SoftmaxSumReadout(config.hidden, task.classes, backend=config.backend))
