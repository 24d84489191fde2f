"""Batch norm of a step: one after the other as the authors' networks, and yet in one array."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from plif.layers import SequenceBatchNorm


def run(norm: SequenceBatchNorm, x: Tensor, gradient: Tensor, *, together: bool) -> list[Tensor]:
    """Output, gradients, and what the module keeps."""
    x = x.clone().requires_grad_()
    single = nn.BatchNorm2d.forward
    y = norm(x) if together else torch.stack([single(norm, step) for step in x])
    y.backward(gradient)
    gradients = [t.grad for t in (x, *norm.parameters()) if t.grad is not None]
    assert len(gradients) == 3
    return [y.detach(), *gradients, *norm.buffers()]


@pytest.mark.parametrize("size", [(1, 3, 4, 6, 6), (5, 1, 4, 7, 5), (4, 6, 3, 64, 64)])
def test_equal_to_the_bit_to_one_step_after_the_other(size: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    x, gradient = torch.randn(size), torch.randn(size)
    weight = torch.rand(size[2])
    found = []
    for together in (True, False):
        norm = SequenceBatchNorm(size[2])
        nn.init.constant_(norm.bias, 0.3)
        norm.weight.data.copy_(weight)
        found.append(run(norm, x, gradient, together=together))
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


def test_only_what_is_asked_for_has_gradients() -> None:
    norm = SequenceBatchNorm(2)
    norm.bias.requires_grad_(False)
    x = torch.randn(3, 2, 2, 4, 4)
    norm(x).sum().backward()
    assert norm.weight.grad is not None
    assert norm.bias.grad is None
    with torch.no_grad():
        assert not norm(x).requires_grad
    assert int(norm.num_batches_tracked or 0) == 6
    norm.eval()(x)
    assert int(norm.num_batches_tracked or 0) == 6
