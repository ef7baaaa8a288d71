"""The folder ``current`` of a workspace: the published result as plain Parquet files, at a path that never changes.

It is for programs that read files and know no manifest, such as BI tools. ``current`` is a symbolic link to
``runs/<run_id>/readable-<generation>/``, replaced by one rename. That folder holds links to the parts of the result; a part with
people whom the suppression list of this generation hides is written again without them. docs/adr/0026-current-folder.md says why.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from predict_age.errors import PredictAgeError
from predict_age.runs.visible_people import hides_nobody, visible_rows_sql
from predict_age.storage.durable_files import TEMPORARY, creating, file_problem, flush_folder
from predict_age.storage.manifest import VerifiedRun, verified_run
from predict_age.storage.parquet_writer import parquet_options
from predict_age.storage.retention_rule import RUN_ID
from predict_age.storage.suppression_list import SuppressionList
from predict_age.storage.workspace import Workspace

CURRENT_FOLDER = "current"
READABLE_FOLDER = "readable-"
_LOCK = "current.lock"
_PART = re.compile(rf"({RUN_ID.pattern})-(\d+)-part_\d+\.parquet")
_TARGET = re.compile(rf"runs/{RUN_ID.pattern}/{READABLE_FOLDER}\d+")
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EOPNOTSUPP}  # file systems that have no symbolic links


def current_folder(workspace: Workspace) -> Path | None:
    """The folder ``current``, if it shows the published run as the suppression list has it now; None otherwise."""
    path = workspace.root / CURRENT_FOLDER
    return path if path.is_symlink() and path.is_dir() and path.readlink() == _target(workspace) else None


def follow_published(workspace: Workspace) -> Path | None:
    """Lead ``current`` to the published run, without people who are suppressed; None where there can be no such folder:
    nothing is published, the file system has no symbolic links, or somebody's own files lie at that path.

    Nothing happens where it leads there already. Raises IntegrityError when a file of the result is damaged; then ``current``
    stays as it is.
    """
    with _locked(workspace):
        return _follow(workspace)


def leave_old_run(workspace: Workspace) -> None:
    """Lead ``current`` to the published run before the run that it shows is removed; where that cannot be, there is none."""
    with _locked(workspace):
        shown = None
        with suppress(PredictAgeError, OSError):  # the published run is damaged, or the disk is full
            shown = _follow(workspace)
        if shown is None:
            _withdraw(workspace)


@contextmanager
def withdrawn_folder(workspace: Workspace) -> Iterator[None]:
    """Take ``current`` away while the block changes who is hidden, and bring it back as it must be then.

    Nobody who is suppressed by the block is shown after it began to write. When the process dies before the end there is no
    ``current``; the next run, rollback, export or change of the list brings it back.
    """
    with _locked(workspace):
        _withdraw(workspace)
        try:
            yield
        except BaseException:
            with suppress(PredictAgeError, OSError):  # the error of the block counts
                _follow(workspace)
            raise
        _follow(workspace)


def _target(workspace: Workspace) -> Path | None:
    """Where ``current`` must lead, relative to the workspace; None when nothing is published."""
    run_id, listed = workspace.published.current, workspace.suppression
    return Path("runs", run_id, f"{READABLE_FOLDER}{listed.generation if listed else 0}") if run_id else None


def _follow(workspace: Workspace) -> Path | None:
    target = _target(workspace)
    if target is None or is_in_the_way(workspace):
        return None
    _remove_copy(workspace)
    if shown := current_folder(workspace):
        _remove_unused(workspace, keep=None)  # which a process left that was killed
        return shown
    folder = workspace.root / target
    _remove_unused(workspace, keep=folder)
    if not folder.is_dir() and not _build(workspace, folder):
        _withdraw(workspace)
        return None
    link = workspace.root / f"{CURRENT_FOLDER}{TEMPORARY}"
    link.unlink(missing_ok=True)
    link.symlink_to(target, target_is_directory=True)
    link.replace(workspace.root / CURRENT_FOLDER)
    flush_folder(workspace.root)
    _remove_unused(workspace, keep=folder)
    return current_folder(workspace)


def _build(workspace: Workspace, folder: Path) -> bool:
    """Make ``folder`` with all parts of the result; False where the file system has no symbolic links."""
    listed = workspace.suppression
    run = verified_run(workspace, workspace.run(folder.parent.name))
    temporary = folder.with_name(folder.name + TEMPORARY)
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        for path in map(Path, run.checked("results/")):
            generation = folder.name.removeprefix(READABLE_FOLDER)
            new = temporary / f"{run.folder.id}-{generation}-{path.name}"
            if not _write_visible(run, path, new, listed):
                new.symlink_to(Path("..", "results", path.name))
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if error.errno in _NO_LINKS:
            return False
        raise
    flush_folder(temporary)
    temporary.rename(folder)
    flush_folder(folder.parent)
    return True


def _write_visible(run: VerifiedRun, path: Path, new: Path, listed: SuppressionList | None) -> bool:
    """Write the rows of ``path`` that readers may see to ``new``; False, and nothing written, when they may see all."""
    table = _visible_rows(run, path, listed)
    if table is None:
        return False
    with creating(new) as stream:
        pq.write_table(table, stream, **parquet_options(table.schema))
    return True


def _visible_rows(run: VerifiedRun, path: Path, listed: SuppressionList | None) -> pa.Table | None:
    """The rows of ``path`` that readers may see; None when they may see all."""
    if hides_nobody(run.folder, listed):
        return None
    connection = duckdb.connect()
    try:
        rows = visible_rows_sql(connection, run.folder, [str(path)], listed)
        table = connection.sql(f"SELECT * FROM {rows}").to_arrow_table()
    finally:
        connection.close()
    return None if table.num_rows == pq.read_metadata(path).num_rows else table.cast(pq.read_schema(path))


def readable_problems(workspace: Workspace, run: VerifiedRun) -> list[str]:
    """Every file below a readable folder of the run that is neither a part of the result nor its rows without hidden people."""
    files = sorted(p for p in run.folder.path.glob(f"{READABLE_FOLDER}*/*") if p.parent.suffix != TEMPORARY)
    damaged = [p for p in files if not _is_valid(workspace, run, p)]
    if damaged:  # or removed, or of an earlier list: `suppress` does not wait while everything is read
        with _locked(workspace):
            damaged = [p for p in damaged if os.path.lexists(p) and not _is_valid(workspace, run, p)]
    return [f"{p.parent.name}/{p.name} is damaged" for p in damaged]


def _is_valid(workspace: Workspace, run: VerifiedRun, path: Path) -> bool:
    name = f"results/{path.name.rpartition('-')[2]}"
    if name not in run.files:
        return False
    if path.is_symlink():
        return path.readlink() == Path("..", name)
    if not file_problem(path, run.files[name]):
        return True  # a copy that followed the link
    try:
        expected = _visible_rows(run, run.folder.path / name, workspace.suppression)
        return expected is not None and pq.read_table(path).equals(expected)
    except (pa.ArrowException, duckdb.Error, OSError, PredictAgeError):  # it, or what it was made from, is damaged
        return False


def _withdraw(workspace: Workspace) -> None:
    path = workspace.root / CURRENT_FOLDER
    if not is_in_the_way(workspace):
        _remove_copy(workspace)
        path.unlink(missing_ok=True)
        flush_folder(workspace.root)
    _remove_unused(workspace, keep=None)


def _remove_unused(workspace: Workspace, keep: Path | None) -> None:
    """Remove every readable folder but ``keep`` and the one that ``current`` leads to."""
    shown = workspace.root / CURRENT_FOLDER
    used = {keep, workspace.root / shown.readlink() if shown.is_symlink() else None}
    for folder in (workspace.root / "runs").glob(f"*/{READABLE_FOLDER}*"):
        if folder not in used:
            shutil.rmtree(folder, ignore_errors=True)


def is_in_the_way(workspace: Workspace) -> bool:
    """Whether ``current`` is a file, folder or link of somebody else, which stays.

    A copy of a folder that ``current`` led to is none: it has parts of one run that this workspace knows, and nothing else.
    """
    path = workspace.root / CURRENT_FOLDER
    if path.is_symlink():
        return not _TARGET.fullmatch(path.readlink().as_posix())
    if not path.exists():
        return False
    if not path.is_dir():
        return True
    files = list(path.iterdir())
    origins = {found.groups() if (found := _PART.fullmatch(p.name)) else None for p in files}
    origin = next(iter(origins), None)
    if len(origins) != 1 or origin is None or not all(p.is_file() or p.is_symlink() for p in files):
        return True
    published = workspace.published
    known = published.run_ids.union(*((entry.get("run", ""), entry.get("before", "")) for entry in published.history))
    return origin[0] not in known and not (workspace.root / "runs" / origin[0]).is_dir()


def _remove_copy(workspace: Workspace) -> None:
    """Remove a copy that following the link left, if there is one: it may show people who are suppressed."""
    path = workspace.root / CURRENT_FOLDER
    if path.is_dir() and not path.is_symlink():
        for file in path.iterdir():
            file.unlink()
        path.rmdir()


@contextmanager
def _locked(workspace: Workspace) -> Iterator[None]:
    """One writer of ``current`` at a time. The kernel frees the lock when its holder dies. Nobody writes where nobody may."""
    if not os.access(workspace.root, os.W_OK):
        yield
        return
    descriptor = os.open(workspace.root / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
