"""Balanced Resonate-and-Fire neurons (Higuchi et al., ICML 2024), reproduced."""
