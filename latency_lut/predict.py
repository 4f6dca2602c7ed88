"""The time of a network, as the sum over its ops, with an interval.

Every op's contribution is rounded to a multiple of a power of two (a nanosecond, about). Sums of such
numbers are exact in floating point whatever the order of addition, so that the batched form
(`latency_lut.compiled`), which adds whole tables of layers at once, gives the same bits as the sum made
here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from latency_lut.provenance import Provenance
from latency_lut.table import LatencyTable
from searchspace.ops import Op

_LATENCY_STEPS = 2.0**20  # per millisecond
_VARIANCE_STEPS = 2.0**32  # per square millisecond
_Z_90 = 1.6448536269514722  # 90 % of a normal distribution lie within this many standard deviations


class OpLatency(NamedTuple):
    """What one op adds to the time of a network, in milliseconds, on the scale of the table."""

    op: Op
    latency_ms: float
    variance_ms2: float
    shared_ms: float
    extrapolated: bool


class LayerLatency(NamedTuple):
    """What one layer (the stem, a block, the head) adds to the time of a network, in milliseconds."""

    name: str
    latency_ms: float
    ops: tuple[OpLatency, ...]


@dataclass(frozen=True)
class Prediction:
    """Predicted time of a network: 90 % of the networks measured are expected between `low_ms` and `high_ms`.

    `overhead_ms` is what a network takes beside its layers; the layers and it add up to `latency_ms`.
    """

    latency_ms: float
    low_ms: float
    high_ms: float
    overhead_ms: float
    extrapolated: bool
    layers: tuple[LayerLatency, ...]


class HasOps(Protocol):
    """A part of a network: its name and primitive operations in running order."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def ops(self) -> tuple[Op, ...]:
        """What it runs."""


class Priceable(Protocol):
    """Whatever lists its primitive operations: an architecture, one with a task's head, a network of cells."""

    def ops(self) -> Sequence[HasOps]:
        """Return the parts in running order."""


def predict(table: LatencyTable, architecture: Priceable, allow_extrapolation: bool = False) -> Prediction:
    """Predict the time of a network at batch 1; raises UnmeasuredOp outside the table's measured range.

    With `allow_extrapolation` such ops are estimated instead, and the prediction is flagged.
    """
    layers = [(layer.name, layer.ops) for layer in architecture.ops()]
    return predict_layers(table, layers, allow_extrapolation)


def predict_layers(
    table: LatencyTable, layers: Sequence[tuple[str, Sequence[Op]]], allow_extrapolation: bool = False
) -> Prediction:
    """Predict the time of a whole network given as named lists of ops; raises as `predict` does."""
    return _predict(table, layers, overhead_ms(table.provenance), allow_extrapolation)


def predict_block(
    table: LatencyTable, ops: Sequence[Op], allow_extrapolation: bool = False, whole_network: bool = False
) -> Prediction:
    """Predict what a block adds to a network's time: `predict` without the overhead of a whole network.

    With `whole_network` the ops are all of a network's, and its overhead counts.
    """
    overhead = overhead_ms(table.provenance) if whole_network else 0.0
    return _predict(table, [("block", ops)], overhead, allow_extrapolation)


def op_latency(table: LatencyTable, op: Op, allow_extrapolation: bool = False) -> OpLatency:
    """Return what an op adds to the time of a network; raises UnmeasuredOp outside the measured range."""
    entry = table.entry(op, allow_extrapolation)
    scale, kind = table.provenance.scale, table.stand_in(op).kind
    factor = scale.factors.get(kind, 1.0)
    spread_ms = factor * entry.spread_ms
    return OpLatency(
        op,
        _rounded(scale.op_ms(kind, entry.latency_ms), _LATENCY_STEPS),
        _rounded(spread_ms * spread_ms, _VARIANCE_STEPS),
        _rounded(factor * entry.shared_ms, _LATENCY_STEPS),
        entry.extrapolated,
    )


def overhead_ms(provenance: Provenance) -> float:
    """Return what a whole network takes beside its layers, in milliseconds."""
    return _rounded(provenance.scale.per_network_ms, _LATENCY_STEPS)


Milliseconds = TypeVar("Milliseconds", float, NDArray[np.float64])


def half_interval_ms(
    latency_ms: Milliseconds, variance_ms2: Milliseconds, shared_ms: Milliseconds, provenance: Provenance
) -> Milliseconds:
    """Return half the width of the 90 % interval, elementwise, from sums over the ops of a network.

    half^2 = 1.645^2 x (variance + shared^2) + (interval_pct / 100 x latency)^2: the ops' own standard deviations
    average out, what they share adds up, and the last term is the error that sums of ops leave where all was timed.
    """
    model = provenance.network_interval_pct / 100 * latency_ms
    entries = _Z_90**2 * (variance_ms2 + shared_ms * shared_ms)
    return np.sqrt(entries + model * model)  # type: ignore[no-any-return]


def _predict(
    table: LatencyTable,
    layers: Sequence[tuple[str, Sequence[Op]]],
    overhead: float,
    allow_extrapolation: bool,
) -> Prediction:
    priced = []
    latency_ms, variance_ms2, shared_ms, extrapolated = overhead, 0.0, 0.0, False
    for name, ops in layers:
        costs = tuple(op_latency(table, op, allow_extrapolation) for op in ops)
        layer_ms = sum(cost.latency_ms for cost in costs)
        latency_ms += layer_ms
        variance_ms2 += sum(cost.variance_ms2 for cost in costs)
        shared_ms += sum(cost.shared_ms for cost in costs)
        extrapolated |= any(cost.extrapolated for cost in costs)
        priced.append(LayerLatency(name, layer_ms, costs))
    half = float(half_interval_ms(latency_ms, variance_ms2, shared_ms, table.provenance))
    low_ms = max(latency_ms - half, 0.0)
    return Prediction(latency_ms, low_ms, latency_ms + half, overhead, extrapolated, tuple(priced))


def _rounded(value: float, steps: float) -> float:
    return math.floor(value * steps + 0.5) / steps
