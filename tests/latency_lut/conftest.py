"""A made-up device whose times follow launch + traffic + MAdds, so that every test knows the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from latency_lut import Estimate, LatencyTable, Method, Precision, Provenance, Scale
from searchspace.ops import Op, OpKind
from searchspace.space import SearchSpace


def true_ms(op: Op) -> float:
    """Launch, traffic of inputs and outputs, MAdds."""
    traffic = op.in_size**2 * op.in_channels + op.out_size**2 * op.out_channels
    return round(0.004 + 2e-7 * traffic + 5e-8 * op.madds, 6)


def estimate(op: Op) -> Estimate:
    return Estimate(true_ms(op), round(true_ms(op) * 0.02, 6), 25)


@pytest.fixture(scope="session")
def formula() -> Callable[[Op], float]:
    """The true time of an op on the made-up device, in milliseconds."""
    return true_ms


@pytest.fixture(scope="session")
def provenance() -> Provenance:
    return Provenance(
        device="made_up",
        soc="none",
        runtime="LiteRT",
        runtime_build="2.0: a build",
        threads=1,
        cores="one big core",
        precision=Precision.FLOAT32,
        resolution=224,
        runs=25,
        date="2026-01-02",
        method=Method.MEASURED,
        sources=("a formula", "öther"),
        points_used=12,
        left_out_error_pct=1.25,
        interpolation_error_pct=0.5,
        interval_pct=4.0,
        scale=Scale(factors={OpKind.DWCONV: 1.125}, per_op_ms=0.001, per_network_ms=0.3, source="whole networks"),
        views={"elsewhere": Scale(factors={OpKind.CONV: 1.3}, interval_pct=7.0)},
        conditions={"governor": "performance"},
        notes="Times: from a formula.",
    )


@pytest.fixture(scope="session")
def table(provenance: Provenance) -> LatencyTable:
    """Grids with holes: dense and depthwise convolutions at three map sizes, two other kinds."""
    channels = (8, 16, 24, 40, 80, 160)
    ops = [
        Op(OpKind.CONV, size, i, o)
        for size in (7, 14, 28)
        for i in channels
        for o in channels
        if (i, o) not in ((16, 16), (40, 80), (80, 80))
    ]
    ops += [Op(OpKind.DWCONV, size, c, c, 3, s) for size in (7, 14, 28) for c in channels for s in (1, 2)]
    ops += [Op(kind, 14, c, c) for kind in (OpKind.ADD, OpKind.HSWISH) for c in channels]
    return LatencyTable(provenance, {op: estimate(op) for op in ops})


@pytest.fixture(scope="session")
def table_of(provenance: Provenance) -> Callable[[Iterable[Op]], LatencyTable]:
    """A function that measures the given ops on the made-up device."""
    return lambda ops: LatencyTable(provenance, {op: estimate(op) for op in ops})


@pytest.fixture(scope="session")
def table_of_space(table_of: Callable[[Iterable[Op]], LatencyTable]) -> Callable[[SearchSpace], LatencyTable]:
    """A function that measures every op of a space on the made-up device."""
    return lambda space: table_of({op for slot in space.slots for ops in space.slot_table(slot) for op in ops})
