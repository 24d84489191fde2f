"""Binning, filter banks and the schedule against arrays made with the authors' code."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.data.events import EventData
from core.data.filterbank import log_mel
from core.data.utterances import pad
from core.spoken.task import Binning
from core.training.schedules import plateau_of_accuracy, step

from .arrays import FOLDER, golden, part


@pytest.mark.parametrize("config", range(5))
def test_binning(config: int) -> None:
    with np.load(FOLDER / "spike_binning.npz", allow_pickle=False) as arrays:
        found = {key: arrays[key] for key in arrays}
    steps, max_time, spatial_bin = found["configs"][config]
    labels = found["labels"].astype(np.int64)
    events = EventData(
        times=found["times_concat"],
        units=found["units_concat"],
        offsets=found["offsets"].astype(np.int64),
        labels=labels,
        speakers=None,
        words=tuple(map(str, range(20))),
    )
    binned = Binning(int(steps), float(max_time), int(spatial_bin))(events)
    counts_TBU = binned.take(np.arange(len(labels)))
    here = {key: found[f"cfg{config}/{key}"] for key in ("batch_shape", "nz_index", "nz_value")}
    expected = torch.zeros(*here["batch_shape"].tolist())
    b, t, unit = here["nz_index"].astype(np.int64).T
    expected[b, t, unit] = torch.from_numpy(here["nz_value"])
    assert torch.equal(counts_TBU.transpose(0, 1), expected)
    assert not counts_TBU[0].any()
    assert binned.late == found[f"cfg{config}/n_dropped"]
    assert (found[f"cfg{config}/xlens"] == len(counts_TBU)).all()


def test_filterbank() -> None:
    arrays = golden("gsc_fbank")
    frames = [log_mel(arrays[f"wave{i}"]) for i in range(3)]
    for i, found_FM in enumerate(frames):
        torch.testing.assert_close(found_FM, arrays[f"fbank{i}"], rtol=0.0, atol=1e-3)
    batch_TBM = pad(frames)
    assert [len(found) for found in frames] == arrays["lengths"].tolist()
    padded = arrays["padded_batch"].transpose(0, 1)
    torch.testing.assert_close(batch_TBM, padded, rtol=0.0, atol=1e-3)
    assert torch.equal(batch_TBM == 0, padded == 0)


@pytest.mark.parametrize("name", ["scheduler_a", "scheduler_b"])
def test_schedule(name: str) -> None:
    arrays = golden(name)
    optimizer = torch.optim.Adam([torch.zeros(1, requires_grad=True)], lr=float(arrays["lr0"]))
    schedule = plateau_of_accuracy(
        factor=float(arrays["factor"]), patience=int(arrays["patience"])
    )(optimizer)
    rates = []
    for accuracy in arrays["valid_acc"].tolist():
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        step(schedule, val_accuracy=accuracy)
    assert rates == arrays["lr_used_in_epoch"].tolist()
    assert optimizer.param_groups[0]["lr"] == float(arrays["lr_final"])
    assert part(arrays, "valid") != {}
