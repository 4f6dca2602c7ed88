"""A made-up device whose times follow launch + traffic + MAdds, so that every test knows the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from latency_lut import Estimate, LatencyTable, Method, Precision, Provenance, Scale
from searchspace import Architecture, parse
from searchspace.modules import Network, build_network
from searchspace.ops import Op, OpKind
from searchspace.space import SearchSpace


def true_ms(op: Op) -> float:
    """Launch, traffic of inputs and outputs, MAdds."""
    traffic = op.in_size**2 * op.in_channels + op.out_size**2 * op.out_channels
    return round(0.004 + 2e-7 * traffic + 5e-8 * op.madds, 6)


def estimate(op: Op) -> Estimate:
    return Estimate(true_ms(op), round(true_ms(op) * 0.02, 6), 25, shared_ms=round(true_ms(op) * 0.015, 6))


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


TINY = "r32,stem_k3_s2_c8_hs,ir_k3_s1_h16_c8_hs_se8,sg_k3_s1_h8_c8_re_id1/2,ir_k5_s2_h24_c16_re,head_c24_h32_hs,n10"


@pytest.fixture(scope="session")
def tiny() -> Architecture:
    """A network with every kind of op."""
    return parse(TINY)


@pytest.fixture(scope="session")
def network(tiny: Architecture) -> Network:
    """The network as a module that looks trained: statistics, scales and biases are nowhere 0 or 1."""
    return livened(build_network(tiny, seed=0))


@pytest.fixture(scope="session")
def liven() -> Callable[[torch.nn.Module], torch.nn.Module]:
    """Give a fresh module weights that show whether each of them arrives."""
    return livened


def livened(network: torch.nn.Module) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
            torch.nn.init.uniform_(module.weight, 0.7, 1.4, generator=generator)
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.1, generator=generator)
        elif name == "head.classifier.weight":
            torch.nn.init.normal_(parameter, generator=generator)
    return network.eval()


@pytest.fixture(scope="session")
def images() -> NDArray[np.float32]:
    """Eight images for the network, (8, 3, 32, 32)."""
    return np.random.default_rng(0).uniform(-1, 1, (8, 3, 32, 32)).astype(np.float32)
