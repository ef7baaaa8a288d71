r"""Rules of text features as one table of states, which a kernel walks byte by byte: no text needs Python or SQL.

The patterns are those that ``text_values`` takes for safe: letters, classes, groups, ``|``, ``? * +``, ``\b``, ``^`` and ``$``,
whatever the case of ASCII letters. They become a nondeterministic automaton (Thompson 1968), and that a deterministic one by the
construction of subsets (Rabin and Scott 1959). A state also knows whether the letter before it belongs to a word, and the first
rule that has matched so far.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

MAX_STATES = 2000  # a table of more would not stay in a processor's cache
BYTES = 128  # of ASCII
_WORD = frozenset((string.ascii_letters + string.digits + "_").encode())
_DIGITS = frozenset(string.digits.encode())
_ALL = frozenset(range(BYTES))
_CLASSES = {"d": _DIGITS, "w": _WORD, "D": _ALL - _DIGITS, "W": _ALL - _WORD}
_BOUNDARY, _INSIDE, _BEGIN, _END = "\\b", "\\B", "^", "$"
_AT_BEGIN, _AFTER_WORD, _AFTER_OTHER = range(3)
_AT_END, _BEFORE_WORD, _BEFORE_OTHER = range(3)
Letters = frozenset[int]


class _UnsupportedError(Exception):
    """A pattern has a part that no state stands for."""


@dataclass(frozen=True)
class TextAutomaton:
    """Table of states, of which 0 is the first.

    ``groups`` (128,): group of each byte, of g groups that all patterns treat alike; ``moves`` (states, g): the next state;
    ``outcomes`` (states,): number of the first rule that matches a text that ends there, -1 for none; ``values``
    (states,): the value of that rule.
    """

    groups: NDArray[np.uint8]
    moves: NDArray[np.int16]
    outcomes: NDArray[np.int64]
    values: NDArray[np.float64]

    def first_match(self, text: str) -> int:
        """Number of the first rule that matches the ASCII ``text``, which is not empty; -1 for none."""
        state = 0
        for code in text.encode("ascii"):
            state = self.moves[state, self.groups[code]]
        return int(self.outcomes[state])


@dataclass
class _Network:
    """States of all patterns: ``free`` ways (a condition, or none, and a state), and ``read`` ways (letters and a state)."""

    free: list[list[tuple[str, int]]] = field(default_factory=list)
    read: list[list[tuple[Letters, int]]] = field(default_factory=list)
    accepts: dict[int, int] = field(default_factory=dict)

    def state(self) -> int:
        self.free.append([])
        self.read.append([])
        return len(self.free) - 1


class _Pattern:
    """Parser of one pattern; each method adds a part to ``network`` and returns its first and its last state."""

    def __init__(self, pattern: str, network: _Network) -> None:
        self._text, self._at, self._network = pattern, 0, network

    def whole(self) -> tuple[int, int]:
        made = self._alternatives()
        if self._at < len(self._text):
            raise _UnsupportedError
        return made

    def _next(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self) -> str:
        self._at += 1
        if self._at > len(self._text):
            raise _UnsupportedError
        return self._text[self._at - 1]

    def _alternatives(self) -> tuple[int, int]:
        network = self._network
        first, last = network.state(), network.state()
        while True:
            begin, end = self._sequence()
            network.free[first].append(("", begin))
            network.free[end].append(("", last))
            if self._next() != "|":
                return first, last
            self._at += 1

    def _sequence(self) -> tuple[int, int]:
        first = last = self._network.state()
        while self._next() not in ("", "|", ")"):
            begin, end = self._repeated()
            self._network.free[last].append(("", begin))
            last = end
        return first, last

    def _repeated(self) -> tuple[int, int]:
        network, (begin, end) = self._network, self._part()
        mark = self._next()
        if mark not in ("?", "*", "+") or not mark:
            return begin, end
        if any(condition for condition, _ in network.free[begin]):
            raise _UnsupportedError  # a repeated assertion
        self._at += 1
        first, last = network.state(), network.state()
        network.free[first].append(("", begin))
        network.free[end].append(("", last))
        if mark != "+":
            network.free[first].append(("", last))
        if mark != "?":
            network.free[end].append(("", begin))
        return first, last

    def _part(self) -> tuple[int, int]:
        letter = self._take()
        if letter == "(":
            if self._text.startswith("?:", self._at):
                self._at += 2
            made = self._alternatives()
            if self._take() != ")":
                raise _UnsupportedError
            return made
        first, last = self._network.state(), self._network.state()
        if letter in (_BEGIN, _END):
            self._network.free[first].append((letter, last))
        elif letter == "\\" and self._next() in ("b", "B"):
            self._network.free[first].append((letter + self._take(), last))
        else:
            self._network.read[first].append((self._letters(letter), last))
        return first, last

    def _letters(self, letter: str) -> Letters:
        if letter == ".":
            return _ALL - {10}
        if letter == "[":
            return self._class()
        if letter == "\\":
            letter = self._take()
            if letter in _CLASSES:
                return _CLASSES[letter]
            if letter.isalnum():
                raise _UnsupportedError
        elif letter in "?*+{}]":
            raise _UnsupportedError
        return _either_case(frozenset(letter.encode("ascii")))

    def _class(self) -> Letters:
        content = self._text[self._at : self._text.index("]", self._at)]
        self._at += len(content) + 1
        found, at = set[int](), 0
        while at < len(content):
            low = high = content[at]
            at += 1
            if content[at : at + 1] == "-" and at + 1 < len(content):
                high = content[at + 1]
                at += 2
            found |= set(range(ord(low), ord(high) + 1))
        if not content or not content.isascii() or content[0] == "^" or "\\" in content or "[" in content:
            raise _UnsupportedError
        return _either_case(frozenset(found))


def _either_case(letters: Letters) -> Letters:
    return frozenset(ord(case) for code in letters for case in (chr(code).lower(), chr(code).upper()))


def text_automaton(patterns: Sequence[str], values: Sequence[float]) -> TextAutomaton | None:
    """The automaton of ``patterns``, the first of which counts that matches somewhere in a text; None for one that is too large.

    ``values`` are those of the patterns, and of a text that none matches.
    """
    network = _Network()
    try:
        begins = []
        for number, pattern in enumerate(patterns):
            first, last = _Pattern(pattern, network).whole()
            begins.append(first)
            network.accepts[last] = number
    except (_UnsupportedError, ValueError):
        return None
    return _Subsets(network, begins).table(values)


class _Subsets:
    """The states of the deterministic automaton: sets of states of ``network``, bit by bit, with what came before."""

    def __init__(self, network: _Network, begins: list[int]) -> None:
        self._network = network
        self._begins = sum(1 << state for state in begins)
        groups: dict[tuple[bool, ...], list[int]] = {}
        sets = [_WORD, *{letters for ways in network.read for letters, _ in ways}]
        for code in range(BYTES):
            groups.setdefault(tuple(code in letters for letters in sets), []).append(code)
        self._groups = list(groups.values())
        self._reached: dict[tuple[int, int, int], tuple[int, int]] = {}

    def table(self, values: Sequence[float]) -> TextAutomaton | None:
        """All states that a text can lead to; None where they are too many."""
        numbers = {(self._begins, _AT_BEGIN, len(self._network.accepts)): 0}
        waiting, moves, outcomes = list(numbers), list[int](), list[int]()
        while waiting:
            here = waiting.pop(0)
            ended = min(here[2], self._closed(here[0], here[1], _AT_END)[1])
            outcomes.append(ended if ended < len(self._network.accepts) else -1)
            reached = {after: self._closed(here[0], here[1], after) for after in (_BEFORE_WORD, _BEFORE_OTHER)}
            for codes in self._groups:
                following = self._after(here[2], *reached[_BEFORE_WORD if codes[0] in _WORD else _BEFORE_OTHER], codes[0])
                if following not in numbers:
                    numbers[following] = len(numbers)
                    waiting.append(following)
                moves.append(numbers[following])
            if len(numbers) > MAX_STATES:
                return None
        group_of = np.empty(BYTES, np.uint8)
        for number, codes in enumerate(self._groups):
            group_of[codes] = number
        table, matched = np.array(moves, np.int16).reshape(-1, len(self._groups)), np.array(outcomes, np.int64)
        return TextAutomaton(group_of, table, matched, np.array(values, np.float64)[matched])

    def _after(self, matched: int, reached: int, accepted: int, code: int) -> tuple[int, int, int]:
        matched = min(matched, accepted)
        if not matched:
            return 0, _AFTER_OTHER, 0  # nothing comes before the first rule
        following = self._begins
        for state in _bits(reached):
            for letters, target in self._network.read[state]:
                if code in letters:
                    following |= 1 << target
        return following, _AFTER_WORD if code in _WORD else _AFTER_OTHER, matched

    def _closed(self, states: int, before: int, after: int) -> tuple[int, int]:
        """All states that are reached from ``states`` without reading, and the first rule that is accepted there."""
        reached, accepted = 0, len(self._network.accepts)
        for state in _bits(states):
            more, rule = self._closed_one(state, before, after)
            reached |= more
            accepted = min(accepted, rule)
        return reached, accepted

    def _closed_one(self, state: int, before: int, after: int) -> tuple[int, int]:
        key = state, before, after
        if key not in self._reached:
            at_boundary = (before == _AFTER_WORD) != (after == _BEFORE_WORD)
            holds = {"": True, _BOUNDARY: at_boundary, _INSIDE: not at_boundary}
            holds |= {_BEGIN: before == _AT_BEGIN, _END: after == _AT_END}
            seen, left, accepted = 0, [state], len(self._network.accepts)
            while left:
                here = left.pop()
                if seen >> here & 1:
                    continue
                seen |= 1 << here
                accepted = min(accepted, self._network.accepts.get(here, accepted))
                left += [target for condition, target in self._network.free[here] if holds[condition]]
            useful = sum(1 << here for here in _bits(seen) if self._network.read[here])
            self._reached[key] = useful, accepted
        return self._reached[key]


def _bits(number: int) -> list[int]:
    found = []
    while number:
        lowest = number & -number
        found.append(lowest.bit_length() - 1)
        number ^= lowest
    return found
