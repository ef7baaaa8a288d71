"""Names of the columns of a source file: which are needed, and what is said when one is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from predict_age.config import SourceConfig
from predict_age.errors import InputError
from predict_age.letters import letters_of, nearest
from predict_age.source.file_kind import exclusion_of
from predict_age.source.path_partition import PathPartition
from predict_age.source.value_form import shown_names

SHORTEST_PART = 3  # letters of a name that tell nothing inside another one


def with_folders(names: Sequence[str], partition: PathPartition) -> list[str]:
    """Names of the columns of a file, those that its folders add included; a column that the file has itself counts."""
    return [*names, *(name for name, _ in partition if name not in names)] if partition else list(names)


def check_columns(names: Sequence[str], source: SourceConfig, path: str, *, ages_needed: bool = True) -> None:
    """Raise InputError unless the file has a pid, an age and a profile column under the configured names, each once.

    ``ages_needed = False`` takes a file without an age column, because nobody's age is known; but a column whose name is an age
    column's but for case or punctuation is taken for a slip.
    """
    found = "columns " + shown_names(names) if names else "no columns"
    flat = source.profile_json == "*"
    used = names if flat else [n for n in names if n in (*source.light_columns, source.profile_json)]
    if twice := [name for name, times in Counter(used).items() if times > 1]:
        raise InputError(
            f"a column name appears twice in {path}",
            expected="every name once",
            found=shown_names([f'"{name}"' for name in twice]),
            fix="rename one",
        )
    if source.pid not in names:
        raise InputError(
            f"no person identifier in {path}",
            expected=f'a column "{source.pid}"' + did_you_mean(source.pid, names),
            found=found,
            fix='name your column under [source] in the configuration: pid = "...", or let `predict-age init` propose one; a '
            "column without a name, as pandas writes its index, is ignored: give it a name in the header"
            + ("" if set(names) & {*source.age_columns, source.profile_json} else f"; {exclusion_of(path, source.exclude)}"),
        )
    if ages_needed and not any(name in names for name in source.age_columns):
        raise no_age(source, path, found, names)
    for name in source.age_columns:
        slips = [] if name in names else [n for n in _same_letters(name, names) if n not in source.light_columns]
        if slips:
            raise no_age(source, path, f'a column "{slips[0]}"', names)
    if not flat and source.profile_json not in names:
        raise InputError(
            f"no profile in {path}",
            expected=f'a column "{source.profile_json}"' + did_you_mean(source.profile_json, names),
            found=found,
            fix='name your column under [source], or set profile_json = "*" to use all other columns as the profile',
        )


def no_age(source: SourceConfig, where: str, found: str, names: Sequence[str] = ()) -> InputError:
    """The error of a source in which no age column is found."""
    wanted = " or ".join(f'"{name}"' + did_you_mean(name, names) for name in source.age_columns)
    return InputError(
        f"no age in {where}",
        expected=f"a column {wanted}",
        found=found,
        fix='name your column under [source]: approximate_age = "...", birth_year = "..." or birth_date = "...", or let '
        "`predict-age init` propose it",
    )


def did_you_mean(name: str, names: Sequence[str]) -> str:
    """A hint at those ``names`` that differ from ``name`` in case, spaces, a letter or two, or that contain it; empty: none."""
    near = nearest(name, names, 0.8)
    if not near and len(name) > SHORTEST_PART:
        near = next((other for other in names if letters_of(name) in letters_of(other)), "")
    return f' (did you mean "{near}"?)' if near else ""


def _same_letters(name: str, names: Sequence[str]) -> list[str]:
    wanted = letters_of(name)
    return [n for n in names if letters_of(n) == wanted]
