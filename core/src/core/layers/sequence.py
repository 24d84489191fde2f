"""What every layer and readout shares: which inputs it takes, and which dimension is time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


class LayerOutput(NamedTuple):
    """What a layer gives.

    Attributes:
        output_TBH: What the next layer sees, after dropout; ``[B, T, H]`` where batch comes first,
            as are the spikes.
        spikes_TBH: Spikes before dropout; None from neurons that do not spike.
        state: After the last step; a bidirectional layer has the reversed samples as further rows.
    """

    output_TBH: Tensor
    spikes_TBH: Tensor | None
    state: Any

    def turned(self) -> LayerOutput:
        """The same with its first two dimensions exchanged."""
        spikes = None if self.spikes_TBH is None else self.spikes_TBH.transpose(0, 1)
        return self._replace(output_TBH=self.output_TBH.transpose(0, 1), spikes_TBH=spikes)


class SequenceModule(nn.Module):
    """A layer or readout over whole sequences; a subclass gives :meth:`over_time`.

    Args:
        inputs: ``I``.
        batch_first: Sequences go in and out as ``[B, T, I]`` instead of ``[T, B, I]``; states are
            ``[B, N]`` either way.
    """

    def __init__(self, inputs: int, *, batch_first: bool = False) -> None:
        super().__init__()
        self.inputs = inputs
        self.batch_first = batch_first

    def forward(
        self, x_TBI: Tensor, state: Any = None, generator: torch.Generator | None = None
    ) -> Any:
        """Run over all steps.

        Args:
            x_TBI: Input, ``[B, T, I]`` with ``batch_first``.
            state: State before the first step, None for the module's own.
            generator: Where whatever is random is drawn from (deleted spikes, a random initial
                state); None for PyTorch's global one, from which dropout always draws.

        Returns:
            :class:`LayerOutput` or :class:`core.layers.readout.ReadoutOutput`.

        Raises:
            ValueError: The input has another rank or other features, or other samples than the
                state.
        """
        name = type(self).__name__
        x_TBI = time_first(x_TBI, self.inputs, name, batch_first=self.batch_first)
        self._check_samples(x_TBI, state)
        result = self.over_time(x_TBI, state, generator)
        turn = self.batch_first and isinstance(result, LayerOutput)
        return result.turned() if turn else result

    @property
    def directions(self) -> int:
        """Rows of the state per sample."""
        return 1

    def over_time(self, x_TBI: Tensor, state: Any, generator: torch.Generator | None) -> Any:
        """What :meth:`forward` gives, for an input of the right shape, time first."""
        raise NotImplementedError

    def _check_samples(self, x_TBI: Tensor, state: Any) -> None:
        steps, batch = x_TBI.shape[:2]
        for field in _tensors(state):
            rows = field.shape[0] if field.dim() > 1 else None
            if rows is None or rows == batch * self.directions:
                continue
            hint = ""
            if rows == steps * self.directions:
                hint = f"; is the input given with batch_first={not self.batch_first}?"
            given = (batch, steps) if self.batch_first else (steps, batch)
            raise ValueError(
                f"the state has shape {tuple(field.shape)}, but an input of shape "
                f"{(*given, self.inputs)}, as {_order(self.inputs, self.batch_first)}, "
                f"has {batch} samples{hint}"
            )


def time_first(x: Tensor, inputs: int | None, name: str, *, batch_first: bool) -> Tensor:
    """``[T, B, I]`` of an input that ``name`` takes in one order or the other.

    Args:
        x: Input.
        inputs: ``I``; None where any number will do.
        name: For the message.
        batch_first: ``x`` is ``[B, T, I]``.

    Raises:
        ValueError: Another rank or another number of features; names both shapes.
    """
    if x.dim() != 3 or inputs not in (None, x.shape[2]):
        hint = ""
        if x.dim() == 2:
            hint = "; a single sample or a single step is a dimension of size 1"
        elif x.dim() == 3 and inputs in x.shape[:2]:
            hint = "; features come last"
        raise ValueError(
            f"input has shape {tuple(x.shape)}, {name} takes {_order(inputs, batch_first)}{hint}"
        )
    return x.transpose(0, 1) if batch_first else x


def _order(inputs: int | None, batch_first: bool) -> str:
    features = "I" if inputs is None else inputs
    return f"[B, T, {features}] (batch first)" if batch_first else f"[T, B, {features}]"


def _tensors(state: Any) -> Iterator[Tensor]:
    fields = (state,) if isinstance(state, Tensor) else state or ()
    return (field for field in fields if isinstance(field, Tensor))
