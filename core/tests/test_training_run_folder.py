"""Run folders: nothing is overwritten, and one process at a time."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from core.errors import UserError
from core.testing import run_json
from core.training import run_folder
from core.training.run_facts import read_facts
from core.training.run_folder import RESUME, RunFolder, refuse_unusable


def full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def create(path: Path) -> None:
    with RunFolder.create(path, "lr: 1\n", run_json()):
        pass


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_create_and_reopen(tmp_path: Path) -> None:
    path = tmp_path / "a" / "run"
    with RunFolder.create(path, "lr: 1\n", run_json()) as folder:
        folder.update(epochs_done=2)
        folder.write_metrics([{"epoch": 0}, {"epoch": 1}])
    assert (path / "config.yaml").read_text() == "lr: 1\n"
    assert json.loads((path / "run.json").read_text()) == run_json(epochs_done=2)
    assert (path / "metrics.jsonl").read_text() == '{"epoch": 0}\n{"epoch": 1}\n'
    (path / RESUME).touch()
    with RunFolder.reopen(path) as folder:
        assert folder.facts["epochs_done"] == 2


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    create(tmp_path)
    assert (tmp_path / "run.json").is_file()


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["run.json", RESUME], "is not overwritten; continue it with --resume '{}', or choose"),
        (["run.json"], "stopped before its first checkpoint; remove it, or choose another"),
        (["notes.txt"], "is not overwritten; choose another folder with --out"),
        ([".hidden"], "is not overwritten; choose another folder with --out"),
    ],
)
def test_a_folder_with_files_is_left_alone(names: list[str], told: str, tmp_path: Path) -> None:
    path = tmp_path / "a run; of mine"
    path.mkdir()
    for name in names:
        (path / name).write_text("mine")
    before = contents(path)
    with pytest.raises(UserError, match=re.escape(told.format(path))):
        create(path)
    assert contents(path) == before


def test_the_messages_about_a_run_without_a_checkpoint_agree(tmp_path: Path) -> None:
    """Neither sends to the other."""
    create(tmp_path / "run")
    with (
        pytest.raises(UserError, match="start it again in another folder, or remove this one"),
        RunFolder.reopen(tmp_path / "run"),
    ):
        pass
    with pytest.raises(UserError, match="remove it, or choose another folder with --out") as told:
        create(tmp_path / "run")
    assert "--resume" not in str(told.value)


@pytest.mark.parametrize(
    ("error", "status"), [(UserError("no log"), "failed"), (KeyboardInterrupt(), "interrupted")]
)
def test_a_run_that_ends_before_it_trains(
    error: BaseException, status: str, tmp_path: Path
) -> None:
    with pytest.raises(type(error)), RunFolder.create(tmp_path, "", {"status": "running"}):
        raise error
    assert json.loads((tmp_path / "run.json").read_text())["status"] == status


@pytest.mark.parametrize("status", ["failed", "interrupted"])
def test_the_status_needs_no_room(
    status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk takes no new file, but other bytes in the place of old ones."""
    started = {"status": "running", "seed": 3, "finished": None, "epochs_done": 0}
    with RunFolder.create(tmp_path, "", started) as folder:
        size = (tmp_path / "run.json").stat().st_size
        monkeypatch.setattr("os.fsync", full)
        folder.leave(status)
    monkeypatch.undo()
    assert (tmp_path / "run.json").stat().st_size == size
    facts = json.loads((tmp_path / "run.json").read_text())
    assert facts == {**started, "status": status}


@pytest.mark.parametrize("below", [".", "deeper/still"])
def test_a_file_in_the_way(below: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match=r"another.* --out"):
        create(tmp_path / "file" / below)
    assert contents(tmp_path) == {"file": b"mine"}


def test_a_full_disk_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UserError, match=r"No space left on device\); make room"):
        create(tmp_path / "run")


def test_one_process_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with RunFolder.create(path, "", run_json()):
        (path / RESUME).touch()
        before = contents(path)
        with (
            pytest.raises(UserError, match=re.escape(f"another process is running in {path}")),
            RunFolder.reopen(path),
        ):
            pass
        assert contents(path) == before
    with RunFolder.reopen(path):
        pass


def test_two_starts_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both saw an empty folder; the lock decides."""
    path = tmp_path / "run"
    with RunFolder.create(path, "first", {}):
        monkeypatch.setattr("core.training.run_folder._refuse_occupied", lambda path: None)
        with (
            pytest.raises(UserError, match="another process is running"),
            RunFolder.create(path, "second", {}),
        ):
            pass
    assert (path / "config.yaml").read_text() == "first"


def test_a_run_that_came_and_went_between_check_and_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run"
    check = run_folder._refuse_occupied

    def race(checked: Path) -> None:
        check(checked)
        checked.mkdir()
        (checked / "config.yaml").write_text("theirs")

    monkeypatch.setattr(run_folder, "_refuse_occupied", lambda p: (race, check)[p.exists()](p))
    with pytest.raises(UserError, match="not overwritten"):
        create(path)
    assert (path / "config.yaml").read_text() == "theirs"


def test_a_lock_of_a_killed_process_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    create(tmp_path)


def test_not_a_run_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a run folder"), RunFolder.reopen(tmp_path):
        pass
    assert contents(tmp_path) == {}


def test_nothing_to_resume_from(tmp_path: Path) -> None:
    create(tmp_path)
    with (
        pytest.raises(
            UserError, match="before its first checkpoint, so there is nothing to continue"
        ),
        RunFolder.reopen(tmp_path),
    ):
        pass


@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff\xfe\x00"])
def test_damaged_facts(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(UserError, match=r"run\.json.* put back a copy"):
        read_facts(tmp_path)


def test_a_place_that_cannot_be_used_is_refused_and_untouched(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=r"full exists already .*choose another folder with --out"):
        refuse_unusable(tmp_path / "full")
    with pytest.raises(UserError, match=r"cannot write the output folder .*file/run"):
        refuse_unusable(tmp_path / "file" / "run")
    refuse_unusable(tmp_path / "new" / "run")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_without_the_right_to_write_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(UserError, match=r"cannot write .*Permission denied\); choose another with"):
        refuse_unusable(tmp_path / "run")
