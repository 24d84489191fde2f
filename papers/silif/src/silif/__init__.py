"""Structured state space model dynamics and parametrization for spiking neural networks."""
