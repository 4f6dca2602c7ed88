"""Finding the genotype of an architecture: which choices of a space would have decoded to these blocks.

Stage by stage, each layer's possible blocks are looked up in a table made once per (stage, layer, input channels);
the values chosen once for a stage must agree over its layers. Where an architecture has several genotypes (a macro
space of optional layers) the layers present come first.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np

from searchspace.architecture import Architecture, Block
from searchspace.blocks import Padding
from searchspace.choices import Genotypes
from searchspace.layer_options import Place
from searchspace.space import SearchSpace
from searchspace.stage_plan import make_layer, width_of
from searchspace.support.errors import UserError
from searchspace.text import format_block, format_head, format_stem

Assignment = tuple[tuple[int, int], ...]  # (choice, value index), rising by choice
Found = tuple[dict[int, int], list[tuple[int, int]]]


def layer_blocks(
    space: SearchSpace, number: int, layer: int, in_channels: int
) -> Iterator[tuple[int, tuple[tuple[int, int], ...], Block | None]]:
    """Yield everything a layer of a stage can be: the option, its (choice, value index) pairs and the block."""
    plan = space.plans[number]
    for index, (option, bindings) in enumerate(zip(plan.stage.options, plan.layers[layer], strict=True)):
        for indices in product(*(range(len(binding.values)) for binding in bindings)):
            values = {b.field: b.values[i] for b, i in zip(bindings, indices, strict=True)}
            out = width_of(values)
            place = Place(out if layer else in_channels, out, 1 if layer else plan.stage.stride)
            if place.in_channels == in_channels:
                pairs = [(b.choice, i) for b, i in zip(bindings, indices, strict=True) if b.choice is not None]
                yield index, tuple(pairs), make_layer(option.kind, tuple(values.items()), place)


@lru_cache(maxsize=4096)
def _possible(
    space: SearchSpace, number: int, layer: int, in_channels: int
) -> dict[Block | None, dict[Assignment, Assignment]]:
    """Every block a layer can be: for each, the stage-wide choices that allow it, with the layer's own."""
    plan = space.plans[number]
    possible: dict[Block | None, dict[Assignment, Assignment]] = {}
    for option, pairs, block in layer_blocks(space, number, layer, in_channels):
        own = {c for c, _ in pairs if space.choices[c].path.startswith(f"{plan.stage.name}/layer")}
        chosen: Assignment = () if plan.block_at is None else ((plan.block_at, option),)
        shared = tuple(sorted((*chosen, *(pair for pair in pairs if pair[0] not in own))))
        mine = tuple(sorted(pair for pair in pairs if pair[0] in own))
        possible.setdefault(block, {}).setdefault(shared, mine)
    return possible


class _Matcher:
    """Depth-first matching of an architecture's blocks to the stages of a space."""

    def __init__(self, space: SearchSpace, blocks: tuple[Block, ...]) -> None:
        self.space = space
        self.blocks = blocks
        self.furthest = 0
        self._dead: set[tuple[int, int]] = set()

    def _channels(self, position: int) -> int:
        return self.blocks[position - 1].out if position else self.space.spec.stem.out

    def match(self, number: int, position: int) -> Found | None:
        """Match the blocks from `position` on to the stages from `number` on."""
        if number == len(self.space.spec.stages):
            return ({}, []) if position == len(self.blocks) else None
        if (number, position) in self._dead:
            return None
        for assignment, layers in self._stage(number, position):
            rest = self.match(number + 1, position + len(layers))
            if rest is not None:
                return assignment | rest[0], [(number, layer) for layer in layers] + rest[1]
        self._dead.add((number, position))
        return None

    def _stage(self, number: int, position: int) -> list[tuple[dict[int, int], range]]:
        """Ways to match one stage: the values of its choices and the layers that take a block."""
        plan = self.space.plans[number]
        stage, depth_at = plan.stage, plan.depth_at
        if stage.fixed:
            here = self.blocks[position : position + len(stage.fixed)]
            self._reached(position + sum(a == b for a, b in zip(here, stage.fixed, strict=False)))
            return [({}, range(len(here)))] if here == stage.fixed else []
        ways = []
        agreed: dict[Assignment, dict[int, int]] | None = None
        for layer in range(min(stage.depths[-1], len(self.blocks) - position)):
            agreed = self._extend(agreed, number, layer, position)
            if not agreed:
                break
            self._reached(position + layer + 1)
            if layer + 1 in stage.depths:
                depth = {} if depth_at is None else {depth_at: stage.depths.index(layer + 1)}
                shared, own = next(iter(agreed.items()))
                ways.append((depth | dict(shared) | own, range(layer + 1)))
        skipped = _possible(self.space, number, 0, self._channels(position)).get(None)
        if skipped:
            ways.append((dict(next(iter(skipped))), range(0)))
        return ways

    def _extend(
        self, agreed: dict[Assignment, dict[int, int]] | None, number: int, layer: int, position: int
    ) -> dict[Assignment, dict[int, int]]:
        """Keep the stage-wide values under which this layer, too, is its block; add the layer's own values."""
        block = self.blocks[position + layer]
        found = _possible(self.space, number, layer, self._channels(position + layer)).get(block, {})
        if agreed is None:
            return {shared: dict(own) for shared, own in found.items()}
        # Fields that layer 0 overrides are open there, so a later layer may fix more of the stage's values.
        return {
            _merged(first, second): agreed[first] | dict(own)
            for first in agreed
            for second, own in found.items()
            if _compatible(first, second)
        }

    def _reached(self, position: int) -> None:
        self.furthest = max(self.furthest, position)


def _compatible(first: Assignment, second: Assignment) -> bool:
    known = dict(first)
    return all(known.get(choice, value) == value for choice, value in second)


def _merged(first: Assignment, second: Assignment) -> Assignment:
    return tuple(sorted({**dict(first), **dict(second)}.items()))


def locate(space: SearchSpace, architecture: Architecture) -> tuple[Genotypes, tuple[tuple[int, int], ...]]:
    """Return the canonical genotype of an architecture and the (stage, layer) of each of its blocks.

    Raises UserError naming the place where the architecture leaves the space.
    """
    spec = space.spec
    if architecture.resolution not in spec.resolutions:
        raise UserError(
            f"not in space {space.name}: resolution {architecture.resolution}, expected one of {list(spec.resolutions)}"
        )
    if architecture.padding is not Padding.SAME:
        raise UserError(
            f"not in space {space.name}: padding {architecture.padding.value}, expected {Padding.SAME.value}"
        )
    for part, given, expected in (
        ("stem", format_stem(architecture.stem), format_stem(spec.stem)),
        ("head", format_head(architecture.head), format_head(spec.head)),
    ):
        if given != expected:
            raise UserError(f"not in space {space.name}: {part} is {given}, expected {expected}")
    matcher = _Matcher(space, architecture.blocks)
    found = matcher.match(0, 0)
    if found is None:
        at = matcher.furthest
        if at < len(architecture.blocks):
            where = f"block {at + 1} ({format_block(architecture.blocks[at])}) is none the space has there"
        else:
            where = f"it ends after block {at}, where the space needs more"
        raise UserError(f"not in space {space.name}: {where}")
    values: dict[int, Any] = found[0]
    genotype = np.zeros((1, len(space.choices)), dtype=np.uint8)
    if "resolution" in space.index:
        values[space.index["resolution"]] = spec.resolutions.index(architecture.resolution)
    genotype[0, list(values)] = list(values.values())
    return space.canonical(genotype)[0], tuple(found[1])
