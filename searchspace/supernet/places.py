"""The places of a space that hold shared weights: their names, and the modules that can run at each.

A place is a layer of a stage with one of its options. Channels of a narrow and a wide block have nothing in common but
their numbers, so where options differ in width what follows them has a place for each (`Places.stream`).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, product

from torch import nn

from searchspace.architecture import Block, Head, PlacedBlock, Stem
from searchspace.modules import ConvBNAct, HeadModule, build_block
from searchspace.space import SearchSpace
from searchspace.space_match import layer_blocks
from searchspace.stage_plan import StagePlan, width_of

# The channel counts with which what precedes a stage can enter it, by what is told apart (`Places.stream`).
Streams = dict[str, set[int]]


class Places:
    """The places of a space, for networks with `classes` outputs."""

    def __init__(self, space: SearchSpace, classes: int, dropout: float) -> None:
        self.space, self.classes, self.dropout = space, classes, dropout

    def all(self) -> Iterator[tuple[str, list[nn.Module]]]:
        """Every place of the space with the modules that can run there, largest dimensions included."""
        spec = self.space.spec
        yield "stem", [stem_module(spec.stem)]
        streams: Streams = {"": {spec.stem.out}}
        for number, plan in enumerate(self.space.plans):
            if plan.stage.fixed:
                yield from self._fixed_places(number, streams)
                streams = {"": {plan.stage.fixed[-1].out}}
            else:
                yield from self._chosen_places(number, streams)
                streams = self._leaving(number, streams)
        for stream, widths in streams.items():
            yield f"head{stream}", [head_module(spec.head, channels, self.classes, self.dropout) for channels in widths]

    def _fixed_places(self, number: int, streams: Streams) -> Iterator[tuple[str, list[nn.Module]]]:
        blocks = self.space.plans[number].stage.fixed
        for stream, widths in streams.items():
            yield self.name(number, 0, 0, stream), [block_module(blocks[0], channels) for channels in widths]
        for layer, (before, block) in enumerate(pairwise(blocks), start=1):
            yield self.name(number, layer, 0), [block_module(block, before.out)]

    def _chosen_places(self, number: int, streams: Streams) -> Iterator[tuple[str, list[nn.Module]]]:
        plan = self.space.plans[number]
        for layer in range(plan.stage.depths[-1]):
            for option in range(len(plan.stage.options)):
                entering = {"": _widths(plan, option)} if layer else streams
                for stream, widths in entering.items():
                    made = {
                        (block, channels)
                        for channels in widths
                        for found, _, block in layer_blocks(self.space, number, layer, channels)
                        if found == option and block is not None
                    }
                    if made:
                        yield self.name(number, layer, option, stream), _templates(made)

    def _leaving(self, number: int, streams: Streams) -> Streams:
        """The streams after a stage of choices, those that entered included where the stage can be skipped."""
        plan = self.space.plans[number]
        entering = {channels for widths in streams.values() for channels in widths}
        skips = any(
            block is None for channels in entering for _, _, block in layer_blocks(self.space, number, 0, channels)
        )
        leaving = {stream: set(widths) for stream, widths in streams.items()} if skips else {}
        for option in range(len(plan.stage.options)):
            leaving.setdefault(self.stream(number, option), set()).update(_widths(plan, option))
        return leaving

    def stream(self, number: int, option: int) -> str:
        """What the place that follows a stage is called by: the option taken, where options differ in width.

        Channels of a narrow and a wide block have nothing in common but their numbers, so what follows has weights
        for each; where all options have one width they write to one residual stream, and share.
        """
        plan = self.space.plans[number]
        return "" if plan.stage.fixed or len(plan.widths) == 1 else f"/after-{plan.stage.options[option].name}"

    def name(self, number: int, layer: int, option: int, stream: str = "") -> str:
        """Return the name of a place, the stream that enters it included."""
        stage = self.space.plans[number].stage
        name = f"{stage.name}/layer{layer}"
        return (name if stage.fixed else f"{name}/{stage.options[option].name}") + (stream if layer == 0 else "")

    def of_kind(self, number: int, layer: int, kind: str) -> Iterator[str]:
        """Yield the names, streams left out, of the places where a layer of a stage can be a block of a family."""
        stage = self.space.plans[number].stage
        if stage.fixed and stage.fixed[layer].family.kind == kind:
            yield self.name(number, layer, 0)
        for option, made_of in enumerate(stage.options):
            if made_of.kind == kind:
                yield self.name(number, layer, option)


def _widths(plan: StagePlan, option: int) -> set[int]:
    """All channel counts that can leave a stage of choices by an option."""
    bindings = plan.widths[option if len(plan.widths) > 1 else 0]
    return {
        width_of({b.field: value for b, value in zip(bindings, values, strict=True)})
        for values in product(*(binding.values for binding in bindings))
    }


def _templates(blocks: set[tuple[Block, int]]) -> list[nn.Module]:
    """One module for each distinct set of shapes; what shapes do not depend on is made the same first.

    In one order in every process (sets of blocks have none): that of the parameters, and so of the random numbers they
    start from and of the optimizer's state, follows from it.
    """
    first, first_channels = min(blocks, key=repr)
    shapes = {(block.with_fields(activation=first.activation), channels) for block, channels in blocks}
    sizes = {
        field: {getattr(block, field) for block, _ in blocks if field in block.family.kernels}
        for field in first.family.kernels
    }
    widest = {field: max(found) for field, found in sizes.items()}
    large = {(block.with_fields(**widest), channels) for block, channels in shapes}
    # Every kernel size once, for the transforms between them.
    for field, found in sizes.items():
        large |= {(first.with_fields(**widest | {field: kernel}), first_channels) for kernel in found if kernel}
    return [block_module(block, channels) for block, channels in sorted(large, key=repr)]


# Modules without weights where made on the meta device, as the supernet makes them.


def block_module(block: Block, in_channels: int) -> nn.Module:
    """Return the module of a block; shapes do not depend on the size of its map."""
    return build_block(PlacedBlock(block, 1, in_channels))


def stem_module(stem: Stem) -> nn.Module:
    """Return the module of a stem."""
    return ConvBNAct(3, stem.out, stem.kernel, stem.stride, stem.activation)


def head_module(head: Head, in_channels: int, classes: int, dropout: float) -> nn.Module:
    """Return the module of a head on `in_channels` channels."""
    return HeadModule(head, in_channels, classes, dropout)
