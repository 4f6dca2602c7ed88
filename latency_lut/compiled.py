"""A space and a table compiled to arrays: the latency of a batch of genotypes by indexing.

The result equals `predict` on the decoded network to the bit (see there why the order of addition does not matter).
"""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from latency_lut.predict import OpLatency, half_interval_ms, op_latency, overhead_ms
from latency_lut.slots import Factor, SlotSums, Values
from latency_lut.table import LatencyTable
from searchspace.choices import Genotypes
from searchspace.ops import Op
from searchspace.protocols import Space

_LATENCY, _VARIANCE, _SHARED, _EXTRAPOLATED = range(4)

AnySpace = TypeVar("AnySpace", bound=Space)


class Extremes(NamedTuple):
    """The fastest and the slowest network of a space: canonical genotypes of shape (choices,), latencies in ms."""

    fastest: Genotypes
    fastest_ms: float
    slowest: Genotypes
    slowest_ms: float


class CompiledCost(Generic[AnySpace]):
    """Latency of the networks of one space on one device, for batches of genotypes.

    Methods take canonical genotypes of shape (n, choices), uint8, and return arrays of shape (n,) in milliseconds.
    They raise UserError where the shape or a value index does not fit the space.
    """

    def __init__(self, space: AnySpace, table: LatencyTable, allow_extrapolation: bool = False) -> None:
        """Compile; raises UnmeasuredOp where the space leaves the measured range, unless that is allowed."""
        self.space = space
        self.table = table
        known: dict[Op, OpLatency] = {}

        def priced(op: Op) -> OpLatency:
            if op not in known:
                known[op] = op_latency(table, op, allow_extrapolation)
            return known[op]

        costs = (
            lambda op: priced(op).latency_ms,
            lambda op: priced(op).variance_ms2,
            lambda op: priced(op).shared_ms,
            lambda op: float(priced(op).extrapolated),
        )
        self._sums = SlotSums(space, costs)
        self.overhead_ms = overhead_ms(table.provenance)

    def slot_factors(self) -> tuple[Factor, ...]:
        """Return the table itself, one factor for each slot: a network's latency is their sum and `overhead_ms`."""
        return self._sums.factors(_LATENCY)

    def interval_factors(self) -> tuple[tuple[Factor, ...], ...]:
        """Return the factors of an interval's sums: latency (ms), variance (ms2), shared standard deviation (ms)."""
        return tuple(self._sums.factors(number) for number in (_LATENCY, _VARIANCE, _SHARED))

    def latency_ms(self, genotypes: ArrayLike) -> Values:
        """Return the predicted latencies."""
        (sums,) = self._sums(genotypes, [_LATENCY])
        return sums + self.overhead_ms

    def interval_ms(self, genotypes: ArrayLike) -> tuple[Values, Values]:
        """Return the lower and the upper ends of the 90 % intervals."""
        sums, variance_ms2, shared_ms = self._sums(genotypes, [_LATENCY, _VARIANCE, _SHARED])
        latency_ms = sums + self.overhead_ms
        half_ms = half_interval_ms(latency_ms, variance_ms2, shared_ms, self.table.provenance)
        return np.maximum(latency_ms - half_ms, 0.0), latency_ms + half_ms

    def low_ms(self, genotypes: ArrayLike) -> Values:
        """Return the lower ends of the 90 % intervals."""
        return self.interval_ms(genotypes)[0]

    def high_ms(self, genotypes: ArrayLike) -> Values:
        """Return the upper ends of the 90 % intervals, which a budget must hold."""
        return self.interval_ms(genotypes)[1]

    def extrapolated(self, genotypes: ArrayLike) -> NDArray[np.bool_]:
        """Return which predictions rest on ops outside the table's measured range."""
        return np.asarray(self._sums(genotypes, [_EXTRAPOLATED])[0] > 0)

    def extremes(self) -> Extremes:
        """Return the fastest and the slowest network of the space, found exactly."""
        fastest = self._sums.extreme(_LATENCY)
        slowest = self._sums.extreme(_LATENCY, largest=True)
        latency_ms = self.latency_ms(np.stack([fastest, slowest]))
        return Extremes(fastest, float(latency_ms[0]), slowest, float(latency_ms[1]))


def compile_counts(space: Space) -> SlotSums:
    """Compile MAdds and parameters of a space: `madds, params = compile_counts(space)(genotypes)`, exact floats."""
    return SlotSums(space, [lambda op: float(op.madds), lambda op: float(op.params)])
