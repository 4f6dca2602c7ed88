"""Both kinds of space under one set of tests, and strategies over cells."""

from __future__ import annotations

import numpy as np
import pytest

from latency_lut.compiled import CompiledCost, compile_counts
from latency_lut.devices import load_device
from latency_lut.errors import UnmeasuredOp
from searchspace.cells import DARTS, CellSpace
from searchspace.space import load_space
from searchspace.space_testing import SpaceConformance


class TestStaged(SpaceConformance):
    def space(self):
        return load_space("mobilenetv3")


class TestStagedWithBlockChoice(SpaceConformance):
    def space(self):
        return load_space("macro")


class TestCells(SpaceConformance):
    def space(self):
        return CellSpace((*DARTS, "sandglass"), cells=5, channels=8)


def test_a_table_without_an_operation_of_cells_names_it():
    with pytest.raises(UnmeasuredOp):
        CompiledCost(CellSpace(cells=3, channels=8), load_device("pixel"))


def test_the_largest_cells_are_two_separable_5x5_everywhere():
    space = CellSpace()
    largest = space.decode(compile_counts(space).extreme(0, largest=True))
    assert {edge.operation for edge in largest.normal.edges} == {"sep_conv_5x5"}
    assert largest.madds >= max(space.decode(row).madds for row in space.sample(np.random.default_rng(0), 50))
