"""The title of the paper."""
