"""Budgets, prices, rewards and fronts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nas.objectives import MaddsCost, Objective, Results, absolute_reward, pareto_front
from nas.strategies.testing import artificial_top1, conformance_objective
from searchspace.support.errors import UserError
from searchspace.support.quantities import parse_duration_ms


@pytest.fixture(scope="module")
def objective(tmp_path_factory) -> Objective:
    return conformance_objective(tmp_path_factory.mktemp("space"))


@pytest.mark.parametrize(
    ("text", "budget_ms"),
    [("60ms", 60), ("0.06s", 60), (" 60 ms ", 60), ("60MS", 60), ("1500us", 1.5), (".5s", 500), ("60.ms", 60)],
)
def test_budgets_are_durations_with_a_unit(text, budget_ms):
    assert parse_duration_ms(text) == pytest.approx(budget_ms)


@pytest.mark.parametrize("text", ["60", "", "ms", "60 parsecs", "-60ms", "sixty ms", "6e1ms", "nan ms", "0ms", "1 2ms"])
def test_other_budgets_are_refused_with_an_example(text):
    with pytest.raises(UserError, match="ms"):
        parse_duration_ms(text)


def test_a_budget_without_a_unit_is_told_how_to_get_one():
    with pytest.raises(UserError, match="write 60ms"):
        parse_duration_ms("60")


@given(st.text(max_size=20))
def test_any_text_is_a_budget_or_a_clear_refusal(text):
    try:
        assert parse_duration_ms(text) > 0
    except UserError as error:
        assert "budget" in str(error)


def test_an_impossible_budget_is_refused_with_the_range_and_one_that_all_keep_does_not_bind(objective):
    cost = objective.cost
    extremes = cost.extremes()
    possible = f"{1.05 * extremes.fastest_ms:.1f} to {1.05 * extremes.slowest_ms:.1f} ms"
    # The fastest network itself would fit, the upper end of its interval does not.
    with pytest.raises(UserError, match=possible):
        Objective(cost, 1.04 * extremes.fastest_ms)
    assert Objective(cost, 1.05 * extremes.fastest_ms).binds
    assert Objective(cost, 1.04 * extremes.slowest_ms).binds
    assert not Objective(cost, 1.06 * extremes.slowest_ms).binds


def test_the_upper_end_of_the_interval_decides(objective):
    genotypes = objective.space.sample(np.random.default_rng(0), 500)
    results = objective.results(genotypes, artificial_top1(genotypes))
    best = objective.best(results)
    within = results.high_ms <= objective.budget_ms
    assert results.high_ms[best] <= objective.budget_ms
    assert results.top1[best] == results.top1[within].max()
    assert (results.latency_ms <= objective.budget_ms).sum() > within.sum()


def test_of_equally_accurate_networks_the_faster_wins(objective):
    genotypes = objective.space.sample(np.random.default_rng(0), 50)
    results = objective.results(genotypes, np.full(50, 70.0))
    assert objective.best(results) == results.latency_ms.argmin()


def test_nothing_within_the_budget_is_no_winner(objective):
    genotypes = objective.cost.extremes().slowest[None]
    assert objective.best(objective.results(genotypes, np.array([99.0]))) is None


def test_pulling_makes_everything_affordable_and_leaves_the_affordable_alone(objective):
    tight = Objective(
        MaddsCost(objective.space, interval=0.05), 1.06 * objective.cost.extremes().fastest_ms, ceiling=1.0
    )
    genotypes = objective.space.sample(np.random.default_rng(0), 300)
    affordable = tight.affordable(genotypes)
    assert not affordable.all()
    pulled = tight.pull(np.random.default_rng(1), genotypes)
    assert tight.affordable(pulled).all()
    assert np.array_equal(pulled[affordable], genotypes[affordable])
    assert np.array_equal(pulled, objective.space.canonical(pulled))


def test_the_absolute_reward_peaks_at_the_target():
    latency_ms = np.array([40.0, 50.0, 60.0])
    reward = absolute_reward(np.full(3, 75.0), latency_ms, 50.0, beta=-0.1)
    assert reward == pytest.approx([0.73, 0.75, 0.73])


_FEW = arrays.arrays(np.float64, 12, elements=st.integers(1, 6).map(float))


@given(_FEW, _FEW)
def test_the_front_is_what_nothing_beats(latency_ms, top1):
    results = Results(np.zeros((12, 1), np.uint8), top1, latency_ms, latency_ms)
    front = pareto_front(results)
    assert (np.diff(latency_ms[front]) > 0).all() and (np.diff(top1[front]) > 0).all()
    for i in range(12):
        beaten = (latency_ms[front] <= latency_ms[i]) & (top1[front] >= top1[i])
        assert beaten.any()


def test_affordable_networks_are_drawn_all_kinds_of_them(tmp_path):
    objective = conformance_objective(tmp_path, budget=0.3)
    drawn = objective.sample(np.random.default_rng(0), 500)
    assert drawn.shape == (500, len(objective.space.choices))
    assert objective.affordable(drawn).all()
    assert np.array_equal(drawn, objective.space.canonical(drawn))
    assert len(np.unique(drawn, axis=0)) > 100
    assert np.array_equal(drawn, objective.sample(np.random.default_rng(0), 500))
    tight = conformance_objective(tmp_path, budget=0.0)
    assert tight.affordable(tight.sample(np.random.default_rng(0), 50)).all()
