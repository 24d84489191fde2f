"""Losses, truncated backpropagation and first training steps against the authors' code."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from brf.config import CONFIGS, PAPER, EcgConfig
from brf.models import Output, RecurrentSNN, build
from brf.objectives import make_objective
from brf.published import convert
from brf.task import ecg_transform
from brf.tbptt import pieces, truncated_step
from core import checkpoints
from core.config import load_yaml
from core.data import load_qtdb
from core.metrics import BatchResult
from core.neurons import ALIF, BRF, LI, Neuron
from core.paper import count_parameters
from core.training.loop import backpropagation_step

Golden = Callable[[str], dict[str, dict[str, Tensor]]]
Agrees = Callable[..., None]
INPUTS = 3


def ours(group: dict[str, Tensor], kind: str, inputs: int = INPUTS) -> dict[str, Tensor]:
    """The group's tensors of one kind (``param``, ``grad``) by our names."""
    chosen = {k.removeprefix(f"{kind}."): v for k, v in group.items() if k.startswith(f"{kind}.")}
    return convert(chosen, inputs, "golden")


def network(weights: dict[str, Tensor], neuron: type[Neuron]) -> RecurrentSNN:
    model = RecurrentSNN(INPUTS, neuron(10), LI(4), bias="hidden.bias" in weights).double()
    checkpoints.load_into(model, weights, "golden")
    return model.train()


# --- losses of given outputs --------------------------------------------------------------------


class Recorded(nn.Module):
    """Stands for a network: its outputs are given."""

    def __init__(self, potentials_TBC: Tensor) -> None:
        super().__init__()
        self.potentials_TBC = nn.Parameter(potentials_TBC.clone())

    def forward(self, x_TBI: Tensor) -> Output:
        return Output(self.potentials_TBC, torch.zeros(1, 1, 1), (None, None))


def loss_of(golden: Golden, *, per_step: bool, label_last: bool) -> tuple[BatchResult, Tensor]:
    arrays = golden("losses")[""]
    model = Recorded(arrays["outputs"])
    # a row of zeros, a step without a label, is class 0
    targets = arrays["onehot_step_targets"].argmax(-1) if per_step else arrays["labels"]
    inputs_TBI = torch.zeros(12, 5, 1)
    result = make_objective(per_step=per_step, label_last=label_last)(model, inputs_TBI, targets)
    result.loss.backward()
    assert model.potentials_TBC.grad is not None
    return result, model.potentials_TBC.grad


def test_ecg_loss(golden: Golden, agrees: Agrees) -> None:
    arrays = golden("losses")[""]
    result, gradient = loss_of(golden, per_step=True, label_last=False)
    agrees("loss", result.loss, arrays["ecg_seq_sum"])
    agrees("value", result.value, arrays["ecg_seq_sum"] / 12)
    agrees("gradient", gradient, arrays["ecg_seq_sum_grad"], gradient=True)
    assert (int(result.correct), result.predictions) == (int(arrays["ecg_correct"]), 60)


def test_sequence_loss(golden: Golden, agrees: Agrees) -> None:
    arrays = golden("losses")[""]
    result, gradient = loss_of(golden, per_step=False, label_last=False)
    for name in ("label_seq_sum", "label_seq_sum_crossentropy"):
        agrees("loss", result.loss, arrays[name])
        agrees("gradient", gradient, arrays[f"{name}_grad"], gradient=True)
    assert (int(result.correct), result.predictions) == (int(arrays["label_correct_mean"]), 5)


def test_last_step_loss(golden: Golden, agrees: Agrees) -> None:
    arrays = golden("losses")[""]
    result, gradient = loss_of(golden, per_step=False, label_last=True)
    agrees("loss", result.loss, arrays["label_last"])
    agrees("value", result.value, arrays["label_last"])
    agrees("gradient", gradient, arrays["label_last_grad"], gradient=True)
    assert int(result.correct) == int(arrays["gsc_correct"])  # the same rule


def test_skipped_steps_do_not_count(golden: Golden) -> None:
    """``sub_seq_length`` S equals the plain loss of what follows the first S steps."""
    arrays = golden("losses")[""]
    targets_TB = arrays["onehot_step_targets"].argmax(-1)
    skipping = make_objective(per_step=True, label_last=False, sub_seq_length=4)
    plain = make_objective(per_step=True, label_last=False)
    whole, part = Recorded(arrays["outputs"]), Recorded(arrays["outputs"][4:])
    ours = skipping(whole, torch.zeros(12, 5, 1), targets_TB)
    theirs = plain(part, torch.zeros(8, 5, 1), targets_TB[4:])
    torch.testing.assert_close(ours.loss, theirs.loss)
    torch.testing.assert_close(ours.value, theirs.value)
    assert (int(ours.correct), ours.predictions) == (int(theirs.correct), theirs.predictions)


# --- the energy-aware loss ----------------------------------------------------------------------


@pytest.mark.parametrize("group", ["spike_loss_1e-05", "spike_loss_0.01"])
def test_energy_aware_loss(group: str, golden: Golden, agrees: Agrees) -> None:
    arrays = golden("losses")[group]
    model = network(ours(arrays, "param"), BRF)
    weight = float(arrays["lam"])
    objective = make_objective(per_step=False, label_last=False, lambda_spike=weight)
    result = objective(model, arrays["x"], arrays["labels"])
    agrees("total", result.loss, arrays["total"])
    agrees("value", result.value, arrays["total"])
    agrees("spikes", result.spikes, arrays["num_spikes"])
    assert result.spikes is not None
    agrees("penalty", weight * result.spikes / len(arrays["labels"]), arrays["penalty"])
    result.loss.backward()
    gradients = ours(arrays, "grad")
    for name, parameter in model.named_parameters():
        agrees(name, parameter.grad, gradients[name], gradient=True)
    norm = nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
    assert float(norm) == pytest.approx(float(arrays["grad_norm"]), rel=1e-6)


def test_evaluation_leaves_the_penalty_out(golden: Golden, agrees: Agrees) -> None:
    arrays = golden("losses")["spike_loss_0.01"]
    model = network(ours(arrays, "param"), BRF).eval()
    objective = make_objective(per_step=False, label_last=False, lambda_spike=0.01)
    agrees("value", objective(model, arrays["x"], arrays["labels"]).value, arrays["nll_mean"])


# --- truncated backpropagation ------------------------------------------------------------------


@pytest.mark.parametrize(("steps", "truncation", "count"), [(23, 5, 6), (784, 50, 17), (7, 9, 2)])
def test_pieces(steps: int, truncation: int, count: int) -> None:
    cut = pieces(steps, truncation)
    assert len(cut) == count
    assert cut[0] == (0, 1)
    assert cut[-1][1] == steps
    assert all(before[1] == after[0] for before, after in pairwise(cut))
    assert {end - start for start, end in cut[1:-1]} <= {truncation}


class CountingAdam(torch.optim.Adam):
    """Counts its steps."""

    count = 0

    def step(self, *arguments: Any, **options: Any) -> Any:
        self.count += 1
        return super().step(*arguments, **options)


@pytest.mark.parametrize("criterion", ["seq", "ll"])
@pytest.mark.parametrize(("name", "neuron"), [("alif", ALIF), ("brf", BRF)])
def test_truncated_training(
    name: str, neuron: type[Neuron], criterion: str, golden: Golden, agrees: Agrees
) -> None:
    arrays, common = golden("tbptt")[f"{name}_{criterion}"], golden("tbptt")[""]
    last = criterion == "ll"
    model = network(ours(arrays, "param_before"), neuron)
    with torch.no_grad():
        output = model(arrays["x"])
    agrees("outputs before", output.potentials_TBC[-1 if last else 0 :], arrays["eval_outputs"])
    if "eval_num_spikes" in arrays:
        assert output.spikes_TBH.sum().item() == arrays["eval_num_spikes"].item()

    optimizer = CountingAdam(model.parameters(), lr=float(common["adam_lr"]))
    step = truncated_step(int(common["tbptt_steps"]), label_last=last)
    result = step(model, arrays["x"], arrays["y"], optimizer)
    assert optimizer.count == int(arrays["n_optimizer_steps"]) == 6
    agrees("loss", result.loss, arrays["train_total_loss"])
    agrees("value", result.value, arrays["train_total_loss"] / (6 if last else 23))
    right = arrays["train_outputs"].mean(0).argmax(-1) == arrays["y"]
    assert int(result.correct) == int(right.sum())
    after = ours(arrays, "param_after")
    for key, parameter in model.named_parameters():
        # Adam divides by the gradient's size: where that is tiny, its rounding decides
        assert float((parameter.detach() - after[key]).abs().max()) < 1e-6, key


# --- sizes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("neuron", ["brf", "rf", "hrf", "alif", "alif_bias"])
@pytest.mark.parametrize(("task", "inputs", "classes"), [("ecg", 4, 6), ("smnist", 1, 10)])
def test_parameter_counts(task: str, inputs: int, classes: int, neuron: str) -> None:
    file = Path(__file__).parent / "golden" / "param_counts.json"
    recorded = json.loads(file.read_text())[f"{task}_{neuron}"]
    name = {"alif": "alif", "alif_bias": "alif_seed"}.get(neuron, neuron)
    config = load_yaml(CONFIGS[task], PAPER / "configs" / f"{task}_{name}.yaml")
    model = build(config, inputs, classes)
    assert count_parameters(model) == recorded["total"]
    empty = {key: torch.zeros(shape) for key, shape in recorded["params"].items()}
    checkpoints.load_into(model, convert(empty, inputs, "golden"), "golden")  # shapes, one by one


# --- first steps on real data -------------------------------------------------------------------

#: Group of ecg_train_step.npz: neuron, batch, time steps, learning rate, skipped steps.
FIRST_STEPS: dict[str, tuple[Any, int, int, float, int]] = {
    "repro_ecg_brf_init": ("brf", 16, 1300, 0.1, 0),
    "repro_ecg_rf_init": ("rf", 16, 1300, 0.1, 0),
    "repro_ecg_alif_init": ("alif", 4, 1300, 0.05, 10),
    "orig_ecg_brf": ("brf", 16, 150, 0.1, 0),
    "orig_ecg_rf": ("rf", 16, 150, 0.1, 0),
}


@pytest.fixture(scope="module")
def real() -> tuple[Path, Tensor, Tensor]:
    """The folder of published checkpoints, and the first 16 training sequences, time first."""
    root = os.environ.get("SNN_DATA")
    if not root:
        pytest.skip("SNN_DATA is not set: no real data to test against")
    published = Path(root) / "published" / "brf" / "checkpoints"
    if not (Path(root) / "qtdb").is_dir() or not published.is_dir():
        pytest.skip("the folder that SNN_DATA names lacks qtdb or published/brf/checkpoints")
    data = load_qtdb("train", Path(root) / "qtdb")
    spikes, labels = torch.from_numpy(data.spikes[:16]), torch.from_numpy(data.labels[:16])
    return published, *ecg_transform(spikes, labels)


@pytest.mark.parametrize("name", FIRST_STEPS)
def test_first_step_on_real_data(
    name: str, real: tuple[Path, Tensor, Tensor], golden: Golden
) -> None:
    neuron, batch, steps, lr, skipped = FIRST_STEPS[name]
    arrays = golden("ecg_train_step")[name]
    folder, x_TBI, y_TB = real
    x_TBI, y_TB = x_TBI[:steps, :batch], y_TB[:steps, :batch]
    weights = convert(checkpoints.load_foreign(folder / f"{name}.pt"), 4, name)
    model = build(EcgConfig(neuron=neuron, bias="hidden.bias" in weights), 4, 6)
    checkpoints.load_into(model, weights, name)
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    objective = make_objective(per_step=True, label_last=False, sub_seq_length=skipped)
    result = backpropagation_step(objective, None)(model, x_TBI, y_TB, optimizer)

    assert result.loss.item() == pytest.approx(float(arrays["loss_sum_step0"]), rel=1e-3)
    if name.endswith("_init"):
        assert int(result.correct) == int(arrays["correct_step0"])
    gradients, after = ours(arrays, "grad", 4), ours(arrays, "param_after1", 4)
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None
        largest = gradients[key].abs().max()
        # trained networks spike: one spike that flips moves all gradients a little
        tolerance = (0.01 if name.endswith("_init") else 0.05) * largest
        assert bool(((parameter.grad - gradients[key]).abs() <= tolerance).all()), key
        clear = gradients[key].abs() > 0.02 * largest
        assert bool(((parameter.detach() - after[key]).abs()[clear] < 1e-3).all()), key
    if neuron != "alif" and name.endswith("_init"):  # silent: nothing reaches the readout
        assert not gradients["out.input_weight"].any()
        assert model.out.input_weight.grad is not None
        assert not model.out.input_weight.grad.any()
        assert result.spikes is not None
        assert int(result.spikes) == 0
