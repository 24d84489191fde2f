"""Test a checkpoint under noise, deleted spikes or rounded parameters (Figure 12)."""

from brf.config import checkpoint_parser
from core.errors import run_main
from core.paths import user_path


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
    parser.add_argument("--samples", type=int, help="of the test set, from its start (all)")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn (0)")
    parser.add_argument(
        "--out",
        type=user_path,
        help="folder for NAME.jsonl and NAME.png (runs/robustness); given again, the command goes "
        "on where it stopped",
    )
    options = parser.parse_args()
    from brf.robustness import run

    run(options)


if __name__ == "__main__":
    run_main(main)
