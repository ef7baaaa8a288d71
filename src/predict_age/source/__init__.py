"""Reading the source: find the files, read them in splits, set aside what cannot be used, find duplicates."""
