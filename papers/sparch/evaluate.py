"""Score a checkpoint of any origin on the test set of its task."""

import argparse
from pathlib import Path

from core.errors import run_main


def main() -> None:
    """Parse first: --help needs no PyTorch."""
    parser = argparse.ArgumentParser(
        prog="evaluate.py",
        description="Score a checkpoint (*.safetensors of this project, or a state dict with the "
        "authors' names, *.pth) on the test set of its task.",
        allow_abbrev=False,
    )
    parser.add_argument("checkpoint", type=Path, help="the file")
    parser.add_argument("--json", action="store_true", help="print one JSON object as last line")
    parser.add_argument(
        "--record", action="store_true", help="add the result to results/runs.jsonl"
    )
    parser.add_argument(
        "--evaluations", type=int, help="how often, each with other random states at the start (5)"
    )
    parser.add_argument(
        "--init_state", choices=["rand", "zeros"], help="states before the first step"
    )
    parser.add_argument(
        "--data_folder", help="folder with the data files, or embedded, regenerated, subset"
    )
    parser.add_argument(
        "--protocol", choices=["held-out", "published"], help="see run_exp.py --help"
    )
    parser.add_argument("--batch_size", type=int, help="samples at once (128)")
    parser.add_argument("--device", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--threads", type=int, help="0 for PyTorch's choice")
    parser.add_argument("--backend", help="how neurons run over time, see `core doctor`")
    options = parser.parse_args()
    from sparch.evaluation import evaluate_checkpoint

    evaluate_checkpoint(options)


if __name__ == "__main__":
    run_main(main)
