"""People who never lived: a stated probabilistic model, its JSON profiles, and the best possible prediction."""
