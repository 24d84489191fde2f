"""Events of the reader's own: lists of arrays, or the structured arrays of other libraries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.data.events import EventData
from core.data.numbers import exact_float64, exact_int64, whole_numbers

_MICROSECONDS = 1e6


def events_from_lists(
    times: Sequence[ArrayLike], units: Sequence[ArrayLike], labels: ArrayLike
) -> EventData:
    """Recordings from one list of times and one of units each, for :func:`bin_events`.

    Args:
        times: per recording, the times of its events in seconds, of any type that float64 holds
            exactly; they are kept as float64.
        units: per recording, the channels of the same events, from 0 on.
        labels: class of every recording, from 0 on.

    Raises:
        TypeError: times or channels are no real numbers.
        ValueError: lengths differ, a channel or label is negative or not whole, a time is not
            finite.
    """
    if not len(times) == len(units) == len(np.asarray(labels)):
        raise ValueError(
            f"{len(times)} recordings of times, {len(units)} of units and "
            f"{len(np.asarray(labels))} labels; there must be as many of each"
        )
    times_N = [exact_float64(one, "event times") for one in times]
    units_N = [whole_numbers(one, "units") for one in units]
    for row, (time_E, unit_E) in enumerate(zip(times_N, units_N, strict=True)):
        if time_E.ndim != 1 or time_E.shape != unit_E.shape:
            raise ValueError(
                f"recording {row} has times of shape {time_E.shape} and units of {unit_E.shape}; "
                "both must be [E]"
            )
        if not np.isfinite(time_E).all():
            raise ValueError(f"recording {row} has an event time that is not finite")
        if len(unit_E) and unit_E.min() < 0:
            raise ValueError(f"recording {row} has an event of unit {unit_E.min()}")
    labels_N = exact_int64(labels, "labels")
    if labels_N.size and labels_N.min() < 0:
        raise ValueError(f"a label is {labels_N.min()}; classes count from 0")
    classes = int(labels_N.max()) + 1 if labels_N.size else 0
    return EventData(
        times=np.concatenate([np.empty(0), *times_N]),
        units=_joined(units_N),
        offsets=np.cumsum([0, *map(len, times_N)]).astype(np.int64),
        labels=labels_N,
        speakers=None,
        words=tuple(map(str, range(classes))),
    )


def events_from_structured(
    recordings: Sequence[NDArray[Any]], labels: ArrayLike, *, sensor: tuple[int, ...]
) -> EventData:
    """Recordings from structured arrays as tonic gives them: fields ``t``, ``x``, and more.

    Integer times are microseconds, fractions are seconds. A unit counts through the sensor:
    ``(p * height + y) * width + x``, with 0 for what there is no field of.

    Args:
        recordings: one array each.
        labels: class of every recording, from 0 on.
        sensor: ``(width, height, polarities)``; shorter where fields are missing.

    Raises:
        TypeError: times or places are no real numbers.
        ValueError: a field ``t`` or ``x`` is missing, a place lies outside of the sensor, or see
            :func:`events_from_lists`.
    """
    times, units = [], []
    for row, events in enumerate(recordings):
        names = events.dtype.names or ()
        if not {"t", "x"} <= set(names):
            raise ValueError(f"recording {row} has fields {names}; t and x are needed")
        time_E = events["t"]
        whole = time_E.dtype.kind in "iu"
        time_E = exact_float64(time_E, "event times")
        times.append(time_E / _MICROSECONDS if whole else time_E)
        unit_E, scale = np.zeros(len(events), np.int64), 1
        for name, size in zip(("x", "y", "p"), (*sensor, 1, 1), strict=False):
            if name in names:
                place_E = exact_int64(events[name], name)
                if len(place_E) and not 0 <= place_E.min() <= place_E.max() < size:
                    raise ValueError(f"recording {row} has {name} outside of 0 to {size - 1}")
                unit_E += scale * place_E
            scale *= size
        units.append(unit_E)
    return events_from_lists(times, units, labels)


def _joined(units_N: list[NDArray[np.integer[Any]]]) -> NDArray[Any]:
    """All units in the smallest type that holds them, 16 bits at least."""
    joined = np.concatenate([np.empty(0, np.int64), *(exact_int64(u, "units") for u in units_N)])
    most = int(joined.max()) if joined.size else 0
    return joined.astype(np.result_type(np.uint16, np.min_scalar_type(most)))
