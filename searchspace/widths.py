"""Channel rounding and width multipliers.

Every width rule of the MobileNet papers is one of two: MobileNetV1 to V3 and MnasNet scale each block's output and
recompute the expansion from the already rounded input; MobileNeXt does the same with its own rule for the narrow
middle. Both keep the layer before the classifier at full width for multipliers below one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from searchspace.architecture import Architecture, Block, Head
from searchspace.blocks import LayerKind, PlacedBlock, Width, make_divisible, squeeze_channels
from searchspace.support.errors import UserError

__all__ = ["make_divisible", "scale_width", "squeeze_channels"]


def _scaled_block(placed: PlacedBlock, now: int, out: int, reduction: int | None) -> Block:
    """Scale one block that is to receive `now` channels and to give `out`."""
    block = placed.block
    fields: dict[str, Any] = {"out": out}
    if Width.HIDDEN in block.family.fields:
        fields["hidden"] = block.scaled_hidden(placed.in_channels, now, out, reduction)
    scaled = block.with_fields(**fields)
    for layer in placed.wiring:
        if layer.kind is LayerKind.SQUEEZE_EXCITE:
            squeeze = squeeze_channels(layer.gate, now, scaled.width(layer.reads, now))
            scaled = scaled.with_fields(squeeze=squeeze)
    return scaled.settled(now)


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
    keep_stem: bool = False,
) -> Architecture:
    """Return the network with all widths multiplied by `width` and rounded to multiples of 8.

    `reductions` gives the reduction ratio of each sandglass block for MobileNeXt's hidden-width rule; without it the
    ratio of hidden to input is kept. `keep_last_block` leaves the last block's output at full width below one, as
    MobileNeXt does; `keep_head` leaves the layer before the classifier alone at every width, as MnasNet does;
    `keep_stem` leaves the stem at full width below one, as timm's MobileNetV4 does. Raises
    UserError for a width that is not positive or makes channels impossible.
    """
    if width <= 0:
        raise UserError(f"width multiplier is {width}, expected a positive number such as 0.75")
    if width == 1:
        return architecture
    stem_width = max(width, Fraction(1)) if keep_stem else width
    stem = replace(architecture.stem, out=make_divisible(architecture.stem.out * stem_width))
    blocks: list[Block] = []
    now = stem.out
    for index, placed in enumerate(architecture.placed_blocks()):
        last = index == len(architecture.blocks) - 1
        factor = max(width, Fraction(1)) if last and keep_last_block else width
        out = make_divisible(placed.block.out * factor)
        reduction = reductions[index] if reductions is not None else None
        blocks.append(_scaled_block(placed, now, out, reduction))
        now = out
    head = _scaled_head(architecture.head, width, keep_head)
    return replace(architecture, stem=stem, blocks=tuple(blocks), head=head)
