"""Which widths of a network must change together.

A width is written at some sites (the output of the stem, the hidden width and the output of a block, the head's layers)
and read by what follows. A shortcut ties a block's output to its input, and a block whose wiring leaves out its first
convolution ties its hidden width to its input; the sites tied so form one `Group`, which can be printed, and shrinks as
one. What a block writes and reads is told by its wiring alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from searchspace.architecture import Architecture, PlacedBlock
from searchspace.blocks import LayerKind, Width
from searchspace.support.errors import UserError


class Part(StrEnum):
    """The kinds of group, by which a user allows or forbids their shrinking."""

    EXPANSION = "expansion"  # hidden width of an inverted residual, or narrow middle of a sandglass
    BOTTLENECK = "bottleneck"  # output shared by a chain of blocks; the wide ends of sandglass blocks
    STEM = "stem"
    LAST_STAGE = "last-stage"  # output of the last block where no shortcut shares it and only the head reads it
    HEAD = "head"


class Role(StrEnum):
    """Which width of its layer a site is."""

    OUT = "out"
    HIDDEN = "hidden"
    CONV = "conv"  # the head's 1x1 convolution
    SQUEEZE = "squeeze"  # inside squeeze-excite; follows its block and is in no group


class Site(NamedTuple):
    """One place where a width is written: `layer` 0 is the stem, 1 to n the blocks, n + 1 the head."""

    layer: int
    role: Role


@dataclass(frozen=True)
class Group:
    """Widths that shrink as one.

    `layers` are the layers whose operations change with the width, `written` and `read` say so for people.
    """

    name: str
    part: Part
    width: int
    sites: tuple[Site, ...]
    layers: tuple[int, ...]
    written: tuple[str, ...]
    read: tuple[str, ...]

    def __str__(self) -> str:
        """Return three lines: name and width, where the width is written, what follows it."""
        lines = [f"{self.name}: {self.width} channels", f"  written by  {', '.join(self.written)}"]
        return "\n".join([*lines, f"  followed by {', '.join(self.read)}"])


def groups(architecture: Architecture) -> tuple[Group, ...]:
    """Return every group of coupled widths, in the order in which the network computes them."""
    sites = _sites(architecture)
    root = {site: site for site in sites}

    def find(site: Site) -> Site:
        while root[site] != site:
            site = root[site]
        return site

    for one, other in _couplings(architecture):
        first, second = sorted((find(one), find(other)), key=list(sites).index)
        root[second] = first
    chains: dict[Site, list[Site]] = {}
    for site in sites:
        chains.setdefault(find(site), []).append(site)
    readers = _readers(architecture)
    return tuple(_group(architecture, tuple(chain), sites, readers) for chain in chains.values())


def _sites(architecture: Architecture) -> dict[Site, int]:
    """Return every site with its width, in running order."""
    head = len(architecture.blocks) + 1
    sites = {Site(0, Role.OUT): architecture.stem.out}
    for layer, block in enumerate(architecture.blocks, start=1):
        if Width.HIDDEN in block.family.fields:
            sites[Site(layer, Role.HIDDEN)] = block.width(Width.HIDDEN, 0)
        sites[Site(layer, Role.OUT)] = block.out
    if architecture.head.conv:
        sites[Site(head, Role.CONV)] = architecture.head.conv
    if architecture.head.hidden:
        sites[Site(head, Role.HIDDEN)] = architecture.head.hidden
    return sites


def _couplings(architecture: Architecture) -> Iterator[tuple[Site, Site]]:
    for layer, placed in enumerate(architecture.placed_blocks(), start=1):
        for one, other in tied_widths(placed):
            yield width_site(layer, one), width_site(layer, other)
        if placed.shortcut_channels:
            yield Site(layer - 1, Role.OUT), Site(layer, Role.OUT)


_ROLES = {Width.HIDDEN: Role.HIDDEN, Width.OUT: Role.OUT}


def width_site(layer: int, width: Width) -> Site:
    """Return the site of one of the widths of a block: that of its input is the output of the layer before."""
    return Site(layer - 1, Role.OUT) if width is Width.IN else Site(layer, _ROLES[width])


def tied_widths(placed: PlacedBlock) -> Iterator[tuple[Width, Width]]:
    """Yield the widths of a block that are one because no layer of it leads from the one to the other."""
    carried = Width.IN
    for wired in placed.wiring:
        if wired.reads is not carried:
            yield carried, wired.reads
        carried = wired.writes


def _readers(architecture: Architecture) -> dict[Site, list[tuple[int, str]]]:
    """Return, for every site, the layers and the parts of them that read or carry its width."""
    readers: dict[Site, list[tuple[int, str]]] = {site: [] for site in _sites(architecture)}
    for layer, placed in enumerate(architecture.placed_blocks(), start=1):
        for width, reader in _block_readers(placed):
            readers[width_site(layer, width)].append((layer, f"block{layer} {reader}"))
    head, last = len(architecture.blocks) + 1, Site(len(architecture.blocks), Role.OUT)
    for role, reader in ((Role.CONV, "1x1 convolution"), (Role.HIDDEN, "hidden layer")):
        if Site(head, role) in readers:
            readers[last].append((head, f"head {reader} input"))
            last = Site(head, role)
    readers[last].append((head, "head classifier input"))
    return readers


def _block_readers(placed: PlacedBlock) -> Iterator[tuple[Width, str]]:
    """Yield the parts of one block with the width that each follows."""
    for wired in placed.wiring:
        kernel = f" {wired.kernel}x{wired.kernel}"
        match wired.kind:
            case LayerKind.CONV:
                yield wired.reads, f"{wired.label}{kernel if wired.kernel > 1 else ''} input"
            case LayerKind.DEPTHWISE:
                yield wired.reads, f"{wired.label}{kernel}"
            case LayerKind.SQUEEZE_EXCITE:
                yield wired.reads, f"{wired.label} ({wired.squeeze} inside)"
    if placed.shortcut_channels:
        yield Width.OUT, "shortcut"


def _group(
    architecture: Architecture,
    chain: tuple[Site, ...],
    sites: dict[Site, int],
    readers: dict[Site, list[tuple[int, str]]],
) -> Group:
    read = [reader for site in chain for reader in readers[site]]
    written = [writer for site in chain if (writer := _writer(architecture, site))]
    layers = sorted({site.layer for site in chain} | {layer for layer, _ in read})
    part = _part(architecture, chain)
    return Group(
        name=_name(architecture, chain, part),
        part=part,
        width=sites[chain[0]],
        sites=chain,
        layers=tuple(layers),
        written=tuple(written),
        read=tuple(dict.fromkeys(reader for _, reader in sorted(read, key=lambda item: item[0]))),
    )


def _writer(architecture: Architecture, site: Site) -> str | None:
    """Name the convolution that writes a site; None for a width taken over from the block's input."""
    if site.layer == 0:
        return "stem"
    if site.layer > len(architecture.blocks):
        return "head 1x1 convolution" if site.role is Role.CONV else "head hidden layer"
    before = architecture.blocks[site.layer - 2].out if site.layer > 1 else architecture.stem.out
    for wired in PlacedBlock(architecture.blocks[site.layer - 1], 1, before).wiring:
        if wired.dense and width_site(site.layer, wired.writes) == site:
            return f"block{site.layer} {wired.label}"
    return None


def _part(architecture: Architecture, chain: tuple[Site, ...]) -> Part:
    blocks = len(architecture.blocks)
    if chain[0].layer == 0:
        return Part.STEM
    if chain[0].layer > blocks:
        return Part.HEAD
    if chain[0].role is Role.HIDDEN:
        return Part.EXPANSION
    return Part.LAST_STAGE if chain == (Site(blocks, Role.OUT),) else Part.BOTTLENECK


def _name(architecture: Architecture, chain: tuple[Site, ...], part: Part) -> str:
    first = chain[0].layer
    if part is Part.STEM:
        return "stem"
    if part is Part.HEAD:
        return "head convolution" if chain[0].role is Role.CONV else "head hidden layer"
    family = architecture.blocks[first - 1].family
    if part is Part.EXPANSION:
        return f"block{first} {family.hidden_name}"
    last = max(site.layer for site in chain)
    where = f"block{first}" if first == last else f"block{first}-{last}"
    return f"{where} {family.out_name}"


def find_group(architecture: Architecture, name: str) -> Group:
    """Return the group called `name`; raises UserError with the known names for any other."""
    known = groups(architecture)
    for group in known:
        if group.name == name:
            return group
    raise UserError(f"the network has no group {name!r}: it has {', '.join(group.name for group in known)}")
