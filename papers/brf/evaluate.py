"""Score a checkpoint of any origin on the test set of its task."""

import argparse
from pathlib import Path

from core.errors import run_main


def main() -> None:
    """Parse first: --help needs no PyTorch."""
    parser = argparse.ArgumentParser(
        prog="evaluate.py",
        description="Score a checkpoint (*.safetensors of this project, or a *.pt file of the "
        "authors' or the seed repository) on the test set of its task.",
        allow_abbrev=False,
    )
    parser.add_argument("checkpoint", type=Path, help="the file")
    parser.add_argument("--json", action="store_true", help="print one JSON object as last line")
    parser.add_argument(
        "--record", action="store_true", help="add the result to results/runs.jsonl"
    )
    parser.add_argument(
        "--task", choices=["ecg", "smnist", "psmnist"], help="for a *.pt file that is not known"
    )
    parser.add_argument(
        "--neuron", choices=["brf", "rf", "alif"], help="for a *.pt file that is not known"
    )
    parser.add_argument("--permutation", type=Path, help="pixel order of a *.pt PS-MNIST network")
    parser.add_argument("--data_folder", type=Path, help="folder with the original data files")
    parser.add_argument("--batch_size", type=int, default=250, help="sequences at once (250)")
    parser.add_argument("--float64", action="store_true", help="compute in double precision")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--threads", type=int, default=0, help="0 for PyTorch's choice")
    options = parser.parse_args()
    from brf.evaluation import evaluate_checkpoint

    evaluate_checkpoint(options)


if __name__ == "__main__":
    run_main(main)
