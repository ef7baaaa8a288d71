"""Build the Lambda package: ``python -m predict_age.aws.lambda_package out/functions.zip``.

Equal code gives equal bytes, where zlib is the same.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGED_FILES = (
    "__init__.py",
    "aws/__init__.py",
    "aws/athena.py",
    "aws/execution_lease.py",
    "aws/object_names.py",
    "aws/s3_documents.py",
    "aws/s3_store.py",
    "aws/lambdas/*.py",
    "errors.py",
    "purposes.py",
    "records/*.py",
    "runs/__init__.py",
    "runs/batching.py",
    "source/__init__.py",
    "source/glue_table.py",
    "sql/__init__.py",
    "sql/*.sql",
    "steps/__init__.py",
    "steps/batch_generator.py",
    "step.py",
    "storage/__init__.py",
    "storage/documents.py",
    "storage/durable_files.py",
    "storage/lease.py",
    "storage/manifest.py",
    "storage/publication.py",
    "storage/result_files.py",
    "storage/retention_rule.py",
    "storage/row_accounting.py",
    "storage/suppression_list.py",
    "storage/workspace.py",
    "tally.py",
    "toml_text.py",
    "version.py",
)
LONG_AGO = (2020, 1, 1, 0, 0, 0)


def packaged_paths() -> list[Path]:
    """Files of the package."""
    return sorted({path for pattern in PACKAGED_FILES for path in ROOT.glob(pattern)})


def build_package(target: Path) -> None:
    """Write the zip file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in packaged_paths():
            entry = zipfile.ZipInfo(path.relative_to(ROOT.parent).as_posix(), LONG_AGO)
            entry.compress_type = zipfile.ZIP_DEFLATED  # an entry does not take it from its archive
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes())


if __name__ == "__main__":
    build_package(Path(sys.argv[1]))
