"""The one interface of every strategy: ask for genotypes, tell their results, replay a history.

A strategy's state is a function of its seed and of what it was told. Each question draws from a generator seeded with
(seed, networks told, questions since), so that replaying a journal brings a new strategy to exactly the state of the
one that wrote it. The public methods count and check; a subclass only proposes and learns.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from nas.objective import Objective, Results
from searchspace.choices import Genotypes
from searchspace.support.errors import UserError


class Strategy(ABC):
    """Proposes genotypes of `objective.space` and learns from their results.

    Subclasses implement `_propose`, and `_learn` where they have anything to learn.
    """

    name: ClassVar[str]

    def __init__(self, objective: Objective, seed: int) -> None:
        self.objective = objective
        self.space = objective.space
        self.seed = seed
        self._told = 0
        self._asked = 0

    @property
    def settings(self) -> Mapping[str, Any]:
        """What decides the proposals beside the seed, as plain values; a search is resumed only under the same."""
        return {}

    def ask(self, n: int) -> Genotypes:
        """Return n genotypes to evaluate next, canonical and affordable, shape (n, choices).

        Raises UserError when n is not positive.
        """
        if n < 1:
            raise UserError(f"asked a strategy for {n} networks, expected at least 1")
        rng = np.random.default_rng([self.seed, self._told, self._asked])
        self._asked += 1
        proposals = self.space.check(self._propose(n, rng))
        if len(proposals) != n:
            raise ValueError(f"{type(self).__name__} proposed {len(proposals)} networks when asked for {n}")
        return self.objective.pull(proposals, rng)

    def tell(self, results: Results) -> None:
        """Learn from evaluated networks.

        Raises UserError when the arrays differ in length or a genotype is not of the space.
        """
        lengths = {len(results.genotypes), len(results.top1), len(results.latency_ms), len(results.high_ms)}
        if len(lengths) != 1:
            raise UserError(f"the results told to a strategy have different lengths: {sorted(lengths)}")
        if not lengths.pop():
            return
        self.space.check(results.genotypes)
        self._learn(results)
        self._told += len(results)
        self._asked = 0

    def replay(self, history: Iterable[Results]) -> None:
        """Take over a history, batch by batch, as if it had been told at the time."""
        for results in history:
            self.tell(results)

    @abstractmethod
    def _propose(self, n: int, rng: np.random.Generator) -> Genotypes:
        """Return n genotypes, shape (n, choices), drawing only from `rng`; dear ones are pulled under the ceiling."""

    def _learn(self, results: Results) -> None:  # noqa: B027 - learning nothing is a complete strategy
        """Change the state by results of at least one network."""
