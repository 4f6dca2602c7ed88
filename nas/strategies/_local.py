"""Local search: small changes to the best networks found within the budget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

import numpy as np

from nas.objectives import Objective, Results, Values
from nas.strategies._base import Strategy
from nas.strategies._options import Within
from searchspace.choices import Genotypes

_CANDIDATES = 16  # neighbours priced for one that is proposed


class LocalSearch(Strategy):
    """Changes one to three choices of one of the best `elite` networks, after `start` uniform draws.

    Prices are free, so that of several neighbours, none of them known, one within the budget is proposed.
    """

    name = "local"

    def __init__(
        self,
        objective: Objective,
        seed: int,
        *,
        start: Annotated[int, Within(1)] = 50,
        elite: Annotated[int, Within(1)] = 5,
        batch: Annotated[int, Within(1)] = 10,
    ) -> None:
        super().__init__(objective, seed)
        self.start = start
        self.elite = elite
        self._batch = batch
        self._seen: set[bytes] = set()
        self._best: Genotypes = np.empty((0, len(self.space.choices)), np.uint8)
        self._best_top1: Values = np.empty(0)

    @classmethod
    def sized(cls, objective: Objective, seed: int, evaluations: int) -> Self:
        """Return one that starts from a twentieth of the evaluations, and remembers more networks in long searches."""
        start, elite = min(max(evaluations // 20, 20), 500), min(max(evaluations // 200, 5), 50)
        return cls(objective, seed, start=start, elite=elite, batch=min(max(evaluations // 250, 5), 50))

    @property
    def settings(self) -> Mapping[str, Any]:
        """Networks drawn first, networks to change, and proposals at a time."""
        return {"start": self.start, "elite": self.elite, "batch": self._batch}

    @property
    def batch(self) -> int:
        """Few, so that the next changes are made to the best."""
        return self._batch

    def _propose(self, n: int, rng: np.random.Generator) -> Genotypes:
        if self._told < self.start or not len(self._best):
            return self._affordable(rng, self.objective.draw, n)
        return self._affordable(rng, self._neighbours, n)

    def _neighbours(self, rng: np.random.Generator, n: int) -> Genotypes:
        """Return changed networks, those within the budget and not known before others; (n, choices)."""
        parents = self._best[np.minimum(rng.geometric(0.4, n * _CANDIDATES) - 1, len(self._best) - 1)]
        changes = rng.integers(1, 4, len(parents))
        children = parents
        for number in range(1, 4):
            more = changes >= number
            children[more] = self.space.mutate(rng, children[more], 0.0)
        known = np.array([row.tobytes() in self._seen for row in children])
        fits = self.objective.within(children)
        rank = np.where(known, 2, np.where(fits, 0, 1)).reshape(n, _CANDIDATES)
        return np.asarray(children.reshape(n, _CANDIDATES, -1)[np.arange(n), rank.argmin(axis=1)])

    def _learn(self, results: Results) -> None:
        self._seen.update(row.tobytes() for row in results.genotypes)
        within = results.high_ms <= self.objective.budget_ms
        good = within & ~np.isnan(results.top1)
        if len(self._best) == self.elite:  # an equal one would stand behind those that came before it
            good &= results.top1 > self._best_top1[-1]
            if not good.any():
                return
        genotypes = np.concatenate([self._best, results.genotypes[good]])
        top1 = np.concatenate([self._best_top1, results.top1[good]])
        _, first = np.unique(genotypes, axis=0, return_index=True)
        first.sort()
        order = first[np.argsort(-top1[first], kind="stable")][: self.elite]
        self._best, self._best_top1 = genotypes[order], top1[order]
