"""Parts shared by the tests of slimming: a small latency table and small networks."""

from __future__ import annotations

import pytest

from latency_lut import Estimate, LatencyTable, Method, Precision, Provenance
from netadapt.groups import Part
from netadapt.proposals import Widths
from searchspace.architecture import Architecture
from searchspace.ops import Op, OpKind
from searchspace.text import parse

SMALL = "r32,stem_k3_s2_c16_hs,ir_k3_s1_h48_c24_re,ir_k3_s1_h64_c24_re_se16,ir_k5_s2_h72_c40_hs_se24,head_c64_h48_hs,n5"
MIXED = (
    "r32,stem_k3_s2_c24_r6,ir_k3_s1_h24_c32_r6,sg_k3_s1_h16_c32_r6_id1/2,sg_k3_s2_h16_c48_r6,"
    "ds_k3_s1_c40_re,cn_k3_s1_c40_re,head_re,n5"
)
ALL = Widths(parts=frozenset(Part))


@pytest.fixture
def small() -> Architecture:
    """Two stages of inverted residuals with squeeze-excite and MobileNetV3's head."""
    return parse(SMALL)


@pytest.fixture
def mixed() -> Architecture:
    """Every kind of block, one with a partial shortcut, and no hidden layer."""
    return parse(MIXED)


@pytest.fixture
def table(small: Architecture) -> LatencyTable:
    """A device on which time is linear in multiply-adds and channels, measured at a grid of widths."""
    shapes = {(op.kind, op.in_size, op.kernel, op.stride) for layer in small.ops() for op in layer.ops}
    dense = {OpKind.CONV, OpKind.LINEAR}
    grid = (1, 3, 5, 8, 16, 24, 32, 48, 64, 96, 128)
    entries = {}
    for kind, size, kernel, stride in shapes:
        for inputs in grid:
            for outputs in grid if kind in dense else (inputs,):
                op = Op(kind, size, inputs, outputs, kernel, stride)
                entries[op] = Estimate(1e-6 * op.madds + 1e-4 * (inputs + outputs) * size / 32, 1e-5)
    provenance = Provenance(
        device="bench", soc="none", runtime="none", runtime_build="none", threads=1, cores="1",
        precision=Precision.FLOAT32, resolution=32, runs=1, date="2026-01-01", method=Method.MEASURED, interval_pct=2.0,
    )  # fmt: skip
    return LatencyTable(provenance, entries)
