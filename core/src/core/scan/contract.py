"""What every backend is held to: all neurons, driven so that they spike now and then.

The tests run it, and ``core gpu`` on a device.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from core.neurons import (
    ALIF,
    BRF,
    HRF,
    LI,
    LIF,
    PLIF,
    RF,
    AdLIF,
    BalancedLIF,
    BoundedLIF,
    CAdLIF,
    CSiLIF,
    CubaLIF,
    GeneralLIF,
    IzhikevichRF,
    Neuron,
    SiLIF,
    SoftResetRF,
)
from core.neurons.balanced import Firing, Reset
from core.scan.case import Case
from core.scan.dispatch import scan

_TRAINED = nn.Parameter(torch.tensor(0.8))
#: Neurons whose step is element-wise: every fused backend runs them.
NEURONS: dict[str, Callable[..., Neuron]] = {
    "LI": LI,
    "LIF": LIF,
    "ALIF": ALIF,
    "RF": RF,
    "BRF": BRF,
    "HRF": HRF,
    "RF linear": partial(RF, decay="linear"),
    "BRF linear": partial(BRF, decay="linear"),
    "IzhikevichRF": IzhikevichRF,
    "BoundedLIF": BoundedLIF,
    "AdLIF": AdLIF,
    "CAdLIF": CAdLIF,
    "SiLIF": SiLIF,
    "CSiLIF": CSiLIF,
    "SoftResetRF": SoftResetRF,
    "PLIF": PLIF,
    "PLIF per neuron": partial(PLIF, train="neuron", train_alpha=True),
    "PLIF detached": partial(PLIF, detach_reset=True),
    "PLIF soft": partial(PLIF, reset=None),
    "BalancedLIF": partial(BalancedLIF, threshold=0.02),
    "GeneralLIF": partial(GeneralLIF, decay=_TRAINED, timing="after_decay"),
    "CubaLIF": partial(CubaLIF, decay=_TRAINED, synapse_decay=0.6, rest=-0.2, reset=-0.1),
}
_CONTESTS: tuple[tuple[Firing, Reset, float], ...] = (
    ("single_published", "spike", 0.02),
    ("single_published", "none", 1.0),
    ("single_intended", "voltage", 0.02),
    ("single_intended", "threshold", 0.3),
)
#: Those of which one of a row wins: the CPU's kernels and the reference run them.
WINNERS: dict[str, Callable[..., Neuron]] = {
    f"BalancedLIF {firing} {reset}": partial(
        BalancedLIF, threshold=threshold, reset=reset, firing=firing
    )
    for firing, reset, threshold in _CONTESTS
}
SPIKING = [name for name in NEURONS if name != "LI"]
#: Those whose spike function can be replaced by a smooth one.
SMOOTH = [name for name in NEURONS if not name.startswith(("PLIF", "Balanced"))]
#: A current at which the neurons spike now and then; 100 for the rest, which resonate.
DRIVE = {"LI": 1.0, "LIF": 20.0, "ALIF": 2.0, "BoundedLIF": 4.0, "AdLIF": 4.0, "CAdLIF": 4.0}
DRIVE |= {"GeneralLIF": 8.0, "CubaLIF": 8.0}
DRIVE |= {"SiLIF": 8.0, "CSiLIF": 2.0, "BalancedLIF": 20.0, "SoftResetRF": 400.0}
DRIVE |= {name: 3.0 for name in NEURONS if name.startswith("PLIF")}
DRIVE |= {name: 1000.0 if name.endswith("none") else 20.0 for name in WINNERS}


def drive(name: str) -> float:
    """Scale of the current."""
    return DRIVE.get(name, 100.0)


def current_for(name: str, *shape: int) -> Tensor:
    """A random current."""
    return drive(name) * torch.randn(shape)


def recurrent_for(name: str, size: int) -> Tensor | None:
    """A random recurrent weight."""
    return None if name == "LI" else drive(name) * torch.randn(size, size)


def on_grid(values: Tensor, spacing: float = 1 / 16) -> Tensor:
    """Rounded so that sums of a few thousand of them are exact in any order."""
    return torch.round(values / spacing) * spacing


class Run:
    """A scan with everything that it has gradients of.

    Args:
        name: Key of NEURONS or WINNERS.
        shape: ``T, B, N``.
        recurrent: With a recurrent weight.
        masked: With a spike mask.
        dtype: Precision.
        seed: Of everything random.
        exact: On a grid, so that recurrent sums do not depend on their order.
        traced: With a trace of every field of the state.
        device: Where it runs; the numbers are the same everywhere.
    """

    def __init__(
        self,
        name: str,
        shape: tuple[int, int, int],
        *,
        recurrent: bool = False,
        masked: bool = False,
        dtype: torch.dtype = torch.float32,
        seed: int = 0,
        exact: bool = True,
        traced: bool = False,
        device: torch.device | str = "cpu",
    ) -> None:
        torch.manual_seed(seed)
        batch, size = shape[1:]
        self.neuron = (NEURONS | WINNERS)[name](size).to(dtype)
        fit = on_grid if exact else torch.clone

        def there(values: Tensor) -> Tensor:
            return values.to(device, dtype)

        self.current = there(fit(current_for(name, *shape))).requires_grad_()
        self.weight = None
        if recurrent:
            scaled = drive(name) * torch.randn(size, size) / size**0.5
            self.weight = there(fit(scaled)).requires_grad_()
        self.mask = there(torch.rand(shape) > 0.3) if masked else None
        start = self.neuron.initial_state(batch)
        self.state = self.neuron.State(
            *[
                there(fit(field + 0.25 * torch.rand(batch, size))).requires_grad_()
                for field in start
            ]
        )
        self.gradients = [
            there(torch.randn(shape)),
            *[there(torch.randn(batch, size)) for _ in start],
        ]
        self.record = self.neuron.State._fields[::-1] if traced else ()
        self.gradients += [there(torch.randn(shape)) for _ in self.record]
        self.neuron.to(device)

    @property
    def case(self) -> Case:
        """What a backend is asked to run."""
        return Case(self.neuron, self.current, self.weight, self.mask, {}, self.record)

    def outputs(self, backend: str) -> list[Tensor]:
        """Output, final state and traces."""
        output, final, traces = scan(
            self.neuron,
            self.current,
            recurrent_weight=self.weight,
            spike_mask_TBN=self.mask,
            state=self.state,
            backend=backend,
            record=self.record,
        )
        return [output, *final, *traces.values()]

    def __call__(self, backend: str) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Outputs as :meth:`outputs`, and gradients of everything by name."""
        return self.differentiate(self.outputs(backend))

    def differentiate(self, outputs: list[Tensor]) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Outputs as they are, and what their gradients give for everything by name."""
        named: dict[str, Any] = {"current": self.current, **dict(self.neuron.named_parameters())}
        if self.weight is not None:
            named["recurrent weight"] = self.weight
        named |= {f"state {key}": value for key, value in self.state._asdict().items()}
        passed = torch.autograd.grad(
            outputs, list(named.values()), self.gradients, allow_unused=True
        )
        zero = {key: torch.zeros_like(value) for key, value in named.items()}
        return [o.detach() for o in outputs], {
            key: zero[key] if value is None else value
            for key, value in zip(named, passed, strict=True)
        }


def assert_same(
    found: tuple[list[Tensor], dict[str, Tensor]],
    expected: tuple[list[Tensor], dict[str, Tensor]],
    tolerance: float,
) -> None:
    """Outputs equal to the bit, gradients up to ``tolerance`` of the largest of their kind."""
    for a, b in zip(found[0], expected[0], strict=True):
        assert torch.equal(a, b)
    assert found[1].keys() == expected[1].keys()
    for key, gradient in expected[1].items():
        scale = float(gradient.abs().max()) if gradient.numel() else 0.0
        worst = float((found[1][key] - gradient).abs().max()) if gradient.numel() else 0.0
        assert worst <= tolerance * scale + 1e-30, (key, worst, scale)
