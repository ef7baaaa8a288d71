"""Errors of calls to AWS: its answer, and whether there is one. Knows boto3's errors by their members, without importing it."""

from __future__ import annotations


def code_of(error: Exception) -> str:
    """Error code of a ClientError; empty for other errors."""
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def code_or_message(error: Exception) -> str:
    """The error code, or else the beginning of the message, for a user."""
    return code_of(error) or f"{type(error).__name__}: {error}"[:200]


def is_unanswered(error: Exception) -> bool:
    """Whether AWS gave no answer to a call of boto3: too many calls, trouble of its own, no connection. Another try may get one."""
    status = (getattr(error, "response", None) or {}).get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    lost = {kind.__name__ for kind in type(error).__mro__} & {"HTTPClientError", "ConnectionError"}  # of botocore
    busy = any(word in code_of(error) for word in ("Throttl", "TooManyRequests", "SlowDown"))
    return bool(lost) or status >= 500 or status == 429 or busy
