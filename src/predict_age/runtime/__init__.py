"""Processes: workers, signals, progress and resource usage. Knows nothing of people or models."""
