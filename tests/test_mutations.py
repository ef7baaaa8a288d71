"""The changes that `benchmarks/mutations.py` makes to the code are changes of this code."""

from __future__ import annotations

import mutations


def test_each_mutation_replaces_a_text_that_stands_once_in_its_file() -> None:
    """Otherwise it is not tried, and nobody learns whether the tests would notice."""
    files = {mutation.file for mutation in mutations.MUTATIONS}
    texts = {file: (mutations.ROOT / mutations.PACKAGE / file).read_text(encoding="utf-8") for file in files}
    assert not [mutation.title for mutation in mutations.MUTATIONS if texts[mutation.file].count(mutation.old) != 1]
    names = {name for mutation in mutations.MUTATIONS for name in mutation.tests.split()}
    assert not [name for name in sorted(names) if not (mutations.ROOT / "tests" / f"test_{name}.py").is_file()]
