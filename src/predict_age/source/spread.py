"""Taking some of many things spread over all of them: which come first, and how much of each."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
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
    """Pieces of all ``places``: of each its share of ``most`` records, in the order of :func:`spread_order`, then the rest of each.

    A place is opened when its turn comes. Whoever stops after ``most`` records has taken them from 8 large places, or from as many
    small ones as it takes.
    """
    share = -(-most // max(1, min(len(places), PLACES)))
    opened: deque[Iterator[SourcePieceT]] = deque()
    for number in spread_order(len(places)):
        pieces, left = places[number](share), share
        for piece in pieces:
            if left <= len(piece):
                yield piece.part(0, left)
                opened.append(_divided(chain([piece.part(left, len(piece))], pieces), share))
                break
            yield piece
            left -= len(piece)
    while opened:
        pieces = opened.popleft()
        if (rest := next(pieces, None)) is not None:
            yield rest
            opened.append(pieces)


def _divided(pieces: Iterator[SourcePieceT], most: int) -> Iterator[SourcePieceT]:
    """The records of ``pieces``, at most ``most`` in each."""
    for piece in pieces:
        for first in range(0, len(piece), most):
            yield piece.part(first, most)
