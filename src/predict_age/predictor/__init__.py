"""From bytes of profiles to predictions: the one way that batches, Python programs and the server take."""
