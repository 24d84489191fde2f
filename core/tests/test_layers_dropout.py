from __future__ import annotations

import pytest
import torch

from core.layers.dropout import Dropout
from core.scan.cpu import dropout as kernel


def dropped(p: float, *shape: int, seed: int = 0) -> torch.Tensor:
    torch.manual_seed(seed)
    return Dropout(p)(torch.ones(shape))


@pytest.mark.parametrize("p", [0.1, 0.25, 0.5, 0.9])
def test_share_of_zeros_and_scale_of_the_others(p: float) -> None:
    y = dropped(p, 100, 40, 51)
    assert y.unique().tolist() == pytest.approx([0.0, 1.0 / (1.0 - p)], rel=1e-6)
    # four standard deviations
    tolerance = 4.0 * (p * (1.0 - p) / y.numel()) ** 0.5
    assert (y == 0).float().mean().item() == pytest.approx(p, abs=tolerance)


@pytest.mark.parametrize("distance", [1, 2, 3, 4, 51])
def test_elements_are_dropped_independently(distance: int) -> None:
    zero = (dropped(0.5, 1000, 51) == 0).float().flatten()
    both = (zero[:-distance] * zero[distance:]).mean().item()
    assert both == pytest.approx(0.25, abs=0.01)


def test_calls_and_seeds_are_independent() -> None:
    torch.manual_seed(0)
    layer, ones = Dropout(0.5), torch.ones(1000, 51)
    zeros = [(y == 0).float() for y in (layer(ones), layer(ones), dropped(0.5, 1000, 51, seed=1))]
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert (zeros[first] * zeros[second]).mean().item() == pytest.approx(0.25, abs=0.01)


def test_rows_and_columns_are_dropped_evenly() -> None:
    zero = (dropped(0.1, 512, 512) == 0).float()
    # six standard deviations of a mean over 512
    for dimension in (0, 1):
        assert (zero.mean(dimension) - 0.1).abs().max().item() < 6 * (0.09 / 512) ** 0.5


def test_masks_do_not_depend_on_threads() -> None:
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(dropped(0.3, 300, 1000))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_more_elements_than_numbers_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "MOST", 8)
    with pytest.raises(ValueError, match="dropout of 9 elements at once"):
        Dropout(0.5)(torch.ones(9))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradient_passes_where_the_output_does(dtype: torch.dtype) -> None:
    x = torch.randn(7, 3, 5, dtype=dtype).requires_grad_()
    weights = torch.randn(7, 3, 5, dtype=dtype)
    y = Dropout(0.4)(x)
    (y * weights).sum().backward()
    kept = y != 0
    assert 0 < kept.sum() < kept.numel()
    torch.testing.assert_close(y, kept * x / 0.6)
    torch.testing.assert_close(x.grad, kept * weights / 0.6)


def test_strided_input() -> None:
    x = torch.randn(6, 4, 10).transpose(0, 1)
    torch.manual_seed(3)
    y = Dropout(0.5)(x)
    torch.manual_seed(3)
    assert torch.equal(y, Dropout(0.5)(x.contiguous()))


def test_global_generator_decides() -> None:
    assert torch.equal(dropped(0.5, 9, 9), dropped(0.5, 9, 9))
    assert not torch.equal(dropped(0.5, 9, 9), dropped(0.5, 9, 9, seed=1))
    layer, x = Dropout(0.5), torch.ones(9, 9)
    assert not torch.equal(layer(x), layer(x))


def test_nothing_is_dropped_or_drawn_in_evaluation_or_at_zero() -> None:
    x = torch.ones(4)
    before = torch.get_rng_state()
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0)(x) is x
    assert torch.equal(torch.get_rng_state(), before)


def test_no_elements() -> None:
    assert Dropout(0.5)(torch.ones(5, 0, 3)).shape == (5, 0, 3)


@pytest.mark.parametrize("p", [-0.1, 1.0, 1.5, float("nan")])
def test_refuses_what_is_no_chance(p: float) -> None:
    with pytest.raises(ValueError, match="from 0 to below 1, not"):
        Dropout(p)
