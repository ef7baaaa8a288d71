"""Taking some of many things spread over all of them: which come first, and how much of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import gcd
from typing import Protocol, Self, TypeVar

PLACES = 8  # files, or row groups of a file, that a sample of a large source is taken from
GOLDEN = 0.6180339887498949  # steps of this share of a circle leave no large gap, however many are taken


class SourcePiece(Protocol):
    """Some consecutive records of a file; ``place``: number of the file, and of its first record there."""

    @property
    def place(self) -> tuple[int, int]: ...

    def __len__(self) -> int: ...

    def part(self, first: int, records: int) -> Self:
        """At most ``records`` of its records from ``first`` on."""
        ...


SourcePieceT = TypeVar("SourcePieceT", bound=SourcePiece)
Place = Callable[[int], Iterator[SourcePieceT]]  # opens a file or row group; its argument: records that a piece may have


def spread_order(count: int) -> list[int]:
    """The numbers 0 to ``count`` - 1 in an order whose every beginning is spread over all of them; 0 comes first."""
    step = max(1, round(count * GOLDEN))
    while gcd(step, count) > 1:
        step += 1
    return [number * step % count for number in range(count)]


def spread_sample(places: Sequence[Place[SourcePieceT]], most: int) -> list[SourcePieceT]:
    """Pieces of ``places`` with up to ``most`` records together, in the order of the source."""
    taken: list[SourcePieceT] = []
    left = most
    for piece in in_turn(places, most):
        taken.append(piece.part(0, left))
        left -= len(taken[-1])
        if left <= 0:
            break
    return sorted(taken, key=lambda piece: piece.place)


def in_turn(places: Sequence[Place[SourcePieceT]], most: int) -> Iterator[SourcePieceT]:
    """Pieces of all ``places``: each gives its share of ``most`` records, in the order of :func:`spread_order`, then twice that.

    One place is open at a time, because an open row group may hold all of its bytes; the rounds after the first open it again.
    Whoever stops after ``most`` records has taken them from 8 large places, or from as many small ones as it takes.
    """
    share = max(1, -(-most // max(1, min(len(places), PLACES))))
    taken, turn, goal = dict.fromkeys(range(len(places)), 0), spread_order(len(places)), share
    while turn:
        for number in turn:
            for piece in _after(places[number](share), taken[number]):
                left = goal - taken[number]
                taken[number] += min(left, len(piece))
                yield piece.part(0, left)
                if left <= len(piece):
                    break
        turn = [number for number in turn if taken[number] == goal]
        goal += 2 * goal


def _after(pieces: Iterator[SourcePieceT], records: int) -> Iterator[SourcePieceT]:
    """The ``pieces`` after so many records; those that were taken are read again."""
    for piece in pieces:
        if records <= 0:
            yield piece
        elif records < len(piece):
            yield piece.part(records, len(piece))
        records -= len(piece)
