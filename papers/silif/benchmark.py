"""Time a training step of S4D and SS4D, and write it to results/speed.md."""

import argparse

from core.errors import run_main


def main() -> None:
    """Print the rows; with --write, put them between the markers of the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="passes of each, the median counts")
    parser.add_argument("--threads", type=int, default=1, help="processor threads")
    parser.add_argument("--write", action="store_true", help="write results/speed.md")
    options = parser.parse_args()
    if min(options.repeats, options.threads) < 1:
        parser.error("--repeats and --threads must be at least 1")
    from core.records.readme import update_between_markers
    from core.training.devices import choose_device, here
    from silif.config import PAPER
    from silif.speed import Shape, measure, table

    device = choose_device("cpu", options.threads)
    machine = f"{here(device)}, medians of {options.repeats}"
    rows = [measure(model, Shape(), options.repeats) for model in ("S4D", "SS4D")]
    text = table(rows, machine)
    print(text)
    if options.write:
        update_between_markers(PAPER / "results" / "speed.md", "speed of SSMs", text)


if __name__ == "__main__":
    run_main(main)
