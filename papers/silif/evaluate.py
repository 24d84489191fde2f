"""Score a checkpoint of any origin on the test set of its task."""

from core.errors import run_main
from core.settings import evaluation_parser


def main() -> None:
    """Parse first: --help needs no PyTorch."""
    parser = evaluation_parser(
        "a state dict with the authors' names, *.pth, the folder of a run, or SiLIF, CSiLIF, "
        "CadLIF, RF for a published one"
    )
    parser.add_argument(
        "--seeds", type=int, nargs="+", help="of the states before the first step, a test for each"
    )
    parser.add_argument(
        "--init_state", choices=["rand", "zeros"], help="states before the first step"
    )
    parser.add_argument("--protocol", choices=["held-out", "published"], help="see main.py --help")
    parser.add_argument("--nb_steps", type=int, help="steps of shd and ssc (those of 4 ms)")
    parser.add_argument("--max_time", type=float, help="seconds of shd and ssc")
    parser.add_argument("--model_type", choices=["adLIF", "CadLIF"], help="where names fit both")
    options = parser.parse_args()
    from silif.evaluation import evaluate_file

    evaluate_file(options)


if __name__ == "__main__":
    run_main(main)
