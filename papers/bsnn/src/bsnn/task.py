"""The tasks: cue accumulation, and spoken digits and commands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from bsnn.config import Config
from bsnn.models import Sizes, build
from core.data.batches import RowBatches
from core.data.cue_accumulation import CHANNELS, CLASSES, cue_batches
from core.data.presentation import LoaderOrder, slowed_batches
from core.paper import Task
from core.spoken.settings import SpokenSettings
from core.spoken.task import load_task as load_spoken


@dataclass(frozen=True)
class TimedTask(Task):
    """A task whose readout looks at the end of a sequence alone.

    Attributes:
        t_crop: First step that counts.
    """

    t_crop: int = field(default=0, kw_only=True)

    @property
    def sizes(self) -> Sizes:
        """What a network needs to know."""
        return Sizes(self.inputs, self.classes, self.t_crop)


def load_task(config: Config, weights: Mapping[str, Tensor] | None = None) -> TimedTask:
    """The task of ``config``, whatever the weights of the network.

    Raises:
        UserError: Data missing or damaged.
    """
    return _cues(config) if config.dataset == "cue" else _spoken(config)


def _cues(config: Config) -> TimedTask:
    size = config.samples
    cues = cue_batches(
        config.protocol,
        seed=config.seed,
        batch_size=config.batch_size,
        samples=(size, size, size),
        scale=config.dataset_scale,
        repeat=config.repeat,
    )
    task = TimedTask(
        data=f"cue-{config.protocol}",
        data_digest=cues.digest,
        inputs=CHANNELS,
        classes=CLASSES,
        train=cues.train,
        validation=cues.validation,
        test=cues.test,
        t_crop=cues.t_crop,
    )
    if config.protocol == "clean":
        return task
    return replace(task, train=_as_published(cues.train, config, task.sizes))


def _as_published(train: RowBatches, config: Config, sizes: Sizes) -> RowBatches:
    """In the authors' order, which begins where the network was drawn."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        build(config, sizes)
        return LoaderOrder(train, torch.get_rng_state())


def _spoken(config: Config) -> TimedTask:
    """Spoken digits or commands, of which the readout sees all steps."""
    given = load_spoken(
        SpokenSettings(
            dataset_name=config.dataset,  # type: ignore[arg-type]
            use_augm=config.augment,
            protocol="published" if config.protocol == "published" else "held-out",
            batch_size=config.batch_size,
            seed=config.seed,
            data=config.data,
            data_folder=config.data_folder,
            mirror=config.mirror,
        )
    )

    def presented(batches: RowBatches) -> RowBatches:
        return slowed_batches(batches, scale=config.dataset_scale, repeat=config.repeat)

    validation = presented(given.validation)
    return TimedTask(
        data=given.data,
        data_digest=given.data_digest,
        inputs=given.inputs,
        classes=given.classes,
        train=presented(given.train),
        validation=validation,
        test=validation if given.test_is_validation else presented(given.test),
        remark=given.remark,
    )
