"""Test a checkpoint under noise, deleted spikes or rounded parameters (Figure 12)."""

from brf.config import add_scoring_flags, checkpoint_parser
from core.errors import run_main


def main() -> None:
    """Parse first: --help needs no PyTorch."""
    parser = checkpoint_parser("robustness.py", "Perturb a checkpoint and score it", recorded=False)
    parser.add_argument(
        "--study",
        nargs="+",
        choices=["input_noise", "spike_deletion", "synaptic_noise", "bit_precision"],
        help="which perturbations (all)",
    )
    parser.add_argument("--repeats", type=int, default=5, help="draws for each level (5)")
    add_scoring_flags(parser, "runs/robustness")
    options = parser.parse_args()
    from brf.robustness import run

    run(options)


if __name__ == "__main__":
    run_main(main)
