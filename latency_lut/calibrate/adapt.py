"""From the table of one phone to another's, by a handful of whole-network measurements.

The base table gives the structure: which op is slow compared with which. The measurements give a factor for the phone,
corrections of it by kind of op as far as they are called for, and small smooth deviations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latency_lut.calibrate.assemble import interval_beside_pct
from latency_lut.calibrate.left_out import families, left_out
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


class TableDoubt:
    """The doubt of a table's entries relative to their times, for a table that takes its structure."""

    def __init__(self, table: LatencyTable) -> None:
        self._table = table

    def spread_ms(
        self, ops: Sequence[Op], latency_ms: NDArray[np.float64], sd_ms: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return each op's own part in milliseconds, shape (ops,)."""
        return self._part(ops, latency_ms, lambda entry: entry.spread_ms)

    def shared_ms(self, ops: Sequence[Op], latency_ms: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return each op's shared part in milliseconds, shape (ops,)."""
        return self._part(ops, latency_ms, lambda entry: entry.shared_ms)

    def sum_sd_ms(self, counts: Mapping[Op, float], latency_ms: NDArray[np.float64]) -> float:
        """Return the standard deviation of a sum of ops that take `latency_ms`, in milliseconds."""
        ops, times = list(counts), np.array(list(counts.values()))
        own_ms = self.spread_ms(ops, latency_ms, latency_ms)
        return float(np.hypot(np.sqrt(np.abs(times) @ own_ms**2), times @ self.shared_ms(ops, latency_ms)))

    def _part(
        self, ops: Sequence[Op], latency_ms: NDArray[np.float64], part: Callable[[Estimate], float]
    ) -> NDArray[np.float64]:
        entries = [self._table.entry(op, allow_extrapolation=True) for op in ops]
        return np.array([part(entry) / max(entry.latency_ms, 1e-9) for entry in entries]) * latency_ms


@dataclass(frozen=True)
class Adaptation:
    """Times of ops on the new phone, and the errors on networks left out, beside those of one plain factor.

    Where the plain factor errs less, the times of ops are made with it, and both errors are the same. Errors are
    prediction / measurement - 1 of every observation were it not seen, in their order; `family_errors` the same were
    its whole family not seen, of the networks for which others remain. `doubt` is that of the base's entries.
    """

    process: OpProcess
    left_out_errors: NDArray[np.float64]
    plain_left_out_errors: NDArray[np.float64]
    family_errors: NDArray[np.float64]
    doubt: TableDoubt
    interval_pct: float  # what the interval needs beside the base's own doubt


def blended(first: LatencyTable, second: LatencyTable) -> LatencyTable:
    """Return the ops of `first` with the geometric mean of both tables' times: a structure between two phones'.

    Two tables err in different directions; only ratios of times within the blend mean anything.
    """
    entries = {}
    for op, entry in first.entries().items():
        other = second.entry(op, allow_extrapolation=True)
        latency_ms = math.sqrt(entry.latency_ms * other.latency_ms)
        parts = [
            math.hypot(one / entry.latency_ms, two / other.latency_ms) / 2 * latency_ms
            for one, two in ((entry.spread_ms, other.spread_ms), (entry.shared_ms, other.shared_ms))
        ]
        entries[op] = Estimate(latency_ms, parts[0], shared_ms=parts[1])
    return LatencyTable(first.provenance, entries)


def nearest_base(bases: Sequence[LatencyTable], observations: Sequence[Observation]) -> tuple[LatencyTable, Adaptation]:
    """Return the table from which the phone is predicted best, by the error on observations left out, adapted."""
    adaptations = [(base, adapt(base, observations)) for base in bases]
    return min(adaptations, key=lambda pair: float(np.mean(np.abs(pair[1].left_out_errors))))


def adapt(base: LatencyTable, observations: Sequence[Observation]) -> Adaptation:
    """Adapt a table to a phone by networks or blocks measured there; two at least, for one to be left out."""
    process = _process(base, observations)
    errors, plain_errors = _left_out_errors(base, observations, process)
    if np.mean(np.abs(errors)) < np.mean(np.abs(plain_errors)):
        fit = _process
    else:
        fit, errors = _plain_process, plain_errors
        process = fit(base, observations)
    doubt = TableDoubt(base)
    shares = []
    for observation in observations:
        times_ms = process.mean_ms(list(observation.counts))
        total_ms = float(np.array(list(observation.counts.values())) @ times_ms)
        shares.append(doubt.sum_sd_ms(observation.counts, times_ms) / total_ms)
    groups = families(observations)
    whole = len(groups) > 1 and len(observations) <= _MANY
    points = left_out(observations, lambda rest: (fit(base, rest), {}), groups) if whole else []
    of_families = np.array([point.error_pct / 100.0 for point in points])
    interval = interval_beside_pct(np.concatenate([errors, of_families]), float(np.median(shares)))
    return Adaptation(process, errors, plain_errors, of_families, doubt, interval)


def _plain_process(base: LatencyTable, observations: Sequence[Observation]) -> OpProcess:
    costs = TableCosts(base, uniform_scale(_plain_factor(base, observations)))
    return OpProcess(costs, observations, _UNBENT)


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
