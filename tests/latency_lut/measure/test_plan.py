"""Which ops are measured: every wanted op lies between measurements, whatever the grid."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latency_lut import Estimate, LatencyTable, Method, Precision, Provenance
from latency_lut.measure import plan
from searchspace import Op, OpKind, reference
from searchspace.space import load_space
from searchspace.support.errors import UserError

CHANNELS = st.integers(1, 200).map(lambda number: 8 * number)
OPS = st.builds(
    lambda kind, size, cin, cout, kernel, stride: Op(
        kind, size, cin, cout if kind is OpKind.CONV else cin, kernel, stride
    ),
    st.sampled_from([OpKind.CONV, OpKind.DWCONV]),
    st.sampled_from([7, 10, 14, 28, 56]),
    CHANNELS,
    CHANNELS,
    st.sampled_from([1, 3]),
    st.sampled_from([1, 2]),
)


def table_of(ops: list[Op]) -> LatencyTable:
    provenance = Provenance(
        device="any", soc="any", runtime="any", runtime_build="any", threads=1, cores="0", precision=Precision.FLOAT32,
        resolution=224, runs=1, date="2026-01-01", method=Method.MEASURED,
    )  # fmt: skip
    return LatencyTable(provenance, {op: Estimate(0.001 + op.madds * 1e-7) for op in ops})


@settings(max_examples=100, deadline=None)
@given(st.sets(OPS, min_size=1, max_size=60), st.sampled_from([1.0, 1.3, 1.5, 2.0, 4.0]))
def test_every_wanted_op_is_enclosed(wanted, ratio):
    sampled = plan.sampled(wanted, ratio)
    assert len(sampled) <= len(wanted)
    table = table_of(sampled)
    for op in wanted:
        assert table.entry(op).latency_ms > 0  # raises UnmeasuredOp outside the measured range


@given(st.sets(st.integers(1, 5000), min_size=1), st.floats(1, 4))
def test_grid_lines_keep_the_ends_and_the_ratio(values, ratio):
    lines = plan.grid_lines(values, ratio)
    ordered = sorted(values)
    assert set(lines) <= values and {ordered[0], ordered[-1]} <= set(lines)
    for below, above in pairwise(lines):
        between = [value for value in ordered if below < value < above]
        assert above <= below * ratio or not between


def test_ratio_one_measures_every_op():
    wanted = plan.network_ops([reference("mobilenet_v3_small")])
    assert set(plan.sampled(wanted, 1)) == wanted


@pytest.mark.parametrize("name", ["mobile", "mobilenetv3", "mobilenext"])
def test_spaces_are_thinned_out_and_covered(name):
    space = load_space(name)
    wanted = plan.space_ops(space)
    sampled = plan.sampled(wanted, 1.5)
    assert len(sampled) < len(wanted)
    table = table_of(sampled)
    assert all(table.entry(op) for op in wanted)


def test_the_default_grid_is_the_finest_of_ten_minutes():
    wanted = plan.network_ops(
        [reference("mobilenet_v3_small"), reference("mobilenet_v3_large"), reference("mnasnet_a1")]
    )
    assert plan.finest_ratio(wanted, 600 / len(wanted)) == 1
    coarser = plan.finest_ratio(wanted, 601 / len(wanted))
    assert coarser > 1 and len(plan.sampled(wanted, coarser)) < len(wanted)
    assert plan.finest_ratio(wanted, 600) == 2


def test_a_space_lists_the_ops_of_its_networks():
    import numpy as np

    space = load_space("mobile")
    wanted = plan.space_ops(space)
    sample = [space.decode(genotype) for genotype in space.sample(np.random.default_rng(1), 20)]
    assert plan.network_ops(sample) <= wanted


@pytest.mark.parametrize("ratio", [0, 0.99, 4.01, float("nan")])
def test_ratios_out_of_range_are_refused(ratio):
    with pytest.raises(UserError, match="ratio"):
        plan.sampled([], ratio)
