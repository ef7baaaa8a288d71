"""Champion and challengers: who is predicted by which model, and which model was better once true ages are known."""
