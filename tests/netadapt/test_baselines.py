"""Baselines: the widest network within the cost, shrunk as their names say."""

from __future__ import annotations

import pytest

from netadapt.baselines import magnitude, uniform
from netadapt.importance import Criterion
from netadapt.resources import Madds, Pricer
from netadapt.widths import resized
from searchspace.architecture import Architecture
from searchspace.modules import build_network
from searchspace.reference import reference
from searchspace.support.errors import UserError

from .conftest import ALL


@pytest.mark.parametrize("network", ["mobilenet_v2", "mobilenet_v3_small", "mobilenext_0.35"])
def test_uniform_is_the_largest_multiplier_within_the_cost(network: str) -> None:
    architecture = reference(network)
    pricer = Pricer(Madds(), architecture)
    limit = 0.7 * architecture.madds
    widths = uniform(architecture, pricer, limit, ALL)
    smaller = resized(architecture, widths)
    assert 0.6 * architecture.madds < pricer.price(smaller).value <= limit
    ratios = [width / group.width for group, width in widths.items() if group.width >= 64]
    assert max(ratios) - min(ratios) < 0.13  # one multiplier, up to rounding to 8


def test_uniform_leaves_what_may_not_shrink() -> None:
    from netadapt.proposals import Widths

    architecture = reference("mobilenet_v2")
    widths = uniform(architecture, Pricer(Madds(), architecture), 0.8 * architecture.madds, Widths())
    smaller = resized(architecture, widths)
    assert (smaller.stem, smaller.head) == (architecture.stem, architecture.head)


def test_magnitude_removes_the_smallest_filters_wherever_they_are(small: Architecture) -> None:
    state = build_network(small, seed=0).state_dict()
    weak = "blocks.1.expand.conv.weight"
    state[weak][32:] *= 1e-3
    pricer = Pricer(Madds(), small)
    widths = magnitude(small, state, pricer, 0.9 * small.madds, ALL, Criterion.L2)
    assert pricer.price(resized(small, widths)).value <= 0.9 * small.madds
    assert [group.name for group in widths] == ["block2 expansion"]


def test_a_cost_below_every_width_is_refused(small: Architecture) -> None:
    with pytest.raises(UserError, match="no such baseline"):
        uniform(small, Pricer(Madds(), small), 1.0, ALL)
