"""Training: one epoch, whole runs that survive a kill, seeds and devices."""
