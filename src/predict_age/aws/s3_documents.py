"""The documents that executions may change, in S3: the condition is ``If-Match`` on the tag that was read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from predict_age.aws.s3_store import ConflictError as TagChanged
from predict_age.aws.s3_store import Store
from predict_age.storage.documents import ConflictError, Record
from predict_age.storage.durable_files import sealed, unsealed


@dataclass(frozen=True)
class S3Records:
    """Documents as objects at the top of a workspace."""

    store: Store

    def get(self, name: str) -> Record | None:
        found = self.store.get(f"{name}.json")
        if found is None:
            return None
        value, _ = unsealed(found[0], self.store.url(f"{name}.json"))
        return Record(value, found[1])

    def put(self, name: str, value: dict[str, Any], replaces: str | None) -> None:
        try:
            self.store.put(f"{name}.json", sealed(value).encode(), replaces)
        except TagChanged:
            raise ConflictError(name) from None
