"""Where training takes the parameters of resonators, as in the paper's Figure 5."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain

import numpy as np
import torch
from matplotlib.axes import Axes
from numpy.typing import NDArray

from brf import landscape
from brf.config import CONFIGS, PAPER
from brf.dynamics import neuron_dynamics
from brf.figure5 import figure5
from brf.models import RecurrentSNN, build
from brf.perturbations import SHAPE
from brf.rasters import side_by_side
from brf.robustness_figure import draw
from brf.robustness_orders import orders
from brf.scoring import Row, read_rows
from core import checkpoints
from core.config import from_dict
from core.data.fetch import is_present
from core.neurons import divergence_boundary
from core.plots import figure
from core.records.claims import load_claims
from core.records.pictures import Drawn
from core.records.store import load_records
from core.training.seeding import seed_everything

FOLDER = PAPER / "results" / "figures"
ROBUSTNESS = PAPER / "results" / "robustness"
LANDSCAPES = PAPER / "results" / "landscape"
TITLES = {"ecg": "ECG (QTDB)", "smnist": "S-MNIST", "psmnist": "PS-MNIST"}
LABELS = {"brf": "BRF", "rf": "RF"}


def draw_all(tell: Callable[[str], None]) -> Iterator[Drawn]:
    """Draw the paper's figures from equations, records, kept weights and kept results.

    Args:
        tell: Is told what could not be drawn, and why.
    """
    yield neuron_dynamics(FOLDER / "dynamics.png")
    claims, records = load_claims(PAPER / "claims.yaml"), load_records(PAPER)
    yield figure5(claims, records, FOLDER / "figure5.png")
    networks = [PAPER / "checkpoints" / f"ecg_{n}-seed0.safetensors" for n in ("rf", "brf", "alif")]
    if not is_present("qtdb"):
        tell("qtdb is not here, so there is no figure of spikes on it")
    elif shown := [network for network in networks if network.is_file()]:
        yield side_by_side(shown, FOLDER / "raster_ecg.png")
    kept: dict[str, dict[str, list[checkpoints.Checkpoint]]] = {}
    for path in sorted((PAPER / "checkpoints").glob("*.safetensors")):
        checkpoint = checkpoints.load_of_paper(path, "brf")
        task, neuron = checkpoint.manifest.get("task"), checkpoint.manifest.get("model")
        if neuron in LABELS and task in TITLES:
            kept.setdefault(task, {}).setdefault(neuron, []).append(checkpoint)
    if not kept:
        tell("no weights of BRF or RF are kept yet (core record RUN --keep-weights)")
    for task, by_neuron in kept.items():
        yield parameters(task, by_neuron)
    files = sorted(ROBUSTNESS.glob("*.jsonl"))
    if not files:
        tell("no perturbed network is kept yet (robustness.py CHECKPOINT --out results/robustness)")
    by_task: dict[str, dict[str, list[Row]]] = {}
    for file in files:
        rows = read_rows(file, SHAPE)
        by_task.setdefault(rows[0]["task"], {})[file.stem] = rows
    for task, networks_of in by_task.items():
        yield robustness(task, networks_of)

    around = {f.stem: read_rows(f, landscape.SHAPE) for f in sorted(LANDSCAPES.glob("*.jsonl"))}
    if around:
        yield landscapes(around, tell)
    else:
        tell("no landscape is kept yet (loss_landscape.py CHECKPOINT --out results/landscape)")


def landscapes(kept: Mapping[str, Sequence[Row]], tell: Callable[[str], object]) -> Drawn:
    """Figure 13 beside ours: what ``loss_landscape.py`` left in ``results/landscape``."""
    measured = {f"{rows[0]['model'].upper()} ({name})": rows for name, rows in kept.items()}
    path = FOLDER / "landscape.png"
    if path.exists() and not landscape.published():
        tell(
            f"{path.name} stays as it is, for lack of published surfaces"
            " (core fetch brf_landscapes)"
        )
    else:
        landscape.draw(measured, path)
    return Drawn(
        path,
        "Loss around trained S-MNIST networks, along two random directions of the weights into "
        "the hidden layer, each row as long as that of the weights; beside the published surfaces, "
        "whose networks were trained until half of the validation set was right and no further",
    )


def robustness(task: str, networks: Mapping[str, Sequence[Row]]) -> Drawn:
    """Figure 12 beside ours: what ``robustness.py`` left in ``results/robustness``."""
    ours: dict[str, list[Sequence[Row]]] = {}
    measured: dict[str, list[Row]] = {}
    for name, rows in networks.items():
        if name.startswith("orig_"):  # the authors', of which there is one each
            measured[f"{rows[0]['model']} (authors')"] = list(rows)
        else:
            ours.setdefault(rows[0]["model"], []).append(rows)
    for model, found in ours.items():
        count = "" if len(found) == 1 else f", {len(found)} networks"
        measured[f"{model} (ours{count})"] = list(chain.from_iterable(found))
    path = draw(measured, FOLDER / f"robustness_{task}.png")
    counts = sorted({row["samples"] for rows in networks.values() for row in rows})
    beside = ", dashed the published mean over five" if task == "smnist" else ""
    return Drawn(
        path,
        f"{TITLES[task]} networks under perturbation: mean and standard deviation over networks "
        f"and draws ({' to '.join(map(str, counts))} test samples){beside}"
        + "".join(f". {line}" for line in orders(ours)),
    )


def parameters(task: str, kept: dict[str, list[checkpoints.Checkpoint]]) -> Drawn:
    """Angular frequency and damping of every neuron of all seeds, before and after training.

    The damping at rest is ``b_c = p(w) - |b_offset|`` for BRF and ``-|b_offset|`` for RF, with
    ``w = |omega|``: signs are removed as the neuron does. The initial values are drawn again from
    the seed of each run.
    """
    path = FOLDER / f"parameters_{task}.png"
    with figure(path, width=0.8 + 4.0 * len(kept), height=4.0) as fig:
        panels = fig.subplots(1, len(kept), sharex=True, sharey=True, squeeze=False)[0]
        for axes, (neuron, networks) in zip(panels, kept.items(), strict=True):
            _panel(axes, networks)
            axes.set_title(f"{LABELS[neuron]} on {TITLES[task]}, {len(networks)} seeds")
        panels[0].set_ylabel("damping at rest (1/s)")
        panels[0].legend(loc="lower left")
    counts = ", ".join(f"{LABELS[neuron]} {len(networks)}" for neuron, networks in kept.items())
    return Drawn(
        path,
        f"Parameters of the neurons on {TITLES[task]}: angular frequency and damping at rest, "
        f"pooled over the kept networks ({counts}); above the dashed line a BRF neuron would grow",
    )


def _panel(axes: Axes, networks: Sequence[checkpoints.Checkpoint]) -> None:
    pairs = [_before_and_after(network) for network in networks]
    before, after = (np.concatenate(parts, axis=1) for parts in zip(*pairs, strict=True))
    omega = torch.linspace(0.0, float(max(before[0].max(), after[0].max())) + 1.0, 300)
    axes.plot(omega, divergence_boundary(omega), "k--", label="divergence boundary p(ω)")
    _scatter(axes, before, "#777777", "before training")
    _scatter(axes, after, "#D55E00", "after training")
    axes.set_xlabel("angular frequency ω (rad/s)")


def _scatter(axes: Axes, values_2N: NDArray[np.float32], color: str, label: str) -> None:
    omega_N, damping_N = values_2N
    axes.scatter(omega_N, damping_N, s=12, alpha=0.45, color=color, linewidths=0, label=label)


def _before_and_after(
    checkpoint: checkpoints.Checkpoint,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Each ``[2, N]``: angular frequency and damping."""
    manifest, weights = checkpoint.manifest, checkpoint.weights
    name = f"weights of {manifest['model']} on {manifest['task']}"
    config = from_dict(CONFIGS[manifest["task"]], manifest["config"], name)
    seed_everything(config.seed)
    model = build(config, weights["hidden.input_weight"].shape[1], len(weights["out.input_weight"]))
    before = _damping(model)
    checkpoints.load_into(model, {k: v for k, v in weights.items() if k != "permutation"}, name)
    return before, _damping(model)


@torch.no_grad()
def _damping(model: RecurrentSNN) -> NDArray[np.float32]:
    omega, damping = model.hidden.neuron.coefficients()
    return np.stack([omega.numpy(), damping.numpy()])
