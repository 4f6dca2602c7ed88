"""What a network is slimmed to save: latency on a device, multiply-adds or parameters, layer by layer.

All three are sums over layers, so a changed layer is priced alone. The unit of latency is the millisecond.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from latency_lut.predict import half_interval_ms, op_latency, overhead_ms
from latency_lut.table import LatencyTable
from searchspace.architecture import (
    Architecture,
    Block,
    Head,
    PlacedBlock,
    Stem,
    block_ops,
    head_ops,
    stem_ops,
)
from searchspace.ops import Op


class LayerCost(NamedTuple):
    """What one layer adds to its network: the figure, its variance, and what it is off by together with the others."""

    value: float
    variance: float = 0.0
    shared: float = 0.0


class Cost(NamedTuple):
    """What a network costs: the best estimate, and the upper end of its 90 % interval, which a target must hold."""

    value: float
    upper: float


class Resource(Protocol):
    """A cost that is a sum over layers."""

    name: str
    unit: str

    def layer(self, ops: Sequence[Op]) -> LayerCost:
        """Return the cost of one layer."""
        ...

    def network(self, layers: LayerCost) -> Cost:
        """Return the cost of a network whose layers sum to `layers`."""
        ...


class Latency:
    """Predicted latency in milliseconds; raises UnmeasuredOp where the table cannot answer."""

    name, unit = "latency", "ms"

    def __init__(self, table: LatencyTable, *, allow_extrapolation: bool = False) -> None:
        """Price by `table`; `allow_extrapolation` accepts estimates outside its measured range."""
        self.table = table
        self.allow_extrapolation = allow_extrapolation
        self._overhead_ms = overhead_ms(table.provenance)
        self._known: dict[Op, LayerCost] = {}

    def layer(self, ops: Sequence[Op]) -> LayerCost:
        """Return the latency of a layer and its variance in square milliseconds."""
        value = variance = shared = 0.0
        for op in ops:
            known = self._known.get(op)
            if known is None:
                priced = op_latency(self.table, op, self.allow_extrapolation)
                known = self._known[op] = LayerCost(priced.latency_ms, priced.variance_ms2, priced.shared_ms)
            value += known.value
            variance += known.variance
            shared += known.shared
        return LayerCost(value, variance, shared)

    def network(self, layers: LayerCost) -> Cost:
        """Return the latency of a whole network, what it takes beside its layers included."""
        latency_ms = layers.value + self._overhead_ms
        sums = np.float64(latency_ms), np.float64(layers.variance), np.float64(layers.shared)
        half_ms = half_interval_ms(*sums, self.table.provenance)
        return Cost(latency_ms, latency_ms + float(half_ms))


class Madds:
    """Multiply-adds for one image, in the convention of the MobileNet papers."""

    name, unit = "madds", ""

    def layer(self, ops: Sequence[Op]) -> LayerCost:
        """Return the multiply-adds of a layer."""
        return LayerCost(sum(op.madds for op in ops))

    def network(self, layers: LayerCost) -> Cost:
        """Return the sum itself: counts have no interval."""
        return Cost(layers.value, layers.value)


class Params:
    """Trained parameters, batch norm's scale and shift included."""

    name, unit = "params", ""

    def layer(self, ops: Sequence[Op]) -> LayerCost:
        """Return the parameters of a layer."""
        return LayerCost(sum(op.params for op in ops))

    def network(self, layers: LayerCost) -> Cost:
        """Return the sum itself: counts have no interval."""
        return Cost(layers.value, layers.value)


class Pricer:
    """Prices networks that differ from one another only in widths, and remembers every layer it has seen."""

    def __init__(self, resource: Resource, architecture: Architecture) -> None:
        """Take resolution, strides, classes and padding from `architecture`."""
        self.resource = resource
        self._classes, self._padding = architecture.classes, architecture.padding
        sizes = [placed.in_size for placed in architecture.placed_blocks()]
        self._sizes = (architecture.resolution, *sizes, architecture.final_size)
        self._known: dict[tuple[Stem | Block | Head, int, int], LayerCost] = {}

    def price(self, architecture: Architecture) -> Cost:
        """Return the cost of a whole network."""
        return self.total(self.layers(architecture))

    def layers(self, architecture: Architecture) -> list[LayerCost]:
        """Return the cost of the stem, every block and the head."""
        parts: tuple[Stem | Block | Head, ...] = (architecture.stem, *architecture.blocks, architecture.head)
        received = (3, architecture.stem.out, *(block.out for block in architecture.blocks))
        return [
            self.layer(layer, part, channels)
            for layer, (part, channels) in enumerate(zip(parts, received, strict=True))
        ]

    def total(self, layers: Sequence[LayerCost]) -> Cost:
        """Return the cost of the network with these layers."""
        return self.resource.network(LayerCost(*map(sum, zip(*layers, strict=True))))

    def layer(self, layer: int, part: Stem | Block | Head, in_channels: int) -> LayerCost:
        """Return the cost of `part` in the place of one layer: 0 is the stem, 1 to n the blocks, n + 1 the head."""
        key = (part, self._sizes[layer], in_channels)
        cost = self._known.get(key)
        if cost is None:
            cost = self._known[key] = self.resource.layer(self._ops(*key))
        return cost

    def _ops(self, part: Stem | Block | Head, size: int, in_channels: int) -> tuple[Op, ...]:
        match part:
            case Stem():
                return stem_ops(part, size, self._padding)
            case Head():
                return head_ops(part, size, in_channels, self._classes)
            case _:
                return block_ops(PlacedBlock(part, size, in_channels, self._padding))
