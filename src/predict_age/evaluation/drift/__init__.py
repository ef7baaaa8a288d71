"""Data drift: value counts that every batch records and that add up exactly, compared with those of an earlier run."""
