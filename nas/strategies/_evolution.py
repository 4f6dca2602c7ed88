"""Regularised evolution (Real et al., arXiv 1802.01548), in batches and towards a whole front at once.

The population is a queue: children join, the oldest leave. Each child has a latency target of its own, the budget for
half of them and anything up to the ceiling for the others; its parents are the most accurate of a random sample that
meets the target. One population so holds networks for every latency, and the front comes with the winner.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

import numpy as np

from nas.objectives import Objective, Results, Values
from nas.strategies._base import Strategy
from nas.strategies._options import Within
from searchspace.choices import Genotypes


class RegularisedEvolution(Strategy):
    """Tournament selection at latency targets, crossover, mutation, death by age.

    `population` networks live at a time, `sample` of them enter each tournament; a child has two parents with
    probability `crossover`, else one, and each active choice mutates with probability `mutation` (at least one does).
    """

    name = "evolution"

    def __init__(
        self,
        objective: Objective,
        seed: int,
        *,
        population: Annotated[int, Within(1)] = 1000,
        sample: Annotated[int, Within(1)] = 50,
        mutation: Annotated[float, Within(0, 1)] = 0.03,
        crossover: Annotated[float, Within(0, 1)] = 0.5,
        batch: Annotated[int, Within(1)] = 50,
    ) -> None:
        super().__init__(objective, seed)
        self.population = population
        self.sample = sample
        self.mutation = mutation
        self.crossover = crossover
        self._batch = batch
        choices = len(self.space.choices)
        self._living = Results(np.empty((0, choices), np.uint8), np.empty(0), np.empty(0), np.empty(0))

    @classmethod
    def sized(cls, objective: Objective, seed: int, evaluations: int) -> Self:
        """Return one whose population lives through about twenty generations in a search of that many evaluations.

        Children are few at a time (5 to 200), so that the best of them are parents soon: batches the size of the
        population make it random search.
        """
        population = min(max(evaluations // 25, 30), 1000)
        sample = min(max(population // 4, 10), 50)
        return cls(objective, seed, population=population, sample=sample, batch=min(max(evaluations // 250, 5), 200))

    @property
    def settings(self) -> Mapping[str, Any]:
        """Sizes of population, tournament and batch, rates of mutation and crossover."""
        return {
            "population": self.population,
            "sample": self.sample,
            "mutation": self.mutation,
            "crossover": self.crossover,
            "batch": self._batch,
        }

    @property
    def batch(self) -> int:
        """A small part of the population, which the best children then belong to soon."""
        return self._batch

    def _propose(self, n: int, rng: np.random.Generator) -> Genotypes:
        fresh = len(self._living) < self.population
        # Around a network, uniform draws are far from what it computes.
        drawn = self.objective.draw if self.objective.around is None else self.objective.sample
        return self._affordable(rng, drawn if fresh else self._children, n)

    def _children(self, rng: np.random.Generator, n: int) -> Genotypes:
        target_ms = self._targets(n, rng)
        first = self._living.genotypes[self._tournament(target_ms, rng)]
        second = self._living.genotypes[self._tournament(target_ms, rng)]
        mixed = self.space.crossover(rng, first, second)
        children = np.where(rng.random((n, 1)) < self.crossover, mixed, first)
        return self.space.mutate(rng, children, self.mutation)

    def _targets(self, n: int, rng: np.random.Generator) -> Values:
        lowest, highest = float(self._living.high_ms.min()), self.objective.ceiling_ms
        anywhere = rng.uniform(lowest, highest, n)
        return np.where(rng.random(n) < 0.5, self.objective.budget_ms, anywhere)

    def _tournament(self, target_ms: Values, rng: np.random.Generator) -> np.ndarray:
        """Return, for each target, the most accurate of a random sample that meets it, the fastest where none does."""
        entrants = rng.integers(0, len(self._living), (len(target_ms), self.sample))
        high_ms = self._living.high_ms[entrants]
        meets = high_ms <= target_ms[:, None]
        fitness = np.where(meets, self._living.top1[entrants], -high_ms)
        return np.asarray(entrants[np.arange(len(entrants)), fitness.argmax(axis=1)])

    def _learn(self, results: Results) -> None:
        """Let the results join the queue and the oldest networks leave it."""
        results = results.evaluated
        old, keep = self._living, slice(-self.population, None)
        self._living = Results(
            np.concatenate([old.genotypes, results.genotypes])[keep],
            np.concatenate([old.top1, results.top1])[keep],
            np.concatenate([old.latency_ms, results.latency_ms])[keep],
            np.concatenate([old.high_ms, results.high_ms])[keep],
        )
