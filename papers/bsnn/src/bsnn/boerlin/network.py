"""The network: a decoder, the weights that follow from it, and its simulation.

``T`` steps, ``J`` dimensions of the signal, ``N`` neurons; float64, and random numbers from
NumPy's legacy generator in the authors' order, so that their spikes can be had again.

Theory (M. Boerlin, C. K. Machens, S. Denève, PLoS Comput. Biol. 9(11), 2013): a neuron spikes
where that brings the estimate ``xhat`` nearer to the signal. With ``V_i = D_i^T (x - xhat)``,

    v_{k+1} = alpha v_k + (1 - alpha) (w_slow r_k + w_fast o_k + D^T c_k) + sigma_v noise
    o_{k+1} = 1 for one neuron, drawn from those with v_{k+1} > theta
    r_{k+1} = alpha r_k + o_k
    xhat_{k+1} = alpha xhat_k + D o_k
    w_fast = -(D^T D + mu 1) / (1 - alpha),   theta = (nu + mu + diag(D^T D + mu 1)) / 2
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bsnn.boerlin import signals
from bsnn.boerlin.config import Sandbox
from bsnn.boerlin.signals import Array


@dataclass(frozen=True)
class Weights:
    """Weights of a network.

    Attributes:
        decoder: ``D``, ``[J, N]``.
        fast: ``[N, N]``.
        slow: ``[N, N]``, None where there are no slow currents.
        threshold: ``theta``, ``[N]``.
        leak: Factor of the signal per step: ``x_{k+1} = leak x_k + (1 - alpha) c_k``.
    """

    decoder: Array
    fast: Array
    slow: Array | None
    threshold: Array
    leak: float


@dataclass(frozen=True)
class Simulation:
    """What a network did.

    Attributes:
        weights: Its weights.
        clean: The signal without noise, ``[T, J]``.
        noisy: With noise, ``[T, J]``.
        target: ``x``, ``[T, J]``.
        estimate: ``xhat``, ``[T, J]``.
        spikes: Step and neuron of every spike, int64 ``[spikes, 2]``.
        voltage: Of the neuron that is looked at, ``[T]``.
        alpha: Decay.
    """

    weights: Weights
    clean: Array
    noisy: Array
    target: Array
    estimate: Array
    spikes: NDArray[np.int64]
    voltage: Array
    alpha: float

    @property
    def error(self) -> float:
        """Mean squared error of the estimate."""
        return float(np.mean((self.target - self.estimate) ** 2))

    @property
    def rates(self) -> Array:
        """Spikes per step of every neuron, ``[N]``."""
        counts = np.bincount(self.spikes[:, 1], minlength=len(self.weights.threshold))
        return counts / len(self.target)

    @property
    def raster(self) -> NDArray[np.bool_]:
        """``o``, ``[T, N]``."""
        raster = np.zeros((len(self.target), len(self.weights.threshold)), np.bool_)
        raster[tuple(self.spikes.T)] = True
        return raster


def decoder(config: Sandbox, dimensions: int, generator: np.random.RandomState) -> Array:
    """``D`` as ``w_init`` has it, ``[J, N]``."""
    n, half = config.n, config.n // 2
    bound = (1 - config.alpha) / 0.001
    if config.w_init == "boerlin-fix":
        return np.where(np.arange(n) < half, bound, -bound) * np.ones((dimensions, 1))
    if config.w_init == "boerlin-rand":
        parts = []
        for low, high, size in ((0.06, 0.1, half), (-0.1, -0.06, n - half)):
            mask = generator.binomial(1, 0.7, (dimensions, size))
            parts.append(mask * generator.uniform(low, high, (dimensions, size)))
        return np.concatenate(parts, 1)
    if config.w_init == "rand":
        mask = generator.binomial(1, 1 - config.weight_sparsity, (dimensions, n))
        return mask * generator.uniform(-bound, bound, (dimensions, n))
    if config.w_init == "kaiming-normal":
        return generator.randn(dimensions, n) * math.sqrt(2 / n)
    if config.w_init == "kaiming-uniform":
        return generator.uniform(-1 / math.sqrt(n), 1 / math.sqrt(n), (dimensions, n))
    weights = np.zeros((dimensions, n))
    weights[0, :5], weights[0, 5:10] = 0.1, -0.1
    return weights


def weights_of(config: Sandbox, drawn: Array) -> Weights:
    r"""All weights that follow from the decoder.

    Slow currents, unless ``auto_encoder``:

    * published: ``D^T M D / (1 - alpha)``, ``M`` zero on the diagonal and -10 elsewhere. It is
      nothing for one dimension, and drives the network away for more. The signal leaks with
      ``alpha`` whatever the slow currents.
    * corrected: ``D^T (A + lambda 1) D / (1 - alpha)`` of the theory for a signal that is
      integrated without leak, ``A = 0`` and ``lambda = 1 - alpha`` per step. (For one that leaks
      as the decoder does, ``A = -lambda`` and they vanish: the auto-encoder.)

    A neuron without decoder has threshold 0 and fires on noise; corrected, it never fires.
    """
    dimensions = len(drawn)
    gram = drawn.T @ drawn + config.mu * np.eye(config.n)
    threshold = 0.5 * (config.nu + config.mu + np.diag(gram))
    step, slow, leak = 1 - config.alpha, None, config.alpha
    if not config.auto_encoder and config.numerics == "published" and dimensions > 1:
        slow = drawn.T @ (10.0 * np.eye(dimensions) - 10.0) @ drawn / step
    elif not config.auto_encoder and config.numerics == "corrected":
        slow, leak = drawn.T @ drawn, 1.0
    if config.numerics == "corrected":
        threshold = np.where((drawn == 0).all(0), np.inf, threshold)
    return Weights(drawn, -gram / step, slow, threshold, leak)


def simulate(config: Sandbox, seed: int) -> Simulation:
    """Draw signal, noise and decoder, in that order, and run the network.

    Args:
        config: All settings but the seed.
        seed: Of everything that is drawn.

    Raises:
        UserError: The data set of the signal is missing.
    """
    generator = np.random.RandomState(seed)
    clean = signals.signal(config, seed, generator)
    noisy = signals.noisy(clean, config.sigma_s, generator)
    weights = weights_of(config, decoder(config, clean.shape[1], generator))
    spikes, voltage = _run(config, weights, noisy, generator)
    drives = np.zeros_like(noisy)  # D o_k
    drives[spikes[:, 0]] = weights.decoder.T[spikes[:, 1]]
    return Simulation(
        weights=weights,
        clean=clean,
        noisy=noisy,
        target=signals.integrated((1 - config.alpha) * noisy, weights.leak),
        estimate=signals.integrated(drives, config.alpha),
        spikes=spikes,
        voltage=voltage,
        alpha=config.alpha,
    )


def _run(
    config: Sandbox, weights: Weights, noisy: Array, generator: np.random.RandomState
) -> tuple[NDArray[np.int64], Array]:
    """Spikes, and the voltage of one neuron."""
    alpha, threshold = config.alpha, weights.threshold
    columns = np.ascontiguousarray(weights.fast.T)
    v, r = np.full(config.n, config.v_rest), np.zeros(config.n)
    voltage = np.zeros(len(noisy))
    voltage[0] = config.v_rest
    spikes, last = [], None
    inputs = noisy @ weights.decoder
    for k in range(len(noisy) - 1):
        current = inputs[k]
        if last is not None:
            current = columns[last] + current
        if weights.slow is not None:
            current = weights.slow @ r + current
        v = alpha * v + (1 - alpha) * current + config.sigma_v * generator.randn(config.n)
        if weights.slow is not None:
            r *= alpha
            if last is not None:
                r[last] += 1
        above = np.flatnonzero(v > threshold)
        last = generator.choice(above) if len(above) else None
        if last is not None:
            spikes.append((k + 1, last))
        voltage[k + 1] = v[config.plot_neuron]
    return np.array(spikes, np.int64).reshape(-1, 2), voltage
