"""Times of single ops inferred from times of their sums: a Gaussian process seen through sums.

An op takes its first-principles time x (1 + deviation). Deviations are a Gaussian process: alike for ops of alike
shape (two length scales), with a part of its own for every op, since real kernels tile their work and jump between
channel counts. A block or network is a sum of ops, so conditioning the process on measured sums is linear algebra:
ops seen together in many blocks come out exactly, ops never seen keep their first-principles time and its doubt.

Sources differ in scale. What is not known about a source's scale, as a whole and by kind of op, is one more part of
the covariance that its observations share, so that a doubtful scale does not bend the times of ops.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from latency_lut.calibrate.observations import Observation, weights_of
from searchspace.ops import Op, OpKind

_KINDS = tuple(OpKind)
# Kinds that share a source's factor: the parts of squeeze-excite and of a shortcut are too small to be told apart.
KIND_GROUPS: Mapping[OpKind, int] = {
    OpKind.CONV: 0,
    OpKind.DWCONV: 1,
    OpKind.HSWISH: 2,
    **dict.fromkeys((OpKind.POOL, OpKind.SCALE, OpKind.SIGMOID, OpKind.LINEAR), 3),
    **dict.fromkeys((OpKind.ADD, OpKind.CONCAT), 4),
}
_SLOWEST, _FASTEST = 6.0, 0.1  # an op's time stays within these multiples of its first-principles time
_CHUNK = 1024


class OpCosts(Protocol):
    """What ops are expected to take before any sum of them was measured."""

    def latency_ms(self, ops: Sequence[Op]) -> NDArray[np.float64]:
        """Return the time of every op in milliseconds, shape (ops,)."""
        ...


@dataclass(frozen=True, kw_only=True)
class Smoothness:
    """Standard deviations and length scales (in doublings of a channel count) of the deviation from first principles.

    The defaults come from the likelihood of the Pixel 1 blocks and the left-out error of its whole networks.
    `source` and `source_kind` are the doubt about a source's scale, as a whole and for one kind of op.
    """

    kind: float = 0.3
    smooth: float = 0.45
    smooth_length: float = 1.6
    tile: float = 0.12
    tile_length: float = 0.32
    own: float = 0.084
    source: float = 0.3
    source_kind: float = 0.2


class OpProcess:
    """The times of ops given measured sums of ops; prior and conditioning as the module describes."""

    def __init__(
        self, costs: OpCosts, observations: Sequence[Observation], smoothness: Smoothness | None = None
    ) -> None:
        self._costs = costs
        self._smoothness = smoothness or Smoothness()
        self._ops, counts = weights_of(observations)
        self._weights = counts * costs.latency_ms(self._ops)
        measured_ms = np.array([observation.latency_ms for observation in observations])
        noise = np.array([observation.error_ms for observation in observations]) ** 2
        sums = self._weights @ self._covariance(self._ops, self._ops) @ self._weights.T
        sums += self._source_covariance([observation.view for observation in observations])
        self._factor = cho_factor(sums + np.diag(noise), lower=True)
        self._pulls = cho_solve(self._factor, measured_ms - self._weights.sum(axis=1))
        self._pull = self._weights.T @ self._pulls

    def left_out_ms(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return measured minus predicted time of every observation were it not seen, and its standard deviation.

        Closed form: residuals of a Gaussian process without one of its observations (Rasmussen and Williams, Gaussian
        Processes for Machine Learning, equations 5.10 to 5.12). The scale of its source is inferred without it too.
        """
        precision = np.diag(cho_solve(self._factor, np.eye(len(self._pulls))))
        return self._pulls / precision, 1.0 / np.sqrt(precision)

    def estimate(self, ops: Sequence[Op]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return mean and standard deviation of every op's time in milliseconds, each of shape (ops,)."""
        chunks = [self._estimate(ops[start : start + _CHUNK]) for start in range(0, len(ops), _CHUNK)]
        mean, sd = zip(*chunks, strict=True)
        return np.concatenate(mean), np.concatenate(sd)

    def mean_ms(self, ops: Sequence[Op]) -> NDArray[np.float64]:
        """Return the mean of every op's time in milliseconds, shape (ops,)."""
        deviation = self._covariance(ops, self._ops) @ self._pull
        return np.asarray(self._costs.latency_ms(ops) * np.clip(1.0 + deviation, _FASTEST, _SLOWEST))

    def _estimate(self, ops: Sequence[Op]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        across = self._covariance(ops, self._ops)
        first_ms = self._costs.latency_ms(ops)
        with_sums = across @ self._weights.T
        explained = np.einsum("ij,ij->i", with_sums, cho_solve(self._factor, with_sums.T).T)
        variance = np.maximum(self._variance() - explained, 0.0)
        mean_ms = first_ms * np.clip(1.0 + across @ self._pull, _FASTEST, _SLOWEST)
        return mean_ms, first_ms * np.sqrt(variance)

    def sum_sd_ms(self, sums: Sequence[Mapping[Op, float]]) -> NDArray[np.float64]:
        """Return the standard deviation of sums of ops (counts by op) in milliseconds, shape (sums,)."""
        return np.concatenate([self._sum_sd_ms(sums[start : start + 64]) for start in range(0, len(sums), 64)])

    def _sum_sd_ms(self, sums: Sequence[Mapping[Op, float]]) -> NDArray[np.float64]:
        prior, with_sums = np.zeros(len(sums)), np.zeros((len(sums), len(self._pulls)))
        for row, counts in enumerate(sums):
            ops = list(counts)
            weighted = np.array(list(counts.values())) * self._costs.latency_ms(ops)
            prior[row] = weighted @ self._covariance(ops, ops) @ weighted
            with_sums[row] = (weighted @ self._covariance(ops, self._ops)) @ self._weights.T
        explained = np.einsum("ij,ij->i", with_sums, cho_solve(self._factor, with_sums.T).T)
        return np.asarray(np.sqrt(np.maximum(prior - explained, 0.0)))

    def _source_covariance(self, views: Sequence[str]) -> NDArray[np.float64]:
        """Return the covariance, shape (observations, observations), that comes from doubt about sources' scales.

        The source "" defines the scale and is beyond doubt.
        """
        shape = self._smoothness
        groups = np.array([KIND_GROUPS[op.kind] for op in self._ops])
        covariance = np.zeros((len(views), len(views)))
        for view in sorted(set(views) - {""}):
            members = self._weights * np.array([[name == view] for name in views])
            total = members.sum(axis=1)
            covariance += shape.source**2 * np.outer(total, total)
            for group in set(KIND_GROUPS.values()):
                part = members[:, groups == group].sum(axis=1)
                covariance += shape.source_kind**2 * np.outer(part, part)
        return covariance

    def _variance(self) -> float:
        shape = self._smoothness
        return shape.kind**2 + shape.smooth**2 + shape.tile**2 + shape.own**2

    def _covariance(self, left: Sequence[Op], right: Sequence[Op]) -> NDArray[np.float64]:
        """Return the prior covariance of the deviations, shape (left, right)."""
        shape = self._smoothness
        covariance = np.zeros((len(left), len(right)))
        left_kinds, right_kinds = _kinds(left), _kinds(right)
        left_at, right_at = _coordinates(left), _coordinates(right)
        for kind in range(len(_KINDS)):
            rows, columns = np.flatnonzero(left_kinds == kind), np.flatnonzero(right_kinds == kind)
            distance = _squared_distance(left_at[rows], right_at[columns])
            covariance[np.ix_(rows, columns)] = (
                shape.kind**2
                + shape.smooth**2 * np.exp(-distance / (2.0 * shape.smooth_length**2))
                + shape.tile**2 * np.exp(-distance / (2.0 * shape.tile_length**2))
                + shape.own**2 * (distance < 1e-9)
            )
        return covariance


def shape_distances(left: Sequence[Op], right: Sequence[Op]) -> NDArray[np.float64]:
    """Return the squared distance of shapes in doublings, shape (left, right); infinite between kinds."""
    alike = _kinds(left)[:, None] == _kinds(right)[None, :]
    return np.where(alike, _squared_distance(_coordinates(left), _coordinates(right)), np.inf)


def _kinds(ops: Sequence[Op]) -> NDArray[np.int64]:
    return np.array([_KINDS.index(op.kind) for op in ops], dtype=np.int64)


def _coordinates(ops: Sequence[Op]) -> NDArray[np.float64]:
    """Return the place of every op for the distance between shapes, shape (ops, 5), in doublings."""
    sizes = np.array([(op.in_size, op.in_channels, op.out_channels, op.kernel) for op in ops], dtype=np.float64)
    strides = np.array([[2.0 * (op.stride - 1)] for op in ops])
    return np.hstack([np.log2(sizes.reshape(-1, 4)) * (0.67, 1.0, 1.0, 1.5), strides.reshape(-1, 1)])


def _squared_distance(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    difference = left[:, None, :] - right[None, :, :]
    return np.asarray(np.einsum("ijk,ijk->ij", difference, difference))
