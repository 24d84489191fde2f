"""The SiLIF paper's neurons against arrays made with the authors' code."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from core.neurons import CAdLIF, CSiLIF, SiLIF, SoftResetRF
from core.scan import scan as scan_on

scan = partial(scan_on, backend="reference")
GOLDEN = Path(__file__).parent / "golden" / "silif"
KINDS: dict[str, type[Any]] = {
    "CadLIF": CAdLIF,
    "SiLIF": SiLIF,
    "CSiLIF": CSiLIF,
    "ResonateFire": SoftResetRF,
}
LAYERS = [(kind, variant) for kind in KINDS for variant in ("bn_train", "ln_bias")]
close: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-6}


def golden(name: str) -> dict[str, Tensor]:
    with np.load(GOLDEN / f"{name}.npz") as arrays:
        return {key: torch.from_numpy(np.asarray(arrays[key])) for key in arrays.files}


def fields(data: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Arrays of u, w and s under our names; a complex u is two fields."""
    u = data[f"{prefix}/u"]
    if u.is_complex():
        return {"u": u.real, "v": u.imag, "spike": data[f"{prefix}/s"]}
    w = data[f"{prefix}/w"]
    return {"potential": u, "adaptation": w, "spike": data[f"{prefix}/s"]}


def normalised_current(x: Tensor, leaves: dict[str, Tensor], variant: str) -> Tensor:
    z = functional.linear(x, leaves["W.weight"], leaves.get("W.bias")).flatten(0, 1)
    scale, shift = leaves["norm.weight"], leaves["norm.bias"]
    if variant == "bn_train":
        z = functional.batch_norm(z, None, None, scale, shift, training=True)
    else:
        z = functional.layer_norm(z, z.shape[1:], scale, shift)
    return z.view(*x.shape[:2], -1)


@pytest.mark.parametrize(("kind", "variant"), LAYERS)
def test_authors_layers(kind: str, variant: str) -> None:
    data = golden(f"layer_{kind}_{variant}")
    leaves = {
        key.removeprefix("param/"): data[key].requires_grad_()
        for key in data
        if key.startswith("param/")
    }
    x = data["x"].requires_grad_()
    current_TBN = normalised_current(x, leaves, variant).transpose(0, 1)
    neuron = KINDS[kind](current_TBN.shape[2])
    trainable = dict(neuron.named_parameters())
    for name, parameter in trainable.items():
        parameter.data.copy_(leaves[name])

    state = start = neuron.State(**fields(data, "init"))
    states = []
    for current in current_TBN.detach():
        _, state = scan(neuron, current[None], state=state)
        states.append(state)
    spikes, _ = scan(neuron, current_TBN, state=start)
    (spikes.transpose(0, 1) * data["cot"]).sum().backward()

    assert torch.equal(spikes.transpose(0, 1), data["out"])
    for name, expected in fields(data, "seq").items():
        history = torch.stack([getattr(state, name) for state in states], dim=1)
        torch.testing.assert_close(history, expected, **close)
    torch.testing.assert_close(x.grad, data["grad/x"], **close)
    for name, leaf in leaves.items():
        gradient = trainable[name].grad if name in trainable else leaf.grad
        torch.testing.assert_close(gradient, data[f"grad/param/{name}"], msg=name, **close)


@pytest.mark.parametrize(("kind", "variant"), LAYERS)
def test_initial_state_is_what_a_seed_gives_the_authors(kind: str, variant: str) -> None:
    data = golden(f"layer_{kind}_{variant}")
    batch, size = data["init/s"].shape
    neuron = KINDS[kind](size, initial="uniform")
    seed = int(data["forward_seed"])
    given = neuron.initial_state(batch, torch.Generator().manual_seed(seed))
    torch.manual_seed(seed)
    for state in (neuron.initial_state(batch), given):
        for name, expected in fields(data, "init").items():
            assert torch.equal(getattr(state, name), expected)
    at_rest = KINDS[kind](size).initial_state(batch)
    assert all(not field.any() for field in at_rest)


@pytest.mark.parametrize("kind", KINDS)
def test_construction_draws_in_the_authors_order(kind: str) -> None:
    data = golden(f"init_{kind}")
    torch.manual_seed(int(data["seed"]))
    projection = torch.nn.Linear(6, 5, bias=False)
    if kind in ("SiLIF", "CadLIF"):
        torch.nn.init.xavier_uniform_(projection.weight)
    neuron = KINDS[kind](5)
    expected = {key.removeprefix("snn.0."): data[key] for key in data if key != "seed"}
    expected.pop("W.weight")
    assert [name for name, _ in neuron.named_parameters()] == list(expected)
    for name, value in expected.items():
        assert torch.equal(getattr(neuron, name).data, value), name


def test_silif_clamps_only_a_and_b() -> None:
    torch.manual_seed(2)
    neuron = SiLIF(4, initial="zero")
    with torch.no_grad():
        for name in ("alpha", "beta", "a", "b"):
            getattr(neuron, name).copy_(torch.tensor([-9.0, -0.5, 3.0, 9.0]))
    _, final = scan(neuron, 5.0 * torch.rand(12, 3, 4))
    (final.potential.sum() + final.adaptation.sum()).backward()
    assert neuron.a.grad is not None
    assert neuron.b.grad is not None
    assert neuron.alpha.grad is not None
    assert neuron.a.grad.tolist() == [0.0] * 4
    assert neuron.b.grad.tolist() == [0.0] * 4
    assert (neuron.alpha.grad != 0).sum() >= 3


def test_csilif_never_grows_and_starts_between_its_steps() -> None:
    torch.manual_seed(0)
    neuron = CSiLIF(3000, dt_min=0.02, dt_max=0.3)
    steps = neuron.log_dt.detach().exp()
    assert 0.02 <= steps.min() < 0.021
    assert 0.29 < steps.max() <= 0.3001
    with torch.no_grad():
        neuron.log_log_alpha.normal_(0.0, 2.0)
        neuron.alpha_img.normal_(0.0, 20.0)
        real, imaginary, _ = neuron.coefficients()
    assert torch.hypot(real, imaginary).max() < 1.0
    assert CSiLIF(2, dt_min=0.1, dt_max=0.1).log_dt.tolist() == pytest.approx([math.log(0.1)] * 2)
    with pytest.raises(ValueError, match=r"0 < 0.5 <= 0.1"):
        CSiLIF(2, dt_min=0.5, dt_max=0.1)


def test_csilif_spikes_at_half_its_threshold_and_takes_half_off() -> None:
    neuron = CSiLIF(1, threshold=0.6, initial="zero").double()
    with torch.no_grad():
        neuron.b.fill_(1.0)
        neuron.alpha_img.zero_()
        decay = neuron.coefficients().real.item()
    for current, spike in ((0.29, 0.0), (0.31, 1.0)):
        pulse = torch.tensor([current, 0.0], dtype=torch.float64).view(2, 1, 1)
        output, final = scan(neuron, pulse)
        assert output[0].item() == spike
        assert final.u.item() == pytest.approx(decay * (current - 0.5 * spike), rel=1e-12)


def test_divergence_hint_of_the_resonator() -> None:
    neuron = SoftResetRF(2)
    assert neuron.divergence_hint() is None
    with torch.no_grad():
        neuron.alpha_im[0] = 100.0
        neuron.alpha_real.fill_(5.0)  # clamped to -0.1
    assert "1 of 2 neurons" in str(neuron.divergence_hint())
    assert "100.0 rad/s" in str(neuron.divergence_hint())
