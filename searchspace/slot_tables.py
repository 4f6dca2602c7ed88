"""Additive costs of a space as small tables, one for each slot, and their exact extremes.

Each slot (stem, layer, head) depends on few choices, so that what it adds to a network is a small table over them. The
tables give the exact smallest and largest sum over the space by eliminating one choice after another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from searchspace.choices import Genotypes
from searchspace.ops import Op
from searchspace.protocols import Space
from searchspace.support.errors import UserError

_LARGEST_ELIMINATED = 1 << 25  # cells of a table met while finding extremes, 256 MiB

Values = NDArray[np.float64]
OpCost = Callable[[Op], float]


@dataclass(frozen=True)
class Factor:
    """What some slots add: `values` has one axis for each choice in `scope`, whose indices rise."""

    scope: tuple[int, ...]
    values: Values


def sum_of(factors: Sequence[Factor]) -> Factor:
    """Return the sum of factors over the union of their choices."""
    scope = tuple(sorted({choice for factor in factors for choice in factor.scope}))
    total = np.zeros([1] * len(scope))
    for factor in factors:
        lengths = dict(zip(factor.scope, factor.values.shape, strict=True))
        total = total + factor.values.reshape([lengths.get(choice, 1) for choice in scope])
    return Factor(scope, total)


def slot_factors(space: Space, costs: Sequence[OpCost]) -> list[list[Factor]]:
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


def extreme(space: Space, factors: Sequence[Factor], largest: bool = False) -> Genotypes:
    """Return a canonical genotype, shape (choices,), with the exactly smallest or largest sum of `factors`.

    Raises UserError where the choices of the space are too entangled for that.
    """
    sign = -1.0 if largest else 1.0
    remaining = [Factor(factor.scope, sign * factor.values) for factor in factors]
    eliminated: list[tuple[int, tuple[int, ...], NDArray[np.intp]]] = []
    while choice_left := sorted({choice for factor in remaining for choice in factor.scope}):
        choice = min(choice_left, key=lambda c: (_joined_size(space, remaining, c), c))
        if _joined_size(space, remaining, choice) > _LARGEST_ELIMINATED:
            raise UserError(f"the choices of {space.name} are too entangled to find its extremes")
        joined = sum_of([factor for factor in remaining if choice in factor.scope])
        axis = joined.scope.index(choice)
        rest = joined.scope[:axis] + joined.scope[axis + 1 :]
        eliminated.append((choice, rest, joined.values.argmin(axis)))
        remaining = [factor for factor in remaining if choice not in factor.scope]
        remaining.append(Factor(rest, joined.values.min(axis)))
    genotype = np.zeros(len(space.choices), dtype=np.uint8)
    for choice, rest, best in reversed(eliminated):
        genotype[choice] = best[tuple(genotype[list(rest)])]
    canonical: Genotypes = space.canonical(genotype[None])[0]
    return canonical


def _joined_size(space: Space, factors: Sequence[Factor], choice: int) -> int:
    scope = {c for factor in factors if choice in factor.scope for c in factor.scope}
    return prod(int(space.radices[c]) for c in scope)
