"""Named metrics, several budgets at once, fronts over several metrics, hypervolume."""

from __future__ import annotations

import numpy as np
import pytest

from latency_lut.compiled import CompiledCost
from latency_lut.devices import load_device
from nas.objectives import JointCost, Measures, Objective, Part, front_of, hypervolume, hypervolume_over_time, metric
from nas.objectives._measures import peak_activation_bytes
from searchspace.reference import reference
from searchspace.space import load_space
from searchspace.support.errors import UserError


@pytest.fixture(scope="module")
def costs() -> dict[str, CompiledCost]:
    space = load_space("mobilenetv3")
    return {name: CompiledCost(space, load_device(name), True) for name in ("pixel1", "pixel4")}


def joint(costs, first_ms: float, second_ms: float) -> JointCost:
    return JointCost(Part("pixel1", costs["pixel1"], first_ms), Part("pixel4", costs["pixel4"], second_ms))


def test_metrics_have_names_units_and_directions():
    assert metric("latency").name == "latency_ms"
    assert metric("latency_ms@pixel4").name == "latency_ms@pixel4"
    assert metric("top1").as_dict() == {"unit": "%", "better": "higher"}
    for name in ("speed", "params@pixel4", ""):
        with pytest.raises(UserError, match="peak_activation_bytes"):
            metric(name)


def test_peak_activation_memory_of_mobilenet_v2():
    """The stride-2 depthwise convolution on 96 channels at 112 px reads 112 x 112 x 96 and writes 56 x 56 x 96."""
    assert peak_activation_bytes(reference("mobilenet_v2")) == 4 * (112 * 112 * 96 + 56 * 56 * 96)


def test_counts_by_name_are_those_of_the_networks(costs):
    measures = Measures(costs["pixel1"].space, {"": costs["pixel1"], "pixel4": costs["pixel4"]})
    genotypes = measures.space.sample(np.random.default_rng(0), 20)
    networks = [measures.space.decode(row) for row in genotypes]
    assert measures.values(metric("params"), genotypes).tolist() == [network.params for network in networks]
    assert measures.values(metric("madds"), genotypes).tolist() == [network.madds for network in networks]
    assert (measures.values(metric("latency@pixel4"), genotypes) == costs["pixel4"].latency_ms(genotypes)).all()
    peaks = measures.values(metric("peak_activation_bytes"), genotypes)
    assert peaks.tolist() == [peak_activation_bytes(network) for network in networks]


def test_several_budgets_are_each_kept_by_their_upper_end(costs):
    objective = Objective(joint(costs, 60.0, 20.0), 60.0)
    genotypes = objective.space.sample(np.random.default_rng(0), 3000)
    both = (costs["pixel1"].high_ms(genotypes) <= 60) & (costs["pixel4"].high_ms(genotypes) <= 20)
    assert ((objective.high_ms(genotypes) <= 60 * (1 + 1e-12)) == both).all()
    assert 0 < both.sum() < len(both)
    assert [(limit.metric.name, limit.value) for limit in objective.limits] == [
        ("latency_ms@pixel1", 60.0),
        ("latency_ms@pixel4", 20.0),
    ]


def test_a_second_budget_that_does_not_bind_changes_nothing_but_rounding(costs):
    alone, together = Objective(costs["pixel1"], 60.0), Objective(joint(costs, 60.0, 1e4), 60.0)
    genotypes = alone.space.sample(np.random.default_rng(1), 500)
    assert together.high_ms(genotypes) == pytest.approx(alone.high_ms(genotypes), rel=1e-12)
    assert (together.fastest == alone.fastest).all()


def test_budgets_that_none_keeps_together_are_refused_with_what_they_would_take(costs):
    with pytest.raises(UserError, match=r"of 60 ms on pixel1, .* of 1 ms on pixel4"):
        Objective(joint(costs, 60.0, 1.0), 60.0)


def test_fronts_over_several_costs_are_those_of_the_definition():
    rng = np.random.default_rng(0)
    top1, *costs = rng.integers(0, 12, (3, 300)).astype(float)
    front = set(front_of(top1, costs).tolist())
    points = np.stack([-top1, *costs], axis=1)
    for index, point in enumerate(points):
        beaten = ((points <= point).all(axis=1) & (points < point).any(axis=1)).any()
        twin = any((points[other] == point).all() for other in front if other != index)
        assert (index in front) == (not beaten and not twin)


def test_hypervolume_is_the_area_and_never_shrinks():
    top1, cost = np.array([60.0, 70.0, 65.0]), np.array([10.0, 20.0, 30.0])
    assert hypervolume(top1, cost, (50.0, 40.0)) == 10 * 10 + 20 * 20
    assert hypervolume(top1, cost, (75.0, 40.0)) == 0
    rng = np.random.default_rng(0)
    top1, cost = rng.random(500), rng.random(500)
    found = hypervolume_over_time(top1, cost, (0.0, 1.0))
    assert found[-1] == (500, pytest.approx(hypervolume(top1, cost, (0.0, 1.0))))
    assert [volume for _, volume in found] == sorted(volume for _, volume in found)
