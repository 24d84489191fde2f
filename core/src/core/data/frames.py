"""Events of a camera counted in frames: a few pictures ``[T, 2, H, W]`` of a recording.

``T`` frames, polarity 0 and 1, ``H`` rows, ``W`` columns.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.data.dvs import DvsEvents

SplitBy = Literal["number", "time"]
Normalization = Literal["None", "frequency", "max", "norm", "sum"]

_SMALLEST = 1e-5
MOST = int(np.iinfo(np.uint16).max)


def frame_of_events(t_E: NDArray[np.int64], frames: int, split_by: SplitBy) -> NDArray[np.int64]:
    """The frame of every event, int64 [E].

    ``number``: frame ``j`` has ``floor(E / T)`` events, the last frame those that are left, too.
    ``time``: with times that start at 0, ``D = floor(t_last / T)``, frame ``j`` has the events with
    ``D j <= t < D (j + 1)``, the last one all after that.

    Raises:
        ValueError: Times that do not ascend, a recording shorter than ``T`` microseconds, or
            a frame without an event (both ``time`` only), or no events at all.
    """
    if not len(t_E):
        raise ValueError("the recording has no events")
    if split_by == "number":
        lengths = np.full(frames, len(t_E) // frames)
        lengths[-1] += len(t_E) % frames
        return np.repeat(np.arange(frames), lengths)
    if (np.diff(t_E) < 0).any():
        raise ValueError("the times of the events do not ascend")
    since_E = t_E - t_E[0]
    if since_E[-1] <= frames:
        raise ValueError(f"it lasts {since_E[-1]} us, too short for {frames} frames of equal time")
    frame_E = np.minimum(since_E // (since_E[-1] // frames), frames - 1)
    found = np.unique(frame_E)
    if len(found) < frames:
        missing = int(np.setdiff1d(np.arange(frames), found)[0])
        raise ValueError(
            f"frame {missing + 1} of {frames} of equal time has no event; take fewer frames, or "
            "frames of an equal number of events"
        )
    return frame_E


def count_frames(
    events: DvsEvents, frames: int, split_by: SplitBy, *, height: int, width: int
) -> NDArray[np.uint16]:
    """Events per pixel and frame, uint16 ``[T, 2, H, W]``.

    Raises:
        ValueError: An event lies outside of the sensor, a pixel has more than 65535 events in a
            frame, or see :func:`frame_of_events`.
    """
    frame_E = frame_of_events(events.t, frames, split_by)
    for name, place_E, size in (("x", events.x, width), ("y", events.y, height)):
        if place_E.min() < 0 or place_E.max() >= size:
            worst = place_E.min() if place_E.min() < 0 else place_E.max()
            raise ValueError(f"an event has {name} = {worst}, outside of 0 to {size - 1}")
    pixel_E = frame_E * (2 * height * width)
    pixel_E += (events.p != 0) * (height * width)
    pixel_E += events.y * width
    pixel_E += events.x
    counts = np.bincount(pixel_E, minlength=frames * 2 * height * width)
    if counts.max() > MOST:
        raise ValueError(f"a pixel has {counts.max()} events in a frame; take more frames")
    return counts.astype(np.uint16).reshape(frames, 2, height, width)


def normalised(
    counts: Tensor, normalization: Normalization, microseconds: Tensor | None = None
) -> Tensor:
    """Counts ``[..., T, 2, H, W]`` as float32, each frame and polarity ``F`` by itself.

    ``max``: ``F / max(max F, 1e-5)``; ``sum``: ``F / max(sum F, 1e-5)``; ``norm``:
    ``(F - mean) / sqrt(max(var, 1e-5))`` with the unbiased variance; ``frequency``: ``F / D`` with
    the duration ``D`` of the frame in microseconds, of the last one with what is left over.

    Args:
        counts: Any integers.
        normalization: ``None``, the word, for counts as they are.
        microseconds: Length of the recordings, ``[...]``, for ``frequency``.
    """
    frames = counts.to(torch.float32)
    if normalization == "max":
        return frames / frames.amax((-2, -1), keepdim=True).clamp(min=_SMALLEST)
    if normalization == "sum":
        return frames / frames.sum((-2, -1), keepdim=True).clamp(min=_SMALLEST)
    if normalization == "norm":
        variance, mean = torch.var_mean(frames, (-2, -1), keepdim=True)
        return (frames - mean) / variance.clamp(min=_SMALLEST).sqrt()
    if normalization == "frequency":
        if microseconds is None:
            raise ValueError("frequency needs the length of the recordings")
        steps = frames.shape[-4]
        length = torch.div(microseconds, steps, rounding_mode="floor")
        durations = length[..., None].repeat(*[1] * length.dim(), steps)
        durations[..., -1] += microseconds % steps
        return frames / durations[..., None, None, None].to(torch.float32)
    return frames
