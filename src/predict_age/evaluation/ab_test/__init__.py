"""A/B tests of models: assign people to the champion or a challenger, and compare both once true ages are known."""
