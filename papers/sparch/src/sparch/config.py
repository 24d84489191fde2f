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
from core.config_ranges import number
from core.errors import UserError
from core.spoken.settings import SpokenSettings

PAPER = Path(__file__).resolve().parents[2]
SPIKING = ("LIF", "adLIF", "RLIF", "RadLIF")
OLD_SPELLINGS = {"--new_exp_folder": "out"}
SAVE_STATE_DICT = (
    "Where their code is installed, save its weights: "
    "torch.save(torch.load('best_model.pth', weights_only=False).state_dict(), 'weights.pth'), "
    "and test them here: python evaluate.py weights.pth"
)
"""What to do with a checkpoint of the authors' code."""

_PLACE: Any = {"hash": False}  # a setting that no result depends on


@dataclass(frozen=True)
class Config(SpokenSettings):
    """Settings of ``run_exp.py``; the files in ``configs/`` hold those of the published rows."""

    model_type: Literal["LIF", "adLIF", "RLIF", "RadLIF", "MLP", "RNN", "LiGRU", "GRU"] = "LIF"
    """Hidden layers: four spiking neurons, then four layers without spikes."""
    use_pretrained_model: bool = field(default=False, metadata=_PLACE)
    """Go on with the run in load_exp_folder, nb_epochs more epochs; its settings stay."""
    only_do_testing: bool = field(default=False, metadata=_PLACE)
    """Test the best weights of load_exp_folder, train nothing (needs use_pretrained_model)."""
    load_exp_folder: Path | None = field(default=None, metadata=_PLACE)
    """Folder of the run to go on with or to test."""
    nb_epochs: int = number(5, least=0, most=10**6)
    """Epochs to train; of a run that goes on: how many more."""
    start_epoch: int = number(0, least=0, most=10**6, metadata=_PLACE)
    """Epochs that the run in load_exp_folder has done."""
    lr: float = number(1e-2, above=0, most=1e4)
    """Learning rate of Adam at the start; 0.001 is better for hd and sc."""
    out: Path | None = field(default=None, metadata=_PLACE)
    """Folder for everything the run writes; by default a new one in exp/test_exps/."""

    @property
    def is_spiking(self) -> bool:
        """Whether the hidden layers spike."""
        return self.model_type in SPIKING

    def check_combinations(self) -> None:
        """Refuse settings that contradict each other; see the base class."""
        super().check_combinations()
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
    resumed = flag_value(argv, "resume")
    argv, loaded = settings.from_loaded(argv, PAPER.name, _refuse_their_folder)
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


def _refuse_their_folder(folder: Path) -> None:
    """Say so at once where a folder holds a run of the authors' code."""
    if (theirs := folder / "checkpoints" / "best_model.pth").is_file():
        raise UserError(
            f"{theirs} was saved by the authors' code as a whole module, which is not loaded here, "
            f"because it could run code. {SAVE_STATE_DICT}"
        )
