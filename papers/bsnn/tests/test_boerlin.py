"""The sandbox: spike by spike that of the authors, and what the theory says instead."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bsnn.boerlin.command import run
from bsnn.boerlin.config import Sandbox
from bsnn.boerlin.currents import NeuronCurrents, currents_of
from bsnn.boerlin.network import Simulation, simulate
from bsnn.config import PAPER
from core.errors import UserError

GOLDEN = Path(__file__).parent / "golden"
OTHERS: dict[str, Any] = {"n": 50, "mu": 0.001, "nu": 0.002, "auto_encoder": True}
CASES: dict[str, Sandbox] = {
    "default_balance": Sandbox(),
    "noisefree_rand": Sandbox(
        auto_encoder=True, w_init="rand", j=2, n=80, sigma_s=0.0, sigma_v=0.0
    ),
    "slow_j3": Sandbox(w_init="rand", j=3, n=120, seed=1),
    "cue": Sandbox(
        data="cue", repeat=4, n=60, w_init="rand", auto_encoder=True, sigma_s=0.0, alpha=0.999
    ),
    "w_boerlin-rand": Sandbox(w_init="boerlin-rand", **OTHERS),
    "w_kaiming-normal": Sandbox(w_init="kaiming-normal", **OTHERS),
    "w_kaiming-uniform": Sandbox(w_init="kaiming-uniform", **OTHERS),
    "w_custom": Sandbox(w_init="custom", **OTHERS),
}


@pytest.mark.parametrize("case", CASES)
def test_simulation_is_that_of_the_authors(case: str) -> None:
    config, golden = CASES[case], np.load(GOLDEN / f"boerlin_{case}.npz")
    simulation = simulate(config, config.seed)
    assert simulation.error == pytest.approx(float(golden["mse"]), rel=1e-9)
    np.testing.assert_array_equal(simulation.spikes, golden["spike_time_id"])
    currents = currents_of(simulation, 0)
    ours = {
        "c_clean": simulation.clean,
        "x": simulation.target,
        "x_snn": simulation.estimate,
        "v_neuron0": simulation.voltage,
        "i_slow_neuron0": currents.slow,
        "i_fast_neuron0": currents.fast,
        "i_in_neuron0": currents.input,
        "i_exc_neuron0": currents.excitatory,
        "i_inh_neuron0": currents.inhibitory,
    }
    for name in golden.keys() & ours.keys():
        theirs = golden[name]
        tolerance = 1e-9 * (np.abs(theirs).max() + 1e-9)
        np.testing.assert_allclose(
            ours[name][:: int(golden["subsample"])], theirs, rtol=0, atol=tolerance, err_msg=name
        )


def test_the_default_has_the_published_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    simulation = run(Sandbox(track_balance=True))
    assert f"{simulation.error:.8f}" == "0.00129978"
    assert len(simulation.spikes) == 7664
    told = capsys.readouterr().out
    assert "mean squared error: 0.00129978" in told
    assert "spikes per neuron and step: max 0.011, min 0.0001, mean 0.000958" in told
    assert "currents of neuron 0: balanced" in told
    assert simulation.raster.sum() == 7664
    # One dimension: the published slow currents are nothing (golden: the same file for both).
    other = simulate(Sandbox(auto_encoder=True), 0)
    np.testing.assert_array_equal(other.spikes, simulation.spikes)


def test_slow_currents_of_the_theory_integrate_several_dimensions() -> None:
    published = CASES["slow_j3"]
    assert simulate(published, 1).error > 3e4
    corrected = replace(published, numerics="corrected")
    simulation = simulate(corrected, 1)
    assert simulation.error < 0.002 < 1e-5 * np.var(simulation.target)
    leak = replace(corrected, auto_encoder=True)
    assert simulate(leak, 1).error < 0.002
    assert currents_of(simulation, 0).verdict(two_sided=True) == "balanced"


def test_a_neuron_without_decoder_fires_on_noise_as_published_alone() -> None:
    config = replace(CASES["w_custom"], mu=0.0, nu=0.0)
    assert simulate(config, 0).rates[10:].max() > 0
    corrected = simulate(replace(config, numerics="corrected"), 0)
    assert corrected.rates[10:].max() == 0
    assert corrected.rates[:10].max() > 0


def test_too_much_excitation_counts_in_a_two_sided_verdict() -> None:
    zero, one = np.zeros(2000), np.ones(2000)
    excited = NeuronCurrents(zero, zero, zero, one, zero)
    assert excited.verdict(two_sided=False) == "balanced"
    assert excited.verdict(two_sided=True) == "not balanced"
    inhibited = NeuronCurrents(zero, zero, zero, zero, -one)
    assert inhibited.verdict(two_sided=False) == "not balanced"


SMALL: dict[str, Any] = {"data": "cue", "repeat": 1, "n": 6, "w_init": "rand"}


def test_a_spoken_digit_is_a_signal() -> None:
    config = Sandbox(data="shd", data_folder=Path("embedded"), repeat=3, n=20, sigma_s=0.0, j=2)
    simulation = simulate(config, 0)
    assert simulation.clean.shape == (300, 2)
    whole = simulate(replace(config, j=0), 0).clean
    assert whole.shape == (300, 700)
    np.testing.assert_array_equal(whole[:, 501:503], simulation.clean)
    assert set(np.unique(whole % 200)) == {0.0}
    assert (whole[::3] == whole[2::3]).all()
    with pytest.raises(UserError, match="199 channels from 501 on"):
        simulate(replace(config, j=200), 0)


def test_figures_are_written_under_the_published_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = Sandbox(**SMALL, save="_a", save_path=tmp_path / "new", track_balance=True)
    simulation = run(replace(config, plot_input_raster=True))
    (path,) = (tmp_path / "new").iterdir()
    assert path.name.startswith(f"{simulation.error:.6f}_a_balancestate_")
    assert path.name.endswith(("_balanced.png", "_not balanced.png"))
    assert f"figure: {path} (figures are written, not shown)" in capsys.readouterr().out
    run(config)
    assert "in place of an earlier one" in capsys.readouterr().out
    run(replace(config, track_balance=False, save="", plot=True))
    assert any(other.name.endswith("balancestate_unknown.png") for other in path.parent.iterdir())


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="neurons 0 to 5"):
        run(Sandbox(**SMALL, plot_neuron=6))
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write"):
        run(Sandbox(**SMALL, plot=True, save_path=tmp_path / "file"))


def test_seed_minus_one_says_which_seed_it_took(capsys: pytest.CaptureFixture[str]) -> None:
    simulation: Simulation = run(Sandbox(**SMALL, seed=-1))
    seed = int(capsys.readouterr().out.split()[1].rstrip(","))
    again = simulate(Sandbox(**SMALL), seed)
    np.testing.assert_array_equal(again.spikes, simulation.spikes)


def test_the_command_of_the_authors_readme_runs(tmp_path: Path) -> None:
    command = [sys.executable, str(PAPER / "boerlin.py"), "--auto-encoder", "--plot", "--n", "20"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=300
    )
    assert "mean squared error" in done.stdout
    assert len(list((tmp_path / "plots").glob("*_balancestate_unknown.png"))) == 1
