"""Single layers and readouts against arrays made with the authors' code, all in float64."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from core.layers import PooledReadout, SoftmaxSumReadout, SpikingLayer
from core.layers.gated import GatedLayer
from core.scan import scan
from core.spoken.networks import NON_SPIKING, NORMALIZATIONS
from sparch.models import SPIKING

from .parity import (
    BACKENDS,
    FIELDS,
    check_buffers,
    check_gradients,
    close,
    config,
    golden,
    layer_names,
    names,
    part,
    state_of,
)

SPIKING_LAYERS = [f"layer_{kind}_{case}" for kind in SPIKING for case in (
    "bn", "bn_eval", "ln_bias_bi", "none_thr08"
)]  # fmt: skip
GATED_LAYERS = [f"ann_layer_{kind}_{case}" for kind in NON_SPIKING for case in (
    "bn", "bn_eval", "ln_bias_bi", "none"
)]  # fmt: skip
READOUTS = [f"readout_{case}" for case in ("bn", "bn_eval", "ln_bias", "none")]
POOLED_READOUTS = [f"ann_readout_{case}" for case in ("bn", "ln_bias", "none")]


def test_every_recorded_layer_is_compared() -> None:
    listed = SPIKING_LAYERS + GATED_LAYERS + READOUTS + POOLED_READOUTS
    assert sorted(listed) == sorted(
        names("layer_*") + names("ann_layer_*") + names("readout_*") + names("ann_readout_*")
    )


def shell_options(settings: dict[str, Any]) -> dict[str, Any]:
    return {
        "normalization": NORMALIZATIONS.get(settings["normalization"], "none"),
        "bias": settings["use_bias"],
        "bidirectional": settings.get("bidirectional", False),
    }


def loaded(module: nn.Module, arrays: dict[str, Tensor], settings: dict[str, Any]) -> None:
    module.double()
    module.load_state_dict(layer_names(part(arrays, "before__")))
    module.train(settings["train"])


def spiking_layer(name: str, backend: str) -> SpikingLayer:
    settings = config(name)
    kind = SPIKING[settings["layer"].removesuffix("Layer")]
    layer = SpikingLayer(
        settings["I"],
        settings["H"],
        partial(kind.neuron, threshold=settings["threshold"]),
        recurrent=kind.recurrent,
        backend=backend,
        **shell_options(settings),
    )
    loaded(layer, golden(name), settings)
    return layer


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", SPIKING_LAYERS)
def test_spiking_layer(name: str, backend: str) -> None:
    arrays, layer = golden(name), spiking_layer(name, backend)
    x = arrays["x"].clone().requires_grad_()
    result = layer(x.transpose(0, 1), state_of(layer.neuron, arrays, "init_"))
    assert torch.equal(result.output_TBH.transpose(0, 1), arrays["out"])
    assert torch.equal(result.spikes_TBH, result.output_TBH)
    for key in {"u", "w"} & set(arrays):
        close(key, getattr(result.state, FIELDS[key]), arrays[key][:, -1], atol=1e-9)
    check_buffers(layer, part(arrays, "after__"))

    (result.output_TBH.transpose(0, 1) * arrays["G"]).sum().backward()
    close("gradient of x", x.grad, arrays["grad_x"])
    check_gradients(layer, part(arrays, "grad__"), single=True)
    if layer.V is not None:
        assert layer.V.weight.grad is not None
        assert not layer.V.weight.grad.diagonal().any()
        assert layer.V.weight.grad.any()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", SPIKING_LAYERS)
def test_state_of_every_step(name: str, backend: str) -> None:
    arrays, layer = golden(name), spiking_layer(name, backend)
    current = layer.current(arrays["x"].transpose(0, 1), layer.W, layer.norm)
    close("input current", current.transpose(0, 1), arrays["I_norm"])
    state, history = state_of(layer.neuron, arrays, "init_"), []
    for step in current.split(1):
        _, state = scan(
            layer.neuron,
            step,
            recurrent_weight=layer.recurrent_weight(),
            state=state,
            backend=backend,
        )
        history.append(state)
    for key in {"u", "w"} & set(arrays):
        ours = torch.stack([getattr(state, FIELDS[key]) for state in history], 1)
        close(key, ours, arrays[key], rtol=0.0, atol=1e-9)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", READOUTS)
def test_softmax_sum_readout(name: str, backend: str) -> None:
    arrays, settings = golden(name), config(name)
    options = shell_options(settings)
    del options["bidirectional"]
    readout = SoftmaxSumReadout(settings["I"], settings["H"], backend=backend, **options)
    loaded(readout, arrays, settings)
    x = arrays["x"].clone().requires_grad_()
    y_BC, state = readout(x.transpose(0, 1), state_of(readout.neuron, arrays, "init_"))
    close("y", y_BC, arrays["out"])
    close("u", state.potential, arrays["u"][:, -1], rtol=0.0, atol=1e-9)
    close("rows", y_BC.sum(1), torch.full((settings["B"],), settings["T"]).double())
    check_buffers(readout, part(arrays, "after__"))

    (y_BC * arrays["G"]).sum().backward()
    close("gradient of x", x.grad, arrays["grad_x"])
    check_gradients(readout, part(arrays, "grad__"), single=True)


@pytest.mark.parametrize("name", GATED_LAYERS)
def test_gated_layer(name: str) -> None:
    arrays, settings = golden(name), config(name)
    kind = NON_SPIKING[settings["layer"].removesuffix("Layer")]
    layer: GatedLayer = kind(settings["I"], settings["H"], **shell_options(settings))
    loaded(layer, arrays, settings)
    x = arrays["x"].clone().requires_grad_()
    result = layer(x.transpose(0, 1))
    close("output", result.output_TBH.transpose(0, 1), arrays["out"])
    assert result.spikes_TBH is None
    check_buffers(layer, part(arrays, "after__"))

    (result.output_TBH.transpose(0, 1) * arrays["G"]).sum().backward()
    close("gradient of x", x.grad, arrays["grad_x"])
    check_gradients(layer, part(arrays, "grad__"))


@pytest.mark.parametrize("name", POOLED_READOUTS)
def test_pooled_readout(name: str) -> None:
    arrays, settings = golden(name), config(name)
    options = shell_options(settings)
    del options["bidirectional"]
    readout = PooledReadout(settings["I"], settings["H"], **options)
    loaded(readout, arrays, settings)
    x = arrays["x"].clone().requires_grad_()
    y_BC, state = readout(x.transpose(0, 1))
    close("y", y_BC, arrays["out"])
    assert state is None
    check_buffers(readout, part(arrays, "after__"))

    (y_BC * arrays["G"]).sum().backward()
    close("gradient of x", x.grad, arrays["grad_x"])
    check_gradients(readout, part(arrays, "grad__"))
