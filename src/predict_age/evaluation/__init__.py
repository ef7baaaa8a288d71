"""Evaluation of models and data: the model card, drift between runs, A/B tests."""
