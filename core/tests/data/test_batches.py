"""Splits, sequences and batches."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from core.data.batches import (
    Batches,
    hold_out_speakers,
    make_permutation,
    split_indices,
    time_first,
    to_sequence,
)
from core.data.mnist import load_mnist
from core.errors import UserError

GOLDEN = Path(__file__).parents[1] / "golden" / "psmnist_rows.npz"


@given(st.integers(1, 300), st.floats(0, 1, exclude_max=True), st.integers(0, 2**40))
def test_split_is_a_partition(n: int, fraction: float, seed: int) -> None:
    train, validation = split_indices(n, fraction, seed=seed)
    assert len(validation) == int(fraction * n)
    assert sorted([*train, *validation]) == list(range(n))


def test_split_sizes_of_the_paper_and_its_seed() -> None:
    assert [len(part) for part in split_indices(618, 0.1, seed=0)] == [557, 61]
    assert [len(part) for part in split_indices(60000, 0.1, seed=0)] == [54000, 6000]
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002  (the global states must not matter)
    first = split_indices(618, 0.1, seed=0)[1]
    torch.manual_seed(2)
    np.testing.assert_array_equal(first, split_indices(618, 0.1, seed=0)[1])
    assert not np.array_equal(first, split_indices(618, 0.1, seed=1)[1])
    assert first[:8].tolist() == FIRST_HELD_OUT


# Recorded: a change of the stream would silently move samples between training and validation.
FIRST_HELD_OUT = [6, 16, 18, 23, 32, 37, 46, 50]
FIRST_PIXELS = [230, 619, 693, 347, 444, 626, 342, 76]
FIRST_SPEAKERS = (5, 9)
FIRST_ORDER = [48, 35, 6, 21, 36, 18, 45, 25]


@pytest.mark.parametrize("fraction", [-0.1, 1.0, float("nan")])
def test_split_fraction_out_of_range(fraction: float) -> None:
    with pytest.raises(UserError, match="validation fraction"):
        split_indices(10, fraction, seed=0)


@given(
    st.lists(st.integers(0, 8), min_size=2, max_size=200).filter(lambda names: len(set(names)) > 1),
    st.floats(0.01, 0.4),
    st.integers(0, 2**40),
)
def test_speakers_are_held_out_whole_and_no_more_than_needed(
    speakers: list[int], fraction: float, seed: int
) -> None:
    names = np.array(speakers)
    try:
        train, validation = hold_out_speakers(names, fraction=fraction, seed=seed)
    except UserError:
        drawn = np.random.default_rng((seed, 4, 0)).permutation(len(np.unique(names)))
        last = np.unique(names)[drawn[-1]]
        assert (names != last).sum() < fraction * len(names)  # the others were not enough
        return
    assert sorted([*train, *validation]) == list(range(len(names)))
    assert not set(names[train]) & set(names[validation])
    assert len(train) > 0
    assert len(validation) >= fraction * len(names)
    largest = max((names[validation] == name).sum() for name in set(names[validation]))
    assert len(validation) - largest < fraction * len(names)


def test_speakers_are_drawn_by_the_seed() -> None:
    speakers = np.repeat(np.arange(10), 5)
    drawn = {
        tuple(np.unique(speakers[hold_out_speakers(speakers, fraction=0.2, seed=seed)[1]]))
        for seed in range(20)
    }
    assert all(len(names) == 2 for names in drawn)
    assert len(drawn) > 10
    assert FIRST_SPEAKERS in drawn
    names = np.array([f"{n:08x}" for n in speakers])  # names instead of numbers
    by_number = hold_out_speakers(speakers, fraction=0.2, seed=3)
    by_name = hold_out_speakers(names, fraction=0.2, seed=3)
    assert all(np.array_equal(a, b) for a, b in zip(by_number, by_name, strict=True))
    first = hold_out_speakers(speakers, fraction=0.2, seed=0)[1]
    assert tuple(np.unique(speakers[first])) == FIRST_SPEAKERS


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, float("nan")])
def test_speaker_fraction_out_of_range(fraction: float) -> None:
    with pytest.raises(UserError, match="validation fraction"):
        hold_out_speakers([0, 1], fraction=fraction, seed=0)


def test_holding_out_every_speaker_is_refused() -> None:
    with pytest.raises(UserError, match="needs all 2 speakers"):
        hold_out_speakers([0, 0, 1, 1], fraction=0.6, seed=0)


def test_permutation() -> None:
    permutation = make_permutation(784, 0)
    assert permutation.dtype == torch.int64
    assert permutation.sort().values.tolist() == list(range(784))
    assert permutation.tolist() != make_permutation(784, 1).tolist()
    assert permutation[:8].tolist() == FIRST_PIXELS


def test_to_sequence_is_row_major_and_scaled() -> None:
    images = torch.tensor([[[0, 1, 2], [3, 4, 5]], [[16, 15, 14], [13, 12, 11]]]).to(torch.uint8)
    sequence = to_sequence(images, 16)
    assert (sequence.shape, sequence.dtype) == ((6, 2, 1), torch.float32)
    assert sequence.is_contiguous()
    assert (sequence[:, 0, 0] * 16).tolist() == [0, 1, 2, 3, 4, 5]
    permutation = torch.tensor([5, 0, 1, 2, 3, 4])
    permuted = to_sequence(images, 16, permutation)
    assert (permuted[:, 1, 0] * 16).tolist() == [11, 16, 15, 14, 13, 12]
    assert torch.equal(permuted, sequence[permutation])
    assert images.max() == 16  # the packed images were not touched


def test_real_mnist_sequences_equal_the_published_experiments(real_data: Path) -> None:
    golden = np.load(GOLDEN)
    images, labels, max_value = load_mnist("train")
    index = golden["mnist_train_index"]
    np.testing.assert_array_equal(labels[index], golden["labels"])
    checkpoints = real_data / "published" / "brf" / "checkpoints"
    if not checkpoints.is_dir():
        pytest.skip("the published permutations are not in the folder that SNN_DATA names")
    for name in ("orig_psmnist_brf", "repro_psmnist_brf"):
        permutation = torch.load(checkpoints / f"{name}_perm.pt", weights_only=True)
        sequence = to_sequence(torch.from_numpy(images[index]), max_value, permutation)
        assert np.array_equal(sequence[:5, :, 0].numpy(), golden[name])


def test_time_first() -> None:
    packed = torch.arange(2 * 3 * 4, dtype=torch.uint8).reshape(2, 3, 4)
    moved = time_first(packed)
    assert (moved.shape, moved.dtype) == ((3, 2, 4), torch.uint8)
    assert moved.is_contiguous()
    assert torch.equal(moved[2, 1], packed[1, 2])


def to_model(inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    return time_first(inputs).float(), targets.long()


def make_batches(n: int = 10, *, shuffle: bool = True, seed: int = 0, size: int = 4) -> Batches:
    inputs = np.arange(n, dtype=np.uint8)[:, None].repeat(3, axis=1)
    targets = np.arange(n, dtype=np.uint8)
    return Batches(inputs, targets, batch_size=size, shuffle=shuffle, seed=seed, transform=to_model)


def seen(batches: Batches, epoch: int) -> list[int]:
    return [int(y) for _, targets in batches.epoch(epoch) for y in targets]


def test_batches_keep_the_last_one_and_the_pairs() -> None:
    batches = make_batches()
    shapes = []
    for inputs, targets in batches.epoch(0):
        shapes.append(tuple(inputs.shape))
        assert inputs.dtype == torch.float32
        assert targets.dtype == torch.int64
        assert torch.equal(inputs, targets.float().expand(3, -1))
    assert shapes == [(3, 4), (3, 4), (3, 2)]
    assert (len(batches), batches.samples) == (3, 10)
    assert len(make_batches(8)) == 2


def test_order_is_a_pure_function_of_seed_and_epoch() -> None:
    batches = make_batches(50)
    third = seen(batches, 3)
    assert sorted(third) == list(range(50))
    torch.manual_seed(7)
    assert third == seen(batches, 3) == seen(make_batches(50), 3)  # as a resumed run sees it
    assert third != seen(batches, 4)
    assert third != seen(make_batches(50, seed=1), 3)
    assert seen(batches, 0)[:8] == FIRST_ORDER


def test_streams_of_one_seed_differ() -> None:
    held_out = split_indices(784, 0.5, seed=0)[1]
    pixels = make_permutation(784, 0).numpy()
    order = make_batches(784).order(0).numpy()
    assert not np.array_equal(pixels, order)
    assert not np.array_equal(held_out, np.sort(pixels[: len(held_out)]))


def test_without_shuffle_the_order_is_that_of_the_arrays() -> None:
    batches = make_batches(shuffle=False)
    assert seen(batches, 0) == seen(batches, 5) == list(range(10))


def test_numpy_arrays_are_not_copied() -> None:
    inputs = np.zeros((4, 2), np.uint8)
    batches = Batches(
        inputs, inputs[:, 0], batch_size=4, shuffle=False, transform=lambda x, y: (x, y)
    )
    inputs[2, 1] = 9
    assert next(batches.epoch(0))[0][2, 1] == 9


def test_bad_arguments() -> None:
    with pytest.raises(UserError, match="split is empty"):
        make_batches(0)
    with pytest.raises(UserError, match="batch size is 0"):
        make_batches(size=0)
    with pytest.raises(ValueError, match="2 inputs but 3 targets"):
        Batches(torch.zeros(2), torch.zeros(3), batch_size=1, shuffle=False, transform=to_model)
