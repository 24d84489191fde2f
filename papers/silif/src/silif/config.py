"""Settings of the paper's experiments: the flags of the authors' code, with its defaults.

Imports nothing heavy, so that ``--help`` is instant.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from core.config_ranges import number
from core.spoken.settings import SpokenSettings

PAPER = Path(__file__).resolve().parents[2]
SPIKING = ("SiLIF", "CSiLIF", "CadLIF", "ResonateFire", "LIF", "RLIF", "adLIF", "RadLIF")

_PLACE: Any = {"hash": False}  # a setting that no result depends on


@dataclass(frozen=True)
class Config(SpokenSettings):
    """Settings of a run of ``main.py``; the files in ``configs/`` hold the authors' recipes."""

    # fmt: off
    model_type: Literal[
        "SiLIF", "CSiLIF", "CadLIF", "ResonateFire", "LIF", "RLIF", "adLIF", "RadLIF",
        "S4D", "SS4D", "Mamba", "MLP", "RNN", "LiGRU", "GRU",
    ] = "SiLIF"
    # fmt: on
    """Hidden layers: spiking neurons, then sequence models, then layers without spikes."""
    nb_hiddens: int = number(512, least=1, most=16384)
    """Neurons of every hidden layer."""
    dt_min: float = number(0.01, above=0, most=1e4)
    """Smallest initial time step of CSiLIF."""
    dt_max: float = number(0.5, above=0, most=1e4)
    """Largest initial time step of CSiLIF, S4D, SS4D and Mamba."""
    state_size: int = number(64, least=2, most=16384)
    """States per channel of S4D and SS4D."""
    nb_steps: int = number(100, least=2, most=10**6)
    """Time steps of shd and ssc, the first of which stays empty."""
    max_time: float = number(1.0, above=0, most=1e4)
    """Seconds of shd and ssc that the other steps divide; later spikes are left out."""
    spatial_bin: int = number(5, least=1, most=700)
    """Neighbouring channels of shd and ssc that are added to one input."""
    s4_opt: bool = False
    """AdamW with weight decay 0.01; rates of S4D and SS4D without, trained at 0.001 at most."""
    nb_epochs: int = number(100, least=0, most=10**6)
    """Epochs to train."""
    start_epoch: int = number(0, least=0, most=10**6, metadata=_PLACE)
    """Taken and without effect, as in the authors' code; see resume."""
    scheduler_patience: int = number(10, least=0, most=10**6)
    """Epochs in a row without a better validation accuracy before the learning rate falls."""
    log_tofile: bool = field(default=True, metadata=_PLACE)
    """Write what is told about the run to log/exp.log in its folder, too."""
    num_workers: int = number(8, least=0, most=1024, metadata=_PLACE)
    """Taken and without effect: batches are made in this process."""
    gpu_device: int | None = number(None, least=0, most=1024, metadata=_PLACE)
    """Number of the GPU to use; the same as device cuda:N."""
    debug: bool = field(default=False, metadata=_PLACE)
    """One run alone: the first value of every list."""
    sweep_name: str | None = field(default=None, metadata=_PLACE)
    """Name of the folder for several runs; by default it follows from the settings."""
    sweep_id: str | None = field(default=None, metadata=_PLACE)
    """Go on with the several runs of this name, as they were asked for."""
    only_createsweep: bool = field(default=False, metadata=_PLACE)
    """Plan several runs and print their name for sweep_id, run nothing."""
    evaluate_pretrained: bool = field(default=False, metadata=_PLACE)
    """Test the weights of load_exp_folder with each seed, train nothing."""
    load_exp_folder: Path | None = field(default=None, metadata=_PLACE)
    """Folder with checkpoints/best_model.pth, for evaluate_pretrained."""
    wandb: bool = field(default=False, metadata=_PLACE)
    """Send each epoch to Weights & Biases, too (needs the package wandb)."""
    seeds: tuple[int, ...] = number(
        (13, 42, 73, 190, 268), least=0, most=2**32 - 1, metadata=_PLACE
    )
    """Seeds of a call without seed: a run for each."""
    seed: int = number(13, least=0, most=2**32 - 1)
    """Decides initial weights, splits, batch order and whatever else is drawn."""
    out: Path | None = field(default=None, metadata=_PLACE)
    """Folder for everything the run writes; by default a new one in exp/test_exps/."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.gpu_device is not None and self.device == "auto":
            object.__setattr__(self, "device", f"cuda:{self.gpu_device}")

    @property
    def is_spiking(self) -> bool:
        """Whether the hidden layers are spiking neurons."""
        return self.model_type in SPIKING

    def check_combinations(self) -> None:
        """Refuse settings that contradict each other; see the base class."""
        super().check_combinations()
        if self.dt_min > self.dt_max:
            raise ValueError(f"dt_min is {self.dt_min}, above dt_max, {self.dt_max}")
        if self.model_type in ("S4D", "SS4D") and self.state_size % 2:
            raise ValueError(
                f"state_size is {self.state_size}, but modes come in pairs: an even one"
            )


CONFIGS = dict.fromkeys(("shd", "ssc", "hd", "sc"), Config)
"""By task."""


def run_name(config: Config, base: Path | None) -> Path:
    """Where a run writes without ``--new_exp_folder``: the name that the authors' code gives it.

    Seed and time follow it.
    """
    name = (
        f"{config.dataset_name}_{config.nb_steps}steps_{config.model_type}_{config.nb_layers}lay"
        f"{config.nb_hiddens}_lr{config.lr}_drop{config.pdrop}"
    )
    return Path("exp") / "test_exps" / name.replace(".", "_")
