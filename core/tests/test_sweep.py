"""Sweeps of a script that trains nothing: planned, run, killed, resumed, and never run twice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from core import checkpoints, cli
from core.errors import RunFailed, UserError
from core.sweep.command import run_all
from core.sweep.execute import execute, prepare
from core.sweep.plan import plan, read_seeds, read_settings
from core.sweep.process import Run, Script, step_back

from .records.conftest import make_paper


@pytest.fixture
def paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The toy paper with a script, the working directory inside it."""
    folder = make_paper(tmp_path)
    shutil.copy(Path(__file__).with_name("sweep_toy.py"), folder / "train.py")
    monkeypatch.chdir(folder)
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # as users have it
    return folder


def starts(out: Path) -> list[str]:
    return sorted((out / "starts.txt").read_text().splitlines())


def sweep(*arguments: str) -> None:
    parsed = cli._parser().parse_args(["sweep", "toy", "train", *arguments])
    parsed.run(parsed)


# ---- the plan


def test_a_plan_is_every_combination() -> None:
    planned = plan(
        [Path("a/x.yaml"), Path("b/y.yaml")], [0, 3], {"lr": ["1", "2"], "omega": ["3 5"]}, stem="t"
    )
    assert [one.name for one in planned[:3]] == [
        *("x-lr-1-omega-3_5-seed0", "x-lr-1-omega-3_5-seed3", "x-lr-2-omega-3_5-seed0"),
    ]
    assert len({one.name for one in planned}) == 8
    assert planned[-1].arguments == (
        *("--config", str(Path("b/y.yaml").resolve()), "--lr", "2", "--omega", "3", "5"),
        *("--seed", "3"),
    )
    (alone,) = plan([], [7], {}, stem="train")
    assert (alone.name, alone.arguments) == ("train-seed7", ("--seed", "7"))


def test_what_a_plan_refuses() -> None:
    with pytest.raises(UserError, match="would be called x-seed0"):
        plan([Path("a/x.yaml"), Path("b/x.yaml")], [0], {}, stem="t")
    with pytest.raises(UserError, match="would be called t-seed1"):
        plan([], [1, 1], {}, stem="t")
    with pytest.raises(UserError, match="at most 1000 runs"):
        plan([], range(1001), {}, stem="t")


def test_seeds_and_settings_are_read() -> None:
    assert read_seeds("0-2, 7,9-9") == [0, 1, 2, 7, 9]
    for wrong in ("", "a", "3-1", "0-99999999", "-1", "1.5", "0-"):
        with pytest.raises(UserError, match="--seeds"):
            read_seeds(wrong)
    assert read_settings(["neuron=brf, rf", "--lr=1"]) == {"neuron": ["brf", "rf"], "lr": ["1"]}
    for wrong in ("neuron", "=1", "lr=", "lr=1,,2", "seed=1", "out=x"):
        with pytest.raises(UserError, match="--set"):
            read_settings([wrong])
    with pytest.raises(UserError, match="given twice"):
        read_settings(["lr=1", "lr=2"])


# ---- carried out


def test_every_run_ends_and_none_is_run_twice(
    paper: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = paper / "runs" / "sweep"
    sweep("--seeds", "0-1", "--set", "neuron=brf,rf", "--jobs", "2")
    assert starts(out) == [
        f"train-neuron-{neuron}-seed{seed} new {max(1, len(os.sched_getaffinity(0)) // 2)}"
        for neuron in ("brf", "rf")
        for seed in (0, 1)
    ]
    told = capsys.readouterr().out
    assert told.startswith("4 runs of train.py, 2 at once with ")
    assert "train-neuron-rf-seed1: finished, epoch 3/3, test accuracy 54.00 %, 10 MB\n" in told
    assert told.endswith("mean, deviation and curves: core compare runs/sweep\n")
    sweep("--seeds", "0-2", "--set", "neuron=brf,rf", "--jobs", "2")
    assert len(starts(out)) == 6, "two new ones"


@pytest.mark.skipif(not hasattr(os, "getpriority"), reason="no priorities here")
def test_runs_step_back_behind_other_work() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE,
                          start_new_session=True) as process:  # fmt: skip
        step_back(process.pid, 7)
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == 7
        group = Path(f"/proc/{process.pid}/autogroup")
        if group.exists():
            assert group.read_text().split()[-1] in ("7", "0")  # 0: too soon after another change
        process.communicate(b"\n")
    step_back(process.pid, 7)  # gone by now


def test_only_so_far_back(paper: Path) -> None:
    for wrong in ("-1", "20"):
        with pytest.raises(UserError, match=f"from 0 to 19, not {wrong}"):
            sweep("--seeds", "0", "--nice", wrong)
    sweep("--seeds", "0", "--nice", "1", "--out", str(paper / "sweep"))
    assert len(starts(paper / "sweep")) == 1


def test_an_interrupted_run_goes_on(paper: Path) -> None:
    out = paper / "sweep"
    sweep("--seeds", "0", "--out", str(out))
    facts = json.loads((out / "train-seed0" / "run.json").read_text())
    (out / "train-seed0" / "run.json").write_text(json.dumps({**facts, "status": "running"}))
    rows = (out / "train-seed0" / "metrics.jsonl").read_text().splitlines()
    (out / "train-seed0" / "metrics.jsonl").write_text("\n".join(rows[:2]))
    sweep("--seeds", "0", "--out", str(out), "--threads", "1")
    assert [line.split()[1] for line in starts(out)] == ["new", "resumed"]
    assert (out / "train-seed0" / "metrics.jsonl").read_text().splitlines() == rows


def test_a_run_without_a_checkpoint_is_put_aside_and_started_again(paper: Path) -> None:
    out = paper / "sweep"
    sweep("--seeds", "0", "--out", str(out))
    facts = json.loads((out / "train-seed0" / "run.json").read_text())
    (out / "train-seed0" / "run.json").write_text(json.dumps({**facts, "status": "running"}))
    (out / "train-seed0" / "resume.pt").unlink()
    sweep("--seeds", "0", "--out", str(out))
    assert [line.split()[1] for line in starts(out)] == ["new", "new"]
    assert len(list(out.glob("unstarted/train-seed0-*"))) == 1


def test_a_failed_run_does_not_stop_the_others(
    paper: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RunFailed, match=r"1 of 2 runs failed.*fail-2-seed0: the loss is not finit"):
        sweep("--set", "fail=2,0", "--seeds", "0", "--jobs", "1")
    out = paper / "runs" / "sweep"
    assert "failed: the loss is not finite" in capsys.readouterr().out
    assert json.loads((out / "train-fail-0-seed0/run.json").read_text())["status"] == "finished"
    with pytest.raises(RunFailed, match="--retry tries it again"):
        sweep("--set", "fail=2,0", "--seeds", "0", "--jobs", "1")
    assert len(starts(out)) == 2
    with pytest.raises(RunFailed, match="the loss is not finite"):
        sweep("--set", "fail=2,0", "--seeds", "0", "--jobs", "1", "--retry")
    assert len(starts(out)) == 3


def test_nothing_is_started_where_a_flag_is_wrong_or_a_folder_holds_another_run(
    paper: Path,
) -> None:
    with pytest.raises(UserError, match="train-colour-red-seed0: --colour: no such option"):
        sweep("--seeds", "0", "--set", "colour=red")
    with pytest.raises(UserError, match=r"no script trian\.py; there are train\.py"):
        run_all(paper, "trian", plan([], [0], {}, stem="t"), out=paper)
    assert not (paper / "runs").exists()
    sweep("--seeds", "0")
    sweep("--seeds", "0-1", "--set", "epochs=9", "--out", "runs/nine")
    (paper / "runs/nine/train-epochs-9-seed0").rename(paper / "runs/nine/train-epochs-8-seed0")
    with pytest.raises(UserError, match=r"holds a run with other settings \(epochs\)"):
        sweep("--seeds", "0-1", "--set", "epochs=8", "--out", "runs/nine")
    assert len(starts(paper / "runs" / "nine")) == 2


def test_nothing_is_started_where_the_first_run_finds_no_data(
    paper: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One process says so, whole; neither its log nor a folder is left."""
    with pytest.raises(UserError, match=r"^no data:\n  1\. a folder\n  2\. a mirror\n.*first of 2"):
        sweep(
            "--seeds", "0-1", "--set", "data=gone", "--jobs", "2", "--out", str(paper / "a" / "b")
        )
    assert "seed1: starting" not in capsys.readouterr().out
    assert not (paper / "a").exists()
    with pytest.raises(UserError, match="the only run"):
        sweep("--seeds", "0", "--set", "data=gone")


def test_those_that_lack_the_same_data_are_not_started(
    paper: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    match = r"2 of 4 .* the first of them \S*gone-seed0 and 1 alike: no data:\n.*\n.*mirror"
    with pytest.raises(RunFailed, match=match):
        sweep("--seeds", "0-1", "--set", "data=here,gone", "--jobs", "1")
    out = paper / "runs" / "sweep"
    assert len(starts(out)) == 2
    assert [path.name for path in out.glob("*gone*.log")] == ["train-data-gone-seed0.log"]
    assert "gone-seed1: failed: no data:\n" in capsys.readouterr().out


def test_a_run_that_cannot_be_started_does_not_stop_the_others(paper: Path) -> None:
    out = paper / "sweep"
    (out / "train-seed0.log").mkdir(parents=True)
    with pytest.raises(RunFailed, match=r"1 of 2 .* it cannot be started: .*seed0\.log: Is a dir"):
        sweep("--seeds", "0-1", "--out", str(out))
    assert json.loads((out / "train-seed1/run.json").read_text())["status"] == "finished"
    (paper / "file").touch()
    with pytest.raises(RunFailed, match=r"1 of 1 runs failed.*be started: .*: File exists"):
        sweep("--seeds", "0", "--out", str(paper / "file"))


def test_what_is_no_folder_is_refused_before_anything_starts(paper: Path) -> None:
    out = paper / "sweep"
    out.mkdir()
    (out / "train-seed1").write_text("mine")
    with pytest.raises(UserError, match=r"train-seed1 is no folder to run in \(Not a directory\)"):
        sweep("--seeds", "0-1", "--out", str(out))
    with pytest.raises(UserError, match="--jobs and --threads must be at least 1"):
        sweep("--seeds", "0-1", "--jobs", "0")
    assert [path.name for path in out.iterdir()] == ["train-seed1"]


def test_no_run_is_left_alone_by_a_sweep_that_breaks(paper: Path) -> None:
    script = Script(paper, "train.py")
    runs = prepare(script, plan([], [0], {"wait": ["30"]}, stem="train"), paper / "sweep")

    def broken(seen: object) -> None:
        raise RuntimeError("the terminal is gone")

    with pytest.raises(RuntimeError, match="terminal"):
        execute(runs, script, jobs=1, show=broken)
    assert runs[0].process is not None
    assert runs[0].process.poll() is not None


@pytest.mark.parametrize("wait", ["0", "0.3"])
def test_two_sweeps_at_once_share_the_runs(
    wait: str, paper: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both see a run that waits and start it; the slower one waits for it, or finds it finished."""
    script = Script(paper, "train.py")
    (one,) = plan([], [0], {"wait": [wait]}, stem="train")
    ended: list[Run] = []
    others: list[subprocess.Popen[bytes]] = []
    command = Script.command

    def faster(self: Script, *arguments: str) -> list[str]:
        """Between the look and the start another sweep starts the same run."""
        monkeypatch.undo()
        others.append(subprocess.Popen(command(self, *arguments), cwd=paper))
        if wait == "0":
            others[0].wait()
        else:
            while not (paper / "sweep" / one.name / "resume.pt").exists():
                time.sleep(0.01)
        return command(self, *arguments)

    runs = prepare(script, [one], paper / "sweep")
    monkeypatch.setattr(Script, "command", faster)
    execute(runs, script, jobs=1, show=lambda _: None, ended=ended.append, pause=0.02)
    assert others[0].wait() == 0
    assert ended == runs
    assert runs[0].problem is None
    assert len(starts(paper / "sweep")) == 1


def test_folders_that_go_away_under_a_run_are_a_failure_of_that_run(paper: Path) -> None:
    script = Script(paper, "train.py")
    out = paper / "sweep"
    runs = prepare(script, plan([], [0], {"wait": ["0.3"]}, stem="train"), out)

    def move_away(seen: object) -> None:
        if (out / "train-wait-0.3-seed0" / "metrics.jsonl").exists():
            out.rename(paper / "elsewhere")

    with pytest.raises(RunFailed, match=r"1 of 1 runs failed.*seed0\.log: No such file"):
        execute(runs, script, jobs=1, show=move_away, pause=0.02)


def test_finished_runs_are_recorded(paper: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep("--seeds", "0", "--record")  # no weights: the refusal is told, and stops nothing
    assert "finished (not recorded: " in capsys.readouterr().out
    best = paper / "runs" / "sweep" / "train-seed0" / "best.safetensors"
    checkpoints.save(best, torch.nn.Linear(1, 1), {"epoch": 3})
    sweep("--seeds", "0", "--record")
    assert "started from no file in configs/" in capsys.readouterr().out
    sweep("--seeds", "0", "--record", "--trial")
    assert "finished and recorded" in capsys.readouterr().out


@pytest.fixture
def killed(paper: Path) -> Path:
    """A sweep of four slow runs, killed while two of them are running."""
    out = paper / "sweep"
    code = "import sys; from core.cli import main; main(sys.argv[1:])"
    flags = ("--seeds", "0-3", "--jobs", "2", "--out", str(out), "--set", "wait=0.2")
    command = [sys.executable, "-c", code, "sweep", "toy", "train", *flags]
    process = subprocess.Popen(command, cwd=paper, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (out / "train-wait-0.2-seed1" / "run.json").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return out


def test_a_killed_sweep_goes_on(paper: Path, killed: Path) -> None:
    """Its two runs go on without it: they are waited for, and none is started again."""
    sweep("--seeds", "0-3", "--jobs", "2", "--out", str(killed), "--set", "wait=0.2")
    assert [line.split()[:2] for line in starts(killed)] == [
        [f"train-wait-0.2-seed{seed}", "new"] for seed in range(4)
    ]


def test_ctrl_c_stops_the_runs_and_says_how_to_go_on(paper: Path) -> None:
    script = Script(paper, "train.py")
    planned = plan([], [0, 1], {"wait": ["30"], "device": ["cpu"]}, stem="train")
    runs = prepare(script, planned, paper / "sweep")

    def interrupt(seen: object) -> None:
        if (paper / "sweep" / "train-wait-30-seed1").exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="stopped with 0 of 2 runs finished"):
        execute(runs, script, jobs=2, show=interrupt, pause=0.02)
    assert all(run.process is not None and run.process.poll() is not None for run in runs)


def test_a_run_of_another_process_is_waited_for(
    paper: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.sweep import state

    script = Script(paper, "train.py")
    out = paper / "sweep"
    sweep("--seeds", "0", "--out", str(out))
    busy = iter([True, True, True, False])
    monkeypatch.setattr(state, "in_use", lambda folder: next(busy, False))
    (run,) = prepare(script, plan([], [0], {}, stem="train"), out)
    seen: list[str] = []
    over: list[Run] = []
    execute(
        [run],
        script,
        jobs=1,
        show=lambda runs: seen.append(runs[0].state.status),
        ended=over.append,
        pause=0.01,
    )
    assert seen == ["running", "running", "finished"]
    assert over == [run]
    assert len(starts(out)) == 1
