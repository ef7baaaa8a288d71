"""Deliberately broken twins of the commit protocol: the fault harness has to catch each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from predict_age import files, parts, published, survey


@dataclass(frozen=True)
class Twin:
    """``breaks`` takes one safety away in this process; ``faults`` are those that must then show."""

    breaks: Callable[[], None]
    faults: tuple[str, ...]


@contextmanager
def _in_place(path: Path) -> Iterator[files.NewFile]:
    """Write under the final name, as most programs do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.NewFile(path) as stream:
        yield stream


def _everywhere(name: str, value: Any) -> None:
    """Replace a function of :mod:`predict_age.files` in every module that has imported it."""
    import sys

    old = getattr(files, name)
    for module in list(sys.modules.values()):
        if module.__name__.startswith("predict_age") and getattr(module, name, None) is old:
            setattr(module, name, value)


def _without_rename() -> None:
    _everywhere("creating", _in_place)


def _without_fsync() -> None:
    disk = files.disk
    disk.fsync = lambda *_: disk._strike("fsync", Path("skipped"))  # type: ignore[attr-defined,method-assign]


def _without_hashes() -> None:
    """Whole because it is there: receipts and records are believed, content is not compared, and files are written in place."""
    _without_rename()

    def believed(path: Path, key: str) -> dict[str, Any] | None:
        if not path.exists():
            return None
        import pyarrow.parquet as pq

        return {"file_sha256": "", "rows": pq.read_metadata(path).num_rows, "tally": {"counts": {}, "histograms": {}}}

    _everywhere("valid_receipt", believed)
    parts.valid_receipt = believed  # type: ignore[attr-defined]
    survey.damage = lambda *_: ""  # type: ignore[attr-defined]


def _publish_first() -> None:
    """The pointer moves before the manifest of the new run is written."""
    from predict_age import manifest
    from predict_age.steps import final_results

    write = manifest.write_manifest

    def early(run: Any, *rest: Any) -> str:
        published.publish(run.workspace.records, run.lease.token, run.plan.run_id, run.plan.quarter, "0" * 64)
        return write(run, *rest)

    final_results.write_manifest = early  # type: ignore[attr-defined]


TWINS = {
    "rename": Twin(_without_rename, ("kill",)),
    "fsync": Twin(_without_fsync, ("power",)),
    "hashes": Twin(_without_hashes, ("kill",)),
    "order (pointer before manifest)": Twin(_publish_first, ("kill",)),
}
