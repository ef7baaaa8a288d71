"""Counters and histograms that batches record and that add up exactly, so that the report need not read the rows again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

HIGH_QUALITY_PCT = 60
AGE_BINS = 121  # whole years 0..120
PCT_BINS = 20  # confidence_pct in steps of 5; 100 is in the last


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
