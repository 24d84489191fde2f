"""Input products: by rows of the weight where the input is mostly zero, dense elsewhere."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from core import projection
from core.projection import mostly_zero, project
from core.scan.cpu import sparse


def spikes(shape: tuple[int, ...], share: float, dtype: torch.dtype = torch.float32) -> Tensor:
    return (torch.rand(shape) < share).to(dtype) * torch.randint(1, 4, shape).to(dtype)


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every product is done by what is not zero."""
    monkeypatch.setattr(projection, "mostly_zero", lambda x, weight: True)


def results(
    run: Callable[[Tensor, Tensor, Tensor | None], Tensor], *inputs: Tensor | None
) -> list[Tensor]:
    leaves = [None if i is None else i.detach().clone().requires_grad_() for i in inputs]
    output = run(*leaves)  # type: ignore[arg-type]
    weights = torch.linspace(-1.0, 2.0, output.numel(), dtype=output.dtype).view_as(output)
    (output * weights).sum().backward()
    gradients = [leaf.grad for leaf in leaves if leaf is not None]
    return [output.detach(), *[g for g in gradients if g is not None]]


@pytest.mark.usefixtures("always")
@settings(deadline=None, max_examples=25)
@given(
    shape=st.tuples(*[st.integers(1, top) for top in (4, 70, 40, 150)]),
    share=st.sampled_from([0.0, 0.1, 1.0]),
    bias=st.booleans(),
)
def test_values_and_gradients_are_those_of_the_dense_product(
    shape: tuple[int, int, int, int], share: float, bias: bool
) -> None:
    steps, batch, inputs, size = shape
    torch.manual_seed(0)
    x = spikes((steps, batch, inputs), share, torch.float64)
    weight = torch.randn(size, inputs, dtype=torch.float64)
    start = torch.randn(size, dtype=torch.float64) if bias else None
    expected = results(nn.functional.linear, x, weight, start)
    for ours, theirs in zip(results(project, x, weight, start), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.usefixtures("always")
def test_single_precision_and_inputs_that_are_not_contiguous() -> None:
    torch.manual_seed(0)
    x = spikes((40, 20, 33), 0.1).transpose(0, 1)
    weight = torch.randn(33, 70).t()
    expected = results(nn.functional.linear, x, weight, None)
    for ours, theirs in zip(results(project, x, weight, None), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-4)


@pytest.mark.usefixtures("always")
def test_a_number_that_is_none_is_not_lost() -> None:
    x = torch.zeros(1, 3, 8)
    x[0, 1, 2] = torch.nan
    output = project(x, torch.ones(64, 8))
    assert output[0, 1].isnan().all()
    assert torch.equal(output[0, [0, 2]], torch.zeros(2, 64))


def test_results_do_not_depend_on_threads() -> None:
    torch.manual_seed(0)
    x, weight = spikes((2000, 90), 0.05), torch.randn(80, 90)
    gradient = torch.randn(2000, 80)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            output = torch.empty(2000, 80)
            sparse.product(x, weight, None, output)
            found.append((output, sparse.weight_gradient(x, gradient)))
    finally:
        torch.set_num_threads(before)
    for output, weight_gradient in found[1:]:
        assert torch.equal(output, found[0][0])
        assert torch.equal(weight_gradient, found[0][1])


def test_which_products_are_done_by_what_is_not_zero() -> None:
    torch.manual_seed(0)
    weight = torch.randn(128, 100)
    assert mostly_zero(spikes((2000, 100), 0.05), weight)
    assert not mostly_zero(spikes((2000, 100), 0.3), weight)
    assert not mostly_zero(spikes((50, 100), 0.05), weight), "too small to pay"
    assert not mostly_zero(spikes((20000, 100), 0.05), weight[:20]), "too few outputs"
    assert not mostly_zero(spikes((2000, 100), 0.05).half(), weight.half())
    assert not mostly_zero(spikes((2000, 100), 0.05), weight.double())


def test_a_large_sparse_input_takes_that_way(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(
        sparse, "product", lambda x, w, b, result: calls.append(result.zero_().shape)
    )
    project(spikes((100, 20, 100), 0.05), torch.randn(128, 100))
    project(torch.rand(100, 20, 100), torch.randn(128, 100))
    assert calls == [(2000, 128)]
