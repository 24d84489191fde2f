"""Settings that the papers of the speech-command family have, by the flags of their first code.

Imports nothing heavy, so that ``--help`` is instant.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from core.config_ranges import number
from core.settings import Settings, take_data_word

DATA_WORDS = ("embedded", "regenerated", "subset")
"""What ``--data_folder`` may say instead of a folder; stored as ``data``."""

_PLACE: Any = {"hash": False}  # a setting that no result depends on


@dataclass(frozen=True)
class SpokenSettings(Settings):
    """What the config class of such a paper derives from; it narrows ``model_type``."""

    model_type: str = ""
    """Hidden layers."""
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
    """Epochs to train."""
    lr: float = number(1e-2, above=0, most=1e4)
    """Learning rate of Adam at the start."""
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

    def __post_init__(self) -> None:
        super().__post_init__()
        take_data_word(self, DATA_WORDS)
        self.check_combinations()

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
        raise NotImplementedError

    @property
    def is_random(self) -> bool:
        """Whether two evaluations of the same network may differ."""
        return self.is_spiking and self.init_state == "rand"

    @property
    def place(self) -> str | Path | None:
        """Where the data are, as :func:`core.data.speech.find_speech` takes it."""
        return self.data_folder if self.data == "original" else self.data

    def check_combinations(self) -> None:
        """Refuse settings that contradict each other.

        Raises:
            ValueError: Some do.
        """
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
