"""Train networks on spoken digits and commands, or test trained ones."""

import sys

from core.errors import run_main
from silif.commands import read_call


def main() -> None:
    """Parse first: --help and a wrong flag need no PyTorch."""
    call = read_call(sys.argv[1:])
    if call.several or call.config.only_createsweep or call.config.sweep_id:
        from silif.several import run_several

        run_several(call)
    elif call.config.evaluate_pretrained:
        from silif.evaluation import evaluate_pretrained

        evaluate_pretrained(call.config)
    else:
        from silif.experiment import run

        run(call.config, call.base)


if __name__ == "__main__":
    run_main(main)
