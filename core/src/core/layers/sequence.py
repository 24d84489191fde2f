"""What every layer and readout shares: which inputs it takes, and which dimension is time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from core.scan import Traces
from core.scan.fields import to_record


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

    def traced(self, traces: Traces) -> TracedOutput:
        """The same with traces."""
        return TracedOutput(*self, traces)


class TracedOutput(NamedTuple):
    """What a layer gives that is asked to record: a :class:`LayerOutput` with traces.

    Attributes:
        traces: Field of the neurons' state -> its value after every step, in the order of
            ``spikes_TBH``; a bidirectional layer has both directions side by side there.
    """

    output_TBH: Tensor
    spikes_TBH: Tensor | None
    state: Any
    traces: Traces

    def turned(self) -> TracedOutput:
        """The same with its first two dimensions exchanged."""
        return TracedOutput(*LayerOutput(*self[:3]).turned(), turned(self.traces))


def turned(traces: Traces) -> Traces:
    """The same with their first two dimensions exchanged."""
    return {name: trace.transpose(0, 1) for name, trace in traces.items()}


class SequenceModule(nn.Module):
    """A layer or readout over whole sequences; a subclass gives :meth:`over_time`.

    Args:
        inputs: ``I``.
        batch_first: Sequences go in and out as ``[B, T, I]`` instead of ``[T, B, I]``; states are
            ``[B, N]`` either way.

    Attributes:
        records: Whether :meth:`over_time` takes ``record``, fields of the state of ``neuron``.
    """

    records: ClassVar[bool] = False

    def __init__(self, inputs: int, *, batch_first: bool = False) -> None:
        super().__init__()
        self.inputs = inputs
        self.batch_first = batch_first

    def forward(
        self,
        x_TBI: Tensor | LayerOutput | TracedOutput,
        state: Any = None,
        generator: torch.Generator | None = None,
        record: Sequence[str] | None = None,
    ) -> Any:
        """Run over all steps.

        Args:
            x_TBI: Input, ``[B, T, I]`` with ``batch_first``; or all that the layer before gives, as
                ``torch.nn.Sequential`` hands it on.
            state: State before the first step, None for the module's own.
            generator: Where whatever is random is drawn from (deleted spikes, a random initial
                state); None for PyTorch's global one, from which dropout always draws.
            record: Fields of :attr:`recordable` whose value after every step is wanted; see
                :func:`core.scan.scan`.

        Returns:
            :class:`LayerOutput` or :class:`core.layers.readout.ReadoutOutput`; with ``record``,
            :class:`TracedOutput` or :class:`core.layers.readout.TracedReadout`.

        Raises:
            ValueError: The input has another rank or other features, or other samples than the
                state; or there is no such field.
        """
        if isinstance(x_TBI, LayerOutput | TracedOutput):
            x_TBI = x_TBI.output_TBH
        name = type(self).__name__
        x_TBI = time_first(x_TBI, self.inputs, name, batch_first=self.batch_first)
        self._check_samples(x_TBI, state)
        names = to_record(record, self.recordable, name)
        asked = (names,) if self.records and record is not None else ()
        result = self.over_time(x_TBI, state, generator, *asked)
        if record is not None and not asked:
            result = result.traced({})
        return result.turned() if self.batch_first else result

    @property
    def recordable(self) -> tuple[str, ...]:
        """What ``record`` can name."""
        neuron: Any = getattr(self, "neuron", None)
        return neuron.State._fields if self.records else ()

    @property
    def directions(self) -> int:
        """Rows of the state per sample."""
        return 1

    def over_time(self, x_TBI: Tensor, *arguments: Any, **options: Any) -> Any:
        """What :meth:`forward` gives, for an input of the right shape, time first.

        It is given ``state`` and ``generator``, and ``record`` where that is not None and the class
        :attr:`records`.
        """
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
