"""The paper for :mod:`core.paper`: its networks, their objective, and how they are trained."""

from __future__ import annotations

from core.paper import Paper, Task
from core.spoken.networks import ANN
from core.spoken.training import objective_of, recipe, tests
from sparch import published
from sparch.config import CONFIGS, PAPER, Config, run_name
from sparch.models import SNN, build
from sparch.task import load_task


def network(config: Config, task: Task) -> SNN | ANN:
    """The network for a task."""
    return build(config, task.inputs, task.classes)


SPARCH = Paper(
    folder=PAPER,
    configs=CONFIGS,
    load_task=load_task,
    build=network,
    objective=objective_of,
    recipe=recipe,
    run_name=run_name,
    tests=tests,
    read_foreign=published.read,
    evaluation_flags=("evaluations", "init_state", "protocol"),
)
