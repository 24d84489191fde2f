"""Single layers and readouts against arrays made with the authors' code, in single precision."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from core.layers import SoftmaxSumReadout, SpikingLayer
from core.scan import scan
from core.surrogates import boxcar
from silif.models import SPIKING

from .arrays import close, golden, part
from .parity import (
    BACKENDS,
    FIELDS,
    check_buffers,
    check_gradients,
    layer_names,
    names,
    options_of,
    seeded,
    state_of,
    tensors_before,
    time_first,
)

LAYERS = names("layer_*")
READOUTS = names("readout_*")


def test_every_kind_is_recorded() -> None:
    assert {name.split("_")[1] for name in LAYERS} == set(SPIKING)
    assert len(READOUTS) == 3


def spiking_layer(name: str, backend: str) -> SpikingLayer:
    arrays, kind = golden(name), SPIKING[name.split("_")[1]]
    tensors = tensors_before(arrays)
    size, inputs = tensors["W.weight"].shape
    layer = kind.layer(
        inputs,
        size,
        partial(kind.neuron, initial="uniform"),
        recurrent=kind.recurrent,
        bidirectional=arrays["out"].shape[2] == 2 * size,
        backend=backend,
        **options_of(tensors),
    )
    layer.load_state_dict(layer_names(tensors))
    return layer.train(bool(arrays["train_mode"]))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", LAYERS)
def test_layer(name: str, backend: str) -> None:
    """The seed gives the recorded states before the first step, and with them all the rest."""
    arrays, layer = golden(name), spiking_layer(name, backend)
    x = arrays["x"].clone().requires_grad_()
    seeded(arrays)
    result = layer(time_first(x))
    assert torch.equal(time_first(result.output_TBH), arrays["out"])
    check_buffers(layer, part(arrays, "buffer_after/"))
    (time_first(result.output_TBH) * arrays["cot"]).sum().backward()
    close("gradient of x", x.grad, arrays["grad/x"])
    check_gradients(layer, layer_names(part(arrays, "grad/param/")))
    given = layer(time_first(arrays["x"]), state_of(layer.neuron, arrays, "init"))
    if not layer.training:
        assert torch.equal(given.output_TBH, result.output_TBH)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", LAYERS)
def test_state_of_every_step(name: str, backend: str) -> None:
    arrays, layer = golden(name), spiking_layer(name, backend)
    current = layer.current(time_first(arrays["x"]), layer.W, layer.norm)
    close("input current", time_first(current), arrays["Wx_normed"])
    state, history = state_of(layer.neuron, arrays, "init"), []
    for step in current.split(1):
        _, state = scan(
            layer.neuron,
            step,
            recurrent_weight=layer.recurrent_weight(),
            state=state,
            backend=backend,
        )
        history.append(state)

    def over_time(field: str) -> Tensor:
        return torch.stack([getattr(state, field) for state in history], 1)

    assert torch.equal(over_time("spike"), arrays["seq/s"])
    if arrays["seq/u"].is_complex():
        close("Re u", over_time("u"), arrays["seq/u"].real)
        close("Im u", over_time("v"), arrays["seq/u"].imag)
        return
    for key in {"u", "w"} & set(part(arrays, "seq/")):
        close(key, over_time(FIELDS[key]), arrays[f"seq/{key}"])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", READOUTS)
def test_readout(name: str, backend: str) -> None:
    arrays = golden(name)
    tensors = tensors_before(arrays)
    classes, inputs = tensors["W.weight"].shape
    options: dict[str, Any] = options_of(tensors)
    readout = SoftmaxSumReadout(inputs, classes, initial="uniform", backend=backend, **options)
    readout.load_state_dict(layer_names(tensors))
    readout.train(bool(arrays["train_mode"]))
    x = arrays["x"].clone().requires_grad_()
    seeded(arrays)
    y_BC, state = readout(time_first(x))
    close("y", y_BC, arrays["out"])
    close("rows", y_BC.sum(1), torch.full((len(y_BC),), float(x.shape[1])))
    close("last u", state.potential, arrays["seq/u"][:, -1])
    check_buffers(readout, part(arrays, "buffer_after/"))
    loss = torch.nn.functional.cross_entropy(y_BC, arrays["labels"])
    close("loss", loss, arrays["loss"])
    loss.backward()
    close("gradient of x", x.grad, arrays["grad/x"])
    check_gradients(readout, layer_names(part(arrays, "grad/param/")))


def test_spike_function() -> None:
    arrays = golden("surrogates")
    x = arrays["x"].clone().requires_grad_()
    spikes = boxcar(x)
    assert torch.equal(spikes, arrays["boxcar/out"])
    spikes.backward(arrays["upstream"])
    assert x.grad is not None
    assert torch.equal(x.grad, arrays["boxcar/grad"])
