"""Features: declared in a TOML file, extracted by SQL or kernels, encoded to one float32 matrix."""
