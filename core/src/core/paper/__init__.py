"""A paper as one object, and what core does with it: train, resume, test, evaluate, record.

A paper says what only it knows (:class:`Paper`: how its task is loaded, its network, its objective,
its recipe); its scripts call :func:`run` and :func:`evaluate_checkpoint`. Every step between is an
ordinary function, for a paper that trains in another way.
"""

from core.paper.description import Loaded, Paper, Recipe, Task, Tests
from core.paper.evaluation import (
    Watch,
    evaluate_checkpoint,
    read_checkpoint,
    read_own,
    with_options,
)
from core.paper.experiment import (
    Prepared,
    carry_out,
    final_tests,
    make_job,
    opened,
    prepare,
    refuse_place,
    run,
    threads_of,
)
from core.paper.facts import backend_of, count_parameters
from core.paper.repeated import Evaluations, evaluate_repeatedly

__all__ = [
    "Evaluations",
    "Loaded",
    "Paper",
    "Prepared",
    "Recipe",
    "Task",
    "Tests",
    "Watch",
    "backend_of",
    "carry_out",
    "count_parameters",
    "evaluate_checkpoint",
    "evaluate_repeatedly",
    "final_tests",
    "make_job",
    "opened",
    "prepare",
    "read_checkpoint",
    "read_own",
    "refuse_place",
    "run",
    "threads_of",
    "with_options",
]
