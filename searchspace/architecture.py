"""One frozen, hashable value for a whole network, with absolute channel counts.

Every question about a network (text, parameters, MAdds, latency, the module that runs it) is answered from this
value; `Architecture.ops` lists the primitive operations that all the counts are sums over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from searchspace.blocks import Activation, Block, Gate, Padding, PlacedBlock, activation_ops, block_ops, conv_ops
from searchspace.blocks._values import MAX_CHANNELS, MAX_KERNEL, require, require_channels, require_convolution
from searchspace.blocks.conv import Conv
from searchspace.blocks.inverted import InvertedResidual
from searchspace.blocks.sandglass import Depthwise, Sandglass
from searchspace.blocks.separable import Separable
from searchspace.ops import Op, OpKind
from searchspace.support.errors import UserError

__all__ = [
    "MAX_CHANNELS",
    "MAX_KERNEL",
    "MAX_RESOLUTION",
    "Activation",
    "Architecture",
    "Block",
    "Conv",
    "Depthwise",
    "Gate",
    "Head",
    "InvertedResidual",
    "Layer",
    "Padding",
    "PlacedBlock",
    "Sandglass",
    "Separable",
    "Stem",
    "block_ops",
    "head_ops",
    "stem_ops",
]

MAX_RESOLUTION = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Stem:
    """The first dense convolution."""

    kernel: int = 3
    stride: int = 2
    out: int
    activation: Activation

    def __post_init__(self) -> None:
        require_convolution(self.kernel, self.stride, self.out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """From the last block to the classes: 1x1 convolution (0: none), pooling, hidden layer (0: none), classifier.

    MobileNetV1 and MobileNeXt have neither, MobileNetV2 and MnasNet have `conv`, MobileNetV3 has both (figure 5). The
    hidden layer of MobileNetV4 is `normalised`: it has batch norm in the place of a bias.
    """

    conv: int = 0
    hidden: int = 0
    activation: Activation
    normalised: bool = False

    def __post_init__(self) -> None:
        require_channels("convolution channels", self.conv, zero=True)
        require_channels("hidden channels", self.hidden, zero=True)
        require(self.hidden > 0 or not self.normalised, "batch norm is asked for without a hidden layer")


class Layer(NamedTuple):
    """A named part of a network (`stem`, `block1`, ..., `head`) and its primitive operations in running order."""

    name: str
    ops: tuple[Op, ...]

    @property
    def params(self) -> int:
        """Number of parameters of the layer."""
        return sum(op.params for op in self.ops)

    @property
    def madds(self) -> int:
        """Number of multiply-adds of the layer for one image."""
        return sum(op.madds for op in self.ops)


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A whole network: input resolution in pixels, stem, blocks, head, number of classes and way of padding.

    `padding` is TensorFlow's, as phones have it for nothing; `symmetric` is for weights that torch trained.
    """

    resolution: int = 224
    stem: Stem
    blocks: tuple[Block, ...]
    head: Head
    classes: int = 1000
    padding: Padding = Padding.SAME

    def __post_init__(self) -> None:
        require(
            isinstance(self.resolution, int) and 1 <= self.resolution <= MAX_RESOLUTION,
            f"resolution is {self.resolution}, expected a whole number from 1 to {MAX_RESOLUTION}",
        )
        require_channels("number of classes", self.classes)
        require(len(self.blocks) > 0, "the network has no blocks, expected at least one between stem and head")
        for number, placed in enumerate(self.placed_blocks(), start=1):
            settled = placed.block.settled(placed.in_channels)
            if settled is not placed.block:
                behind = f"behind {placed.in_channels} channels that is spelled {settled}"
                raise UserError(f"block {number} is {placed.block}, but {behind}")

    def placed_blocks(self) -> Iterator[PlacedBlock]:
        """Yield every block together with the shape it receives."""
        size, channels = -(-self.resolution // self.stem.stride), self.stem.out
        for block in self.blocks:
            placed = PlacedBlock(block, size, channels, self.padding)
            yield placed
            size, channels = placed.out_size, block.out

    @cached_property
    def final_size(self) -> int:
        """Height and width in pixels of the feature map that is pooled."""
        *_, last = self.placed_blocks()
        return last.out_size

    @cached_property
    def _layers(self) -> tuple[Layer, ...]:
        blocks = (
            Layer(f"block{number}", block_ops(placed)) for number, placed in enumerate(self.placed_blocks(), start=1)
        )
        stem = Layer("stem", stem_ops(self.stem, self.resolution, self.padding))
        head = Layer("head", head_ops(self.head, self.final_size, self.blocks[-1].out, self.classes))
        return (stem, *blocks, head)

    def ops(self) -> tuple[Layer, ...]:
        """Return the primitive operations layer by layer: stem, block1, ..., head."""
        return self._layers

    @cached_property
    def params(self) -> int:
        """Number of trained parameters, batch norm's scale and shift included."""
        return sum(layer.params for layer in self._layers)

    @cached_property
    def madds(self) -> int:
        """Number of multiply-adds for one image, in the MobileNet papers' convention."""
        return sum(layer.madds for layer in self._layers)

    def with_resolution(self, resolution: int) -> Architecture:
        """Return the same network at another input resolution in pixels; its weights stay valid."""
        return replace(self, resolution=resolution)

    def with_classes(self, classes: int) -> Architecture:
        """Return the same network with another number of classes."""
        return replace(self, classes=classes)

    def with_padding(self, padding: Padding) -> Architecture:
        """Return the same network padded in another way; what its weights compute changes with that."""
        return replace(self, padding=padding)

    def __str__(self) -> str:
        """Return the canonical compact text, which `searchspace.parse` reads back."""
        from searchspace.text import format_architecture

        return format_architecture(self)


def stem_ops(stem: Stem, resolution: int, padding: Padding = Padding.SAME) -> tuple[Op, ...]:
    """Return the primitive operations of the stem on an RGB image of `resolution` pixels square."""
    return conv_ops(resolution, 3, stem.out, stem.kernel, stem.stride, stem.activation, padding)


def head_ops(head: Head, size: int, in_channels: int, classes: int) -> tuple[Op, ...]:
    """Return the primitive operations from a `size` x `size` x `in_channels` feature map to the classes."""
    conv = conv_ops(size, in_channels, head.conv, 1, 1, head.activation) if head.conv else ()
    pooled = head.conv or in_channels
    hidden: tuple[Op, ...] = ()
    if head.hidden:
        linear = (Op(OpKind.LINEAR, 1, pooled, head.hidden), *activation_ops(head.activation, 1, head.hidden))
        hidden = conv_ops(1, pooled, head.hidden, 1, 1, head.activation) if head.normalised else linear
    return (
        *conv,
        Op(OpKind.POOL, size, pooled, pooled),
        *hidden,
        Op(OpKind.LINEAR, 1, head.hidden or pooled, classes),
    )
