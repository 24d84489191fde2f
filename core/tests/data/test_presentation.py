"""Samples scaled and slowed, and the order of PyTorch's loader."""

from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

from core.data.batches import Batches, RowBatches
from core.data.binning import bin_events, event_batches, linear_edges
from core.data.cue_accumulation import published_split, unpack
from core.data.own_events import events_from_lists
from core.data.presentation import LoaderOrder, slowed_batches

GOLDEN = Path(__file__).parents[1] / "golden/bsnn"


def rows(count: int, batch_size: int = 3) -> Batches:
    return Batches(
        np.arange(count * 2.0).reshape(count, 2, 1),
        np.arange(count),
        batch_size=batch_size,
        shuffle=True,
    )


def test_binned_events_scaled_and_slowed_are_those_of_the_authors() -> None:
    golden = np.load(GOLDEN / "shd_binning.npz")
    times = [golden[f"times_{n}"] for n in range(5)]
    units = [golden[f"units_{n}"] for n in range(5)]
    events = events_from_lists(times, units, labels=golden["labels"])
    binned = bin_events(events, linear_edges(100, 1.4))
    for n in range(5):
        frame = np.zeros((100, 700), np.float32)
        frame[tuple(golden[f"nz_{n}"].T)] = golden[f"val_{n}"]
        np.testing.assert_array_equal(binned.take([n])[:, 0].numpy(), frame)
    plain = event_batches(binned, events.labels, [0, 3], batch_size=2, shuffle=False)
    slow = slowed_batches(plain, scale=float(golden["scale"]), repeat=int(golden["repeat"]))
    x, y = next(slow.epoch(0))
    batch = np.zeros(golden["batch_shape"], np.float32)
    batch[tuple(golden["batch_nz"].T)] = golden["batch_val"]
    np.testing.assert_array_equal(x.transpose(0, 1).numpy(), batch)
    np.testing.assert_array_equal(y.numpy(), golden["batch_ys"])


def test_slowed_batches_keep_order_and_size() -> None:
    plain = rows(7)
    assert slowed_batches(plain) is plain
    slow = slowed_batches(plain, scale=2.0, repeat=2)
    for (x, y), (slow_x, slow_y) in zip(plain.epoch(3), slow.epoch(3), strict=True):
        assert torch.equal(slow_x, 2 * x.repeat_interleave(2, 0))
        assert torch.equal(slow_y, y)


def test_loader_order_is_that_of_a_loop_with_two_loaders() -> None:
    numbers = TensorDataset(torch.arange(11))
    torch.manual_seed(5)
    torch.rand(17)  # a network is made
    state = torch.get_rng_state()
    train = DataLoader(numbers, batch_size=4, shuffle=True)
    validation = DataLoader(numbers, batch_size=4)
    expected = []
    for _ in range(3):
        expected.append([n for (batch,) in train for n in batch.tolist()])
        assert len(list(validation)) == 3
    ours = LoaderOrder(rows(11, 4), state)
    assert [ours.order(epoch).tolist() for epoch in (1, 2, 3)] == expected
    assert ours.order(2).tolist() == expected[1]  # asked in whatever order
    assert [len(y) for _, y in ours.epoch(1)] == [4, 4, 3]


def authors_batches() -> tuple[RowBatches, np.ndarray]:
    """The training split of seed 0, and how many spikes each of its samples has."""
    data = published_split(np.random.RandomState(0), 0)
    counts = np.array([int(unpack(row[None]).sum()) for row in data.spikes])
    pairs = Batches(
        np.zeros((200, 1, 1), np.uint8), data.labels, batch_size=30, shuffle=True, seed=0
    )
    return pairs, counts


def test_first_epoch_of_the_authors_comes_in_their_order() -> None:
    golden = np.load(GOLDEN / "loader_order.npz")
    batches, counts = authors_batches()
    torch.manual_seed(0)
    torch.bernoulli(torch.full((100, 40), 0.7))
    torch.rand(100, 40)
    torch.rand(100)  # decays
    torch.nn.init.orthogonal_(torch.empty(100, 100))
    torch.rand(2, 100)
    torch.rand(2)
    ordered = LoaderOrder(batches, torch.get_rng_state())
    order = ordered.order(1).numpy()
    seen = "baseline_multispike__epoch1_"
    np.testing.assert_array_equal(counts[order], golden[f"{seen}input_spike_counts"])
    labels = torch.cat([y for _, y in ordered.epoch(1)]).numpy()
    np.testing.assert_array_equal(labels, golden[f"{seen}y"])
