"""What PyTorch does with modules and tensors, done with layers and scans."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader

from core.errors import UserError
from core.layers import Layer, Network, SoftmaxSumReadout, SpikingLayer
from core.layers.network import NetworkOutput
from core.neurons import LIF, AdLIF
from core.projection import project
from core.scan import explain, scan

PRECISIONS = [torch.bfloat16, torch.float16]


def layers(backend: str = "auto", **options: Any) -> list[nn.Module]:
    torch.manual_seed(0)
    made = [
        SpikingLayer(before, 16, LIF, recurrent=True, dropout=0.2, backend=backend, **options)
        for before in (5, 16)
    ]
    return [*made, SoftmaxSumReadout(16, 3, backend=backend, **options)]


def spikes() -> Tensor:
    torch.manual_seed(2)
    return 9.0 * (torch.rand(20, 4, 5) < 0.5).float()


def step(model: nn.Module, run: Callable[[Tensor], Any], x: Tensor) -> list[Tensor]:
    """Scores and gradients of one training step."""
    torch.manual_seed(1)
    model.zero_grad()
    output = run(x)
    scores: Tensor = output.y if isinstance(output, NetworkOutput) else output[0]
    scores.square().sum().backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert len(gradients) == len([*model.parameters()])
    return [scores.detach(), *gradients]


def exactly(ours: list[Tensor], theirs: list[Tensor]) -> None:
    torch.testing.assert_close(ours, theirs, rtol=0.0, atol=0.0)


# --- modules ------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_first", [False, True])
def test_layers_stand_in_a_sequential(batch_first: bool) -> None:
    model, x = nn.Sequential(*layers(batch_first=batch_first)), spikes()
    given = x.transpose(0, 1) if batch_first else x
    expected = Network(layers()[:2], layers()[2])
    exactly(step(model, model, given), step(expected, expected, x))


def test_a_copy_is_a_model_of_its_own() -> None:
    model, x = Network(layers()[:2]), spikes()
    twin = copy.deepcopy(model)
    expected = step(model, model, x)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    exactly(step(twin, twin, x), expected)


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpoints_save_memory_and_change_nothing(reentrant: bool) -> None:
    model, x = Network(layers()[:2]), spikes().requires_grad_()

    def cheaply(x: Tensor) -> Any:
        result: Any = checkpoint(lambda x: (model(x).y,), x, use_reentrant=reentrant)
        return result

    exactly(step(model, cheaply, x), step(model, model, x))


def test_what_was_first_run_in_inference_mode_can_be_trained() -> None:
    class Fresh(LIF):
        """Nothing is known of its step before."""

    torch.manual_seed(0)
    layer, x = Layer(5, Fresh(16), recurrent=True, backend="cpu"), spikes()
    with torch.inference_mode():
        inferred = layer(x)
        assert inferred.output_TBH.is_inference()
    (scores, *gradients) = step(layer, lambda x: layer(x), x)
    assert torch.equal(scores, inferred.output_TBH)
    assert all(gradient.any() for gradient in gradients)


# --- processes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("start", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python 3.12 on: there are threads
def test_workers_of_a_data_loader_scan(start: str) -> None:
    neuron = LIF(5).requires_grad_(False)
    run = partial(scan, neuron, backend="cpu")
    currents = [spikes(), 2.0 * spikes()]
    expected = [run(current) for current in currents]
    assert 0.0 < expected[0][0].mean() < 1.0
    loader: DataLoader[Any] = DataLoader(
        currents,  # type: ignore[arg-type]
        batch_size=None,
        collate_fn=run,
        num_workers=1,
        multiprocessing_context=start,
    )
    for (output, state), (theirs, after) in zip(loader, expected, strict=True):
        exactly([output, *state], [theirs, *after])


# --- precision ----------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_under_autocast_products_are_short_and_scans_single(
    backend: str, precision: torch.dtype
) -> None:
    torch.manual_seed(0)
    layer, x = Layer(5, AdLIF(16), recurrent=True, backend=backend), spikes()
    with torch.autocast("cpu", dtype=precision):
        current = project(x, layer.input_weight)
        assert current.dtype == precision
        found = layer(x, record=("potential",))
        later = layer(x, found.state._replace(potential=found.state.potential.to(precision)))
        assert torch.is_autocast_enabled("cpu")
    expected = scan(
        *(layer.neuron, current.float()),
        recurrent_weight=layer.recurrent_weight,
        record=("potential",),
        backend=backend,
    )
    exactly(
        [found[0], *found.state, *found.traces.values()],
        [expected[0], *expected[1], *expected[2].values()],
    )
    assert later[0].dtype == torch.float32
    assert 0.0 < found[0].mean() < 1.0
    (found[0].sum() + found.traces["potential"].sum()).backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in layer.parameters())


@pytest.mark.parametrize("precision", PRECISIONS)
def test_under_autocast_a_network_runs_fused(precision: torch.dtype) -> None:
    model, x = Network(layers()[:2], layers()[2]), spikes()
    with torch.autocast("cpu", dtype=precision):
        lines = explain(model, x)
        scores, *gradients = step(model, model, x)
    assert [line.backend for line in lines] == ["cpu"] * 3
    assert [line.products for line in lines] == [("PyTorch's product (autocast)",)] * 3
    assert [line.dropout for line in lines] == ["cpu", "cpu", ""]
    single, *_ = step(model, model, x)
    torch.testing.assert_close(scores, single, rtol=0.1, atol=0.2)
    assert {gradient.dtype for gradient in gradients} == {torch.float32}


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_module_of_half_precision_says_what_runs_it(
    precision: torch.dtype, caplog: pytest.LogCaptureFixture
) -> None:
    class Half(LIF):
        """Of which nothing was said before."""

    layer, x = Layer(5, Half(16), recurrent=True).to(precision), spikes().to(precision)
    with caplog.at_level(logging.WARNING, "core.scan"):
        assert layer(x).output_TBH.dtype == precision
    refusal = f"it computes in float32 and float64, not {precision}"
    assert caplog.messages == [
        f"Half runs on the reference backend, which is slower (cpu: {refusal})"
    ]
    caplog.clear()
    layer.backend = "cpu"
    with pytest.raises(UserError, match=f"'cpu' cannot run Half here: {refusal}"):
        layer(x)
    layer.float()(x.float())
