"""Keys of clients: hashed, with scopes and a last day; compared in a time that does not depend on the key."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import re
from dataclasses import dataclass
from pathlib import Path

from predict_age.errors import ConfigError
from predict_age.serving.messages import ProblemError
from predict_age.toml_text import parse_toml

SCOPES = ("predict", "people", "metrics")
_EXPECTED = (
    'tables [[keys]] with name, sha256 (64 hexadecimal digits), scopes (of "predict", "people", "metrics"), expires (a date)'
)


@dataclass(frozen=True)
class ClientKey:
    """A client's key: only its hash is known."""

    name: str
    sha256: bytes
    scopes: frozenset[str]
    expires: dt.date


@dataclass(frozen=True)
class Keys:
    """All keys of a server."""

    keys: tuple[ClientKey, ...]

    def check(self, authorization: str, scope: str, today: dt.date) -> None:
        """Raise ProblemError 401 unless ``authorization`` is "Bearer" and a key that is not expired, 403 where it lacks ``scope``.

        Every key is compared, whichever matches, so that the time tells nothing.
        """
        kind, _, secret = authorization.partition(" ")
        digest = hashlib.sha256(secret.strip().encode("latin-1", "replace")).digest()
        found: ClientKey | None = None
        for key in self.keys:
            if hmac.compare_digest(key.sha256, digest):
                found = key
        if found is None or kind.lower() != "bearer" or found.expires < today:
            raise ProblemError(401, "a valid key is needed: Authorization: Bearer KEY", headers={"WWW-Authenticate": "Bearer"})
        if scope not in found.scopes:
            raise ProblemError(403, f"this key is not for {scope}")


def read_keys(path: Path) -> Keys:
    """Read a file of keys. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the file of keys {path} cannot be read", found=type(error).__name__, expected=_EXPECTED) from None
    data = parse_toml(text, str(path))
    entries = data.get("keys")
    if set(data) != {"keys"} or not isinstance(entries, list) or not entries:
        raise ConfigError(f"the file of keys {path} names no keys", expected=_EXPECTED)
    return Keys(tuple(_key(entry, number, path) for number, entry in enumerate(entries, start=1)))


def _key(entry: object, number: int, path: Path) -> ClientKey:
    if isinstance(entry, dict) and set(entry) == {"name", "sha256", "scopes", "expires"}:
        name, digest, scopes, expires = entry["name"], entry["sha256"], entry["scopes"], entry["expires"]
        valid = isinstance(name, str) and isinstance(digest, str) and re.fullmatch("[0-9a-fA-F]{64}", digest)
        if valid and isinstance(scopes, list) and scopes and all(scope in SCOPES for scope in scopes) and type(expires) is dt.date:
            return ClientKey(name, bytes.fromhex(digest), frozenset(scopes), expires)
    raise ConfigError(f"key {number} in {path} cannot be used", expected=_EXPECTED)
