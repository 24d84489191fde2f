"""Balanced and Efficient Spiking Neural Networks."""
