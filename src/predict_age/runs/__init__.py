"""A run: its plan (everything that decides the result) and the services that its steps share."""
