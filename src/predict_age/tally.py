"""Counters and histograms that batches record and that add up exactly, so that the report need not read the rows again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

HIGH_QUALITY_PCT = 60
AGE_BINS = 121  # whole years 0..120
PCT_BINS = 20  # confidence_pct in steps of 5; 100 is in the last
LOWEST_CLASS_OF_PEOPLE = 5  # stands for 5 to 19 people in a record that has to tell some from hardly any
SHOWN_FOR_FEW = 10  # stands for 1 to 19 people where a source is described
MIN_SHOWN_PEOPLE = 20  # a value of people's data is written down, outside their own rows, only when so many share it
_PLURALS = {
    "is": "are",
    "was": "were",
    "has": "have",
    "lies": "lie",
    "reads": "read",
    "an age": "ages",
    "batch": "batches",
    "hash": "hashes",
    "person": "people",
}
DASH = "\N{EN DASH}"  # stands for a number that is not known


@dataclass
class Tally:
    """Named counters and named histograms. ``a + b`` is the tally of both; the order of additions does not matter."""

    counts: dict[str, int] = field(default_factory=dict)
    histograms: dict[str, list[int]] = field(default_factory=dict)

    def __add__(self, other: Tally) -> Tally:
        counts = Counter(self.counts)
        counts.update(other.counts)
        histograms = dict(self.histograms)
        for name, bins in other.histograms.items():
            own_bins = histograms.get(name)
            histograms[name] = list(bins) if own_bins is None else [a + b for a, b in zip(own_bins, bins, strict=True)]
        return Tally(dict(counts), histograms)

    def count(self, name: str) -> int:
        """The value of a counter; 0 when it was never incremented."""
        return self.counts.get(name, 0)

    def group(self, prefix: str) -> dict[str, int]:
        """Counters named ``prefix:name`` as {name: count}."""
        start = prefix + ":"
        return {k.removeprefix(start): v for k, v in sorted(self.counts.items()) if k.startswith(start)}


def sum_tallies(tallies: Iterable[Tally]) -> Tally:
    """The sum of all tallies."""
    total = Tally()
    for tally in tallies:
        total = total + tally
    return total


def fold_small_counts(counts: Mapping[str, int], rest: str, kept: Collection[str] = ()) -> dict[str, int]:
    """Counts of people by value, with values of fewer than 20 people under ``rest``, which has none or at least 20 itself.

    Where only a few people are left over, the smallest shown value joins them: its count and the total would give them away.
    ``kept`` are keys that are no values and stay as they are.
    """
    small = {k: n for k, n in counts.items() if n < MIN_SHOWN_PEOPLE and k != rest and k not in kept}
    shown = {k: n for k, n in counts.items() if k != rest and k not in small}
    folded = counts.get(rest, 0) + sum(small.values())
    for key in sorted((k for k in shown if k not in kept), key=lambda k: (shown[k], k)):
        if not 0 < folded < MIN_SHOWN_PEOPLE:
            break
        folded += shown.pop(key)
    return {**shown, rest: folded} if folded or rest in counts else shown


def fold_part(part: int, whole: int) -> int:
    """Number of people that may be written down for a ``part`` of the ``whole``, which may be: never larger than the part.

    5 stands for 5 to 19 people, 0 for fewer; where the rest has 1 to 19, the number is as much smaller as if it had 20.
    """
    rest = whole - part
    shown = whole - MIN_SHOWN_PEOPLE if 0 < rest < MIN_SHOWN_PEOPLE else part
    if shown >= MIN_SHOWN_PEOPLE:
        return shown
    return LOWEST_CLASS_OF_PEOPLE if part >= LOWEST_CLASS_OF_PEOPLE else 0


def fewest_sharing(people: int) -> int:
    """Number of ``people`` who must have a key for it to be named: 20, or half of them where there are fewer than 40."""
    return max(1, min(MIN_SHOWN_PEOPLE, -(-people // 2)))


def shown_parts(parts: Mapping[str, int]) -> dict[str, int]:
    """Numbers of people in parts of a whole as they may be shown: 10 stands for 1 to 19, and the largest part makes up for it.

    The sum stays the same, so that no part follows from the others. Where the largest would become one of fewer than 20, all parts
    that are not empty are shown as equal.
    """
    shown = {key: SHOWN_FOR_FEW if 0 < people < MIN_SHOWN_PEOPLE else people for key, people in parts.items()}
    largest = max(parts, key=lambda key: parts[key], default="")
    whole = sum(parts.values())
    if shown == dict(parts) or sum(people > 0 for people in parts.values()) == 1:
        return dict(parts)
    shown[largest] += whole - sum(shown.values())
    if min(shown[largest], parts[largest]) >= MIN_SHOWN_PEOPLE:
        return shown
    filled = [key for key, people in parts.items() if people]
    return {key: whole // len(filled) + (filled.index(key) < whole % len(filled)) if key in filled else 0 for key in parts}


def part_in_words(part: int, whole: int) -> str:
    """The ``part`` of the ``whole`` in words that count at least 20 people, or nobody: "all but a few of 2,000"."""
    rest = whole - part
    if part and rest and whole < 2 * MIN_SHOWN_PEOPLE:
        return f"some of {whole:,}"
    if 0 < part < MIN_SHOWN_PEOPLE:
        return f"fewer than {MIN_SHOWN_PEOPLE} of {whole:,}"
    if 0 < rest < MIN_SHOWN_PEOPLE:
        return f"all but a few of {whole:,}"
    return f"{part:,} of {whole:,}"


def number_of_people(shown: int) -> str:
    """A shown number of people: "fewer than 20" where it stands for so many."""
    return f"fewer than {MIN_SHOWN_PEOPLE}" if 0 < shown < MIN_SHOWN_PEOPLE else f"{shown:,}"


def in_number(number: int, word: str) -> str:
    """A noun or verb in the singular or plural that ``number`` asks for; ``word`` is its singular."""
    return word if number == 1 else _PLURALS.get(word, f"{word}s")


def counted(number: int, noun: str) -> str:
    """``number`` and ``noun``: 1 worker, 2 workers."""
    return f"{number:,} {in_number(number, noun)}"


def percent(share: float, digits: int = 1) -> str:
    """A share (0..1) as every text and page writes it: "90.5 %"."""
    return f"{share * 100:.{digits}f} %"


def number_or_dash(value: float | None, text: str) -> str:
    """``value`` in the format ``text``, or a dash where there is none."""
    return DASH if value is None or value != value else text.format(value)  # noqa: PLR0124 - NaN is unequal to itself


def share_or_dash(share: float | None) -> str:
    """A share (0..1) in percent, or a dash where there is none."""
    return DASH if share is None or share != share else percent(share)  # noqa: PLR0124 - NaN is unequal to itself


def times_as_often(rate: float) -> str:
    """The ``rate`` of something in words: "0.34 times as often", and "as often" where it rounds to 1."""
    shown = f"{rate:.2g}"
    return "as often" if shown == "1" else f"{shown} times as often"


def share_in_words(part: int, whole: int) -> str:
    """Share of a shown part: "<0.5 %" where it stands for fewer than 20 people, and ">99.5 %" where the rest does."""
    rest, limit = whole - part, MIN_SHOWN_PEOPLE / max(whole, 1)
    if part and rest and whole < 2 * MIN_SHOWN_PEOPLE:
        return "some"
    if 0 < part < MIN_SHOWN_PEOPLE:
        return f"<{percent(max(limit, 0.001))}"
    if 0 < rest < MIN_SHOWN_PEOPLE:
        return f">{percent(min(1 - limit, 0.999))}"
    return percent(part / max(whole, 1))


def fold_tails(counts: Sequence[int]) -> list[int]:
    """Histogram of people whose first and last bins that are not empty hold at least 20: the extremes are those of single people.

    People further out are counted in these bins; with fewer than 20 people in all, in the middle one of them.
    """
    if sum(counts) < 2 * MIN_SHOWN_PEOPLE:
        middle = next((i for i in range(len(counts)) if 2 * sum(counts[: i + 1]) >= sum(counts)), 0)
        return [sum(counts) if i == middle else 0 for i in range(len(counts))]
    folded = list(counts)
    for order in (range(len(folded)), range(len(folded) - 1, -1, -1)):
        outside = 0
        for at in order:
            outside += folded[at]
            folded[at] = 0
            if outside >= MIN_SHOWN_PEOPLE:
                folded[at] = outside
                break
    return folded


def pooled(counts: Sequence[int]) -> list[float]:
    """Histogram of people in which neighbouring bins share their mean, so that no step of the picture stands for fewer than 20.

    Bins without anybody stay empty between two such groups. With fewer than 20 people in all, every bin is empty.
    """
    heights = [0.0] * len(counts)
    if sum(counts) < MIN_SHOWN_PEOPLE:
        return heights
    groups: list[tuple[int, int, int]] = []  # first bin, bin after the last, people
    for at, people in enumerate(counts):
        if not people:
            continue
        if groups and groups[-1][2] < MIN_SHOWN_PEOPLE:
            first, _, before = groups.pop()
            groups.append((first, at + 1, before + people))
        else:
            groups.append((at, at + 1, people))
    if len(groups) > 1 and groups[-1][2] < MIN_SHOWN_PEOPLE:
        _, end, people = groups.pop()
        first, _, before = groups.pop()
        groups.append((first, end, before + people))
    for first, end, people in groups:
        heights[first:end] = [people / (end - first)] * (end - first)
    return heights
