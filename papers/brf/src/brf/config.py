"""Settings of the paper's experiments, and how a command line becomes them.

Imports nothing heavy, so that ``--help`` is instant.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from core import settings
from core.config import flag_value
from core.config_ranges import number
from core.errors import UserError
from core.paths import user_path
from core.settings import Settings, take_data_word
from core.training.run_facts import read_facts

PAPER = Path(__file__).resolve().parents[2]
TaskName = Literal["ecg", "smnist", "psmnist", "shd", "gsc"]
NeuronName = Literal["brf", "rf", "hrf", "alif"]

_MEAN_AND_STD = (-1e4, 0.0)


@dataclass(frozen=True)
class Config(Settings):
    """Settings that all tasks share; the files in ``configs/`` hold the paper's recipes."""

    neuron: NeuronName = "brf"
    """Hidden neurons; hrf is the paper's BHRF. Chooses the recipe of configs/ to start from."""
    hidden: int = number(36, least=1, most=16384)
    """Number of hidden neurons."""
    bias: bool = False
    """Trainable biases in both layers."""
    omega: tuple[float, float] = number((3.0, 5.0), least=-1e3, most=1e3, ascending=True)
    """Resonators: angular frequency starts uniform in this range, rad/s."""
    b_offset: tuple[float, float] = number((0.1, 1.0), least=-1e3, most=1e3, ascending=True)
    """Resonators: damping offset starts uniform in this range, 1/s."""
    tau_mem: tuple[float, float] = number((20.0, 0.5), least=_MEAN_AND_STD, most=1e4)
    """ALIF: mean and std of the initial membrane time constants, steps."""
    tau_adp: tuple[float, float] = number((7.0, 0.2), least=_MEAN_AND_STD, most=1e4)
    """ALIF: mean and std of the initial adaptation time constants, steps."""
    tau_out: tuple[float, float] = number((20.0, 1.0), least=_MEAN_AND_STD, most=1e4)
    """Mean and std of the initial readout time constants, steps (see readout_decay)."""
    decay: Literal["exponential", "linear"] = "exponential"
    """Decay of the hidden neurons; linear is the extension of the seed repository."""
    readout_decay: Literal["exponential", "sigmoid", "linear"] = "exponential"
    """Decay of the readout; with sigmoid, tau_out is the mean and std of its argument."""
    optimizer: Literal["adam", "radam", "rmsprop"] = "adam"
    """Optimiser, with its default betas and no weight decay."""
    lr: float = number(0.1, above=0, most=1e4)
    """Learning rate of the first epoch; it falls linearly to lr / epochs in the last."""
    batch_size: int = number(16, least=1, most=10**6)
    """Sequences per training step."""
    epochs: int = number(400, least=0, most=10**6)
    """Training epochs."""
    clip_norm: float | None = number(None, above=0, most=1e6)
    """Largest global gradient norm; none for no clipping."""
    sub_seq_length: int = number(0, least=0, most=10**6)
    """First steps that count neither in loss nor in accuracy."""
    best_on_ties: Literal["first", "last"] = "last"
    """Which of two epochs with equal validation loss is kept."""
    val_fraction: float = number(0.1, above=0, below=1)
    """Part of the training data held out to select the epoch."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.neuron == "hrf" and self.decay != "exponential":
            raise ValueError("hrf has no linear decay")

    @property
    def model(self) -> str:
        """Name of the hidden neurons."""
        return self.neuron


@dataclass(frozen=True)
class EcgConfig(Config):
    """Settings of ECG wave segmentation (QTDB)."""

    @property
    def task(self) -> TaskName:
        """``ecg``."""
        return "ecg"


@dataclass(frozen=True)
class SmnistConfig(Config):
    """Settings of sequential MNIST."""

    permuted: bool = False
    """PS-MNIST: one random order of the pixels for all images."""
    label_last: bool = False
    """Loss and prediction from the last step only; otherwise from all steps."""
    tbptt_steps: int | None = number(None, least=1, most=10**6)
    """Truncate backpropagation to this many steps; none for the whole sequence."""
    lambda_spike: float = number(0.0, least=0, most=1e3)
    """Energy-aware loss: weight of the number of spikes per sample."""
    train_fraction: float = number(1.0, above=0, most=1)
    """Part of every class of the training images that is used (seed repository: 0.5)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tbptt_steps is not None and (self.lambda_spike or self.sub_seq_length):
            raise ValueError("tbptt_steps goes neither with lambda_spike nor with sub_seq_length")

    @property
    def task(self) -> TaskName:
        """``smnist`` or ``psmnist``."""
        return "psmnist" if self.permuted else "smnist"


@dataclass(frozen=True)
class ShdConfig(Config):
    """Settings of the Spiking Heidelberg Digits."""

    data: Literal["original", "regenerated", "embedded"] = "original"  # type: ignore[assignment]
    """The published files, the same converted again from the audio, or a small stand-in."""
    data_folder: Path | None = field(default=None, metadata={"hash": False})
    """Folder with the published files (by default fetched once and cached), or a word for data."""

    def __post_init__(self) -> None:
        super().__post_init__()
        take_data_word(self, ("regenerated", "embedded"))

    @property
    def task(self) -> TaskName:
        """``shd``."""
        return "shd"


@dataclass(frozen=True)
class GscConfig(Config):
    """Settings of Google Speech Commands."""

    val_fraction: float = number(0.1, above=0, below=1)
    """Not for this task, whose validation set is official."""
    label_last: bool = True
    """Loss and prediction from the last step only; otherwise from all steps."""
    standardize: bool = True
    """Bring every coefficient of a batch to mean 0 and deviation 1, in tests too."""
    data_percentage: float = number(25.0, above=0, most=100)
    """Part of the files of every split that is used, always the same ones."""
    data: Literal["original", "subset", "embedded"] = "original"  # type: ignore[assignment]
    """The published files, a few of them, or a small stand-in."""
    data_folder: Path | None = field(default=None, metadata={"hash": False})
    """Folder with the published files (by default fetched once and cached), or a word for data."""

    def __post_init__(self) -> None:
        super().__post_init__()
        take_data_word(self, ("subset", "embedded"))
        if self.val_fraction != 0.1:
            raise ValueError("val_fraction is not for gsc, whose validation set is official")

    @property
    def task(self) -> TaskName:
        """``gsc``."""
        return "gsc"


CONFIGS: dict[str, type[Config]] = {
    "ecg": EcgConfig,
    "smnist": SmnistConfig,
    "psmnist": SmnistConfig,
    "shd": ShdConfig,
    "gsc": GscConfig,
}
SCRIPTS = {
    "ecg": "train_ecg.py",
    "smnist": "train_smnist.py",
    "psmnist": "train_smnist.py",
    "shd": "train_shd.py",
    "gsc": "train_gsc.py",
}
"""What trains on a task."""


def recipe_file(task: str, neuron: str) -> Path:
    """The file with the paper's settings for a task and neuron."""
    return PAPER / "configs" / f"{task}_{neuron}.yaml"


def checkpoint_parser(prog: str, does: str, *, recorded: bool = True) -> argparse.ArgumentParser:
    """The command line of a script that takes a checkpoint, see :mod:`brf.published`."""
    parser = settings.evaluation_parser(
        "a *.pt file of the authors' or the seed repository, by its name where it is published",
        prog=prog,
        does=does,
        recorded=recorded,
    )
    parser.add_argument("--task", choices=list(CONFIGS), help="for a *.pt file that is not known")
    parser.add_argument(
        "--neuron", choices=["brf", "rf", "alif"], help="for a *.pt file that is not known"
    )
    parser.add_argument(
        "--permutation", type=user_path, help="pixel order of a *.pt PS-MNIST network"
    )
    return parser


def add_scoring_flags(parser: argparse.ArgumentParser, folder: str) -> None:
    """Flags of every such script, see :mod:`brf.scoring`."""
    parser.add_argument("--samples", type=int, help="of the test set, from its start (all)")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn (0)")
    parser.add_argument(
        "--out",
        type=user_path,
        default=Path(folder),
        help=f"folder for NAME.jsonl and NAME.png ({folder}); given again, the command goes on "
        "where it stopped",
    )


def parse_command_line(argv: Sequence[str], *, prog: str, task: str) -> tuple[Config, Path | None]:
    """Settings of a training script, and the file they start from.

    ``--neuron`` and ``--permuted`` choose a recipe of ``configs/``; see
    :func:`core.settings.parse_command_line` for the other ways.

    Raises:
        UserError: Wrong flags, values or files.
    """
    permuted = flag_value(argv, "permuted") not in (None, "false", "no", "off", "0")
    chosen = "psmnist" if task == "smnist" and permuted else task
    given = flag_value(argv, "neuron")
    # of a wrong one, the parser complains best
    neuron = given if given and given in get_args(NeuronName) else "brf"

    def is_of_task(folder: Path) -> None:
        found = read_facts(folder).get("task")
        if (other := SCRIPTS.get(str(found))) != prog:
            instead = f"; use {other}" if other else ""
            raise UserError(f"{folder} is a run of {found}, not one of {prog}{instead}")

    return settings.parse_command_line(
        CONFIGS[task],
        argv,
        prog=prog,
        description=f"Train a network of the BRF paper on {task}.",
        paper=PAPER.name,
        recipe=recipe_file(chosen, neuron),
        check=is_of_task,
    )
