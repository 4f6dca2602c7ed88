"""The tests every strategy has to pass; inherit them to test your own.

    from nas.strategies.testing import StrategyConformance

    class TestMine(StrategyConformance):
        def make(self, objective, seed):
            return MyStrategy(objective, seed)

They need pytest and nothing else: a small space, multiply-adds in the place of latency and an artificial accuracy.
"""

# ruff: noqa: D102 - the names of the tests say what they test

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path

import numpy as np
import pytest

from nas.objectives import MaddsCost, Objective, Results, Values
from nas.strategies._base import Strategy
from searchspace.cells import CellSpace
from searchspace.choices import Genotypes
from searchspace.space import load_space
from searchspace.support.errors import UserError

_SPACE = """
format: space/1
name: conformance
stem: stem_k3_s2_c16_hs
head: head_c960_h1280_hs
per_layer: [kernel, ratio]
stages:
  - {name: stage0, block: inverted, width: 24, stride: 2, depth: [1, 2], kernel: [3, 5], ratio: [3, 4, 6]}
  - {name: stage1, block: inverted, width: 40, stride: 2, depth: [1, 2], kernel: [3, 5], ratio: [3, 4, 6]}
"""


def artificial_top1(genotypes: Genotypes) -> Values:
    """Return an accuracy for each genotype, shape (n,): larger values are better, early choices matter more."""
    weights = 1 / (1 + np.arange(genotypes.shape[1]))
    top1: Values = 60 + np.sqrt(genotypes @ weights)
    return top1


def conformance_objective(folder: Path, budget: float = 0.5) -> Objective:
    """Return an objective on a small space written into `folder`, its budget that far between the extremes."""
    path = folder / "conformance.yaml"
    path.write_text(_SPACE)
    cost = MaddsCost(load_space(path), interval=0.05)
    extremes = cost.extremes()
    middle = extremes.fastest_ms + budget * (extremes.slowest_ms - extremes.fastest_ms)
    return Objective(cost, 1.05 * middle, ceiling=1.1)


def cell_objective(budget: float = 0.5) -> Objective:
    """Return an objective on a small space of DARTS' cells, its budget that far between the extremes."""
    cost = MaddsCost(CellSpace(name="conformance cells", cells=3, channels=4, resolution=16), interval=0.05)
    extremes = cost.extremes()
    middle = extremes.fastest_ms + budget * (extremes.slowest_ms - extremes.fastest_ms)
    return Objective(cost, 1.05 * middle, ceiling=1.1)


def advance(strategy: Strategy, batches: int, size: int) -> list[Results]:
    """Ask and tell that many batches; return what was told, top-1 NaN for networks over the ceiling."""
    told = []
    for _ in range(batches):
        genotypes = strategy.ask(size)
        top1 = np.where(strategy.objective.affordable(genotypes), artificial_top1(genotypes), np.nan)
        told.append(strategy.objective.results(genotypes, top1))
        strategy.tell(told[-1])
    return told


class StrategyConformance:
    """Inherit, and define `make`.

    `draws_over_ceiling` says that the strategy may propose networks over the ceiling, to learn from their price;
    one that only learns from accuracies should not, and `Strategy._affordable` helps it.
    """

    batches = 12
    size = 16
    draws_over_ceiling = False

    @abstractmethod
    def make(self, objective: Objective, seed: int) -> Strategy:
        """Return a new strategy."""

    @pytest.fixture
    def objective(self, tmp_path: Path) -> Objective:
        """The objective that the tests search."""
        return conformance_objective(tmp_path)

    def test_proposals_are_canonical_affordable_and_as_many_as_asked(self, objective: Objective) -> None:
        strategy = self.make(objective, 0)
        for results in advance(strategy, self.batches, self.size):
            assert results.genotypes.shape == (self.size, len(objective.space.choices))
            assert np.array_equal(objective.space.check(results.genotypes), results.genotypes)
            assert self.draws_over_ceiling or objective.affordable(results.genotypes).all()

    def test_what_was_told_is_left_as_it_was(self, objective: Objective) -> None:
        strategy = self.make(objective, 1)
        genotypes = strategy.ask(self.size)
        results = objective.results(genotypes.copy(), artificial_top1(genotypes))
        before = genotypes.copy(), results.top1.copy(), results.latency_ms.copy(), results.high_ms.copy()
        strategy.tell(results)
        advance(strategy, 2, self.size)
        assert np.array_equal(results.genotypes, before[0])
        assert np.array_equal([results.top1, results.latency_ms, results.high_ms], before[1:])

    def test_a_batch_of_which_nothing_was_evaluated_is_taken(self, objective: Objective) -> None:
        strategy = self.make(objective, 2)
        genotypes = strategy.ask(self.size)
        strategy.tell(objective.results(genotypes, np.full(self.size, np.nan)))
        assert len(strategy.ask(self.size)) == self.size

    def test_a_space_of_cells_is_searched_as_one_of_stages(self) -> None:
        objective = cell_objective()
        strategy = self.make(objective, 4)
        for results in advance(strategy, 3, self.size):
            assert np.array_equal(objective.space.check(results.genotypes), results.genotypes)
            assert self.draws_over_ceiling or objective.affordable(results.genotypes).all()
            assert objective.space.decode(results.genotypes[0]).madds > 0

    def test_the_wished_batch_is_a_number_or_none(self, objective: Objective) -> None:
        batch = self.make(objective, 0).batch
        assert batch is None or batch >= 1

    def test_the_seed_decides_the_proposals(self, objective: Objective) -> None:
        one, again, other = (
            np.concatenate([r.genotypes for r in advance(self.make(objective, seed), self.batches, self.size)])
            for seed in (3, 3, 4)
        )
        assert np.array_equal(one, again)
        assert not np.array_equal(one, other)

    def test_replaying_a_history_leads_to_the_same_proposals(self, objective: Objective) -> None:
        unbroken = self.make(objective, 5)
        history = advance(unbroken, self.batches, self.size)
        resumed = self.make(objective, 5)
        resumed.replay(history)
        for _ in range(3):
            expected = advance(unbroken, 1, self.size)[0]
            assert np.array_equal(advance(resumed, 1, self.size)[0].genotypes, expected.genotypes)

    def test_a_snapshot_goes_on_as_the_replay_does(self, objective: Objective) -> None:
        unbroken = self.make(objective, 5)
        advance(unbroken, self.batches, self.size)
        snapshot = unbroken.snapshot()
        resumed = self.make(objective, 5)
        if snapshot is None:
            with pytest.raises(UserError, match=r"replay the history|damaged"):
                resumed.restore(b"")
            return
        with pytest.raises(UserError, match="damaged"):
            resumed.restore(snapshot[:-1] + bytes([snapshot[-1] ^ 1]))
        resumed.restore(snapshot)
        for _ in range(2):
            expected = advance(unbroken, 1, self.size)[0]
            assert np.array_equal(advance(resumed, 1, self.size)[0].genotypes, expected.genotypes)

    def test_a_question_without_an_answer_leaves_no_trace(self, objective: Objective) -> None:
        curious, plain = self.make(objective, 6), self.make(objective, 6)
        history = advance(plain, 1, self.size)
        curious.ask(self.size)
        curious.ask(3)
        curious.tell(history[0])
        assert np.array_equal(curious.ask(self.size), plain.ask(self.size))

    def test_asking_again_brings_other_networks(self, objective: Objective) -> None:
        strategy = self.make(objective, 7)
        assert not np.array_equal(strategy.ask(self.size), strategy.ask(self.size))

    def test_results_of_no_network_change_nothing(self, objective: Objective) -> None:
        strategy, other = self.make(objective, 8), self.make(objective, 8)
        nothing = np.empty((0, len(objective.space.choices)), dtype=np.uint8)
        strategy.tell(Results(nothing, np.empty(0), np.empty(0), np.empty(0)))
        assert np.array_equal(strategy.ask(self.size), other.ask(self.size))

    def test_wrong_questions_and_results_are_refused(self, objective: Objective) -> None:
        strategy = self.make(objective, 9)
        with pytest.raises(UserError, match="at least 1"):
            strategy.ask(0)
        genotypes = strategy.ask(2)
        with pytest.raises(UserError, match="lengths"):
            strategy.tell(Results(genotypes, np.zeros(3), np.zeros(2), np.zeros(2)))
        with pytest.raises(UserError, match="outside"):
            strategy.tell(Results(np.full_like(genotypes, 200), np.zeros(2), np.zeros(2), np.zeros(2)))

    def test_the_tightest_budget_is_searched(self, tmp_path: Path) -> None:
        strategy = self.make(conformance_objective(tmp_path, budget=0.0), 10)
        told = advance(strategy, self.batches, self.size)
        affordable = [strategy.objective.affordable(results.genotypes) for results in told]
        assert np.concatenate(affordable).any() if self.draws_over_ceiling else np.concatenate(affordable).all()

    def test_settings_are_plain_values(self, objective: Objective) -> None:
        for name, value in self.make(objective, 0).settings.items():
            assert isinstance(name, str) and isinstance(value, int | float | str | bool)
