"""``python main.py NAME``: networks at their start, looked at on single samples of the cue task.

All have seed 0, one layer of single-spike RLIF neurons without dropout and normalisation, 20 steps
per millisecond, and inputs of 200; other flags stay as they are given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bsnn.balance import Balance, balance
from bsnn.config import Config
from bsnn.drives import drives_of
from bsnn.models import BSNN, build
from bsnn.pictures import draw_estimate, draw_sample
from bsnn.task import TimedTask, load_task
from core.errors import UserError
from core.layers import NetworkOutput
from core.training.seeding import seed_everything

COMMON: dict[str, Any] = {
    "seed": 0,
    "model": "RLIF",
    "dataset": "cue",
    "n_layers": 1,
    "dropout": 0.0,
    "normalization": "none",
    "track_balance": True,
    "repeat": 20,
    "plot": True,
    "batch_size": 1,
    "single_spike": True,
    "dataset_scale": 200.0,
}
FOLDER = Path("exp/tmp")
"""Where pictures go without ``--new-exp-folder``."""
FACTORS, SAMPLES = np.linspace(0.5, 1.0, 18), 5
"""Of :func:`balanced_ae_samples`."""


@dataclass(frozen=True)
class Named:
    """What a name stands for.

    Attributes:
        settings: Beside those that all have.
        run: Told settings and folder.
    """

    settings: dict[str, Any]
    run: Callable[[Config, Path], None]


def run_named(name: str, config: Config) -> None:
    """Do what ``python main.py NAME`` asks for.

    Args:
        name: One of :data:`NAMES`.
        config: Settings, of which those that the name stands for are replaced.

    Raises:
        UserError: There is no such name, or its files cannot be written.
    """
    if name not in NAMES:
        raise UserError(f"main.py has no function {name!r}; there are {', '.join(NAMES)}")
    named = NAMES[name]
    folder = config.out or FOLDER
    try:
        named.run(replace(config, **COMMON, **named.settings), folder)
    except OSError as error:
        raise UserError(
            f"cannot write into {folder} ({error.strerror}); choose another --new-exp-folder"
        ) from error


def ae_sample(config: Config, folder: Path) -> None:
    """One forward pass of an auto-encoder: its balance, its picture, its signal and estimate."""
    model, x, _, output = next(_passes(config))
    print(_told(_balance(model, x, output)))
    _draw(folder / "plots" / "plot.png", model, x, output, title="auto-encoder")
    path = folder / "plots" / "estimate.png"
    error = _writing(path, lambda: draw_estimate(path, model, x, output))
    print(f"mean squared error of the estimate: {100 * error:.3g} % of the signal's square")


def balanced_ae_samples(config: Config, folder: Path) -> None:
    """Balance by the factor on the recurrent weights, a mean over samples, as ``balances.csv``.

    As published, the factor reaches nothing; here it is ``V_scale``. Row 0 has the factors, row 1
    the means of the chosen metric.
    """
    means = []
    for factor in FACTORS:
        scaled = replace(config, V_scale=float(factor))
        passes = [p for p, _ in zip(_passes(scaled), range(SAMPLES), strict=False)]
        found = [_balance(model, x, output) for model, x, _, output in passes]
        means.append(float(np.mean([getattr(one, config.balance_metric) for one in found])))
        print(f"factor {factor:.3f}: balance ({config.balance_metric}) {means[-1]:.4f}")
    path = folder / "balances.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    table = np.stack([FACTORS, means])
    _writing(path, lambda: np.savetxt(path, table, delimiter=",", fmt="%.6g"))


def labelled_sample(config: Config, folder: Path) -> None:
    """One forward pass of a classifier: output, prediction, balance and picture."""
    model, x, label, output = next(_passes(config))
    prediction = int(output.y.argmax(1))
    print(f"output: {', '.join(f'{score:.6g}' for score in output.y[0].tolist())}")
    print(f"prediction {prediction}, label {label}: accuracy {float(prediction == label):.1f}")
    print(_told(_balance(model, x, output)))
    title = f"label {label}, prediction {prediction}"
    _draw(folder / "plots" / "plot.png", model, x, output, title=title)


_AE: dict[str, Any] = {"neurons": 400, "auto_encoder": True}
NAMES: dict[str, Named] = {
    "run_unbalanced_ae_sample": Named({**_AE, "balance": False}, ae_sample),
    "run_balanced_ae_sample": Named({**_AE, "balance": True}, ae_sample),
    "run_balanced_ae_samples": Named({**_AE, "balance": True}, balanced_ae_samples),
    "run_balanced_sample": Named(
        {"neurons": 400, "balance": True, "fix_w_rec": True}, labelled_sample
    ),
    "run_sample": Named({"neurons": 100, "balance": False}, labelled_sample),
}
"""By the authors' names of the functions."""


def _passes(config: Config) -> Iterator[tuple[BSNN, Tensor, int, NetworkOutput]]:
    """Network, input, label and output, sample by sample of the first epoch."""
    # An auto-encoder has the task of the network that it is the first half of.
    task: TimedTask = load_task(config)
    seed_everything(config.seed)
    model = build(config, task.sizes).eval()
    for x, labels in task.train.epoch(1):
        with torch.no_grad():
            output = model.run(x)
        yield model, x, int(labels[0]), output


def _balance(model: BSNN, x: Tensor, output: NetworkOutput) -> Balance:
    published = model.config.currents == "published"
    (drive,) = drives_of(model, x, output, published=published)
    return balance(drive)


def _told(found: Balance) -> str:
    return "balance: " + ", ".join(f"{name} {value:.4f}" for name, value in found._asdict().items())


def _draw(path: Path, model: BSNN, x: Tensor, output: NetworkOutput, *, title: str) -> None:
    _writing(path, lambda: draw_sample(path, model, x, output, title=title))


def _writing(path: Path, write: Callable[[], Any]) -> Any:
    """Write a file and say where it is."""
    note = ", in place of an earlier one" if path.exists() else ""
    result = write()
    print(f"wrote {path}{note}")
    return result
