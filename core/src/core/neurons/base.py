"""What every neuron is: trainable tensors and three small functions.

Shape legend of the package: ``T`` time steps, ``B`` batch, ``I`` inputs, ``H`` (or ``N``) neurons
of a layer, ``C`` classes. Time comes first. A name such as ``current_TBH`` carries its shape.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Uniform:
    """Trainable, one value per neuron, drawn from ``U(low, high)``."""

    low: float
    high: float

    def sample(self, size: int) -> Tensor:
        """``[size]`` values from PyTorch's global generator."""
        return torch.empty(size).uniform_(self.low, self.high)


@dataclass(frozen=True)
class Normal:
    """Trainable, one value per neuron, drawn from ``N(mean, std)`` (not truncated)."""

    mean: float
    std: float

    def sample(self, size: int) -> Tensor:
        """``[size]`` values from PyTorch's global generator."""
        return torch.empty(size).normal_(self.mean, self.std)


Init = Uniform | Normal | float
"""How a coefficient starts: a distribution makes it trainable, a number keeps it fixed."""


class State(Protocol):
    """The state of a neuron: a NamedTuple of ``[B, N]`` tensors.

    Neurons that spike keep the spike of the last step as their first field, ``spike``: it drives
    layer-wise recurrence and, where the equation asks for it, the reset.
    """

    def __iter__(self) -> Any: ...

    def __len__(self) -> int: ...


class Neuron(nn.Module):
    """``size`` neurons of one kind, without state of their own: state goes in and comes out.

    A subclass sets :attr:`State` and gives three functions:

    * :meth:`coefficients`: what a whole sequence needs, computed once per forward and
      differentiable (clamped, re-parametrised);
    * :meth:`initial_state`: zeros unless the paper's code draws it;
    * :meth:`step`: the paper's equation, pure and element-wise (unless :attr:`across_layer`).

    :func:`core.scan.scan` runs it over time; nothing else does.
    """

    State: type[Any]
    Currents: type[Any] | None = None
    """Of a neuron with several input currents (basal and apical, say) the NamedTuple of them that
    :meth:`step` gets and :func:`core.scan.scan` takes; layer-wise recurrence adds to its first."""
    spiking: bool = True
    across_layer: bool = False
    """True when a step looks at other neurons of the layer; one that does without saying so runs
    on the reference alone, and so does one that does more than :func:`core.neurons.winner`."""

    def __init__(self, size: int) -> None:
        super().__init__()
        if size < 1:
            raise ValueError(f"a layer needs at least one neuron, got {size}")
        self.size = size
        self._numbers: dict[str, float] = {}

    def add_coefficient(self, name: str, init: Init) -> None:
        """Register ``name`` ``[N]``: a parameter for a distribution, a buffer for a number."""
        if isinstance(init, Uniform | Normal):
            self.register_parameter(name, nn.Parameter(init.sample(self.size)))
        else:
            self.add_number(name, init, self.size)

    def add_number(self, name: str, value: float, *shape: int, persistent: bool = True) -> None:
        """Register a buffer that is a fixed number, exact in whatever precision the neuron has.

        One that is not ``persistent`` is left out of state dicts, where the settings say it.
        """
        self.register_buffer(name, torch.full(shape, float(value)), persistent=persistent)
        self._numbers[name] = float(value)

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        before = {name: self.get_buffer(name) for name in self._numbers}
        result = super()._apply(fn, recurse)
        for name, buffer in before.items():
            self._round_again(name, buffer)
        return result

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *arguments: Any
    ) -> None:
        super()._load_from_state_dict(state_dict, prefix, *arguments)
        for name in self._numbers:
            if isinstance(given := state_dict.get(prefix + name), Tensor):
                self._round_again(name, given)

    def _round_again(self, name: str, given: Tensor) -> None:
        """Round a number itself where a buffer was made of ``given``, the same number rounded."""
        buffer, number = self.get_buffer(name), self._numbers[name]
        if given.dtype == buffer.dtype or given.is_meta:
            return
        if given.is_floating_point() and bool((given == torch.full_like(given, number)).all()):
            with torch.no_grad():
                buffer.fill_(number)

    def coefficients(self) -> Any:
        """The ``[N]`` tensors that :meth:`step` reads, as a NamedTuple."""
        raise NotImplementedError

    def initial_state(self, batch: int, generator: torch.Generator | None = None) -> Any:
        """The state before the first step, ``[B, N]`` zeros.

        Args:
            batch: ``B``, may be zero.
            generator: Where a neuron with a random initial state draws from; unused by zeros.
        """
        like = next(itertools.chain(self.parameters(), self.buffers()))
        zero = torch.zeros(batch, self.size, dtype=like.dtype, device=like.device)
        return self.State(*[zero for _ in self.State._fields])

    def step(self, coefficients: Any, state: Any, current: Any) -> tuple[Any, Tensor]:
        """One time step.

        Args:
            coefficients: What :meth:`coefficients` returned.
            state: The state after the previous step.
            current: ``[B, N]`` input current, recurrent current included; :attr:`Currents` of them
                where the neuron has several.

        Returns:
            The new state and the output of this step, ``[B, N]``: spikes, or the potential of a
            neuron that does not spike.
        """
        raise NotImplementedError

    def divergence_hint(self) -> str | None:
        """Which parameters make this neuron diverge, in words; None when none do."""
        return None

    def extra_repr(self) -> str:
        """Size, for ``print(model)``."""
        return str(self.size)


class Potential(NamedTuple):
    """State of a neuron that only integrates."""

    potential: Tensor
