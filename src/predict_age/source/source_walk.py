"""The entries below a folder or a glob: links are followed, nothing is read twice, and what cannot be read stops the run."""

from __future__ import annotations

import fnmatch
import os
import stat
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from predict_age.errors import InputError
from predict_age.source.file_kind import HIDDEN, is_hidden

REACHED_BEFORE = "reached before by another path"
_MAGIC = frozenset("*?[")
_SPECIAL = ((stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"), (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"))


@dataclass
class Walk:
    """Paths of regular files as they were reached, and what was passed over with the reason."""

    files: list[Path] = field(default_factory=list)
    passed: list[tuple[str, str]] = field(default_factory=list)
    _folders: set[tuple[int, int]] = field(default_factory=set)
    _real: set[str] = field(default_factory=set)
    _paths: set[str] = field(default_factory=set)
    _links: deque[Path] = field(default_factory=deque)

    def add(self, path: Path) -> None:
        """Take a file, or everything below a folder. Links wait: what they lead to may be reached without them."""
        self._enter(path)
        self.follow_links()

    def follow_links(self) -> None:
        """Take what links lead to, in the order in which they were found."""
        while self._links:
            self._enter(self._links.popleft())

    def _enter(self, path: Path) -> None:
        waiting = [path]
        while waiting:
            entry = waiting.pop()
            if (path_text := str(entry.absolute())) in self._paths:
                continue
            self._paths.add(path_text)
            found = status(entry)
            if stat.S_ISDIR(found.st_mode):
                if (found.st_dev, found.st_ino) in self._folders:
                    self.passed.append((str(entry), REACHED_BEFORE))
                    continue
                self._folders.add((found.st_dev, found.st_ino))
                waiting += self._children(entry)
            elif (real := os.path.realpath(entry)) in self._real:
                self.passed.append((str(entry), REACHED_BEFORE))
            else:
                self._real.add(real)
                self.files.append(entry)

    def _children(self, folder: Path) -> list[Path]:
        """Entries of ``folder`` to enter, the first last; hidden ones are passed over, links wait."""
        found = []
        for entry in entries(folder):
            if is_hidden(entry.name):
                self.passed.append((entry.path, HIDDEN))
            elif entry.is_symlink():
                self._links.append(Path(entry.path))
            else:
                found.append(Path(entry.path))
        return found[::-1]

    def glob(self, pattern: str) -> None:
        """Take everything that matches ``pattern``; ``**`` stands for any number of folders, links to folders included."""
        absolute = Path(pattern).absolute()
        parts = absolute.parts[1:]
        first = next(i for i, part in enumerate(parts) if _MAGIC & set(part))
        base = Path(absolute.anchor, *parts[:first])
        if base.is_dir():
            for path in sorted(_matches(base, parts[first:], frozenset()), key=lambda p: (p.is_symlink(), p)):
                self._enter(path)
        self.follow_links()


def _matches(folder: Path, parts: tuple[str, ...], above: frozenset[str]) -> set[Path]:
    """Paths below ``folder`` that match ``parts``; ``above`` are the real folders on the way, so that circles end."""
    part, rest = parts[0], parts[1:]
    real = os.path.realpath(folder)
    if real in above:
        return set()
    found: set[Path] = set()
    if part == "**":
        found |= _matches(folder, rest, above) if rest else {folder}
    elif not _MAGIC & set(part):
        below = folder / part
        if not os.path.lexists(below):
            return set()
        return _matches(below, rest, above | {real}) if rest else {below}
    for entry in entries(folder):
        if part == "**":
            if not is_hidden(entry.name) and stat.S_ISDIR(status(Path(entry.path)).st_mode):
                found |= _matches(Path(entry.path), parts, above | {real})
        elif fnmatch.fnmatchcase(entry.name, part) and (part[0] in "._" or not is_hidden(entry.name)):
            if not rest:
                found.add(Path(entry.path))
            elif stat.S_ISDIR(status(Path(entry.path)).st_mode):
                found |= _matches(Path(entry.path), rest, frozenset())
    return found


def is_glob(source: str) -> bool:
    """Whether ``source`` has a character that stands for others."""
    return bool(_MAGIC & set(source))


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """The entries of ``folder`` by name. Raises InputError when it cannot be listed."""
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda e: e.name)
    except OSError as error:
        raise unreadable(folder, error) from None


def status(path: Path) -> os.stat_result:
    """Status of a file or folder, links followed. Raises InputError for a dangling link, a pipe, a socket, a device."""
    try:
        found = path.stat()
    except OSError as error:
        raise unreadable(path, error) from None
    for test, what in _SPECIAL:
        if test(found.st_mode):
            raise InputError(
                f"the source holds {what}: {path}",
                expected="files and folders",
                found=what,
                fix="remove it, or name the files alone",
            )
    return found


def unreadable(path: Path | str, error: OSError) -> InputError:
    """The error for an entry of the source that cannot be read."""
    dangling = isinstance(error, FileNotFoundError) and Path(path).is_symlink()
    reason = "a link to nothing" if dangling else error.strerror or str(error)
    return InputError(
        f"a part of the source cannot be read: {path}",
        expected="files and folders that may be read",
        found=reason,
        fix="allow reading it, or remove it from the source",
    )
