"""Settings of the paper's experiments, and how a command line becomes them.

The keys are the flags of the authors' script, with its defaults. Imports nothing heavy, so that
``--help`` is instant.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from core.config_ranges import number
from core.settings import Settings

PAPER = Path(__file__).resolve().parents[2]
SPIKING = ("LIF", "RLIF", "RadLIF", "adLIF")
OLD_SPELLINGS = {"--new_exp_folder": "out", "--dataset_folder": "data_folder", "--n": "neurons"}
RLIF_ONLY = (
    *("balance", "fix_w_in", "fix_w_rec", "fix_tau_rec", "balance_refit", "auto_encoder"),
    *("slow_dynamics", "reset", "w_in_init", "quantize", "quantize_adc", "gauss", "gauss_mul"),
)
"""Settings that only the layer of this paper has."""

_PLACE: Any = {"hash": False}  # a setting that no result depends on


@dataclass(frozen=True)
class Config(Settings):
    """Settings of ``main.py``; the files in ``configs/`` hold those of the experiments."""

    model: Literal["LIF", "RLIF", "RadLIF", "adLIF", "GRU", "LiGRU", "MLP", "RNN"] = "LIF"
    """Hidden layers; RLIF is this paper's, the others are those of sparch."""
    balance: bool = False
    """Balanced start: recurrent weights and thresholds follow from the input weights."""
    fix_w_out: bool = False
    """Keep the weights of the readout."""
    fix_w_in: bool = False
    """Keep the input weights of hidden layers."""
    fix_w_rec: bool = False
    """Keep the recurrent weights; their diagonal then acts, and is the reset."""
    fix_tau_out: bool = False
    """Keep the time constants of the readout."""
    fix_tau_rec: bool = False
    """Keep the time constants of hidden neurons."""
    n_layers: int = number(3, least=1, most=1000)
    """Number of hidden layers; the readout comes on top."""
    neurons: int = number(128, least=1, most=16384)
    """Neurons of every hidden layer."""
    dropout: float = number(0.1, least=0, below=1)
    """Probability of dropout after every hidden layer."""
    normalization: str = "batchnorm"
    """batchnorm or layernorm of the input currents; any other word for none."""
    bidirectional: bool = False
    """Run every hidden layer over the sequence in both directions."""
    track_balance: bool = False
    """Measure how well excitation and inhibition cancel, in every batch."""
    single_spike: bool = False
    """At most one spike per layer and step: of the largest potential, if above its threshold."""
    surrogate: Literal["published", "intended"] = "published"
    """Gradient of a single spike: window at the spike, as published, or at the potential."""
    auto_encoder: bool = False
    """The readout is the transposed input matrix and all is fixed; nothing to train."""
    alpha_init: float | None = number(None, above=0, below=1)
    """Decay of hidden potentials per step at the start; none for exp(-1 / (2000 repeat))."""
    mu: float = number(0.0, least=0, most=1e6)
    """Quadratic cost of firing rates in the balanced start."""
    nu: float = number(0.0, least=0, most=1e6)
    """Linear cost of firing rates in the balanced start."""
    V_scale: float = number(1.0, least=0, most=1e6)
    """Factor on balanced recurrent weights."""
    V_slow_scale: float = number(1.0, least=0, most=1e6)
    """Factor on the weights of slow currents."""
    balance_refit: bool = False
    """After every epoch, recurrent weights and thresholds follow the trained weights again."""
    refit: Literal["published", "theory"] = "published"
    """As published (without sign and scale), or as the balanced start has it."""
    slow_dynamics: bool = False
    """A second recurrent current, from filtered spikes through fixed random weights."""
    reset: Literal["default", "voltage", "threshold"] = "default"
    """A spike takes off 1 (nothing with fix_w_rec), the potential, or the threshold."""
    w_in_init: Literal["bernoulli", "uniform"] = "bernoulli"
    """Input weights: 70 % from U(-a, a), a = 1000 (1 - alpha), or all from +-sqrt(2 / inputs)."""
    pruning_epochs: int = number(2, least=0, most=10**6)
    """Epochs after which a run may be ended by pruning_threshold."""
    pruning_threshold: float = number(0.12, least=0, most=1)
    """Validation accuracy, as a share, below which a run ends."""
    quantize: str = ""
    """BITS.FRAC: input weights are overwritten by their BITS-bit value; FRAC has no effect."""
    quantize_adc: str = ""
    """BITS.FRAC: input currents are quantised to BITS bits; FRAC has no effect."""
    gauss: float = number(0.0, least=0, most=1e6)
    """Standard deviation of noise on input currents, in training and evaluation."""
    gauss_mul: bool = False
    """Multiply input currents by that noise (its mean is 0) instead of adding it."""
    use_pretrained_model: bool = field(default=False, metadata=_PLACE)
    """Go on with the run in load_exp_folder, n_epochs more epochs; its settings stay."""
    only_do_testing: bool = field(default=False, metadata=_PLACE)
    """Test the best weights of load_exp_folder, train nothing (needs use_pretrained_model)."""
    load_exp_folder: Path | None = field(default=None, metadata=_PLACE)
    """Folder of the run to go on with or to test."""
    dataset: Literal["shd", "ssc", "hd", "sc", "cue"] = "shd"
    """Spoken digits or commands, as spikes (shd, ssc) or audio (hd, sc), or cue accumulation."""
    dataset_scale: float = number(1.0, least=0, most=1e6)
    """Factor on the inputs."""
    protocol: Literal["published", "clean"] = "published"
    """published: cue splits share their noise, the test set selects; clean: independent sets."""
    samples: int = number(200, least=1, most=10**6)
    """Cue samples in each of training, validation and test set."""
    log: bool = field(default=False, metadata=_PLACE)
    """Write what is told about the run to exp.log in its folder, not to the terminal."""
    save_best: bool = field(default=True, metadata=_PLACE)
    """Test the best epoch at the end, with --no-save-best the last one; both are always kept."""
    batch_size: int = number(128, least=1, most=10**6)
    """Samples per training step."""
    n_epochs: int = number(5, least=0, most=10**6)
    """Epochs to train; of a run that goes on: how many more."""
    start_epoch: int = number(0, least=0, most=10**6, metadata=_PLACE)
    """Epochs that the run in load_exp_folder has done."""
    lr: float = number(1e-2, above=0, most=1e4)
    """Learning rate of Adam at the start."""
    scheduler_patience: int = number(1, least=0, most=10**6)
    """Epochs in a row without a better validation accuracy before the learning rate falls."""
    scheduler_factor: float = number(0.7, above=0, below=1)
    """What the learning rate is multiplied by then."""
    use_regularizers: bool = False
    """Penalty on firing rates outside reg_fmin ... reg_fmax."""
    reg_factor: float = number(0.5, least=0, most=1e6)
    """Weight of that penalty."""
    reg_fmin: float = number(0.01, least=0, most=1e3)
    """Firing rate, spikes per step, below which a neuron is too quiet."""
    reg_fmax: float = number(0.5, least=0, most=1e3)
    """Firing rate, spikes per step, above which a neuron is too loud."""
    clip_norm: float | None = number(None, above=0, most=1e6)
    """Largest global gradient norm; none for no clipping, as in the authors' code."""
    augment: bool = False
    """Augment the training audio of hd and sc."""
    trials: int = number(1, least=1, most=1000, metadata=_PLACE)
    """Runs with the seeds s, s + 1, s + 3, s + 6, ..., in folders trial_0, trial_1, ..."""
    gpu: int = number(-1, least=-1, most=1000, metadata=_PLACE)
    """Number of the GPU; ignored with a note where there is none."""
    plot: bool = field(default=False, metadata=_PLACE)
    """Draw samples with their spikes, currents and voltages, and the batches of every epoch."""
    plot_epoch_freq: int = number(2, least=1, most=10**6, metadata=_PLACE)
    """Draw samples in every so manieth epoch, from the first on."""
    repeat: int = number(1, least=1, most=1000)
    """Simulation steps per step of the data; time constants are counted in steps of the data."""
    balance_metric: Literal["median", "lowpass", "raw"] = field(default="median", metadata=_PLACE)
    """Which measure of balance is told and drawn; all that are measured are kept."""
    currents: Literal["published", "corrected"] = "published"
    """When tracked recurrent currents count: one step early, as published, or when they act."""
    seed: int = number(0, least=-1, most=2**32 - 1)
    """Decides weights, samples and their order; -1 for one from the clock, which is recorded."""
    data: Literal["original", "regenerated", "subset", "embedded"] = "original"  # type: ignore[assignment]
    """Of shd, ssc, hd and sc: the files, others like them, or a stand-in; cues are made here."""
    out: Path | None = field(default=None, metadata=_PLACE)
    """Folder for everything the run writes; by default a new one in exp/."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.auto_encoder:
            for key in ("fix_w_out", "fix_w_in", "fix_w_rec", "fix_tau_out", "fix_tau_rec"):
                object.__setattr__(self, key, True)
        self._check_model()
        self._check_run()

    @property
    def task(self) -> str:
        """Name of the data set."""
        return self.dataset

    @property
    def epochs(self) -> int:
        """Of the whole run."""
        return self.n_epochs

    @property
    def is_spiking(self) -> bool:
        """Whether the hidden layers spike."""
        return self.model in SPIKING

    @property
    def weight_bits(self) -> int | None:
        """Of quantised input weights."""
        return _bits("quantize", self.quantize)

    @property
    def current_bits(self) -> int | None:
        """Of quantised input currents."""
        return _bits("quantize_adc", self.quantize_adc)

    def _check_model(self) -> None:
        if self.model != "RLIF":
            for key in RLIF_ONLY:
                if getattr(self, key) != getattr(Config, key):
                    raise ValueError(f"{key} is about model RLIF, and the model is {self.model}")
        if not self.is_spiking:
            for key in ("single_spike", "track_balance", "use_regularizers"):
                if getattr(self, key):
                    raise ValueError(f"{key} is about spikes, and {self.model} has none")
        if self.model == "MLP" and self.bidirectional:
            raise ValueError("an MLP looks at single steps, so it has no direction in time")
        if self.auto_encoder and self.n_layers != 1:
            raise ValueError(f"auto_encoder has exactly one hidden layer, not {self.n_layers}")
        if self.balance_refit and self.fix_w_in and self.fix_w_rec:
            raise ValueError("balance_refit has nothing to follow: fix_w_in and fix_w_rec fix both")
        if self.gauss_mul and not self.gauss:
            raise ValueError("gauss_mul says how noise acts, and there is none: add --gauss S")
        _bits("quantize", self.quantize)
        _bits("quantize_adc", self.quantize_adc)

    def _check_run(self) -> None:
        if self.reg_fmin > self.reg_fmax:
            raise ValueError(f"reg_fmin is {self.reg_fmin}, above reg_fmax, {self.reg_fmax}")
        if self.augment and self.dataset not in ("hd", "sc"):
            raise ValueError(f"augment is about audio (hd, sc), and the data set is {self.dataset}")
        if self.dataset == "cue" and (self.data != "original" or self.data_folder is not None):
            raise ValueError("cue samples are made here, from no data; leave that option out")
        if self.data == "regenerated" and self.dataset != "shd":
            raise ValueError(f"data regenerated exists for shd, not for {self.dataset}")
        if self.data == "subset" and self.dataset not in ("hd", "sc"):
            raise ValueError(f"data subset exists for hd and sc, not for {self.dataset}")
        if self.data_folder is not None and self.data != "original":
            raise ValueError(f"data {self.data} takes no dataset_folder; leave one of them out")
        if self.use_pretrained_model and self.load_exp_folder is None:
            raise ValueError("use_pretrained_model needs load_exp_folder, the folder of a run")
        if self.load_exp_folder is not None and not self.use_pretrained_model:
            raise ValueError("load_exp_folder does nothing alone; add --use-pretrained-model")
        if self.only_do_testing and not self.use_pretrained_model:
            raise ValueError(
                "only_do_testing needs a trained model: add --use-pretrained-model "
                "--load-exp-folder FOLDER"
            )
        if self.trials > 1 and (self.resume or self.load_exp_folder):
            raise ValueError("a run that goes on is one trial; leave --trials out")


CONFIGS = dict.fromkeys(("shd", "ssc", "hd", "sc", "cue"), Config)
"""By task."""


def trial_seeds(config: Config) -> list[int]:
    """``s, s + 1, s + 3, s + 6, ...``: the authors' code adds the number of the trial each time."""
    return [config.seed + trial * (trial + 1) // 2 for trial in range(config.trials)]


def run_name(config: Config, base: Path | None) -> Path:
    """Where a run writes without ``--new-exp-folder``."""
    if base is not None:
        return Path("exp") / base.stem
    balance = "_balance" if config.balance else ""
    single = "_singlespike" if config.single_spike else ""
    name = (
        f"{config.dataset}_{config.model}_{config.n_layers}x{config.neurons}"
        f"_drop{config.dropout}_lr{config.lr}_repeat{config.repeat}{single}{balance}"
    )
    return Path("exp") / name.replace(".", "_")


def _bits(key: str, text: str) -> int | None:
    if not text:
        return None
    found = re.fullmatch(r"([1-9]\d?)(?:\.\d{1,2})?", text)
    if found is None or int(found[1]) > 16:
        raise ValueError(f"{key} is {text!r}; it reads BITS.FRAC with 1 to 16 bits, such as 8.4")
    return int(found[1])
