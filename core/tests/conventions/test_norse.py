"""Neurons of Norse beside ours."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from core.conventions.norse import from_norse
from core.errors import UserError
from core.neurons import CubaLIF

from .parity import N, assert_equal, current, library, stepped

norse = library("norse.torch")
reset = library("norse.torch.functional.reset")

PER_NEURON = torch.linspace(0.5, 1.5, N)
OTHERS = {
    "v_th": 0.4 * PER_NEURON,
    "v_leak": torch.tensor(-0.1),
    "v_reset": torch.tensor(-0.3),
    "tau_mem_inv": 200.0 * PER_NEURON,
}
BOX: dict[str, dict[str, Any]] = {
    "defaults": {},
    "others": OTHERS,
    "subtract": {**OTHERS, "reset_method": reset.reset_subtract},
    "triangle": {"method": "triangle", "alpha": torch.tensor(0.3)},
    "tanh": {"method": "tanh", "alpha": torch.tensor(3.0)},
    "circ": {"method": "circ", "alpha": torch.tensor(0.5)},
    "heavi_erfc": {"method": "heavi_erfc", "alpha": torch.tensor(2.0)},
}


@pytest.mark.parametrize("name", BOX)
def test_lif_box(name: str) -> None:
    module = norse.LIFBoxCell(norse.LIFBoxParameters(**BOX[name]), dt=0.002)
    ours = from_norse(module, N)
    assert_equal(stepped(module, "v"), ours, current(4.0), rates=(0.02, 0.9))


@pytest.mark.parametrize("name", ["defaults", "others"])
@pytest.mark.parametrize("whole", [False, True])
def test_lif(name: str, whole: bool) -> None:
    changed: dict[str, Any] = (
        {} if name == "defaults" else {**OTHERS, "tau_syn_inv": PER_NEURON * 300}
    )
    p = norse.LIFParameters(**changed)
    module = norse.LIF(p) if whole else norse.LIFCell(p)
    ours = from_norse(module, N)
    assert isinstance(ours, CubaLIF)

    def sequence(current_TBN: torch.Tensor) -> tuple[torch.Tensor, None]:
        return module(current_TBN)[0], None

    assert_equal(sequence if whole else stepped(module, "v"), ours, current(4.0))


def test_iaf() -> None:
    p = norse.IAFParameters(v_th=torch.tensor(0.7), v_reset=torch.tensor(-0.2))
    module = norse.IAFCell(p)

    def cell(one: torch.Tensor, state: Any) -> Any:
        state = (
            norse.functional.iaf.IAFFeedForwardState(torch.zeros_like(one))
            if state is None
            else state
        )
        return module(one, state)

    assert_equal(stepped(cell, "v"), from_norse(module, N), current(0.5))


def parameters(**changed: Any) -> Any:
    return norse.LIFBoxCell(norse.LIFBoxParameters(**changed))


REFUSED = {
    "recurrent": (lambda: norse.LIFRecurrentCell(2, N), "recurrent_weight=recurrent_weights"),
    "adaptive": (lambda: norse.LSNNCell(), "ALIF"),
    "no gradient": (lambda: parameters(method="heaviside"), "method heaviside"),
    "trained": (lambda: parameters(v_th=torch.nn.Parameter(torch.tensor(1.0))), "trained v_th"),
    "overshoot": (lambda: parameters(tau_mem_inv=torch.tensor(1500.0)), "overshoots"),
    "own reset": (lambda: parameters(reset_method=lambda z, v, r, th: v), "<lambda>"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    make, words = REFUSED[name]
    with pytest.raises(UserError, match=r"has no exact counterpart.*nearest is") as error:
        from_norse(make(), N)
    assert words in str(error.value)
