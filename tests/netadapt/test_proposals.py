"""Planning: every proposal saves enough and no more than one channel step too much, priced as `predict` prices."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from latency_lut import LatencyTable, UnmeasuredOp, predict
from netadapt.groups import Part
from netadapt.iterations import check_target
from netadapt.proposals import Proposal, Widths, plan, smallest
from netadapt.resources import Latency, Madds, Params, Pricer, Resource
from netadapt.widths import resized
from searchspace.architecture import Architecture
from searchspace.reference import reference
from searchspace.support.errors import UserError
from searchspace.text import parse

from .conftest import ALL

NEVER = -1.0  # a target that no network meets


@pytest.mark.parametrize("resource", [Madds, Params])
@pytest.mark.parametrize("network", ["mobilenet_v2", "mnasnet_a1", "mobilenext", "mobilenet_v1", "mobilenet_v3_small"])
def test_a_proposal_saves_what_was_asked_and_its_wider_neighbour_does_not(
    network: str, resource: Callable[[], Resource]
) -> None:
    architecture = reference(network)
    pricer = Pricer(resource(), architecture)
    before = pricer.price(architecture).value
    budget = 0.97 * before
    proposals = plan(architecture, pricer, budget, NEVER, ALL)
    assert len(proposals) > 3
    for proposal in proposals:
        assert proposal.cost.value == pricer.price(proposal.architecture).value <= budget
        assert proposal.architecture == resized(architecture, {proposal.group: proposal.width})
        candidates = ALL.candidates(tuple(architecture.placed_blocks()), proposal.group)
        wider = candidates[: candidates.index(proposal.width)][-1:]
        for width in wider:
            assert pricer.price(resized(architecture, {proposal.group: width})).value > budget


def test_latency_is_that_of_predict_to_the_bit(small: Architecture, table: LatencyTable) -> None:
    pricer = Pricer(Latency(table), small)
    budget = 0.95 * predict(table, small).latency_ms
    proposals = plan(small, pricer, budget, NEVER, ALL)
    assert proposals
    for proposal in proposals:
        prediction = predict(table, proposal.architecture)
        assert (proposal.cost.value, proposal.cost.upper) == (prediction.latency_ms, prediction.high_ms)


def test_the_saving_is_met_within_one_channel_step(small: Architecture, table: LatencyTable) -> None:
    pricer = Pricer(Latency(table), small)
    now = pricer.price(small).value
    asked = 0.04 * now
    for proposal in plan(small, pricer, now - asked, NEVER, ALL):
        saved = now - proposal.cost.value
        width = proposal.width + 8
        wider = now if width == proposal.group.width else pricer.price(resized(small, {proposal.group: width})).value
        assert asked <= saved < asked + (wider - proposal.cost.value) + 1e-9


def test_the_last_step_may_stop_at_the_target(small: Architecture, table: LatencyTable) -> None:
    pricer = Pricer(Latency(table), small)
    now = pricer.price(small)
    far = plan(small, pricer, 0.8 * now.value, NEVER, ALL)
    near = plan(small, pricer, 0.8 * now.value, 0.99 * now.upper, ALL)
    widths = {proposal.group.name: proposal.width for proposal in near}
    assert all(widths[proposal.group.name] >= proposal.width for proposal in far) and len(near) > len(far)


def test_only_allowed_parts_shrink(small: Architecture) -> None:
    pricer = Pricer(Madds(), small)
    budget = 0.99 * pricer.price(small).value
    assert {proposal.group.part for proposal in plan(small, pricer, budget, NEVER, Widths())} == {
        Part.EXPANSION,
        Part.BOTTLENECK,
    }
    parts = {proposal.group.part for proposal in plan(small, pricer, budget, NEVER, ALL)}
    assert parts == {Part.EXPANSION, Part.BOTTLENECK, Part.STEM, Part.HEAD, Part.LAST_STAGE}


def test_a_proposal_reads_well(small: Architecture) -> None:
    pricer = Pricer(Madds(), small)
    labels = [str(one) for one in plan(small, pricer, 0.98 * pricer.price(small).value, NEVER, ALL)]
    assert "block2 expansion 64 > 56" in labels


def test_the_smallest_network_has_nothing_left_to_shrink(mixed: Architecture) -> None:
    assert ALL.groups(smallest(mixed, ALL)) == ()


class TestRefusals:
    """Whatever cannot work is refused before any training."""

    def check(self, network: Architecture, table: LatencyTable, target: float, widths: Widths = ALL) -> None:
        check_target(network, Pricer(Latency(table), network), target, widths)

    def test_a_target_above_the_present_latency(self, small: Architecture, table: LatencyTable) -> None:
        with pytest.raises(UserError, match=r"target 50\.00 ms is not below the network's present latency"):
            self.check(small, table, 50.0)

    def test_a_target_below_the_smallest_widths(self, small: Architecture, table: LatencyTable) -> None:
        with pytest.raises(UserError, match=r"target 0\.01 ms is out of reach: .* still takes"):
            self.check(small, table, 0.01)

    def test_a_table_without_the_needed_operations(self, mixed: Architecture, table: LatencyTable) -> None:
        with pytest.raises(UnmeasuredOp, match="conv"):
            self.check(mixed.with_resolution(64), table, 1.0)

    def test_a_network_that_cannot_shrink(self, table: LatencyTable) -> None:
        tiny = parse("r32,stem_k3_s2_c8_re,ds_k3_s1_c8_re,head_re,n5")
        with pytest.raises(UserError, match="cannot shrink: none of its"):
            self.check(tiny, table, 1.0)

    def test_widths_that_make_no_sense(self) -> None:
        with pytest.raises(UserError, match="must be at least 1"):
            Widths(step=0)
        with pytest.raises(UserError, match="no part of the network may shrink"):
            Widths(parts=frozenset())


def test_proposals_are_values(small: Architecture) -> None:
    pricer = Pricer(Madds(), small)
    first, second = (plan(small, pricer, 0.9 * small.madds, NEVER, ALL) for _ in range(2))
    assert first == second and all(isinstance(one, Proposal) for one in first)
