"""The loss around a network: the paper's Figure 13.

``L(a, b)`` is the test loss at ``W + a D1 + b D2``, where ``W`` are the weights into the hidden
layer, those of the input and the recurrent ones. Both directions are drawn from a normal
distribution, then every row of each of the two blocks is brought to the norm of the same row of
``W`` (filter-wise normalisation; with a single input that makes it ``+-W`` there).
"""

from __future__ import annotations

import argparse
import copy
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from numpy.typing import NDArray
from torch import Tensor

from brf.models import RecurrentSNN
from brf.scoring import Row, Setup, carry_on, score, set_up
from core.data.fetch import fetch, is_present
from core.errors import UserError
from core.plots import figure

SHAPE = {
    **{"alpha": float, "beta": float, "points": int, "bound": float},
    **{"loss": (float, None), "accuracy": float},
}
"""Of a row of results; a loss that is not finite is None."""
PUBLISHED = {"RF": "rf", "BRF": "brf", "ALIF": "alif_tbptt"}
"""Networks of the published surfaces, trained until half of the validation set was right."""


def run(options: argparse.Namespace) -> list[Row]:
    """What ``loss_landscape.py`` does: score at every point, keep each result, and draw.

    Raises:
        UserError: The checkpoint, its data or the settings cannot be used, or the folder holds
            results of others.
    """
    if options.points < 2 or not 0 < options.bound <= 1e3:
        raise UserError("--points must be at least 2, and --bound above 0 and at most 1000")
    setup = set_up(options)
    axis = np.linspace(-options.bound, options.bound, options.points).tolist()
    ways = directions(setup.model, setup.seed)
    file = options.out / f"{setup.name}.jsonl"
    rows = carry_on(
        file,
        SHAPE,
        {**setup.facts, "points": options.points, "bound": options.bound},
        itertools.product(axis, axis),
        lambda row: (row["alpha"], row["beta"]),
        lambda case: _measured(setup, ways, *case),
        _line,
    )
    label = f"{setup.config.model} ({setup.name})"
    picture = draw({label: rows}, file.with_suffix(".png"))
    print(f"results: {file}\nfigure: {picture}")
    return rows


def filter_normalised(drawn_HN: Tensor, weight_HN: Tensor) -> Tensor:
    """``drawn`` with the norm of each row of ``weight``."""
    return drawn_HN * (weight_HN.norm(dim=1) / drawn_HN.norm(dim=1))[:, None]


def directions(model: RecurrentSNN, seed: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Two random directions: weight by name."""
    generator = torch.Generator().manual_seed(seed)

    def one() -> dict[str, Tensor]:
        found = {}
        for name in ("hidden.input_weight", "hidden.recurrent_weight"):
            weight_HN = model.get_parameter(name).detach()
            drawn_HN = torch.randn(weight_HN.shape, generator=generator).to(weight_HN)
            found[name] = filter_normalised(drawn_HN, weight_HN)
        return found

    return one(), one()


def moved(
    model: RecurrentSNN, ways: tuple[dict[str, Tensor], dict[str, Tensor]], a: float, b: float
) -> RecurrentSNN:
    """A copy of the network with other weights into its hidden layer."""
    model = copy.deepcopy(model)
    with torch.no_grad():
        for name, first in ways[0].items():
            model.get_parameter(name).add_(a * first + b * ways[1][name])
    return model


def _measured(
    setup: Setup, ways: tuple[dict[str, Tensor], dict[str, Tensor]], a: float, b: float
) -> Row:
    metrics = score(setup, moved(setup.model, ways, a, b))
    return {"alpha": a, "beta": b, "loss": metrics.loss, "accuracy": metrics.accuracy}


def _line(row: Row) -> str:
    loss = "not finite" if row["loss"] is None else f"{row['loss']:.4f}"
    return f"({row['alpha']:.3f}, {row['beta']:.3f}): loss {loss}"


def published() -> dict[str, NDArray[np.float64]]:
    """The published surfaces that are on this machine, ``[50, 50]``, by network."""
    if not is_present("brf_landscapes"):
        return {}
    folder = fetch("brf_landscapes")
    files = {name: f"best_{stem}_model_50_1_10000.npy" for name, stem in PUBLISHED.items()}
    # digests are the registered ones
    return {n: np.load(folder / file, allow_pickle=False) for n, file in files.items()}


def draw(measured: Mapping[str, Sequence[Row]], path: Path) -> Path:
    """Contours of our surfaces and, on S-MNIST, of the published ones.

    Args:
        measured: Results of each network, by label.
        path: PNG to write.
    """
    others = published() if {rows[0]["task"] for rows in measured.values()} == {"smnist"} else {}
    panels = len(measured) + len(others)
    with figure(path, width=1.0 + 3.6 * panels, height=3.8) as fig:
        all_axes = list(fig.subplots(1, panels, squeeze=False)[0])
        for axes, (label, rows) in zip(all_axes, measured.items(), strict=False):
            title = f"{label}, {rows[0]['samples']} samples"
            _contours(axes, _surface(rows), rows[0]["bound"], title)
        for axes, (name, surface) in zip(all_axes[len(measured) :], others.items(), strict=True):
            _contours(axes, surface, 1.0, f"{name}, published")
    return path


def _surface(rows: Sequence[Row]) -> NDArray[np.float64]:
    """Loss ``[points, points]``, NaN where there is none."""
    points, bound = rows[0]["points"], rows[0]["bound"]
    loss = np.full((points, points), np.nan)
    axis = np.linspace(-bound, bound, points)
    for row in (row for row in rows if row["loss"] is not None):
        loss[np.argmin(abs(axis - row["alpha"])), np.argmin(abs(axis - row["beta"]))] = row["loss"]
    return loss


def _contours(axes: Axes, loss: NDArray[np.float64], bound: float, title: str) -> None:
    """The first axis of the array is drawn upwards, as in the published figure."""
    axis = np.linspace(-bound, bound, len(loss))
    lines = axes.contour(axis, axis, loss, levels=20, cmap="terrain", linewidths=1.0)
    axes.clabel(lines, inline=True, fontsize=6)
    axes.set(xlabel="beta", ylabel="alpha", title=title, aspect="equal")
