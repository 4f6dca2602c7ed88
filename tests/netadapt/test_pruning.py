"""Weights of slimmer networks: right shapes for every block, and the same function where nothing of value was cut."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from netadapt import find_group, groups
from netadapt.groups import Role, Site
from netadapt.importance import Criterion, channel_scores
from netadapt.layout import weight_layers
from netadapt.pruning import kept_channels, prune
from netadapt.testing import check_layout, check_masked, network_of, random_state
from netadapt.widths import resized
from searchspace.modules import build_network
from searchspace.reference import reference
from searchspace.support.errors import UserError
from searchspace.text import parse

from .conftest import ALL, MIXED, SMALL


@pytest.mark.parametrize(
    "name", ["mobilenet_v1", "mobilenet_v3_small", "mnasnet_small", "mobilenext_0.35", SMALL, MIXED]
)
def test_the_layout_names_every_tensor_of_the_modules(name: str) -> None:
    architecture = parse(name) if "," in name else reference(name)
    check_layout(architecture)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_pruned_weights_fit_the_slimmer_network(data: st.DataObject) -> None:
    architecture = parse(data.draw(st.sampled_from([SMALL, MIXED])))
    state = random_state(architecture)
    for _ in range(data.draw(st.integers(1, 4))):
        group = data.draw(st.sampled_from(ALL.groups(architecture)))
        width = data.draw(st.sampled_from(ALL.candidates(tuple(architecture.placed_blocks()), group)))
        smaller = resized(architecture, {group: width})
        state = prune(architecture, smaller, {group: width}, state, Criterion.L1)
        architecture = smaller
    outputs = network_of(architecture, state)(torch.rand(2, 3, 32, 32))
    assert outputs.shape == (2, 5) and bool(outputs.isfinite().all())


@pytest.mark.parametrize("text", [SMALL, MIXED])
def test_removing_silent_channels_leaves_the_function(text: str) -> None:
    architecture = parse(text)
    for group in ALL.groups(architecture):
        check_masked(architecture, group)


def test_kept_channels_are_the_best_in_their_order() -> None:
    scores = torch.tensor([0.3, 0.9, 0.1, 0.5, 0.9])
    assert kept_channels(scores, 3).tolist() == [1, 3, 4]
    assert kept_channels(torch.ones(5), 2).tolist() == [0, 1]


def test_a_partial_shortcut_keeps_its_share_on_each_side() -> None:
    scores = torch.tensor([9.0, 8.0, 7.0, 6.0, 1.0, 2.0, 3.0, 4.0])
    assert kept_channels(scores, 4, {4: 2}).tolist() == [0, 1, 6, 7]


def test_meeting_shares_that_round_badly_still_keep_enough() -> None:
    kept = kept_channels(torch.arange(9.0), 8, {3: 2, 4: 4})
    assert len(kept) == 8 == len(set(kept.tolist()))


class TestCriteria:
    architecture = parse(SMALL)
    group = find_group(architecture, "block1-2 bottleneck")

    def test_magnitudes_add_up_over_all_layers_that_write_a_group(self) -> None:
        state = random_state(self.architecture)
        first, second = (state[f"blocks.{i}.project.conv.weight"].flatten(1) for i in (0, 1))
        l1 = channel_scores(self.architecture, self.group, state, Criterion.L1)
        l2 = channel_scores(self.architecture, self.group, state, Criterion.L2)
        assert torch.allclose(l1, first.abs().sum(1) + second.abs().sum(1))
        assert torch.allclose(l2, torch.cat([first, second], 1).norm(dim=1))

    def test_batch_norm_scales(self) -> None:
        state = random_state(self.architecture)
        scores = channel_scores(self.architecture, self.group, state, Criterion.NORM)
        assert torch.allclose(scores, sum(state[f"blocks.{i}.project.norm.weight"].abs() for i in (0, 1)))

    def test_equal_batch_norm_scales_are_refused(self) -> None:
        state = build_network(self.architecture, seed=0).state_dict()
        with pytest.raises(UserError, match="all batch-norm scales are equal"):
            channel_scores(self.architecture, self.group, state, Criterion.NORM)

    def test_taylor_without_gradients_is_refused(self) -> None:
        with pytest.raises(UserError, match="needs gradients"):
            channel_scores(self.architecture, self.group, random_state(self.architecture), Criterion.TAYLOR)

    @pytest.mark.parametrize("name", ["block2 expansion", "head hidden layer", "block1-2 bottleneck"])
    def test_taylor_is_the_first_order_change_of_the_loss(self, name: str) -> None:
        """Scaling a channel before its non-linearity by 1 - e changes the loss by e x the score."""
        architecture, group = self.architecture, find_group(self.architecture, name)
        state = {k: v.double() if v.is_floating_point() else v for k, v in random_state(architecture).items()}
        network = build_network(architecture, seed=0).double()
        network.load_state_dict(state)
        images = torch.rand(4, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

        def loss() -> Tensor:
            return torch.nn.functional.cross_entropy(network.eval()(images), torch.arange(4))

        loss().backward()  # type: ignore[no-untyped-call]
        gradients = {n: p.grad for n, p in network.named_parameters() if p.grad is not None}
        scores = channel_scores(architecture, group, state, Criterion.TAYLOR, gradients)
        if name == "block1-2 bottleneck":  # two writers: the score adds absolute terms, a bound on the change
            assert bool((scores >= 0).all()) and scores.shape == (24,)
            return
        channel, step = 5, 1e-6
        (layer,) = [one for one in weight_layers(architecture) if one.writes == group.sites[0] and not one.depthwise
                    and "squeeze" not in one.module]  # fmt: skip
        before = float(loss().detach())
        with torch.no_grad():
            for tensor in layer.scale_and_shift:
                network.get_parameter(tensor)[channel] *= 1 - step
        change = abs(float(loss().detach()) - before) / step
        assert change == pytest.approx(float(scores[channel]), rel=1e-2, abs=1e-9)


def test_weights_of_another_network_are_refused() -> None:
    architecture = parse(SMALL)
    group = groups(architecture)[0]
    smaller = resized(architecture, {group: 8})
    state = random_state(smaller)
    with pytest.raises(UserError, match="weights of another network: stem"):
        prune(architecture, smaller, {group: 8}, state)


def test_a_site_reads_as_a_pair() -> None:
    assert Site(3, Role.OUT) == (3, "out")
