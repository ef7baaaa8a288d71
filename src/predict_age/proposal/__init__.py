"""Proposed configuration and feature file for a source that nobody has described yet: ``predict-age init``."""
