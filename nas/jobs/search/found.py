"""What a search finds: the winner, the front, and how far it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from nas.objectives import Objective, Results, Values, front_of
from searchspace.architecture import Architecture
from searchspace.choices import Genotypes
from searchspace.space import staged
from searchspace.support.errors import UserError


@dataclass(frozen=True, kw_only=True)
class FoundNetwork:
    """One network a search found: top-1 in percent, latency with its 90 % interval in ms."""

    architecture: Architecture
    genotype: tuple[int, ...]
    top1: float
    latency_ms: float
    low_ms: float
    high_ms: float


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """The most accurate network within the budget, the front around it, fastest first, and all that was evaluated."""

    winner: FoundNetwork
    front: tuple[FoundNetwork, ...]
    evaluations: int
    evaluated: Results = field(compare=False)


FrontCosts = Callable[[Genotypes], Sequence[Values]]
"""Gives the metrics that a front trades against top-1: genotypes of shape (n, choices) in, arrays of shape (n,) out."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a search is: networks evaluated of how many, and the best within the budget so far (None: none yet).

    `front` is how many networks stand on the front of top-1 and latency.
    """

    evaluations: int
    total: int
    top1: float | None
    latency_ms: float | None
    front: int = 0


def result_of(objective: Objective, results: Results, front: FrontCosts | None = None) -> SearchResult:
    """Return the winner and the front of evaluated networks, one of which at least keeps the budget."""
    best = objective.best(results)
    if best is None:
        raise UserError(f"none of the {len(results):,} networks evaluated fits {objective.budget_ms:g} ms")
    costs = [results.latency_ms] if front is None else front(results.genotypes)
    chosen = tuple(found_network(objective, results, int(index)) for index in front_of(results.top1, costs))
    return SearchResult(
        winner=found_network(objective, results, best), front=chosen, evaluations=len(results), evaluated=results
    )


def found_network(objective: Objective, results: Results, index: int) -> FoundNetwork:
    """Return one row of the results as a network with its latency interval."""
    genotype, cost = results.genotypes[index], objective.first_cost
    low_ms, high_ms = cost.interval_ms(genotype[None])
    return FoundNetwork(
        architecture=staged(objective.space).decode(genotype),
        genotype=tuple(genotype.tolist()),
        top1=float(results.top1[index]),
        latency_ms=float(cost.latency_ms(genotype[None])[0]),
        low_ms=float(low_ms[0]),
        high_ms=float(high_ms[0]),
    )
