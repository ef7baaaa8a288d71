"""Model card: quality by group, leakage, covariate shift and proxy features of a trained model."""
