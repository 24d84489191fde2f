"""Everything that cannot be done is refused in one message that names the next step."""

from __future__ import annotations

from pathlib import Path

import pytest

from bsnn.config import PAPER
from core.testing import call_script, message

from .test_smoke import TINY

RLIF = "--model RLIF --n-layer 1"


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    capsys.readouterr()
    assert call_script(PAPER, "main", *arguments) == 2
    return message(capsys)


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        ("--modl LIF", "did you mean --model?"),
        ("--n-l 1 --re 3", "--re could be --"),
        ("--model rlif", "expected {LIF,RLIF,RadLIF,adLIF,GRU,LiGRU,MLP,RNN}, got 'rlif'"),
        ("--balance", "balance is about model RLIF, and the model is LIF"),
        ("--slow-dynamics", "slow_dynamics is about model RLIF"),
        ("--model GRU --single-spike", "single_spike is about spikes, and GRU has none"),
        ("--model MLP --track-balance", "track_balance is about spikes"),
        ("--model MLP --bidirectional", "no direction in time"),
        ("--model RLIF --auto-encoder", "auto_encoder has exactly one hidden layer, not 3"),
        (f"{RLIF} --balance-refit --fix-w-in --fix-w-rec", "fix both"),
        (f"{RLIF} --quantize 17.2", "reads BITS.FRAC with 1 to 16 bits"),
        (f"{RLIF} --quantize-adc x", "quantize_adc is 'x'"),
        (f"{RLIF} --gauss-mul", "add --gauss S"),
        (f"{RLIF} --repeat 0", "repeat is 0; it must be at least 1"),
        (f"{RLIF} --alpha-init 1", "alpha_init is 1.0"),
        (f"{RLIF} --reset hard", "expected {default,voltage,threshold}, got 'hard'"),
        ("--balance-metric mean", "expected {median,lowpass,raw}, got 'mean'"),
        ("--augment", "augment is about audio (hd, sc), and the data set is shd"),
        ("--dataset cue --data embedded", "cue samples are made here"),
        ("--dataset cue --dataset-folder x", "cue samples are made here"),
        ("--data regenerated --dataset ssc", "exists for shd, not for ssc"),
        ("--data subset", "exists for hd and sc, not for shd"),
        ("--use-pretrained-model", "needs load_exp_folder"),
        ("--load-exp-folder x", "add --use-pretrained-model"),
        ("--only-do-testing", "needs a trained model"),
        ("--seed -2", "seed is -2"),
        ("--reg-fmin 0.6", "reg_fmin is 0.6, above reg_fmax"),
        ("--trials 0", "trials is 0"),
        ("run_everything", "main.py has no function 'run_everything'; there are run_unbalanced"),
        ("--backend fast", "unknown scan backend 'fast'"),
    ],
)
def test_flags(flags: str, problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert problem in refusal(capsys, *flags.split())


def test_an_auto_encoder_is_not_trained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refusal(capsys, *TINY, "--auto-encoder", "--out", tmp_path / "run")
    assert "run_balanced_ae_sample" in said
    assert not (tmp_path / "run").exists()


def test_folders_are_never_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes").write_text("mine")
    assert "exists already" in refusal(capsys, *TINY, "--out", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def test_what_does_not_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "is not a run folder" in refusal(capsys, "--resume", tmp_path)
    load = ("--use-pretrained-model", "--load-exp-folder", tmp_path)
    assert "is not a run folder" in refusal(capsys, *load)
    out = tmp_path / "run"
    assert call_script(PAPER, "main", *TINY, "--n-epochs", 0, "--out", out) == 0
    assert "lr would change" in refusal(capsys, "--resume", out, "--lr", 1)
    assert "one trial" in refusal(capsys, "--resume", out, "--trials", 2)
