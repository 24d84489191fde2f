"""Count the parameters of every network that claims.yaml names, and what every recipe costs."""

import argparse

from core.errors import run_main


def main() -> None:
    """Record the counts for the tables, and write ``results/counts.md``."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    from core.files import write_text_atomically
    from core.paper.counts import record_networks
    from core.records import load_claims, load_records
    from silif.config import PAPER
    from silif.counts import PAGE, count_networks, page

    record_networks(PAPER, count_networks(load_claims(PAPER / "claims.yaml")))
    write_text_atomically(PAGE, page(load_records(PAPER)))
    print(PAGE)


if __name__ == "__main__":
    run_main(main)
