"""Time neurons and training steps beside SpikingJelly's."""

import argparse

from core.errors import run_main


def main() -> None:
    """Print the tables; ``--write`` puts them into docs/nodes.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="timed passes of each (5)")
    parser.add_argument("--threads", type=int, default=1, help="processor threads (1)")
    parser.add_argument("--write", action="store_true", help="write the tables to docs/nodes.md")
    options = parser.parse_args()
    from plif.bench import bench
    from plif.config import PAPER

    page = PAPER / "docs" / "nodes.md" if options.write else None
    print(bench(options.repeats, options.threads, page))


if __name__ == "__main__":
    run_main(main)
