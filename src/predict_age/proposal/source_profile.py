"""Profile of a source: its files, columns and nested fields, known ages, suspected ids and protected fields, from a sample."""

from __future__ import annotations

import datetime as dt
import html
from collections import Counter
from dataclasses import dataclass

from predict_age.errors import ConfigError
from predict_age.features.inspection import written
from predict_age.features.refused_names import refusal_reason
from predict_age.proposal.candidates import identity_reason, propose, protected_values
from predict_age.proposal.columns import Columns, Role, guess_ages, guess_columns
from predict_age.proposal.field_shapes import NO_SHAPE, kind_of, shape_of
from predict_age.proposal.fields import Field, FieldPath, SharedFields, json_column, shared_fields
from predict_age.proposal.given_ages import ages_of_sample, first_records, shown_given, without_minors
from predict_age.proposal.profile_contents import FieldProfile, KnownAges, ProfileContents
from predict_age.proposal.profile_findings import profile_findings
from predict_age.proposal.sample import Record, SourceSample, json_object, sample_source
from predict_age.proposal.source_rows import count_rows
from predict_age.proposal.stray_files import stray_files
from predict_age.runtime.command_log import stage
from predict_age.source.source_file import SourceFile
from predict_age.tally import AGE_BINS, fold_tails, pooled, shown_parts

DOUBTFUL_NAMES = (
    "the first line may be a record: forms stand for its values. Write a line of names above it; if it has names, give that of the "
    "ids with --pid"
)
ROLE_WORDS = {"pid": "id", "approximate_age": "age in years", "birth_year": "year of birth", "birth_date": "date of birth"}


@dataclass(frozen=True, repr=False)
class SourceProfile(ProfileContents):
    """Profile of a source; in a notebook it shows its page."""

    def _repr_html_(self) -> str:
        from predict_age.proposal.profile_page import profile_page

        content = html.escape(profile_page(self).decode(), quote=True)
        return f'<iframe srcdoc="{content}" sandbox style="width:100%;height:640px;border:0"></iframe>'

    def __repr__(self) -> str:
        return f"<SourceProfile of {self.source}: {len(self.fields)} fields, {self.people:,} people looked at>"


def profile_of(source: str, as_of: dt.date, given: dict[Role, str]) -> SourceProfile:
    """Profile ``source``; ``given``: columns known already, others are guessed. Raises InputError for an unreadable source.

    A source in which no id or no age is recognised has a profile, too.
    """
    with stage(f"read a sample of {source}"):
        sample = sample_source(source)
        sample = sample if given else sample.without_doubtful_names()
    with stage("count rows"):
        rows, exact = count_rows(sample)
    columns, problem = None, ""
    with stage("guess the columns of ids, ages and profiles"):
        try:
            columns = guess_columns(sample, as_of, given, lambda guess: guess.name)
        except ConfigError as error:
            if given:
                raise
            problem = error.message
        found = columns.ages if columns else guess_ages(sample.records, as_of)
    pid = columns.pid.name if columns else ""
    with stage("read the ages"):
        everybody = first_records(sample.records, pid)
        roles: dict[str, str] = {guess.role: guess.name for guess in found}
        date_format = columns.birth_date_format if columns else ""
        ages = ages_of_sample(sample.records, roles, as_of, date_format)
        described = without_minors(sample.records, ages, pid)
        people = first_records(described.records, pid)
    with stage("describe each field"):
        known_ages = ages_of_sample(people, roles, as_of, date_format).ages
        fields, hidden = _fields(sample, people, described.withheld, columns, as_of, known_ages)
    known = _ages(everybody, columns, as_of) if columns else None
    return SourceProfile(
        source,
        as_of.isoformat(),
        len(sample.files),
        sum(file.size for file in sample.files),
        dict(Counter(_format(file) for file in sample.files)),
        rows,
        exact,
        len(sample.records),
        len(everybody),
        pid,
        problem,
        known,
        fields,
        ([DOUBTFUL_NAMES] if sample.doubtful and not given else [])
        + profile_findings(fields, known, problem, len(sample.records), len(everybody), hidden)
        + stray_files(sample.files, columns.taken if columns else ()),
    )


def _format(file: SourceFile) -> str:
    return f"{file.format}, {file.compression}" if file.compression and file.format != "parquet" else file.format


def _fields(
    sample: SourceSample, people: list[Record], withheld: int, columns: Columns | None, as_of: dt.date, ages: list[int | None]
) -> tuple[list[FieldProfile], str]:
    """Columns in their order, then the fields inside a column of JSON; a sentence about keys that few people have.

    ``ages``: those of the ``people``, None where unknown. ``withheld`` people are left out of both; their number does not follow
    from those of the fields.
    """
    taken = columns.taken if columns else []
    profile = columns.profile if columns else json_column(people, sample.columns)
    inner = [] if profile in ("", "*") else [json_object(record.get(profile)) or {} for record in people]
    top = shared_fields([{k: v for k, v in record.items() if k != profile} for record in people])
    below = shared_fields(inner)
    outer, nested = top.fields, below.fields
    roles = {guess.name: ROLE_WORDS[guess.role] for guess in (columns.pid, *columns.ages)} if columns else {}
    free = {path: field for path, field in (nested if inner else outer).items() if path[0] not in taken or inner}
    proposed = _proposed(free, as_of, taken, ages)
    found = []
    for name in sample.columns:
        mine = {path: field for path, field in outer.items() if path[0] == name}
        if name == profile:
            parts = _parts(sum(record.get(name) is not None for record in people), len(people), withheld)
            have, missing = parts["have"], _missing(parts)
            found.append(FieldProfile(name, False, "profiles", "JSON object", have, missing, have, "", "", [], NO_SHAPE))
        elif not mine:
            found.append(FieldProfile(name, False, roles.get(name, ""), "empty", 0, 1.0, 0, "", "", [], NO_SHAPE))
        for path, field in mine.items():
            found.append(_field(path, field, (len(people), withheld), roles.get(name, ""), proposed, taken))
    found += [_field(path, field, (len(people), withheld), "", proposed, taken, nested=True) for path, field in nested.items()]
    return found, SharedFields({}, top.rare + below.rare).sentence


def _proposed(fields: dict[FieldPath, Field], as_of: dt.date, taken: list[str], ages: list[int | None]) -> dict[str, list[str]]:
    """Kinds of the features that ``init`` would propose, by path."""
    kinds: dict[str, list[str]] = {}
    for candidate in propose(fields, as_of, taken, ages)[0]:
        path = str(candidate.settings.get("path") or candidate.settings.get("over") or candidate.field)
        kinds.setdefault(path, []).append(str(candidate.settings["kind"]))
    return kinds


def _parts(have: int, people: int, withheld: int) -> dict[str, int]:
    """Numbers of people with a value, without one, and left out, as they may be shown."""
    return shown_parts({"have": have, "missing": people - have, "withheld": withheld})


def _missing(parts: dict[str, int]) -> float:
    return parts["missing"] / max(parts["have"] + parts["missing"], 1)


def _field(
    path: FieldPath,
    field: Field,
    people: tuple[int, int],
    role: str,
    proposed: dict[str, list[str]],
    taken: list[str],
    *,
    nested: bool = False,
) -> FieldProfile:
    """Profile of a field; ``people`` are those looked at, and those left out."""
    kind = kind_of(field)
    have, distinct = len(set(field.rows)), len(set(field.lengths)) if field.lengths else len(field.counts)
    parts = _parts(have, *people)
    distinct = min(distinct, parts["have"])  # ids have as many values as there are people
    by_name = next((r for step in path if (r := refusal_reason(step, tuple(taken)))), "")
    protected = "" if role else by_name or protected_values(field)
    identity = "" if role or field.lengths else identity_reason(field)
    hidden = role == "id" or bool(identity)
    name = written(path[:-1] if field.lengths else path)
    features = [] if protected else list(dict.fromkeys(proposed.get(name, [])))
    shape = NO_SHAPE if hidden else shape_of(field, kind, people[0] - have, people[1])
    return FieldProfile(name, nested, role, kind, parts["have"], _missing(parts), distinct, protected, identity, features, shape)


def _ages(people: list[Record], columns: Columns, as_of: dt.date) -> KnownAges:
    found = ages_of_sample(people, {guess.role: guess.name for guess in columns.ages}, as_of, columns.birth_date_format)
    given = shown_given(found.given, len(people))
    counts = [0] * AGE_BINS
    for age in found.ages:
        if age is not None:
            counts[age] += 1
    share = given.known / max(found.given.known, 1)
    return KnownAges(
        [guess.name for guess in columns.ages],
        [guess.name for guess in columns.ages if not guess.sure],
        given.given,
        given.known,
        given.minor,
        found.unused,
        found.likely,
        [round(height * share, 2) for height in pooled(fold_tails(counts))],
    )
