"""Settings of the paper's experiments, and how a command line becomes them.

The keys are the flags of the authors' script, with its defaults, which are the paper's recipe as
far as it is known. Imports nothing heavy, so that ``--help`` is instant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from core import settings
from core.config import flag_value
from core.config_fields import Text, read_value
from core.config_ranges import number
from core.errors import UserError
from core.paths import user_path
from core.settings import Settings

PAPER = Path(__file__).resolve().parents[2]
SPIKING = ("LIF", "adLIF", "RLIF", "RadLIF")
OLD_SPELLINGS = {"--new_exp_folder": "out"}
DATA_WORDS = ("embedded", "regenerated", "subset")
"""What ``--data_folder`` may say instead of a folder; stored as ``data``."""

SAVE_STATE_DICT = (
    "Where their code is installed, save its weights: "
    "torch.save(torch.load('best_model.pth', weights_only=False).state_dict(), 'weights.pth'), "
    "and test them here: python evaluate.py weights.pth"
)
"""What to do with a checkpoint of the authors' code."""

_PLACE: Any = {"hash": False}  # a setting that no result depends on


@dataclass(frozen=True)
class Config(Settings):
    """Settings of ``run_exp.py``; the files in ``configs/`` hold those of the published rows."""

    model_type: Literal["LIF", "adLIF", "RLIF", "RadLIF", "MLP", "RNN", "LiGRU", "GRU"] = "LIF"
    """Hidden layers: four spiking neurons, then four layers without spikes."""
    nb_layers: int = number(3, least=2, most=1000)
    """Number of layers, the readout among them."""
    nb_hiddens: int = number(128, least=1, most=16384)
    """Neurons of every hidden layer."""
    pdrop: float = number(0.1, least=0, below=1)
    """Probability of dropout after every hidden layer."""
    normalization: str = "batchnorm"
    """batchnorm or layernorm of the input currents; any other word for none."""
    use_bias: bool = False
    """Trainable biases of the feed-forward weights."""
    bidirectional: bool = False
    """Run every hidden layer over the sequence in both directions."""
    use_pretrained_model: bool = field(default=False, metadata=_PLACE)
    """Go on with the run in load_exp_folder, nb_epochs more epochs; its settings stay."""
    only_do_testing: bool = field(default=False, metadata=_PLACE)
    """Test the best weights of load_exp_folder, train nothing (needs use_pretrained_model)."""
    load_exp_folder: Path | None = field(default=None, metadata=_PLACE)
    """Folder of the run to go on with or to test."""
    dataset_name: Literal["shd", "ssc", "hd", "sc"] = "shd"
    """Spiking Heidelberg Digits, Spiking Speech Commands, or the audio of either (hd, sc)."""
    use_augm: bool = False
    """Augment the training audio of hd and sc."""
    protocol: Literal["held-out", "published"] = "held-out"
    """How shd and hd select the epoch: on training speakers held out, or on the test set."""
    val_fraction: float = number(0.1, above=0, below=1)
    """Part of the training data that protocol held-out sets aside, rounded to whole speakers."""
    log_tofile: bool = field(default=False, metadata=_PLACE)
    """Write what is told about the run to log/exp.log in its folder, not to the terminal."""
    save_best: bool = field(default=True, metadata=_PLACE)
    """Test the best epoch at the end, with 0 the last one; the weights of both are always kept."""
    batch_size: int = number(128, least=1, most=10**6)
    """Samples per training step."""
    nb_epochs: int = number(5, least=0, most=10**6)
    """Epochs to train; of a run that goes on: how many more."""
    start_epoch: int = number(0, least=0, most=10**6, metadata=_PLACE)
    """Epochs that the run in load_exp_folder has done."""
    lr: float = number(1e-2, above=0, most=1e4)
    """Learning rate of Adam at the start; 0.001 is better for hd and sc."""
    scheduler_patience: int = number(1, least=0, most=10**6)
    """Epochs in a row without a better validation accuracy before the learning rate falls."""
    scheduler_factor: float = number(0.7, above=0, below=1)
    """What the learning rate is multiplied by then."""
    use_regularizers: bool = False
    """Penalty on the firing rates of spiking neurons outside reg_fmin ... reg_fmax."""
    reg_factor: float = number(0.5, least=0, most=1e6)
    """Weight of that penalty."""
    reg_fmin: float = number(0.01, least=0, most=1e3)
    """Firing rate, spikes per step, below which a neuron is too quiet."""
    reg_fmax: float = number(0.5, least=0, most=1e3)
    """Firing rate, spikes per step, above which a neuron is too loud."""
    clip_norm: float | None = number(None, above=0, most=1e6)
    """Largest global gradient norm; none for no clipping, as in the paper's code."""
    init_state: Literal["rand", "zeros"] = "rand"
    """States of spiking neurons before the first step: uniform in [0, 1), as published, or 0."""
    evaluations: int = number(5, least=1, most=1000, metadata=_PLACE)
    """Tests at the end, with different random states before the first step: mean and spread."""
    data: Literal["original", "regenerated", "subset", "embedded"] = "original"  # type: ignore[assignment]
    """The original files, SHD converted again from the audio, a part of hd or sc, or a stand-in."""
    data_folder: Path | None = field(default=None, metadata=_PLACE)
    """Folder with the original files (by default fetched once and cached), or a word for data."""
    out: Path | None = field(default=None, metadata=_PLACE)
    """Folder for everything the run writes; by default a new one in exp/test_exps/."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if (word := str(self.data_folder)) in DATA_WORDS:
            object.__setattr__(self, "data", word)
            object.__setattr__(self, "data_folder", None)
        self._check_combinations()

    @property
    def task(self) -> str:
        """Name of the data set."""
        return self.dataset_name

    @property
    def model(self) -> str:
        """Kind of the hidden layers."""
        return self.model_type

    @property
    def epochs(self) -> int:
        """Of the whole run."""
        return self.nb_epochs

    @property
    def is_spiking(self) -> bool:
        """Whether the hidden layers spike."""
        return self.model_type in SPIKING

    @property
    def is_random(self) -> bool:
        """Whether two evaluations of the same network may differ."""
        return self.is_spiking and self.init_state == "rand"

    def _check_combinations(self) -> None:
        if self.reg_fmin > self.reg_fmax:
            raise ValueError(f"reg_fmin is {self.reg_fmin}, above reg_fmax, {self.reg_fmax}")
        if self.model_type == "MLP" and self.bidirectional:
            raise ValueError(
                "an MLP looks at single steps, so it has no direction: no bidirectional"
            )
        if self.use_regularizers and not self.is_spiking:
            raise ValueError(f"use_regularizers is about spikes, and {self.model_type} has none")
        if self.data == "regenerated" and self.dataset_name != "shd":
            raise ValueError(f"data regenerated exists for shd, not for {self.dataset_name}")
        if self.data == "subset" and self.dataset_name not in ("hd", "sc"):
            raise ValueError(f"data subset exists for hd and sc, not for {self.dataset_name}")
        if self.data_folder is not None and self.data != "original":
            raise ValueError(f"data {self.data} takes no data_folder; add --data original")
        if self.use_pretrained_model and self.load_exp_folder is None:
            raise ValueError("use_pretrained_model needs load_exp_folder, the folder of a run")
        if self.load_exp_folder is not None and not self.use_pretrained_model:
            raise ValueError("load_exp_folder does nothing alone; add use_pretrained_model 1")
        if self.only_do_testing and not self.use_pretrained_model:
            raise ValueError(
                "only_do_testing needs a trained model: add --use_pretrained_model 1 "
                "--load_exp_folder FOLDER"
            )


CONFIGS = dict.fromkeys(("shd", "ssc", "hd", "sc"), Config)
"""By task."""


def run_name(config: Config, base: Path | None) -> Path:
    """Where a run writes without ``--new_exp_folder``: the name that the authors' code gives it.

    Seed and time follow it, which is not so in theirs, where a second seed is refused.
    """
    bias = "bias" if config.use_bias else "nobias"
    direction = "bdir" if config.bidirectional else "udir"
    penalty = "reg" if config.use_regularizers else "noreg"
    name = (
        f"{config.dataset_name}_{config.model_type}_{config.nb_layers}lay{config.nb_hiddens}"
        f"_drop{config.pdrop}_{config.normalization}_{bias}_{direction}_{penalty}_lr{config.lr}"
    )
    return Path("exp") / "test_exps" / name.replace(".", "_")


def parse_command_line(argv: Sequence[str], *, prog: str) -> tuple[Config, Path | None]:
    """Settings of ``run_exp.py``, and the file they start from (None: the defaults).

    ``--use_pretrained_model 1 --load_exp_folder FOLDER`` takes the settings of the run to go on
    with; see :func:`core.settings.parse_command_line` for the other ways.

    Raises:
        UserError: Wrong flags, values or files.
    """
    loaded = flag_value(argv, "load_exp_folder") if _loads(argv) else None
    resumed = flag_value(argv, "resume")
    if loaded and not resumed:
        folder = user_path(loaded)
        _refuse_their_folder(folder)
        settings.refuse_other_paper(folder, PAPER.name)
        argv = ["--config", str(folder / "config.yaml"), *argv]
    elif resumed:
        _refuse_their_folder(user_path(resumed))
    config, base = settings.parse_command_line(
        Config,
        argv,
        prog=prog,
        description="Train and test networks on spoken commands, as spikes or as audio.",
        paper=PAPER.name,
        old_spellings=OLD_SPELLINGS,
    )
    if config.use_pretrained_model and (resumed or not loaded):
        raise UserError(
            "--use_pretrained_model 1 goes with --load_exp_folder FOLDER as a flag, and not with "
            "--resume; --help explains each option"
        )
    if loaded and flag_value(argv, "nb_epochs") is None:
        config = replace(config, nb_epochs=Config.nb_epochs)  # more epochs, not those it had
    return config, base


def _loads(argv: Sequence[str]) -> bool:
    """Whether ``--use_pretrained_model`` is on; of a wrong value, ``parse`` complains best."""
    given = flag_value(argv, "use_pretrained_model")
    try:
        return given is not None and bool(read_value(bool, Text(given or "true")))
    except ValueError:
        return False


def _refuse_their_folder(folder: Path) -> None:
    """Say so at once where a folder holds a run of the authors' code."""
    if (theirs := folder / "checkpoints" / "best_model.pth").is_file():
        raise UserError(
            f"{theirs} was saved by the authors' code as a whole module, which is not loaded here, "
            f"because it could run code. {SAVE_STATE_DICT}"
        )
