"""From the table of one phone to another's, by a handful of whole-network measurements.

The base table gives the structure: which op is dear compared with which. The measurements give a factor for the phone,
corrections of it by kind of op as far as they are called for, and small smooth deviations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latency_lut.calibrate.observations import Observation
from latency_lut.calibrate.process import OpProcess, Smoothness
from latency_lut.calibrate.views import fit_scale, predicted_ms
from latency_lut.provenance import Scale
from latency_lut.table import LatencyTable
from searchspace.ops import Op

# Deviations of one phone's ops from another's are smaller than those from first principles.
_NEAR = Smoothness(kind=0.05, smooth=0.1, tile=0.03, own=0.02)
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

    Errors are prediction / measurement - 1 of every observation were it not seen, in their order.
    """

    process: OpProcess
    left_out_errors: NDArray[np.float64]
    plain_left_out_errors: NDArray[np.float64]


def adapt(base: LatencyTable, observations: Sequence[Observation]) -> Adaptation:
    """Adapt a table to a phone by networks or blocks measured there; two at least, for one to be left out."""
    process = _process(base, observations)
    if len(observations) > _MANY:
        return _adapted_to_many(base, observations, process)
    left_out = np.zeros((2, len(observations)))
    for index, observation in enumerate(observations):
        others = [*observations[:index], *observations[index + 1 :]]
        predictions = (
            predicted_ms(observation, _process(base, others).mean_ms, Scale()),
            _plain_factor(base, others) * _base_ms(base, observation),
        )
        left_out[:, index] = np.array(predictions) / observation.latency_ms - 1.0
    return Adaptation(process, left_out[0], left_out[1])


def _adapted_to_many(base: LatencyTable, observations: Sequence[Observation], process: OpProcess) -> Adaptation:
    """Return the errors in closed form: among many, one observation more or less does not move the factors."""
    residual_ms, _ = process.left_out_ms()
    measured_ms = np.array([observation.latency_ms for observation in observations])
    plain_ms = _plain_factor(base, observations) * np.array([_base_ms(base, o) for o in observations])
    return Adaptation(process, -residual_ms / measured_ms, plain_ms / measured_ms - 1.0)


def _process(base: LatencyTable, observations: Sequence[Observation]) -> OpProcess:
    scale = fit_scale(observations, TableCosts(base, Scale()).latency_ms, _FACTOR_SPREAD)
    return OpProcess(TableCosts(base, scale), observations, _NEAR)


def _plain_factor(base: LatencyTable, observations: Sequence[Observation]) -> float:
    ratios = [observation.latency_ms / _base_ms(base, observation) for observation in observations]
    return float(np.exp(np.mean(np.log(ratios))))


def _base_ms(base: LatencyTable, observation: Observation) -> float:
    return predicted_ms(observation, TableCosts(base, Scale()).latency_ms, Scale())
