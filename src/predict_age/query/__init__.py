"""Read-only views of finished runs: SQL tables, the difference between two runs, the registry of models."""
