"""Files of a workspace in S3: every put carries its SHA-256 and replaces only the version that was read. Imports boto3 only."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from predict_age.errors import ConfigError, IntegrityError, ResourceError
from predict_age.storage.documents import ConflictError
from predict_age.storage.durable_files import parse_hashed_json
from predict_age.storage.service_errors import code_of, code_or_message

REQUEST_ATTEMPTS = 8  # three, botocore's default, do not outlive a burst of 503
CONNECT_SECONDS, READ_SECONDS = 5, 60
CONFLICTS = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}
UPLOAD_GONE = {"NoSuchUpload"}  # the reply that it was completed was lost
LARGE_BYTES, PART_BYTES, PARTS_TOGETHER = 256 << 20, 64 << 20, 8
ABSENT_CODES = {"404", "NoSuchKey", "NotFound"}
REFUSED_CODES = {"403", "AccessDenied"}


def client(service: str, attempts: int = REQUEST_ATTEMPTS) -> Any:
    """A boto3 client that waits out bursts of errors and never hangs. Raises ConfigError where none can be made."""
    return client_with(service, {"mode": "standard", "max_attempts": attempts}, READ_SECONDS)


def client_with(service: str, retries: dict[str, object], read_seconds: int) -> Any:
    """A boto3 client with these retries. Raises ConfigError without boto3, region or a usable profile."""
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError:
        raise ConfigError("AWS needs boto3", expected="the extra aws", fix="pip install 'predict-age[aws]'") from None
    settings: Any = {"retries": retries, "connect_timeout": CONNECT_SECONDS, "read_timeout": read_seconds}
    try:
        return boto3.client(service, config=Config(**settings))
    except (BotoCoreError, ValueError) as error:  # ValueError: an endpoint that is no address
        raise ConfigError(
            f"{service} of AWS cannot be reached",
            expected="a region, and a profile and an endpoint that are right, if they are set",
            found=str(error),
            fix="set AWS_DEFAULT_REGION, or the region of the profile",
        ) from None


def service_error(error: Exception) -> ResourceError | None:
    """The error for a user of a call that AWS refused or did not answer; None for any other error."""
    if not type(error).__module__.startswith(("botocore", "urllib3", "boto3")):
        return None
    return ResourceError(
        f"AWS refused {getattr(error, 'operation_name', 'a call')}",
        expected="an answer, and a role that may ask",
        found=str(error)[:500],
        fix="mend what it says, or try again",
    )


@dataclass(frozen=True)
class Object:
    """Version of an object: ``tag`` identifies it, ``sha256`` (hex) is the hash that it was stored with."""

    tag: str
    sha256: str
    size: int


class Store:
    """The objects below ``s3://bucket/prefix/`` by their names relative to it."""

    def __init__(self, bucket: str, prefix: str) -> None:
        self.bucket = bucket
        self.prefix = prefix.strip("/")
        self.s3 = client("s3")

    def key(self, name: str) -> str:
        return f"{self.prefix}/{name}" if self.prefix else name

    def url(self, name: str) -> str:
        return f"s3://{self.bucket}/{self.key(name)}"

    def check_reachable(self) -> None:
        """Raise ResourceError within seconds when endpoint, region, credentials or bucket are wrong: before any work is done."""
        try:
            client("s3", attempts=2).head_bucket(Bucket=self.bucket)
        except Exception as error:
            raise self._failed("read the metadata of", "", error) from error

    def head(self, name: str) -> Object | None:
        """The version that is stored now, or None."""
        try:
            stored = self.s3.head_object(Bucket=self.bucket, Key=self.key(name))
        except Exception as error:
            if self._is_absent(name, error):
                return None
            raise self._failed("read the metadata of", name, error) from error
        return Object(stored["ETag"], stored["Metadata"].get("sha256", ""), stored["ContentLength"])

    def _is_absent(self, name: str, error: Exception) -> bool:
        """Whether ``error`` says that there is no such object. Who may list some names only may be refused missing ones."""
        if code_of(error) in REFUSED_CODES:
            with suppress(ResourceError):
                return all(stored != name for stored, _ in self.names(name))
        return code_of(error) in ABSENT_CODES

    def get(self, name: str) -> tuple[bytes, str] | None:
        """Content and tag, or None."""
        try:
            stored = self.s3.get_object(Bucket=self.bucket, Key=self.key(name))
            return stored["Body"].read(), stored["ETag"]
        except Exception as error:
            if self._is_absent(name, error):
                return None
            raise self._failed("read", name, error) from error

    def get_range(self, name: str, begin: int, length: int) -> bytes:
        """``length`` bytes from ``begin`` on. Raises IntegrityError where there are none."""
        try:
            wanted = f"bytes={begin}-{begin + length - 1}"
            found: bytes = self.s3.get_object(Bucket=self.bucket, Key=self.key(name), Range=wanted)["Body"].read()
            return found
        except Exception as error:
            if code_of(error) in ABSENT_CODES | {"InvalidRange", "416"}:
                raise IntegrityError(
                    f"{self.url(name)} is missing or too short", expected=f"{length} bytes from {begin} on"
                ) from None
            raise self._failed("read", name, error) from error

    def document(self, name: str) -> dict[str, Any]:
        """Read a JSON file with a content hash: the value alone."""
        return self.read_document(name)[0]

    def read_document(self, name: str) -> tuple[dict[str, Any], str]:
        """Read a JSON file with a content hash: the value and its hash. Raises IntegrityError when it is missing or damaged."""
        stored = self.get(name)
        if stored is None:
            raise IntegrityError(
                f"{self.url(name)} is missing", expected="what an earlier state wrote", fix="start a new execution"
            )
        return parse_hashed_json(stored[0], self.url(name))

    def put(self, name: str, data: bytes | Path, replaces: str | None, encryption: Mapping[str, str] | None = None) -> None:
        """Store ``data`` if the object still has the tag ``replaces`` (None: if there is none); ConflictError otherwise.

        A reply that was lost is no conflict: ``data`` itself is stored then. ``encryption`` are S3's arguments where the object
        is encrypted in another way than the bucket.
        """
        self._put(name, data, replaces, _digest(data), encryption or {})

    def _put(self, name: str, data: bytes | Path, replaces: str | None, digest: bytes, encryption: Mapping[str, str]) -> None:
        arguments = {
            "Bucket": self.bucket,
            "Key": self.key(name),
            "Metadata": {"sha256": digest.hex()},
            "ChecksumSHA256": base64.b64encode(digest).decode(),  # S3 compares on arrival
            **encryption,
        }
        condition = {"IfNoneMatch": "*"} if replaces is None else {"IfMatch": replaces}
        large = isinstance(data, Path) and data.stat().st_size > LARGE_BYTES
        try:
            if isinstance(data, Path) and large:
                arguments.pop("ChecksumSHA256")  # each part has its own
                self._put_in_parts(data, arguments, condition)
            elif isinstance(data, Path):
                with data.open("rb") as body:
                    self.s3.put_object(Body=body, **arguments, **condition)
            else:
                self.s3.put_object(Body=data, **arguments, **condition)
        except Exception as error:
            if code_of(error) not in CONFLICTS | ABSENT_CODES | UPLOAD_GONE:
                raise self._failed("write", name, error) from error
            now = self.head(name)
            if now is None or now.sha256 != digest.hex():
                raise ConflictError(name) from None

    def _put_in_parts(self, path: Path, arguments: dict[str, Any], condition: dict[str, str]) -> None:
        """Store a large file in parts, several at a time: S3 takes 5 GiB at once. The condition is checked at the end."""
        place = {key: arguments[key] for key in ("Bucket", "Key")}
        upload = {**place, "UploadId": self.s3.create_multipart_upload(**arguments, ChecksumAlgorithm="SHA256")["UploadId"]}

        def send(number: int) -> dict[str, object]:
            with path.open("rb") as stream:
                stream.seek((number - 1) * PART_BYTES)
                body = stream.read(PART_BYTES)
            checksum = base64.b64encode(hashlib.sha256(body).digest()).decode()
            sent = self.s3.upload_part(**upload, PartNumber=number, Body=body, ChecksumSHA256=checksum)
            return {"PartNumber": number, "ETag": sent["ETag"], "ChecksumSHA256": checksum}

        try:
            with ThreadPoolExecutor(PARTS_TOGETHER) as senders:
                parts = list(senders.map(send, range(1, -(-path.stat().st_size // PART_BYTES) + 1)))
            self.s3.complete_multipart_upload(**upload, **condition, MultipartUpload={"Parts": parts})
        except Exception:
            with suppress(Exception):  # the bucket removes it in three days, too
                self.s3.abort_multipart_upload(**upload)
            raise

    def put_part(self, name: str, data: bytes | Path) -> None:
        """Store a file that no receipt names yet: equal content stays, other content is replaced."""
        now, digest = self.head(name), _digest(data)
        if now is None or now.sha256 != digest.hex():
            self._put(name, data, now.tag if now else None, digest, {})

    def fetch(self, name: str, path: Path, sha256: str) -> None:
        """Download to ``path`` and compare; IntegrityError when it is missing or has another SHA-256. Complete or not at all."""
        stored = self.get(name)
        if stored is None:
            raise IntegrityError(f"{self.url(name)} is missing", expected="the object as it was written", fix="start a new run")
        data = stored[0]
        have = hashlib.sha256(data).hexdigest()
        if sha256 and have != sha256:
            raise IntegrityError(
                f"{self.url(name)} is damaged", expected=f"SHA-256 {sha256[:12]}", found=have[:12], fix="start a new run"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(path.name + ".fetching")
        temporary.write_bytes(data)
        temporary.replace(path)

    def names(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Names and sizes of all objects that begin with ``prefix``, sorted."""
        cut = len(self.key(""))
        try:
            for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.key(prefix)):
                for stored in page.get("Contents", []):
                    yield stored["Key"][cut:], stored["Size"]
        except Exception as error:
            raise self._failed("list", prefix, error) from error

    def delete(self, names: list[str]) -> None:
        """Delete objects; those that are gone already do not matter. With versioning on, old versions go by lifecycle."""
        for first in range(0, len(names), 1000):
            keys = [{"Key": self.key(n)} for n in names[first : first + 1000]]
            try:
                reply = self.s3.delete_objects(Bucket=self.bucket, Delete={"Objects": keys, "Quiet": True})
            except Exception as error:
                raise self._failed("delete", names[first], error) from error
            if reply.get("Errors"):
                raise ResourceError(f"{len(reply['Errors'])} objects could not be deleted", found=str(reply["Errors"][0]))

    def _failed(self, what: str, name: str, error: Exception) -> Exception:
        """Error for the user of a failed call. Errors of this program are returned as they are."""
        if not type(error).__module__.startswith(("botocore", "urllib3", "boto3")) and not isinstance(error, OSError):
            return error
        advice = {
            "AccessDenied": "give this role the right (docs/aws.md has the table), or correct the bucket",
            "NoSuchBucket": "correct the bucket's name and the region",
            "ExpiredToken": "sign in again; a task's credentials renew themselves",
        }
        return ResourceError(
            f"S3 refused to {what} {self.url(name)}",
            found=code_or_message(error),
            fix=advice.get(code_of(error), "try again; check endpoint, region and network"),
        )


def _digest(data: bytes | Path) -> bytes:
    if isinstance(data, bytes):
        return hashlib.sha256(data).digest()
    with data.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()
