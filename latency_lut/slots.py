"""Sums over the slots of a search space, for millions of genotypes a second.

Each slot (stem, layer, head) depends on few choices, so that what it adds to a network is a small table over them.
Slots are fused while their common table stays small; the sum of a network is then a handful of look-ups. The same
tables give the exact smallest and largest sum over the space, by eliminating one choice after another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import prod

import numpy as np
from numpy.typing import ArrayLike, NDArray

from searchspace.choices import Genotypes
from searchspace.ops import Op
from searchspace.space import SearchSpace
from searchspace.support.errors import UserError

_LARGEST_FUSED = 4096  # cells of a fused table, 32 KiB: all tables of a space stay in the second-level cache
_LARGEST_ELIMINATED = 1 << 25  # cells of a table met while finding extremes, 256 MiB
_CHUNK = 2048  # genotypes priced at once: the arrays between the steps stay in cache

Values = NDArray[np.float64]
OpCost = Callable[[Op], float]


@dataclass(frozen=True)
class Factor:
    """What some slots add: `values` has one axis for each choice in `scope`, whose indices rise."""

    scope: tuple[int, ...]
    values: Values


def _sum_of(factors: Sequence[Factor]) -> Factor:
    """Return the sum of factors over the union of their choices."""
    scope = tuple(sorted({choice for factor in factors for choice in factor.scope}))
    total = np.zeros([1] * len(scope))
    for factor in factors:
        lengths = dict(zip(factor.scope, factor.values.shape, strict=True))
        total = total + factor.values.reshape([lengths.get(choice, 1) for choice in scope])
    return Factor(scope, total)


def _slot_factors(space: SearchSpace, costs: Sequence[OpCost]) -> list[list[Factor]]:
    """Return, for each cost, one factor for each slot; a cost that raises (an unmeasured op) ends it."""
    op_costs: dict[Op, tuple[float, ...]] = {}
    nothing = [0.0] * len(costs)
    # By identity: a space hands out one tuple for equal layers, and hashing its ops costs more than pricing them.
    # The tuple is kept beside its sums so that no other object can take over its identity.
    layer_costs: dict[int, tuple[tuple[Op, ...], list[float]]] = {}

    def op_priced(op: Op) -> tuple[float, ...]:
        known = op_costs.get(op)
        if known is None:
            known = op_costs[op] = tuple(cost(op) for cost in costs)
        return known

    def layer_priced(ops: tuple[Op, ...]) -> list[float]:
        known = layer_costs.get(id(ops))
        if known is None:
            sums = [sum(column) for column in zip(*map(op_priced, ops), strict=True)]
            known = layer_costs[id(ops)] = ops, sums or nothing
        return known[1]

    factors: list[list[Factor]] = [[] for _ in costs]
    for slot in space.slots:
        shape = [int(space.radices[choice]) for choice in slot.depends]
        columns = np.array([layer_priced(ops) for ops in space.slot_table(slot)], dtype=np.float64).T
        for of_cost, column in zip(factors, columns, strict=True):
            of_cost.append(Factor(slot.depends, column.reshape(shape)))
    return factors


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

    def __init__(self, space: SearchSpace, costs: Sequence[OpCost]) -> None:
        self.space = space
        self._factors = _slot_factors(space, costs)
        groups = _fusion([slot.depends for slot in space.slots], space.radices)
        fused = [[_sum_of([slots[i] for i in group]) for group in groups] for slots in self._factors]
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
        sign = -1.0 if largest else 1.0
        remaining = [Factor(factor.scope, sign * factor.values) for factor in self._factors[cost]]
        eliminated: list[tuple[int, tuple[int, ...], NDArray[np.intp]]] = []
        while choice_left := sorted({choice for factor in remaining for choice in factor.scope}):
            choice = min(choice_left, key=lambda c: (self._joined_size(remaining, c), c))
            if self._joined_size(remaining, choice) > _LARGEST_ELIMINATED:
                raise UserError(f"the choices of {self.space.name} are too entangled to find its extremes")
            joined = _sum_of([factor for factor in remaining if choice in factor.scope])
            axis = joined.scope.index(choice)
            rest = joined.scope[:axis] + joined.scope[axis + 1 :]
            eliminated.append((choice, rest, joined.values.argmin(axis)))
            remaining = [factor for factor in remaining if choice not in factor.scope]
            remaining.append(Factor(rest, joined.values.min(axis)))
        genotype = np.zeros(len(self.space.choices), dtype=np.uint8)
        for choice, rest, best in reversed(eliminated):
            genotype[choice] = best[tuple(genotype[list(rest)])]
        canonical: Genotypes = self.space.canonical(genotype[None])[0]
        return canonical

    def _joined_size(self, factors: Sequence[Factor], choice: int) -> int:
        scope = {c for factor in factors if choice in factor.scope for c in factor.scope}
        return prod(int(self.space.radices[c]) for c in scope)
