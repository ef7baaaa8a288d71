"""Values of JSON texts: plain numbers, dates and rules are worked out, and other texts looked up, because most of them repeat.

The value cache is one hash table from texts of all columns to numbers, filled by the code that converts. Texts are compared byte
by byte, so hash collisions are harmless; the first sixteen bytes, the whole of most texts, are stored in the table. Plain numbers
are parsed: a whole number below 2^53 divided by a power of ten up to 10^22 is correctly rounded (Clinger 1990, "How to read
floating point numbers accurately"). Dates and titles hardly repeat: plain ones are worked out as ``features.text_values`` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predict_age.kernels.jit import address, inline, kernel, load_8_bytes, load_byte, load_int32, load_prefix
from predict_age.kernels.json_scanner import BACKSLASH, BLANK, DOT, MINUS_SIGN, NINE, QUOTE, ZERO

EXACT_DIGITS = 15
LOOKED_UP, PLAIN_NUMBER, LIST_LENGTH, PLAIN_DATE, RULES = range(
    5
)  # kinds of columns: what is worked out before a text is looked up
POWERS_OF_TEN = 10.0 ** np.arange(23)
LONGEST_TEXT = 200  # letters of a text whose date or rule is worked out
LAST_PRINTED = 0x7E  # of ASCII
LEFT_TO_CACHE = np.inf  # a text that is left to the cache


@dataclass(frozen=True)
class RuleTables:
    """Tables that work texts of columns out: dates by ``today`` (year, month, day), rules by tables of states, end to end.

    ``places`` (c, 4): for each column, its row of ``groups`` (k, 128), where ``moves`` and ``outcomes`` begin, and its number of
    groups. A state's ``outcomes`` is the value of a text that ends there.
    """

    today: NDArray[np.int64]
    places: NDArray[np.int64]
    groups: NDArray[np.uint8]
    moves: NDArray[np.int32]
    outcomes: NDArray[np.float64]

    @classmethod
    def none(cls, columns: int) -> RuleTables:
        """Tables of ``columns`` without dates and rules."""
        nothing = np.zeros(1, np.float64)
        return cls(
            np.zeros(3, np.int64), np.zeros((columns, 4), np.int64), np.zeros((1, 128), np.uint8), np.zeros(1, np.int32), nothing
        )


@inline
def _column_and_length(column: Any, length: Any) -> Any:
    return (np.uint64(column) << np.uint64(32)) | np.uint64(length)


@inline
def _hash(text: Any, begin: Any, length: Any, first: Any, second: Any, which: Any, end: Any) -> Any:
    """Hash of a text whose first sixteen bytes are ``first`` and ``second``."""
    mixed = (first ^ (which * np.uint64(0x9E3779B97F4A7C15))) * np.uint64(0xD1B54A32D192ED03)
    mixed ^= mixed >> np.uint64(29)
    mixed = (mixed ^ second) * np.uint64(0xD1B54A32D192ED03)
    for at in range(16, length, 8):
        mixed ^= mixed >> np.uint64(29)
        mixed = (mixed ^ load_prefix(text, begin + at, length - at, end)) * np.uint64(0xD1B54A32D192ED03)
    return mixed ^ (mixed >> np.uint64(32))


@inline
def _digits(text: Any, begin: Any, end: Any, last: Any) -> Any:
    """The number ``text[begin:end]`` of one to eight digits; -1 for any other text. Converts all digits at once (SWAR)."""
    if end - begin > 8 or begin + 8 > last:
        return np.int64(-1)
    before = np.uint64(8 * (8 - (end - begin)))
    word = (load_8_bytes(text, begin) << before) | (np.uint64(0x3030303030303030) & ((np.uint64(1) << before) - np.uint64(1)))
    tens = np.uint64(0xF0F0F0F0F0F0F0F0)
    if (word & tens) | (((word + np.uint64(0x0606060606060606)) & tens) >> np.uint64(4)) != np.uint64(0x3333333333333333):
        return np.int64(-1)
    word = ((word & np.uint64(0x0F0F0F0F0F0F0F0F)) * np.uint64(2561)) >> np.uint64(8)
    word = ((word & np.uint64(0x00FF00FF00FF00FF)) * np.uint64(6553601)) >> np.uint64(16)
    return np.int64(((word & np.uint64(0x0000FFFF0000FFFF)) * np.uint64(42949672960001)) >> np.uint64(32))


@inline
def _number(text: Any, begin: Any, end: Any, last: Any) -> Any:
    """The plain number ``text[begin:end]``; NaN for any other text, or for more than 15 digits."""
    short = _digits(text, begin, end, last)
    if short >= 0:
        return np.float64(short)
    code = load_byte(text, begin)
    if code != MINUS_SIGN and not ZERO <= code <= NINE:
        return np.nan
    at = begin + 1 if code == MINUS_SIGN else begin
    whole, digits, fraction, pointed = 0, 0, 0, False
    while at < end:
        code = load_byte(text, at)
        if code == DOT:
            pointed = True
        else:
            whole = whole * 10 + (code - ZERO)
            digits += 1
            fraction += pointed
        at += 1
    if digits > EXACT_DIGITS:
        return np.nan
    value = whole / POWERS_OF_TEN[fraction]
    return -value if load_byte(text, begin) == MINUS_SIGN else value


@inline
def _is_printed(text: Any, begin: Any, end: Any) -> Any:
    """Whether ``text[begin:end]`` is ASCII without control characters and backslashes."""
    for at in range(begin, end):
        code = load_byte(text, at)
        if code < BLANK or code > LAST_PRINTED or code == BACKSLASH:
            return False
    return True


@inline
def _two_digits(text: Any, at: Any) -> Any:
    """The number of two digits at ``at``; -1 for other bytes."""
    tens, ones = load_byte(text, at) - ZERO, load_byte(text, at + 1) - ZERO
    return tens * 10 + ones if 0 <= tens <= 9 and 0 <= ones <= 9 else np.int64(-1)


@inline
def _years(text: Any, begin: Any, end: Any, to_year: Any, to_month: Any, to_day: Any, low: Any, high: Any) -> Any:
    """Years from the date between the quotes ``text[begin:end]`` until another; NaN where there is none; see ``text_values``."""
    at, length = begin + 1, end - begin - 2
    has_month, has_day = length >= 7, length >= 10
    if not (length in (4, 7) or 10 <= length <= LONGEST_TEXT) or load_byte(text, begin) != QUOTE:
        return LEFT_TO_CACHE
    if (has_month and load_byte(text, at + 4) != MINUS_SIGN) or (has_day and load_byte(text, at + 7) != MINUS_SIGN):
        return LEFT_TO_CACHE
    century, year = _two_digits(text, at), _two_digits(text, at + 2)
    month = _two_digits(text, at + 5) if has_month else np.int64(1)
    day = _two_digits(text, at + 8) if has_day else np.int64(1)
    if century < 0 or year < 0 or month < 0 or day < 0 or not _is_printed(text, at + 10, end - 1):
        return LEFT_TO_CACHE
    if not 1 <= month <= 12 or not 1 <= day <= 31:
        return np.nan
    years = np.float64(to_year - (100 * century + year))
    if has_month:
        years += np.float64(to_month - month) / 12.0
    if has_day:
        years += np.float64(to_day - day) / 365.25
    return years if low <= years <= high else np.nan


@inline
def _last_state(text: Any, begin: Any, end: Any, groups: Any, moves: Any, width: Any) -> Any:
    """State that the text between the quotes ``text[begin:end]``, trimmed and with single blanks, leads to; -1 for others.

    ``groups`` and ``moves``, with ``width`` groups, are addresses of tables.
    """
    if load_byte(text, begin) != QUOTE or end - begin - 2 > LONGEST_TEXT:
        return np.int64(-1)
    state, letters, blanks = np.int64(0), False, False
    for at in range(begin + 1, end - 1):
        code = load_byte(text, at)
        if code < BLANK or code > LAST_PRINTED or code == BACKSLASH:
            return np.int64(-1)
        if code == BLANK:
            blanks = True
            continue
        if blanks and state != 0:
            state = load_int32(moves, state * width + load_byte(groups, BLANK))
        blanks = False
        letters |= np.int64(0x61) <= (code | np.int64(0x20)) <= np.int64(0x7A)
        state = load_int32(moves, state * width + load_byte(groups, code))
    return state if letters else np.int64(-1)  # a number without letters may be written in several ways


@inline
def _equal_bytes(text: Any, begin: Any, last: Any, texts: Any, first: Any, texts_end: Any, length: Any) -> Any:
    """Compare ``length`` bytes of two texts."""
    for at in range(0, length, 8):  # all() would need a closure, which kernels do not support
        if load_prefix(text, begin + at, length - at, last) != load_prefix(texts, first + at, length - at, texts_end):
            return False
    return True


@inline
def _slot_of_text(
    text: Any, begin: Any, end: Any, last: Any, column: Any, table: Any, mask: Any, texts: Any, texts_end: Any
) -> Any:
    """The slot of ``table`` that holds the text ``text[begin:end]`` of a column; -1 when it is absent."""
    length = end - begin
    first, second = load_prefix(text, begin, length, last), load_prefix(text, begin + 8, length - 8, last)
    which = _column_and_length(column, length)
    place = np.int64(_hash(text, begin, length, first, second, which, last)) & mask
    while load_8_bytes(table, place * 32 + 16) != np.uint64(0):
        at = place * 32
        if (load_8_bytes(table, at) == first) & (load_8_bytes(table, at + 8) == second) & (
            load_8_bytes(table, at + 16) == which
        ) and (
            length <= 16
            or _equal_bytes(text, begin + 16, last, texts, np.int64(load_8_bytes(table, at + 24)) + 16, texts_end, length - 16)
        ):
            return place
        place = (place + 1) & mask
    return np.int64(-1)


@kernel
def read_values(
    data: Any,
    starts: Any,
    ends: Any,
    counts: Any,
    plain: Any,
    slots: Any,
    kinds: Any,
    limits: Any,
    table: Any,
    texts: Any,
    means: Any,
    today: Any,
    places: Any,
    groups: Any,
    moves: Any,
    outcomes: Any,
    out: Any,
    missed: Any,
) -> Any:
    """Convert ``data[starts[n, s] : ends[n, s]]`` for column c, s = ``slots[c]``, and write the number to ``out[c, n]``.

    NaN where there is no value or the row is not ``plain`` (n,). ``kinds`` (c,): PLAIN_NUMBER parses plain numbers, LIST_LENGTH
    takes ``counts`` (n, slots) from 0 on, both by ``limits`` (c, 4): a factor, the lowest and the highest value, and 1 to clip
    values outside, 0 to make them NaN; PLAIN_DATE and RULES work plain texts out by :class:`RuleTables`. Everything else is
    looked up. Returns the number of texts not in the cache, with their columns and rows in ``missed`` (c n, 2).
    """
    misses = 0
    byte_groups, all_moves = address(groups), address(moves)
    year, month, day = today[0], today[1], today[2]
    text, last, entries, known = address(data), len(data), address(table), address(texts)
    for n in range(len(plain)):
        for column in range(len(slots)):
            out[column, n] = np.nan
            slot = slots[column]
            begin, end = np.int64(starts[n, slot]), np.int64(ends[n, slot])
            if begin < 0 or not plain[n]:
                continue
            value = np.nan
            if kinds[column] == PLAIN_NUMBER:
                value = _number(text, begin, end, last) * limits[column, 0]
            elif kinds[column] == LIST_LENGTH and counts[n, slot] >= 0:
                value = np.float64(counts[n, slot])
            elif kinds[column] == PLAIN_DATE or kinds[column] == RULES:
                if kinds[column] == PLAIN_DATE:
                    found = _years(text, begin, end, year, month, day, limits[column, 1], limits[column, 2])
                else:
                    group_of, moves_of = byte_groups + 128 * places[column, 0], all_moves + 4 * places[column, 1]
                    state = _last_state(text, begin, end, group_of, moves_of, places[column, 3])
                    found = outcomes[places[column, 2] + state] if state >= 0 else LEFT_TO_CACHE
                if found != LEFT_TO_CACHE:
                    out[column, n] = found
                    continue
            if not np.isnan(value):
                low, high = limits[column, 1], limits[column, 2]
                if limits[column, 3] != 0:
                    out[column, n] = min(max(value, low), high)
                elif low <= value <= high:
                    out[column, n] = value
                continue
            place = _slot_of_text(text, begin, end, last, column, entries, len(table) - 1, known, len(texts))
            if place >= 0:
                out[column, n] = means[place]
            else:
                missed[misses, 0], missed[misses, 1] = column, n
                misses += 1
    return misses


@kernel
def _insert(table: Any, means: Any, texts: Any, bounds: Any, columns: Any, values: Any) -> None:
    """Fill an empty table with texts ``texts[bounds[i] : bounds[i + 1]]`` of ``columns[i]``, all different."""
    mask, begin_of, end = len(table) - 1, address(texts), len(texts)
    for i in range(len(values)):
        begin, length = bounds[i], bounds[i + 1] - bounds[i]
        first, second = load_prefix(begin_of, begin, length, end), load_prefix(begin_of, begin + 8, length - 8, end)
        which = _column_and_length(columns[i], length)
        place = np.int64(_hash(begin_of, begin, length, first, second, which, end)) & mask
        while table[place, 2] != 0:
            place = (place + 1) & mask
        table[place, 0], table[place, 1], table[place, 2], table[place, 3] = first, second, which, np.uint64(begin)
        means[place] = values[i]


class ValueCache:
    """Cache of the texts of several columns and their numbers.

    A column is emptied rather than grow beyond ``max_texts`` texts or ``max_bytes`` bytes.
    """

    def __init__(self, columns: int, max_texts: int = 50_000, max_bytes: int = 1 << 23) -> None:
        self._max_texts, self._max_bytes = max_texts, max_bytes
        self.known: list[dict[bytes, float]] = [{} for _ in range(columns)]
        self._bytes = [0] * columns
        self.full_columns: list[int] = []  # that should be evicted
        self._fill()

    def evict(self, columns: list[int]) -> None:
        """Empty columns."""
        for column in columns:
            self.known[column], self._bytes[column] = {}, 0
        self._fill()

    def add(self, meanings: dict[int, dict[bytes, float]]) -> None:
        """Add texts, none of them empty, and their numbers to columns."""
        for column, column_texts in meanings.items():
            self.known[column] |= column_texts
            self._bytes[column] += sum(map(len, column_texts))
        self._fill()

    def _fill(self) -> None:
        self.full_columns = [
            column
            for column, texts in enumerate(self.known)
            if len(texts) > self._max_texts or self._bytes[column] > self._max_bytes
        ]
        everything = [text for column_texts in self.known for text in column_texts]
        size = 1 << max(6, (4 * len(everything)).bit_length())
        self.table = np.zeros((size, 4), np.uint64)
        self.means = np.zeros(size)
        self.texts = np.frombuffer(b"".join(everything) or b"\0", np.uint8)
        bounds = np.cumsum([0, *map(len, everything)], dtype=np.int64)
        columns = np.repeat(np.arange(len(self.known)), [len(column_texts) for column_texts in self.known])
        means = np.array([value for column_texts in self.known for value in column_texts.values()], np.float64)
        _insert(self.table, self.means, self.texts, bounds, columns, means)

    def read(
        self,
        data: NDArray[np.uint8],
        starts: NDArray[np.int32],
        ends: NDArray[np.int32],
        counts: NDArray[np.int32],
        plain: NDArray[np.bool_],
        slots: NDArray[np.int64],
        kinds: NDArray[np.int64],
        limits: NDArray[np.float64],
        rules: RuleTables,
        out: NDArray[np.float64],
    ) -> NDArray[np.int64]:
        """Fill ``out`` (columns, n) by :func:`read_values`; returns the columns and rows (k, 2) whose text is not cached."""
        missed = np.empty((out.size, 2), np.int64)
        tables = (self.table, self.texts, self.means, rules.today, rules.places, rules.groups, rules.moves, rules.outcomes)
        new = read_values(data, starts, ends, counts, plain, slots, kinds, limits, *tables, out, missed)
        return missed[:new]
