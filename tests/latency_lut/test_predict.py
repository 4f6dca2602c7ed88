"""Interpolation between measured ops and prediction of whole networks, on a device whose true times are known."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latency_lut import Estimate, LatencyTable, Scale, UnmeasuredOp, predict, predict_block
from latency_lut.devices import load_device
from latency_lut.predict import op_latency
from searchspace.cells import published_cell
from searchspace.ops import Op, OpKind
from searchspace.reference import reference
from searchspace.support.errors import UserError


@pytest.mark.parametrize(
    "op",
    [
        Op(OpKind.CONV, 14, 12, 40),
        Op(OpKind.CONV, 14, 50, 100),
        Op(OpKind.CONV, 14, 16, 16),  # a hole of the grid
        Op(OpKind.CONV, 7, 40, 80),
        Op(OpKind.CONV, 20, 24, 24),  # a map size between two
        Op(OpKind.CONV, 10, 33, 77),
        Op(OpKind.DWCONV, 14, 100, 100, 3, 1),
        Op(OpKind.DWCONV, 20, 100, 100, 3, 2),
        Op(OpKind.HSWISH, 14, 33, 33),
    ],
    ids=str,
)
def test_between_measured_ops_the_truth_is_recovered(table, formula, op):
    entry = table.entry(op)
    assert entry.latency_ms == pytest.approx(formula(op), rel=2e-3)
    assert 0 < entry.spread_ms < 0.05 * entry.latency_ms
    assert not entry.extrapolated


@pytest.mark.parametrize(
    "op", [Op(OpKind.CONV, 14, 320, 160), Op(OpKind.CONV, 56, 40, 40), Op(OpKind.DWCONV, 14, 80, 80, 5, 1)], ids=str
)
def test_outside_it_raises_or_flags_with_a_wider_spread(table, formula, op):
    with pytest.raises(UnmeasuredOp):
        table.entry(op)
    guess = table.entry(op, allow_extrapolation=True)
    assert guess.extrapolated
    assert guess.spread_ms > 0.2 * guess.latency_ms
    assert abs(guess.latency_ms - formula(op)) < 2.5 * guess.spread_ms
    with pytest.raises(UnmeasuredOp):  # an earlier permission is no standing one
        table.entry(op)


def test_left_out_points_of_a_linear_device_are_predicted(table):
    left_out = table.leave_one_out_error()
    assert left_out.points > 50
    assert left_out.mean_abs_pct < 0.1


def test_leaving_out_needs_neighbours(provenance):
    lonely = LatencyTable(provenance, {Op(OpKind.CONV, 7, 8, 8): Estimate(1.0)})
    assert lonely.leave_one_out_error().points == 0
    assert math.isnan(lonely.leave_one_out_error().mean_abs_pct)


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.floats(0, 5), min_size=16, max_size=16),
    absent=st.sets(st.integers(0, 15), max_size=9),
    query=st.lists(st.tuples(st.integers(8, 64), st.integers(8, 64)), min_size=2, max_size=2),
)
def test_monotone_measurements_are_interpolated_monotonically(provenance, steps, absent, query):
    channels = (8, 16, 32, 64)
    times: dict[tuple[int, int], float] = {}
    for number, (i, o) in enumerate((i, o) for i in range(4) for o in range(4)):
        times[i, o] = steps[number] + max(times.get((i - 1, o), 0.0), times.get((i, o - 1), 0.0))
    corners = {0, 3, 12, 15}
    entries = {
        Op(OpKind.CONV, 7, channels[i], channels[o]): Estimate(times[i, o])
        for number, (i, o) in enumerate(times)
        if number in corners or number not in absent
    }
    table = LatencyTable(provenance, entries)
    (i1, o1), (i2, o2) = query
    less = table.entry(Op(OpKind.CONV, 7, min(i1, i2), min(o1, o2)))
    more = table.entry(Op(OpKind.CONV, 7, max(i1, i2), max(o1, o2)))
    assert less.latency_ms <= more.latency_ms + 1e-9


def test_between_two_channel_counts_the_time_lies_between(table):
    for first, second in pairwise(op for op in table.ops() if op.kind is OpKind.DWCONV):
        if first.in_channels < second.in_channels:
            middle = (first.in_channels + second.in_channels) // 2
            between = table.entry(Op(OpKind.DWCONV, first.in_size, middle, middle, 3, first.stride))
            assert table.entry(first).latency_ms <= between.latency_ms <= table.entry(second).latency_ms


@pytest.fixture(scope="module")
def large(table_of):
    """V3-Large and a table with all of its ops."""
    architecture = reference("mobilenet_v3_large")
    return architecture, table_of({op for layer in architecture.ops() for op in layer.ops})


def test_a_network_is_its_layers_and_the_overhead(large):
    architecture, table = large
    prediction = predict(table, architecture)
    assert [layer.name for layer in prediction.layers] == [layer.name for layer in architecture.ops()]
    assert prediction.overhead_ms == pytest.approx(0.3, abs=1e-6)
    layers_ms = sum(layer.latency_ms for layer in reversed(prediction.layers))
    assert prediction.latency_ms == layers_ms + prediction.overhead_ms
    assert prediction.low_ms < prediction.latency_ms < prediction.high_ms
    assert not prediction.extrapolated


def test_the_scale_is_applied_once(large):
    architecture, table = large
    ops = [op for layer in architecture.ops() for op in layer.ops]
    plain = sum(table.entry(op).latency_ms for op in ops)
    depthwise = sum(table.entry(op).latency_ms for op in ops if op.kind is OpKind.DWCONV)
    expected = plain + 0.125 * depthwise + 0.001 * len(ops) + 0.3
    assert predict(table, architecture).latency_ms == pytest.approx(expected, abs=1e-4)
    assert predict_block(table, ops).latency_ms == pytest.approx(expected - 0.3, abs=1e-4)


def test_the_interval_holds_what_ops_have_of_their_own_what_they_share_and_the_error_of_sums(large):
    architecture, table = large
    prediction = predict(table, architecture)
    variance = sum(op.variance_ms2 for layer in prediction.layers for op in layer.ops)
    shared_ms = sum(op.shared_ms for layer in prediction.layers for op in layer.ops)
    assert shared_ms == pytest.approx(0.015 * (prediction.latency_ms - 0.3 - 0.001 * _count(prediction)), rel=1e-3)
    half_ms = math.sqrt(1.6448536269514722**2 * (variance + shared_ms**2) + (0.04 * prediction.latency_ms) ** 2)
    assert prediction.high_ms - prediction.latency_ms == pytest.approx(half_ms)
    assert prediction.latency_ms - prediction.low_ms == pytest.approx(half_ms)


def _count(prediction):
    return sum(len(layer.ops) for layer in prediction.layers)


def test_a_network_outside_the_table_is_refused_or_flagged(large):
    architecture, table = large
    with pytest.raises(UnmeasuredOp):
        predict(table, architecture.with_resolution(512))
    flagged = predict(table, architecture.with_resolution(512), allow_extrapolation=True)
    assert flagged.extrapolated
    usual = predict(table, architecture)
    assert flagged.latency_ms > 3 * usual.latency_ms
    width = (flagged.high_ms - flagged.low_ms) / flagged.latency_ms
    assert width > (usual.high_ms - usual.low_ms) / usual.latency_ms


def test_an_op_never_costs_less_than_nothing():
    scale = Scale(per_op_ms=-1.0)
    assert scale.op_ms(OpKind.CONV, 0.5) == 0.0


@pytest.mark.parametrize("name", ["darts_v2", "pc_darts"])
def test_cells_are_priced_where_estimates_are_allowed(name):
    table, cells = load_device("pixel"), published_cell(name)
    with pytest.raises(UnmeasuredOp, match=r"relu|dilated|maxpool"):
        predict(table, cells)
    prediction = predict(table, cells, allow_extrapolation=True)
    assert prediction.extrapolated and len(prediction.layers) == 22
    assert 0 < prediction.low_ms < prediction.latency_ms < prediction.high_ms


@pytest.mark.parametrize(
    "op",
    [
        Op(OpKind.RELU, 14, 64, 64),
        Op(OpKind.MAXPOOL, 14, 64, 64, 3, 2),
        Op(OpKind.AVGPOOL, 14, 64, 64, 3, 1),
        Op(OpKind.RESIZE, 7, 64, 64, stride=2),
    ],
    ids=str,
)
def test_a_kind_never_timed_costs_what_an_addition_of_its_larger_map_does(op):
    table = load_device("pixel")
    with pytest.raises(UnmeasuredOp, match=f"no {op.kind.value} is"):
        table.entry(op)
    added = table.entry(Op(OpKind.ADD, 14, 64, 64), True)
    found = table.entry(op, True)
    assert found.latency_ms == added.latency_ms and found.spread_ms >= found.latency_ms and found.extrapolated


def test_a_dilated_convolution_takes_the_time_of_the_plain_one_and_is_flagged():
    table = load_device("pixel")
    dilated = Op(OpKind.DWCONV, 14, 200, 200, 3, 1, 2)
    with pytest.raises(UnmeasuredOp, match="dilated dwconv is not measured"):
        table.entry(dilated)
    plain = table.entry(Op(OpKind.DWCONV, 14, 200, 200, 3))
    assert table.entry(dilated, True) == plain._replace(extrapolated=True)
    with pytest.raises(UserError, match="no column for dilation"):
        LatencyTable(table.provenance, {dilated: plain})
    on_another_scale = table.view("mnasnet_readme")
    pool, add = Op(OpKind.MAXPOOL, 14, 64, 64, 3, 1), Op(OpKind.ADD, 14, 64, 64)
    stood_in = op_latency(on_another_scale, pool, True)
    assert stood_in.latency_ms == op_latency(on_another_scale, add, True).latency_ms
