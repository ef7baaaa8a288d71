"""Scanner of request bodies: items ``{"pid": ..., "profile": {...}}`` of strict JSON, one after another, without copies.

It accepts less than ``serving.strict_json``, which reads what is left: what is accepted here is accepted there, with the same
profile and the same id. No key of an object occurs twice, because hashes of all its keys differ.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from predict_age.kernels.jit import (
    MASK_BYTES,
    address,
    inline,
    kernel,
    load_byte,
    load_prefix,
    lowest_bit,
    stop_mask,
)
from predict_age.kernels.json_scanner import (
    BACKSLASH,
    BLANK,
    CLOSE_ARRAY,
    CLOSE_OBJECT,
    COLON,
    COMMA,
    DOT,
    MINUS_SIGN,
    NINE,
    NOT_FOUND,
    OPEN_ARRAY,
    OPEN_OBJECT,
    QUOTE,
    ZERO,
)

MOST_OPEN_KEYS = 2048  # keys of an object and of all around it
SEEN_WORDS = 64  # of 64 bits, one for some hashes each: a hash whose bit is 0 is compared with no other
MOST_PID_DIGITS = 18
MOST_PROFILE_BYTES = 1_000_000  # of longer ones the strict reader decides
NO_PID, NUMBER_PID, TEXT_PID = 0, 1, 2
NEWLINE = 0x0A
PID_KEY = int.from_bytes(b"pid", "little")
PROFILE_KEY = int.from_bytes(b"profile", "little")


@inline
def _after_white(text: Any, at: Any, newline: Any) -> Any:
    """The position after white space, to which the byte ``newline`` belongs. A 0 ends the text."""
    code = load_byte(text, at)
    while code in (BLANK, newline) or code in (0x0D, 0x09):
        at += 1
        code = load_byte(text, at)
    return at


@inline
def _is_hex(code: Any) -> Any:
    return (ZERO <= code <= NINE) or (0x41 <= (code & 0xDF) <= 0x46)


@inline
def _after_string(text: Any, at: Any, end: Any) -> Any:
    """The position after the string whose quote is at ``at``; -1 when it is none."""
    at += 1
    while at < end:
        found = lowest_bit(stop_mask(text, at))
        at += found
        if found == MASK_BYTES:
            continue
        code = load_byte(text, at)
        if code == QUOTE:
            return at + 1 if at < end else np.int64(NOT_FOUND)
        if code != BACKSLASH:
            return np.int64(NOT_FOUND)
        code = load_byte(text, at + 1)
        if code == 0x75:  # \u
            for i in range(2, 6):
                if not _is_hex(load_byte(text, at + i)):
                    return np.int64(NOT_FOUND)
            at += 6
        elif code in (QUOTE, BACKSLASH, 0x2F) or code in (0x62, 0x66, 0x6E, 0x72, 0x74):  # /bfnrt
            at += 2
        else:
            return np.int64(NOT_FOUND)
    return np.int64(NOT_FOUND)


@inline
def _after_digits(text: Any, at: Any) -> Any:
    """The position after digits; -1 where there are none."""
    first = at
    while ZERO <= load_byte(text, at) <= NINE:
        at += 1
    return at if at > first else np.int64(NOT_FOUND)


@inline
def _after_number(text: Any, at: Any) -> Any:
    """The position after the number at ``at``; -1 where there is none."""
    if load_byte(text, at) == MINUS_SIGN:
        at += 1
    if load_byte(text, at) == ZERO:
        at += 1
    else:
        at = _after_digits(text, at)
    if at != NOT_FOUND and load_byte(text, at) == DOT:
        at = _after_digits(text, at + 1)
    if at != NOT_FOUND and load_byte(text, at) | 0x20 == 0x65:  # e
        at += 1
        if load_byte(text, at) == MINUS_SIGN or load_byte(text, at) == 0x2B:
            at += 1
        at = _after_digits(text, at)
    return at


@inline
def _after_word(text: Any, at: Any) -> Any:
    """The position after ``true``, ``false`` or ``null``; -1 for anything else."""
    word = np.int64(load_prefix(text, at, 4, at + MASK_BYTES))
    if word in (0x65757274, 0x6C6C756E):
        return at + 4
    if word == 0x736C6166 and load_byte(text, at + 4) == 0x65:
        return at + 5
    return np.int64(NOT_FOUND)


@inline
def _hash_of_key(text: Any, begin: Any, length: Any) -> Any:
    mixed = np.uint64(length) * np.uint64(0x9E3779B97F4A7C15)
    for at in range(0, length, 8):
        mixed = (mixed ^ load_prefix(text, begin + at, length - at, begin + length + MASK_BYTES)) * np.uint64(0xD1B54A32D192ED03)
        mixed ^= mixed >> np.uint64(29)
    return mixed


@inline
def _after_object(  # noqa: PLR0915  # one loop without calls, because it takes nearly all the time
    text: Any, at: Any, end: Any, most_depth: Any, newline: Any, hashes: Any, seen: Any, bases: Any
) -> Any:
    """The position after the object at ``at``; -1 when it is none, has a key twice, one with escapes, or too many levels.

    Scratch memory: ``hashes`` of the keys of all open objects, ``seen`` (SEEN_WORDS,), bits of those of all objects, and
    ``bases``, where the hashes of each open object begin; -1 for a list.
    """
    depth, top = np.int64(0), np.int64(0)
    for i in range(SEEN_WORDS):
        seen[i] = 0
    while True:
        # a value begins at ``at``
        code = load_byte(text, at)
        opened = False
        if code in (OPEN_OBJECT, OPEN_ARRAY):
            if depth == most_depth:
                return np.int64(NOT_FOUND)
            bases[depth] = top if code == OPEN_OBJECT else np.int64(-1)
            depth += 1
            at = _after_white(text, at + 1, newline)
            opened = load_byte(text, at) != code + 2
            if not opened:
                depth -= 1
                at += 1
            elif code == OPEN_ARRAY:
                continue
        elif code == QUOTE:
            at = _after_string(text, at, end)
        elif code == MINUS_SIGN or ZERO <= code <= NINE:
            at = _after_number(text, at)
        else:
            at = _after_word(text, at)
        if at == NOT_FOUND:
            return at
        while not opened:  # what follows a value
            if depth == 0:
                return at
            at = _after_white(text, at, newline)
            code = load_byte(text, at)
            if code == COMMA:
                at = _after_white(text, at + 1, newline)
                break
            if code != (CLOSE_ARRAY if bases[depth - 1] < 0 else CLOSE_OBJECT):
                return np.int64(NOT_FOUND)
            depth -= 1
            top = top if bases[depth] < 0 else bases[depth]
            at += 1
        if bases[depth - 1] < 0:
            continue
        begin = at + 1
        if load_byte(text, at) != QUOTE or top == MOST_OPEN_KEYS:
            return np.int64(NOT_FOUND)
        while True:
            found = lowest_bit(stop_mask(text, begin))
            begin += found
            if found < MASK_BYTES or begin >= end:
                break
        if begin >= end or load_byte(text, begin) != QUOTE:
            return np.int64(NOT_FOUND)  # a key with escapes among others
        mixed = _hash_of_key(text, at + 1, begin - at - 1)
        word, bit = mixed >> np.uint64(58), np.uint64(1) << ((mixed >> np.uint64(52)) & np.uint64(63))
        if seen[word] & bit != np.uint64(0):
            for i in range(bases[depth - 1], top):
                if hashes[i] == mixed:
                    return np.int64(NOT_FOUND)
        seen[word] |= bit
        hashes[top] = mixed
        top += 1
        at = _after_white(text, begin + 1, newline)
        if load_byte(text, at) != COLON:
            return np.int64(NOT_FOUND)
        at = _after_white(text, at + 1, newline)


@inline
def _read_pid(text: Any, at: Any, end: Any, kind: Any, found: Any) -> Any:
    """Set kind, number, begin and end of an id of the ``kind`` in ``found`` (4,). Returns the position after it, or -1."""
    code = load_byte(text, at)
    if code == QUOTE and kind == TEXT_PID:
        after = _after_string(text, at, end)
        if not BLANK < load_byte(text, at + 1) < 0x7F or after == NOT_FOUND:
            return np.int64(NOT_FOUND)
        for i in range(at + 1, after - 1):
            if load_byte(text, i) == BACKSLASH:
                return np.int64(NOT_FOUND)
        found[0], found[2], found[3] = TEXT_PID, at + 1, after - 1
        return after if after > at + 2 else np.int64(NOT_FOUND)
    if code == 0x6E:  # null
        return _after_word(text, at)
    if kind != NUMBER_PID:
        return np.int64(NOT_FOUND)
    negative = code == MINUS_SIGN
    begin = at + 1 if negative else at
    after = _after_digits(text, begin)
    if after == NOT_FOUND or after - begin > MOST_PID_DIGITS or (after > begin + 1 and load_byte(text, begin) == ZERO):
        return np.int64(NOT_FOUND)
    code = load_byte(text, after)
    if code == DOT or code | 0x20 == 0x65:
        return np.int64(NOT_FOUND)
    value = np.int64(0)
    for i in range(begin, after):
        value = value * 10 + (load_byte(text, i) - ZERO)
    found[0], found[1] = NUMBER_PID, -value if negative else value
    return after


@kernel
def scan_items(data: Any, at: Any, end: Any, separator: Any, kind: Any, most_depth: Any, out: Any) -> Any:
    """Fill ``out`` (n, 6) with items from ``at`` on; returns their number, and where the item begins that is not among them.

    An item: begin and end of the profile (-1: null), kind of its id, the number, begin and end of a text. Ids are of one ``kind``.
    ``data`` goes on behind ``end`` with 64 zeros. ``separator`` is a comma in an array, a line's end in lines, 0 for a single item.
    The scan stops at what is not plain, in front of the array's last bracket, or when ``out`` is full.
    """
    text = address(data)
    hashes, bases, pid = np.empty(MOST_OPEN_KEYS + SEEN_WORDS, np.uint64), np.empty(64, np.int64), np.zeros(4, np.int64)
    newline = np.int64(BLANK if separator == NEWLINE else NEWLINE)
    number = np.int64(0)
    while number < len(out):
        start = at
        at = _after_white(text, at, newline)
        if separator == NEWLINE and load_byte(text, at) == NEWLINE:
            at += 1
            continue
        if load_byte(text, at) != OPEN_OBJECT:
            return number, start
        at = _after_white(text, at + 1, newline)
        has_pid, has_profile, closed = False, False, False
        pid[0] = pid[1] = pid[2] = pid[3] = 0
        begin, stop = np.int64(-1), np.int64(-1)
        while not closed:
            is_pid = load_byte(text, at) == QUOTE and load_byte(text, at + 4) == QUOTE
            is_pid = is_pid and np.int64(load_prefix(text, at + 1, 3, end + MASK_BYTES)) == PID_KEY
            is_profile = load_byte(text, at) == QUOTE and load_byte(text, at + 8) == QUOTE
            is_profile = is_profile and np.int64(load_prefix(text, at + 1, 7, end + MASK_BYTES)) == PROFILE_KEY
            if not (is_pid or is_profile) or (is_pid and has_pid) or (is_profile and has_profile):
                return number, start
            at = _after_white(text, at + (5 if is_pid else 9), newline)
            if load_byte(text, at) != COLON:
                return number, start
            at = _after_white(text, at + 1, newline)
            if is_pid:
                has_pid = True
                at = _read_pid(text, at, end, kind, pid)
            else:
                has_profile = True
                if load_byte(text, at) == OPEN_OBJECT:
                    begin = at
                    at = stop = _after_object(text, at, end, most_depth, newline, hashes[SEEN_WORDS:], hashes[:SEEN_WORDS], bases)
                elif load_byte(text, at) == 0x6E:
                    at = _after_word(text, at)
                else:
                    return number, start
            if at == NOT_FOUND or stop - begin > MOST_PROFILE_BYTES:
                return number, start
            at = _after_white(text, at, newline)
            closed = load_byte(text, at) == CLOSE_OBJECT
            if not closed and load_byte(text, at) != COMMA:
                return number, start
            at = _after_white(text, at + 1, newline)
        if not has_profile:
            return number, start
        code = load_byte(text, at)
        last = code == CLOSE_ARRAY if separator == COMMA else at == end
        if not last and (code != separator or separator == 0):
            return number, start
        row = out[number]
        row[0], row[1], row[2], row[3], row[4], row[5] = begin, stop, pid[0], pid[1], pid[2], pid[3]
        number += 1
        if last:
            return number, at
        at += 1
    return number, at
