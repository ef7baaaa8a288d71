"""Closeness of predicted ages to the true ones, by which the leak rule tells a copy of the age."""

from __future__ import annotations

from dataclasses import dataclass

from predict_age.tally import percent

LEAK_NEAR_SKILL = 0.95  # of twenty people whom a constant misses by years, a copy of the age misses at most one


@dataclass(frozen=True)
class Closeness:
    """Distance of predicted ages from the true ones of ``rows`` people among whom no age dominates.

    ``near``: share of people less than ``years`` + 1 off; ``constant_near``: the largest share that one constant has so near;
    ``beyond``: error beyond ``years``, relative to that of the constant median; ``exact``, ``constant_exact``: shares hit exactly.
    """

    rows: int
    years: int
    near: float
    constant_near: float
    beyond: float
    exact: float
    constant_exact: float

    @property
    def near_skill(self) -> float:
        """Share of the people whom the best constant misses by more that are near."""
        return (self.near - self.constant_near) / (1 - self.constant_near) if self.constant_near < 1 else 0.0

    @property
    def exact_skill(self) -> float:
        """Share of the ages hit among those that the commonest age does not hit: 0 for a constant, 1 for a copy of the age."""
        return (self.exact - self.constant_exact) / (1 - self.constant_exact) if self.constant_exact < 1 else 0.0

    @property
    def sentence(self) -> str:
        """The shares in words."""
        near = f"{percent(self.near)} within {self.years} years (a constant: {percent(self.constant_near)}), " if self.years else ""
        return f"of {self.rows:,} ages {near}{percent(self.exact)} exact (a constant: {percent(self.constant_exact)})"

    def is_the_age(self, error_share: float, exact_share: float) -> bool:
        """Whether only the age itself, in whatever form, is so near; 0 disables a criterion."""
        is_near = self.near_skill >= LEAK_NEAR_SKILL and self.beyond <= error_share
        return (bool(error_share) and is_near) or (bool(exact_share) and self.exact_skill >= exact_share)
