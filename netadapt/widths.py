"""Giving groups of a network new widths without changing its structure.

Squeeze-excite follows the width it was derived from. A block without a shortcut stays without one even where its input
and output become equal, and a width that would make an expanding convolution or a shortcut vanish is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

from netadapt.groups import Group, Role, Site, tied_widths, width_site
from searchspace.architecture import Architecture, Block, Head, PlacedBlock, Stem
from searchspace.blocks import Gate, LayerKind, Width, WiredLayer, squeeze_channels
from searchspace.support.errors import UserError


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
        if block.merging_widths is not None and not any(tied_widths(placed[layer - 1])):
            one, other = block.merging_widths
            first, second = width_site(layer, one) in sites, width_site(layer, other) in sites
            if first != second:
                forbidden.add(placed[layer - 1].width(other if first else one))
        if Site(layer, Role.OUT) in sites and placed[layer - 1].shortcut_channels:
            forbidden.update(range(1, math.ceil(1 / block.shortcut_share)))
    return forbidden


@lru_cache(maxsize=1 << 14)  # from one iteration to the next most layers and most widths tried are the same
def _resized_block(layer: int, old: PlacedBlock, in_channels: int, hidden: int | None, out: int) -> Block:
    widths = {"out": out} if hidden is None else {"out": out, "hidden": hidden}
    block = old.block.with_fields(**widths)
    for wired in old.wiring if "squeeze" in block.family.fields else ():
        if wired.kind is LayerKind.SQUEEZE_EXCITE:
            block = block.with_fields(squeeze=_squeeze(wired, old, PlacedBlock(block, old.in_size, in_channels)))
    block = block.settled(in_channels)
    new = PlacedBlock(block, old.in_size, in_channels)
    if block.merging_widths is not None and len(new.wiring) != len(old.wiring):
        raise UserError(f"block{layer}: {in_channels} hidden channels equal its input; its expansion would vanish")
    if old.shortcut_channels and not new.shortcut_channels:
        raise UserError(f"block{layer}: at {out} channels nothing is left for its partial shortcut")
    # Whatever the stride: the same network with its first strides taken back must not gain a shortcut either.
    if out == in_channels and old.block.out != old.in_channels and block.shortcut_share:
        return block.with_fields(identity=Fraction(0))
    return block


def _squeeze(wired: WiredLayer, old: PlacedBlock, new: PlacedBlock) -> int:
    """Return the width inside squeeze-excite, by the rule of its paper where the old width obeyed it."""
    squeeze, gate = wired.squeeze, wired.gate
    if squeeze == squeeze_channels(gate, old.in_channels, old.width(wired.reads)):
        return min(squeeze, squeeze_channels(gate, new.in_channels, new.width(wired.reads)))
    basis = Width.IN if gate is Gate.LOGISTIC else wired.reads
    return max(1, squeeze * new.width(basis) // old.width(basis))
