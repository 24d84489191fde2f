"""Every published number once more, from the published logs; needs them (``SNN_DATA``)."""

from __future__ import annotations

import csv
import json
import os
from typing import Any

import numpy as np
import pytest

from core.records import load_claims
from plif.config import PAPER
from plif.redrawn import published_folder, read_table

pytestmark = pytest.mark.skipif(
    not os.environ.get("SNN_DATA") or not published_folder().is_dir(),
    reason="SNN_DATA is not set, or holds no published logs",
)

SETS = ("MNIST", "FashionMNIST", "CIFAR10", "NMNIST", "CIFAR10DVS", "DVS128Gesture")
RUNS = {"MNIST": "_T8", "FashionMNIST": "_T8", "CIFAR10": "_T8", "NMNIST": "_T10_n2_number"}
RUNS |= {"CIFAR10DVS": "_T20_n4_number", "DVS128Gesture": "_T20_n5_number"}
SHORT = {"FashionMNIST": "fashion", "DVS128Gesture": "gesture"}

SELECTED = """
MNIST          804  99.589  99.63
FashionMNIST   835  94.373  93.85
CIFAR10        952  92.962  92.58
NMNIST         532  99.511  99.57
CIFAR10DVS     552  69.568  69.00
DVS128Gesture  867  100.0   96.53
"""
"""Accuracy B: the selected epoch, its validation and its test accuracy."""

FINAL_TAU = """
CIFAR10        1.93 1.24 1.58 1.64 1.67 2.06 55.0 2.75
CIFAR10DVS     1.42 1.51 1.68 1.64 9.54 2.05
DVS128Gesture  1.61 1.51 2.01 1.92 1.67 3.99 1.79
MNIST          2.06 1.56 23.6 2.54
FashionMNIST   1.74 1.78 29.7 3.43
NMNIST         1.47 2.58 9.55 7.48
"""
"""Time constants of PLIF with tau0 = 2 and max pooling at the end of A, from the input on."""

THESIS = """
Baseline           275 1256 339 1.0       437
No regularisation  274 1321 150 0.9921875 152
lambda=0.01        276 1206 526 0.9921875 183
lambda=0.1         277 1256 557 1.0       432
"""
"""Right of 288, epochs, epoch of the maximum, highest validation accuracy, its epoch."""

FINAL_W = {
    ("TUD_lambda0.1", "w_std", 654): "0.0147 0.0102 0.0075 0.0051 0.0025 0.0007 0.0003",
    ("TUD_no_reg", "w_std", 1320): "0.170 0.180 0.212 0.253 0.255 0.152 0.191",
    ("TUD_baseline", "w_mean", 1255): "0.746 0.092 -0.041 0.142 0.444 -1.096 0.334",
}


def lines(text: str) -> list[tuple[str, list[float]]]:
    found = []
    for line in text.strip().splitlines():
        name, *numbers = line.split()
        words = [word for word in numbers if word[0].isalpha()]
        values = [float(word) for word in numbers if not word[0].isalpha()]
        found.append((" ".join([name, *words]), values))
    return found


def summary() -> dict[str, dict[str, str]]:
    text = (published_folder() / "runs_summary.csv").read_text(encoding="utf-8")
    return {row["run_id"]: row for row in csv.DictReader(text.splitlines())}


def tables() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((published_folder() / "tables.json").read_text())
    return content


def claimed() -> dict[str, float]:
    return {claim.id: claim.value for claim in load_claims(PAPER / "claims.yaml")}


def test_accuracy_a_is_the_maximum_of_each_log() -> None:
    runs, claims, seen = summary(), claimed(), 0
    for dataset in SETS:
        for neuron, tau, pool in (
            *(("plif", 2, "max"), ("plif", 16, "max"), ("lif", 2, "max"), ("lif", 16, "max")),
            ("plif", 2, "avg"),
        ):
            run = runs[f"A_{dataset}_{neuron}_tau{tau}.0_{pool}{RUNS[dataset]}"]
            name = f"a-{SHORT.get(dataset, dataset.lower())}-{neuron}-{tau}-{pool}"
            found = 100 * float(run["max_test_acc"])
            assert claims.pop(name) == pytest.approx(found, abs=0.0051)
            seen += 1
    assert seen == 30
    assert not [name for name in claims if name.startswith("a-")]


def test_every_eighth_value_does_not_exceed_the_maximum() -> None:
    runs = summary()
    for name, curve in read_table("test_accuracy_every8.csv").items():
        assert curve["test_accuracy"].max() <= float(runs[name]["max_test_acc"]) + 1e-6


def test_accuracy_b_is_that_of_the_last_best_validation_epoch() -> None:
    runs, claims = summary(), claimed()
    validation, test = (read_table(f"{n}_every8.csv") for n in ("B_val_accuracy", "test_accuracy"))
    for dataset, (epoch, val, accuracy) in lines(SELECTED):
        steps = "_T20_n2_number" if dataset == "NMNIST" else RUNS[dataset]
        name = f"B_{dataset}_plif_tau2.0_max{steps}"
        run = runs[name]
        assert int(run["epoch_selected"]) == epoch
        assert 100 * float(run["max_val_acc"]) == pytest.approx(val, abs=0.001)
        assert 100 * float(run["test_acc_at_selected"]) == pytest.approx(accuracy, abs=0.0051)
        assert claims[f"b-{SHORT.get(dataset, dataset.lower())}-plif"] == accuracy
        curve = validation[name]
        later = curve["val_accuracy"][curve["epoch"] > epoch]
        assert (later < float(run["max_val_acc"])).all(), "of equal epochs the last counts"
        for curves, key in ((validation, "val_accuracy"), (test, "test_accuracy")):
            where = curves[name]["epoch"] == epoch
            if where.any():
                kept = {"val_accuracy": val, "test_accuracy": accuracy}[key]
                assert 100 * curves[name][key][where] == pytest.approx(kept, abs=0.0051)


def test_means_of_the_last_epochs_are_calmer() -> None:
    run = summary()["A_DVS128Gesture_plif_tau2.0_max_T20_n5_number"]
    other = summary()["A_DVS128Gesture_lif_tau2.0_max_T20_n5_number"]
    for found, mean, deviation in ((run, 95.5, 0.8), (other, 94.8, 1.0)):
        assert 100 * float(found["mean_test_acc_last64"]) == pytest.approx(mean, abs=0.05)
        assert 100 * float(found["std_test_acc_last64"]) == pytest.approx(deviation, abs=0.05)


def test_final_time_constants() -> None:
    w = read_table("w_every16.csv")
    for dataset, expected in lines(FINAL_TAU):
        name = f"A_{dataset}_plif_tau2.0_max{RUNS[dataset]}"
        found = [float(summary()[name][f"final_tau_{n}"]) for n in range(len(expected))]
        np.testing.assert_allclose(found, expected, rtol=4e-3)
        last = [1 + np.exp(-w[name][f"w{n}"][-1]) for n in range(len(expected))]
        np.testing.assert_allclose(last, found, rtol=0.02)


def test_thesis() -> None:
    claims, found = claimed(), tables()
    short = ("thesis-baseline", "thesis-no-reg", "thesis-reg-0.01", "thesis-reg-0.1")
    for name, (row, (right, epochs, epoch, val, val_epoch)) in zip(
        short, lines(THESIS), strict=True
    ):
        expected = [right / 288, epochs, epoch, val, val_epoch]
        assert found["tudelft_notebook_full_runs"][row] == pytest.approx(expected)
        printed, printed_val = found["tudelft_table1_percent"][row]
        assert claims[name] == printed == pytest.approx(100 * right / 288, abs=0.051)
        assert printed_val == pytest.approx(100 * val, abs=0.051)
    for run, curve in read_table("tudelft_accuracy.csv").items():
        names = {"baseline": "Baseline", "no_reg": "No regularisation"}
        name = run.removeprefix("TUD_")
        row = names.get(name, name.replace("lambda", "lambda="))
        full = found["tudelft_notebook_full_runs"][row]
        assert curve["test_accuracy"].max() <= full[0] + 1e-6
        assert curve["epoch"].max() == full[1] - 1 or name == "lambda0.1"


def test_final_statistics_of_the_thesis() -> None:
    table = read_table("tudelft_w.csv")
    for (run, column, epoch), text in FINAL_W.items():
        where = int(np.abs(table[run]["epoch"] - epoch).argmin())
        assert abs(table[run]["epoch"][where] - epoch) <= 4
        found = [table[run][f"{column}{layer}"][where] for layer in range(7)]
        np.testing.assert_allclose(found, [float(word) for word in text.split()], atol=1.5e-3)


def test_first_losses_of_the_thesis() -> None:
    losses = read_table("tudelft_train_loss.csv")
    expected = {"TUD_baseline": 1 / 11, "TUD_lambda0.1": 0.0978015}
    for run, value in expected.items():
        curve = losses[run]
        assert curve["train_step"][0] == 0
        assert curve["train_loss_one_batch"][0] == pytest.approx(value, abs=1e-6)
    assert tables()["tudelft_initial_loss"]["lambda=0.01"] == pytest.approx(0.0915983, abs=1e-6)
