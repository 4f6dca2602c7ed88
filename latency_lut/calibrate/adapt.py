"""From the table of one phone to another's, by a handful of whole-network measurements.

The base table gives the structure: which op is dear compared with which. The measurements give a factor for the phone,
corrections of it by kind of op as far as they are called for, and small smooth deviations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latency_lut.calibrate.observations import Observation
from latency_lut.calibrate.process import OpProcess, Smoothness
from latency_lut.calibrate.views import fit_scale, predicted_ms, uniform_scale
from latency_lut.estimate import Estimate
from latency_lut.provenance import Scale
from latency_lut.table import LatencyTable
from searchspace.ops import Op

# Deviations of one phone's ops from another's are smaller than those from first principles.
_NEAR = Smoothness(kind=0.05, smooth=0.1, tile=0.03, own=0.02)
_UNBENT = Smoothness(kind=1e-3, smooth=1e-3, tile=1e-3, own=1e-3)
_FACTOR_SPREAD = 0.3
_MANY = 40


class TableCosts:
    """The entries of a table, each kind times a factor, as what ops are expected to take."""

    def __init__(self, table: LatencyTable, scale: Scale) -> None:
        self._table = table
        self._scale = scale

    def latency_ms(self, ops: Sequence[Op]) -> NDArray[np.float64]:
        """Return the time of every op in milliseconds, shape (ops,); extrapolated outside the table."""
        times = [self._scale.op_ms(op.kind, self._table.entry(op, allow_extrapolation=True).latency_ms) for op in ops]
        return np.array(times)


@dataclass(frozen=True)
class Adaptation:
    """Times of ops on the new phone, and the errors on networks left out, beside those of one plain factor.

    Where the plain factor errs less, the times of ops are made with it, and both errors are the same. Errors are
    prediction / measurement - 1 of every observation were it not seen, in their order.
    """

    process: OpProcess
    left_out_errors: NDArray[np.float64]
    plain_left_out_errors: NDArray[np.float64]


def blended(first: LatencyTable, second: LatencyTable) -> LatencyTable:
    """Return the ops of `first` with the geometric mean of both tables' times: a structure between two phones'.

    Two tables err in different directions; only ratios of times within the blend mean anything.
    """
    entries = {}
    for op, entry in first.entries().items():
        other_ms = second.entry(op, allow_extrapolation=True).latency_ms
        entries[op] = Estimate(math.sqrt(entry.latency_ms * other_ms))
    return LatencyTable(first.provenance, entries)


def nearest_base(bases: Sequence[LatencyTable], observations: Sequence[Observation]) -> tuple[LatencyTable, Adaptation]:
    """Return the table from which the phone is foretold best, by the error on observations left out, adapted."""
    adaptations = [(base, adapt(base, observations)) for base in bases]
    return min(adaptations, key=lambda pair: float(np.mean(np.abs(pair[1].left_out_errors))))


def adapt(base: LatencyTable, observations: Sequence[Observation]) -> Adaptation:
    """Adapt a table to a phone by networks or blocks measured there; two at least, for one to be left out."""
    process = _process(base, observations)
    errors, plain_errors = _left_out_errors(base, observations, process)
    if np.mean(np.abs(errors)) < np.mean(np.abs(plain_errors)):
        return Adaptation(process, errors, plain_errors)
    costs = TableCosts(base, uniform_scale(_plain_factor(base, observations)))
    return Adaptation(OpProcess(costs, observations, _UNBENT), plain_errors, plain_errors)


def _left_out_errors(
    base: LatencyTable, observations: Sequence[Observation], process: OpProcess
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the errors of the adapted process and of plain scaling.

    Among many observations in closed form: one more or less does not move the factors.
    """
    measured_ms = np.array([observation.latency_ms for observation in observations])
    base_ms = predicted_ms(observations, TableCosts(base, Scale()).latency_ms, Scale())
    if len(observations) > _MANY:
        residual_ms, _ = process.left_out_ms()
        return -residual_ms / measured_ms, _plain_factor(base, observations) * base_ms / measured_ms - 1.0
    adapted_ms, plain_ms = np.zeros(len(measured_ms)), np.zeros(len(measured_ms))
    for index, observation in enumerate(observations):
        others = [*observations[:index], *observations[index + 1 :]]
        adapted_ms[index] = predicted_ms([observation], _process(base, others).mean_ms, Scale())[0]
        plain_ms[index] = _plain_factor(base, others) * base_ms[index]
    return adapted_ms / measured_ms - 1.0, plain_ms / measured_ms - 1.0


def _process(base: LatencyTable, observations: Sequence[Observation]) -> OpProcess:
    scale = fit_scale(observations, TableCosts(base, Scale()).latency_ms, _FACTOR_SPREAD)
    return OpProcess(TableCosts(base, scale), observations, _NEAR)


def _plain_factor(base: LatencyTable, observations: Sequence[Observation]) -> float:
    measured_ms = np.array([observation.latency_ms for observation in observations])
    base_ms = predicted_ms(observations, TableCosts(base, Scale()).latency_ms, Scale())
    return float(np.exp(np.mean(np.log(measured_ms / base_ms))))
