"""Documents in S3 that executions may change: the condition is ``If-Match`` on the tag that was read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from predict_age.aws.s3_store import Store
from predict_age.storage.documents import VersionedDocument
from predict_age.storage.durable_files import hashed_json, parse_hashed_json


@dataclass(frozen=True)
class S3Documents:
    """Documents as objects at the top of a workspace."""

    store: Store

    def get(self, name: str) -> VersionedDocument | None:
        stored = self.store.get(f"{name}.json")
        if stored is None:
            return None
        value, _ = parse_hashed_json(stored[0], self.store.url(f"{name}.json"))
        return VersionedDocument(value, stored[1])

    def put(self, name: str, value: Mapping[str, object], replaces: str | None) -> None:
        self.store.put(f"{name}.json", hashed_json(value).encode(), replaces)
