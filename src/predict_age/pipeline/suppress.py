"""Changes of the suppression list: ids as they are written are hashed, and the list, then the pointer, are replaced."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from predict_age.config import Config
from predict_age.errors import ConfigError
from predict_age.records.step_facts import ReadSourceFacts
from predict_age.runs.current_folder import follow_published, withdrawn_folder
from predict_age.source.id_hashes import Hashes, keyed_hashes
from predict_age.source.id_lines import GROUPS_OF_DIGITS, no_id, read_id_lines
from predict_age.source.row_rules import IdType, id_type_named
from predict_age.source.suppression import Entries, hidden_people, pids_as_written
from predict_age.storage.durable_files import remove
from predict_age.storage.leftovers import remove_dead_attempts
from predict_age.storage.manifest import verified_run
from predict_age.storage.publication import note_suppression_list
from predict_age.storage.suppression_list import (
    FOLDER,
    KEY,
    SuppressionList,
    existing_or_new_key,
    newest_generation,
    remove_old_ids,
    write_suppression_list,
)
from predict_age.storage.workspace import Workspace

READINGS: tuple[IdType, ...] = ("integer", "text")
READ_ROWS = 1_000_000


@dataclass(frozen=True)
class GivenIds:
    """Ids of a pid file (n): by each reading the pids (n,) that they stand for, and which of them can be read so (n,).

    ``rule``: type of ids of the runs that they are about, where it is known.
    """

    pids: dict[IdType, NDArray[np.int64]]
    is_id: dict[IdType, NDArray[np.bool_]]
    rule: IdType | None

    @property
    def count(self) -> int:
        return len(self.pids["integer"])

    def hashes(self, reading: IdType, key: bytes) -> Hashes:
        """Keyed hashes (n,) by one reading; those of lines that cannot be read so mean nothing."""
        return keyed_hashes(self.pids[reading], key)

    def on_list(self, entries: Entries, key: bytes) -> dict[IdType, NDArray[np.bool_]]:
        """By each type of ids, which of the ids (n,) ``entries`` list for it."""
        return {reading: self._among(entries.listed(reading), reading, key) for reading in READINGS}

    def were_on_list(self, entries: Entries, key: bytes) -> NDArray[np.bool_]:
        """Which of the ids (n,) ``entries`` name as released, for the ``rule``'s type of ids; without one, for any."""
        found = np.zeros(self.count, np.bool_)
        for reading in (self.rule,) if self.rule else READINGS:
            hashes, ends = entries.of_reading(reading)
            found |= self._among(hashes[ends > 0], reading, key)
        return found

    def _among(self, hashes: Hashes, reading: IdType, key: bytes) -> NDArray[np.bool_]:
        return self.is_id[reading] & np.isin(self.hashes(reading, key), hashes)

    def are_suppressed(self, on_list: dict[IdType, NDArray[np.bool_]]) -> NDArray[np.bool_]:
        """Which of the ids (n,) are on the list for the ``rule``'s type of ids; without one, for each type that they may be of."""
        readings = (self.rule,) if self.rule else READINGS
        suppressed = [on_list[reading] | (~self.is_id[reading] if self.rule is None else False) for reading in readings]
        return np.logical_and.reduce(suppressed)


@dataclass(frozen=True)
class SuppressionOutcome:
    """Outcome of a command about the suppression list; it counts ids and names none.

    ``given`` ids are those of the pid file; ``changed`` of them are on the list now and were not before, or the other way round;
    ``unchanged`` were so already. ``in_result`` of these people have a row in the current result, and ``hidden`` of those rows are
    seen by no reader now; None where there is no result. ``released``: ids that are not on the list and were, counted by a check.
    """

    generation: int
    listed: int
    given: int
    changed: int
    unchanged: int
    in_result: int | None
    hidden: int | None = None
    released: int = 0

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def parse_ids(data: bytes, name: str, rule: IdType | None) -> GivenIds:
    """The ids of a pid file, one a line. ``rule``: the type that every id must have; None: a number or a text.

    Raises ConfigError for a line that is no id, by its number: the text of a line is never shown.
    """
    texts = read_id_lines(data, name)
    grouped = [] if rule == "text" else [number for number, text in enumerate(texts, 1) if GROUPS_OF_DIGITS.fullmatch(text)]
    if grouped:  # 2.000 is 2 to a program, and 2000 to many people
        fix = "write each id as its digits alone" + ("" if rule else "; with --pid-type text an id may be such a text")
        raise no_id(name, grouped[0], "ids as the source has them, one a line", "a number in groups of three digits", fix)
    column = pa.chunked_array([pa.array(texts, pa.string())])
    read = {reading: pids_as_written(column, reading) for reading in READINGS}
    found = GivenIds({r: read[r][0] for r in READINGS}, {r: read[r][1] for r in READINGS}, rule)
    bad = ~found.is_id[rule or "text"]
    if bad.any():
        kinds = {"integer": "whole numbers of 64 bits, as the source's ids are", "text": "ids as the source has them", None: "ids"}
        first = int(np.argmax(bad))
        found_there = "another text" if texts[first] else "a blank line"
        fix = "mend the line; the text is not shown here because it may be about a person"
        raise no_id(name, first + 1, f"{kinds[rule]}, one a line", found_there, fix)
    return found


def refuse_empty_list(given: GivenIds | None, name: str) -> None:
    """Raise ConfigError for a list of nobody: in the place of the present one it would show everybody again."""
    if given is None or not given.count:
        raise ConfigError(
            f"there is no id in {name}: nothing was changed",
            expected="the ids of everybody who is to be suppressed",
            found="no line",
            fix="give the whole list; `predict-age suppress --remove` takes single people off the present one",
        )


def id_rule(workspace: Workspace) -> IdType | None:
    """Type of the ids of the published run; None where there is none."""
    current = workspace.published.current
    return id_type_named(workspace.run(current).facts(ReadSourceFacts).pid_type) if current else None


def change_suppression(
    workspace: Workspace, given: GivenIds, *, release: bool = False, rebuild: bool = False
) -> SuppressionOutcome:
    """Put ``given`` ids on the list, or ``release`` them; ``rebuild`` makes a new list and a new key of them alone.

    Raises BusyError while a run is going on, ConfigError when the list or its key cannot be used; then nothing was changed.
    """
    if not rebuild:
        workspace.suppression  # noqa: B018 - a list that cannot be used stops the command before it writes anything
    workspace.create()
    with workspace.hold("suppress", Config().running.lease_seconds) as lease:
        remove_dead_attempts(workspace)
        listed = None if rebuild else workspace.adopt_suppression()
        generation = newest_generation(workspace.root, workspace.published) + 1
        key = listed.key if listed else _first_key(workspace, rebuild)
        before = Entries.of(listed) if listed else Entries.none()
        after, changed = changed_entries(before, given, key, generation if release else 0)
        rows = _rows_of(workspace, given)
        if not changed and listed:
            remove_old_ids(workspace.root, listed)
            follow_published(workspace)
            return _outcome(listed, given, changed, rows)
        lease.check()
        with withdrawn_folder(workspace):
            made = write_suppression_list(workspace.root, generation, after.as_bytes(), *after.counts, key)
            note_suppression_list(workspace.documents, made.generation, made.content_hash)
            remove_old_ids(workspace.root, made)
        return _outcome(made, given, changed, rows)


def check_suppression(workspace: Workspace, given: GivenIds | None) -> SuppressionOutcome:
    """Count the ``given`` ids on the list (``unchanged``) and others (``changed``, some of them ``released``); change nothing."""
    listed = workspace.suppression
    if listed is None:
        return SuppressionOutcome(0, 0, given.count if given else 0, given.count if given else 0, 0, None)
    if given is None:
        return SuppressionOutcome(listed.generation, listed.listed, 0, 0, 0, None)
    missing, before = count_missing(Entries.of(listed), given, listed.key)
    return replace(_outcome(listed, given, missing, _rows_of(workspace, given)), released=before)


def count_missing(entries: Entries, given: GivenIds, key: bytes) -> tuple[int, int]:
    """Number of ``given`` ids that are not on the list, and of those among them that were on it and have been released."""
    missing = ~given.are_suppressed(given.on_list(entries, key))
    return int(missing.sum()), int((missing & given.were_on_list(entries, key)).sum())


def _first_key(workspace: Workspace, rebuild: bool) -> bytes:
    if rebuild and (workspace.root / FOLDER / KEY).exists():
        remove(workspace.root / FOLDER / KEY)
    return existing_or_new_key(workspace.root)


@dataclass(frozen=True)
class _Rows:
    """Rows of given people in the current result: their ``pids`` (n,), and the list's generation with which the run was made."""

    pids: NDArray[np.int64]
    ids: IdType
    made_with: int


def _outcome(listed: SuppressionList, given: GivenIds, changed: int, rows: _Rows | None) -> SuppressionOutcome:
    found = SuppressionOutcome(listed.generation, listed.listed, given.count, changed, given.count - changed, None)
    if rows is None:
        return found
    hidden, _ = hidden_people(rows.pids, listed, rows.ids, rows.made_with)
    return replace(found, in_result=len(rows.pids), hidden=int(hidden.sum()))


def changed_entries(before: Entries, given: GivenIds, key: bytes, end: int) -> tuple[Entries, int]:
    """The entries after the ``given`` ids got this ``end`` (0: listed), and how many of the ids that changes.

    Only ids that are listed can be released, whichever of a person's ids listed them: see :func:`released`.
    """
    hashes, on_list = {reading: given.hashes(reading, key) for reading in READINGS}, given.on_list(before, key)
    if end:
        named = {reading: hashes[reading][given.is_id[reading]] for reading in READINGS}
        moved = released({reading: before.listed(reading) for reading in READINGS}, before.links, named, given.rule)
        counting = (given.rule,) if given.rule else READINGS
        changed = np.logical_or.reduce([given.is_id[r] & np.isin(hashes[r], moved[r]) for r in counting])
        links = before.links
    else:
        moved = {reading: np.unique(hashes[reading][given.is_id[reading] & ~on_list[reading]]) for reading in READINGS}
        changed = ~given.are_suppressed(on_list)
        two = given.is_id["integer"] & given.is_id["text"] & (hashes["integer"] != hashes["text"])
        links = np.concatenate([before.links, np.column_stack([hashes[reading][two] for reading in READINGS])])
    parts = []
    for reading in READINGS:
        old, ends = before.of_reading(reading)
        kept, mine = ~np.isin(old, moved[reading]), moved[reading]
        parts.append((np.concatenate([old[kept], mine]), np.concatenate([ends[kept], np.full(len(mine), end, np.uint32)])))
    return Entries.joined(*parts, links=links), int(changed.sum())


def released(
    listed: dict[IdType, NDArray[Any]], links: NDArray[Any], named: dict[IdType, NDArray[Any]], rule: IdType | None
) -> dict[IdType, NDArray[Any]]:
    """Hashes that are taken off the list with the ``named`` ones, by reading. ``links`` (m, 2) as in :class:`Entries`.

    By the ``rule``'s reading the named ids that are ``listed`` go and nobody else (as text where there is no rule: 012 and 12 may
    be two people then). By the other reading, every hash goes whose ids by the first have all gone: nothing of a person stays.
    """
    first: IdType = rule or "text"
    other: IdType = "text" if first == "integer" else "integer"
    same = np.intersect1d(listed["integer"], listed["text"])
    pairs = np.concatenate([links, np.column_stack([same, same])])
    ids = {reading: pairs[:, at] for at, reading in enumerate(READINGS)}
    gone = np.intersect1d(named[first], listed[first])
    touched = np.union1d(np.intersect1d(named[other], listed[other]), ids[other][np.isin(ids[first], gone)])
    needed = ids[other][~np.isin(ids[first], gone)]
    return {first: gone, other: np.setdiff1d(touched, needed)}


def _rows_of(workspace: Workspace, given: GivenIds) -> _Rows | None:
    """Rows of the current result whose pids the ``given`` ids are in a run of its type of ids; None where there is no result."""
    current = workspace.published.current
    if not current:
        return None
    run = verified_run(workspace, workspace.run(current))
    ids = id_type_named(run.folder.facts(ReadSourceFacts).pid_type)
    wanted = np.unique(given.pids[ids][given.is_id[ids]])
    found = [np.empty(0, np.int64)]
    for path in run.checked("results/"):
        for batch in pq.ParquetFile(path).iter_batches(READ_ROWS, columns=["pid"]):
            pids = batch["pid"].to_numpy()
            found.append(pids[np.isin(pids, wanted)])
    return _Rows(np.concatenate(found), ids, int(run.folder.record.get("suppression", 0)))
