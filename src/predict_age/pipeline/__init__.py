"""The runner that takes a run through its steps, with recovery, estimate and verification."""
