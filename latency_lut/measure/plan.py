"""Which ops to measure: all that a space or a network can hold, thinned out to grids that a table can interpolate.

Ops of one kind, kernel and stride differ in map size, input channels and output channels. Along each of the three the
values are thinned out to grid lines no further apart than a ratio, ends kept; measured are the grid points around each
wanted op, so that every wanted op lies between measurements and none is extrapolated.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import product

from searchspace.architecture import Architecture
from searchspace.ops import Op, OpKind
from searchspace.space import SearchSpace
from searchspace.support.errors import UserError

MEASURING_S = 600.0  # how long measuring ops may take where no ratio was asked for
_RATIOS = (1.0, 1.2, 1.5, 2.0)
_TWO_DIMENSIONAL = frozenset({OpKind.CONV, OpKind.LINEAR})


def space_ops(space: SearchSpace) -> set[Op]:
    """Return every op that any network of the space can hold, without duplicates."""
    return {op for slot in space.slots for ops in space.slot_table(slot) for op in ops}


def network_ops(architectures: Iterable[Architecture]) -> set[Op]:
    """Return every op of the given networks, without duplicates."""
    return {op for architecture in architectures for layer in architecture.ops() for op in layer.ops}


def finest_ratio(wanted: Iterable[Op], seconds_per_op: float) -> float:
    """Return the ratio of the finest grid whose ops are measured in ten minutes, 2 where none is; 1 is every op."""
    wanted = set(wanted)
    fitting = (ratio for ratio in _RATIOS if len(sampled(wanted, ratio)) * seconds_per_op <= MEASURING_S)
    return next(fitting, _RATIOS[-1])


def sampled(wanted: Iterable[Op], ratio: float) -> list[Op]:
    """Return the ops to measure so that all of `wanted` can be interpolated, sorted; ratio 1 measures each of them.

    Neighbouring grid lines are at most `ratio` apart where the wanted values allow it. Raises UserError for a ratio
    outside 1 to 4.
    """
    if not 1 <= ratio <= 4:
        raise UserError(f"the grid's ratio is {ratio:g}, expected from 1 (measure every op) to 4")
    families: dict[tuple[OpKind, int, int], set[Op]] = defaultdict(set)
    for op in wanted:
        families[op.kind, op.kernel, op.stride].add(op)
    return sorted(op for family in families.values() for op in _thinned(family, ratio))


def _thinned(family: set[Op], ratio: float) -> set[Op]:
    """Thin out map sizes, then the channels at each size that stays."""
    if ratio == 1:
        return family
    size_lines = grid_lines({op.in_size for op in family}, ratio)
    at_size: dict[int, set[Op]] = defaultdict(set)
    for op in family:
        for size in _around(size_lines, op.in_size):
            at_size[size].add(replace(op, in_size=size))
    corners = {op for ops in at_size.values() for op in _channel_corners(ops, ratio)}
    return corners if len(corners) < len(family) else family


def _channel_corners(ops: set[Op], ratio: float) -> set[Op]:
    input_lines = grid_lines({op.in_channels for op in ops}, ratio)
    output_lines = grid_lines({op.out_channels for op in ops}, ratio)
    corners = set()
    for op in ops:
        inputs = _around(input_lines, op.in_channels)
        if op.kind in _TWO_DIMENSIONAL:
            pairs: Iterable[tuple[int, int]] = product(inputs, _around(output_lines, op.out_channels))
        else:
            pairs = [(channels, channels) for channels in inputs]
        corners |= {replace(op, in_channels=cin, out_channels=cout) for cin, cout in pairs}
    return corners if len(corners) < len(ops) else ops


def grid_lines(values: Iterable[int], ratio: float) -> list[int]:
    """Return the fewest of `values`, both ends included, whose neighbours are at most `ratio` apart where possible."""
    ordered = sorted(set(values))
    lines = ordered[:1]
    for value, following in zip(ordered[1:], [*ordered[2:], None], strict=False):
        if following is None or following > lines[-1] * ratio:
            lines.append(value)
    return lines


def _around(lines: Sequence[int], value: int) -> tuple[int, ...]:
    """Return the grid line at `value`, or the two around it."""
    if value in lines:
        return (value,)
    return max(line for line in lines if line < value), min(line for line in lines if line > value)
