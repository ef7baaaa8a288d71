"""Scanner of strict JSON: finds the values at given paths. Marks all quotes first, then walks from string to string.

A text that is not plain (no object, malformed, a needed key twice or with escapes, huge numbers, deep nesting) is left to DuckDB,
so every text that is accepted here is one that DuckDB accepts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from predict_age.kernels.jit import (
    MASK_BYTES,
    address,
    count_bits,
    inline,
    kernel,
    load_8_bytes,
    load_byte,
    load_int32,
    lowest_bit,
    quote_mask,
    special_mask,
    store_int32,
)

MAX_DEPTH = 64
MAX_NUMBER_CHARS = 17  # longer numbers may not be exact in a double
OPEN_OBJECT, CLOSE_OBJECT, OPEN_ARRAY, CLOSE_ARRAY, QUOTE, BACKSLASH, COMMA, COLON = b'{}[]"\\,:'
MINUS_SIGN, DOT, ZERO, NINE, BLANK = b"-.09 "
NOT_FOUND = -1
MARKS_PER_ROUND = 16
COLLISION_FLAG = 1 << 31  # another key hashed to this slot and was moved to the next
BYTE_MASKS = np.array([(1 << 8 * n) - 1 for n in range(9)], np.uint64)


@inline
def _after_escape(text: Any, at: Any, end: Any) -> Any:
    r"""The position after the escape at ``at``; -1 when it is invalid, or \u with a control character or a surrogate."""
    if at + 1 >= end:
        return NOT_FOUND
    code = load_byte(text, at + 1)
    at += 2
    if code == 0x75:  # \u
        if at + 4 > end:
            return NOT_FOUND
        value = 0
        for i in range(4):
            digit = load_byte(text, at + i)
            if 0x30 <= digit <= 0x39:
                value = value * 16 + (digit - 0x30)
            elif 0x41 <= (digit & 0xDF) <= 0x46:
                value = value * 16 + ((digit & 0xDF) - 0x37)
            else:
                return NOT_FOUND
        return NOT_FOUND if value < BLANK or 0xD800 <= value <= 0xDFFF else at + 4
    return at if code in (QUOTE, BACKSLASH, 0x2F) or code in (0x62, 0x66, 0x6E, 0x72, 0x74) else NOT_FOUND  # /bfnrt


@inline
def _mark_strings(text: Any, at: Any, end: Any, marks: Any, escapes: Any) -> Any:
    """Store the positions of all unescaped quotes of ``text[at:end]`` in ``marks``, and those of escapes in ``escapes``.

    Returns the number of quotes; -1 when a string is not strict JSON or not closed. Reads beyond ``end``, up to a multiple of 64
    bytes from ``at``.
    """
    found_quotes, found_escapes, escape_end = np.int64(0), np.int64(0), at
    for base in range(at, end, MASK_BYTES):
        quote, special = quote_mask(text, base), special_mask(text, base)
        if end - base < MASK_BYTES:
            ours = (np.uint64(1) << np.uint64(end - base)) - np.uint64(1)
            quote, special = quote & ours, special & ours
        if special == 0 and escape_end <= base:
            left = quote
            for first_mark in range(0, MASK_BYTES, MARKS_PER_ROUND):
                for i in range(first_mark, first_mark + MARKS_PER_ROUND):  # storing too many is cheaper than counting them first
                    store_int32(marks, found_quotes + i, base + lowest_bit(left))
                    left &= left - np.uint64(1)
                if left == 0:
                    break
            found_quotes += count_bits(quote)
            continue
        left = quote | special
        while left != 0:
            place = base + lowest_bit(left)
            left &= left - np.uint64(1)
            if place < escape_end:
                continue
            code = load_byte(text, place)
            if code == QUOTE:
                store_int32(marks, found_quotes, place)
                found_quotes += 1
            elif code == BACKSLASH:
                if found_quotes & 1 == 0:
                    return NOT_FOUND
                store_int32(escapes, found_escapes, place)
                found_escapes += 1
                escape_end = _after_escape(text, place, end)
                if escape_end == NOT_FOUND:
                    return NOT_FOUND
            elif found_quotes & 1 == 1:
                return NOT_FOUND
    store_int32(escapes, found_escapes, end)
    return NOT_FOUND if found_quotes & 1 == 1 else found_quotes


@inline
def _after_digits(text: Any, at: Any, end: Any) -> Any:
    """The position after the digits at ``at``, eight compared at once; ``at`` when there are none."""
    while at < end:
        word = load_8_bytes(text, at) ^ np.uint64(0x3030303030303030)
        others = ((word + np.uint64(0x7676767676767676)) | word) & np.uint64(0x8080808080808080)
        if others != 0:
            return min(at + (lowest_bit(others) >> 3), end)
        at += 8
    return end


@inline
def _end_of_number(text: Any, at: Any, end: Any) -> Any:
    """The position after the number at ``at``; -1 when it is invalid, has an exponent or too many digits."""
    begin = at
    if load_byte(text, at) == MINUS_SIGN:
        at += 1
    digits = at
    at = _after_digits(text, digits, end)
    if at == digits or (at > digits + 1 and load_byte(text, digits) == ZERO):
        return NOT_FOUND
    if at < end and load_byte(text, at) == DOT:
        digits = at + 1
        at = _after_digits(text, digits, end)
        if at == digits:
            return NOT_FOUND
    if at - begin > MAX_NUMBER_CHARS:
        return NOT_FOUND
    return at


@inline
def _end_of_word(text: Any, at: Any, end: Any) -> Any:
    """The position after ``true``, ``false`` or ``null`` at ``at``; -1 for any other word."""
    if at + 4 <= end:
        a, b, c, d = load_byte(text, at), load_byte(text, at + 1), load_byte(text, at + 2), load_byte(text, at + 3)
        if (a == 0x74 and b == 0x72 and c == 0x75 and d == 0x65) or (a == 0x6E and b == 0x75 and c == 0x6C and d == 0x6C):
            return at + 4
        if at + 5 <= end and a == 0x66 and b == 0x61 and c == 0x6C and d == 0x73 and load_byte(text, at + 4) == 0x65:
            return at + 5
    return NOT_FOUND


@inline
def _skip_white_space(text: Any, at: Any, end: Any) -> Any:
    """The position of the next character that is not white space."""
    if load_byte(text, at) > BLANK:
        return at
    while at < end and (
        load_byte(text, at) == BLANK or load_byte(text, at) == 0x0A or load_byte(text, at) == 0x0D or load_byte(text, at) == 0x09
    ):
        at += 1
    return at


@inline
def _child(text: Any, begin: Any, end: Any, node: Any, keys: Any, table: Any, mask: Any, nobody: Any) -> Any:
    """The node that the key ``text[begin:end]`` leads to from ``node``; ``nobody`` when no path has that key.

    Branch-free, but for long keys and hash collisions: which key comes next is unpredictable.
    """
    length = end - begin
    first_mark = BYTE_MASKS[np.uint64(min(length, 8))]
    first, last = load_8_bytes(text, begin) & first_mark, load_8_bytes(text, begin + max(length - 8, 0)) & first_mark
    which = (node << 32) | length
    place = key_slot(first, which) & mask
    while True:
        child = _child_in_slot(table, place, which, first, last, nobody)
        about = load_8_bytes(table, place * 32 + 24)
        if (child != nobody) & (length > 16):
            known = np.int64(about >> np.uint64(32))
            for i in range(8, length - 8, 8):
                if load_8_bytes(text, begin + i) != load_8_bytes(keys, known + i):
                    child = nobody
        if (child != nobody) | (about & np.uint64(COLLISION_FLAG) == np.uint64(0)):
            return child
        place = (place + 1) & mask


@inline
def _child_in_slot(table: Any, place: Any, which: Any, first: Any, last: Any, nobody: Any) -> Any:
    """The child in a slot of the table if node, length and both ends of the key match, else ``nobody``."""
    at = place * 32
    same = (
        (load_8_bytes(table, at) == np.uint64(which))
        & (load_8_bytes(table, at + 8) == first)
        & (load_8_bytes(table, at + 16) == last)
    )
    return np.int64(load_8_bytes(table, at + 24) & np.uint64(COLLISION_FLAG - 1)) if same else nobody


@inline
def key_slot(word: Any, which: Any) -> Any:
    """Hash of a key, where its search starts: from its first eight bytes, its length and the node it is looked up in."""
    mixed = (word ^ (np.uint64(which) * np.uint64(0xD1B54A32D192ED03))) * np.uint64(0x9E3779B97F4A7C15)
    return np.int64(mixed >> np.uint64(44))


@kernel
def key_slot_in_table(word: Any, which: int) -> int:
    """:func:`key_slot` for Python code that fills the table."""
    return key_slot(word, which)


@kernel
def scan_texts(  # noqa: PLR0915  # one loop without calls, because it takes nearly all the time
    data: Any,
    offsets: Any,
    rows: Any,
    first: Any,
    last: Any,
    keys: Any,
    table: Any,
    items: Any,
    slots: Any,
    starts: Any,
    ends: Any,
    counts: Any,
    plain: Any,
    of_marks: Any,
    of_escapes: Any,
) -> None:
    """Find the values of all paths in the texts ``rows[first:last]`` of (n,), text r being ``data[offsets[r] : offsets[r + 1]]``.

    At least 64 bytes of ``data`` must follow each text: they are read without effect.

    The paths are a tree of nodes with root 0. ``table`` (m, 4), m a power of 2, is a hash table of keys: node * 2^32 + length of
    the key, its first and its last eight bytes as numbers, and its offset in ``keys`` * 2^32 + child, + COLLISION_FLAG where
    another key was moved on. ``items`` (k, 3): node, number of the item, child. ``slots`` (nodes,): the number of the value at a
    node, or -1.

    Fills, for each row and slot: ``starts``, ``ends`` (n, slots): position of the value's text, -1 if absent; ``counts`` (n,
    slots): the length of a list, -1 for other values. ``plain`` (n,): False for a text that is left to DuckDB. Scratch memory:
    ``of_marks`` and ``of_escapes``, 64 and 1 longer than the longest text.
    """
    text, known, entries, listed = address(data), address(keys), address(table), address(items)
    marks, escapes = address(of_marks), address(of_escapes)
    nobody = np.int64(len(slots))  # the node of values on no path; its slot, and that of inner nodes, is the last
    width = starts.shape[1] + 1
    slot_of = np.full(nobody + 1, width - 1, np.int64)
    for i in range(nobody):
        if slots[i] >= 0:
            slot_of[i] = slots[i]
    start, stop, count = np.empty(width, np.int32), np.empty(width, np.int32), np.empty(width, np.int32)
    seen = np.full(nobody + 1, -1, np.int64)
    has_items, has_keys = np.zeros(nobody + 1, np.bool_), np.zeros(nobody + 1, np.bool_)
    for i in range(len(items)):
        has_items[items[i, 0]] = True
    for i in range(len(table)):
        if table[i, 0] >= 0:
            has_keys[table[i, 0] >> 32] = True
    was_list, node_of = np.empty(MAX_DEPTH, np.bool_), np.empty(MAX_DEPTH, np.int64)
    begin_of, number_of = np.empty(MAX_DEPTH, np.int64), np.empty(MAX_DEPTH, np.int64)
    for n in range(first, last):
        at, end = np.int64(offsets[rows[n]]), np.int64(offsets[rows[n] + 1])
        plain[n] = False
        for slot in range(width):
            start[slot] = NOT_FOUND
        for slot in range(width):
            count[slot] = NOT_FOUND
        if at < end and load_byte(text, at) == OPEN_OBJECT and _mark_strings(text, at, end, marks, escapes) != NOT_FOUND:
            mark, escape, depth = np.int64(0), np.int64(0), np.int64(0)
            escaped = load_int32(escapes, 0)
            node = np.int64(0)
            parent, parent_begins, is_list, number = nobody, at, False, np.int64(0)  # the enclosing object or list
            while at < end:
                # the value of ``node`` begins at ``at``
                code = load_byte(text, at)
                begin = at
                size = np.int64(NOT_FOUND)
                if code == QUOTE:
                    at = load_int32(marks, mark + 1) + 1
                    mark += 2
                elif code == MINUS_SIGN or ZERO <= code <= NINE:
                    at = _end_of_number(text, at, end)
                    if at == NOT_FOUND:
                        break
                elif code in (OPEN_OBJECT, OPEN_ARRAY):
                    at = _skip_white_space(text, at + 1, end)
                    if load_byte(text, at) != code + 2:  # the closing bracket
                        if depth == MAX_DEPTH:
                            break
                        was_list[depth], node_of[depth], begin_of[depth], number_of[depth] = is_list, parent, parent_begins, number
                        depth += 1
                        parent, parent_begins, is_list, number = node, begin, code == OPEN_ARRAY, np.int64(0)
                        if is_list:
                            node = _child_of_item(listed, 24 * len(items), parent, 0, nobody) if has_items[parent] else nobody
                            continue
                        code = np.int64(0)
                    else:
                        at += 1
                        if code == OPEN_ARRAY:
                            size = np.int64(0)
                else:
                    at = _end_of_word(text, at, end)
                    if at == NOT_FOUND:
                        break
                if code != 0:
                    place = np.uint64(slot_of[np.uint64(node)])
                    start[place], stop[place], count[place] = begin, at, size
                    # after a value: the end of the enclosing object or list, or the next value
                    while depth > 0:
                        at = _skip_white_space(text, at, end)
                        code = load_byte(text, at)
                        at += 1
                        if code == COMMA:
                            break
                        if code != (CLOSE_ARRAY if is_list else CLOSE_OBJECT) or at > end:
                            at = end + 1  # neither: malformed
                            break
                        place = np.uint64(slot_of[np.uint64(parent)])
                        start[place], stop[place], count[place] = parent_begins, at, number + 1 if is_list else NOT_FOUND
                        depth -= 1
                        is_list, parent, parent_begins, number = was_list[depth], node_of[depth], begin_of[depth], number_of[depth]
                    if depth == 0:
                        plain[n] = at <= end and _skip_white_space(text, at, end) == end
                        break
                    if at >= end:
                        break
                    at = _skip_white_space(text, at, end)
                    if is_list:
                        number += 1
                        node = _child_of_item(listed, 24 * len(items), parent, number, nobody) if has_items[parent] else nobody
                        continue
                # the next key of an object
                if at >= end or load_byte(text, at) != QUOTE:
                    break
                begin, at = at + 1, load_int32(marks, mark + 1)
                mark += 2
                node = nobody
                while escaped < begin:
                    escape += 1
                    escaped = load_int32(escapes, escape)
                if has_keys[np.uint64(parent)]:
                    if escaped < at:
                        break
                    node = _child(text, begin, at, parent, known, entries, len(table) - 1, nobody)
                    if (seen[np.uint64(node)] == n) & (node != nobody):
                        break
                    seen[np.uint64(node)] = n
                at = _skip_white_space(text, at + 1, end)
                if load_byte(text, at) != COLON:
                    break
                at = _skip_white_space(text, at + 1, end)
        for slot in range(width - 1):
            starts[n, slot] = start[slot]
        for slot in range(width - 1):
            ends[n, slot] = stop[slot]
        for slot in range(width - 1):
            counts[n, slot] = count[slot]


@inline
def _child_of_item(items: Any, items_end: Any, node: Any, number: Any, nobody: Any) -> Any:
    for i in range(0, items_end, 24):
        if np.int64(load_8_bytes(items, i)) == node and np.int64(load_8_bytes(items, i + 8)) == number:
            return np.int64(load_8_bytes(items, i + 16))
    return nobody


class PathTree:
    """Tree of paths as arrays for :func:`scan_texts`. ``paths``: steps of each path, keys (str) and item numbers (int)."""

    def __init__(self, paths: list[list[str | int]]) -> None:
        children: dict[tuple[int, str | int], int] = {}
        slots = {0: NOT_FOUND}
        for slot, steps in enumerate(paths):
            node = 0
            for step in steps:
                node = children.setdefault((node, step), len(slots))
                slots.setdefault(node, NOT_FOUND)
            slots[node] = slot
        self.count = len(paths)
        self.slots = np.array([slots[n] for n in range(len(slots))], np.int64)
        listed = [(node, step, child) for (node, step), child in children.items() if isinstance(step, int)]
        self.items = np.array(listed, np.int64).reshape(-1, 3)
        named = [(node, step.encode(), child) for (node, step), child in children.items() if isinstance(step, str)]
        self.table = np.full((1 << max(8, (8 * len(named)).bit_length()), 4), NOT_FOUND, np.int64)
        self.table[:, 3] = 0
        begin = 0
        for node, key, child in named:
            which = (node << 32) | len(key)
            first, last = (np.uint64(int.from_bytes(part, "little")) for part in (key[:8], key[-8:]))
            place = key_slot_in_table(first, which) % len(self.table)
            while self.table[place, 0] != NOT_FOUND:
                self.table[place, 3] |= COLLISION_FLAG
                place = (place + 1) % len(self.table)
            self.table[place] = which, first.astype(np.int64), last.astype(np.int64), (begin << 32) | child
            begin += len(key)
        self.keys = np.frombuffer(b"".join(key for _, key, _ in named) or b"\0", np.uint8)


class JsonScan:
    """The scan of texts ``rows`` (n,), ascending: arrays ``starts``, ``ends``, ``counts`` and ``plain`` of :func:`scan_texts`."""

    def __init__(self, data: NDArray[np.uint8], offsets: NDArray[np.int32], rows: NDArray[np.int64], paths: PathTree) -> None:
        self.data, self._offsets, self._rows, self._paths = _read_only(data), offsets, rows, paths  # for all kernels that read it
        shape = (len(rows), paths.count)
        self.starts, self.ends, self.counts = (np.empty(shape, np.int32) for _ in range(3))
        self.plain = np.empty(len(rows), np.bool_)
        ends = offsets[rows + 1]
        longest = int((ends - offsets[rows]).max(initial=0))
        self._marks, self._escapes = np.empty(longest + MASK_BYTES, np.int32), np.empty(longest + 1, np.int32)
        self._safe = int(np.searchsorted(ends, len(data) - MASK_BYTES, side="right"))

    def scan_rows(self, block: slice) -> None:
        """Scan the rows ``block`` and fill their part of all arrays."""
        stop = min(block.stop, len(self._rows))
        safe = min(max(block.start, self._safe), stop)
        self._scan(self.data, self._offsets, block.start, safe)
        if safe == stop:
            return
        begin = self._offsets[self._rows[safe]]  # texts at the end of the data are scanned in a padded copy
        self._scan(np.concatenate([self.data[begin:], np.zeros(MASK_BYTES, np.uint8)]), self._offsets - begin, safe, stop)
        there = self.starts[safe:stop] >= 0
        self.starts[safe:stop][there] += begin
        self.ends[safe:stop][there] += begin

    def _scan(self, data: NDArray[np.uint8], offsets: NDArray[np.int32], first: int, last: int) -> None:
        paths = self._paths
        scan_texts(
            _read_only(data),
            _read_only(offsets),
            self._rows,
            first,
            last,
            paths.keys,
            paths.table,
            paths.items,
            paths.slots,
            self.starts,
            self.ends,
            self.counts,
            self.plain,
            self._marks,
            self._escapes,
        )


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    """A read-only view: a kernel is compiled again for writable arrays."""
    view = array.view()
    view.flags.writeable = False
    return view
