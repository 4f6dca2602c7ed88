"""The search loop: ask, price, filter, evaluate, journal, tell.

Networks over the ceiling never reach the evaluator, and no genotype is evaluated twice (where a space writes one
network in several ways, each of them is). A strategy is told every network it
proposed, those over the ceiling as not evaluated; they do not count as evaluations. Every batch is in the journal
before the strategy hears of it, so that a killed search goes on, by replay, to the result it would have had.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.evaluators import Evaluator, check_top1
from nas.jobs.search.found import FoundNetwork, FrontCosts, Progress, SearchResult, found_network, result_of
from nas.jobs.search.journal import Journal
from nas.jobs.search.snapshot import Snapshots
from nas.objectives import Objective, Results, Values, front_of, joined
from nas.strategies import Strategy
from searchspace.choices import Genotypes
from searchspace.support.errors import UserError

_FRUITLESS = 100  # questions in a row that bring nothing affordable before a strategy is given up
_ALL_FAILED = 3  # batches in a row of which every network failed before a search is given up


@dataclass(frozen=True)
class Asked:
    """One batch of proposals, (n, choices), which of them keep the ceiling, (n,), and the rows that are to be scored.

    Scored is each network that was never met before, once.
    """

    proposals: Genotypes
    affordable: NDArray[np.bool_]
    rows: tuple[int, ...]

    @property
    def new(self) -> Genotypes:
        """The networks to score, shape (rows, choices)."""
        return self.proposals[list(self.rows)]


def run_search(
    objective: Objective,
    strategy: Strategy,
    evaluator: Evaluator,
    journal: Journal,
    *,
    evaluations: int,
    batch: int = 250,
    progress: Callable[[Progress], None] | None = None,
    front: FrontCosts | None = None,
    drive: Callable[[SearchLoop], None] | None = None,
    snapshots: Snapshots | None = None,
) -> SearchResult:
    """Evaluate `evaluations` networks, those already in the journal included, in batches of `batch`.

    Batches are smaller where the strategy wishes to hear of results earlier (`Strategy.batch`).
    `strategy` is new: the journal is replayed to it. `front` gives the metrics of the front beside top-1, by
    default the latency. `drive` takes the loop's turns in its place, for trial services. `snapshots` spares a strategy
    whose replay is dear most of it. Raises UserError when nothing within the budget was found; a KeyboardInterrupt is
    raised on with a message that says what was saved.
    """
    if evaluations < 1 or batch < 1:
        raise UserError(f"evaluations is {evaluations} and batch is {batch}, expected at least 1 of each")
    search = SearchLoop(objective, strategy, evaluator, journal, snapshots)
    search.replay()
    try:
        if drive is not None and search.done < evaluations:
            drive(search)
        while search.done < evaluations:
            if progress is not None:
                progress(search.progress(evaluations))
            search.step(min(batch, strategy.batch or batch, evaluations - search.done))
    except KeyboardInterrupt:
        saved = f"{search.done:,} of {evaluations:,} evaluations are saved in {journal.path}"
        raise KeyboardInterrupt(f"{saved}; the same command with --resume goes on from there.") from None
    if progress is not None:
        progress(search.progress(evaluations))
    return search.result(front)


class SearchLoop:
    """What a running search knows: all results so far, and the accuracy of every network seen.

    `ask` and `tell` take turns. Whoever scores the networks between them, one process or a cluster, the history is
    that of the order asked.
    """

    def __init__(
        self,
        objective: Objective,
        strategy: Strategy,
        evaluator: Evaluator,
        journal: Journal,
        snapshots: Snapshots | None = None,
    ) -> None:
        self.objective = objective
        self.strategy = strategy
        self.evaluator = evaluator
        self.journal = journal
        self._snapshots = snapshots
        self.done = 0
        self._history: list[Results] = []
        self._known: dict[bytes, float] = {}
        self._stopped: dict[bytes, int] = {}
        self._best: FoundNetwork | None = None
        self._best_key: tuple[float, float] | None = None
        self._fruitless = self._failed = 0
        self._front: Results | None = None

    def replay(self) -> None:
        """Take over what the journal holds; a strategy's snapshot stands for the batches up to it."""
        known = self._snapshots.restore(self.strategy, self.journal) if self._snapshots is not None else 0
        for number, batch in enumerate(self.journal.batches):
            self._note_stops(batch.genotypes, batch.stopped or ())
            results = self.objective.results(self.objective.space.check(batch.genotypes), batch.top1)
            if number >= known:
                self.strategy.tell(results)
            self._take(results, batch.partial)

    def step(self, n: int) -> None:
        """Evaluate one batch of at most n networks; raises UserError when the strategy offers nothing affordable."""
        asked = self.ask(n)
        scores = self.evaluator.top1(asked.new) if asked.rows else np.empty(0)
        self.tell(asked, scores)

    def ask(self, n: int) -> Asked:
        """Return the next batch of at most n networks; raises UserError when the strategy offers nothing affordable."""
        proposals = self.strategy.ask(n)
        affordable = self.objective.affordable(proposals)
        self._fruitless = 0 if affordable.any() else self._fruitless + 1
        if self._fruitless == _FRUITLESS:
            raise UserError(
                f"the strategy {self.strategy.name} proposed only networks over {self.objective.ceiling_ms:g} ms"
                f"{'' if self.objective.rows is None else ' or outside the table of accuracies'}, "
                f"{_FRUITLESS} times in a row: give a larger budget"
            )
        keys = {i: proposals[i].tobytes() for i in np.flatnonzero(affordable).tolist()}
        first = {key: i for i, key in reversed(keys.items()) if key not in self._known}
        return Asked(proposals, affordable, tuple(sorted(first.values())))

    def tell(self, asked: Asked, scores: Values, stopped: Sequence[int | None] | None = None) -> None:
        """Take the top-1 in percent of `asked.new`, NaN for those that failed where the evaluator says it may fail.

        `stopped` says of each after which epoch its training was stopped early, None where it was not: the strategy
        hears of it, but it is no candidate for the front.
        Raises ValueError for scores that no evaluator may return, UserError when everything fails.
        """
        failed = np.isnan(scores) if getattr(self.evaluator, "may_fail", False) else np.zeros(len(scores), dtype=bool)
        try:
            check_top1(scores[~failed], len(asked.rows) - int(failed.sum()))
        except ValueError as error:
            raise ValueError(f"{self.evaluator.label}: {error}") from None
        rows = np.array(asked.rows, dtype=np.intp)
        found = zip((asked.proposals[i].tobytes() for i in rows[~failed]), scores[~failed].tolist(), strict=True)
        self._known.update(found)
        top1 = np.array(
            [
                self._known.get(row.tobytes(), np.nan) if affordable else np.nan
                for row, affordable in zip(asked.proposals, asked.affordable, strict=True)
            ]
        )
        self._note_stops(asked.proposals[rows], stopped or ())
        epochs = [self._stopped.get(row.tobytes()) for row in asked.proposals]
        self.journal.append(asked.proposals, top1, epochs)
        partial = np.array([epoch is not None for epoch in epochs])
        results = self.objective.results(asked.proposals, top1)
        self.strategy.tell(results)
        if self._snapshots is not None:
            self._snapshots.batch_told(self.strategy, self.journal)
        self._take(results, partial)
        self._failed = self._failed + 1 if len(failed) and failed.all() else 0
        if self._failed == _ALL_FAILED:
            last = getattr(self.evaluator, "last_failure", None)
            raise UserError(f"every network of the last {_ALL_FAILED} batches failed; the last one {last}")

    def _note_stops(self, genotypes: Genotypes, stopped: Sequence[int | None]) -> None:
        for row, epoch in zip(genotypes, stopped, strict=False):
            if epoch is not None:
                self._stopped[row.tobytes()] = epoch

    def _take(self, results: Results, partial: NDArray[np.bool_] | None = None) -> None:
        self.done += len(results.evaluated)
        if partial is not None and partial.any():
            halfway = results.rows(partial)
            keys = (row.tobytes() for row in halfway.genotypes)
            self._known.update(zip(keys, halfway.top1.tolist(), strict=True))
            results = results.rows(~partial)
        results = results.evaluated
        self._known.update(zip((row.tobytes() for row in results.genotypes), results.top1.tolist(), strict=True))
        self._history.append(results)
        front = results if self._front is None else joined([self._front, results])
        self._front = front.rows(front_of(front.top1, [front.latency_ms]))
        index = self.objective.best(results)
        if index is not None and self._beats_best(results, index):
            self._best = found_network(self.objective, results, index)
            self._best_key = (-float(results.top1[index]), float(results.latency_ms[index]))

    def _beats_best(self, results: Results, index: int) -> bool:
        new = (-float(results.top1[index]), float(results.latency_ms[index]))
        return self._best_key is None or new < self._best_key

    def progress(self, total: int) -> Progress:
        """Return how far the search is."""
        top1, latency_ms = (self._best.top1, self._best.latency_ms) if self._best else (None, None)
        front = 0 if self._front is None else len(self._front)
        return Progress(evaluations=self.done, total=total, top1=top1, latency_ms=latency_ms, front=front)

    def result(self, front: FrontCosts | None) -> SearchResult:
        """Return the winner and the front of everything evaluated."""
        if self._best is None:
            raise UserError(
                f"none of the {self.done:,} networks evaluated fits {self.objective.budget_ms:g} ms: "
                "allow more evaluations or a larger budget"
            )
        return result_of(self.objective, joined(self._history), front)
