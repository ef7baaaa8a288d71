"""Features are data: declared in a TOML file, compiled to SQL for extraction, encoded to one float32 matrix."""
