"""How sources on different scales see the same ops: one factor per kind of op and source.

Two laboratories that time the same phone with different builds of a runtime differ by a common factor and, less, by
kind of op (an optimised h-swish kernel, a better depthwise kernel). The factors are fitted to what a source
measured, pulled towards one common factor for the source.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear

from latency_lut.calibrate.observations import Observation
from latency_lut.provenance import Scale
from searchspace.ops import Op, OpKind

# Kinds that share a factor: the parts of squeeze-excite and of a shortcut are too small to be told apart.
_GROUPS: tuple[frozenset[OpKind], ...] = (
    frozenset({OpKind.CONV}),
    frozenset({OpKind.DWCONV}),
    frozenset({OpKind.HSWISH}),
    frozenset({OpKind.POOL, OpKind.SCALE, OpKind.SIGMOID, OpKind.LINEAR}),
    frozenset({OpKind.ADD, OpKind.CONCAT}),
)

OpTimes = Callable[[Sequence[Op]], NDArray[np.float64]]


def fit_scale(observations: Sequence[Observation], times_ms: OpTimes, spread: float = 0.1) -> Scale:
    """Return the factors by which a source's times differ from `times_ms` of the ops.

    `spread` is the expected standard deviation of a kind's factor around the source's common factor.
    """
    parts = np.array([_parts_ms(observation, times_ms) for observation in observations])
    measured_ms = np.array([observation.latency_ms for observation in observations])
    trust = 1.0 / np.array([observation.error_ms for observation in observations])
    groups = len(_GROUPS)
    matrix = np.zeros((len(observations) + groups, groups + 1))
    matrix[: len(observations), :groups] = parts * trust[:, None]
    matrix[len(observations) :, :groups] = np.eye(groups) / spread
    matrix[len(observations) :, groups] = -1.0 / spread
    target = np.concatenate([measured_ms * trust, np.zeros(groups)])
    factors = lsq_linear(matrix, target, bounds=(0.05, 20.0)).x
    kinds = {kind: float(round(factors[row], 4)) for row, group in enumerate(_GROUPS) for kind in group}
    return Scale(factors={kind: kinds[kind] for kind in OpKind})


def on_scale(observation: Observation, scale: Scale) -> Observation:
    """Return an observation of a source with that scale as one of times on the table's own scale."""
    counts = {op: count * scale.factors.get(op.kind, 1.0) for op, count in observation.counts.items()}
    return replace(observation, counts=counts)


def predicted_ms(observation: Observation, times_ms: OpTimes, scale: Scale) -> float:
    """Return what the ops' times make of an observation on its source's scale, in milliseconds."""
    ops = list(observation.counts)
    factors = np.array([scale.factors.get(op.kind, 1.0) * observation.counts[op] for op in ops])
    return float(times_ms(ops) @ factors)


def _parts_ms(observation: Observation, times_ms: OpTimes) -> list[float]:
    ops = list(observation.counts)
    total: Mapping[OpKind, float] = dict.fromkeys(OpKind, 0.0)
    sums = dict(total)
    for op, latency_ms in zip(ops, times_ms(ops), strict=True):
        sums[op.kind] += observation.counts[op] * latency_ms
    return [sum(sums[kind] for kind in group) for group in _GROUPS]
