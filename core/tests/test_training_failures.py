"""A full disk loses nothing and says what was kept; a bad resume is refused untouched."""

from __future__ import annotations

import errno
import os
import resource
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from core import checkpoints
from core.errors import RunFailed, UserError
from core.training.job import EpochBatches, Job
from core.training.run_folder import RunFolder

from . import training_toy as toy
from .training_toy import EPOCHS, assert_same_run, at_step, facts, make_job, stop, train


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    train(folder, make_job())
    return folder


@pytest.mark.parametrize("name", list(toy.SECOND_EPOCH))
def test_disk_full_while_saving(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Path
) -> None:
    folder = tmp_path / "run"
    written, replace = 0, os.replace

    def full(source: Path, target: Path) -> None:
        nonlocal written
        written += target.name == name
        if target.name == name and written >= toy.SECOND_EPOCH[name]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(RunFailed) as failed:
        train(folder, make_job())
    monkeypatch.undo()
    message = str(failed.value)
    assert f"cannot write {folder / name}: No space left on device" in message
    assert f"make room, then continue with --resume {folder}" in message
    assert f"Everything up to epoch {2 if name == 'run.json' else 1} is kept" in message
    assert not list(folder.glob(".*.tmp"))
    train(folder, make_job(), resume=True)
    assert_same_run(folder, whole)


def test_no_room_for_anything_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Path
) -> None:
    folder = tmp_path / "my run's folder"

    def fill(_: object) -> None:
        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(RunFailed) as failed:
        train(folder, make_job(wrap=at_step(2, 1, fill)))
    monkeypatch.undo()
    assert f"continue with --resume {shlex.quote(str(folder))}" in str(failed.value)
    assert facts(folder)["status"] == "failed"
    train(folder, make_job(), resume=True)
    assert_same_run(folder, whole)


def test_no_room_to_say_that_it_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Path
) -> None:
    update = RunFolder.update

    def full(self: RunFolder, **facts: object) -> None:
        if facts.get("status") == "finished":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        update(self, **facts)

    monkeypatch.setattr(RunFolder, "update", full)
    with pytest.raises(RunFailed, match=f"up to epoch {EPOCHS} is kept .* make room, then"):
        train(tmp_path / "run", make_job())
    monkeypatch.undo()
    assert facts(tmp_path / "run")["status"] == "failed"
    train(tmp_path / "run", make_job(), resume=True)
    assert_same_run(tmp_path / "run", whole)


@pytest.fixture
def limit_files() -> Iterator[Callable[[int], None]]:
    """Sets how large a file may grow, which fails in the middle of a write as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("target", ["events.*", "resume.pt"])
def test_disk_really_full(
    target: str, tmp_path: Path, whole: Path, limit_files: Callable[[int], None]
) -> None:
    """Event files are smaller than a checkpoint, resume states larger: so each fails first once."""
    folder = tmp_path / "run"
    size = next(whole.glob(target)).stat().st_size // 2
    with pytest.raises(RunFailed) as failed:
        train(folder, make_job(wrap=at_step(2, 1, lambda model: limit_files(size))))
    limit_files(resource.RLIM_INFINITY)
    assert "File too large. Everything up to epoch 1 is kept" in str(failed.value)
    assert checkpoints.load_resume_state(folder / "resume.pt")["progress"]["epoch"] == 1
    train(folder, make_job(), resume=True)
    assert_same_run(folder, whole)


def test_half_a_status_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit_files: Callable[[int], None]
) -> None:
    """A write may be refused in the middle of the word: a reader still finds the old one."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with RunFolder.create(tmp_path, "", {"seed": 3, "status": "running", "note": "x"}) as folder:
        before = (tmp_path / "run.json").read_bytes()
        monkeypatch.setattr(os, "fsync", full)
        limit_files(before.index(b"running") + 3)
        folder.leave("failed")
        limit_files(resource.RLIM_INFINITY)
        assert (tmp_path / "run.json").read_bytes() == before


class Lost:
    """Batches whose file goes away in an epoch."""

    def __init__(self, batches: EpochBatches, epoch: int, error: OSError) -> None:
        self.batches, self.epoch_of_loss, self.error = batches, epoch, error

    def __len__(self) -> int:
        return len(self.batches)

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        for number, batch in enumerate(self.batches.epoch(epoch)):
            if (epoch, number) == (self.epoch_of_loss, 1):
                raise self.error
            yield batch


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file", "a.wav"), "the data a.wav: No such file"),
        (OSError("Can't synchronously read data"), "the data: Can't synchronously read data"),
    ],
)
def test_data_that_go_away(error: OSError, told: str, tmp_path: Path, whole: Path) -> None:
    folder = tmp_path / "run"
    job = make_job()
    job.train = Lost(job.train, 2, error)
    with pytest.raises(RunFailed) as failed:
        train(folder, job)
    assert str(failed.value) == (
        f"cannot read {told}. Everything up to epoch 1 is kept in {folder}; put the data back, "
        f"then continue with --resume {folder}"
    )
    train(folder, make_job(), resume=True)
    assert_same_run(folder, whole)


def wrong_network(folder: Path) -> Job:
    job = make_job()
    job.model = nn.Linear(3, 5)
    return job


def without_optimizer(folder: Path) -> Job:
    state = checkpoints.load_resume_state(folder / "resume.pt")
    checkpoints.save_resume_state(
        folder / "resume.pt", {k: v for k, v in state.items() if k != "optimizer"}
    )
    return make_job()


def truncated(folder: Path) -> Job:
    content = (folder / "resume.pt").read_bytes()
    (folder / "resume.pt").write_bytes(content[: len(content) // 2])
    return make_job()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (wrong_network, "belongs to another network"),
        (without_optimizer, r"resume\.pt lacks optimizer; the run cannot be continued from it"),
        (truncated, "truncated or damaged"),
    ],
)
def test_refused_resume_writes_nothing(
    damage: Callable[[Path], Job], message: str, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(folder, make_job(wrap=at_step(2, 1, stop)))
    job = damage(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(UserError, match=message):
        train(folder, job, resume=True)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def missing(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def of_another_epoch(path: Path) -> None:
    job = make_job()
    checkpoints.save(path, job.model, {"paper": "toy", "epoch": 0})


DAMAGES = [missing, cut, flip_a_bit, of_another_epoch]


def worse(model: nn.Module) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.neg_()


@pytest.mark.parametrize("damage", DAMAGES)
def test_best_weights_of_an_earlier_epoch_are_irreplaceable(
    damage: Callable[[Path], None], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    worse_then_stopped = make_job(wrap=lambda s: at_step(3, 1, stop)(at_step(2, 1, worse)(s)))
    with pytest.raises(KeyboardInterrupt):
        train(folder, worse_then_stopped)
    best = folder / "best.safetensors"
    assert checkpoints.load(best).manifest["epoch"] == 1
    damage(best)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(UserError, match=r"the best weights .* of epoch 1, are lost: .*best\.safet"):
        train(folder, make_job(), resume=True)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["best", "last"])
@pytest.mark.parametrize("done", [2, EPOCHS])
def test_weights_of_the_last_epoch_are_written_again(
    damage: Callable[[Path], None],
    name: str,
    done: int,
    tmp_path: Path,
    whole: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "run"
    if done == EPOCHS:
        train(folder, make_job())
    else:
        with pytest.raises(KeyboardInterrupt):
            train(folder, make_job(wrap=at_step(done + 1, 1, stop)))
    damage(folder / f"{name}.safetensors")
    capsys.readouterr()
    train(folder, make_job(), resume=True)
    told = capsys.readouterr().err
    assert told.count("warning: ") == 1
    assert f"{name}.safetensors" in told
    assert "Written again from resume.pt" in told
    assert_same_run(folder, whole)


def test_weights_of_a_run_from_before_their_digest(tmp_path: Path, whole: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(folder, make_job(wrap=at_step(3, 1, stop)))
    state = checkpoints.load_resume_state(folder / "resume.pt")
    del state["progress"]["weights"]
    checkpoints.save_resume_state(folder / "resume.pt", state)
    train(folder, make_job(), resume=True)
    assert_same_run(folder, whole)


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    refused = []

    def second(_: object) -> None:
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        with (
            pytest.raises(UserError, match="another process is running in"),
            RunFolder.reopen(folder),
        ):
            pass
        refused.append(before == {path.name: path.read_bytes() for path in folder.iterdir()})

    train(folder, make_job(wrap=at_step(2, 2, second)))
    assert refused == [True]
