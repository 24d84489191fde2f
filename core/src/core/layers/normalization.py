"""Normalisation of a current over samples and steps, as one module per layer."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from core.errors import UserError

Normalization = Literal["batchnorm", "layernorm", "none"]
"""Over samples and steps per neuron, over neurons per sample and step, or not at all."""

EPSILON = 1e-5
MOMENTUM = 0.05
"""Share of the newest batch in the running statistics of batch norm."""


def make_norm(kind: Normalization, size: int) -> nn.Module:
    r"""A module for :func:`normalize`, whose tensors are ``[N]``.

        y = (x - mean) / sqrt(variance + 1e-5) * weight + bias

    ``batchnorm`` takes mean and variance of every neuron over all steps and samples, padding and
    both directions included; in evaluation, the running ones (momentum 0.05, variance unbiased).
    ``layernorm`` takes them over the neurons of every sample and step. ``none`` has no tensors.

    Args:
        kind: See above.
        size: ``N``.

    Raises:
        ValueError: Unknown kind.
    """
    if kind == "batchnorm":
        return nn.BatchNorm1d(size, eps=EPSILON, momentum=MOMENTUM)
    if kind == "layernorm":
        return nn.LayerNorm(size, eps=EPSILON)
    if kind == "none":
        return nn.Identity()
    raise ValueError(f"normalization is batchnorm, layernorm or none, not {kind!r}")


def normalize(norm: nn.Module, x: Tensor) -> Tensor:
    """Run a module of :func:`make_norm` on ``[..., N]``, leading dimensions as one.

    Raises:
        UserError: Batch norm is trained on a single value per neuron, which has no variance.
    """
    rows = x.flatten(0, -2)
    if len(rows) == 1 and norm.training and isinstance(norm, nn.BatchNorm1d):
        raise UserError(
            "batch norm cannot be trained on one value per neuron, but a batch is a single sample "
            "with a single step; use another --batch_size, or another normalisation"
        )
    normalized: Tensor = norm(rows)
    return normalized.view(x.shape)
