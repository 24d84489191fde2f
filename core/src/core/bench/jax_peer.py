"""Our neurons in JAX: the same equations in a jitted ``jax.lax.scan``, with gradients.

A dense product carries the recurrence, which is what a scan of whole steps can do. The gradients
are those of the current, of what ``coefficients()`` gives (the few operations from parameters to
coefficients are left out) and of the recurrent weight.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.bench.workloads import Inputs
from core.neurons import ALIF, BRF

Step = Callable[[Any, Any, Any], tuple[Any, Any]]
Derivative = Callable[[Any], Any]


def _density(jnp: Any, x: Any, sigma: float) -> Any:
    return jnp.exp(-0.5 * (x / sigma) ** 2) / (sigma * math.sqrt(2.0 * math.pi))


def _double_gaussian(jnp: Any, x: Any) -> Any:
    return 0.5 * (1.15 * _density(jnp, x, 0.5) - 0.3 * _density(jnp, x, 3.0))


def _boxcar(jnp: Any, x: Any) -> Any:
    return ((x > -0.5) & (x <= 0.5)).astype(x.dtype)


def _spike_function(jax: Any, psi: Callable[[Any, Any], Any]) -> Callable[[Any], Any]:
    """A step forwards and ``psi`` backwards."""
    jnp = jax.numpy

    @jax.custom_vjp
    def spike(x: Any) -> Any:
        return (x > 0).astype(x.dtype)

    spike.defvjp(lambda x: (spike(x), x), lambda x, gradient: (gradient * psi(jnp, x),))
    return spike


def _lif(theta: Callable[[Any], Any]) -> Step:
    def step(coefficients: Any, state: Any, current: Any) -> tuple[Any, Any]:
        (alpha,), (spike, u) = coefficients, state
        u = alpha * (u - spike) + (1.0 - alpha) * current
        spike = theta(u - 1.0)
        return (spike, u), spike

    return step


def _adaptive(theta: Callable[[Any], Any]) -> Step:
    def step(coefficients: Any, state: Any, current: Any) -> tuple[Any, Any]:
        (alpha, beta, a, b), (spike, u, w) = coefficients, state
        w = beta * w + a * u + b * spike
        u = alpha * (u - spike) + (1.0 - alpha) * (current - w)
        spike = theta(u - 1.0)
        return (spike, u, w), spike

    return step


def _csilif(theta: Callable[[Any], Any]) -> Step:
    def step(coefficients: Any, state: Any, current: Any) -> tuple[Any, Any]:
        (real, imaginary, b), (spike, u, v) = coefficients, state
        reset = u - 0.5 * spike
        u, v = real * reset - imaginary * v + b * current, real * v + imaginary * reset
        spike = theta(2.0 * u - 1.0)
        return (spike, u, v), spike

    return step


def _brf(theta: Callable[[Any], Any]) -> Step:
    dt = 0.01

    def step(coefficients: Any, state: Any, current: Any) -> tuple[Any, Any]:
        (omega, damping), (_, u, v, q) = coefficients, state
        b = damping - q
        u, v = u + b * u * dt - omega * v * dt + current * dt, v + omega * u * dt + b * v * dt
        spike = theta(u - 1.0 - q)
        return (spike, u, v, BRF.REFRACTORY_DECAY * q + spike), spike

    return step


def _alif(theta: Callable[[Any], Any]) -> Step:
    def step(coefficients: Any, state: Any, current: Any) -> tuple[Any, Any]:
        (alpha, rho), (spike, u, a) = coefficients, state
        a = rho * a + (1.0 - rho) * spike
        threshold = ALIF.BASE_THRESHOLD + ALIF.ADAPTATION_STRENGTH * a
        u = alpha * u + (1.0 - alpha) * current
        spike = theta(u - threshold)
        return (spike, u - spike * threshold, a), spike

    return step


#: Neuron -> its step, the pseudo-derivative of its spike, and how many fields its state has.
STEPS: dict[str, tuple[Callable[[Callable[[Any], Any]], Step], Callable[[Any, Any], Any], int]] = {
    "BoundedLIF": (_lif, _boxcar, 2),
    "AdLIF": (_adaptive, _boxcar, 3),
    "SiLIF": (_adaptive, _boxcar, 3),
    "CSiLIF": (_csilif, _boxcar, 3),
    "BRF": (_brf, _double_gaussian, 4),
    "ALIF": (_alif, _double_gaussian, 3),
}


def _loss(jax: Any, neuron: str) -> Callable[..., Any]:
    """``sum(output * gradient)`` and the output, of current, coefficients and weight."""
    make, psi, fields = STEPS[neuron]
    step = make(_spike_function(jax, psi))

    def loss(current: Any, coefficients: Any, weight: Any, gradient: Any) -> tuple[Any, Any]:
        def one(state: Any, now: Any) -> tuple[Any, Any]:
            drive = now if weight is None else now + state[0] @ weight.T
            return step(coefficients, state, drive)

        rest = (jax.numpy.zeros_like(current[0]),) * fields
        _, output = jax.lax.scan(one, rest, current)
        return (output * gradient).sum(), output

    return loss


class JaxContestant:
    """Forward and backward of a row in JAX on the CPU; a :class:`~core.bench.timing.Contestant`.

    Args:
        neuron: Key of :data:`STEPS`.
        inputs: Of the row; parameters and sequences are copied once.
    """

    def __init__(self, neuron: str, inputs: Inputs) -> None:
        # Read when the first computation starts: as many threads as PyTorch has.
        os.environ.setdefault("NPROC", str(torch.get_num_threads()))
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
        jax = import_module("jax")
        self._jax = jax

        def copied(tensor: Tensor) -> Any:
            return jax.numpy.array(tensor.detach().cpu().numpy())

        size = inputs.neuron.size
        self._arguments = (
            copied(inputs.current_TBH),
            tuple(copied(c.expand(size)) for c in inputs.neuron.coefficients()),
            None if inputs.weight is None else copied(inputs.weight),
            copied(inputs.gradient_TBH),
        )
        wanted = (0, 1) if inputs.weight is None else (0, 1, 2)
        self._pass = jax.jit(jax.value_and_grad(_loss(jax, neuron), argnums=wanted, has_aux=True))

    def __call__(self) -> Any:
        """Value, output and gradients, all computed."""
        return self._jax.block_until_ready(self._pass(*self._arguments))

    def run(self) -> None:
        """One pass that keeps nothing."""
        self()

    def reset(self) -> None:
        """Nothing is kept between passes."""

    def output(self) -> Tensor:
        """The spikes ``[T, B, H]``."""
        (_, output), _ = self()
        return torch.from_numpy(np.array(output))

    def gradients(self) -> tuple[Any, ...]:
        """Gradients of current, coefficients and, where there is one, weight."""
        _, gradients = self()
        return tuple(gradients)
