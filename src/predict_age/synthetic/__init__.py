"""Synthetic people: a probabilistic model, its JSON profiles, and the exact posterior of the age."""
