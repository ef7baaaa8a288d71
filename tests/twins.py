"""Deliberately broken twins of the commit protocol: the fault harness has to catch each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from predict_age.storage import durable_files

CERTAIN = 8  # operations on both sides of a weak spot that are tried whichever others are drawn


@dataclass(frozen=True)
class Twin:
    """``breaks`` takes one safety away in this process; ``faults`` are those that must then show, soonest ``near`` an operation."""

    breaks: Callable[[], None]
    faults: tuple[str, ...]
    near: str

    def attempts(self, log: list[str], operations: list[int]) -> list[tuple[int, str]]:
        """All faults at all of the ``operations`` (numbers in the ``log``, from 1), those near its weak spot first."""
        spot = max(n for n, done in enumerate(log, 1) if self.near in done)
        around = range(max(1, spot - CERTAIN), min(len(log), spot + CERTAIN) + 1)
        return [(at, fault) for at in sorted({*operations, *around}, key=lambda n: abs(n - spot)) for fault in self.faults]


@contextmanager
def _in_place(path: Path) -> Iterator[durable_files.NewFile]:
    """Write under the final name, as most programs do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with durable_files.NewFile(path) as stream:
        yield stream


def _everywhere(name: str, value: Any) -> None:
    """Replace a function of :mod:`predict_age.storage.durable_files` in every module that has imported it; there must be some."""
    import sys

    old = getattr(durable_files, name)
    modules = [m for m in list(sys.modules.values()) if m.__name__.startswith("predict_age") and getattr(m, name, None) is old]
    if modules == [durable_files]:
        raise LookupError(f"nothing has imported {name}: the twin would be the protocol itself")
    for module in modules:
        setattr(module, name, value)


def _without_rename() -> None:
    _everywhere("creating", _in_place)


def _without_fsync() -> None:
    disk = durable_files.disk
    disk.fsync = lambda *_: disk._strike("fsync", Path("skipped"))  # type: ignore[attr-defined,method-assign]


def torn_parts() -> None:
    """The data of parts are not flushed: after a power cut a part may be short, under its final name and with its receipt."""
    disk, flush = durable_files.disk, durable_files.disk.fsync

    def forgetful(descriptor: int, path: Path) -> None:
        if ".parquet" in path.name:
            disk._strike("fsync", path)  # type: ignore[attr-defined]
        else:
            flush(descriptor, path)

    disk.fsync = forgetful  # type: ignore[method-assign]


def _without_hashes() -> None:
    """Receipts are believed, content is never compared; and parts are torn, which only their hashes show."""
    torn_parts()

    def believed(path: Path, key: str) -> dict[str, Any] | None:
        if not path.exists() or not durable_files.receipt_of(path).exists():
            return None
        receipt = durable_files.read_json(durable_files.receipt_of(path))
        return receipt if receipt["key"] == key else None

    _everywhere("valid_receipt", believed)
    _everywhere("file_problem", lambda *_: "")
    _everywhere("check_hash", lambda *_: None)


def _publish_first() -> None:
    """The pointer moves before the manifest of the new run is written."""
    from predict_age.steps import final_results

    write = final_results._write_manifest

    def early(inputs: final_results.FinalResultsInputs, *rest: Any) -> str:
        assert inputs.publish is not None
        inputs.publish("0" * 64)
        return write(inputs, *rest)

    final_results._write_manifest = early


TWINS = {
    "rename": Twin(_without_rename, ("kill",), "create run.json"),
    "fsync": Twin(_without_fsync, ("power",), "create run.json"),
    "hashes": Twin(_without_hashes, ("power",), "create batch_"),
    "order (pointer before manifest)": Twin(_publish_first, ("kill",), "create published.json"),
}
