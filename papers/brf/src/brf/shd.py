"""Spiking Heidelberg Digits as the authors bin them.

Of a recording, step ``k`` holds the channels that spiked in ``((k - 1) dt, k dt]``, step 0 those at
time 0; with ``dt`` of 4 ms there are 250 steps and what comes after 0.996 s is lost. Entries are 0
or 1. Unit ``u`` is input ``700 - u``, and unit 0 is left out, so that input 0 never fires.
"""

from __future__ import annotations

import numpy as np

from core.data.binning import BinnedEvents, bin_events
from core.data.events import CHANNELS, EventData

STEP = 0.004
"""Seconds."""
LAST = 1.0 - STEP
"""Seconds; later spikes are lost."""
EVALUATED_AT_ONCE = 256
"""Samples per batch of validation and test."""


def bin_spikes(events: EventData, step: float = STEP) -> BinnedEvents:
    """Recordings in ``int(1 / step)`` steps and 700 inputs.

    Edges are rounded to the type of the times, float16 in the published files: the authors' code
    compares in that type.
    """
    left_out = np.flatnonzero(events.units == 0)
    kept = events._replace(
        times=np.delete(events.times, left_out),
        units=CHANNELS - np.delete(events.units, left_out),
        offsets=events.offsets - np.searchsorted(left_out, events.offsets),
    )
    ends = (np.arange(int(1 / step)) * step).astype(events.times.dtype).astype(np.float64)
    # bin_events takes intervals that are closed on the left
    return bin_events(kept, np.nextafter(ends, np.inf))
