"""The model card: for whom the model works how well, what gives ages away, and what it must not be used for."""
