"""Settings of the paper's experiments, and how a command line becomes them.

The keys are the flags of the authors' scripts. Imports nothing heavy, so that ``--help`` is
instant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from core import settings
from core.config import flag_value
from core.config_ranges import number
from core.errors import UserError
from core.settings import Settings

PAPER = Path(__file__).resolve().parents[2]
STATIC = ("MNIST", "FashionMNIST", "CIFAR10")
LAYERS = {"NMNIST": 2, "CIFAR10DVS": 4, "DVS128Gesture": 5}
"""Convolutions of the published networks for events."""
OLD_SPELLINGS = {"-data_dir": "data_folder"}
DATA_WORDS = ("embedded", "subset")
"""What ``-data_dir`` may say instead of a folder; stored as ``data``."""
REQUIRED = ("init_tau", "dataset_name", "T", "max_epoch")
"""Flags without which the authors' scripts do not run."""

_PLACE: Any = {"hash": False}  # a setting that no result depends on


@dataclass(frozen=True)
class Config(Settings):
    """Settings of ``train.py`` and ``train_val.py``."""

    dataset_name: Literal[
        "MNIST", "FashionMNIST", "CIFAR10", "NMNIST", "CIFAR10DVS", "DVS128Gesture"
    ] = "MNIST"
    """Data set: three of images, three of events."""
    init_tau: float = number(2.0, above=1, most=1e6)
    """Time constant in steps of all LIF neurons; where it is trained, its (mean) initial value."""
    use_plif: bool = False
    """Train the time constants: PLIF neurons."""
    tau_per_neuron: bool = False
    """One time constant per neuron instead of one per layer."""
    tau_std_dev: float = number(0.0, least=0, most=1e6)
    """Standard deviation of the initial time constants with tau_per_neuron."""
    tau_init: Literal["lognormal", "shifted_lognormal"] = "lognormal"
    """How these are drawn: as published, or as the thesis writes, where all are above 1."""
    reg_lambda: float = number(0.0, least=0, most=1e6)
    """Weight of the penalty on the variance of the time constants of a layer."""
    regulariser: Literal["var_w", "var_tau"] = "var_w"
    """Variance of w, as published, or of tau, as the thesis writes."""
    alpha_learnable: bool = False
    """Train the slope of the surrogate, one per layer."""
    use_max_pool: bool = False
    """Max pooling instead of average pooling."""
    detach_reset: bool = False
    """Keep the gradient out of the reset."""
    T: int = number(8, least=1, most=10_000)
    """Time steps: frames of an event set, or repetitions of an image."""
    channels: int | None = number(None, least=1, most=4096)
    """Channels of the convolutions; none for those published (128, CIFAR10 256)."""
    number_layer: int | None = number(None, least=1, most=7)
    """Convolutions for events; none for those published (NMNIST 2, CIFAR10DVS 4, gestures 5)."""
    hidden: int | None = number(None, least=1, most=10**6)
    """Hidden neurons; none for those published (images 2048, events a quarter of the inputs)."""
    batch_norm: Literal["step", "sequence"] = "step"
    """Statistics of batch norm while training: of each time step, as published, or of all."""
    dropout: float = number(0.5, least=0, below=1)
    """Probability, with one mask for all time steps."""
    split_by: Literal["number", "time"] = "number"
    """Frames of an equal number of events, or of equal time."""
    normalization: Literal["None", "frequency", "max", "norm", "sum"] = "None"
    """What is done to the counts of a frame."""
    batch_size: int = number(16, least=1, most=10**6)
    """Samples per training step."""
    learning_rate: float = number(1e-3, above=0, most=1e4)
    """Learning rate of Adam at the start."""
    T_max: int = number(64, least=1, most=10**6)
    """Epochs from the highest to the lowest learning rate of a cosine, which then rises again."""
    max_epoch: int = number(64, least=0, most=10**6)
    """Epochs to train."""
    clip_norm: float | None = number(None, above=0, most=1e6)
    """Largest global gradient norm; none for no clipping, as published."""
    train_samples: int | None = number(None, least=1, most=10**9)
    """Take about so many of the training samples alone, the same share of each class; none: all."""
    val_ratio: float = number(0.15, least=0, below=1)
    """Part of each class that is held out to select the epoch; with 0 the test set selects it."""
    protocol: Literal["full", "published"] = "full"
    """All samples, or as published: incomplete batches dropped, gesture trials lost."""
    converter_cpus: int = number(27, least=1, most=1024)
    """Processors of the machine that lost gesture trials: 27 as in 2021, 12 as in the thesis."""
    amp: bool = False
    """Mixed precision (bfloat16) on a GPU."""
    seed: int = number(2020, least=0, most=2**32 - 1)
    """Decides initial weights, batch order, dropout and whatever else is drawn."""
    data: Literal["original", "subset", "embedded"] = "original"  # type: ignore[assignment]
    """The original files, a real part (NMNIST, CIFAR10), or a stand-in without a download."""
    log_dir_prefix: Path = field(default=Path("runs"), metadata=_PLACE)
    """Folder in which a run gets a folder of its own."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if (word := str(self.data_folder)) in DATA_WORDS:
            object.__setattr__(self, "data", word)
            object.__setattr__(self, "data_folder", None)
        self._check_neurons()
        self._check_data()

    @property
    def task(self) -> str:
        """Name of the data set."""
        return self.dataset_name

    @property
    def model(self) -> str:
        """Kind of the neurons, in a word."""
        if not self.use_plif:
            return "LIF"
        return "PLIF-per-neuron" if self.tau_per_neuron else "PLIF"

    @property
    def epochs(self) -> int:
        """Of the whole run."""
        return self.max_epoch

    @property
    def is_static(self) -> bool:
        """Images, not events."""
        return self.dataset_name in STATIC

    @property
    def network_channels(self) -> int:
        """Channels of the network."""
        return self.channels or (256 if self.dataset_name == "CIFAR10" else 128)

    @property
    def network_layers(self) -> int:
        """Convolutions of a network for events."""
        return self.number_layer or LAYERS[self.dataset_name]

    def _check_neurons(self) -> None:
        if self.tau_per_neuron and not self.use_plif:
            raise ValueError("tau_per_neuron is about trained time constants; add use_plif")
        if not self.tau_per_neuron and (self.tau_std_dev or self.reg_lambda):
            which = "tau_std_dev" if self.tau_std_dev else "reg_lambda"
            raise ValueError(f"{which} is about one time constant per neuron; add tau_per_neuron")
        if self.amp and self.device == "cpu":
            raise ValueError("amp is for GPUs; leave it out, or name another device")

    def _check_data(self) -> None:
        if self.is_static and (self.split_by, self.normalization) != ("number", "None"):
            raise ValueError(
                f"split_by and normalization are about events, and {self.dataset_name} has none"
            )
        if self.is_static and self.number_layer is not None:
            raise ValueError(f"number_layer is about events, and {self.dataset_name} has none")
        if self.normalization == "frequency" and self.split_by == "number":
            raise ValueError(
                "normalization frequency divides by the time of a frame, which split_by number "
                "does not fix; use split_by time"
            )
        if self.data == "subset" and self.dataset_name not in ("NMNIST", "CIFAR10"):
            raise ValueError(
                f"data subset exists for NMNIST and CIFAR10, not for {self.dataset_name}"
            )
        if self.data_folder is not None and self.data != "original":
            raise ValueError(f"data {self.data} takes no folder; add --data original")


CONFIGS = dict.fromkeys((*STATIC, *LAYERS), Config)
"""By task."""


def run_name(config: Config, base: Path | None) -> Path:
    """Where a run writes without ``--out``: the name that the authors' code gives it.

    Seed and time follow it, which is not so in theirs, where a second seed goes on with the first.
    """
    parts = [f"val_{config.val_ratio}"] if config.val_ratio else []
    parts += [config.dataset_name, f"init_tau_{config.init_tau}"]
    parts += [f"tau_std_dev_{config.tau_std_dev}"] if config.tau_per_neuron else []
    parts += [f"use_plif_{config.use_plif}", f"use_max_pool_{config.use_max_pool}"]
    parts += [f"T_{config.T}"]
    if not config.is_static:
        parts += [f"c_{config.network_channels}", f"n_{config.network_layers}"]
        parts += [f"split_by_{config.split_by}", f"normalization_{config.normalization}"]
    parts += [f"detach_reset_{config.detach_reset}"]
    if config.tau_per_neuron:
        parts += ["tau_per_neuron_True", f"lambda_reg_{config.reg_lambda}"]
    return config.log_dir_prefix / "_".join(parts)


def parse_command_line(
    argv: Sequence[str], *, prog: str, validation: bool
) -> tuple[Config, Path | None]:
    """Settings of a script, and the file they start from (None: the defaults).

    Args:
        argv: Arguments after the program's name.
        prog: Its name.
        validation: Part of the training data selects the epoch (``train_val.py``), or the test
            set does (``train.py``).

    Raises:
        UserError: Wrong, missing or contradicting flags, values or files.
    """
    started = any(flag_value(argv, key) is not None for key in ("config", "resume"))
    if not started and not validation:
        argv = ["--val_ratio", "0", *argv]
    config, base = settings.parse_command_line(
        Config,
        argv,
        prog=prog,
        description="Train and test spiking networks whose membrane time constants are learned.",
        paper=PAPER.name,
        old_spellings=OLD_SPELLINGS,
    )
    if not started:  # not before: of a misspelt flag it says more that there is none
        _require_flags(argv, prog)
    if validation != (config.val_ratio > 0):
        does = "holds samples out" if validation else "lets the test set select the epoch"
        raise UserError(
            f"{prog} {does}, which does not go with val_ratio {config.val_ratio:g}; use "
            f"{'train.py' if validation else 'train_val.py'}, or another val_ratio"
        )
    return config, base


def _require_flags(argv: Sequence[str], prog: str) -> None:
    """What the authors' scripts need has no default there; nor has it here."""
    if {"-h", "--help", "--print_config", "--print-config"} & set(argv):
        return
    if missing := [f"-{key}" for key in REQUIRED if flag_value(argv, key) is None]:
        raise UserError(
            f"{prog} needs {', '.join(missing)}, or --config FILE (see configs/); "
            f"{prog} --help explains each option"
        )
