"""Which perturbations of a network are measured, at which levels, and what is kept of each."""

LEVELS: dict[str, tuple[float, ...]] = {
    "input_noise": tuple(round(0.05 * n, 2) for n in range(8)),
    "spike_deletion": tuple(round(0.1 * n, 1) for n in range(10)),
    "synaptic_noise": tuple(round(0.1 * n, 1) for n in range(11)),
    "bit_precision": (1, 2, 4, 8, 16, 32),
}
SHAPE = {
    **{"study": {*LEVELS}, "level": float, "repeat": int},
    **{"loss": (float, None), "accuracy": float, "sop": float},
}
"""Of a row of results."""
