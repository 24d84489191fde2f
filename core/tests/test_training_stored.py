"""A run that goes on is the run that its folder holds, or it is refused by name."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from core import checkpoints
from core.config import config_hash, to_dict, to_yaml
from core.config_ranges import number
from core.errors import UserError
from core.testing import contents, run_json
from core.training.fit import fit
from core.training.job import Job
from core.training.run_folder import RunFolder
from core.training.stored import reopen, stored_settings, stored_threads

from .training_toy import at_step, facts, make_job, stop


@dataclass(frozen=True)
class Config:
    lr: float = number(0.1)
    epochs: int = number(5)
    seed: int = number(0)
    data: str = "original"
    device: str = field(default="auto", metadata={"hash": False})


SETTINGS = Config(lr=0.2, epochs=3, seed=4, data="embedded", device="cpu")


def write(folder: Path, **more: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(to_yaml(SETTINGS))
    run = run_json(config=to_dict(SETTINGS), config_hash=config_hash(SETTINGS), seed=4) | more
    (folder / "run.json").write_text(json.dumps(run))
    return folder


def edit(folder: Path, change: Callable[[str], str]) -> None:
    path = folder / "config.yaml"
    path.write_text(change(path.read_text()))


def stored(folder: Path, config_class: Any = Config, longer: str | None = None) -> Any:
    return stored_settings(config_class, folder, longer=longer)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda text: text[: text.index("seed")], "it lacks seed, data, device; put back a copy"),
        (lambda text: text[: text.index("device")], "it lacks device;"),
        (lambda text: "", "it lacks lr, epochs, seed, data, device"),
        (lambda text: text.replace("seed: 4", "seed: 5"), "it has another seed;"),
        (lambda text: text.replace("0.2", "0.3").replace("3", "4"), "another lr, epochs;"),
        (lambda text: text[: text.index("data")].replace("0.2", "1"), "data, device; .*another lr"),
    ],
)
@pytest.mark.parametrize("repeated", [True, False], ids=["", "without the settings in run.json"])
def test_settings_that_are_not_those_of_the_run(
    change: Callable[[str], str], problem: str, repeated: bool, tmp_path: Path
) -> None:
    folder = write(tmp_path, **({} if repeated else {"config": None}))
    assert stored(folder) == SETTINGS
    edit(folder, change)
    if not repeated and "lacks device;" in problem:
        assert stored(folder) == replace(SETTINGS, device="auto")  # no result depends on it
        return
    if not repeated:
        problem = "it lacks" if "data" in problem else r"another hash \(\w+ instead of \w+\)"
    with pytest.raises(UserError, match=rf"config\.yaml is not what the run started .*{problem}"):
        stored(folder)


def test_another_seed_in_run_json(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="it has another seed"):
        stored(write(tmp_path, seed=1))


def test_a_run_from_before_a_setting_existed(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Later(Config):
        momentum: float = number(0.9)
        threads: int = number(0, metadata={"hash": False})

    for more in ({}, {"config": None}):
        folder = write(tmp_path, **more)
        assert to_dict(stored(folder, Later)) == {
            **to_dict(SETTINGS),
            **{"momentum": 0.9, "threads": 0},
        }


def test_a_run_that_is_to_be_longer(tmp_path: Path) -> None:
    folder = write(tmp_path)
    edit(folder, lambda text: text.replace("epochs: 3", "epochs: 8"))
    assert stored(folder, longer="epochs") == replace(SETTINGS, epochs=8)
    with pytest.raises(UserError, match="another epochs"):
        stored(folder)
    write(tmp_path, epochs_planned=-1)
    assert stored(folder, longer="epochs") == SETTINGS
    for planned in (None, "many", True):
        write(tmp_path, epochs_planned=planned)
        with pytest.raises(UserError, match="epochs_planned must be a whole number, found"):
            stored(folder, longer="epochs")


# --- what is opened -------------------------------------------------------------------------------

CODE: dict[str, Any] = {
    **{"commit": "a", "versions": {"torch": "1"}},
    **{"device": "cpu", "device_name": "a CPU", "backend": "cpu"},
}


def job(**manifest: Any) -> Job:
    data = {"name": "toy", "digest": "a"}
    return replace(make_job(), manifest={"data": data, **CODE, **manifest})


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """A run that was stopped in its second epoch."""
    made = replace(make_job(wrap=at_step(2, 2, stop)), manifest=job().manifest)
    opened = RunFolder.create(tmp_path / "run", "toy: true\n", run_json(**made.manifest))
    with opened as folder, pytest.raises(KeyboardInterrupt):
        fit(made, folder)
    return tmp_path / "run"


def test_other_data(stopped: Path) -> None:
    before = contents(stopped)
    other = job(data={"name": "toy", "digest": "b"})
    with pytest.raises(UserError, match=r"was trained on .*and the data here are"):  # noqa: SIM117
        with reopen(stopped, other):
            pass
    assert contents(stopped) == before


@pytest.mark.parametrize("key", ["commit", "device", "device_name", "backend"])
def test_what_bits_depend_on_is_said_and_recorded(
    key: str, stopped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for value in (CODE[key], "b", "b", "c"):
        with reopen(stopped, job(**{key: value})):
            pass
    assert [(step["after_epoch"], step[key]) for step in facts(stopped)["resumed"]] == [
        *((1, "b"), (1, "c"))
    ]
    warnings = re.findall("warning: .* other code, versions or mach", capsys.readouterr().err)
    assert len(warnings) == 2


def test_a_step_from_before_it_named_the_machine(
    stopped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with RunFolder.reopen(stopped) as folder:
        step = {"after_epoch": 0, "commit": "a", "versions": CODE["versions"]}
        folder.update(resumed=[step])
    with reopen(stopped, job()):
        assert capsys.readouterr().err == ""


def test_threads_are_kept(tmp_path: Path) -> None:
    folder = write(tmp_path, threads=3)
    assert [stored_threads(folder, asked) for asked in (0, 3)] == [3, 3]
    with pytest.raises(UserError, match=r"^--resume continues .* number of threads, which is 3;"):
        stored_threads(folder, 2)
    assert stored_threads(write(tmp_path / "unknown", threads=0), 2) == 2


def test_resume_state_of_another_run(stopped: Path) -> None:
    """The same network on the same data, from another seed: the shapes of all tensors fit."""
    other = job(config={"seed": 1})
    before = contents(stopped)
    with reopen(stopped, other) as folder, pytest.raises(UserError, match="is of another run"):
        fit(other, folder, resume=True)
    assert contents(stopped) == before


def test_resume_state_from_before_it_named_its_run(stopped: Path) -> None:
    state = checkpoints.load_resume_state(stopped / "resume.pt")
    del state["run"]
    checkpoints.save_resume_state(stopped / "resume.pt", state)
    with reopen(stopped, job()) as folder:
        assert len(fit(job(), folder, resume=True)) == 4
