"""Standard deviations of sums of ops, as two figures per op: what ops share adds up over a network, the rest does not.

The process knows the standard deviation of any sum, but through a matrix over all pairs of ops. A table holds sums over
single ops instead. What is shared is a smooth function of an op's shape, never negative, fitted so that its sum over a
network is the process's standard deviation, on made-up networks of every kind of block (`designs`). Each op's own part
is as large as the networks allow whose ops are known best.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from latency_lut.calibrate.designs import design_networks
from latency_lut.calibrate.observations import Observation
from latency_lut.calibrate.process import OpProcess, shape_distances
from searchspace.ops import Op, OpKind

_NETWORKS = 320
_INDEPENDENT_QUANTILE = 0.05
_LENGTH = 1.2  # doublings over which the shared part changes
_ANCHORS: Mapping[OpKind, int] = {OpKind.CONV: 48, OpKind.DWCONV: 40, OpKind.LINEAR: 8}
_ANCHORS_OF_OTHERS = 6


@dataclass(frozen=True)
class Deviations:
    """Standard deviations of ops relative to their times: `shared` at some shapes, and a share of the process's own."""

    anchors: tuple[Op, ...]
    shared: NDArray[np.float64]
    own_share: float

    def scaled(self, share: float) -> Deviations:
        """Return the same with every standard deviation times `share`."""
        return Deviations(self.anchors, share * self.shared, share * self.own_share)

    def spread_ms(
        self, ops: Sequence[Op], latency_ms: NDArray[np.float64], sd_ms: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return each op's own part in milliseconds, shape (ops,), given the process's standard deviations."""
        return np.asarray(self.own_share * sd_ms)

    def shared_ms(self, ops: Sequence[Op], latency_ms: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what each op is off by together with others, in milliseconds, shape (ops,)."""
        return np.asarray(latency_ms * (_weights(ops, self.anchors) @ self.shared))

    def sum_sd_ms(self, process: OpProcess, counts: Mapping[Op, float]) -> float:
        """Return the standard deviation that a table gives a sum of ops, in milliseconds."""
        ops, times = list(counts), np.array(list(counts.values()))
        mean_ms, sd_ms = process.estimate(ops)
        own = float(times @ self.spread_ms(ops, mean_ms, sd_ms) ** 2)
        return math.hypot(float(times @ self.shared_ms(ops, mean_ms)), math.sqrt(max(own, 0.0)))


def allot(process: OpProcess, observations: Sequence[Observation]) -> Deviations:
    """Allot the standard deviations of sums to single ops, on made-up networks and those that were measured."""
    measured = [observation.counts for observation in observations if observation.whole_network]
    designs = design_networks(_NETWORKS)
    sums = [*measured, *(Counter(op for layer in network for op in layer) for network in designs)]
    ops = sorted({op for counts in sums for op in counts})
    anchors = tuple(_spread_out(ops))
    mean_ms, own_ms = process.estimate(ops)
    features = mean_ms[:, None] * _weights(ops, anchors)
    weights, variance = _matrix(sums, ops), process.sum_sd_ms(sums) ** 2
    independent = weights**2 @ own_ms**2
    own = float(np.quantile(variance / independent, _INDEPENDENT_QUANTILE))
    rest = np.sqrt(np.maximum(1.0 - own * independent / variance, 0.0))
    shared, _ = nnls(weights @ features / np.sqrt(variance)[:, None], rest)
    found = own * independent + (weights @ features @ shared) ** 2
    factor = math.sqrt(float(np.median(variance / found)))
    return Deviations(anchors, factor * shared, factor * math.sqrt(own))


def _matrix(sums: Sequence[Mapping[Op, float]], ops: Sequence[Op]) -> NDArray[np.float64]:
    column = {op: index for index, op in enumerate(ops)}
    matrix = np.zeros((len(sums), len(ops)))
    for row, counts in enumerate(sums):
        for op, count in counts.items():
            matrix[row, column[op]] = count
    return matrix


def _weights(ops: Sequence[Op], anchors: Sequence[Op]) -> NDArray[np.float64]:
    """Return how much each anchor says of each op, shape (ops, anchors): the near ones of its kind, rows sum to 1."""
    distance = shape_distances(ops, anchors)
    nearest = distance.min(axis=1, keepdims=True)
    known = np.where(np.isfinite(nearest), nearest, 0.0)
    weights = np.exp(-(distance - known) / (2.0 * _LENGTH**2))
    return np.asarray(weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-12))


def _spread_out(ops: Iterable[Op]) -> list[Op]:
    """Return some ops of every kind, far from one another: each next one is the farthest from those before."""
    anchors: list[Op] = []
    by_kind: dict[OpKind, list[Op]] = {}
    for op in ops:
        by_kind.setdefault(op.kind, []).append(op)
    for kind, members in sorted(by_kind.items()):
        chosen = [members[0]]
        distance = shape_distances(members, chosen)[:, 0]
        while len(chosen) < min(_ANCHORS.get(kind, _ANCHORS_OF_OTHERS), len(members)):
            chosen.append(members[int(distance.argmax())])
            distance = np.minimum(distance, shape_distances(members, chosen[-1:])[:, 0])
        anchors += chosen
    return anchors
