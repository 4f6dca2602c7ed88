"""The one interface of every strategy: ask for genotypes, tell their results, replay a history.

A strategy's state is a function of its seed and of what it was told. Each question draws from a generator seeded with
(seed, networks told, questions since), so that replaying a journal brings a new strategy to exactly the state of the
one that wrote it. The public methods count and check; a subclass only proposes and learns. Nothing is changed between
a proposal and its result: a proposal over the ceiling is told as it was drawn, with its price and without an accuracy.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np

from nas.objectives import Objective, Results
from nas.strategies._options import keyword_settings
from searchspace.choices import Genotypes
from searchspace.support.errors import UserError

_ROUNDS = 32  # of drawing again what is over the ceiling, before it is brought under it


class Strategy(ABC):
    """Proposes genotypes of `objective.space` and learns from their results.

    Subclasses implement `_propose`, and `_learn` where they have anything to learn.
    """

    name: str

    def __init__(self, objective: Objective, seed: int) -> None:
        self.objective = objective
        self.space = objective.space
        self.seed = seed
        self._told = 0
        self._asked = 0

    @classmethod
    def sized(cls, objective: Objective, seed: int, evaluations: int) -> Self:
        """Return one made for a search of that many evaluations."""
        return cls(objective, seed)

    @property
    def settings(self) -> Mapping[str, Any]:
        """What decides the proposals beside the seed, as plain values; a search is resumed only under the same."""
        return {}

    @property
    def choosable(self) -> Mapping[str, Any]:
        """The settings that may be given by name, with their kinds: the keyword-only arguments of the class."""
        return keyword_settings(type(self).__init__)

    def with_settings(self, chosen: Mapping[str, Any]) -> Strategy:
        """Return a new one with some of the `choosable` settings replaced."""
        kept = {name: self.settings[name] for name in self.choosable if name in self.settings}
        return type(self)(self.objective, self.seed, **{**kept, **chosen})

    @property
    def batch(self) -> int | None:
        """The most networks it wishes to be asked for before it hears of their results; None: any number."""
        return None

    @property
    def facts(self) -> Mapping[str, str]:
        """What a reader of the finished search may want to know of the strategy's work, by name."""
        return {}

    def save(self, folder: Path) -> None:  # noqa: B027 - most have nothing to save
        """Write what a finished search leaves in its folder beside the result."""

    def ask(self, n: int) -> Genotypes:
        """Return n genotypes to evaluate next, canonical, shape (n, choices).

        Raises UserError when n is not positive.
        """
        if n < 1:
            raise UserError(f"asked a strategy for {n} networks, expected at least 1")
        rng = np.random.default_rng([self.seed, self._told, self._asked])
        self._asked += 1
        proposals = self.space.check(self._propose(n, rng))
        if len(proposals) != n:
            raise ValueError(f"{type(self).__name__} proposed {len(proposals)} networks when asked for {n}")
        return proposals

    def tell(self, results: Results) -> None:
        """Learn from the networks proposed; top-1 is NaN for those over the ceiling, which were not evaluated.

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

    def snapshot(self) -> bytes | None:
        """Return the state after what was told, where replay is dear; None where a replay is what restores it.

        Plain values and tensors with a checksum: nothing in it is executed when it is read.
        """
        return None

    def restore(self, snapshot: bytes) -> None:
        """Take over, in a new strategy, a snapshot in place of the replay that led to it.

        Raises UserError, with nothing changed, for one that is damaged.
        """
        raise UserError(f"the strategy {self.name} takes no snapshots: replay the history")

    @abstractmethod
    def _propose(self, n: int, rng: np.random.Generator) -> Genotypes:
        """Return n genotypes, shape (n, choices), drawing only from `rng`."""

    def _learn(self, results: Results) -> None:  # noqa: B027 - learning nothing is a complete strategy
        """Change the state by results of at least one network, some of which may not have been evaluated (NaN)."""

    def _affordable(
        self, rng: np.random.Generator, draw: Callable[[np.random.Generator, int], Genotypes], n: int
    ) -> Genotypes:
        """Return n genotypes under the ceiling from `draw(rng, n)`, drawing again in place of those over it.

        What is still over the ceiling after 32 rounds is brought under it towards the fastest network, so that this
        ends however tight the budget. For strategies that learn from results and not from their own draws.
        """
        kept = draw(rng, n)
        over = np.flatnonzero(~self.objective.affordable(kept))
        for _ in range(_ROUNDS):
            if not len(over):
                return kept
            kept[over] = draw(rng, len(over))
            over = over[~self.objective.affordable(kept[over])]
        return self.objective.pull(rng, kept)
