"""Bodies of prediction requests: one item, an array or lines; each item is read or has its own problem."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from predict_age.serving.messages import Finding, ProblemError
from predict_age.serving.strict_json import SentMember, items_of, not_json, single_item

MOST_PROFILES = 10_000
ITEM = 'an object {"profile": {...}} with "pid" if it is known, and "explain" for reasons'


@dataclass(frozen=True)
class ProfileItem:
    """A profile to be predicted, as text, the id of the person where the caller knows it, and whether reasons are asked for."""

    profile: str | None
    pid: int | str | None
    explain: bool = False


Item = ProfileItem | ProblemError


@dataclass(frozen=True)
class TextIds:
    """Whether ids of the source are texts."""

    text: bool


def one_item(text: str, ids: TextIds) -> Item:
    """The item that is all of ``text``. Raises ProblemError 400."""
    return read_item(single_item(text), "", ids)


def array_items(rest: str, number: int, ids: TextIds) -> Iterator[Item]:
    """The items of an array, of which ``rest`` follows ``number`` items and their commas. Raises ProblemError 400 and 413."""
    if number and rest.lstrip(" \t\r\n").startswith("]"):
        raise not_json("a value")
    items = enumerate(items_of(f"[{rest}"), start=number)
    return _counted((read_item(item, f"/{n}", ids) for n, item in items), number)


def line_items(rest: str, number: int, ids: TextIds) -> Iterator[Item]:
    """The items of lines of JSON, of which ``rest`` follows ``number`` items; empty lines are passed over.

    A line that is no JSON has its own problem. Raises ProblemError 413.
    """

    def items(number: int) -> Iterator[Item]:
        for line in _lines(rest):
            try:
                yield read_item(single_item(line), f"/{number}", ids)
            except ProblemError as problem:
                yield ProblemError(problem.status, problem.detail, *(Finding(f.expected, f"/{number}") for f in problem.findings))
            number += 1

    return _counted(items(number), number)


_BLANK = re.compile(r"[ \t\r\n]*")


def _lines(text: str) -> Iterator[str]:
    """Lines that are not blank, without white space in front. Millions of blank ones are one step."""
    at = end = 0
    while end >= 0:
        found = _BLANK.match(text, at)
        at = found.end() if found else at
        end = text.find("\n", at)
        if at < len(text):
            yield text[at:end] if end >= 0 else text[at:]
        at = end + 1


def too_many() -> ProblemError:
    """The problem of a request with too many profiles."""
    return ProblemError(413, f"more than {MOST_PROFILES:,} profiles: send several requests")


def _counted(items: Iterator[Item], number: int) -> Iterator[Item]:
    for item in items:
        if number == MOST_PROFILES:
            raise too_many()
        number += 1
        yield item


def read_item(members: dict[str, SentMember] | None, pointer: str, ids: TextIds) -> Item:
    """The item with these ``members``, None for what is no object, at ``pointer``; or its problem."""
    if members is None:
        return _unreadable(Finding(ITEM, pointer))
    findings = []
    if not members.keys() <= {"pid", "profile", "explain"}:
        findings.append(Finding('no members but "pid", "profile" and "explain"', pointer))
    explain = members["explain"].value if "explain" in members else False
    if not isinstance(explain, bool):
        findings.append(Finding("true or false", f"{pointer}/explain"))
    profile = members.get("profile")
    if profile is None or not (profile.value is None or isinstance(profile.value, dict)):
        findings.append(Finding("a JSON object, or null", f"{pointer}/profile"))
    pid = members["pid"].value if "pid" in members else None
    wanted = id_expected(pid, ids)
    if wanted and pid is not None:
        findings.append(Finding(wanted, f"{pointer}/pid"))
    if findings or profile is None:
        return _unreadable(*findings)
    text = None if profile.value is None else profile.text
    return ProfileItem(text, pid if isinstance(pid, int | str) else None, explain is True)


def id_expected(pid: object, ids: TextIds) -> str:
    """The expected form of an id, where ``pid`` is none in such a source; empty where it is one."""
    if ids.text:
        return "" if isinstance(pid, str) and pid.strip() and _is_unicode(pid) else "a text, as the source has it"
    whole = isinstance(pid, int) and not isinstance(pid, bool) and -(2**63) <= pid < 2**63
    return "" if whole else "a whole number of at most 63 bits"


def pid_in_path(text: str, ids: TextIds) -> int | str | None:
    """The id in a path, decoded already; None where it is none."""
    if ids.text:
        return text if not id_expected(text, ids) else None
    if not re.fullmatch("-?[0-9]{1,19}", text, re.ASCII):
        return None
    return int(text) if not id_expected(int(text), ids) else None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _unreadable(*findings: Finding) -> ProblemError:
    return ProblemError(422, "the item cannot be predicted", *findings)
