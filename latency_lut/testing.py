"""Tests that every latency table must pass: inherit the class, provide the table, and pytest runs them.

class TestMyTable(LatencyTableConformance):
    @pytest.fixture
    def table(self) -> LatencyTable:
        return LatencyTable.load("my.csv")
"""

# ruff: noqa: D102 - the names of the tests say what holds
from __future__ import annotations

import math
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path

import pytest

from latency_lut.errors import UnmeasuredOp
from latency_lut.predict import predict_block
from latency_lut.table import LatencyTable
from searchspace.ops import Op, OpKind

_EVERY = 7  # one pair of neighbours in so many is tried
_FAR = 999_999  # channels that no phone has measured


def _family(op: Op) -> Op:
    return replace(op, in_channels=0, out_channels=0)


_SOME_OPS = (Op(OpKind.CONV, 14, 80, 200), Op(OpKind.DWCONV, 14, 200, 200, 3), Op(OpKind.ADD, 14, 80, 80))


class LatencyTableConformance:
    """What holds for any table; subclasses provide the fixture `table`."""

    def test_a_saved_table_loads_as_the_same_table(self, table: LatencyTable, tmp_path: Path) -> None:
        table.save(tmp_path / "table.csv")
        loaded = LatencyTable.load(tmp_path / "table.csv")
        assert loaded == table
        assert loaded.to_text() == table.to_text()

    def test_every_measured_op_has_its_own_entry(self, table: LatencyTable) -> None:
        entries = table.entries()
        assert tuple(entries) == table.ops()
        assert all(table.entry(op) == entry for op, entry in entries.items())

    def test_times_and_spreads_are_finite_and_not_negative(self, table: LatencyTable) -> None:
        assert all(0 <= e.latency_ms < math.inf and 0 <= e.spread_ms < math.inf for e in table.entries().values())

    def test_an_interpolated_time_lies_within_those_of_its_family(self, table: LatencyTable) -> None:
        families: dict[Op, tuple[float, float]] = {}
        for op, entry in table.entries().items():
            fastest, slowest = families.get(_family(op), (math.inf, 0.0))
            families[_family(op)] = min(fastest, entry.latency_ms), max(slowest, entry.latency_ms)
        for first, second in islice(pairwise(table.ops()), 0, None, _EVERY):
            middle = replace(first, out_channels=(first.out_channels + second.out_channels) // 2)
            if middle == first or replace(middle, out_channels=second.out_channels) != second:
                continue
            fastest, slowest = families[_family(first)]
            assert fastest <= table.entry(middle).latency_ms <= slowest, middle

    def test_outside_the_measured_range_it_refuses_or_flags(self, table: LatencyTable) -> None:
        inside = (table.ops() or _SOME_OPS)[0]
        outside = replace(inside, in_channels=_FAR, out_channels=_FAR)
        with pytest.raises(UnmeasuredOp, match=str(_FAR)):
            table.entry(outside)
        guessed = table.entry(outside, allow_extrapolation=True)
        assert guessed.extrapolated
        assert guessed.spread_ms > table.entry(inside).spread_ms

    def test_a_prediction_is_the_sum_of_its_ops_within_its_interval(self, table: LatencyTable) -> None:
        ops = table.ops()[:100] or _SOME_OPS
        prediction = predict_block(table, ops)
        assert prediction.latency_ms == sum(predict_block(table, [op]).latency_ms for op in reversed(ops))
        assert 0 <= prediction.low_ms <= prediction.latency_ms <= prediction.high_ms < math.inf

    def test_every_view_predicts_the_same_ops(self, table: LatencyTable) -> None:
        for name in table.provenance.views:
            assert table.view(name).ops() == table.ops()
