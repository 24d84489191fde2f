"""What ``--plot`` draws while a run trains, into ``plots/`` of its folder.

======================================  ========================================================
``epoch{e}_class{label}_{k}.png``       the first training sample of a class, in the first epoch
                                        and every ``plot_epoch_freq`` later, five times at most
``epoch{e}_balance_fr.png``             balance and firing rate of the batches of an epoch
======================================  ========================================================
"""

from __future__ import annotations

from pathlib import Path

import torch

from bsnn import plots
from bsnn.config import Config
from bsnn.models import BSNN
from bsnn.pictures import draw_sample
from core.data.batches import RowBatches
from core.paper import Prepared
from core.training.job import Trained

CLASSES = (0, 2, 4)
"""Whose samples the authors look at; of the two classes of the cue task, both."""
MOST = 5


def draw_epochs(prepared: Prepared[Config]) -> None:
    """Let the job draw after every epoch, before its weights may be refitted."""
    config, job, then = prepared.config, prepared.job, prepared.job.after_epoch
    classes = (
        [c for c in CLASSES if c < prepared.task.classes] if prepared.task.classes > 2 else [0, 1]
    )
    rows = _first_rows(prepared.task.train, classes) if config.is_spiking else {}

    def after(trained: Trained) -> None:
        folder = trained.folder / "plots"
        folder.mkdir(exist_ok=True)
        times, left = divmod(trained.epoch - 1, config.plot_epoch_freq)
        if left == 0 and times < MOST:
            for label, row in rows.items():
                path = folder / f"epoch{trained.epoch}_class{label}_{times}.png"
                _draw(path, trained, prepared.task.train, row, label)
        if config.track_balance:
            plots.balance_and_rate(
                folder / f"epoch{trained.epoch}_balance_fr.png",
                balance=trained.metrics.batches[f"balance_{config.balance_metric}"],
                rate=trained.metrics.batches["batch_rate"],
                metric=config.balance_metric,
            )
        then(trained)

    job.after_epoch = after


def _first_rows(train: RowBatches, classes: list[int]) -> dict[int, int]:
    """The first training sample of each class, if it is among the first hundred."""
    found: dict[int, int] = {}
    for row in range(min(100, train.samples)):
        _, labels = train.take(torch.tensor([row]), 0)
        if (label := int(labels[0])) in classes:
            found.setdefault(label, row)
        if len(found) == len(classes):
            break
    return found


@torch.no_grad()
def _draw(path: Path, trained: Trained, train: RowBatches, row: int, label: int) -> None:
    model = trained.model
    assert isinstance(model, BSNN)
    inputs_TBI, _ = train.take(torch.tensor([row]), 0)
    with torch.random.fork_rng(devices=[]):  # noise that is drawn must not change the run
        model.eval()
        x = inputs_TBI.to(next(iter(model.state_dict().values())).device)
        output = model.run(x)
        prediction = int(output.y.argmax(1))
        title = f"epoch {trained.epoch}, label {label}, prediction {prediction}"
        draw_sample(path, model, x, output, title=title)
