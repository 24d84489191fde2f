"""A network so small that a whole run takes a moment, and a way to be killed while it writes.

As a program, ``training_toy.py FOLDER`` makes one run per entry of :data:`DEATHS` in a folder of
its own below FOLDER, each killed at its moment.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NoReturn

import torch
from torch import Tensor, nn

import core.files
from core import checkpoints
from core.data.batches import Batches
from core.metrics import BatchResult
from core.testing import run_json
from core.training.fit import fit
from core.training.job import Job
from core.training.loop import TrainStep, backpropagation_step
from core.training.run_folder import RunFolder
from core.training.schedules import linear_decay
from core.training.seeding import seed_everything

EPOCHS = 3
STEPS = 4
"""Training steps of an epoch."""

SECOND_EPOCH = {
    "best.safetensors": 3,
    "last.safetensors": 3,
    "resume.pt": 3,
    "metrics.jsonl": 4,
    "run.json": 5,
}
"""Files written after epoch 2, in this order: each with the count of that write in the run."""

MOMENTS = ("half written", "before its name", "after its name")
DEATHS = [(name, moment) for name in SECOND_EPOCH for moment in MOMENTS]


class Toy(nn.Module):
    """Two linear maps with dropout between them, which draws from PyTorch's generator."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 5), nn.Linear(5, 2)
        self.dropout = nn.Dropout(0.3)

    def forward(self, x_TBI: Tensor) -> Tensor:
        hidden = self.dropout(torch.tanh(self.first(x_TBI)))
        return torch.as_tensor(self.second(hidden).mean(0))


def objective(model: nn.Module, inputs_TBI: Tensor, targets_B: Tensor) -> BatchResult:
    logits_BC = model(inputs_TBI)
    loss = nn.functional.cross_entropy(logits_BC, targets_B)
    return BatchResult(
        loss=loss,
        value=loss.detach(),
        correct=(logits_BC.argmax(-1) == targets_B).sum(),
        predictions=len(targets_B),
        spikes=torch.tensor(7 * len(targets_B)),
        samples=len(targets_B),
    )


def _batches(count: int, data_seed: int, seed: int) -> Batches:
    generator = torch.Generator().manual_seed(data_seed)
    inputs_BTI = torch.randn(count, 4, 3, generator=generator)
    targets_B = (inputs_BTI.sum((1, 2)) > 0).long()
    return Batches(
        inputs_BTI,
        targets_B,
        batch_size=8,
        shuffle=data_seed == 0,
        seed=seed,
        transform=lambda x, y: (x.transpose(0, 1), y),
    )


def make_job(
    *,
    seed: int = 0,
    optimizer: type[torch.optim.Optimizer] = torch.optim.Adam,
    lr: float = 0.05,
    ties: Literal["first", "last"] = "last",
    wrap: Callable[[TrainStep], TrainStep] = lambda step: step,
) -> Job:
    seed_everything(seed)
    model = Toy()
    chosen = optimizer(model.parameters(), lr=lr)  # type: ignore[call-arg]
    return Job(
        model=model,
        objective=objective,
        train_step=wrap(backpropagation_step(objective, clip_norm=1.0)),
        optimizer=chosen,
        scheduler=linear_decay(EPOCHS)(chosen),
        train=_batches(8 * STEPS - 3, 0, seed),
        validation=_batches(16, 1, seed),
        test=_batches(16, 2, seed),
        epochs=EPOCHS,
        best_on_ties=ties,
        manifest={"paper": "toy"},
        device=torch.device("cpu"),
    )


def train(folder: Path, job: Job, *, resume: bool = False) -> list[dict[str, Any]]:
    opened = (
        RunFolder.reopen(folder) if resume else RunFolder.create(folder, "toy: true\n", run_json())
    )
    with opened as run_folder:
        return fit(job, run_folder, resume=resume)


def at_step(epoch: int, step: int, action: Callable[[nn.Module], object]) -> Any:
    """For ``wrap``: call ``action(model)`` before this training step, steps counted from 1."""

    def wrap(train_step: TrainStep) -> TrainStep:
        count = 0

        def acting(
            model: nn.Module, inputs: Tensor, targets: Tensor, optimizer: torch.optim.Optimizer
        ) -> BatchResult:
            nonlocal count
            count += 1
            if count == (epoch - 1) * STEPS + step:
                action(model)
            return train_step(model, inputs, targets, optimizer)

        return acting

    return wrap


def stop(_: object) -> NoReturn:
    raise KeyboardInterrupt


def rows(folder: Path) -> list[dict[str, Any]]:
    """``metrics.jsonl`` without what no two runs share."""
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """The leaves of nested containers by path, times left out."""
    if isinstance(value, dict):
        items = [(key, item) for key, item in value.items() if key != "seconds"]
    elif isinstance(value, list | tuple):
        items = list(enumerate(value))
    else:
        return {path: value}
    return {key: leaf for k, v in items for key, leaf in flat(v, f"{path}/{k}").items()}


def assert_same_bits(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    ours, theirs = flat(ours), flat(theirs)
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        if isinstance(value, Tensor):
            assert value.dtype == theirs[key].dtype, key
            assert torch.equal(value, theirs[key]), key
        else:
            assert value == theirs[key], key


def assert_same_run(folder: Path, whole: Path) -> None:
    assert rows(folder) == rows(whole)
    assert [row["epoch"] for row in rows(folder)] == list(range(EPOCHS + 1))
    for name in ("best", "last"):
        ours, theirs = (checkpoints.load(f / f"{name}.safetensors") for f in (folder, whole))
        assert_same_bits(ours.weights, theirs.weights)
        assert ours.manifest["epoch"] == theirs.manifest["epoch"]
    states = [checkpoints.load_resume_state(f / "resume.pt") for f in (folder, whole)]
    assert_same_bits(*states)
    assert facts(folder)["status"] == "finished"
    assert facts(folder)["epochs_done"] == EPOCHS


def facts(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return content


def die(*_: object) -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("survived SIGKILL")


class _DiesHalfway(io.RawIOBase):
    def __init__(self, file: Any) -> None:
        self.file = file

    def write(self, content: Any) -> int:
        self.file.write(bytes(content)[: len(content) // 2])
        self.file.flush()
        die()


def die_while_writing(name: str, count: int, moment: str) -> None:
    """Let this process be killed at its ``count``-th write of the file ``name``."""
    written = 0
    replace = os.replace

    def open_(path: Path, mode: str) -> Any:
        nonlocal written
        file = open(path, mode)  # noqa: SIM115  the caller closes it
        if path.name.startswith(f".{name}."):
            written += 1
            if written == count and moment == "half written":
                return _DiesHalfway(file)
        return file

    def replace_(source: Path, target: Path) -> None:
        mine = target.name == name and written == count
        if mine and moment == "before its name":
            die()
        replace(source, target)
        if mine:
            die()

    core.files.open = open_  # type: ignore[attr-defined]
    os.replace = replace_  # type: ignore[assignment]


def warm_up() -> None:
    """Import what PyTorch imports late, once instead of in every child; no autograd before forks.

    A backward pass here could start threads, which do not survive into the children.
    """
    job = make_job()
    for parameter in job.model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    job.optimizer.step()
    torch.save(job.optimizer.state_dict(), io.BytesIO())


def main(root: Path) -> None:
    warm_up()
    for name, moment in DEATHS:
        child = os.fork()
        if child == 0:
            die_while_writing(name, SECOND_EPOCH[name], moment)
            train(root / name / moment, make_job())
            os._exit(1)
        if not os.WIFSIGNALED(os.waitpid(child, 0)[1]):
            sys.exit(f"the run that should die with {name} {moment} did not")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
