"""Form of a value: what it looks like without what it says, for messages about people's data."""

from __future__ import annotations

import re
from collections.abc import Sequence

from predict_age.source.csv_header import count_on
from predict_age.source.usual_names import is_usual_name

LONGEST_FORM = 24  # characters
MOST_NAMES = 100  # of columns in a message
_WORD = re.compile(r"[^\W_]\w*(?:[.@:/+-]\w+)*")
_OF_THE_STATEMENT = ("Parser", "Syntax", "Binder", "Catalog", "Permission", "INTERRUPT", "Out of Memory", "IO", "Not implemented")
# Words of libraries' messages about a value that cannot be read or converted, without the value.
_WORDS = """
a after an and are argument arguments arithmetic array as at be because been before between bigint bit bits
blob bool boolean brotli by byte bytes can cannot cast casting column columns constraint conversion convert
converted converting corrupt could couldn data date day decimal deserialize destination digits division does
don double element empty end error evaluating exceeded exceeds expected expects expression failed failure
field file files float float32 float64 for format found from function greater gzip has have hugeint id in
index input int int128 int16 int32 int64 int8 integer interval into invalid is it its json key large least
length less line list long loss lz4 magic malformed map match maximum message minimum missing more must
negative no not null number of on only operation or out overflow overflows page parquet parse parsing position
precision query range read reading real regular result row rows scalar scale schema should size small smallint
snappy sorry string strings struct substring subtract t text than that the there thrift time timestamp tinyint
to too tried try try_cast type types ubigint uhugeint uint128 uint16 uint32 uint64 uint8 uinteger unable
underflow unexpected unknown unsupported use using usmallint utc utf-8 utf8 utinyint uuid valid value values
varchar vector was when which while width with within year zero zone zstd
compressed compression corrupted decompressing deserializing either end-of-stream ended footer header marker
reached stream this truncated
"""
_VOCABULARY = frozenset(re.findall(r"\S+", _WORDS))


def form_of(value: str) -> str:
    """Form of a value without the value: digits become 9, letters a or A, control characters blanks; shortened to 24 characters."""
    value = "".join(c if c.isprintable() else " " for c in value[: LONGEST_FORM + 1])  # a cell may have megabytes
    form = re.sub(r"[^\W\d_]", lambda m: "A" if m[0].isupper() else "a", re.sub(r"\d", "9", value))
    return form if len(form) <= LONGEST_FORM else form[: LONGEST_FORM - 1] + "\N{HORIZONTAL ELLIPSIS}"


def without_values(message: str, known: str = "") -> str:
    """First line of a library's ``message`` about a value, with forms instead of all words that it does not always say.

    Words of ``known``, such as the user's own statement, stay. So does a message about the statement itself, of DuckDB.
    """
    line = next((line.strip() for line in message.splitlines() if line.strip()), "")
    if line.partition(" Error")[0] in _OF_THE_STATEMENT:
        return line
    allowed = _VOCABULARY | {word.casefold() for word in _WORD.findall(known)}
    allowed |= {part for word in allowed for part in re.split(r"[.@:/+-]", word)}

    def shown(match: re.Match[str]) -> str:
        word = match[0].casefold()
        parts = re.split(r"[.@:/+-]", word)
        return match[0] if word in allowed or all(part in allowed for part in parts) else form_of(match[0])

    return _WORD.sub(shown, line)


def shown_names(names: Sequence[str]) -> str:
    """Names of columns for a message; forms of those that look like values, and of all where a record may stand in their place.

    A usual name of a column, such as ``pid``, and numbers that count on, such as years, say that it is a line of names.
    """
    first = names[:MOST_NAMES]
    more = f" and {len(names) - MOST_NAMES:,} more" if len(names) > MOST_NAMES else ""
    plain = [name.strip(' "') for name in names]
    go_on = count_on(plain)
    hidden = [_is_value(name) and not (go_on and name.isdigit()) for name in plain]
    if any(hidden) and not any(map(is_usual_name, plain)):
        hidden = [True] * len(plain)
    return ", ".join(form_of(name) if hide else name for name, hide in zip(first, hidden, strict=False)) + more


def _is_value(name: str) -> bool:
    """Whether a column's name is a number, a date, an e-mail address or JSON, which are values more often than names."""
    if re.fullmatch(r"[^@\s]+@[^@\s]+|\s*[\[{].*", name, re.DOTALL):
        return True
    return bool(re.fullmatch(r"[-+]?[\d.,:/ TZ-]*", name)) and any(c.isdigit() for c in name)
