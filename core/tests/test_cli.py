from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core import cli
from core.cli import doctor
from core.data import fetch as fetch_module
from core.errors import UserError
from core.records import load_records

from .records.conftest import make_paper, make_run


@pytest.fixture
def paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The toy paper, with the working directory inside it."""
    folder = make_paper(tmp_path)
    monkeypatch.chdir(folder)
    return folder


def run(*arguments: str) -> int:
    """Exit code of the command, run in this process."""
    try:
        cli.main(arguments)
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_help_is_instant_and_the_exit_code_of_wrong_usage_is_2() -> None:
    script = "import sys; from core.cli import main; main(sys.argv[1:])"
    command = [sys.executable, "-X", "importtime", "-c", script]
    done = subprocess.run([*command, "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    for name in ("fetch", "doctor", "record", "supersede", "table", "figures", "bench"):
        assert f"\n    {name}" in done.stdout
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert "core.errors" in imported
    assert not imported & {"torch", "numpy", "matplotlib", "yaml", "rich"}
    wrong = subprocess.run([*command, "tabel"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert "invalid choice: 'tabel'" in wrong.stderr


def test_record_then_table(paper: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_run(tmp_path / "run", [20.0, 85.5])
    assert run("record", str(folder)) == 0
    out = capsys.readouterr().out
    assert "recorded ecg_brf-seed0-01234567 (finished)" in out
    assert "core table toy --write" in out
    assert run("table", "toy") == 0
    assert "| 85.50 (1 of 5 runs) | -0.30 | **too few runs** |" in capsys.readouterr().out
    assert run("table", "toy", "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["verdict"] for row in rows] == ["too few runs"] * 2 + ["not run"] * 2


def test_check_fails_until_written(paper: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("table", "toy", "--check") == 1
    message = capsys.readouterr().err
    assert f"{paper / 'README.md'} (table toy); " in message
    assert f"{paper / 'results' / 'recipes.md'} differ from the records" in message
    assert "run `core table toy --write`" in message
    assert run("table", "toy", "--write") == 0
    assert f"updated {paper / 'README.md'} (table toy)" in capsys.readouterr().out
    assert run("table", "toy", "--check") == 0
    assert "up to date" in capsys.readouterr().out
    assert run("table", "toy", "--check", "--json") == 2


def test_what_is_superseded_says_so_until_it_was_run_again(
    paper: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in (0, 1):
        assert run("record", str(make_run(tmp_path / f"a{seed}", [20.0, 85.5], seed=seed))) == 0
    assert run("supersede", "toy", "ecg_rf*", "dropout") == 2
    assert "has an id like 'ecg_rf*'" in capsys.readouterr().err
    assert run("supersede", "toy", "ecg_brf-seed0-*", "dropout draws other masks") == 0
    assert "superseded ecg_brf-seed0-01234567\nrun them again" in capsys.readouterr().out
    assert run("table", "toy") == 0
    assert "1 of 2 runs superseded: dropout draws other masks |" in capsys.readouterr().out
    assert [r.superseded for r in load_records(paper)] == ["dropout draws other masks", None]
    again = make_run(tmp_path / "again", [20.0, 85.9], weights=1)
    assert run("record", str(again)) == 0
    assert load_records(paper)[0].superseded is None


def test_several_runs_are_recorded_at_once(
    paper: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A refused one keeps no other out."""
    runs = [str(make_run(tmp_path / f"run{n}", [20.0, 85.5], seed=n)) for n in range(3)]
    (tmp_path / "run1" / "metrics.jsonl").unlink()
    assert run("record", *runs) == 2
    said = capsys.readouterr()
    assert [record.fields["seed"] for record in load_records(paper)] == [0, 2]
    assert said.out.count("recorded ecg_brf-seed") == 2
    assert said.out.count("core table toy --write") == 1
    assert f"not recorded: {runs[1]}: " in said.err
    assert said.err.endswith("error: 1 of 3 runs were not recorded, see above\n")
    assert run("record", runs[0], runs[2], "--keep-weights") == 0
    assert capsys.readouterr().out.count("\nkept ") == 2


def test_record_displaces_only_on_request(paper: Path, tmp_path: Path) -> None:
    assert run("record", str(make_run(tmp_path / "a", [20.0, 85.5, 86.0]))) == 0
    shorter = str(make_run(tmp_path / "b", [20.0, 85.5], status="interrupted", planned=2))
    assert run("record", shorter) == 2
    assert run("record", shorter, "--replace") == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("table", "toys"), "no paper is called 'toys'. Did you mean 'toy'? Known: toy."),
        (("record", "nowhere"), "nowhere is not a run folder (it has no run.json); check the path"),
        (("figures", "toys"), "no paper is called 'toys'. Did you mean 'toy'?"),
        (("fetch", "minst"), "no data set is called 'minst'. Did you mean 'mnist'?"),
    ],
)
def test_wrong_requests_exit_2_with_the_next_step(
    paper: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert run(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert message in captured.err


def test_figures_runs_the_script_of_the_paper_in_its_folder(
    paper: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (paper / "figures.py").write_text("from pathlib import Path; Path('drawn').touch()\n")
    assert run("figures", "toy") == 0
    assert (paper / "drawn").exists()
    (paper / "figures.py").write_text("raise SystemExit(3)\n")
    assert run("figures", "toy") == 1
    assert "stopped with exit code 3" in capfd.readouterr().err


def test_fetch_passes_its_flags_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    calls: list[tuple[str, dict[str, Any]]] = []

    def fetch(name: str, **flags: Any) -> Path:
        calls.append((name, flags))
        return tmp_path / name

    monkeypatch.setattr(fetch_module, "fetch", fetch)
    assert run("fetch", "mnist") == 0
    assert run("fetch", "mnist", "--from", "by/hand") == 0
    assert run("fetch", "qtdb", "--mirror", "http://localhost:1") == 0
    common = {"progress": True}
    assert calls == [
        ("mnist", common | {"source": None, "mirror": None}),
        ("mnist", common | {"source": Path("by/hand"), "mirror": None}),
        ("qtdb", common | {"source": None, "mirror": "http://localhost:1"}),
    ]
    assert f"mnist is ready in {tmp_path / 'mnist'}" in capsys.readouterr().out
    assert run("fetch", "mnist", "--from", "x", "--mirror", "y") == 2


def test_doctor_reports_every_part(
    paper: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SNN_DATA", str(tmp_path))
    assert run("doctor") == 0
    lines = capsys.readouterr().out.splitlines()
    said = {line[:10].strip(): line[11:] for line in lines if not line.startswith(" ")}
    assert said["python"] == sys.version.split()[0]
    assert "torch uses" in said["cpu"]
    assert said["denormals"].startswith(("can be flushed", "cannot be flushed"))
    assert said["data"] == f"{tmp_path} (from SNN_DATA)"
    assert any("mnist not here, get it with: core fetch mnist" in line for line in lines)
    assert any("reference: " in line for line in lines)
    assert said["papers"] == str(paper)
    assert not any("cannot tell" in line for line in lines)


def test_doctor_survives_a_broken_part(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> list[str]:
        raise UserError("no driver")

    monkeypatch.setattr(doctor, "_gpu", broken)
    assert run("doctor") == 0
    out = capsys.readouterr().out
    assert "gpu        cannot tell: UserError: no driver" in out
    assert "\npapers " in out


def test_papers_are_those_of_the_checkout_where_no_other_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("table", "brf", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["source"] == "Table 1"


@pytest.mark.parametrize("option", [(), ("--json",)])
def test_a_terminal_that_is_not_utf_8(option: tuple[str, ...]) -> None:
    code = f"from core.cli import main; main({['table', 'brf', *option]})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        cwd=Path(__file__).parent,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    plus_minus = b"85.5 \\xb1 0.7"
    assert json.loads(done.stdout) if option else plus_minus in done.stdout


def test_a_closed_pipe_is_no_error() -> None:
    """``core table brf --json | head -1``: the reader stops, nothing is said about it."""
    code = "from core.cli import main; main(['table', 'brf', '--json'])"
    done = subprocess.run(
        f'{sys.executable} -c "{code}" | head -n 1',
        shell=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
        check=True,
    )
    assert done.stdout == "[\n"
    assert done.stderr == ""
