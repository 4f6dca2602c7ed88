"""The loop in both forms, on an engine in this process and with a tuner that needs no images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from torch import Tensor

from latency_lut import LatencyTable
from nas.engines import InProcessEngine
from netadapt.importance import Criterion
from netadapt.iterations import Position, Problem, Step, Tuned, adapt
from netadapt.proposals import Proposal, Widths, plan
from netadapt.resources import Cost, Latency, Madds, Pricer
from netadapt.schedule import Form, Schedule, published_schedule
from searchspace.architecture import Architecture
from searchspace.modules import build_network, empty_network
from searchspace.support.errors import UserError
from searchspace.text import parse

from .conftest import ALL


@dataclass(frozen=True)
class WidthTuner:
    """Stands for training: accuracy falls with what is lost, and least for the layers of block 3."""

    def __call__(self, architecture: Architecture, state: Mapping[str, Tensor], seed: int) -> Tuned:
        empty_network(architecture).load_state_dict(dict(state))  # the weights must fit
        accuracy = sum(getattr(block, "hidden", 0) + block.out for block in architecture.blocks[:2])
        accuracy += 0.01 * architecture.blocks[2].out + 1e-6 * (seed % 1000)
        return Tuned(float(accuracy), float(accuracy), dict(state))


def problem(pricer: Pricer, architecture: Architecture, share: float = 0.8, **changes: Any) -> Problem:
    cost = pricer.price(architecture)
    made = Problem(
        pricer=pricer,
        target=share * cost.upper,
        initial_cost=cost,
        schedule=published_schedule(Form.MOBILENETV3),
        widths=ALL,
        criterion=Criterion.L2,
        tune=WidthTuner(),
        seed=0,
    )
    return replace(made, **changes)


def start(pricer: Pricer, architecture: Architecture) -> Position:
    state = build_network(architecture, seed=0).state_dict()
    return Position(0, architecture, WidthTuner()(architecture, state, 0), pricer.price(architecture))


def run(pricer: Pricer, architecture: Architecture, given: Problem) -> list[tuple[Step, Position]]:
    return list(adapt(start(pricer, architecture), given, InProcessEngine()))


def test_mobilenetv3_saves_at_least_delta_each_step_until_the_upper_end_fits(
    small: Architecture, table: LatencyTable
) -> None:
    pricer = Pricer(Latency(table), small)
    given = problem(pricer, small)
    steps = run(pricer, small, given)
    delta = 0.01 * pricer.price(small).value
    assert len(steps) > 5
    assert all(step.cost_before - step.cost >= delta - 1e-12 for step, _ in steps)
    last, position = steps[-1]
    assert position.cost.upper == last.upper <= given.target < steps[-2][0].upper
    assert [step.step for step, _ in steps] == list(range(1, len(steps) + 1))
    assert all(parse(step.architecture) == reached.architecture for step, reached in steps)


def test_the_original_decays_its_reductions_and_stops_at_the_target(small: Architecture) -> None:
    pricer = Pricer(Madds(), small)
    given = problem(pricer, small, schedule=published_schedule(Form.ORIGINAL), widths=Widths(parts=ALL.parts, step=1))
    steps = [step for step, _ in run(pricer, small, given)]
    asked = [step.asked for step in steps]
    assert asked == pytest.approx([0.025 * 0.96**i * small.madds for i in range(len(steps))])
    assert 0.97 * given.target < steps[-1].cost <= given.target


def test_the_most_accurate_and_the_best_ratio_are_different_choices() -> None:
    architecture = parse("r32,stem_k3_s2_c16_re,ir_k3_s1_h64_c24_re,ir_k3_s1_h96_c32_re,head_re,n5")
    pricer = Pricer(Madds(), architecture)
    two = plan(architecture, pricer, 0.99 * architecture.madds, -1.0, ALL)[:2]
    before = Cost(100.0, 100.0)
    proposals = [replace(two[0], cost=Cost(98.0, 98.0)), replace(two[1], cost=Cost(90.0, 90.0))]
    scores = [69.0, 68.0]  # 0.5 points lost per unit saved, against 0.2
    assert published_schedule(Form.ORIGINAL).pick(proposals, scores, before, 70.0) == 0
    assert published_schedule(Form.MOBILENETV3).pick(proposals, scores, before, 70.0) == 1
    assert published_schedule(Form.MOBILENETV3).pick(proposals, [70.0, 70.0], before, 70.0) == 0


def test_going_on_from_any_position_leads_to_the_same_end(small: Architecture) -> None:
    pricer = Pricer(Madds(), small)
    given = problem(pricer, small)
    whole = run(pricer, small, given)
    for _, position in whole[::4]:
        rest = list(adapt(position, given, InProcessEngine()))
        assert [step for step, _ in rest] == [step for step, _ in whole[position.step :]]


def test_random_proposals_follow_their_seed(small: Architecture) -> None:
    pricer = Pricer(Madds(), small)

    def path(seed: int) -> list[str]:
        return [step.group for step, _ in run(pricer, small, problem(pricer, small, seed=seed, random=True))]

    assert path(1) == path(1) != path(2)


def test_each_step_records_every_proposal_it_tried(small: Architecture) -> None:
    pricer = Pricer(Madds(), small)
    heard: list[tuple[int, int]] = []
    steps = adapt(start(pricer, small), problem(pricer, small), InProcessEngine(), lambda *done: heard.append(done))
    step, _ = next(steps)
    assert heard == [(number, len(step.tried)) for number in range(1, len(step.tried) + 1)]
    (chosen,) = [one for one in step.tried if one.group == step.group]
    assert (chosen.width, chosen.cost, chosen.accuracy) == (step.after, step.cost, step.accuracy)


def test_where_no_group_saves_enough_less_is_asked(small: Architecture) -> None:
    """Near its smallest widths no single group saves a tenth; the step then asks for half, a quarter, ..."""
    pricer = Pricer(Madds(), small)
    given = problem(pricer, small, share=0.35, schedule=Schedule(form=Form.MOBILENETV3, reduction=0.4))
    steps = [step for step, _ in run(pricer, small, given)]
    assert steps[-1].upper <= given.target
    assert min(step.asked for step in steps) < 0.4 * small.madds


def test_a_target_out_of_reach_ends_with_an_error(small: Architecture) -> None:
    pricer = Pricer(Madds(), small)
    with pytest.raises(UserError, match="no width can shrink further"):
        run(pricer, small, problem(pricer, small, share=0.01))


@pytest.mark.parametrize("change", [{"reduction": 0.0}, {"reduction": 1.0}, {"decay": 0.0}, {"decay": 1.1}])
def test_impossible_schedules_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(UserError, match="reduction"):
        Schedule(**{"form": Form.ORIGINAL, "reduction": 0.02, **change})  # type: ignore[arg-type]


def test_a_proposal_is_tuned_from_the_last_steps_weights(small: Architecture) -> None:
    """The kept channels of the first step are rows of the seed's tensors."""
    pricer = Pricer(Madds(), small)
    given = problem(pricer, small)
    begin = start(pricer, small)
    _, position = next(adapt(begin, given, InProcessEngine()))
    for name, tensor in position.state.items():
        if name.startswith("head.classifier.bias"):
            assert tensor.equal(begin.state[name])
    assert sum(t.numel() for t in position.state.values()) < sum(t.numel() for t in begin.state.values())


def test_proposals_travel_between_processes(small: Architecture) -> None:
    import pickle

    pricer = Pricer(Madds(), small)
    proposals = plan(small, pricer, 0.9 * small.madds, -1.0, ALL)
    assert pickle.loads(pickle.dumps(proposals)) == proposals
    assert isinstance(proposals[0], Proposal)
