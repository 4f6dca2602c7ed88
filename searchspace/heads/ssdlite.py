"""SSDLite: single-shot detection with separable convolutions (MobileNetV2 section 6.2, MobileNetV3 section 6.3).

Laid out as in TensorFlow's object detection models: the expansion of the block that leaves stride 16, the last map of
the backbone, and four more, each halved by a 1x1 convolution to half its channels and a separable one with stride 2.
Each map has a depthwise 3x3 and a 1x1 convolution for boxes and another pair for classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from searchspace.architecture import Architecture
from searchspace.blocks import Activation, Block, make_divisible
from searchspace.blocks._values import require
from searchspace.blocks.sandglass import sandglass_hidden
from searchspace.heads._graph import Graph, Node, NodeKind, Shape, separable
from searchspace.heads._head import TaskHead

EXTRA_CHANNELS = (512, 256, 256, 128)
ANCHORS = (3, 6, 6, 6, 6, 6)  # of each cell, by map; the finest has fewer (`reduce_boxes_in_lowest_layer`)
BOXES, SCORES = "boxes", "scores"


@dataclass(frozen=True, slots=True, kw_only=True)
class SSDLite(TaskHead):
    """Boxes (anchors, 4) and scores (anchors, background and `classes`) from six maps at strides 16 to 512.

    `halved` halves the channels of all feature layers between C4 and C5 of the backbone, as MobileNetV3 does; with
    `sandglass` the four extra maps are made by sandglass stages of reduction 6, as MobileNeXt's detector does.
    """

    task: ClassVar[str] = "detection"
    strides: ClassVar[tuple[int, ...]] = (16, 32)
    inside: ClassVar[bool] = True
    published: ClassVar[str] = "MobileNetV3 table 6, MobileNeXt table 9"

    classes: int = 80
    halved: bool = False
    sandglass: bool = False

    def __post_init__(self) -> None:
        require(1 <= self.classes <= 10_000, f"classes is {self.classes}, expected a whole number from 1 to 10000")

    @property
    def name(self) -> str:
        """`ssdlite`, with `_halved` and `_sandglass` behind it where it is that."""
        return "ssdlite" + "_halved" * self.halved + "_sandglass" * self.sandglass

    def backbone(self, architecture: Architecture) -> Architecture:
        """Return the network, with its tail halved where that is asked for."""
        return halved_tail(architecture) if self.halved else architecture

    def graph(self, taps: Mapping[str, Shape]) -> Graph:
        """Return extra maps and predictors."""
        nodes: list[Node] = []
        maps, before = ["stride16", "stride32"], taps["stride32"].channels
        for number, channels in enumerate(EXTRA_CHANNELS, start=1):
            name = f"extra{number}"
            stage = _sandglass_stage if self.sandglass else _separable_stage
            nodes += stage(name, maps[-1], before, channels)
            maps.append(name)
            before = channels
        for number, (source, anchors) in enumerate(zip(maps, ANCHORS, strict=True), start=1):
            nodes += _predictor(f"boxes{number}", source, f"predict{number}", 4 * anchors)
            nodes += _predictor(f"scores{number}", source, f"predict{number}", (self.classes + 1) * anchors)
        return tuple(nodes)

    def outputs(self) -> Mapping[str, tuple[str, ...]]:
        """Return the predictors of boxes and of scores."""
        numbers = range(1, len(ANCHORS) + 1)
        return {kind: tuple(f"{kind}{number}" for number in numbers) for kind in (BOXES, SCORES)}

    def map_sizes(self, resolution: int) -> tuple[int, ...]:
        """Return the sides in pixels of the maps with anchors, for images of `resolution` pixels."""
        sizes = [-(-resolution // 16)]
        for _ in ANCHORS[1:]:
            sizes.append(-(-sizes[-1] // 2))
        return tuple(sizes)


def _separable_stage(name: str, source: str, before: int, out: int) -> Graph:
    """Halve a map: 1x1 convolution to half the output's channels, depthwise with stride 2, pointwise."""
    del before
    reduce = Node(f"{name}_reduce", NodeKind.CONV, (source,), name, out // 2, activation=Activation.RELU6)
    return (reduce, *separable(name, reduce.name, name, out, activation=Activation.RELU6, stride=2))


def _sandglass_stage(name: str, source: str, before: int, out: int) -> Graph:
    """Halve a map: depthwise, linear 1x1 to a sixth of the channels, 1x1 back up, depthwise with stride 2, linear."""
    first, reduce, expand = f"{name}_depthwise", f"{name}_reduce", f"{name}_expand"
    return (
        Node(first, NodeKind.DEPTHWISE, (source,), name, kernel=3, activation=Activation.RELU6),
        Node(reduce, NodeKind.CONV, (first,), name, sandglass_hidden(before, out, 6)),
        Node(expand, NodeKind.CONV, (reduce,), name, out, activation=Activation.RELU6),
        Node(name, NodeKind.DEPTHWISE, (expand,), name, kernel=3, stride=2),
    )


def _predictor(name: str, source: str, part: str, out: int) -> Graph:
    inner = f"{name}_depthwise"
    return (
        Node(inner, NodeKind.DEPTHWISE, (source,), part, kernel=3, activation=Activation.RELU6),
        Node(name, NodeKind.CONV, (inner,), part, out, normalised=False),
    )


def halved_tail(architecture: Architecture) -> Architecture:
    """Return the network with half the channels behind the block that leaves stride 16 (MobileNetV3 section 6.3).

    That block keeps its expansion, which is C4; its output, the blocks after it and the last convolution are halved.
    """
    strides, now = [], architecture.stem.stride
    for block in architecture.blocks:
        now *= block.stride
        strides.append(now)
    first = next((number for number, stride in enumerate(strides) if stride >= 32), len(strides))
    blocks = [*architecture.blocks[:first]]
    channels = architecture.blocks[first - 1].out
    for number, block in enumerate(architecture.blocks[first:]):
        smaller = _halved(block, keep_hidden=number == 0).settled(channels)
        blocks.append(smaller)
        channels = smaller.out
    head = replace(architecture.head, conv=_half(architecture.head.conv))
    return replace(architecture, blocks=tuple(blocks), head=head)


def _halved(block: Block, keep_hidden: bool) -> Block:
    widths = {"out": _half(block.out)}
    for name in ("hidden", "squeeze"):
        value = getattr(block, name, 0)
        if value and not keep_hidden:
            widths[name] = _half(value)
    return block.with_fields(**widths)


def _half(channels: int) -> int:
    return make_divisible(channels / 2) if channels else 0
