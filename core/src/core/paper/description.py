"""What a paper says about itself, for core to run it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal

import torch
from torch import Tensor, nn

from core.data.batches import RowBatches
from core.settings import SettingsT
from core.training.job import RunLog, Trained, go_on, nothing_more
from core.training.loop import Objective, TrainStep
from core.training.selection import Selects


@dataclass(frozen=True)
class Task:
    """A task, ready to train on; a paper derives from it what else its network needs to know.

    Attributes:
        data: Name of the data set, as records say it.
        data_digest: Identifies its bytes.
        inputs: ``I``.
        classes: ``C``.
        train: Shuffled training batches.
        validation: Selects the epoch. The very object ``test`` where the test set selects.
        test: The test set.
        remark: What else to tell about the samples.
    """

    data: str
    data_digest: str
    inputs: int
    classes: int
    train: RowBatches
    validation: RowBatches
    test: RowBatches
    remark: str = field(default="", kw_only=True)

    @property
    def test_is_validation(self) -> bool:
        """The test set selects the epoch."""
        return self.test is self.validation

    @property
    def samples(self) -> str:
        """Sizes of the splits, for people."""
        remark = f" ({self.remark})" if self.remark else ""
        if self.test_is_validation:
            return (
                f"{self.train.samples} training / {self.test.samples} test samples "
                f"(which also select the epoch){remark}"
            )
        return (
            f"{self.train.samples} training / {self.validation.samples} validation / "
            f"{self.test.samples} test samples{remark}"
        )


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        optimizer: Of the model's parameters.
        scheduler: Stepped after each epoch.
        train_step: One training step, such as :func:`core.training.loop.backpropagation_step`.
        selects: What the best epoch is chosen by.
        best_on_ties: Which of two equally good epochs is kept.
        after_epoch: See :class:`core.training.job.Job`, as for the next.
        stop: See there.
        log: Points for TensorBoard that only this paper has.
    """

    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler
    train_step: TrainStep
    selects: Selects = "val_loss"
    best_on_ties: Literal["first", "last"] = "first"
    after_epoch: Callable[[Trained], None] = nothing_more
    stop: Callable[[Sequence[Mapping[str, Any]]], str | None] = go_on
    log: RunLog | None = None


@dataclass(frozen=True)
class Loaded(Generic[SettingsT]):
    """A checkpoint of whatever origin, in the terms of this paper.

    Attributes:
        name: What records call it.
        config: Settings of its network and task.
        weights: By the names of the paper's network.
    """

    name: str
    config: SettingsT
    weights: dict[str, Tensor]


@dataclass(frozen=True)
class Tests:
    """How the weights of a run are tested at its end.

    Attributes:
        times: Tests, each with other random numbers; 0 for none, 1 where nothing is random.
        weights: Which ones.
    """

    times: int = 0
    weights: Literal["best", "last"] = "best"


@dataclass(frozen=True)
class Paper(Generic[SettingsT]):
    """What only one paper knows.

    Attributes:
        folder: ``papers/<name>``.
        configs: Config class by the name of the task.
        load_task: Settings and, for a network that exists already, its weights to the task.
        build: Settings and task to the network, its parameters from PyTorch's generator.
        objective: Loss and counts of a batch.
        recipe: Settings, network and objective to the way it is trained.
        run_name: Folder of a run, to which seed and time are added; see :func:`default_folder`.
        tests: How often, and with which weights, a run is tested at its end; see also
            ``evaluate.py``, which tests as often, but at least once.
        read_foreign: Reads checkpoints of other repositories; None where there are none.
        evaluation_flags: Settings that ``evaluate.py`` may change, beside those of all papers.
    """

    folder: Path
    configs: Mapping[str, type[SettingsT]]
    load_task: Callable[[SettingsT, Mapping[str, Tensor] | None], Any]
    build: Callable[[SettingsT, Any], nn.Module]
    objective: Callable[[SettingsT], Objective]
    recipe: Callable[[SettingsT, nn.Module, Objective], Recipe]
    run_name: Callable[[SettingsT, Path | None], Path] | None = None
    tests: Callable[[SettingsT], Tests] = lambda config: Tests()
    read_foreign: Callable[[Path, argparse.Namespace], Loaded[SettingsT]] | None = None
    evaluation_flags: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Of its folder."""
        return self.folder.name
