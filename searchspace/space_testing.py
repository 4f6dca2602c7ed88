"""The tests every space has to pass; inherit them and give a space to test your own.

    from searchspace.space_testing import SpaceConformance

    class TestMine(SpaceConformance):
        def space(self):
            return MySpace()

They need pytest and look at a space as pricing and strategies do: genotypes, networks, slots.
"""

# ruff: noqa: D102 - the names of the tests say what they test

from __future__ import annotations

import numpy as np
import pytest

from searchspace.choices import Genotypes
from searchspace.protocols import Space
from searchspace.slot_tables import extreme, slot_factors
from searchspace.support.errors import UserError

DRAWN = 40


class SpaceConformance:
    """Tests of one space (`searchspace.protocols.Space`)."""

    def space(self) -> Space:
        """Return the space to test; the same one every time."""
        raise NotImplementedError

    def drawn(self) -> tuple[Space, Genotypes]:
        """Return the space and a batch of its genotypes."""
        space = self.space()
        return space, space.sample(np.random.default_rng(0), DRAWN)

    def test_draws_are_canonical_and_repeat_with_their_seed(self) -> None:
        space, genotypes = self.drawn()
        assert genotypes.shape == (DRAWN, len(space.choices)) and genotypes.dtype == np.uint8
        assert (space.canonical(genotypes) == genotypes).all()
        assert (space.sample(np.random.default_rng(0), DRAWN) == genotypes).all()
        assert (genotypes < space.radices).all()

    def test_equal_genotypes_are_equal_networks(self) -> None:
        space, genotypes = self.drawn()
        networks = [space.decode(row) for row in genotypes]
        assert [space.decode(row) for row in genotypes] == networks
        assert len({hash(network) for network in networks}) <= len(networks)

    def test_mutants_differ_and_stay_in_the_space(self) -> None:
        space, genotypes = self.drawn()
        mutants = space.mutate(np.random.default_rng(1), genotypes, 0.1)
        assert (space.check(mutants) == mutants).all()
        assert (mutants != genotypes).any(axis=1).all()

    def test_children_take_active_choices_from_a_parent(self) -> None:
        space, genotypes = self.drawn()
        one, other = genotypes[: DRAWN // 2], genotypes[DRAWN // 2 :]
        children = space.crossover(np.random.default_rng(2), one, other)
        assert (space.check(children) == children).all()
        active = space.active(children)
        assert (~active | (children == one) | (children == other)).all()

    def test_slots_hold_the_operations_of_the_network(self) -> None:
        space, genotypes = self.drawn()
        (factors,) = slot_factors(space, [lambda op: float(op.madds)])
        for row in genotypes[:10]:
            total = sum(factor.values[tuple(row[list(factor.scope)])] for factor in factors)
            assert total == space.decode(row).madds

    def test_extremes_bound_every_network(self) -> None:
        space, genotypes = self.drawn()
        (factors,) = slot_factors(space, [lambda op: float(op.madds)])
        low, high = (space.decode(extreme(space, factors, largest)).madds for largest in (False, True))
        assert all(low <= space.decode(row).madds <= high for row in genotypes)

    def test_layers_sum_to_the_network(self) -> None:
        space, genotypes = self.drawn()
        for row in genotypes[:5]:
            network = space.decode(row)
            assert sum(layer.params for layer in network.ops()) == network.params
            assert sum(layer.madds for layer in network.ops()) == network.madds
            assert len({layer.name for layer in network.ops()}) == len(network.ops())

    def test_what_is_not_of_the_space_is_refused(self) -> None:
        space, genotypes = self.drawn()
        with pytest.raises(UserError):
            space.check(genotypes[:, :-1])
        wrong = genotypes.astype(np.int64)
        wrong[0, 0] = 255
        with pytest.raises(UserError):
            space.check(wrong)

    def test_it_says_what_a_genotype_is(self) -> None:
        space, genotypes = self.drawn()
        assert space.describe(genotypes[0]).strip()
        assert space.count() >= len({tuple(row) for row in genotypes.tolist()})
