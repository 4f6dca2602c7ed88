"""Shipped strategies: conformance, and that they find what there is to find."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nas.objectives import Objective, Results, Values
from nas.strategies import (
    STRATEGY_NAMES,
    ExactSearch,
    LearntDistribution,
    LocalSearch,
    PpoSettings,
    PredictorAssisted,
    ProximalPolicy,
    RandomSearch,
    RegularisedEvolution,
    Reinforce,
    Strategy,
    make_strategy,
)
from nas.strategies._ppo import PRESETS
from nas.strategies._rewards import REWARDS
from nas.strategies.testing import StrategyConformance, advance, artificial_top1, conformance_objective
from searchspace.support.errors import UserError


class TestRandomSearch(StrategyConformance):
    def make(self, objective: Objective, seed: int) -> Strategy:
        return RandomSearch(objective, seed)


class TestEvolution(StrategyConformance):
    def make(self, objective: Objective, seed: int) -> Strategy:
        return RegularisedEvolution(objective, seed, population=50, sample=10)


class TestReinforce(StrategyConformance):
    draws_over_ceiling = True

    def make(self, objective: Objective, seed: int) -> Strategy:
        return Reinforce(objective, seed)


def uniform(objective: Objective) -> list[Values]:
    return [np.full(radix, 1 / radix) for radix in objective.space.radices.tolist()]


class TestLearntDistribution(StrategyConformance):
    def make(self, objective: Objective, seed: int) -> Strategy:
        return LearntDistribution(objective, seed, lambda: uniform(objective))


@pytest.fixture(scope="module")
def objective(tmp_path_factory) -> Objective:
    return conformance_objective(tmp_path_factory.mktemp("space"), budget=0.4)


@pytest.fixture(scope="module")
def optimum(objective) -> float:
    """The best accuracy within the budget, by trying every network of the space."""
    everything = np.stack(list(objective.space.enumerate()))
    within = objective.high_ms(everything) <= objective.budget_ms
    assert 100 < within.sum() < len(everything) - 100
    return float(artificial_top1(everything[within]).max())


def best_within(objective: Objective, told: list[Results]) -> float:
    return max(float(results.top1[i]) for results in told if (i := objective.best(results)) is not None)


@pytest.mark.parametrize("seed", range(3))
def test_evolution_finds_the_optimum(objective, optimum, seed):
    told = advance(RegularisedEvolution(objective, seed, population=100, sample=20), 40, 50)
    assert best_within(objective, told) == pytest.approx(optimum, abs=1e-9)


def test_evolution_beats_random_search_and_holds_networks_of_many_latencies(objective):
    evolved = advance(RegularisedEvolution(objective, 0, population=100, sample=20), 30, 50)
    drawn = advance(RandomSearch(objective, 0), 30, 50)
    last = evolved[-1]
    assert np.mean(last.top1) > np.mean(drawn[-1].top1)
    assert np.ptp(last.high_ms) > 0.2 * objective.budget_ms


def test_evolution_forgets_by_age(objective):
    strategy = RegularisedEvolution(objective, 0, population=20, sample=5)
    told = advance(strategy, 5, 16)
    newest = np.concatenate([results.genotypes for results in told])[-20:]
    assert np.array_equal(strategy._living.genotypes, newest)


def test_reinforce_settles_near_the_target_with_good_networks(objective, optimum):
    strategy = Reinforce(objective, 0, beta=-0.3, learning_rate=0.1)
    told = advance(strategy, 150, 32)
    late = told[-1]
    assert np.median(late.high_ms) == pytest.approx(objective.budget_ms, rel=0.12)
    assert best_within(objective, told) > optimum - 0.1
    assert np.mean(strategy.probabilities().max(axis=1)) > 0.8


def test_reinforce_follows_the_gradient_of_the_expected_reward(objective):
    """The policy gradient of a linear reward is p x (r - sum p r) for each value of a choice."""
    strategy = Reinforce(objective, 0)
    genotypes = strategy.ask(1)
    genotypes = np.repeat(genotypes, 20_000, axis=0)
    rng = np.random.default_rng(0)
    genotypes[:, 0] = rng.integers(0, 2, len(genotypes))  # depth of stage 0: always active
    reward = np.array([1.0, 5.0])[genotypes[:, 0]]
    gradient = strategy._policy_gradient(objective.space.canonical(genotypes), reward)
    expected = (np.array([1.0, 5.0]) - 3.0) / 2
    assert gradient[0, :2] == pytest.approx(expected, abs=0.05)


def test_reinforce_learns_from_what_it_drew_and_the_price_of_what_it_could_not_afford(tmp_path):
    """Draws reach the strategy unchanged, and those over the ceiling lower the latency of the next ones."""
    tight = conformance_objective(tmp_path, budget=0.05)
    strategy = Reinforce(tight, 0, learning_rate=0.2)
    drawn = strategy._propose(64, np.random.default_rng([0, 0, 0]))
    first = strategy.ask(64)
    assert np.array_equal(first, drawn)
    assert not tight.affordable(first).all()
    strategy.tell(tight.results(first, np.full(64, np.nan)))
    for _ in range(5):
        genotypes = strategy.ask(64)
        strategy.tell(tight.results(genotypes, np.full(64, np.nan)))
    assert tight.high_ms(strategy.ask(64)).mean() < 0.8 * tight.high_ms(first).mean()


@pytest.mark.parametrize("name", [name for name in STRATEGY_NAMES if name != "tpe"])
def test_strategies_are_made_by_name(objective, name):
    assert make_strategy(name, objective, 1, 1000, lambda: uniform(objective)).name == name


def test_nothing_learnt_is_refused_with_what_learns(objective):
    with pytest.raises(UserError, match="--data DATA --supernet-training differentiable"):
        make_strategy("learnt", objective, 0, 1000)


def test_what_was_learnt_is_proposed_the_most_likely_first(objective):
    top = objective.fastest
    learnt = [
        np.where(np.arange(radix) == value, 0.7, 0.3 / (radix - 1))
        for radix, value in zip(objective.space.radices.tolist(), top.tolist(), strict=True)
    ]
    strategy = LearntDistribution(objective, 0, lambda: learnt)
    first = strategy.ask(400)
    assert np.array_equal(first[0], objective.space.canonical(top[None])[0])
    always = [i for i, choice in enumerate(objective.space.choices) if not choice.when]
    assert (first[:, always] == top[always]).mean() == pytest.approx(0.7, abs=0.05)
    strategy.tell(objective.results(first, artificial_top1(first)))
    assert strategy.settings != LearntDistribution(objective, 0, lambda: uniform(objective)).settings


def test_a_strategy_of_ones_own_is_given_as_module_and_class(objective):
    found = make_strategy("nas.strategies:RandomSearch", objective, 1, 1000)
    assert type(found) is RandomSearch
    with pytest.raises(UserError, match="cannot be imported"):
        make_strategy("no_such_module:Mine", objective, 1, 1000)
    with pytest.raises(UserError, match="not a subclass"):
        make_strategy("nas.objectives:Objective", objective, 1, 1000)


def test_an_unknown_strategy_is_refused_with_the_known_ones(objective):
    with pytest.raises(UserError, match="evolution, random, local, predictor"):
        make_strategy("annealing", objective, 0, 1000)


class TestLocalSearch(StrategyConformance):
    def make(self, objective: Objective, seed: int) -> Strategy:
        return LocalSearch(objective, seed, start=32, batch=8)


class TestPredictorAssisted(StrategyConformance):
    batches = 4

    def make(self, objective: Objective, seed: int) -> Strategy:
        pytest.importorskip("sklearn")
        return PredictorAssisted(objective, seed, start=16)


class TestProximalPolicy(StrategyConformance):
    batches = 4
    draws_over_ceiling = True

    def make(self, objective: Objective, seed: int) -> Strategy:
        return ProximalPolicy(objective, seed)

    def test_a_snapshot_of_another_policy_is_refused(self, objective: Objective) -> None:
        snapshot = ProximalPolicy(objective, 5, PpoSettings(hidden=30)).snapshot()
        for wrong in (snapshot, b"nonsense", b""):
            with pytest.raises(UserError, match="damaged"):
                ProximalPolicy(objective, 5).restore(wrong)


def test_rewards_are_those_of_the_papers():
    top1, latency_ms = np.array([75.0, 75.0]), np.array([50.0, 200.0])
    assert REWARDS["soft"](top1, latency_ms, 100.0) == pytest.approx([0.75 * 0.5**-0.07, 0.75 * 2**-0.07])
    assert REWARDS["small"](top1, latency_ms, 100.0) == pytest.approx([0.75 * 0.5**-0.15, 0.75 * 2**-0.15])
    assert REWARDS["hard"](top1, latency_ms, 100.0) == pytest.approx([0.75, 0.375])
    assert REWARDS["absolute"](top1, latency_ms, 100.0) == pytest.approx([0.75 - 0.05, 0.75 - 0.10])


def test_the_published_controller_has_the_published_settings():
    published = PRESETS["ppo-mnasnet"]
    assert (published.reward, published.learning_rate, published.entropy) == ("soft", 3.5e-4, 1e-5)
    assert (published.baseline_decay, published.batch, published.hidden, published.initial) == (0.95, 20, 100, 0.1)


def test_a_policy_raises_the_probability_of_what_paid(objective):
    strategy = ProximalPolicy(objective, 0)
    genotypes = strategy.ask(20)
    before = strategy.policy.log_probability(genotypes)[0].detach().numpy()
    paid = np.arange(20) < 10
    results = objective.results(genotypes, np.where(paid, 80.0, 60.0))
    strategy.tell(Results(results.genotypes, results.top1, np.full(20, 1.0), np.full(20, objective.budget_ms)))
    change = strategy.policy.log_probability(genotypes)[0].detach().numpy() - before
    assert change[paid].mean() > change[~paid].mean()


def _documented() -> type[Strategy]:
    """Return the class of the example in `docs/strategies.md`."""
    text = (Path(__file__).parents[2] / "docs" / "strategies.md").read_text()
    names: dict[str, type[Strategy]] = {}
    exec(text.split("```python\n")[1].split("```")[0], names)
    return names["Greedy"]


class TestDocumentedStrategy(StrategyConformance):
    def make(self, objective: Objective, seed: int) -> Strategy:
        return _documented()(objective, seed)


def test_the_documented_strategy_learns(objective):
    told = advance(_documented()(objective, 0), 40, 16)
    drawn = advance(RandomSearch(objective, 0), 40, 16)
    assert np.nanmean(told[-1].top1) > np.nanmean(drawn[-1].top1)


class TestExact(StrategyConformance):
    def make(self, objective: Objective, seed: int) -> ExactSearch:
        return ExactSearch(objective, seed)


def test_exact_proposes_the_answer_first_and_again_when_resumed(tmp_path: Path) -> None:
    objective = conformance_objective(tmp_path, 0.5)
    for _ in range(2):
        strategy = ExactSearch(objective, 0)
        strategy.solve = lambda: objective.fastest
        assert (strategy.ask(5) == objective.fastest).all(axis=1).any()
