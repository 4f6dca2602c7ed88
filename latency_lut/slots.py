"""Sums over the slots of a search space, for millions of genotypes a second.

Each slot (stem, layer, head) depends on few choices, so that what it adds to a network is a small table over them.
Slots are fused while their common table stays small; the sum of a network is then a handful of look-ups.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import prod

import numpy as np
from numpy.typing import ArrayLike, NDArray

from searchspace.choices import Genotypes
from searchspace.protocols import Space
from searchspace.slot_tables import Factor, OpCost, Values, extreme, slot_factors, sum_of

_LARGEST_FUSED = 4096  # cells of a fused table, 32 KiB: all tables of a space stay in the second-level cache
_CHUNK = 2048  # genotypes priced at once: the arrays between the steps stay in cache

__all__ = ["Factor", "SlotSums", "Values"]


def _fusion(scopes: Sequence[tuple[int, ...]], radices: NDArray[np.int64]) -> list[list[int]]:
    """Group slots, by number, so that few groups remain and each one's common table is small.

    Greedy: the two groups whose common table is smallest are joined until none is small enough.
    """
    groups = [([number], frozenset(scope)) for number, scope in enumerate(scopes)]
    while len(groups) > 1:
        sizes = {
            (i, j): prod(int(radices[choice]) for choice in groups[i][1] | groups[j][1])
            for i, j in combinations(range(len(groups)), 2)
        }
        i, j = min(sizes, key=lambda pair: (sizes[pair], pair))
        if sizes[i, j] > _LARGEST_FUSED:
            break
        numbers, scope = groups.pop(j)
        groups[i] = groups[i][0] + numbers, groups[i][1] | scope
    return [numbers for numbers, _ in groups]


class SlotSums:
    """Several additive costs of every network of a space, compiled for batches.

    Raises what a cost raises, such as UnmeasuredOp.
    """

    def __init__(self, space: Space, costs: Sequence[OpCost]) -> None:
        self.space = space
        self._factors = slot_factors(space, costs)
        groups = _fusion([slot.depends for slot in space.slots], space.radices)
        fused = [[sum_of([slots[i] for i in group]) for group in groups] for slots in self._factors]
        self._tables = [np.concatenate([factor.values.ravel() for factor in column]) for column in fused]
        # Index of a group's cell in the joined tables = genotype . strides + start; float32 holds it exactly.
        self._strides = np.zeros((len(space.choices), len(groups)), dtype=np.float32)
        self._starts = np.zeros(len(groups), dtype=np.float32)
        start = 0
        for group, factor in enumerate(fused[0]):
            stride = factor.values.size
            for choice, length in zip(factor.scope, factor.values.shape, strict=True):
                stride //= length
                self._strides[choice, group] = stride
            self._starts[group] = start
            start += factor.values.size
        assert start < 1 << 24
        self._limits = space.radices.astype(np.uint8)

    def __call__(self, genotypes: ArrayLike, costs: Sequence[int] | None = None) -> tuple[Values, ...]:
        """Return the sums of the chosen costs (all by default), each of shape (n,).

        `genotypes` have shape (n, choices) and canonical form. Raises UserError where the shape or a value index
        does not fit the space.
        """
        batch = np.asarray(genotypes)
        if batch.ndim != 2 or batch.shape[1] != len(self._limits) or batch.dtype != np.uint8:
            batch = self.space.check(batch)
        tables = [self._tables[number] for number in (range(len(self._tables)) if costs is None else costs)]
        sums = tuple(np.empty(len(batch)) for _ in tables)
        for start in range(0, len(batch), _CHUNK):
            cells = self._cells(batch[start : start + _CHUNK])
            for table, total in zip(tables, sums, strict=True):
                # The cells are known to exist; "clip" only spares a second check of them.
                total[start : start + _CHUNK] = table.take(cells, mode="clip").sum(axis=1)
        return sums

    def factors(self, cost: int = 0) -> tuple[Factor, ...]:
        """Return what each slot adds to one cost."""
        return tuple(self._factors[cost])

    def _cells(self, batch: Genotypes) -> NDArray[np.intp]:
        if (batch >= self._limits).any():
            self.space.check(batch)
        return (batch.astype(np.float32) @ self._strides + self._starts).astype(np.intp)

    def extreme(self, cost: int = 0, largest: bool = False) -> Genotypes:
        """Return a canonical genotype, shape (choices,), with the exactly smallest or largest sum of one cost."""
        return extreme(self.space, self._factors[cost], largest)
