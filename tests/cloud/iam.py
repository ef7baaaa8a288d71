"""Policies evaluated as IAM does, as far as this project's need: explicit deny, allow, conditions, wildcards. For offline tables
of what a role may do, and for moto, whose own evaluation takes an unmet condition for a denial.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest

ALLOWED, DENIED, NEUTRAL = "allowed", "denied", "neutral"
OPERATOR = "Credential=root/"
SAME = {  # what moto calls an action -> its name in policies
    "lambda:Invoke": "lambda:InvokeFunction",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:ListObjects": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:DeleteObjects": "s3:DeleteObject",
    "s3:CreateMultipartUpload": "s3:PutObject",
    "s3:UploadPart": "s3:PutObject",
    "s3:CompleteMultipartUpload": "s3:PutObject",
}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@cache
def _like(pattern: str, value: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), value, re.S) is not None


def effect(statement: dict[str, Any], action: str, resource: str, context: dict[str, str]) -> str:
    """Effect of one statement: allowed, denied, or neutral where it does not apply."""
    if "NotAction" in statement:
        concerns = not any(_like(a.lower(), action.lower()) for a in _list(statement["NotAction"]))
    else:
        concerns = any(_like(a.lower(), action.lower()) for a in _list(statement["Action"]))
    if not concerns or ("Resource" in statement and not any(_like(r, resource) for r in _list(statement["Resource"]))):
        return NEUTRAL
    for operator, wanted in statement.get("Condition", {}).items():
        for key, values in wanted.items():
            found = context.get(key)
            met = found is not None and any(_like(str(v), found) for v in _list(values))
            if operator.startswith(("StringNot", "ArnNot")):
                met = not met
            if not met and not (operator.endswith("IfExists") and found is None):
                return NEUTRAL
    return ALLOWED if statement["Effect"] == "Allow" else DENIED


def decision(statements: Iterable[dict[str, Any]], action: str, resource: str, **context: str) -> str:
    """Decision of all statements together; without any that applies it is denied."""
    found = {effect(s, action, resource, {"aws:SecureTransport": "true", **context}) for s in statements}
    return DENIED if DENIED in found or ALLOWED not in found else ALLOWED


REFUSED: list[str] = []  # what was denied while the test ran


@contextmanager
def enforced() -> Iterator[None]:
    """Let moto decide with these rules. Outside S3 it does not know the resource, so only the action is checked there.

    Afterwards moto allows everything, as before: other tests of the process know no rights.
    """
    from moto import settings
    from moto.core.authorization import ActionAuthenticatorMixin
    from moto.iam import access_control

    results = {
        ALLOWED: access_control.PermissionResult.PERMITTED,
        DENIED: access_control.PermissionResult.DENIED,
        NEUTRAL: access_control.PermissionResult.NEUTRAL,
    }

    def permitted(self: Any, action: str, resource: str = "*", principal: Any = None, incoming_condition_values: Any = None) -> Any:
        statement = dict(self._statement)
        if action == "s3:DeleteObject" and "/" not in resource:
            resource = "*"  # deletion of many objects: moto asks about the bucket, AWS about each key
        if resource == "*":
            statement.pop("Resource", None)
            if statement["Effect"] == "Deny":
                return results[NEUTRAL]
            statement.pop("Condition", None)  # nor does it know what the call is about
        context = {"aws:SecureTransport": "true", **(incoming_condition_values or {})}
        return results[effect(statement, SAME.get(action, action), resource, context)]

    inner = ActionAuthenticatorMixin._authenticate_and_authorize_action

    def check(self: Any, request: type, resource: str = "*") -> None:
        if OPERATOR in (self.headers.get("Authorization") or ""):
            return
        try:
            inner(self, request, resource)
        except Exception:
            REFUSED.append(f"{self._get_action()} on {resource}")
            raise

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(access_control.IAMPolicyStatement, "is_action_permitted", permitted)
        patch.setattr(ActionAuthenticatorMixin, "_authenticate_and_authorize_action", check)
        patch.setattr(settings, "INITIAL_NO_AUTH_ACTION_COUNT", 0)  # from the first call on; moto never begins otherwise
        yield


def credentials(role: str) -> dict[str, str]:
    """Credentials of a task or function that assumes ``role``."""
    from moto.sts.models import sts_backends

    made = sts_backends[role.split(":")[4]]["aws"].assume_role(
        region_name="us-east-1", role_session_name="test", role_arn=role, policy=None, duration=3600, external_id=None
    )
    return {
        "AWS_ACCESS_KEY_ID": made.access_key_id,
        "AWS_SECRET_ACCESS_KEY": made.secret_access_key,
        "AWS_SESSION_TOKEN": made.session_token,
    }
