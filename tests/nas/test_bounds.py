"""Bounds of the best of a space, against trying every network of small parts of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import searchspace
from latency_lut.compiled import CompiledCost
from latency_lut.devices import load_device
from latency_lut.slots import Factor
from nas.bounds import bound_for, predictor_bound
from nas.bounds._background import background, rest_norm
from nas.bounds._mixture import ERROR, FARTHEST, WEIGHTS, mixture
from nas.bounds._pieces import take_apart
from nas.bounds._units import split_into_units
from nas.evaluators import AccuracyRows, PredictorEvaluator, TableEvaluator
from nas.objectives import Objective
from nas.predictor import shipped_predictor
from nas.strategies import RegularisedEvolution
from searchspace.space import SearchSpace, load_space


@pytest.fixture(scope="module")
def small() -> tuple[PredictorEvaluator, CompiledCost]:
    """The predictor and the latency of its space."""
    predictor = shipped_predictor("mobilenetv3")
    space = predictor.layout.covered
    return PredictorEvaluator(predictor, space), CompiledCost(space, load_device("pixel"))


def _cut(units, per_unit: int, rng: np.random.Generator):
    """Keep some settings of each unit, and return all networks made of them."""
    from dataclasses import replace
    from itertools import product

    members = []
    for unit in units.members:
        kept = rng.choice(len(unit.genotypes), per_unit, replace=False)
        members.append(replace(unit, genotypes=unit.genotypes[kept], cost_ms=unit.cost_ms[kept]))
    picks = np.array(list(product(range(per_unit), repeat=len(members))))
    everything = sum(unit.genotypes[picks[:, number]] for number, unit in enumerate(members))
    return replace(units, members=tuple(members)), everything.astype(np.uint8)


@pytest.mark.parametrize(("seed", "budget_ms"), [(0, 45.0), (1, 60.0), (2, 75.0)])
def test_no_network_is_over_the_bound(small, seed, budget_ms):
    evaluator, cost = small
    objective = Objective(cost, budget_ms)
    units, everything = _cut(split_into_units(objective), 6, np.random.default_rng(seed))
    within = everything[objective.high_ms(everything) <= budget_ms]
    bound = predictor_bound(evaluator.predictor, objective, units, boxes=128)
    if len(within):
        assert bound >= evaluator.top1(within).max()
    assert bound is None or bound < 90


def test_the_predictor_of_mnasnet_is_bounded():
    predictor = shipped_predictor("mnasnet")
    evaluator = PredictorEvaluator(predictor, predictor.layout.covered)
    objective = Objective(CompiledCost(evaluator.space, load_device("pixel")), 70.0)
    units, everything = _cut(split_into_units(objective), 4, np.random.default_rng(3))
    within = everything[objective.high_ms(everything) <= 70.0]
    best = evaluator.top1(within).max()
    assert best <= predictor_bound(predictor, objective, units, boxes=128) < 100


def test_every_network_of_a_small_space_is_scored(tmp_path: Path):
    whole = load_space("mobilenetv3")
    text = (Path(searchspace.__file__).parent / "data" / "spaces" / "mobilenetv3.yaml").read_text(encoding="utf-8")
    text = text.replace("depth: [2, 3, 4]", "depth: [2]").replace("kernel: [3, 5, 7]", "kernel: [3]")
    (tmp_path / "few.yaml").write_text(text.replace("ratio: [3, 4, 6]", "ratio: [3, 6]"), encoding="utf-8")
    space = load_space(tmp_path / "few.yaml")
    assert space.count() <= 1024 < whole.count()
    evaluator = PredictorEvaluator(shipped_predictor("mobilenetv3"), space)
    objective = Objective(CompiledCost(space, load_device("pixel")), 45.0)
    everything = np.stack(list(space.enumerate()))
    best = evaluator.top1(everything[objective.high_ms(everything) <= 45.0]).max()
    bound = bound_for(evaluator, objective, objective.fastest[None])
    assert bound.proved == bound.estimated == best
    assert bound.proves(best) and objective.high_ms(bound.best[None])[0] <= 45.0


@pytest.mark.parametrize("budget_ms", [30.0, 60.0])
def test_unit_costs_keep_below_the_upper_end(small, budget_ms):
    _, cost = small
    objective = Objective(cost, budget_ms)
    units, everything = _cut(split_into_units(objective), 4, np.random.default_rng(1))
    summed = sum(unit.cost_ms[[_row(unit, one) for one in everything]] for unit in units.members)
    over = objective.high_ms(everything) - budget_ms
    assert (summed - units.room_ms <= over + 1e-9).all()
    assert np.median(over - (summed - units.room_ms)) < 1.0


def _row(unit, genotype) -> int:
    own = list(unit.choices)
    return int(np.flatnonzero((unit.genotypes[:, own] == genotype[own]).all(1))[0])


def test_the_stand_in_is_wrong_by_no_more_than_said(small):
    evaluator, cost = small
    units, everything = _cut(split_into_units(Objective(cost, 60.0)), 4, np.random.default_rng(2))
    with np.errstate(divide="ignore"):
        pieces = take_apart(evaluator.predictor, evaluator.space, units)
    seen = background(pieces, [np.arange(4)] * len(units.members))
    rows = np.array([[_row(unit, one) for unit in units.members] for one in everything[::7]])
    sums = sum(part[:, rows[:, unit]] for unit, part in enumerate(pieces.sums))
    at = [(sums[i] - seen.lowest[i]).astype(int) for i in range(len(sums))]
    additive = pieces.constant + sum(
        pieces.scale * seen.gains[unit][rows[:, unit]] + pieces.gains[unit][rows[:, unit]]
        for unit in range(len(units.members))
    )
    additive += pieces.scale * sum(sum(seen.total_gains[i])[at[i]] for i in range(len(at)))
    additive -= pieces.scale * (pieces.groups - 1) * seen.mean
    close = [seen.closeness[unit][:, rows[:, unit]] for unit in range(len(units.members))]
    close += [seen.total_closeness[i][:, at[i]] for i in range(len(at))]
    squared = rest_norm(np.stack(close), seen.self_closeness.T[:, :, None], 1.0)
    wrong = pieces.scale * pieces.norm * np.sqrt(WEIGHTS @ squared)
    truth = evaluator.top1(everything[::7])
    assert (truth <= additive + wrong).all()
    assert np.abs(additive - truth).max() < 3 < wrong.max() + 3


def test_the_mixture_is_the_kernel():
    squared = np.concatenate([np.linspace(0, 0.1, 20001), np.linspace(0.1, FARTHEST, 20001)])
    r = np.sqrt(0.75 * squared)
    assert np.abs(mixture(squared) - (1 + r) * np.exp(-r)).max() < ERROR


@pytest.mark.slow
def test_the_whole_space_is_bounded_and_estimated(small):
    evaluator, cost = small
    objective = Objective(cost, 60.0)
    bound = bound_for(evaluator, objective, objective.fastest[None])
    assert 76 < bound.estimated <= bound.proved < 79.5
    assert objective.high_ms(bound.best[None])[0] <= 60.0
    assert not bound.proves(bound.estimated)


@pytest.mark.slow
@pytest.mark.parametrize(("budget_ms", "at_most"), [(45.0, 78.2), (60.0, 79.5)])
def test_none_of_100_000_networks_is_over_the_bound(small, budget_ms, at_most):
    evaluator, cost = small
    objective = Objective(cost, budget_ms)
    bound = predictor_bound(evaluator.predictor, objective, split_into_units(objective))
    evolution, best, seen = RegularisedEvolution.sized(objective, 0, 50_000), 0.0, 0
    rng = np.random.default_rng(0)
    while seen < 100_000:
        for genotypes in (evolution.ask(500), objective.sample(rng, 500)):
            top1 = evaluator.top1(genotypes)
            best = max(best, top1[objective.high_ms(genotypes) <= budget_ms].max(initial=0.0))
            evolution.tell(objective.results(genotypes, top1))
            seen += len(genotypes)
    assert best <= bound < at_most


def test_a_table_is_its_own_bound(small):
    evaluator, cost = small
    drawn = evaluator.space.sample(np.random.default_rng(0), 50)
    top1 = evaluator.top1(drawn)
    table = TableEvaluator(AccuracyRows(evaluator.space, drawn, top1, "drawn"))
    objective = Objective(cost, 60.0)
    bound = bound_for(table, objective, drawn)
    assert bound.proves(top1[objective.high_ms(drawn) <= 60.0].max())


class _Additive:
    label, fingerprint, basis = "gains", "0", {}

    def __init__(self, space: SearchSpace) -> None:
        gains = np.random.default_rng(0).normal(size=(len(space.choices), 4))
        self.additive = [
            Factor((i,), gains[i, : len(choice.values)]) for i, choice in enumerate(space.choices) if not choice.when
        ]


def test_gains_that_add_up_are_solved(tmp_path: Path):
    text = "format: space/1\nname: few\nstem: stem_k3_s2_c16_hs\nhead: head_c960_h1280_hs\n"
    text += "per_layer: [kernel, ratio]\nstages:\n"
    for number, width in enumerate((24, 40)):
        text += f"  - {{name: s{number}, block: inverted, width: {width}, stride: 2, depth: [1, 2], "
        text += "kernel: [3, 5], ratio: [3, 6]}\n"
    (tmp_path / "few.yaml").write_text(text, encoding="utf-8")
    space = load_space(tmp_path / "few.yaml")
    cost = CompiledCost(space, load_device("pixel"), True)
    everything = np.stack(list(space.enumerate()))
    objective = Objective(cost, float(np.median(cost.high_ms(everything))))
    evaluator = _Additive(space)
    scores = sum(one.values[everything[:, one.scope[0]]] for one in evaluator.additive)
    best = scores[objective.high_ms(everything) <= objective.budget_ms].max()
    bound = bound_for(evaluator, objective, everything[:1])
    assert bound.proves(best) and bound.proved >= best - 1e-6
