"""The files of a table of the Glue catalogue, each of which must be what the catalogue says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from predict_age.errors import InputError
from predict_age.source import file_kind
from predict_age.source.glue_table import GlueTable, HeaderlessText
from predict_age.source_config import SourceConfig

if TYPE_CHECKING:
    from predict_age.source.source_file import PassedOver, SourceFile, SourceListing

NO_ROWS = {file_kind.HIDDEN, file_kind.EMPTY, file_kind.EXCLUDED}  # the first two are no rows for Athena, too


def files_of_table(
    table: GlueTable, settings: SourceConfig, list_folder: Callable[[str, SourceConfig, HeaderlessText | None], SourceListing]
) -> tuple[list[SourceFile], list[PassedOver]]:
    """Files of each part of the table, sorted by path, and what holds no rows. The files' content tells what they are.

    Raises InputError when one of them is not what the catalogue says: Athena would read it as nothing, or fail.
    """
    detected = settings.model_copy(update={"format": "auto"})
    files: list[SourceFile] = []
    passed: list[PassedOver] = []
    for part in table.parts:
        try:
            listing = list_folder(part.location, detected, table.headerless)
        except InputError as error:
            said = {"expected": error.expected, "found": error.found, "fix": error.fix}
            raise InputError(f"the table {table.name}: {error.message}", **said) from None
        files += [replace(file, partition=part.partition) for file in listing.files]
        passed += listing.passed_over
    columns = table.headerless.columns if table.headerless else ()
    kind = file_kind.FORMATS[table.format]
    others = [file.path for file in files if file.format != kind or (file.columns != columns and file.size)]
    others += [name for group in passed if group.reason not in NO_ROWS for name in group.first]
    if others:
        raise InputError(
            f"files of the table {table.name} are not what the catalogue says",
            expected=f"{table.format} files only" + (", without header lines" if columns else ""),
            found=f"files of another kind, for example {min(others).rsplit('/', 1)[-1]}",
            fix="remove them from the table's folder, or correct the table",
        )
    return sorted(files, key=lambda file: file.path), passed
