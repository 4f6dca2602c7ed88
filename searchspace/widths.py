"""Channel rounding and width multipliers.

Every width rule of the MobileNet papers is one of two: MobileNetV1 to V3 and MnasNet scale each block's output and
recompute the expansion from the already rounded input; MobileNeXt does the same with its own rule for the narrow
middle. Both keep the layer before the classifier at full width for multipliers below one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from searchspace.architecture import (
    Architecture,
    Block,
    Conv,
    Gate,
    Head,
    InvertedResidual,
    Sandglass,
    Separable,
)
from searchspace.support.errors import UserError


def make_divisible(value: float | Fraction, divisor: int = 8) -> int:
    """Round to the nearest multiple of `divisor` (halves up), at least one, and never below 90 % of `value`.

    The rule of TF-slim's `conv_blocks.py`.
    """
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def squeeze_channels(gate: Gate, block_in: int, hidden: int) -> int:
    """Return the width inside squeeze-excite: a quarter of the expansion with a hard gate, rounded to 8
    (MobileNetV3 section 5.3), a quarter of the block's input with a logistic one (MnasNet)."""
    return make_divisible(Fraction(hidden, 4)) if gate is Gate.HARD else max(1, block_in // 4)


def sandglass_hidden(in_channels: int, out_channels: int, reduction: int) -> int:
    """Return the narrow width of a sandglass block as MobileNeXt's code computes it.

    The input divided by the reduction, unless that is below a sixth of the output, which is then rounded to 16.
    """
    hidden = in_channels // reduction
    return hidden if hidden >= Fraction(out_channels, 6) else make_divisible(math.ceil(out_channels / 6), 16)


def _scaled_block(block: Block, before: int, now: int, out: int, reduction: int | None) -> Block:
    """Scale one block that received `before` channels, receives `now` and is to give `out`."""
    match block:
        case InvertedResidual():
            hidden = make_divisible(Fraction(block.hidden, before) * now)
            squeeze = squeeze_channels(block.gate, now, hidden) if block.squeeze else 0
            return replace(block, hidden=hidden, out=out, squeeze=squeeze)
        case Sandglass():
            if reduction is not None:
                hidden = sandglass_hidden(now, out, reduction)
            else:
                hidden = make_divisible(Fraction(block.hidden, before) * now)
            squeeze = squeeze_channels(block.gate, now, out) if block.squeeze else 0
            return replace(block, hidden=hidden, out=out, squeeze=squeeze)
        case Separable() | Conv():
            return replace(block, out=out)


def _scaled_head(head: Head, width: Fraction, keep: bool) -> Head:
    """Scale the head; the layer before the classifier only ever grows, or never changes where `keep` says so."""
    growing = Fraction(1) if keep else max(width, Fraction(1))
    if head.hidden:
        conv = make_divisible(head.conv * width) if head.conv else 0
        return replace(head, conv=conv, hidden=make_divisible(head.hidden * growing))
    return replace(head, conv=make_divisible(head.conv * growing)) if head.conv else head


def scale_width(
    architecture: Architecture,
    width: Fraction,
    *,
    reductions: Sequence[int] | None = None,
    keep_last_block: bool = False,
    keep_head: bool = False,
) -> Architecture:
    """Return the network with all widths multiplied by `width` and rounded to multiples of 8.

    `reductions` gives the reduction ratio of each sandglass block for MobileNeXt's hidden-width rule; without it the
    ratio of hidden to input is kept. `keep_last_block` leaves the last block's output at full width below one, as
    MobileNeXt does; `keep_head` leaves the layer before the classifier alone at every width, as MnasNet does. Raises
    UserError for a width that is not positive or makes channels impossible.
    """
    if width <= 0:
        raise UserError(f"width multiplier is {width}, expected a positive number such as 0.75")
    if width == 1:
        return architecture
    stem = replace(architecture.stem, out=make_divisible(architecture.stem.out * width))
    blocks: list[Block] = []
    now = stem.out
    for index, placed in enumerate(architecture.placed_blocks()):
        last = index == len(architecture.blocks) - 1
        factor = max(width, Fraction(1)) if last and keep_last_block else width
        out = make_divisible(placed.block.out * factor)
        reduction = reductions[index] if reductions is not None else None
        blocks.append(_scaled_block(placed.block, placed.in_channels, now, out, reduction))
        now = out
    head = _scaled_head(architecture.head, width, keep_head)
    return replace(architecture, stem=stem, blocks=tuple(blocks), head=head)
