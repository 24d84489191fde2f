"""Time a training step of BRF on every task, fused and step by step (Table 4)."""

import argparse

from core.errors import run_main

TASKS = ["smnist", "psmnist", "ecg", "shd"]


def main() -> None:
    """Print the rows; with --write, put them between the markers of results/speed.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS, help="which (all)")
    parser.add_argument("--repeats", type=int, default=3, help="passes, the median counts (3)")
    parser.add_argument("--threads", type=int, default=2, help="processor threads (2)")
    parser.add_argument(
        "--regenerated", action="store_true", help="take SHD as it was made again from the audio"
    )
    parser.add_argument("--write", action="store_true", help="write results/speed.md")
    options = parser.parse_args()
    if min(options.repeats, options.threads) < 1:
        parser.error("--repeats and --threads must be at least 1")

    from brf.config import PAPER
    from brf.speed import markdown, measure, of_task
    from core.records.readme import update_between_markers
    from core.training.devices import choose_device, here

    device = choose_device("cpu", options.threads)
    speeds = []
    for task in options.tasks:
        speeds.append(measure(of_task(task, regenerated=options.regenerated), options.repeats))
        print(speeds[-1], flush=True)
    machine = f"{here(device)}, medians of {options.repeats}"
    text = markdown(speeds, machine)
    print(text)
    if options.write:
        update_between_markers(PAPER / "results" / "speed.md", "brf speed", text)


if __name__ == "__main__":
    run_main(main)
