"""The proven optimum of additive scores, against trying every network."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from latency_lut.slots import Factor, SlotSums
from nas.strategies import additive_optimum
from nas.strategies.testing import conformance_objective


@pytest.mark.parametrize("seed", range(4))
def test_the_optimum_is_that_of_trying_every_network(tmp_path, seed):
    objective = conformance_objective(tmp_path, budget=0.4)
    rng = np.random.default_rng(seed)
    radices = objective.space.radices
    # Only choices that are always active: an inactive one holds 0, which the program need not choose.
    always = [i for i, choice in enumerate(objective.space.choices) if not choice.when]
    gain = [Factor((i, j), rng.normal(size=(radices[i], radices[j]))) for i, j in itertools.pairwise(always)]
    madds = SlotSums(objective.space, [lambda op: op.madds / 1e6])
    answer = additive_optimum(objective, gain, madds.factors(), 1.05)
    everything = np.stack(list(objective.space.enumerate()))
    scores = sum(factor.values[tuple(everything[:, list(factor.scope)].T)] for factor in gain)
    best = scores[objective.high_ms(everything) <= objective.budget_ms].max()
    assert answer.bound >= best - 1e-6
    assert answer.proved_optimal
    assert answer.score == pytest.approx(best)
    assert objective.high_ms(answer.genotype[None])[0] <= objective.budget_ms


def test_a_loose_budget_is_proved_at_once(tmp_path):
    objective = conformance_objective(tmp_path, budget=1.0)
    pairs = np.arange(objective.space.radices[:2].prod()).reshape(objective.space.radices[:2]).astype(float)
    gain = [Factor((0,), np.array([0.0, 2.0])), Factor((0, 1), pairs)]
    madds = SlotSums(objective.space, [lambda op: op.madds / 1e6])
    answer = additive_optimum(objective, gain, madds.factors())
    assert answer.proved_optimal
    assert answer.score == pytest.approx(2.0 + pairs.max())
