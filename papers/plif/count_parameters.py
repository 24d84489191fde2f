"""Count the parameters of every network that claims.yaml names, and record the counts."""

import argparse

from core.errors import run_main


def main() -> None:
    """Write one line of ``results/runs.jsonl``, which the tables compare with the claims."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    import torch

    from core.records import load_claims, record_counts
    from core.training.environment import describe
    from core.training.run_folder import now
    from plif.config import PAPER
    from plif.counts import count_networks

    counts = count_networks(load_claims(PAPER / "claims.yaml"))
    facts = describe(torch.device("cpu"), "none")
    kept = {key: facts[key] for key in ("command", "commit", "dirty", "versions")}
    record_counts(PAPER, counts, {"date": now(), **kept})
    print(
        f"counted {len(counts)} networks; update the tables with: core table {PAPER.name} --write"
    )


if __name__ == "__main__":
    run_main(main)
