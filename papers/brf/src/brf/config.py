"""Settings of the paper's experiments, and how a command line becomes them.

Imports nothing heavy, so that ``--help`` is instant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core import settings
from core.config import flag_value
from core.errors import UserError
from core.settings import Settings
from core.training.run_facts import read_facts

PAPER = Path(__file__).resolve().parents[2]
TaskName = Literal["ecg", "smnist", "psmnist"]


@dataclass(frozen=True)
class Config(Settings):
    """Settings that all tasks share; the files in ``configs/`` hold the paper's recipes."""

    neuron: Literal["brf", "rf", "hrf", "alif"] = "brf"
    """Hidden neurons; hrf is the paper's BHRF. Chooses the recipe of configs/ to start from."""
    hidden: int = 36
    """Number of hidden neurons."""
    bias: bool = False
    """Trainable biases in both layers."""
    omega: tuple[float, float] = (3.0, 5.0)
    """Resonators: angular frequency starts uniform in this range, rad/s."""
    b_offset: tuple[float, float] = (0.1, 1.0)
    """Resonators: damping offset starts uniform in this range, 1/s."""
    tau_mem: tuple[float, float] = (20.0, 0.5)
    """ALIF: mean and std of the initial membrane time constants, steps."""
    tau_adp: tuple[float, float] = (7.0, 0.2)
    """ALIF: mean and std of the initial adaptation time constants, steps."""
    tau_out: tuple[float, float] = (20.0, 1.0)
    """Mean and std of the initial readout time constants, steps (see readout_decay)."""
    decay: Literal["exponential", "linear"] = "exponential"
    """Decay of the hidden neurons; linear is the extension of the seed repository."""
    readout_decay: Literal["exponential", "sigmoid", "linear"] = "exponential"
    """Decay of the readout; with sigmoid, tau_out is the mean and std of its argument."""
    optimizer: Literal["adam", "radam"] = "adam"
    """Optimiser, with its default betas and no weight decay."""
    lr: float = 0.1
    """Learning rate of the first epoch; it falls linearly to lr / epochs in the last."""
    batch_size: int = 16
    """Sequences per training step."""
    epochs: int = 400
    """Training epochs."""
    clip_norm: float | None = None
    """Largest global gradient norm; none for no clipping."""
    sub_seq_length: int = 0
    """First steps that count neither in loss nor in accuracy."""
    best_on_ties: Literal["first", "last"] = "last"
    """Which of two epochs with equal validation loss is kept."""
    val_fraction: float = 0.1
    """Part of the training data held out to select the epoch."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("hidden", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("epochs", "sub_seq_length"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must not be negative")
        for name in ("lr", "clip_norm"):
            if getattr(self, name) is not None and getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be above 0")
        for name in ("omega", "b_offset"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} is {low} {high}; the lower end of the range comes first")
        for name in ("tau_mem", "tau_adp", "tau_out"):
            if getattr(self, name)[1] < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; a std must not be negative")
        if not 0.0 < self.val_fraction < 1.0:
            raise ValueError(f"val_fraction is {self.val_fraction}; it must be between 0 and 1")
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
    tbptt_steps: int | None = None
    """Truncate backpropagation to this many steps; none for the whole sequence."""
    lambda_spike: float = 0.0
    """Energy-aware loss: weight of the number of spikes per sample."""
    train_fraction: float = 1.0
    """Part of every class of the training images that is used (seed repository: 0.5)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 < self.train_fraction <= 1.0:
            raise ValueError(f"train_fraction is {self.train_fraction}; it must be in (0, 1]")
        if self.tbptt_steps is not None and self.tbptt_steps < 1:
            raise ValueError(f"tbptt_steps is {self.tbptt_steps}; it must be at least 1")
        if self.lambda_spike < 0:
            raise ValueError(f"lambda_spike is {self.lambda_spike}; it must not be negative")
        if self.tbptt_steps is not None and (self.lambda_spike or self.sub_seq_length):
            raise ValueError("tbptt_steps goes neither with lambda_spike nor with sub_seq_length")

    @property
    def task(self) -> TaskName:
        """``smnist`` or ``psmnist``."""
        return "psmnist" if self.permuted else "smnist"


CONFIGS: dict[str, type[Config]] = {
    "ecg": EcgConfig,
    "smnist": SmnistConfig,
    "psmnist": SmnistConfig,
}


def recipe_file(task: str, neuron: str) -> Path:
    """The file with the paper's settings for a task and neuron."""
    return PAPER / "configs" / f"{task}_{neuron}.yaml"


def parse_command_line(argv: Sequence[str], *, prog: str, task: str) -> tuple[Config, Path | None]:
    """Settings of a training script, and the file they start from.

    ``--neuron`` and ``--permuted`` choose a recipe of ``configs/``; see
    :func:`core.settings.parse_command_line` for the other ways.

    Raises:
        UserError: Wrong flags, values or files.
    """
    permuted = flag_value(argv, "permuted") not in (None, "false", "no", "off", "0")
    chosen = "psmnist" if task == "smnist" and permuted else task

    def is_of_task(folder: Path) -> None:
        found = read_facts(folder).get("task")
        if (found == "ecg") != (task == "ecg"):
            other = "train_ecg.py" if found == "ecg" else "train_smnist.py"
            raise UserError(f"{folder} is a run of {found}, not one of {prog}; use {other}")

    return settings.parse_command_line(
        CONFIGS[task],
        argv,
        prog=prog,
        description=f"Train a network of the BRF paper on {task}.",
        paper=PAPER.name,
        recipe=recipe_file(chosen, flag_value(argv, "neuron") or "brf"),
        check=is_of_task,
    )
