"""A surrogate gradient spiking baseline for speech command recognition, reproduced."""
