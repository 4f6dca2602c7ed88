"""What networks cost: latency on one device, or several limits taken together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from latency_lut.compiled import CompiledCost, Extremes
from latency_lut.predict import op_latency
from latency_lut.slots import SlotSums
from nas.objectives._results import Values
from searchspace.choices import Genotypes
from searchspace.protocols import Space


class Cost(Protocol):
    """Latency of every network of a space; `latency_lut.compiled.CompiledCost` is one.

    Genotypes have shape (n, choices), latencies (n,), in milliseconds.
    """

    @property
    def space(self) -> Space:
        """The space that it prices, staged or of cells."""
        ...

    def interval_ms(self, genotypes: Genotypes) -> tuple[Values, Values]:
        """Return the lower and upper ends of the latency intervals."""
        ...

    def latency_ms(self, genotypes: Genotypes) -> Values:
        """Return the predicted latencies."""
        ...

    def extremes(self) -> Extremes:
        """Return the fastest and the slowest network."""
        ...


class MaddsCost:
    """Multiply-adds in millions in the place of milliseconds, for any space: a search without a latency table.

    `interval` widens them by that share to both sides, as if they were uncertain.
    """

    def __init__(self, space: Space, interval: float = 0.0) -> None:
        self.space, self.interval = space, interval
        self._madds = SlotSums(space, [lambda op: float(op.madds)])

    def latency_ms(self, genotypes: Genotypes) -> Values:
        """Return multiply-adds in millions, shape (n,)."""
        return np.asarray(self._madds(genotypes)[0] / 1e6)

    def interval_ms(self, genotypes: Genotypes) -> tuple[Values, Values]:
        """Return the multiply-adds, less and more by the interval."""
        madds = self.latency_ms(genotypes)
        return (1 - self.interval) * madds, (1 + self.interval) * madds

    def extremes(self) -> Extremes:
        """Return the smallest and the largest network."""
        smallest, largest = self._madds.extreme(), self._madds.extreme(largest=True)
        lowest, highest = self.latency_ms(np.stack([smallest, largest]))
        return Extremes(smallest, float(lowest), largest, float(highest))


@dataclass(frozen=True)
class Part:
    """One of several latency limits: a device's name and cost, and the milliseconds to keep there."""

    device: str
    cost: CompiledCost
    limit_ms: float


class JointCost:
    """Several latency limits as one: a network's latency is that on the device where it is nearest its limit.

    It is told on the first device's scale: the first limit x the largest share of a limit that a device uses. So
    a network keeps all limits exactly when its upper end keeps the first, and what steers by latency steers by all.
    """

    def __init__(self, *parts: Part) -> None:
        """Take the limits, all over the same space, the first one giving the scale."""
        self.parts = parts
        self.space = parts[0].cost.space

    def interval_ms(self, genotypes: Genotypes) -> tuple[Values, Values]:
        """Return the ends of the interval of the device nearest its limit, judged by the upper end."""
        ends = [part.cost.interval_ms(genotypes) for part in self.parts]
        return self._joint([low for low, _ in ends]), self._joint([high for _, high in ends])

    def latency_ms(self, genotypes: Genotypes) -> Values:
        """Return the predicted latencies, on the first device's scale."""
        return self._joint([part.cost.latency_ms(genotypes) for part in self.parts])

    def extremes(self) -> Extremes:
        """Return the network with the least and the one with the most of its limits, of each device's extremes.

        The slowest is exact. The fastest is the best of each device's own and of the optimum of the summed shares, so
        that a network that keeps all limits may exist where this one does not.
        """
        candidates = [self._least_summed()]
        for part in self.parts:
            extremes = part.cost.extremes()
            candidates += [extremes.fastest, extremes.slowest]
        rows = np.stack(candidates)
        used = self.interval_ms(rows)[1]
        fastest, slowest = int(np.argmin(used)), int(np.argmax(used))
        latency_ms = self.latency_ms(rows)
        return Extremes(rows[fastest], float(latency_ms[fastest]), rows[slowest], float(latency_ms[slowest]))

    def _joint(self, values: list[Values]) -> Values:
        shares = [value / part.limit_ms for value, part in zip(values, self.parts, strict=True)]
        joint: Values = self.parts[0].limit_ms * np.max(shares, axis=0)
        return joint

    def _least_summed(self) -> Genotypes:
        tables = [(part.cost.table, part.limit_ms) for part in self.parts]
        shares = SlotSums(
            self.space, [lambda op: sum(op_latency(table, op, True).latency_ms / limit for table, limit in tables)]
        )
        return shares.extreme(0)
