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

from latency_lut.calibrate.observations import Observation
from latency_lut.calibrate.process import KIND_GROUPS
from latency_lut.provenance import Scale
from searchspace.ops import Op

OpTimes = Callable[[Sequence[Op]], NDArray[np.float64]]


def fit_scale(observations: Sequence[Observation], times_ms: OpTimes, spread: float = 0.2) -> Scale:
    """Return the factors by which a source's times differ from `times_ms` of the ops.

    `spread` is the expected standard deviation of a kind's factor around the source's common factor.
    """
    parts = np.array([_parts_ms(observation, times_ms) for observation in observations])
    measured_ms = np.array([observation.latency_ms for observation in observations])
    trust = 1.0 / np.array([observation.error_ms for observation in observations])
    rows, groups = parts.shape
    matrix = np.zeros((rows + groups, groups + 1))
    matrix[:rows, :groups] = parts * trust[:, None]
    matrix[rows:, :groups] = np.eye(groups) / spread
    matrix[rows:, groups] = -1.0 / spread
    target = np.concatenate([measured_ms * trust, np.zeros(groups)])
    factors = lsq_linear(matrix, target, bounds=(0.05, 20.0)).x
    return Scale(factors={kind: round(float(factors[group]), 4) for kind, group in KIND_GROUPS.items()})


def on_scale(observation: Observation, scale: Scale) -> Observation:
    """Return an observation of a source with that scale as one of times on the table's own scale."""
    counts = {op: count * scale.factors.get(op.kind, 1.0) for op, count in observation.counts.items()}
    return replace(observation, counts=counts)


def predicted_ms(observation: Observation, times_ms: OpTimes, scale: Scale) -> float:
    """Return what the ops' times make of an observation on its source's scale, in milliseconds."""
    ops = list(observation.counts)
    factors = np.array([scale.factors.get(op.kind, 1.0) * observation.counts[op] for op in ops])
    return float(times_ms(ops) @ factors)


def _parts_ms(observation: Observation, times_ms: OpTimes) -> NDArray[np.float64]:
    """Return the time that each group of kinds takes of an observation, shape (groups,)."""
    ops = list(observation.counts)
    parts = np.zeros(max(KIND_GROUPS.values()) + 1)
    for op, latency_ms in zip(ops, times_ms(ops), strict=True):
        parts[KIND_GROUPS[op.kind]] += observation.counts[op] * latency_ms
    return parts
