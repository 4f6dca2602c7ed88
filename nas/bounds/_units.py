"""A search space as independent units: stages whose latencies add up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from latency_lut.compiled import CompiledCost
from latency_lut.predict import half_interval_ms
from latency_lut.slots import Factor, Values
from nas.objectives import Objective
from searchspace.choices import Genotypes
from searchspace.protocols import Space

_MOST = 20_000  # configurations of one unit that are listed


@dataclass(frozen=True)
class Unit:
    """Some choices and every canonical setting of them: `genotypes` (n, choices), 0 elsewhere.

    `cost_ms` (n,) is what a setting adds to a lower bound of the upper end of the latency.
    """

    choices: tuple[int, ...]
    genotypes: Genotypes
    cost_ms: Values


@dataclass(frozen=True)
class Units:
    """The units of a space; every network within the budget has unit costs that sum to at most `room_ms`."""

    members: tuple[Unit, ...]
    room_ms: float


def split_into_units(objective: Objective) -> Units | None:
    """Return the units of the objective's space; None where one is too large to list or the cost is no table's."""
    limit = objective.limits[0]
    if not isinstance(limit.cost, CompiledCost):
        return None
    space, factors = objective.space, limit.cost.interval_factors()
    groups = _groups(space, [factor.scope for column in factors for factor in column])
    listed = [_listed(space, group) for group in groups]
    if any(one is None for one in listed):
        return None
    genotypes = [one for one in listed if one is not None]
    sums = [[_sums(column, group, batch) for column in factors] for group, batch in zip(groups, genotypes, strict=True)]
    constant = [sum(float(f.values) for f in column if not f.scope) for column in factors]
    slopes, room_ms = _linear(limit.cost, limit.value, sums, constant)
    units = (
        Unit(tuple(group), batch, slopes[0] * latency + slopes[1] * shared)
        for group, batch, (latency, _, shared) in zip(groups, genotypes, sums, strict=True)
    )
    return Units(tuple(units), room_ms)


def _groups(space: Space, scopes: Sequence[tuple[int, ...]]) -> list[list[int]]:
    """Return the choices that are tied by a factor or belong to one stage, group by group."""
    label = list(range(len(space.choices)))
    stages: dict[str, list[int]] = {}
    for number, choice in enumerate(space.choices):
        stages.setdefault(choice.path.split("/")[0], []).append(number)
    tied = [*map(list, scopes), *stages.values()]
    for scope in tied:
        for other in scope[1:]:
            old, new = label[other], label[scope[0]]
            label = [new if one == old else one for one in label]
    return [[i for i, one in enumerate(label) if one == group] for group in dict.fromkeys(label)]


def _listed(space: Space, group: Sequence[int]) -> Genotypes | None:
    radices = [int(space.radices[i]) for i in group]
    if np.prod(radices, dtype=float) > 8 * _MOST:
        return None
    batch = np.zeros((int(np.prod(radices)), len(space.choices)), dtype=np.uint8)
    batch[:, list(group)] = np.array(list(product(*map(range, radices))), dtype=np.uint8)
    found: Genotypes = np.unique(space.canonical(batch), axis=0)
    return found if len(found) <= _MOST else None


def _sums(factors: Sequence[Factor], group: Sequence[int], genotypes: Genotypes) -> Values:
    total = np.zeros(len(genotypes))
    for factor in factors:
        if factor.scope and factor.scope[0] in group:
            total += factor.values[tuple(genotypes[:, list(factor.scope)].T)]
    return total


def _linear(
    cost: CompiledCost, budget_ms: float, sums: Sequence[Sequence[Values]], constant: Sequence[float]
) -> tuple[tuple[float, float], float]:
    """Return the weights of latency and shared doubt, and the room left of the budget for their sum over units.

    With the variance at its least, the upper end is convex in latency and shared doubt, so that its tangent plane at a
    network near the budget lies below it everywhere.
    """
    made = cost.table.provenance
    latency, _, shared = (np.array([float(np.median(unit[i])) for unit in sums]).sum() for i in range(3))
    latency_ms, shared_ms = latency + constant[0] + cost.overhead_ms, shared + constant[2]
    least = constant[1] + sum(float(unit[1].min()) for unit in sums)
    for _ in range(20):  # towards a network at the budget, whose doubt grows with its latency
        high = latency_ms + half_interval_ms(latency_ms, least, shared_ms, made)
        latency_ms, shared_ms = latency_ms * budget_ms / high, shared_ms * budget_ms / high
    half = float(half_interval_ms(latency_ms, least, shared_ms, made))
    if half == 0:
        return (1.0, 0.0), budget_ms - constant[0] - cost.overhead_ms
    by_latency = 1 + float(half_interval_ms(1.0, 0.0, 0.0, made)) ** 2 * latency_ms / half
    by_shared = float(half_interval_ms(0.0, 0.0, 1.0, made)) ** 2 * shared_ms / half
    at_tangent = latency_ms + half - by_latency * latency_ms - by_shared * shared_ms
    fixed = by_latency * (constant[0] + cost.overhead_ms) + by_shared * constant[2] + at_tangent
    return (by_latency, by_shared), budget_ms - fixed
