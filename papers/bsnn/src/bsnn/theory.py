r"""What balance theory makes of input weights: thresholds and recurrent weights.

With input weights ``W`` ``[N, I]``, costs of firing ``mu`` (quadratic) and ``nu`` (linear):

    G     = W W^T + mu 1
    theta = (nu + mu + diag G) / 2
    V     = -V_scale G / (1 - alpha)

``V`` acts as ``s V`` and is multiplied by ``1 - alpha`` in the neuron, so that a spike of neuron
``j`` takes ``V_scale G_j`` off all potentials. Source: Boerlin, Machens, Deneve, PLoS Computational
Biology 2013; ``mu`` counts twice in ``theta``, as in the code of RWTH-IDS/bsnn.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from torch import Tensor

from bsnn.config import Config


class Balanced(NamedTuple):
    """Recurrent weights ``V`` ``[N, N]`` and thresholds ``theta`` ``[N]``."""

    V: Tensor
    theta: Tensor


def alpha_init(config: Config) -> float:
    """Decay of hidden potentials per step at the start: 2 s at a step of 1 ms of the data."""
    if config.alpha_init is not None:
        return config.alpha_init
    return math.exp(-1.0 / (2000.0 * config.repeat))


def input_bound(config: Config) -> float:
    """``a``: Bernoulli input weights are uniform in ``[-a, a]``."""
    return (1.0 - alpha_init(config)) / 0.001


def balanced(W: Tensor, config: Config) -> Balanced:
    """The equations of the module."""
    G = _gram(W, config)
    V = -config.V_scale * G / (1.0 - alpha_init(config))
    return Balanced(V, 0.5 * (config.nu + config.mu + G.diagonal()))


def refitted(W: Tensor, V: Tensor, config: Config) -> Balanced:
    """Recurrent weights and thresholds that follow trained ones.

    As published, sign, ``V_scale`` and ``1 / (1 - alpha)`` are forgotten, so that recurrence turns
    excitatory and thresholds may be negative; as the theory has it, ``-V_scale / (1 - alpha)`` is
    between ``G`` and ``V`` wherever one becomes the other. In both,

    * with fixed ``W``, ``theta`` follows the diagonal of ``V``;
    * with fixed ``V``, ``V`` and ``theta`` follow ``W``;
    * with neither, ``V`` becomes its mean with the one that ``W`` asks for, and ``theta`` follows.

    Args:
        W: Input weights.
        V: Recurrent weights, with their diagonal.
        config: ``fix_w_in``, ``fix_w_rec``, ``refit``, costs and scales.
    """
    theory = config.refit == "theory"
    factor = -config.V_scale / (1.0 - alpha_init(config)) if theory else 1.0
    G = _gram(W, config)
    if config.fix_w_rec:
        return Balanced(factor * G, 0.5 * (config.nu + config.mu + G.diagonal()))
    if not config.fix_w_in:
        V = 0.5 * (factor * G + V)
    diagonal = V.diagonal() / factor if factor else G.diagonal()
    return Balanced(V, 0.5 * (config.nu + config.mu + diagonal))


def _gram(W: Tensor, config: Config) -> Tensor:
    G = W @ W.t()
    G.diagonal().add_(config.mu)
    return G
