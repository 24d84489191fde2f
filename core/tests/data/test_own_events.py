"""Events and arrays of the reader's own, in whatever type they come."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from core.data import Batches, bin_events, events_from_lists, events_from_structured, linear_edges


@pytest.mark.parametrize("kind", ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8"])
def test_any_float_type_keeps_its_times(kind: str) -> None:
    times = [np.array([0.1, 0.5], kind), np.array([], kind), np.array([0.75], kind)]
    events = events_from_lists(times, [[0, 2], [], [1]], [1, 0, 4])
    assert events.times.dtype == np.float64
    assert events.times.tolist() == [float(time) for one in times for time in one]
    assert events.units.tolist() == [0, 2, 1]
    assert events.offsets.tolist() == [0, 2, 2, 3]
    assert (events.labels.tolist(), len(events.words)) == ([1, 0, 4], 5)
    counts = bin_events(events, linear_edges(5, 1.0), n_units=3).take([0, 1, 2])
    assert torch.nonzero(counts).tolist() == [[1, 0, 0], [3, 0, 2], [4, 2, 1]]


@pytest.mark.parametrize(("kind", "scale"), [("<i8", 1e6), ("<u4", 1e6), ("<f4", 1), (">f8", 1)])
def test_structured_arrays(kind: str, scale: float) -> None:
    fields: Any = [("x", "<i2"), ("y", "<i2"), ("t", kind), ("p", "?")]
    rows = [(3, 1, 0.25 * scale, True), (0, 0, 0.5 * scale, False)]
    events = events_from_structured([np.array(rows, fields)], [0], sensor=(4, 2, 2))
    assert events.times.tolist() == [0.25, 0.5]
    assert events.units.tolist() == [(1 * 2 + 1) * 4 + 3, 0]


def test_structured_arrays_without_some_fields() -> None:
    fields: Any = [("t", "<i8"), ("x", "<i4"), ("p", "<i4")]
    events = events_from_structured([np.array([(1, 699, 1)], fields)], [2], sensor=(700, 1, 2))
    assert (events.times.tolist(), events.units.tolist()) == ([1e-6], [1399])


@pytest.mark.parametrize(
    ("times", "units", "labels", "told"),
    [
        ([[0.1]], [[0]], [0, 1], "there must be as many of each"),
        ([[0.1, 0.2]], [[0]], [0], "recording 0 has times of shape"),
        ([[np.nan]], [[0]], [0], "not finite"),
        ([[0.1]], [[-1]], [0], "unit -1"),
        ([[0.1]], [[0.5]], [0], "units must be whole numbers"),
        ([[0.1]], [[0]], [-1], "a label is -1"),
    ],
)
def test_events_that_cannot_be_meant(times: Any, units: Any, labels: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        events_from_lists(times, units, labels)


def test_structured_arrays_that_cannot_be_meant() -> None:
    with pytest.raises(ValueError, match="t and x are needed"):
        events_from_structured([np.zeros(1, [("t", "<i8")])], [0], sensor=(4,))
    fields: Any = [("t", "<i8"), ("x", "<i8")]
    with pytest.raises(ValueError, match="x outside of 0 to 3"):
        events_from_structured([np.array([(0, 4)], fields)], [0], sensor=(4,))


@pytest.mark.parametrize("kind", [np.uint8, np.float64, np.float16])
def test_arrays_need_no_transform(kind: Any) -> None:
    inputs = np.arange(4 * 5 * 3).reshape(4, 5, 3).astype(kind)
    batches = Batches(inputs, np.array([3, 2, 1, 0], np.uint8), batch_size=4, shuffle=False)
    ((inputs_TBN, labels_B),) = batches.epoch(0)
    assert (inputs_TBN.dtype, labels_B.dtype) == (torch.float32, torch.int64)
    assert inputs_TBN.is_contiguous()
    np.testing.assert_array_equal(inputs_TBN.numpy(), inputs.swapaxes(0, 1))
    assert labels_B.tolist() == [3, 2, 1, 0]


def test_batches_say_how_they_are_iterated() -> None:
    batches = Batches(np.zeros((4, 5, 3)), np.zeros(4), batch_size=2, shuffle=False)
    with pytest.raises(TypeError, match=r"Batches has an order .*iterate over \.epoch\(n\)"):
        iter(batches)
    with pytest.raises(ValueError, match=r"shape \[4, 5\]; without a transform"):
        Batches(np.zeros((4, 5)), np.zeros(4), batch_size=2, shuffle=False)
