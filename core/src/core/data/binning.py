"""Events counted in time bins: the one place where event times become time steps.

``T`` time steps, ``B`` recordings of a batch, ``U`` input channels, ``E`` events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from core.data.batches import Batch, RowBatches
from core.data.events import CHANNELS, EventData
from core.data.numbers import exact_float64, exact_int64, whole_numbers

BinArray: TypeAlias = NDArray[np.unsignedinteger[Any]]

_BLOCK = 1 << 20  # event times converted at once


def linear_edges(n_steps: int, max_time: float) -> NDArray[np.float64]:
    """Return ``n_steps`` equally spaced edges from 0 to ``max_time`` seconds, both included.

    They enclose ``n_steps - 1`` intervals of ``max_time / (n_steps - 1)`` (Bittar and Garner 2022:
    100 edges, 99 intervals of 1.4 / 99 s).
    """
    return np.linspace(0.0, max_time, n_steps)


@dataclass(frozen=True, kw_only=True)
class BinnedEvents:
    """Recordings as time bins and channels of their events: three or four bytes an event.

    Attributes:
        bins: uint8 or uint16 [E], time step of every event that is kept; wider where needed.
        channels: uint16 [E], input channel of the same events; uint32 from 65536 channels on.
        offsets: int64 [N + 1]; the events of recording ``n`` are ``offsets[n]:offsets[n + 1]``.
        steps: ``T``.
        inputs: ``U``.
        late: number of events at or after the last edge; they are in none of the bins.
        ignored: number of other events that are left out, those in channels of no whole group.
    """

    bins: BinArray
    channels: NDArray[np.unsignedinteger[Any]]
    offsets: NDArray[np.int64]
    steps: int
    inputs: int
    late: int
    ignored: int

    @property
    def samples(self) -> int:
        """Number of recordings."""
        return len(self.offsets) - 1

    def take(self, rows: ArrayLike | Tensor) -> Tensor:
        """Return the counts of some recordings, float32 [T, B, U], in the order of ``rows``.

        Several events of one recording in one cell add up; values are not cut to 0 and 1.
        """
        rows_B = exact_int64(rows, "rows")
        spans = [slice(*self.offsets[row : row + 2]) for row in rows_B]
        shape = (self.steps, len(rows_B), self.inputs)
        cells = shape[0] * shape[1] * shape[2]
        # int32 halves the traffic and holds every batch that fits into a few gigabytes.
        index_E = np.empty(sum(s.stop - s.start for s in spans), _index_type(cells))
        start = 0
        for b, span in enumerate(spans):
            part = index_E[start : start + span.stop - span.start]
            np.multiply(self.bins[span], shape[1] * shape[2], out=part, dtype=part.dtype)
            part += self.channels[span]
            part += b * self.inputs
            start += len(part)
        counts = np.zeros(cells, np.float32)
        np.add.at(counts, index_E, np.float32(1))
        return torch.from_numpy(counts).view(shape)


def bin_events(
    events: EventData,
    edges: ArrayLike,
    *,
    channel_bin: int = 1,
    n_units: int = CHANNELS,
    remainder: Literal["refuse", "ignore"] = "refuse",
) -> BinnedEvents:
    """Assign every event to a time step and an input channel.

    The event at time ``t`` belongs to step ``k`` when ``edges[k - 1] <= t < edges[k]``; with
    ``edges[0] = 0`` step 0 stays empty. Times are compared with the edges as they are, whatever
    their type, in float64. Events at or after ``edges[-1]`` are dropped and counted. (Intervals
    closed on the right are had by moving every edge to the next larger number.)

    Args:
        events: recordings; their times have the unit of the edges.
        edges: ascending times in seconds, one per time step.
        channel_bin: so many neighbouring channels ``K`` are added to one input: unit ``u`` is input
            ``u // K`` of ``n_units // K``.
        n_units: channels of the recordings.
        remainder: what happens when ``n_units`` is no multiple of ``channel_bin``; ``"ignore"``
            leaves out the last channels, which fill no group, and counts their events.

    Raises:
        ValueError: the edges do not ascend, an event lies outside the channels, these cannot be
            divided into groups, times are no numbers, not exact in float64, or whole numbers in a
            unit that is much coarser than the steps.
        TypeError: times or channels are no real numbers.
    """
    edges_T = exact_float64(edges, "edges")
    if edges_T.ndim != 1 or len(edges_T) < 2 or not (np.diff(edges_T) > 0).all():
        raise ValueError("edges must be at least two ascending times")
    channels, inputs = _inputs_of(events.units, channel_bin, n_units, remainder)
    bins = _bins_of(events.times, edges_T)
    steps = len(edges_T)
    late = bins == steps
    if np.isnan(np.asarray(events.times)[late]).any():
        raise ValueError("an event time is no number")
    left_out = np.flatnonzero(late | (channels >= inputs))
    if len(left_out):
        bins, channels = np.delete(bins, left_out), np.delete(channels, left_out)
    offsets = exact_int64(events.offsets, "offsets")
    return BinnedEvents(
        bins=bins,
        channels=channels,
        offsets=offsets - np.searchsorted(left_out, offsets),
        steps=steps,
        inputs=inputs,
        late=int(late.sum()),
        ignored=len(left_out) - int(late.sum()),
    )


def _inputs_of(
    units: ArrayLike, channel_bin: int, n_units: int, remainder: str
) -> tuple[NDArray[np.unsignedinteger[Any]], int]:
    """Return the input of every event and the number of inputs; those of no group lie above it."""
    if not 1 <= channel_bin <= n_units or (n_units % channel_bin and remainder != "ignore"):
        raise ValueError(
            f"{n_units} channels cannot be added in groups of {channel_bin}; "
            'remainder="ignore" leaves out what fills no group'
        )
    units_E = whole_numbers(units, "channels")
    if len(units_E) and not 0 <= units_E.min() <= units_E.max() < n_units:
        worst = units_E.min() if units_E.min() < 0 else units_E.max()
        raise ValueError(f"an event has channel {worst} of {n_units}")
    kind = np.result_type(np.uint16, np.min_scalar_type(n_units))
    channels = units_E.astype(kind, copy=False)
    return channels if channel_bin == 1 else channels // kind.type(channel_bin), (
        n_units // channel_bin
    )


def _bins_of(times: ArrayLike, edges_T: NDArray[np.float64]) -> BinArray:
    """Return the bin of every time, ``T`` for the late ones."""
    times_E = np.asarray(times)
    if times_E.dtype.kind in "iu" and np.diff(edges_T).mean() < 0.1:
        raise ValueError(
            f"event times are whole numbers ({times_E.dtype}), the steps {np.diff(edges_T)[0]:g} "
            "wide: one of both has another unit. Divide milliseconds by 1000 to have seconds"
        )
    if times_E.dtype == np.float16:  # in this machine's byte order
        return _bin_of_float16(edges_T)[times_E.view(np.uint16)]
    bins = np.empty(len(times_E), np.min_scalar_type(len(edges_T)))
    for start in range(0, len(times_E), _BLOCK):
        block = exact_float64(times_E[start : start + _BLOCK], "event times")
        bins[start : start + _BLOCK] = np.digitize(block, edges_T)
    return bins


def _bin_of_float16(edges_T: NDArray[np.float64]) -> BinArray:
    """Return the bin of each of the 65536 float16 numbers, by their bits.

    There are far fewer numbers than events, so looking the bin up is exact and fast.
    """
    with np.errstate(invalid="ignore"):  # some of these bits are no number
        every = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float64)
    return np.digitize(every, edges_T).astype(np.min_scalar_type(len(edges_T)))


def _index_type(cells: int) -> type[np.int32] | type[np.int64]:
    return np.int32 if cells <= np.iinfo(np.int32).max else np.int64


def event_batches(
    events: BinnedEvents,
    labels: ArrayLike,
    rows: ArrayLike | None = None,
    *,
    batch_size: int,
    shuffle: bool,
    seed: int = 0,
    binary: bool = False,
) -> RowBatches:
    """Return batches of counts, float32 [T, B, U], and labels, int64 [B].

    Args:
        events: all recordings of a file.
        labels: class of every recording.
        rows: the recordings to use, by default all; a split costs no copy of the events.
        batch_size: recordings per batch.
        shuffle: a new order every epoch, a pure function of (seed, epoch).
        seed: of that order.
        binary: several events of a cell count once: every entry is 0 or 1.
    """
    labels_N = torch.as_tensor(exact_int64(labels, "labels"))
    chosen = (
        torch.arange(events.samples) if rows is None else torch.as_tensor(exact_int64(rows, "rows"))
    )

    def take(picked: Tensor, epoch: int) -> Batch:
        rows_B = chosen[picked]
        counts_TBU = events.take(rows_B)
        return counts_TBU.clamp_(max=1.0) if binary else counts_TBU, labels_N[rows_B]

    return RowBatches(take, len(chosen), batch_size=batch_size, shuffle=shuffle, seed=seed)
