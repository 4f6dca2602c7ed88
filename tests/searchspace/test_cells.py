"""Cell networks: published counts, text, space, modules."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from latency_lut.compiled import compile_counts
from searchspace.cells import (
    DARTS,
    PUBLISHED_CELLS,
    CellSpace,
    parse_cells,
    published_cell,
)
from searchspace.cells.modules import build_cells
from searchspace.cells.primitives import PRIMITIVES, with_operation
from searchspace.cells.supernet import EDGES, build_cell_supernet
from searchspace.support.errors import UserError

EVERYTHING = CellSpace(tuple(PRIMITIVES), name="everything", cells=5, channels=8)
SMALL = CellSpace(cells=3, channels=4, resolution=16)
seeds = st.integers(0, 2**32 - 1)


# Counted from the repositories' genotypes without the auxiliary classifier.
@pytest.mark.parametrize(
    ("name", "params"), [("darts_v1", 3_169_414), ("darts_v2", 3_349_342), ("pc_darts", 3_634_678)]
)
def test_published_cells_have_their_parameters(name, params):
    network = published_cell(name)
    assert network.params == params
    assert sum(p.numel() for p in build_cells(network, seed=0).parameters()) == params


def test_every_published_cell_is_a_member_of_the_space():
    space = CellSpace()
    for name in PUBLISHED_CELLS:
        network = published_cell(name)
        assert network in space
        assert space.decode(space.encode(network)) == network


def test_the_size_of_the_space():
    # One, three, six and ten pairs of states, and seven operations on each of two edges, for both cells.
    assert CellSpace().count() == (1 * 3 * 6 * 10 * 7**8) ** 2


# Convolution weights of the operations at C channels: DARTS' sep and dil, 12 C^2 + 54 C and C^2 / 3 + 18 C.
@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("sep_conv_3x3", 11_664),
        ("dil_conv_3x3", 5_832),
        ("inverted_residual", 66_096),
        ("sandglass", 3_024),
        ("conv_7x1_1x7", 72_576),
    ],
)
def test_weights_of_the_operations_at_72_channels(name, weights):
    ops = PRIMITIVES[name].ops(32, 72, 1)
    assert sum(op.params - 2 * op.out_channels for op in ops if op.params) == weights


@given(seeds)
def test_text_and_genotype_round_trip(seed):
    genotype = EVERYTHING.sample(np.random.default_rng(seed), 1)[0]
    network = EVERYTHING.decode(genotype)
    assert parse_cells(str(network)) == network
    assert (EVERYTHING.encode(network) == genotype).all()


def test_compiled_counts_are_those_of_the_networks():
    genotypes = EVERYTHING.sample(np.random.default_rng(0), 30)
    madds, _ = compile_counts(EVERYTHING)(genotypes)
    assert madds.tolist() == [EVERYTHING.decode(row).madds for row in genotypes]


def test_modules_have_the_counted_parameters_and_run():
    for genotype in EVERYTHING.sample(np.random.default_rng(1), 10):
        network = EVERYTHING.decode(genotype)
        module = build_cells(network, seed=0, auxiliary=True).train()
        counted = sum(p.numel() for name, p in module.named_parameters() if not name.startswith("auxiliary"))
        assert counted == network.params
        logits, auxiliary = module.answers(torch.randn(2, 3, 32, 32))
        assert logits.shape == auxiliary.shape == (2, 10)


@pytest.mark.parametrize("size", [15, 16, 17])
def test_odd_maps_run(size):
    network = SMALL.decode(np.zeros(len(SMALL.choices), dtype=np.uint8)).with_resolution(size)
    assert build_cells(network, seed=0).eval()(torch.randn(1, 3, size, size)).shape == (1, 10)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("r32,cells20,c36,normal:sep3@0", "cannot read"),
        (str(published_cell("darts_v2")).replace("sep3@0+sep3@1", "sep3@1+sep3@0", 1), "lower first"),
        (str(published_cell("darts_v2")).replace("sep3@0", "sep9@0", 1), "sep9@0"),
        (str(published_cell("darts_v2")).replace("dil3@2", "dil3@7", 1), "state"),
    ],
)
def test_wrong_texts_are_refused_by_name(text, wrong):
    with pytest.raises(UserError, match=wrong):
        parse_cells(text)


def test_table_13_spaces():
    assert with_operation("sandglass") == (*DARTS, "sandglass")
    replaced = with_operation("sandglass", replacing="sep_conv_5x5")
    assert len(replaced) == len(DARTS) and "sep_conv_5x5" not in replaced
    with pytest.raises(UserError, match="none of DARTS"):
        with_operation("sandglass", replacing="ir")


@pytest.mark.parametrize("partial", [1, 2])
def test_discretising_keeps_the_strongest_edges(partial):
    supernet = build_cell_supernet(SMALL, seed=0, cells=3, channels=4, partial=partial)
    supernet.normal.zero_()
    dilated = 1 + SMALL.operations.index("dil_conv_3x3")
    supernet.normal[:, 0] = 5.0  # "none" is strongest everywhere and never chosen
    for edge in (0, 1, 3, 4, 5, 6, 10, 11):
        supernet.normal[edge, dilated] = 3.0 + edge / 100
    cell = supernet.discretised().normal
    assert {edge.operation for edge in cell.edges} == {"dil_conv_3x3"}
    assert [edge.source for edge in cell.edges] == [0, 1, 1, 2, 0, 1, 1, 2]


def test_a_supernet_starts_near_uniform_and_from_its_seed():
    one, same = (build_cell_supernet(SMALL, seed=3, cells=3, channels=4) for _ in range(2))
    assert one.normal.shape == (EDGES, 8)
    assert 0 < one.normal.abs().max() < 0.01
    assert torch.equal(one.normal, same.normal)
    assert one(torch.randn(2, 3, 16, 16)).shape == (2, 10)
