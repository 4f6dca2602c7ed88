"""What a calibration learns from: measured times of sums of ops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latency_lut.samples import Sample
from searchspace.ops import Op


@dataclass(frozen=True)
class Observation:
    """A measured time of `counts[op]` runs of each op, in milliseconds, on the scale of one source.

    Counts may be negative: the difference of two blocks is an observation too. `error_ms` is one standard deviation
    of what the sum of ops cannot explain.
    """

    label: str
    view: str
    counts: Mapping[Op, float]
    latency_ms: float
    error_ms: float
    whole_network: bool


def observe(sample: Sample, relative_error: float, least_error_ms: float = 0.0) -> Observation:
    """Return a sample as an observation with the given standard deviation."""
    error_ms = float(np.hypot(relative_error * sample.latency_ms, least_error_ms))
    counts = dict(Counter[Op](sample.ops))
    return Observation(sample.label, sample.view, counts, sample.latency_ms, error_ms, sample.whole_network)


def weights_of(observations: Sequence[Observation]) -> tuple[list[Op], NDArray[np.float64]]:
    """Return the distinct ops and the matrix of their counts, shape (observations, ops)."""
    column: dict[Op, int] = {}
    for observation in observations:
        for op in observation.counts:
            column.setdefault(op, len(column))
    weights = np.zeros((len(observations), len(column)))
    for row, observation in enumerate(observations):
        for op, count in observation.counts.items():
            weights[row, column[op]] += count
    return list(column), weights
