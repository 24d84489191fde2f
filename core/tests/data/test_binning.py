"""Events in time bins: the published rule, conservation of counts, batches."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.data.binning import bin_events, event_batches, linear_edges
from core.data.events import EventData

GOLDEN = Path(__file__).parents[1] / "golden" / "sparch" / "shd_binning.npz"


def recordings(
    times: list[float], units: list[int], offsets: list[int], labels: list[int] | None = None
) -> EventData:
    return EventData(
        np.array(times, np.float16),
        np.array(units, np.uint16),
        np.array(offsets, np.int64),
        np.array(labels or [0] * (len(offsets) - 1), np.int64),
        None,
        ("word",),
    )


def test_published_counts() -> None:
    golden = np.load(GOLDEN)
    events = EventData(
        golden["times"],
        golden["units"],
        golden["offsets"],
        golden["labels"].astype(np.int64),
        None,
        ("word",) * 20,
    )
    edges = linear_edges(100, 1.4)
    np.testing.assert_array_equal(edges, golden["bin_edges"])
    binned = bin_events(events, edges)
    expected = torch.zeros(*golden["batch_shape"])
    expected[tuple(golden["nz_index"].T)] = torch.from_numpy(golden["nz_count"])
    counts_TBU = binned.take(range(4))
    assert counts_TBU.dtype == torch.float32
    assert counts_TBU.is_contiguous()
    assert torch.equal(counts_TBU.transpose(0, 1), expected)
    assert counts_TBU.max() > 1  # not cut to 0 and 1
    [(x, y)] = event_batches(binned, events.labels, batch_size=4, shuffle=False).epoch(0)
    assert torch.equal(x, counts_TBU)
    assert (y.tolist(), y.dtype) == (golden["ys"].tolist(), torch.int64)


def test_published_edges_are_closed_on_the_left() -> None:
    golden = np.load(GOLDEN)
    for time, expected in zip(golden["edge_times"], golden["edge_bins"], strict=True):
        # Times are float16 in the files; the same rule on the nearest of them.
        near = float(np.float16(time))
        found = int(np.digitize(near, golden["bin_edges"]))
        binned = bin_events(recordings([near], [7], [0, 1]), golden["bin_edges"])
        counts = binned.take([0])
        assert binned.late == (found == 100)
        assert counts.sum() == 1 - binned.late
        if found < 100:
            assert counts[found, 0, 7] == 1
        if near == time:
            assert found == expected


def test_first_step_stays_empty_and_the_last_edge_is_late() -> None:
    # 1.4 is 1.40039 in float16, and 1.39941 the number before it
    data = recordings([0.0, -0.0, 1.4, 1.3994, 9.0], [0] * 5, [0, 5])
    binned = bin_events(data, linear_edges(100, 1.4))
    counts = binned.take([0])[:, 0, 0]
    assert counts.nonzero().flatten().tolist() == [1, 99]
    assert counts[1] == 2
    assert counts[99] == 1
    assert binned.late == 2


times_of_event = st.floats(0, 3, width=16)


@given(
    st.lists(
        st.lists(st.tuples(times_of_event, st.integers(0, 11)), max_size=30),
        min_size=1,
        max_size=6,
    ),
    st.integers(2, 300),
    st.sampled_from([1, 2, 3, 12]),
    st.sampled_from([0.5, 1.4, 10.0]),
)
def test_counts_are_conserved(
    events: list[list[tuple[float, int]]], steps: int, channel_bin: int, end: float
) -> None:
    flat = [event for recording in events for event in recording]
    offsets = np.cumsum([0] + [len(recording) for recording in events]).tolist()
    data = recordings([t for t, _ in flat], [u for _, u in flat], offsets)
    edges = linear_edges(steps, end)
    binned = bin_events(data, edges, channel_bin=channel_bin, n_units=12)
    counts_TBU = binned.take(range(len(events)))
    assert counts_TBU.shape == (steps, len(events), 12 // channel_bin)
    assert counts_TBU.sum() + binned.late == len(flat)
    expected = torch.zeros_like(counts_TBU)
    late = 0
    for b, recording in enumerate(events):
        for time, unit in recording:
            step = int(np.digitize(time, edges))
            late += step == steps
            if step < steps:
                expected[step, b, unit // channel_bin] += 1
    assert torch.equal(counts_TBU, expected)
    assert binned.late == late


def test_rows_are_taken_in_their_order_and_may_repeat() -> None:
    data = recordings([0.1] * 6, [0, 1, 1, 2, 2, 2], [0, 1, 3, 3, 6])
    binned = bin_events(data, linear_edges(5, 1.0), n_units=3)
    assert binned.samples == 4
    sums = [[1, 0, 0], [0, 2, 0], [0, 0, 0], [0, 0, 3]]
    for rows in ([3, 0, 2], torch.tensor([1, 1]), np.array([2])):
        found = binned.take(rows).sum(0).tolist()
        assert found == [sums[int(row)] for row in rows]


def test_events_are_not_copied_when_none_is_late() -> None:
    data = recordings([0.1, 0.2], [0, 1], [0, 2])
    assert bin_events(data, linear_edges(5, 1.0)).channels is data.units
    assert bin_events(data, linear_edges(256, 1.0)).bins.dtype == np.uint16
    assert bin_events(data, linear_edges(255, 1.0)).bins.dtype == np.uint8


def test_other_edges_and_right_closed_intervals() -> None:
    ends = np.arange(5) * 0.25  # bin i takes times up to and including ends[i]
    data = recordings([0.0, 0.25, 0.26, 1.0, 1.001], [0] * 5, [0, 5])
    binned = bin_events(data, np.nextafter(ends, np.inf), n_units=1)
    assert binned.take([0])[:, 0, 0].tolist() == [1, 1, 1, 0, 1]
    assert binned.late == 1


TIMES = np.linspace(0.05, 1.3, 20).astype(np.float16)  # they are numbers of every wider type


@pytest.mark.parametrize("kind", ["f2", "f4", "f8", "g", ">f2", ">f4", ">f8"])
@pytest.mark.parametrize("unit_kind", ["u2", ">u2", "i1", ">i8", "f2", ">f8"])
def test_times_and_units_of_any_type(kind: str, unit_kind: str) -> None:
    units = np.arange(20, dtype=np.uint16)
    edges = linear_edges(100, 1.4)
    expected = np.digitize(TIMES.astype(np.float64), edges)
    data = recordings([], [], [0, 20])._replace(
        times=TIMES.astype(kind), units=units.astype(unit_kind), offsets=np.array([0, 20], ">i4")
    )
    binned = bin_events(data, edges)
    assert (binned.bins.tolist(), binned.channels.tolist()) == (expected.tolist(), units.tolist())
    assert (binned.bins.dtype, binned.channels.dtype) == (np.uint8, np.uint16)
    assert binned.take([0]).nonzero()[:, 0].tolist() == expected.tolist()


def test_times_are_not_rounded_before_they_are_compared() -> None:
    below = np.nextafter(0.7, 0.0)  # 0.7 in float32, and above it in float16
    data = recordings([], [0, 0], [0, 2])._replace(times=np.array([below, 0.7]))
    assert bin_events(data, [0.0, 0.7, 1.4]).bins.tolist() == [1, 2]


@pytest.mark.parametrize("kind", ["i2", ">i4", "u8"])
def test_whole_numbers_as_times(kind: str) -> None:
    data = recordings([], [0] * 4, [0, 4])._replace(times=np.array([0, 1, 7, 250], kind))
    assert bin_events(data, [0, 1, 8, 250]).bins.tolist() == [1, 2, 2]
    assert bin_events(data, np.arange(0, 300, 0.5)).bins.tolist() == [1, 3, 15, 501]
    with pytest.raises(ValueError, match=r"steps 0.0141414 wide.*Divide milliseconds by 1000"):
        bin_events(data, linear_edges(100, 1.4))


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"times": np.array([0.1, np.nan])}, ValueError, "an event time is no number"),
        ({"times": np.array([0.1, np.nan], "f2")}, ValueError, "an event time is no number"),
        ({"times": np.array([1, 2**53 + 1])}, ValueError, "not exact in float64"),
        ({"times": np.array([0j, 1j])}, TypeError, "event times of type complex128"),
        ({"units": np.array([0, -1])}, ValueError, "channel -1 of 700"),
        ({"units": np.array([0.0, 1.5])}, ValueError, "channels must be whole numbers, found 1.5"),
        ({"units": np.array([0, 65536 + 3])}, ValueError, "channel 65539 of 700"),
    ],
)
def test_events_that_are_no_numbers(changed: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        bin_events(recordings([0.1, 0.2], [0, 1], [0, 2])._replace(**changed), [0.0, 1.0, 2.0])


def test_more_channels_than_16_bits_hold() -> None:
    data = recordings([0.1, 0.1], [], [0, 2])._replace(units=np.array([0, 99_999]))
    counts = bin_events(data, [0, 1], n_units=100_000).take([0])
    assert counts.nonzero().tolist() == [[1, 0, 0], [1, 0, 99_999]]


def test_labels_and_rows_are_whole_numbers() -> None:
    binned = bin_events(recordings([0.1] * 2, [0, 1], [0, 1, 2]), [0, 1])
    with pytest.raises(ValueError, match=r"labels must be whole numbers, found 0.5"):
        event_batches(binned, [0.5, 1.7], batch_size=1, shuffle=False)
    with pytest.raises(ValueError, match=r"rows must be whole numbers, found 0.5"):
        event_batches(binned, [0, 1], np.array([0.5]), batch_size=1, shuffle=False)
    with pytest.raises(ValueError, match=r"rows must be whole numbers, found 1.5"):
        binned.take([1.5])


def test_channels_of_no_whole_group_are_left_out_by_choice() -> None:
    """700 channels in groups of 3: 233 inputs, and channel 699 is in none of them."""
    data = recordings([0.1, 0.2, 0.1, 9.0, 9.0, 0.3], [698, 699, 0, 699, 1, 4], [0, 2, 6])
    with pytest.raises(ValueError, match='groups of 3; remainder="ignore"'):
        bin_events(data, [0, 1], channel_bin=3)
    binned = bin_events(data, [0, 0.15, 1], channel_bin=3, remainder="ignore")
    assert (binned.inputs, binned.late, binned.ignored) == (233, 2, 1)
    assert binned.take([0, 1]).nonzero().tolist() == [[1, 0, 232], [1, 1, 0], [2, 1, 1]]
    with pytest.raises(ValueError, match="groups of 701"):
        bin_events(data, [0, 1], channel_bin=701, remainder="ignore")


@pytest.mark.parametrize("edges", [[0.0], [0.0, 0.0, 1.0], [1.0, 0.0], [[0.0, 1.0]]])
def test_edges_that_do_not_ascend(edges: list) -> None:
    with pytest.raises(ValueError, match="ascending"):
        bin_events(recordings([0.1], [0], [0, 1]), edges)


def test_channels_that_do_not_fit() -> None:
    data = recordings([0.1], [5], [0, 1])
    with pytest.raises(ValueError, match="groups of 3"):
        bin_events(data, [0, 1], channel_bin=3)
    with pytest.raises(ValueError, match="channel 5 of 5"):
        bin_events(data, [0, 1], n_units=5)


def test_batches_of_a_split() -> None:
    data = recordings([0.1] * 4, [0, 1, 2, 3], [0, 1, 2, 3, 4], labels=[10, 11, 12, 13])
    binned = bin_events(data, linear_edges(5, 1.0), n_units=4)
    batches = event_batches(
        binned, data.labels, np.array([3, 0, 2]), batch_size=2, shuffle=True, seed=1
    )
    assert (batches.samples, len(batches)) == (3, 2)
    pairs = [
        (int(channel), int(label))
        for x, y in batches.epoch(4)
        for channel, label in zip(x.sum(0).argmax(1), y, strict=True)
    ]
    assert sorted(pairs) == [(0, 10), (2, 12), (3, 13)]
    again = [y.tolist() for _, y in batches.epoch(4)]
    assert [label for y in again for label in y] == [label for _, label in pairs]
    orders = {tuple(y for batch in batches.epoch(e) for y in batch[1].tolist()) for e in range(9)}
    assert len(orders) > 1


def test_binary_batches_hold_zeros_and_ones() -> None:
    data = recordings([0.1, 0.1, 0.4], [0, 0, 1], [0, 3], labels=[5])
    binned = bin_events(data, linear_edges(5, 1.0), n_units=2)
    make = partial(event_batches, binned, data.labels, batch_size=1, shuffle=False)
    counts, ones = (next(make(binary=binary).epoch(0))[0] for binary in (False, True))
    assert counts.max() == 2
    assert ones.equal((counts > 0).float())
