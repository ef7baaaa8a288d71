"""The server: predictions on demand and published people over HTTP, for ``predict-age serve``."""
