"""Changes of the suppression list: ids as they are written are hashed, and the list, then the pointer, are replaced."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from predict_age.config import Config
from predict_age.errors import ConfigError
from predict_age.records.step_facts import ReadSourceFacts
from predict_age.runs.current_folder import follow_published, withdrawn_folder
from predict_age.source.id_hashes import Hashes, keyed_hashes
from predict_age.source.row_rules import IdType, id_type_named
from predict_age.source.suppression import Entries, pids_as_written
from predict_age.source.text_ids import id_text
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
from predict_age.storage.workspace import DONE, Workspace

READINGS: tuple[IdType, ...] = ("integer", "text")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
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
        found = {}
        for reading in READINGS:
            listed, ends = entries.of_reading(reading)
            found[reading] = self.is_id[reading] & np.isin(self.hashes(reading, key), listed[ends == 0])
        return found

    def are_suppressed(self, on_list: dict[IdType, NDArray[np.bool_]]) -> NDArray[np.bool_]:
        """Which of the ids (n,) are on the list for the ``rule``'s type of ids; without one, for each type that they may be of."""
        readings = (self.rule,) if self.rule else READINGS
        suppressed = [on_list[reading] | (~self.is_id[reading] if self.rule is None else False) for reading in readings]
        return np.logical_and.reduce(suppressed)


@dataclass(frozen=True)
class SuppressionOutcome:
    """Outcome of a command about the suppression list; it counts ids and names none.

    ``given`` ids are those of the pid file; ``changed`` of them are on the list now and were not before, or the other way round;
    ``unchanged`` were so already. ``in_result`` of them are in the current result; None where there is none.
    """

    generation: int
    listed: int
    given: int
    changed: int
    unchanged: int
    in_result: int | None

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def parse_ids(data: bytes, name: str, rule: IdType | None) -> GivenIds:
    """The ids of a pid file, one a line. ``rule``: the type that every id must have; None: a number or a text.

    Raises ConfigError for the first line that is no id, by its number: the text of a line is never shown.
    """
    lines = data.removeprefix(BYTE_ORDER_MARK).split(b"\n")
    lines = lines[:-1] if lines[-1] == b"" else lines
    try:
        texts = [id_text(line.decode()) for line in lines]
    except UnicodeDecodeError:
        raise _no_id(name, next(i for i, line in enumerate(lines) if not _is_utf8(line)), rule) from None
    column = pa.chunked_array([pa.array(texts, pa.string())])
    read = {reading: pids_as_written(column, reading) for reading in READINGS}
    found = GivenIds({r: read[r][0] for r in READINGS}, {r: read[r][1] for r in READINGS}, rule)
    bad = ~found.is_id[rule or "text"]
    if bad.any():
        raise _no_id(name, int(np.argmax(bad)), rule)
    return found


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _no_id(name: str, line: int, rule: IdType | None) -> ConfigError:
    kinds = {"integer": "whole numbers of 64 bits, as the source's ids are", "text": "ids as the source has them", None: "ids"}
    return ConfigError(
        f"line {line + 1:,} of {name} is no id: nothing was changed",
        expected=f"{kinds[rule]}, one a line",
        fix="mend the line; the text is not shown here because it may be about a person",
    )


def id_rule(workspace: Workspace) -> IdType | None:
    """Type of the ids of the newest finished run; None where there is none."""
    done = [run for run in workspace.runs() if run.status == DONE]
    return id_type_named(done[-1].facts(ReadSourceFacts).pid_type) if done else None


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
        in_result = _in_result(workspace, given)
        if not changed and listed:
            remove_old_ids(workspace.root, listed)
            follow_published(workspace)
            return _outcome(listed, given, changed, in_result)
        lease.check()
        now = len(np.unique(after.hashes[after.ends == 0]))
        with withdrawn_folder(workspace):
            made = write_suppression_list(workspace.root, generation, after.as_bytes(), now, key)
            note_suppression_list(workspace.documents, made.generation, made.content_hash)
            remove_old_ids(workspace.root, made)
        return _outcome(made, given, changed, in_result)


def check_suppression(workspace: Workspace, given: GivenIds | None) -> SuppressionOutcome:
    """Say how many of the ``given`` ids are on the list (``unchanged``) and how many are not (``changed``), and change nothing."""
    listed = workspace.suppression
    if listed is None:
        return SuppressionOutcome(0, 0, given.count if given else 0, given.count if given else 0, 0, None)
    if given is None:
        return SuppressionOutcome(listed.generation, listed.listed, 0, 0, 0, None)
    _, changed = changed_entries(Entries.of(listed), given, listed.key, 0)
    return _outcome(listed, given, changed, _in_result(workspace, given))


def _first_key(workspace: Workspace, rebuild: bool) -> bytes:
    if rebuild and (workspace.root / FOLDER / KEY).exists():
        remove(workspace.root / FOLDER / KEY)
    return existing_or_new_key(workspace.root)


def _outcome(listed: SuppressionList, given: GivenIds, changed: int, in_result: int | None) -> SuppressionOutcome:
    return SuppressionOutcome(listed.generation, listed.listed, given.count, changed, given.count - changed, in_result)


def changed_entries(before: Entries, given: GivenIds, key: bytes, end: int) -> tuple[Entries, int]:
    """The entries after the ``given`` ids got this ``end`` (0: listed), and how many of the ids that changes.

    Only ids that are listed can be released.
    """
    parts, on_list = [], given.on_list(before, key)
    for reading in READINGS:
        hashes, ends = before.of_reading(reading)
        wanted = given.hashes(reading, key)
        mine = np.unique(wanted[on_list[reading] if end else given.is_id[reading] & ~on_list[reading]])
        if end and reading == "integer":  # the pid of a text may have been listed
            texts = given.hashes("text", key)[given.is_id["text"] & ~given.is_id["integer"]]
            mine = np.union1d(mine, np.intersect1d(texts, hashes[ends == 0]))
        kept = ~np.isin(hashes, mine)
        parts.append((np.concatenate([hashes[kept], mine]), np.concatenate([ends[kept], np.full(len(mine), end, np.uint32)])))
    changed = on_list["integer"] | on_list["text"] if end and given.rule is None else given.are_suppressed(on_list) == bool(end)
    return Entries.joined(*parts), int(changed.sum())


def _in_result(workspace: Workspace, given: GivenIds) -> int | None:
    """Number of ``given`` ids that are pids of the current result; None where there is none."""
    current = workspace.published.current
    if not current:
        return None
    run = verified_run(workspace, workspace.run(current))
    reading = id_type_named(run.folder.facts(ReadSourceFacts).pid_type)
    pids = [given.pids[each][given.is_id[each]] for each in (READINGS if reading == "text" else (reading,))]
    wanted = np.unique(np.concatenate(pids))
    found = 0
    for path in run.checked("results/"):
        for batch in pq.ParquetFile(path).iter_batches(READ_ROWS, columns=["pid"]):
            found += int(np.isin(batch["pid"].to_numpy(), wanted).sum())
    return found
