"""What part of a space a predictor can score, and the member of a space that is nearest to a network."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from nas.predictor._layouts import Layout
from nas.predictor._model import layout_named
from searchspace.architecture import Architecture, Block
from searchspace.blocks import Width
from searchspace.choices import Genotypes
from searchspace.space import SearchSpace
from searchspace.space_file import Option, SpaceSpec, Stage
from searchspace.space_match import layer_blocks
from searchspace.support.errors import UserError


def covered_part(space: SearchSpace) -> SearchSpace:
    """Return the part of a space that its accuracy table covers; the space itself where that is all of it.

    Raises UserError, pointing to --data, for a space that no table describes or shares no network with.
    """
    layout = layout_named(space.name)
    spec = _common_spec(space.spec, layout.covered.spec, layout)
    return space if spec == space.spec else SearchSpace(spec)


def _common_spec(spec: SpaceSpec, covered: SpaceSpec, layout: Layout) -> SpaceSpec:
    for what, ours, theirs in (
        ("stem", spec.stem, covered.stem),
        ("head", spec.head, covered.head),
        ("classes", spec.classes, covered.classes),
        ("stages", [s.name for s in spec.stages], [s.name for s in covered.stages]),
        ("choices by layer", spec.per_layer & {"kernel", "ratio"}, covered.per_layer),
    ):
        if ours != theirs:
            raise _outside(spec.name, layout, f"{what} {ours}", theirs)
    resolutions = _common(spec.resolutions, covered.resolutions, spec.name, layout, "resolution")
    stages = tuple(_common_stage(*pair, layout) for pair in zip(spec.stages, covered.stages, strict=True))
    return replace(spec, resolutions=resolutions, stages=stages)


def _common_stage(stage: Stage, covered: Stage, layout: Layout) -> Stage:
    if (stage.stride, stage.fixed) != (covered.stride, covered.fixed):
        raise _outside(stage.name, layout, "its stride or fixed blocks", "others")
    theirs = {option.name: option for option in covered.options}
    options = tuple(_common_option(o, theirs[o.name], stage.name, layout) for o in stage.options if o.name in theirs)
    if stage.options and not options:
        raise _outside(stage.name, layout, f"blocks {[o.name for o in stage.options]}", list(theirs))
    return replace(stage, options=options, depths=_common(stage.depths, covered.depths, stage.name, layout, "depth"))


def _common_option(option: Option, covered: Option, place: str, layout: Layout) -> Option:
    if option.kind != covered.kind or option.first != covered.first:
        raise _outside(place, layout, f"layers of {option.name}", covered.kind)
    fields = {
        name: _common(values, covered.fields[name], place, layout, name) for name, values in option.fields.items()
    }
    return replace(option, fields=fields)


def _common(
    values: tuple[Any, ...], covered: tuple[Any, ...], place: str, layout: Layout, what: str
) -> tuple[Any, ...]:
    both = tuple(value for value in values if value in covered)
    if not both:
        raise _outside(place, layout, f"{what} {values}", covered)
    return both


def _outside(place: str, layout: Layout, ours: str, theirs: Any) -> UserError:
    return UserError(
        f"{place} has {ours}, but the accuracy table of {layout.name} only knows {theirs}: "
        "give --data to train and score the space's networks on images"
    )


class Nearest(NamedTuple):
    """A member of a space: genotype (choices,), the architecture, how it differs from the one asked for."""

    genotype: Genotypes
    architecture: Architecture
    differences: tuple[str, ...]


def nearest_member(space: SearchSpace, architecture: Architecture) -> Nearest:
    """Return the network itself where it is a member, else the one whose hidden widths are nearest to it.

    Raises UserError naming the place when more than hidden widths would have to change.
    """
    architecture = architecture.with_classes(space.spec.classes)
    widths = _possible_blocks(space)
    blocks: list[Block] = []
    differences = []
    in_channels = architecture.stem.out
    for number, block in enumerate(architecture.blocks, start=1):
        snapped = _nearest_block(block, widths.get(in_channels, ()))
        if snapped != block:
            had, has = _hidden(block), _hidden(snapped)
            differences.append(f"block{number}: {has} hidden channels for {had}")
        blocks.append(snapped)
        in_channels = block.out
    member = replace(architecture, blocks=tuple(blocks))
    return Nearest(space.encode(member), member, tuple(differences))


def _possible_blocks(space: SearchSpace) -> dict[int, tuple[Block, ...]]:
    """Return the blocks with a hidden width that a space can place after each number of channels."""
    found: dict[int, dict[Block, None]] = {}
    entering = {space.spec.stem.out}
    for number, plan in enumerate(space.plans):
        leaving = {plan.stage.fixed[-1].out} if plan.stage.fixed else set()
        for layer in range(min(2, len(plan.layers))):
            for in_channels in sorted(leaving if layer else entering):
                for _, _, block in layer_blocks(space, number, layer, in_channels):
                    if block is not None and Width.HIDDEN in block.family.fields:
                        found.setdefault(in_channels, {})[block] = None
                        leaving = leaving | {block.out}
        entering = leaving
    return {in_channels: tuple(blocks) for in_channels, blocks in found.items()}


def _nearest_block(block: Block, possible: tuple[Block, ...]) -> Block:
    """Return the possible block that differs only in hidden and squeeze widths, nearest in hidden width."""
    if Width.HIDDEN not in block.family.fields or block in possible:
        return block
    same = [other for other in possible if _without_widths(other) == _without_widths(block)]
    return min(same, key=lambda other: abs(_hidden(other) - _hidden(block)), default=block)


def _hidden(block: Block) -> int:
    return block.width(Width.HIDDEN, 0)


def _without_widths(block: Block) -> Block:
    squeeze = {"squeeze": min(1, getattr(block, "squeeze", 0))} if "squeeze" in block.family.fields else {}
    return block.with_fields(hidden=1, **squeeze)
