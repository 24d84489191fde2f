"""A training script without PyTorch for the tests of sweeps: it writes the folder of a run.

``--fail N`` fails at epoch N, ``--wait SECONDS`` sleeps in every epoch, ``--data gone`` finds no
data. Each start adds a line to ``starts.txt`` beside the run's folder.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from core.errors import UserError, run_main
from core.training.run_folder import RESUME, RunFolder

DEFAULTS = {"neuron": "brf", "seed": "0", "epochs": "3", "wait": "0", "fail": "0", "data": "here"}
PLACES = {"config": "", "device": "auto", "out": "", "resume": "", "threads": "0"}


def main() -> None:
    given = {**DEFAULTS, **PLACES}
    words = sys.argv[1:]
    if asked := "--print_config" in words:
        words.remove("--print_config")
    for flag, value in zip(words[::2], words[1::2], strict=True):
        if flag[2:] not in given:
            sys.exit(f"error: {flag}: no such option")
        given[flag[2:]] = value
    if asked:
        print(json.dumps({key: given[key] for key in given if key != "config"}))
    elif given["data"] == "gone":
        print("looking for data")
        raise UserError("no data:\n  1. a folder\n  2. a mirror")
    elif given["resume"]:
        folder = Path(given["resume"])
        with RunFolder.reopen(folder) as opened:
            lines = (folder / "metrics.jsonl").read_text().splitlines()
            stored = json.loads((folder / "config.yaml").read_text())
            train(opened, stored, [json.loads(line) for line in lines], given["threads"])
    else:
        settings = {key: given[key] for key in given if key != "config"}
        with RunFolder.create(Path(given["out"]), json.dumps(settings), facts(settings)) as opened:
            train(opened, settings, [], given["threads"])


def train(
    folder: RunFolder, settings: dict[str, str], rows: list[dict[str, float]], threads: str
) -> None:
    with (folder.path.parent / "starts.txt").open("a") as starts:
        starts.write(f"{folder.path.name} {'resumed' if rows else 'new'} {threads}\n")
    for epoch in range(len(rows), int(settings["epochs"]) + 1):
        time.sleep(float(settings["wait"]))
        if epoch == int(settings["fail"]) > 0:
            folder.update(status="failed")
            sys.exit("error: the loss is not finite")
        rows.append(row(epoch, int(settings["seed"])))
        (folder.path / RESUME).touch()
        folder.write_metrics(rows)
        folder.update(epochs_done=epoch, status="running")
    folder.update(status="finished")


def row(epoch: int, seed: int) -> dict[str, float]:
    accuracy = 50.0 + epoch + seed
    keys = ("train_loss", "train_accuracy", "test_loss", "sop", "learning_rate", "seconds")
    return {
        **{"epoch": epoch, "val_loss": 1.0 / (epoch + 1), "val_accuracy": accuracy},
        **dict.fromkeys(keys, 1.0),
        "test_accuracy": accuracy,
    }


def facts(settings: dict[str, str]) -> dict[str, object]:
    return {
        **{"paper": "toy", "task": "ecg", "model": settings["neuron"], "config_file": None},
        **{"config_hash": "0123456789ab", "command": "python train.py", "commit": "c0ffee00"},
        **{"seed": int(settings["seed"]), "dirty": False, "versions": {"torch": "2"}},
        **{"device": "cpu", "device_name": "a CPU", "threads": 1, "backend": "reference"},
        **{"data": {"name": "qtdb", "digest": "d"}, "parameters": 1, "started": "today"},
        **{"finished": None, "status": "running", "epochs_done": 0, "seconds_per_epoch": 1.0},
        **{"epochs_planned": int(settings["epochs"]), "peak_memory_mb": 10.0},
    }


if __name__ == "__main__":
    run_main(main)
