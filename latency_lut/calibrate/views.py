"""How sources on different scales see the same ops: one factor per kind of op and source.

Two laboratories that time the same phone with different builds of a runtime differ by a common factor and, less, by
kind of op (an optimised h-swish kernel, a better depthwise kernel). The factors are fitted to what a source
measured, pulled towards one common factor for the source.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear

from latency_lut.calibrate.observations import Observation, weights_of
from latency_lut.calibrate.process import KIND_GROUPS
from latency_lut.provenance import Scale
from searchspace.ops import Op, OpKind

_GROUPS = max(KIND_GROUPS.values()) + 1
_LEAST_FACTOR, _LARGEST_FACTOR = 0.05, 20.0
_DISTANT_SPREAD = 0.3
_REWEIGHTINGS = 8

OpTimes = Callable[[Sequence[Op]], NDArray[np.float64]]


def fit_scale(observations: Sequence[Observation], times_ms: OpTimes, spread: float = 0.2) -> Scale:
    """Return the factors by which a source's times differ from `times_ms` of the ops.

    `spread` is the expected standard deviation of a kind's factor around the source's common factor.
    """
    parts, measured_ms, error_ms = _arrays(observations, times_ms)
    return Scale(factors=_factors(_solve(parts, measured_ms, error_ms, spread)))


def fit_distant_scale(observations: Sequence[Observation], times_ms: OpTimes) -> Scale:
    """As `fit_scale`, for a source far from the table: a constant per op, and outliers count little.

    The constant stands for what another runtime spends around each op; the loss is Huber's, by reweighting.
    """
    parts, measured_ms, error_ms = _arrays(observations, times_ms)
    ops = np.array([[sum(observation.counts.values())] for observation in observations])
    columns = np.hstack([parts, ops])
    inflation = np.ones(len(columns))
    for _ in range(_REWEIGHTINGS):
        found = _solve(columns, measured_ms, error_ms * inflation, _DISTANT_SPREAD)
        residual = np.abs(columns @ found - measured_ms) / error_ms
        inflation = np.sqrt(np.maximum(residual, 1.0))
    return Scale(factors=_factors(found), per_op_ms=round(float(found[-1]), 5))


def _arrays(
    observations: Sequence[Observation], times_ms: OpTimes
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return time by group of kinds, shape (observations, groups), measured time and its standard deviation."""
    ops, counts = weights_of(observations)
    groups = np.array([KIND_GROUPS[op.kind] for op in ops])
    by_op_ms = counts * times_ms(ops)
    parts = np.stack([by_op_ms[:, groups == group].sum(axis=1) for group in range(_GROUPS)], axis=1)
    measured_ms = np.array([observation.latency_ms for observation in observations])
    return parts, measured_ms, np.array([observation.error_ms for observation in observations])


def _solve(
    columns: NDArray[np.float64], measured_ms: NDArray[np.float64], error_ms: NDArray[np.float64], spread: float
) -> NDArray[np.float64]:
    """Return a coefficient per column: those of the groups pulled towards one common factor, none negative."""
    rows, width = columns.shape
    matrix = np.zeros((rows + _GROUPS, width + 1))
    matrix[:rows, :width] = columns / error_ms[:, None]
    matrix[rows:, :_GROUPS] = np.eye(_GROUPS) / spread
    matrix[rows:, width] = -1.0 / spread
    lowest = np.where(np.arange(width + 1) < _GROUPS, _LEAST_FACTOR, 0.0)
    target = np.concatenate([measured_ms / error_ms, np.zeros(_GROUPS)])
    return np.asarray(lsq_linear(matrix, target, bounds=(lowest, _LARGEST_FACTOR)).x[:width])


def _factors(found: NDArray[np.float64]) -> dict[OpKind, float]:
    return {kind: round(float(found[group]), 4) for kind, group in KIND_GROUPS.items()}


def uniform_scale(factor: float) -> Scale:
    """Return the scale on which every kind of op takes `factor` times as long."""
    return Scale(factors=dict.fromkeys(OpKind, factor))


def on_scale(observation: Observation, scale: Scale) -> Observation:
    """Return an observation of a source with that scale as one of times on the table's own scale."""
    counts = {op: count * scale.factors.get(op.kind, 1.0) for op, count in observation.counts.items()}
    return replace(observation, counts=counts)


def predicted_ms(observations: Sequence[Observation], times_ms: OpTimes, scale: Scale) -> NDArray[np.float64]:
    """Return what the ops' times make of observations on their source's scale, in milliseconds."""
    ops, counts = weights_of(observations)
    on_scale_ms = [scale.op_ms(op.kind, float(time)) for op, time in zip(ops, times_ms(ops), strict=True)]
    return np.asarray(counts @ np.array(on_scale_ms))
