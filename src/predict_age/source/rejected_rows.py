"""Rejected rows: how many there may be before a run stops, by the same sentences for the plan and for the run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from predict_age.config import SourceConfig
from predict_age.errors import InputError, IntegrityError
from predict_age.source.file_kind import exclusion_of
from predict_age.source.text_ids import NOT_AN_INTEGER, OUT_OF_RANGE, PID_MISSING
from predict_age.source.working_rows import NOT_UTF8
from predict_age.tally import percent


@dataclass(frozen=True)
class FileRows:
    """Records of one source file, and those among them that are rejected, by reason."""

    path: str
    records: int
    rejected: Counter[str]


def check_rejected(files: Sequence[FileRows], limits: SourceConfig, fix: str, id_hint: Callable[[str], str]) -> None:
    """Raise InputError when there are no rows, when a file has no usable one, or when too many cannot be used.

    A file of few records, as many as may be rejected anyhow, is no reason to stop when it has no usable one. ``id_hint`` may know
    another name of the ids that a file, or one of all, lacks.
    """

    def found(reasons: Counter[str], path: str = "") -> str:
        shown = ", ".join(f"{reason}: {n:,}" for reason, n in reasons.most_common())
        return shown + id_hint(path) if reasons[PID_MISSING] else shown

    read = sum(f.records for f in files)
    reasons = sum((f.rejected for f in files), Counter[str]())
    bad = reasons.total()
    text = ', or set pid_type = "text" under [source]' if reasons[NOT_AN_INTEGER] or reasons[OUT_OF_RANGE] else ""
    text += ', or name the encoding under [source]: encoding = "..."' if reasons[NOT_UTF8] else ""
    if read == 0:
        raise InputError("the source holds no rows", expected="at least one record", found=f"{len(files)} empty file(s)")
    if bad == read:
        raise InputError(
            "no row of the source can be used", expected="records that can be read, each with an id", found=found(reasons), fix=fix
        )
    for file in files:
        if file.records > limits.max_set_aside_floor and file.rejected.total() == file.records:
            raise InputError(
                f"no row of {file.path} can be used",
                expected="records that can be read, each with an id",
                found=found(file.rejected, file.path),
                fix=f"{fix}; {exclusion_of(file.path, limits.exclude)}",
            )
    if bad > limits.max_set_aside_floor and bad > limits.max_set_aside_share * read:
        raise InputError(
            f"{bad:,} of {read:,} rows cannot be used ({percent(bad / read, 2)})",
            expected=f"at most {percent(limits.max_set_aside_share, 2)}, or {limits.max_set_aside_floor} rows",
            found=found(reasons),
            fix=f"{fix}, mend the source, or raise max_set_aside_share under [source]{text}",
        )


def too_few_known(least: int, found: str, likely: str = "") -> InputError:
    """The error of a source in which too few ages are known; ``found`` may say which values cannot be read, ``likely`` why."""
    hint = f"{likely}; " if likely else ""
    return InputError(
        "too few people with a known age to train on",
        expected=f"at least {least} with a usable profile",
        found=found,
        fix=hint + "add rows with an age, birth date or birth year, or lower training.min_rows (20 at least)",
    )


def check_converted(path: str, expected: int, found: int) -> None:
    """Raise IntegrityError when the rows of a converted file are not those that its bytes have."""
    if expected != found:
        raise IntegrityError(
            f"the rows of {path} changed on their way",
            expected=f"{expected:,} usable records, as its bytes have",
            found=f"{found:,} rows",
            fix="run again; if it happens twice, report it with the run folder's run.json",
        )
