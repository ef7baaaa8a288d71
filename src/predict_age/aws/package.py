"""Make the package of the functions: ``python -m predict_age.aws.package out/functions.zip``. The same bytes for the same code."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
FILES = (
    "__init__.py", "aws/__init__.py", "aws/athena.py", "aws/claim.py", "aws/names.py", "aws/records.py", "aws/store.py",
    "aws/functions/*.py", "batches.py", "books.py", "errors.py", "files.py", "lease.py", "manifest.py", "order.py",
    "published.py", "records.py", "result.py", "sql/__init__.py", "sql/*.sql",
    "stats.py", "steps/__init__.py", "steps/batch_generator.py", "workspace.py",
)  # fmt: skip
LONG_AGO = (2020, 1, 1, 0, 0, 0)


def files() -> list[Path]:
    """What the functions are made of."""
    return sorted({path for pattern in FILES for path in ROOT.glob(pattern)})


def make(target: Path) -> None:
    """Write the zip."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as made:
        for path in files():
            entry = zipfile.ZipInfo(path.relative_to(ROOT.parent).as_posix(), LONG_AGO)
            entry.external_attr = 0o644 << 16
            made.writestr(entry, path.read_bytes())


if __name__ == "__main__":
    make(Path(sys.argv[1]))
