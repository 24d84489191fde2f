"""Count the parameters of every network that claims.yaml names, and record the counts."""

import argparse

from core.errors import run_main


def main() -> None:
    """Write one line of ``results/runs.jsonl``, which the tables compare with the claims."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    from core.paper.counts import record_networks
    from core.records import load_claims
    from sparch.config import PAPER
    from sparch.counts import count_networks

    record_networks(PAPER, count_networks(load_claims(PAPER / "claims.yaml")))


if __name__ == "__main__":
    run_main(main)
