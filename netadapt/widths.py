"""Giving groups of a network new widths without changing its structure.

Squeeze-excite follows the width it was derived from. A block without a shortcut stays without one even where its input
and output become equal, and a width that would make an expanding convolution or a shortcut vanish is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from netadapt.groups import Group, Role, Site, expands
from searchspace.architecture import (
    Architecture,
    Block,
    Conv,
    Gate,
    Head,
    InvertedResidual,
    PlacedBlock,
    Sandglass,
    Separable,
    Stem,
)
from searchspace.support.errors import UserError
from searchspace.widths import squeeze_channels


def resized(architecture: Architecture, widths: Mapping[Group, int]) -> Architecture:
    """Return the network with the given groups of it at new widths.

    Raises UserError where a hidden width would equal its block's input, so that the expanding convolution were
    omitted, or where no channel were left for a partial shortcut.
    """
    by_site = {site: width for group, width in widths.items() for site in group.sites}
    touched = sorted({layer for group in widths for layer in group.layers})
    placed = tuple(architecture.placed_blocks())
    stem, blocks, head = architecture.stem, list(architecture.blocks), architecture.head
    for layer in touched:
        match resized_layer(architecture, placed, layer, by_site)[0]:
            case Stem() as stem:
                pass
            case Head() as head:
                pass
            case block:
                blocks[layer - 1] = block
    return replace(architecture, stem=stem, blocks=tuple(blocks), head=head)


def resized_layer(
    architecture: Architecture, placed: Sequence[PlacedBlock], layer: int, by_site: Mapping[Site, int]
) -> tuple[Stem | Block | Head, int]:
    """Return one layer of the network at the widths of `by_site`, and the channels it then receives.

    `placed` are the blocks of the architecture as they are; layer 0 is the stem, 1 to n the blocks, n + 1 the head.
    """
    if layer == 0:
        return replace(architecture.stem, out=by_site.get(Site(0, Role.OUT), architecture.stem.out)), 3
    before = architecture.blocks[layer - 2].out if layer > 1 else architecture.stem.out
    in_channels = by_site.get(Site(layer - 1, Role.OUT), before)
    if layer > len(placed):
        head = architecture.head
        conv = by_site.get(Site(layer, Role.CONV), head.conv)
        return replace(head, conv=conv, hidden=by_site.get(Site(layer, Role.HIDDEN), head.hidden)), in_channels
    old = placed[layer - 1]
    hidden, out = by_site.get(Site(layer, Role.HIDDEN)), by_site.get(Site(layer, Role.OUT), old.block.out)
    return _resized_block(layer, old, in_channels, hidden, out), in_channels


def structural_widths(placed: Sequence[PlacedBlock], group: Group) -> set[int]:
    """Return the widths that `resized` refuses for this group."""
    sites, forbidden = set(group.sites), set[int]()
    for layer in group.layers:
        if not 1 <= layer <= len(placed):
            continue
        block = placed[layer - 1].block
        if isinstance(block, InvertedResidual) and expands(placed[layer - 1]):
            reads, hides = Site(layer - 1, Role.OUT) in sites, Site(layer, Role.HIDDEN) in sites
            if reads != hides:
                forbidden.add(block.hidden if reads else placed[layer - 1].in_channels)
        if Site(layer, Role.OUT) in sites and not isinstance(block, Separable) and placed[layer - 1].shortcut_channels:
            forbidden.update(range(1, math.ceil(1 / block.identity)))
    return forbidden


def _resized_block(layer: int, old: PlacedBlock, in_channels: int, hidden: int | None, out: int) -> Block:
    block: Block
    match old.block:
        case InvertedResidual():
            wide = old.block.hidden if hidden is None else hidden
            squeeze = _squeeze(old, old.block.hidden, in_channels, wide)
            block = replace(old.block, hidden=wide, out=out, squeeze=squeeze)
        case Sandglass():
            squeeze = _squeeze(old, old.block.out, in_channels, out)
            block = replace(old.block, hidden=hidden or old.block.hidden, out=out, squeeze=squeeze)
        case Separable() | Conv():
            block = replace(old.block, out=out)
    new = PlacedBlock(block, old.in_size, in_channels)
    if expands(old) and not expands(new):
        raise UserError(f"block{layer}: {in_channels} hidden channels equal its input; its expansion would vanish")
    if old.shortcut_channels and not new.shortcut_channels:
        raise UserError(f"block{layer}: at {out} channels nothing is left for its partial shortcut")
    # Whatever the stride: the same network with its first strides taken back must not gain a shortcut either.
    if out == in_channels and old.block.out != old.in_channels and not isinstance(block, Separable):
        return replace(block, identity=Fraction(0))
    return block


def _squeeze(old: PlacedBlock, old_wide: int, in_channels: int, wide: int) -> int:
    """Return the width inside squeeze-excite, by the rule of its paper where the old width obeyed it."""
    assert isinstance(old.block, InvertedResidual | Sandglass)
    squeeze, gate = old.block.squeeze, old.block.gate
    if not squeeze:
        return 0
    if squeeze == squeeze_channels(gate, old.in_channels, old_wide):
        return min(squeeze, squeeze_channels(gate, in_channels, wide))
    basis, now = (old.in_channels, in_channels) if gate is Gate.LOGISTIC else (old_wide, wide)
    return max(1, squeeze * now // basis)
