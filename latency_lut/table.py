"""The latency table of one device: the time of every measured op, and of the ops between them.

A table is a value: nothing changes it after it was made. Times are in milliseconds and kept to the
nanosecond, so that a saved table loads as exactly the same table.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from latency_lut._text import DECIMALS, LARGEST_SIZE, format_csv, format_table, parse_table
from latency_lut.errors import UnmeasuredOp
from latency_lut.estimate import Estimate
from latency_lut.interpolate import Interpolator, LeaveOneOut, leave_one_out_error
from latency_lut.provenance import Provenance
from latency_lut.roofline import LARGEST_PX, MOST_CHANNELS
from searchspace.ops import Op, OpKind
from searchspace.support.errors import UserError
from searchspace.support.files import read_text, sha256_text, write_atomic

# Kinds that compute next to nothing: what they take is the reading and writing of maps.
_MEMORY_KINDS = frozenset({OpKind.PAD, OpKind.RESIZE, OpKind.RELU, OpKind.MAXPOOL, OpKind.AVGPOOL})
_LONGEST_MS = 1e9  # a table for a slow board holds, on its grid, ops that nobody would run there
EXCLUDED_MS = 1e6
_MOST_RUNS = 999_999_999


class LatencyTable:
    """Times of ops on one device, with the provenance that says how they were obtained."""

    def __init__(self, provenance: Provenance, entries: Mapping[Op, Estimate], path: str | Path | None = None) -> None:
        """Make a table of measured `entries`; raises UserError for one that is negative or not finite."""
        self.provenance = provenance
        self.path = Path(path) if path is not None else None
        self._entries = {op: _checked(op, entry) for op, entry in entries.items()}
        self._interpolated: dict[Op, Estimate] = {}
        self._excluded: frozenset[OpKind] = frozenset()

    def _with_entries(self, entries: dict[Op, Estimate]) -> LatencyTable:
        """Take over entries that are checked already."""
        self._entries = entries
        return self

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, op: Op) -> bool:
        return op in self._entries

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LatencyTable):
            return NotImplemented
        return self.provenance == other.provenance and self._entries == other._entries

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"LatencyTable({self.provenance.device}, {len(self)} ops)"

    @property
    def name(self) -> str:
        """Device and, where the table came from a file, its path: how messages call the table."""
        return f"{self.provenance.device} ({self.path})" if self.path else self.provenance.device

    def ops(self) -> tuple[Op, ...]:
        """Return the measured ops in sorted order."""
        return tuple(sorted(self._entries, key=_order))

    def entries(self) -> dict[Op, Estimate]:
        """Return the measured entries by op, in sorted order."""
        return {op: self._entries[op] for op in self.ops()}

    @classmethod
    def load(cls, path: str | Path) -> LatencyTable:
        """Read a table file; raises TableError, naming file and line, unless every byte can be believed."""
        provenance, entries = parse_table(read_text(path, "latency table"), path)
        return cls(provenance, {}, path)._with_entries(entries)

    def save(self, path: str | Path) -> None:
        """Write the table, atomically; the same table always gives the same bytes."""
        write_atomic(path, self.to_text())

    def to_text(self) -> str:
        """Return the text that `save` writes."""
        return format_table(self.provenance, self.entries())

    @cached_property
    def sha256(self) -> str:
        """A hash of the text that `save` writes, by which runs tell one table from another."""
        return sha256_text(self.to_text())

    def to_csv(self) -> str:
        """Return the entries alone, as CSV with column names and times in milliseconds."""
        return format_csv(self.entries())

    def entry(self, op: Op, allow_extrapolation: bool = False) -> Estimate:
        """Return the measured or interpolated time of one op, alone, before the table's scale is applied.

        Outside the measured range it raises UnmeasuredOp, or returns an estimate that is flagged and has a
        widened spread where `allow_extrapolation` is set. A kind that the table has never measured always
        raises, unless another op stands in for it (`stand_in`): that is flagged too, but for explicit padding, and
        where memory alone is moved the spread is as large as the time. Ops that are not square always raise. A table of
        rates prices every kind, and flags what is not square.
        """
        if op.kind in self._excluded:
            return Estimate(EXCLUDED_MS)
        roofline = self.provenance.roofline
        if roofline is not None:
            priced = self._entries.get(op) or roofline.estimate(op)
            if priced.extrapolated and not allow_extrapolation:
                raise self._unmeasured(op)
            return priced
        if not op.square:
            raise self._unmeasured(op)
        other = self.stand_in(op)
        if other != op:
            if not allow_extrapolation and op.kind is not OpKind.PAD:
                raise self._unmeasured(op)
            near = self.entry(other, allow_extrapolation)
            spread_ms = max(near.spread_ms, near.latency_ms) if op.kind in _MEMORY_KINDS else near.spread_ms
            return near._replace(spread_ms=spread_ms, extrapolated=near.extrapolated or op.kind is not OpKind.PAD)
        known = self._entries.get(op) or self._interpolated.get(op)
        if known is None:
            known = self._interpolated[op] = self._interpolate(op)
        if (known.extrapolated and not allow_extrapolation) or math.isnan(known.latency_ms):
            raise self._unmeasured(op)
        return known

    def stand_in(self, op: Op) -> Op:
        """Return the op whose time is taken for `op`: itself, unless that is of a kind that was never timed.

        A dilated convolution takes the time of the plain one; explicit padding copies a map once, as CONCAT does; other
        ops that only move memory take the time of ADD on the larger of their two maps.
        """
        if op.dilation > 1:
            return replace(op, dilation=1)
        if op.kind not in _MEMORY_KINDS or op.kind in self._kinds:
            return op
        if op.kind is OpKind.PAD:
            return Op(OpKind.CONCAT, op.in_size, op.in_channels, op.in_channels)
        return Op(OpKind.ADD, max(op.in_size, op.out_size), op.in_channels, op.in_channels)

    @cached_property
    def _kinds(self) -> frozenset[OpKind]:
        return frozenset(op.kind for op in self._entries)

    def view(self, name: str) -> LatencyTable:
        """Return the same entries on the scale of another source; raises UserError for an unknown view."""
        return self.with_provenance(self.provenance.viewed(name))

    def excluding(self, kinds: Iterable[OpKind]) -> LatencyTable:
        """Return a table on which ops of these kinds take `EXCLUDED_MS`: no budget holds a network that has one."""
        table = self.with_provenance(self.provenance)
        table._excluded = frozenset(kinds)
        return table

    def with_provenance(self, provenance: Provenance) -> LatencyTable:
        """Return the same entries under another provenance."""
        return LatencyTable(provenance, {}, self.path)._with_entries(self._entries)

    def leave_one_out_error(self) -> LeaveOneOut:
        """Return how well measured ops are predicted from their neighbours, in percent."""
        return leave_one_out_error(self._interpolator.grids())

    @cached_property
    def _interpolator(self) -> Interpolator:
        return Interpolator(self._entries)

    def _interpolate(self, op: Op) -> Estimate:
        """Return an estimate for an op without entry; NaN milliseconds if there is nothing to start from."""
        within = self._interpolator.within(op)
        if within is None:
            return self._interpolator.beyond(op) or Estimate(math.nan, extrapolated=True)
        error_ms = self.provenance.interpolation_error_pct / 100 * within.latency_ms
        return within._replace(spread_ms=math.hypot(within.spread_ms, error_ms))

    def _range(self, op: Op) -> str:
        if self.provenance.roofline is not None:
            return f"its rates are for maps of at most {LARGEST_PX} pixels and {MOST_CHANNELS} channels"
        return self._interpolator.measured_range(op)

    def _unmeasured(self, op: Op) -> UnmeasuredOp:
        return UnmeasuredOp(
            f"{op} is outside the latency table of {self.name}: {self._range(op)}. "
            "Measure it with `nas lut measure`, or allow extrapolation (--extrapolate) to get a flagged estimate"
        )


def _order(op: Op) -> tuple[str, int, int, int, int, int]:
    """Return a sort key that compares faster than ops themselves."""
    return op.kind.value, *_shape(op)


def _shape(op: Op) -> tuple[int, int, int, int, int]:
    return op.kernel, op.stride, op.in_size, op.in_channels, op.out_channels


def _checked(op: Op, entry: Estimate) -> Estimate:
    for name in ("latency_ms", "spread_ms", "shared_ms"):
        value = getattr(entry, name)
        if not 0 <= value < _LONGEST_MS:
            raise UserError(f"{op}: {name} must be from 0 to less than {_LONGEST_MS:g} milliseconds, not {value}")
    if not 0 <= entry.runs <= _MOST_RUNS:
        raise UserError(f"{op}: runs must be from 0 to {_MOST_RUNS}, not {entry.runs}")
    if not all(1 <= size <= LARGEST_SIZE for size in _shape(op)):
        raise UserError(f"{op}: sizes, channels, kernel and stride must be from 1 to {LARGEST_SIZE}")
    if op.dilation != 1:
        raise UserError(f"{op}: a table has no column for dilation; only plain convolutions can become entries")
    if not op.square:
        raise UserError(f"{op}: a table has no column for the width of maps, kernels and strides; only square ops fit")
    if entry.extrapolated:
        raise UserError(f"{op}: an extrapolated time is no measurement and cannot become a table's entry")
    times = (round(float(value), DECIMALS) for value in (entry.latency_ms, entry.spread_ms, entry.shared_ms))
    latency_ms, spread_ms, shared_ms = times
    return Estimate(latency_ms, spread_ms, entry.runs, shared_ms=shared_ms)
