"""Events counted in time bins: the one place where event times become time steps.

``T`` time steps, ``B`` recordings of a batch, ``U`` input channels, ``E`` events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from core.data.batches import Batch, RowBatches
from core.data.events import CHANNELS, EventData

BinArray: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]


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
        bins: uint8 or uint16 [E], time step of every event that is not late.
        channels: uint16 [E], input channel of the same events.
        offsets: int64 [N + 1]; the events of recording ``n`` are ``offsets[n]:offsets[n + 1]``.
        steps: ``T``.
        inputs: ``U``.
        late: number of events at or after the last edge; they are in none of the bins.
    """

    bins: BinArray
    channels: NDArray[np.uint16]
    offsets: NDArray[np.int64]
    steps: int
    inputs: int
    late: int

    @property
    def samples(self) -> int:
        """Number of recordings."""
        return len(self.offsets) - 1

    def take(self, rows: ArrayLike | Tensor) -> Tensor:
        """Return the counts of some recordings, float32 [T, B, U], in the order of ``rows``.

        Several events of one recording in one cell add up; values are not cut to 0 and 1.
        """
        rows_B = np.asarray(rows, np.int64)
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
    events: EventData, edges: ArrayLike, *, channel_bin: int = 1, n_units: int = CHANNELS
) -> BinnedEvents:
    """Assign every event to a time step and an input channel.

    The event at time ``t`` belongs to step ``k`` when ``edges[k - 1] <= t < edges[k]``; with
    ``edges[0] = 0`` step 0 stays empty. Times are compared with the edges as they are, float16
    against float64. Events at or after ``edges[-1]`` are dropped and counted. (Intervals closed on
    the right are had by moving every edge to the next larger number.)

    Args:
        events: recordings.
        edges: ascending times in seconds, one per time step.
        channel_bin: so many neighbouring channels are added to one input.
        n_units: channels of the recordings, a multiple of ``channel_bin``.

    Raises:
        ValueError: the edges do not ascend, an event lies outside the channels, or they cannot be
            divided into groups.
    """
    edges_T = np.asarray(edges, np.float64)
    if edges_T.ndim != 1 or len(edges_T) < 2 or not (np.diff(edges_T) > 0).all():
        raise ValueError("edges must be at least two ascending times")
    if channel_bin < 1 or n_units % channel_bin:
        raise ValueError(f"{n_units} channels cannot be added in groups of {channel_bin}")
    if len(events.units) and events.units.max() >= n_units:
        raise ValueError(f"an event has channel {events.units.max()} of {n_units}")
    steps = len(edges_T)
    bins: BinArray = _bin_of_float16(edges_T)[events.times.view(np.uint16)]
    channels = events.units if channel_bin == 1 else events.units // np.uint16(channel_bin)
    late = np.flatnonzero(bins == steps)
    if len(late):
        bins, channels = bins[bins != steps], np.delete(channels, late)
    return BinnedEvents(
        bins=bins,
        channels=channels,
        offsets=events.offsets - np.searchsorted(late, events.offsets),
        steps=steps,
        inputs=n_units // channel_bin,
        late=len(late),
    )


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
) -> RowBatches:
    """Return batches of counts, float32 [T, B, U], and labels, int64 [B].

    Args:
        events: all recordings of a file.
        labels: class of every recording.
        rows: the recordings to use, by default all; a split costs no copy of the events.
        batch_size: recordings per batch.
        shuffle: a new order every epoch, a pure function of (seed, epoch).
        seed: of that order.
    """
    labels_N = torch.as_tensor(np.asarray(labels, np.int64))
    chosen = torch.arange(events.samples) if rows is None else torch.as_tensor(np.asarray(rows))

    def take(picked: Tensor, epoch: int) -> Batch:
        rows_B = chosen[picked]
        return events.take(rows_B), labels_N[rows_B]

    return RowBatches(take, len(chosen), batch_size=batch_size, shuffle=shuffle, seed=seed)
