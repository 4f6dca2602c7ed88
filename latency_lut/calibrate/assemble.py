"""From inferred times of ops to a table, with intervals as wide as the errors on data left out ask for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from latency_lut.calibrate.grid import table_ops
from latency_lut.calibrate.process import OpProcess
from latency_lut.estimate import Estimate
from latency_lut.provenance import Provenance
from latency_lut.table import LatencyTable
from searchspace.ops import Op, OpKind


class OpDoubt(Protocol):
    """Standard deviations of the entries of a table: what ops have of their own, and what they share."""

    def spread_ms(
        self, ops: Sequence[Op], latency_ms: NDArray[np.float64], sd_ms: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return each op's own part, shape (ops,), given the process's standard deviations."""
        ...

    def shared_ms(self, ops: Sequence[Op], latency_ms: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return each op's shared part, shape (ops,)."""
        ...


_LEAST_MS = 1e-4
_MANY = 30


def build_table(process: OpProcess, seen: Iterable[Op], provenance: Provenance, doubt: OpDoubt) -> LatencyTable:
    """Return the table of the grid and of the ops `seen`, with the process's times and the doubt about them."""
    seen = set(seen)
    ops = table_ops(seen)
    mean_ms, sd_ms = process.estimate(ops)
    times = _grown_with_channels(dict(zip(ops, np.maximum(mean_ms, _LEAST_MS).tolist(), strict=True)), seen)
    latency_ms = np.array([times[op] for op in ops])
    columns = latency_ms, doubt.spread_ms(ops, latency_ms, sd_ms), doubt.shared_ms(ops, latency_ms)
    rows = zip(ops, *(column.tolist() for column in columns), strict=True)
    return LatencyTable(provenance, {op: Estimate(time, spread, shared_ms=shared) for op, time, spread, shared in rows})


def _grown_with_channels(times: Mapping[Op, float], seen: Set[Op]) -> dict[Op, float]:
    """Return times that grow with the channels, but between two ops `seen` in measurements, which keep their times.

    Real kernels do jump between channel counts; where nothing was measured, a jump is an accident of the inference.
    """
    families: dict[tuple[OpKind, int, int, int], list[Op]] = {}
    for op in times:
        families.setdefault((op.kind, op.in_size, op.kernel, op.stride), []).append(op)
    grown = dict(times)
    for family in families.values():
        shapes = np.array([(op.in_channels, op.out_channels) for op in family])
        latency_ms = np.array([times[op] for op in family])
        free = np.array([op not in seen for op in family])
        smaller = (shapes[:, None, :] <= shapes[None, :, :]).all(axis=2)
        ceiling = np.where(smaller, latency_ms[None, :], np.inf).min(axis=1)
        latency_ms = np.where(free, ceiling, latency_ms)
        floor = np.where(smaller.T, latency_ms[None, :], 0.0).max(axis=1)
        latency_ms = np.where(free, floor, latency_ms)
        grown.update(zip(family, latency_ms.tolist(), strict=True))
    return grown


def interval_pct(errors: NDArray[np.float64]) -> float:
    """Return within how many percent of its prediction 90 % of new measurements are expected, from left-out errors.

    Few errors: Student's prediction interval around no bias. Many: their 90 % quantile, rounded up by one error.
    """
    absolute = np.sort(np.abs(errors))
    if len(absolute) < 2:
        raise ValueError("an interval needs at least two left-out errors")
    if len(absolute) < _MANY:
        sd = math.sqrt(float(np.mean(absolute**2)))
        value = student.ppf(0.95, len(absolute) - 1) * sd * math.sqrt(1.0 + 1.0 / len(absolute))
    else:
        value = absolute[min(math.ceil(0.9 * (len(absolute) + 1)), len(absolute)) - 1]
    return round(100.0 * float(value), 2)


def interval_beside_pct(errors: NDArray[np.float64], doubt_share: float) -> float:
    """Return `interval_pct` less what the doubt of the entries already gives, at least half of it.

    `doubt_share` is one standard deviation of that doubt, as a share of a network's time.
    """
    whole = interval_pct(errors)
    return round(max(math.sqrt(max(whole**2 - (164.5 * doubt_share) ** 2, 0.0)), whole / 2), 2)


def mean_abs_pct(errors: Sequence[float] | NDArray[np.float64]) -> float:
    """Return the mean absolute error in percent."""
    return round(100.0 * float(np.mean(np.abs(errors))), 2)
