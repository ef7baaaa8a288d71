"""Reading plan: which files of a source are read, and as what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from predict_age.source.source_file import SourceFile

_NAMES = {"parquet": "Parquet", "jsonl": "JSON", "csv": "CSV"}
_DELIMITERS = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "bar", " ": "space"}


@dataclass(frozen=True)
class ReadingGroup:
    """Files that are read alike; ``details`` says how. ``first`` is the path of one of them."""

    format: str
    details: str
    files: int
    bytes: int
    first: str
    records: int = 0
    rejected: int = 0


def reading_plan(files: Sequence[SourceFile], records: Sequence[tuple[int, int]] = ()) -> list[ReadingGroup]:
    """Files by how they are read, in the order in which each way comes first. ``records`` are records and rejected ones of each."""
    groups: dict[tuple[str, str], list[tuple[SourceFile, int, int]]] = {}
    for file, counts in zip(files, records or [(0, 0)] * len(files), strict=True):
        groups.setdefault((_NAMES[file.format], reading_details(file)), []).append((file, *counts))
    return [
        ReadingGroup(
            *key,
            len(same),
            sum(f.size for f, _, _ in same),
            same[0][0].path,
            sum(n for _, n, _ in same),
            sum(n for _, _, n in same),
        )
        for key, same in groups.items()
    ]


def reading_details(file: SourceFile) -> str:
    """Encoding, dialect or layout, compression and columns from folders of one file, in words."""
    details: list[str] = []
    if file.format == "csv" and file.delimiter:
        quoting = f"quote {file.quote}" if file.quote else "no quotes"
        details += [f"delimiter {_DELIMITERS.get(file.delimiter, repr(file.delimiter))}", quoting]
        details += [f"escape {file.escape}"] if file.escape else []
        details += ["lines end with CR"] if file.layout == "CR" else []
    elif file.format == "jsonl":
        details.append(f'records in "{file.layout[7:]}"' if file.layout.startswith("member ") else file.layout)
    details += [detail for detail in (file.encoding, file.compression) if detail]
    if file.partition:
        details.append("columns from folders: " + ", ".join(name for name, _ in file.partition))
    return ", ".join(details)
