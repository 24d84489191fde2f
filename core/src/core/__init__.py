"""The shared package: neurons, the scan that runs them, data, training and records.

Importing it costs nothing; each module is imported by name.
"""
