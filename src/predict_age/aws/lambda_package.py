"""Build the Lambda package: ``python -m predict_age.aws.lambda_package out/functions.zip``.

Equal code gives equal bytes, where zlib is the same.
"""

from __future__ import annotations

import importlib.metadata
import re
import sys
import zipfile
from pathlib import Path

from predict_age.errors import ConfigError, install_extra

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
    "letters.py",
    "purposes.py",
    "records/*.py",
    "runs/__init__.py",
    "runs/batching.py",
    "runs/quarter.py",
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
    "storage/service_errors.py",
    "storage/suppression_list.py",
    "storage/workspace.py",
    "tally.py",
    "toml_text.py",
    "version.py",
)
LONG_AGO = (2020, 1, 1, 0, 0, 0)


SERVICES = ("athena", "glue", "s3", "stepfunctions")  # those that the functions call
ZIPPED_LIBRARIES = ("boto3", "botocore", "s3transfer", "jmespath", "python-dateutil", "urllib3", "six")
NOT_ZIPPED = re.compile(
    r"^\.\.|/__pycache__/|^boto3/(data|examples)/|^dateutil/zoneinfo/.*gz$|^urllib3/contrib/emscripten/|\.pyi$|/py\.typed$"
)
_DATA = re.compile(r"^botocore/data/(\w[\w-]*)/")
_DIST_INFO = re.compile(r"^[^/]+\.dist-info/")


def packaged_paths() -> list[Path]:
    """Files of this program that the package holds."""
    return sorted({path for pattern in PACKAGED_FILES for path in ROOT.glob(pattern)})


def library_files() -> dict[str, Path]:
    """Files of boto3 and of what it needs, as they are installed here: the versions that are tested, and not those of Lambda.

    Descriptions of services that the functions do not call are left out: they are nine tenths of botocore. Raises ConfigError where
    boto3 is not installed.
    """
    found: dict[str, Path] = {}
    for library in ZIPPED_LIBRARIES:
        try:
            distribution = importlib.metadata.distribution(library)
        except importlib.metadata.PackageNotFoundError:
            fix = f"make package, or {install_extra('aws')}"
            raise ConfigError(f"{library} is not installed", expected="boto3, for the package of the functions", fix=fix) from None
        for file in distribution.files or []:
            name = file.as_posix()
            service = _DATA.match(name)
            licence = _DIST_INFO.match(name) and "LICENSE" in name.upper()
            if NOT_ZIPPED.search(name) or (_DIST_INFO.match(name) and not licence) or (service and service[1] not in SERVICES):
                continue
            found[name] = Path(str(distribution.locate_file(file)))
    return found


def build_package(target: Path) -> None:
    """Write the zip file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    files = {path.relative_to(ROOT.parent).as_posix(): path for path in packaged_paths()} | library_files()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in sorted(files.items()):
            entry = zipfile.ZipInfo(name, LONG_AGO)
            entry.compress_type = zipfile.ZIP_DEFLATED  # an entry does not take it from its archive
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes())


if __name__ == "__main__":
    build_package(Path(sys.argv[1]))
