"""Files that a command writes for its user: outside the workspace, complete or absent."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from predict_age.errors import ConfigError
from predict_age.storage.durable_files import TEMPORARY, NewFile, creating

UNUSABLE = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL, errno.ELOOP}  # errors about a name
DOCUMENTS = ("published.json", "lease.json")  # of a workspace, beside its folder of runs
NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS}  # of a file system without them


@dataclass(frozen=True)
class OutputFile:
    """File at ``path``, the value of ``option``. It may not lie in a workspace, neither ``workspace`` nor another one.

    It is new; with ``replace``, it may take the place of another file. None: the command cannot do that, and does not propose it.
    """

    path: Path
    option: str
    workspace: Path | None = None
    replace: bool | None = None

    def check(self) -> None:
        """Raise ConfigError unless the file can be written: before the work whose result it gets."""
        with self._usable():
            if os.path.lexists(self.path) and not (self.replace and _is_plain(self.path)):
                raise self._taken()
            if not self.path.parent.is_dir():
                raise self._refused(f"there is no folder {self.path.parent}", "a file in a folder that exists", str(self.path))
            found = self.path.parent.resolve() / self.path.name
            around = _workspace_around(found, self.workspace)
        if around:
            raise ConfigError(
                f"{self.path} lies in the workspace",
                expected=f"a file outside {around}",
                found=str(found),
                fix=f"choose another {self.option}; `current/` has the published rows as Parquet",
            )

    @contextmanager
    def writing(self) -> Iterator[NewFile]:
        """Stream whose content becomes the file when the block ends without error; else nothing changes.

        Raises ConfigError as :meth:`check` does, also when another program creates the file meanwhile.
        """
        self.check()
        finished = self.path.with_name(f"{secrets.token_hex(8)}{TEMPORARY}")  # no longer than usual names
        try:
            with ExitStack() as file:
                with self._usable():
                    stream = file.enter_context(creating(finished))
                yield stream
            with self._usable():
                self._take_name(finished)
        finally:
            finished.unlink(missing_ok=True)

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:  # ValueError: a NUL character
            if isinstance(error, OSError) and error.errno not in UNUSABLE:
                raise
            reason = getattr(error, "strerror", None) or str(error)
            raise self._refused(f"{self.path} cannot be created", "a file in a folder of this machine", reason) from None

    def _take_name(self, finished: Path) -> None:
        """Give the ``finished`` file its name. A link fails where another file has that name; a rename would replace it."""
        if self.replace:
            finished.replace(self.path)
            return
        try:
            os.link(finished, self.path)
        except FileExistsError:
            raise self._taken() from None
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            finished.rename(self.path)

    def _taken(self) -> ConfigError:
        if not _is_plain(self.path):
            kind = "a link" if self.path.is_symlink() else "a folder" if self.path.is_dir() else "no plain file"
            return self._refused(f"{self.path} is {kind}", "a new file", kind)
        force = ", or --force, which replaces it once the new file is complete" if self.replace is not None else ""
        return ConfigError(
            f"{self.path} exists already", expected="a new file", found=str(self.path), fix=f"choose another {self.option}{force}"
        )

    def _refused(self, message: str, expected: str, found: str) -> ConfigError:
        return ConfigError(message, expected=expected, found=found, fix=f"choose another {self.option}")


def _is_plain(path: Path) -> bool:
    """Whether a file is there itself: no folder, link, pipe or device."""
    return path.is_file() and not path.is_symlink()


def _workspace_around(path: Path, known: Path | None) -> Path | None:
    """The workspace that a file at the resolved ``path`` would lie in: the ``known`` one, or one recognised by its files."""
    if known is not None and path.is_relative_to(known.resolve()):
        return known
    for folder in path.parents:
        if (folder / "runs").is_dir() and any((folder / name).is_file() for name in DOCUMENTS):
            return folder
    return None
