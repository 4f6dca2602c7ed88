"""The largest and the smallest network of a space, by multiply-adds, exactly."""

from __future__ import annotations

from searchspace.choices import Genotypes
from searchspace.slot_tables import Factor, extreme, slot_factors
from searchspace.space import SearchSpace


def largest(space: SearchSpace) -> Genotypes:
    """Return the genotype, shape (choices,), with the most multiply-adds; raises UserError as `extreme` does."""
    return extreme(space, _madds(space), largest=True)


def smallest(space: SearchSpace) -> Genotypes:
    """Return the genotype, shape (choices,), with the fewest multiply-adds; raises UserError as `extreme` does."""
    return extreme(space, _madds(space))


def _madds(space: SearchSpace) -> list[Factor]:
    (factors,) = slot_factors(space, [lambda op: float(op.madds)])
    return factors
