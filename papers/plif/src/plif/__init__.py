"""Learnable membrane time constants, per layer and per neuron."""
