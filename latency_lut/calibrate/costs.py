"""First-principles cost of an op: launch, multiply-adds, and traffic of inputs, outputs and weights.

Each kind of op has a few rates (milliseconds per unit of work) that a least squares fit sets from sums
of ops, pulled towards the rates of a nominal phone core where the measurements say nothing about them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear

from latency_lut.calibrate.observations import Observation, weights_of
from searchspace.ops import Op, OpKind

_FURTHEST = 4.0
_VECTOR = 8  # output channels that one tile of a matrix kernel computes at least

# Rates of a nominal big core of 2016 in float32: ms per million multiply-adds, per 100,000 elements or weights moved.
_NOMINAL_MS: Mapping[str, float] = {
    "launch": 0.004,
    "conv1 madds": 0.12,
    "conv1 in": 0.03,
    "conv1 out": 0.05,
    "conv1 weights": 0.3,
    "conv madds": 0.13,
    "conv in": 0.1,
    "conv out": 0.1,
    "conv weights": 0.3,
    "dwconv madds": 0.5,
    "dwconv in": 0.03,
    "dwconv out": 0.05,
    "dwconv large": 0.03,  # more per multiply-add for kernels beyond 3x3
    "dwconv stride": 0.1,  # more per multiply-add at stride 2
    "linear weights": 0.15,
    "pool": 0.15,
    "scale": 0.12,
    "sigmoid": 1.0,
    "hswish": 0.12,
    "add": 0.08,
    "concat": 0.08,
}


@dataclass(frozen=True)
class CostModel:
    """Rates in milliseconds per unit of work, by name."""

    rates_ms: Mapping[str, float]

    def latency_ms(self, ops: Sequence[Op]) -> NDArray[np.float64]:
        """Return the first-principles time of every op in milliseconds, shape (ops,)."""
        names, work = _work_matrix(ops)
        return np.asarray(work @ np.array([self.rates_ms[name] for name in names]))


def nominal_costs(speed: float = 1.0) -> CostModel:
    """Return the rates of a nominal core that is `speed` times as fast as a big core of 2016."""
    return CostModel({name: rate / speed for name, rate in _NOMINAL_MS.items()})


def fit_costs(observations: Sequence[Observation], start: CostModel, pull: float = 0.3) -> CostModel:
    """Fit the rates to sums of ops by bounded least squares on relative errors.

    `pull` is the weight of one pseudo-observation per rate that asks for the rate of `start`; no rate goes further
    than a factor of 4 from there.
    """
    ops, weights = weights_of(observations)
    names, work = _work_matrix(ops)
    measured_ms = np.array([observation.latency_ms for observation in observations])
    relative_error = np.array([observation.error_ms for observation in observations]) / measured_ms
    trust = 1.0 / (measured_ms * np.hypot(relative_error, 0.1) / 0.1)
    rates = np.array([start.rates_ms[name] for name in names])
    matrix = np.vstack([weights @ work * trust[:, None], np.diag(pull / rates)])
    target = np.concatenate([measured_ms * trust, np.full(len(names), pull)])
    fitted = lsq_linear(matrix, target, bounds=(rates / _FURTHEST, rates * _FURTHEST)).x
    return CostModel(dict(zip(names, fitted.tolist(), strict=True)))


def _work_matrix(ops: Sequence[Op]) -> tuple[list[str], NDArray[np.float64]]:
    names = list(_NOMINAL_MS)
    column = {name: index for index, name in enumerate(names)}
    work = np.zeros((len(ops), len(names)))
    for row, op in enumerate(ops):
        for name, amount in _work(op).items():
            work[row, column[name]] = amount
    return names, work


def _work(op: Op) -> dict[str, float]:
    pixels_in, pixels_out = op.in_pixels, op.out_pixels
    match op.kind:
        case OpKind.CONV:
            name = "conv1" if op.kernel == 1 else "conv"
            padded = -(-op.out_channels // _VECTOR) * _VECTOR
            return {
                "launch": 1.0,
                f"{name} madds": pixels_out * op.taps * op.in_channels * padded / 1e6,
                f"{name} in": pixels_in * op.in_channels / 1e5,
                f"{name} out": pixels_out * op.out_channels / 1e5,
                f"{name} weights": op.taps * op.in_channels * op.out_channels / 1e5,
            }
        case OpKind.DWCONV:
            madds = _inside_taps(op) ** 2 * pixels_out * op.in_channels / 1e6
            return {
                "launch": 1.0,
                "dwconv madds": madds,
                "dwconv large": madds if op.kernel > 3 else 0.0,
                "dwconv stride": madds if op.stride > 1 else 0.0,
                "dwconv in": pixels_in * op.in_channels / 1e5,
                "dwconv out": pixels_out * op.out_channels / 1e5,
            }
        case OpKind.LINEAR:
            return {"launch": 1.0, "linear weights": op.in_channels * op.out_channels / 1e5}
        case _:
            return {"launch": 1.0, op.kind.value: pixels_in * max(op.in_channels, op.out_channels) / 1e5}


def _inside_taps(op: Op) -> float:
    """Return how many taps of the kernel along one axis fall inside the map, on average over output pixels."""
    padding = max((op.out_size - 1) * op.stride + op.kernel - op.in_size, 0) // 2
    starts = np.arange(op.out_size) * op.stride - padding
    return float(np.mean(np.minimum(starts + op.kernel, op.in_size) - np.maximum(starts, 0)))
