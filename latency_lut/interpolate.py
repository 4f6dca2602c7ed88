"""Times between measured ops: interpolation over channel grids and map sizes.

Ops of one kind, kernel, stride and map size form a family; its measurements are points over (input
channels, output channels), or over the channels alone where both are equal, as in depthwise convolutions. A
family is completed to a full grid and interpolated bilinearly in the channels, and between two measured map
sizes linearly in the number of pixels. That is exact for launch + traffic of inputs and outputs + MAdds,
the cost model of a convolution (in log-log coordinates the launch term bends the line). Between grid points
the result lies between theirs, so that it is monotone in the channels wherever the measurements are.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from latency_lut.estimate import Estimate
from searchspace.ops import Op, OpKind

# Standard deviation, relative to the time, per doubling or halving of the nearest measured op's work.
_EXTRAPOLATION_ERROR = 0.25


Times = NDArray[np.float64]


class Grid:
    """The measurements of one family, completed to a full (input channels) x (output channels) grid."""

    def __init__(self, points: Mapping[tuple[int, int], Estimate]) -> None:
        self.measured = dict(points)
        self.diagonal = all(inputs == outputs for inputs, outputs in points)
        self.inputs = sorted({inputs for inputs, _ in points})
        self.outputs = [1] if self.diagonal else sorted({outputs for _, outputs in points})
        latency_ms = np.full((len(self.inputs), len(self.outputs)), np.nan)
        spread_ms, shared_ms = latency_ms.copy(), latency_ms.copy()
        for (inputs, outputs), point in points.items():
            cell = (
                bisect_left(self.inputs, inputs),
                0 if self.diagonal else bisect_left(self.outputs, outputs),
            )
            latency_ms[cell], spread_ms[cell], shared_ms[cell] = point.latency_ms, point.spread_ms, point.shared_ms
        self._latency_ms = _completed(latency_ms, self.inputs, self.outputs).tolist()
        self._spread_ms = _filled(spread_ms, self.inputs, self.outputs).tolist()
        self._shared_ms = _filled(shared_ms, self.inputs, self.outputs).tolist()

    def point(self, inputs: int, outputs: int) -> Estimate | None:
        """Return the interpolated point, None where the measured channels do not enclose it."""
        if self.diagonal and inputs != outputs:
            return None
        rows = _weights(self.inputs, inputs)
        columns = [(0, 1.0)] if self.diagonal else _weights(self.outputs, outputs)
        latency_ms = spread_ms = shared_ms = 0.0
        for row, row_weight in rows:
            for column, column_weight in columns:
                latency_ms += row_weight * column_weight * self._latency_ms[row][column]
                spread_ms += row_weight * column_weight * self._spread_ms[row][column]
                shared_ms += row_weight * column_weight * self._shared_ms[row][column]
        known = rows and columns and not math.isnan(latency_ms)
        return Estimate(latency_ms, spread_ms, shared_ms=shared_ms) if known else None

    def nearest(self, inputs: int, outputs: int) -> tuple[int, int]:
        """Return the channels of the measured point nearest in log distance."""
        return min(
            self.measured,
            key=lambda at: (math.log(at[0] / inputs) ** 2 + math.log(at[1] / outputs) ** 2, at),
        )


def _weights(values: list[int], value: int) -> list[tuple[int, float]]:
    """Return the indices around `value` with their weights; empty outside `values`."""
    index = bisect_left(values, value)
    if index < len(values) and values[index] == value:
        return [(index, 1.0)]
    if index in (0, len(values)):
        return []
    below, above = values[index - 1], values[index]
    share = (value - below) / (above - below)
    return [(index - 1, 1.0 - share), (index, share)]


def _along(values: Times, channels: list[int]) -> Times:
    """Fill the gaps of every row between its own measured points; rows with none stay as they are."""
    filled = values.copy()
    for row in filled:
        known = ~np.isnan(row)
        if 1 < known.sum() < len(row):
            row[~known] = np.interp(channels, np.extract(known, channels), row[known], np.nan, np.nan)[~known]
    return filled


def _filled(values: Times, inputs: list[int], outputs: list[int]) -> Times:
    """Fill gaps between measured points along either axis (the mean where both do it); others stay NaN."""
    while np.isnan(values).any():
        along_outputs = _along(values, outputs)
        along_inputs = _along(np.ascontiguousarray(values.T), inputs).T
        mean = (along_outputs + along_inputs) / 2
        grown = np.where(np.isnan(mean), np.where(np.isnan(along_outputs), along_inputs, along_outputs), mean)
        if np.isnan(grown).sum() == np.isnan(values).sum():
            break
        values = grown
    return values


def _completed(times: Times, inputs: list[int], outputs: list[int]) -> Times:
    """Fill the gaps of a grid of times, kept monotone in the channels where its measurements are."""
    measured = ~np.isnan(times)
    if measured.all():
        return times
    filled = _filled(times, inputs, outputs)
    least = _running_max(np.where(measured, times, -np.inf))
    most = -_running_max(np.where(measured, -times, -np.inf)[::-1, ::-1])[::-1, ::-1]
    filled = np.where(least <= most, np.clip(filled, least, most), filled)
    if (least <= most).all():
        filled = np.where(np.isnan(filled), np.nan, _running_max(np.where(np.isnan(filled), -np.inf, filled)))
    return filled


def _running_max(values: Times) -> Times:
    """Return, for every cell, the largest value at no more input and no more output channels."""
    return np.asarray(np.maximum.accumulate(np.maximum.accumulate(values, axis=0), axis=1))


class Interpolator:
    """All families of one table, built one by one when they are first asked for."""

    def __init__(self, entries: Mapping[Op, Estimate]) -> None:
        self._points: dict[tuple[OpKind, int, int], dict[int, dict[tuple[int, int], Estimate]]] = {}
        for op, point in entries.items():
            sizes = self._points.setdefault((op.kind, op.kernel, op.stride), {})
            sizes.setdefault(op.in_size, {})[op.in_channels, op.out_channels] = point
        self._grids: dict[tuple[OpKind, int, int, int], Grid] = {}

    def grids(self) -> list[Grid]:
        """Return the grids of all families."""
        return [
            self._grid(kind, kernel, stride, size)
            for (kind, kernel, stride), sizes in self._points.items()
            for size in sizes
        ]

    def within(self, op: Op) -> Estimate | None:
        """Return the interpolated point of an op, None where measurements do not enclose it."""
        sizes = self._points.get((op.kind, op.kernel, op.stride), {})
        if op.in_size in sizes:
            here = self._at(op, op.in_size)
            if here is not None:
                return here
        below = self._first(op, sorted((size for size in sizes if size < op.in_size), reverse=True))
        above = self._first(op, sorted(size for size in sizes if size > op.in_size))
        if below is None or above is None:
            return None
        (small, at_small), (large, at_large) = below, above
        share = (op.in_size**2 - small**2) / (large**2 - small**2)
        return Estimate(
            (1.0 - share) * at_small.latency_ms + share * at_large.latency_ms,
            (1.0 - share) * at_small.spread_ms + share * at_large.spread_ms,
            shared_ms=(1.0 - share) * at_small.shared_ms + share * at_large.shared_ms,
        )

    def beyond(self, op: Op) -> Estimate | None:
        """Return the nearest measured op's time scaled by the work, its spread widened; None for a new kind.

        Nearest means: the same stride if there is one, then the nearest kernel, map size and channels.
        """
        families = [key for key in self._points if key[0] is op.kind]
        if not families:
            return None
        kind, kernel, stride = min(
            families,
            key=lambda key: (abs(math.log(key[2] / op.stride)), abs(math.log(key[1] / op.kernel)), key),
        )
        sizes = self._points[kind, kernel, stride]
        size = min(sizes, key=lambda size: (abs(math.log(size / op.in_size)), size))
        grid = self._grid(kind, kernel, stride, size)
        inputs, outputs = grid.nearest(op.in_channels, op.out_channels)
        known = grid.measured[inputs, outputs]
        ratio = _work(op) / _work(Op(kind, size, inputs, outputs, kernel, stride))
        latency_ms = known.latency_ms * ratio
        relative_sd = _EXTRAPOLATION_ERROR * max(abs(math.log2(ratio)), 1.0)
        spread_ms = math.hypot(known.spread_ms * ratio, relative_sd * latency_ms)
        return Estimate(latency_ms, spread_ms, extrapolated=True, shared_ms=known.shared_ms * ratio)

    def measured_range(self, op: Op) -> str:
        """Say in words what is measured near an op that is not."""
        sizes = self._points.get((op.kind, op.kernel, op.stride))
        if not op.square:
            return f"{op.kind.value} with a map, kernel or stride that is not square is not measured"
        if op.dilation > 1:
            return f"dilated {op.kind.value} is not measured"
        if sizes is None:
            known = sorted({f"kernel {key[1]} stride {key[2]}" for key in self._points if key[0] is op.kind})
            return f"{op.kind.value} is measured only with {', '.join(known)}" if known else f"no {op.kind.value} is"
        at = f"at map sizes {', '.join(str(size) for size in sorted(sizes))}"
        if op.in_size in sizes:
            sizes, at = {op.in_size: sizes[op.in_size]}, f"at map size {op.in_size}"
        inputs = [inputs for points in sizes.values() for inputs, _ in points]
        outputs = [outputs for points in sizes.values() for _, outputs in points]
        channels = f"{min(inputs)} to {max(inputs)} input, {min(outputs)} to {max(outputs)} output channels"
        return f"measured {at}: {channels}, and no measured ops enclose it"

    def _grid(self, kind: OpKind, kernel: int, stride: int, size: int) -> Grid:
        key = kind, kernel, stride, size
        if key not in self._grids:
            self._grids[key] = Grid(self._points[kind, kernel, stride][size])
        return self._grids[key]

    def _at(self, op: Op, size: int) -> Estimate | None:
        return self._grid(op.kind, op.kernel, op.stride, size).point(op.in_channels, op.out_channels)

    def _first(self, op: Op, sizes: list[int]) -> tuple[int, Estimate] | None:
        for size in sizes:
            point = self._at(op, size)
            if point is not None:
                return size, point
        return None


def _work(op: Op) -> float:
    """Return the quantity that an op's time is roughly proportional to."""
    return float(op.madds or op.in_pixels * max(op.in_channels, op.out_channels))


class LeaveOneOut(NamedTuple):
    """How well points are predicted by their neighbours in the grid, in percent of the measured time."""

    points: int
    mean_abs_pct: float
    rms_pct: float
    max_abs_pct: float


def leave_one_out_error(grids: Iterable[Grid]) -> LeaveOneOut:
    """Predict every enclosed grid point from its measured neighbours along each axis and compare.

    The neighbours are twice as far apart as in use, so the figures are on the safe side. All are NaN, and
    there are 0 points, where no point has measured neighbours on both sides.
    """
    errors = [error for grid in grids for error in _left_out_errors(grid)]
    if not errors:
        return LeaveOneOut(0, math.nan, math.nan, math.nan)
    values = np.abs(errors) * 100
    return LeaveOneOut(len(errors), float(values.mean()), float(np.sqrt((values**2).mean())), float(values.max()))


def _left_out_errors(grid: Grid) -> list[float]:
    """Return the relative error of every measured point between measured neighbours along an axis."""
    rows: dict[int, list[int]] = {}
    columns: dict[int, list[int]] = {}
    for inputs, outputs in sorted(grid.measured):
        rows.setdefault(inputs, []).append(outputs)
        columns.setdefault(0 if grid.diagonal else outputs, []).append(inputs)
    errors = []
    for (inputs, outputs), point in sorted(grid.measured.items()):
        across = _neighbours(columns[0 if grid.diagonal else outputs], inputs)
        lines = [
            [((near, near if grid.diagonal else outputs), weight) for near, weight in across],
            [((inputs, near), weight) for near, weight in _neighbours(rows[inputs], outputs)],
        ]
        estimates = [sum(w * grid.measured[at].latency_ms for at, w in line) for line in lines if line]
        if estimates and point.latency_ms > 0:
            errors.append(sum(estimates) / len(estimates) / point.latency_ms - 1.0)
    return errors


def _neighbours(values: list[int], value: int) -> list[tuple[int, float]]:
    """Return the values on both sides of `value`, which is one of `values`, with their weights."""
    index = values.index(value)
    if index in (0, len(values) - 1):
        return []
    below, above = values[index - 1], values[index + 1]
    share = (value - below) / (above - below)
    return [(below, 1.0 - share), (above, share)]
