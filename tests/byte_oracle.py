"""Records of a text counted from its characters one by one: shares no code with the readers that it judges."""

from __future__ import annotations

import json


def csv_records(text: str, delimiter: str, quote: str = '"') -> int | None:
    """Records of a CSV text, header left out; None where quoting is wrong, so that nobody can say."""
    records, at, end = 0, 0, len(text)
    header = text[: _csv_record(text, 0, delimiter, quote, "\r\n")]
    ends = "\r\n" if header.endswith("\r") and text[len(header) : len(header) + 1] != "\n" else "\n"
    columns = _cells(header.strip("\r\n"), delimiter, quote)
    while at < end:
        begin, at = at, _csv_record(text, at, delimiter, quote, ends)
        if at < 0:
            return None
        record = text[begin:at].strip("\r\n")
        records += _csv_people(record, columns, delimiter, quote) if record else 0
    return max(records - 1, 0)


def _csv_people(record: str, columns: int, delimiter: str, quote: str) -> int:
    """Two where a line end was lost between a quote and a quote, so that each side is a whole record, the second with a number first."""
    places = [at for at in range(1, len(record)) if record[at - 1 : at + 1] == quote * 2 and record[at + 1 : at + 2].isdigit()]
    sides = [(record[:at], record[at:]) for at in places if columns > 2]
    return 1 + any(all(_cells(side, delimiter, quote) == columns for side in two) for two in sides)


def _cells(record: str, delimiter: str, quote: str) -> int:
    """Number of the fields of one record; -1 where it is more than one, or wrongly quoted."""
    fields, at = 1, 0
    for cell in record.split(delimiter):
        at += len(cell) + 1
        inside = _csv_record(record[: at - 1], 0, delimiter, quote, "\r\n") < 0
        fields += not inside and at <= len(record)
    return fields if _csv_record(record, 0, delimiter, quote, "\r\n") == len(record) else -1


def _csv_record(text: str, at: int, delimiter: str, quote: str, ends: str) -> int:
    """The place after the record that begins at ``at``; -1 where it is wrongly quoted."""
    begins_field = True
    while at < len(text):
        sign = text[at]
        if begins_field and quote and sign == quote:
            at += 1
            while True:
                if at >= len(text):
                    return -1
                if text[at] != quote:
                    at += 1
                elif text[at + 1 : at + 2] == quote:
                    at += 2
                else:
                    break
            at += 1
            if at < len(text) and text[at] not in (delimiter, "\n", "\r"):
                return -1
            begins_field = False
        elif sign in ends:
            return at + 1
        else:
            begins_field = sign == delimiter
            at += 1
    return at


def json_records(text: str) -> int | None:
    """Records of a JSON text: lines, or members of one array, or values in a row; None where it is damaged as a whole."""
    lines = [line for line in text.replace("\r", "\n").split("\n") if line.strip()]
    if not lines:
        return 0
    whole = _parsed(text.strip())
    if isinstance(whole, list) and any(isinstance(v, dict) for v in whole):
        return len(whole)
    if isinstance(whole, dict):
        inner = [v for v in whole.values() if isinstance(v, list) and any(isinstance(m, dict) for m in v)]
        return len(inner[0]) if len(inner) == 1 and "pid" not in whole else 1
    if sum(isinstance(_parsed(line), dict) for line in lines) * 2 >= len(lines):
        return sum(_objects_of_line(line) for line in lines)
    return None


def _objects_of_line(line: str) -> int:
    """Objects that a line holds: one, unless it is an array of objects or several objects, all of them whole."""
    if isinstance(members := _parsed(line), list):
        return len(members) if members and all(isinstance(m, dict) for m in members) else 1
    found, rest = 0, line.strip()
    while rest:
        try:
            value, end = json.JSONDecoder().raw_decode(rest)
        except ValueError:
            return 1
        if not isinstance(value, dict):
            return 1
        found, rest = found + 1, rest[end:].strip().removeprefix(",").strip()
    return max(found, 1)


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None
