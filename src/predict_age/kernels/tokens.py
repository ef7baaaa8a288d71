"""Where in a JSON text the values of some paths lie: strict JSON, read once from left to right, nothing copied.

A text that is not plain (no object, malformed, a needed key twice or written with escapes, huge numbers, deep nesting) is not
judged here but handed back: DuckDB decides about it. So whatever is accepted here is what DuckDB accepts, too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from predict_age.kernels.compile import WIDE, byte, first_eight, inline, kernel, lowest_bit, special

DEEPEST = 64
LONGEST_NUMBER = 17  # characters; longer ones may not fit what a double holds
OBJECT, ARRAY = 1, 2
OPEN_OBJECT, CLOSE_OBJECT, OPEN_ARRAY, CLOSE_ARRAY, QUOTE, BACKSLASH, COMMA, COLON = b'{}[]"\\,:'
MINUS, DOT, ZERO, NINE, BLANK = b"-.09 "
NOWHERE = -1


@inline
def _end_of_string(data: Any, at: Any, end: Any) -> Any:
    r"""The place of the quote that ends the string whose first character is at ``at``; -1 when it is not strict.

    Escapes must be known ones; a \u escape must not be a control character or a surrogate.
    """
    last = len(data) - WIDE
    while at < end:
        if at <= last:
            found = special(data, at)
            if found == 0:
                at += WIDE
                continue
            at += lowest_bit(found)
            if at >= end:
                return NOWHERE
        code = byte(data, at)
        if code == QUOTE:
            return at
        if code < BLANK:
            return NOWHERE
        if code != BACKSLASH:
            at += 1
            continue
        if at + 1 >= end:
            return NOWHERE
        code = byte(data, at + 1)
        at += 2
        if code == 0x75:  # \u
            if at + 4 > end:
                return NOWHERE
            value = 0
            for i in range(4):
                digit = byte(data, at + i)
                if 0x30 <= digit <= 0x39:
                    value = value * 16 + (digit - 0x30)
                elif 0x41 <= (digit & 0xDF) <= 0x46:
                    value = value * 16 + ((digit & 0xDF) - 0x37)
                else:
                    return NOWHERE
            if value < BLANK or 0xD800 <= value <= 0xDFFF:
                return NOWHERE
            at += 4
        elif not (code in (QUOTE, BACKSLASH, 0x2F) or code in (0x62, 0x66, 0x6E, 0x72, 0x74)):  # /bfnrt
            return NOWHERE
    return NOWHERE


@inline
def _end_of_number(data: Any, at: Any, end: Any) -> Any:
    """The place after the number that begins at ``at``; -1 when it is none, has an exponent or too many digits."""
    begin = at
    if byte(data, at) == MINUS:
        at += 1
    if at >= end:
        return NOWHERE
    first = byte(data, at)
    if first < ZERO or first > NINE:
        return NOWHERE
    at += 1
    if first != ZERO:
        while at < end and ZERO <= byte(data, at) <= NINE:
            at += 1
    if at < end and byte(data, at) == DOT:
        at += 1
        digits = at
        while at < end and ZERO <= byte(data, at) <= NINE:
            at += 1
        if at == digits:
            return NOWHERE
    if at - begin > LONGEST_NUMBER:
        return NOWHERE
    return at


@inline
def _word(data: Any, at: Any, end: Any) -> Any:
    """The place after ``true``, ``false`` or ``null`` at ``at``; -1 when it is none of them."""
    if at + 4 <= end:
        a, b, c, d = byte(data, at), byte(data, at + 1), byte(data, at + 2), byte(data, at + 3)
        if (a == 0x74 and b == 0x72 and c == 0x75 and d == 0x65) or (a == 0x6E and b == 0x75 and c == 0x6C and d == 0x6C):
            return at + 4
        if at + 5 <= end and a == 0x66 and b == 0x61 and c == 0x6C and d == 0x73 and byte(data, at + 4) == 0x65:
            return at + 5
    return NOWHERE


@inline
def _skip(data: Any, at: Any, end: Any) -> Any:
    """The place of the next character that is no white space."""
    while (
        at < end
        and byte(data, at) <= BLANK
        and (byte(data, at) == BLANK or byte(data, at) == 0x0A or byte(data, at) == 0x0D or byte(data, at) == 0x09)
    ):
        at += 1
    return at


@inline
def _child(data: Any, begin: Any, end: Any, node: Any, keys: Any, table: Any) -> Any:
    """The node that the key ``data[begin:end]`` leads to from ``node``; -1 when no path goes that way."""
    length = end - begin
    word = first_eight(data, begin, length)
    which = (node << 32) | length
    mask = len(table) - 1
    place = place_of(word, which) & mask
    while table[place, 0] != NOWHERE:
        if table[place, 0] == which and table[place, 1] == np.int64(word):
            first = table[place, 2]
            same = True
            for i in range(8, length):
                same &= byte(keys, first + i) == byte(data, begin + i)
            if same:
                return table[place, 3]
        place = (place + 1) & mask
    return NOWHERE


@inline
def place_of(word: Any, which: Any) -> Any:
    """Where the search for a key begins: from its first eight bytes, and the node it is looked up in with its length."""
    mixed = (word ^ (np.uint64(which) * np.uint64(0xD1B54A32D192ED03))) * np.uint64(0x9E3779B97F4A7C15)
    return np.int64(mixed >> np.uint64(44))


@kernel
def place_in_table(word: Any, which: int) -> int:
    """:func:`place_of` for whoever fills the table."""
    return place_of(word, which)


@kernel
def find(  # noqa: PLR0915  # one loop without calls: it is what all the time goes into
    data: Any, offsets: Any, rows: Any, first: Any, last: Any, keys: Any, table: Any, items: Any, slots: Any,
    starts: Any, ends: Any, counts: Any, plain: Any,
) -> None:  # fmt: skip
    """Find the values of all paths in the texts ``rows[first:last]`` of (n,), a text being ``data[offsets[r] : offsets[r + 1]]``.

    The paths are a tree of nodes, the root is 0. ``table`` (m, 4), m a power of 2: node * 2^32 + length of the key, its first eight
    bytes as a number, where it begins in ``keys``, child; -1 first where there is nothing. ``items`` (k, 3): node, number of the
    item, child. ``slots`` (nodes,): which value a node is, or -1.

    Fills, for each row and slot: ``starts``, ``ends`` (n, slots): the text of the value, -1 where there is none; ``counts``
    (n, slots): the items of a list, -1 for other values. ``plain`` (n,): False for a text that is not judged here.
    """
    kind = np.empty(DEEPEST, np.int64)
    node_at = np.empty(DEEPEST, np.int64)
    begin_at = np.empty(DEEPEST, np.int64)
    count_at = np.empty(DEEPEST, np.int64)
    seen = np.full(len(slots), -1, np.int64)
    has_items = np.zeros(len(slots), np.bool_)
    has_keys = np.zeros(len(slots), np.bool_)
    for i in range(len(items)):
        has_items[items[i, 0]] = True
    for i in range(len(table)):
        if table[i, 0] != NOWHERE:
            has_keys[table[i, 0] >> 32] = True
    for n in range(first, last):
        at, end = np.int64(offsets[rows[n]]), np.int64(offsets[rows[n] + 1])
        plain[n] = False
        for slot in range(starts.shape[1]):
            starts[n, slot] = NOWHERE
            counts[n, slot] = NOWHERE
        if at >= end or byte(data, at) != OPEN_OBJECT:
            continue
        depth = 0
        node: Any = np.int64(0)
        while True:
            # one value, which is that of ``node``, begins at ``at``
            if at >= end:
                break
            code = byte(data, at)
            begin = at
            closed = True
            if code == QUOTE:
                at = _end_of_string(data, at + 1, end)
                if at == NOWHERE:
                    break
                at += 1
            elif code in (OPEN_OBJECT, OPEN_ARRAY):
                if depth == DEEPEST:
                    break
                is_list = code == OPEN_ARRAY
                kind[depth] = ARRAY if is_list else OBJECT
                node_at[depth], begin_at[depth], count_at[depth] = node, begin, 0
                depth += 1
                at = _skip(data, at + 1, end)
                if at >= end:
                    break
                closed = byte(data, at) == (CLOSE_ARRAY if is_list else CLOSE_OBJECT)
                if not closed:
                    if is_list:
                        node = _item(items, node_at[depth - 1], 0) if node >= 0 and has_items[node] else NOWHERE
                        continue
                else:
                    at += 1
                    depth -= 1
            elif code == MINUS or ZERO <= code <= NINE:
                at = _end_of_number(data, at, end)
                if at == NOWHERE:
                    break
            else:
                at = _word(data, at, end)
                if at == NOWHERE:
                    break
            if closed:
                if node >= 0 and slots[node] >= 0:
                    starts[n, slots[node]], ends[n, slots[node]] = begin, at
                    if code == OPEN_ARRAY:
                        counts[n, slots[node]] = 0
                # what comes after a value: the end of what it lies in, or the next one
                while depth > 0:
                    at = _skip(data, at, end)
                    if at >= end:
                        break
                    code = byte(data, at)
                    at += 1
                    if code == COMMA:
                        break
                    if code != (CLOSE_ARRAY if kind[depth - 1] == ARRAY else CLOSE_OBJECT):
                        at = end + 1  # neither: malformed
                        break
                    depth -= 1
                    node = node_at[depth]
                    if node >= 0 and slots[node] >= 0:
                        starts[n, slots[node]], ends[n, slots[node]] = begin_at[depth], at
                        if kind[depth] == ARRAY:
                            counts[n, slots[node]] = count_at[depth] + 1
                if depth == 0:
                    plain[n] = _skip(data, at, end) == end
                    break
                if at >= end:
                    break
                at = _skip(data, at, end)
                if kind[depth - 1] == ARRAY:
                    count_at[depth - 1] += 1
                    node = node_at[depth - 1]
                    node = _item(items, node, count_at[depth - 1]) if node >= 0 and has_items[node] else NOWHERE
                    continue
            # the next key of an object
            if at >= end or byte(data, at) != QUOTE:
                break
            begin = at + 1
            found = special(data, begin) if begin + WIDE <= len(data) else np.uint32(0)
            at = begin + lowest_bit(found) if found != 0 else begin
            escaped = False
            if at >= end or byte(data, at) != QUOTE:  # a long key, or one with escapes
                at = _end_of_string(data, begin, end)
                if at == NOWHERE:
                    break
                for i in range(begin, at):
                    escaped |= byte(data, i) == BACKSLASH
            node = node_at[depth - 1]
            if node >= 0:
                if has_keys[node]:
                    if escaped:
                        break
                    node = _child(data, begin, at, node, keys, table)
                    if node >= 0:
                        if seen[node] == n:
                            break
                        seen[node] = n
                else:
                    node = np.int64(NOWHERE)
            at = _skip(data, at + 1, end)
            if at >= end or byte(data, at) != COLON:
                break
            at = _skip(data, at + 1, end)


@inline
def _item(items: Any, node: Any, number: Any) -> Any:
    for i in range(len(items)):
        if items[i, 0] == node and items[i, 1] == number:
            return np.int64(items[i, 2])
    return np.int64(NOWHERE)


class Paths:
    """The tree of paths as :func:`find` takes it. ``paths``: steps of each, keys (str) and numbers of items (int, from 0)."""

    def __init__(self, paths: list[list[str | int]]) -> None:
        children: dict[tuple[int, str | int], int] = {}
        slots = {0: NOWHERE}
        for slot, steps in enumerate(paths):
            node = 0
            for step in steps:
                node = children.setdefault((node, step), len(slots))
                slots.setdefault(node, NOWHERE)
            slots[node] = slot
        self.count = len(paths)
        self.slots = np.array([slots[n] for n in range(len(slots))], np.int64)
        listed = [(node, step, child) for (node, step), child in children.items() if isinstance(step, int)]
        self.items = np.array(listed, np.int64).reshape(-1, 3)
        named = [(node, step.encode(), child) for (node, step), child in children.items() if isinstance(step, str)]
        self.table = np.full((1 << max(8, (8 * len(named)).bit_length()), 4), NOWHERE, np.int64)
        first = 0
        for node, key, child in named:
            which, word = (node << 32) | len(key), int.from_bytes(key[:8], "little")
            place = place_in_table(np.uint64(word), which) % len(self.table)
            while self.table[place, 0] != NOWHERE:
                place = (place + 1) % len(self.table)
            self.table[place] = which, np.uint64(word).astype(np.int64), first, child
            first += len(key)
        self.keys = np.frombuffer(b"".join(key for _, key, _ in named) or b"\0", np.uint8)


class Tokens:
    """What :func:`find` finds in the texts ``rows`` (n,): see there for ``starts``, ``ends``, ``counts`` and ``plain``."""

    def __init__(self, data: NDArray[np.uint8], offsets: NDArray[np.int32], rows: NDArray[np.int64], paths: Paths) -> None:
        self.data, self._offsets, self._rows, self._paths = data, offsets, rows, paths
        shape = (len(rows), paths.count)
        self.starts, self.ends, self.counts = (np.empty(shape, np.int32) for _ in range(3))
        self.plain = np.empty(len(rows), np.bool_)

    def find(self, block: slice) -> None:
        """Fill the rows ``block`` of all arrays."""
        paths = self._paths
        find(
            self.data, self._offsets, self._rows, block.start, min(block.stop, len(self._rows)),
            paths.keys, paths.table, paths.items, paths.slots, self.starts, self.ends, self.counts, self.plain,
        )  # fmt: skip
