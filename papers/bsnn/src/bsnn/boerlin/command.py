"""What ``boerlin.py`` does and tells."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bsnn.boerlin.config import Sandbox
from bsnn.boerlin.currents import NeuronCurrents, currents_of
from bsnn.boerlin.network import Simulation, simulate
from core.errors import UserError


def run(config: Sandbox) -> Simulation:
    """Simulate, tell what came out, and draw it where the settings ask for that.

    Raises:
        UserError: Settings that do not fit, or data that are missing.
    """
    if config.plot_neuron >= config.n:
        raise UserError(
            f"--plot_neuron {config.plot_neuron}: there are neurons 0 to {config.n - 1}"
        )
    seed = config.seed
    if seed < 0:
        seed = int(np.random.SeedSequence().generate_state(1)[0])
        print(f"seed {seed}, drawn; --seed {seed} gives the same again")
    simulation = simulate(config, seed)
    print("\n".join(summary(simulation)))
    currents, verdict = None, "unknown"
    if config.track_balance:
        currents = currents_of(simulation, config.plot_neuron)
        verdict = currents.verdict(two_sided=config.numerics == "corrected")
        print(f"currents of neuron {config.plot_neuron}: {verdict}")
    if config.plot or config.save:
        _draw(config, simulation, currents, verdict)
    return simulation


def summary(simulation: Simulation) -> list[str]:
    """Weights, rates and error, line by line."""
    weights, rates = simulation.weights, simulation.rates
    named = {
        "decoder": weights.decoder,
        "w_fast": weights.fast,
        "w_slow": weights.slow,
        "threshold": weights.threshold,
    }
    lines = [
        f"{name}: min {array.min():.6g}, max {array.max():.6g}, mean {array.mean():.6g}"
        for name, array in named.items()
        if array is not None
    ]
    return [
        *lines,
        f"{len(simulation.spikes)} spikes in {len(simulation.target)} steps, {len(rates)} neurons",
        f"spikes per neuron and step: max {rates.max():.3g}, min {rates.min():.3g}, "
        f"mean {rates.mean():.3g}, std {rates.std():.3g}",
        f"mean squared error: {simulation.error:.8f}",
    ]


def _draw(
    config: Sandbox, simulation: Simulation, currents: NeuronCurrents | None, verdict: str
) -> None:
    from bsnn.boerlin.figure import draw

    name = f"{simulation.error:.6f}{config.save}_balancestate_{verdict}.png"
    path = Path(config.save_path) / name
    note = ", in place of an earlier one" if path.exists() else ""
    try:
        draw(path, simulation, currents, config)
    except OSError as error:
        raise UserError(
            f"cannot write {path} ({error.strerror}); choose another folder with --save_path"
        ) from error
    print(f"figure: {path}{note} (figures are written, not shown)")
