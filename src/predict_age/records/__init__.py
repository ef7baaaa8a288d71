"""Typed contents of the step records: what a step hands on, as frozen dataclasses that are written and read as JSON."""
