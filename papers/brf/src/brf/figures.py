"""The paper's Figure 5 from our records: convergence, and where the parameters go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from brf.config import CONFIGS, PAPER
from brf.models import RecurrentSNN, build
from core import checkpoints
from core.config import from_dict
from core.neurons import divergence_boundary
from core.plots import Row, compare_curves, figure
from core.records import load_claims, load_records
from core.training.seeding import seed_everything

FOLDER = PAPER / "results" / "figures"
TITLES = {"ecg": "ECG (QTDB)", "smnist": "S-MNIST", "psmnist": "PS-MNIST"}
LABELS = {"brf": "BRF", "rf": "RF", "alif": "ALIF", "hrf": "BHRF"}


def draw_all() -> Iterator[Path]:
    """Draw what the records hold; yields the files written."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    yield from convergence()
    for path in sorted((PAPER / "checkpoints").glob("*.safetensors")):
        checkpoint = checkpoints.load_of_paper(path, "brf")
        manifest = checkpoint.manifest
        if manifest.get("model") in ("brf", "rf") and manifest.get("task") in TITLES:
            yield parameters(path.stem, checkpoint)


def convergence() -> Iterator[Path]:
    """Test accuracy per epoch, one figure per task, beside the published curves (Figure 5)."""
    records = [r for r in load_records(PAPER) if r.kind == "train" and not r.changes]
    published = {
        claim.config: claim.published_curve
        for claim in load_claims(PAPER / "claims.yaml")
        if claim.config and claim.published_curve
    }
    for task, title in TITLES.items():
        runs: dict[str, Sequence[Sequence[Row]]] = {}
        known = {}
        for neuron, label in LABELS.items():
            config = f"configs/{task}_{neuron}.yaml"
            curves = [r.curve for r in records if r.fields["config_file"] == config]
            if curves:
                runs[label] = curves
                if config in published:
                    # as far as our runs are: an unfinished one is looked at beside its equals
                    longest = max(len(curve) for curve in curves)
                    known[label] = {e: a for e, a in published[config].items() if e < longest}
        if runs:
            yield compare_curves(
                runs, FOLDER / f"{task}_convergence.png", title=title, published=known
            )


def parameters(name: str, checkpoint: checkpoints.Checkpoint) -> Path:
    """Angular frequency and damping of every neuron, before and after training (Figure 5).

    The damping at rest is ``b_c = p(w) - |b_offset|`` for BRF and ``-|b_offset|`` for RF, with
    ``w = |omega|``: signs are removed as the neuron does. The initial values are drawn again from
    the seed of the run.
    """
    manifest = checkpoint.manifest
    config = from_dict(CONFIGS[manifest["task"]], manifest["config"], name)
    weights = checkpoint.weights
    seed_everything(config.seed)
    model = build(config, weights["hidden.input_weight"].shape[1], len(weights["out.input_weight"]))
    before = _damping(model)
    checkpoints.load_into(model, {k: v for k, v in weights.items() if k != "permutation"}, name)
    after = _damping(model)
    path = FOLDER / f"{name}_parameters.png"
    with figure(path, width=4.6, height=4.0) as fig:
        axes = fig.subplots()
        largest = max(before[0].max(), after[0].max()) + 1.0
        omega = torch.linspace(0.0, float(largest), 300)
        axes.plot(omega, divergence_boundary(omega), "k--", label="divergence boundary p(ω)")
        axes.scatter(*before, s=20, alpha=0.6, color="#777777", label="before training")
        axes.scatter(*after, s=20, alpha=0.6, color="#EE4B2B", label="after training")
        axes.set(xlabel="angular frequency ω (rad/s)", ylabel="damping at rest (1/s)")
        axes.set_title(f"{LABELS[manifest['model']]} on {TITLES[manifest['task']]}")
        axes.legend(loc="lower left")
    return path


@torch.no_grad()
def _damping(model: RecurrentSNN) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    omega, damping = model.hidden.neuron.coefficients()
    return omega.numpy(), damping.numpy()
