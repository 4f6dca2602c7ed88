"""One frozen, hashable value for a whole network, with absolute channel counts.

Every question about a network (text, parameters, MAdds, latency, the module that runs it) is answered from this
value; `Architecture.ops` lists the primitive operations that all the counts are sums over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple

from searchspace.ops import Op, OpKind
from searchspace.support.errors import UserError

MAX_CHANNELS = 16_384
MAX_RESOLUTION = 4_096
MAX_KERNEL = 31


class Activation(StrEnum):
    """The non-linearities of the MobileNet family, by their short names."""

    RELU = "re"
    RELU6 = "r6"
    HSWISH = "hs"
    LINEAR = "li"  # none at all


class Gate(StrEnum):
    """How squeeze-excite turns its second fully connected layer into a gate."""

    HARD = "hard"  # relu6(x + 3) / 6, MobileNetV3
    LOGISTIC = "logistic"  # sigmoid, MnasNet


class Depthwise(StrEnum):
    """Which of a sandglass block's two depthwise convolutions exist (MobileNeXt drops some where channels change)."""

    BOTH = "both"
    LAST = "last"
    NONE = "none"


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise UserError(message)


def _require_channels(name: str, value: int, *, zero: bool = False) -> None:
    lowest = 0 if zero else 1
    _require(
        isinstance(value, int) and lowest <= value <= MAX_CHANNELS,
        f"{name} is {value}, expected a whole number from {lowest} to {MAX_CHANNELS}",
    )


def _require_convolution(kernel: int, stride: int, out: int) -> None:
    _require(
        isinstance(kernel, int) and kernel % 2 == 1 and 1 <= kernel <= MAX_KERNEL,
        f"kernel is {kernel}, expected an odd number from 1 to {MAX_KERNEL}",
    )
    _require(stride in (1, 2), f"stride is {stride}, expected 1 or 2")
    _require_channels("output channels", out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stem:
    """The first dense convolution."""

    kernel: int = 3
    stride: int = 2
    out: int
    activation: Activation

    def __post_init__(self) -> None:
        _require_convolution(self.kernel, self.stride, self.out)


@dataclass(frozen=True, slots=True, kw_only=True)
class InvertedResidual:
    """Expand 1x1, depthwise, optional squeeze-excite, linear 1x1 (MobileNetV2 figure 4, MobileNetV3 figure 4).

    The expanding convolution is omitted when `hidden` equals the input channels; `squeeze` is the width inside
    squeeze-excite, 0 for none; `identity` is the share of channels that the shortcut, where shapes allow one, adds to.
    """

    kernel: int
    stride: int
    hidden: int
    out: int
    activation: Activation
    squeeze: int = 0
    gate: Gate = Gate.HARD
    identity: Fraction = Fraction(1)

    def __post_init__(self) -> None:
        _require_convolution(self.kernel, self.stride, self.out)
        _require_channels("hidden channels", self.hidden)
        _require_squeeze_and_identity(self.squeeze, self.gate, self.identity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandglass:
    """Depthwise, reduce 1x1, expand 1x1, depthwise with the stride, shortcut between wide ends (MobileNeXt table 1).

    `hidden` is the narrow middle; squeeze-excite, where there is one, sits on the wide tensor after the expansion.
    """

    kernel: int
    stride: int
    hidden: int
    out: int
    activation: Activation
    depthwise: Depthwise = Depthwise.BOTH
    squeeze: int = 0
    gate: Gate = Gate.HARD
    identity: Fraction = Fraction(1)

    def __post_init__(self) -> None:
        _require_convolution(self.kernel, self.stride, self.out)
        _require_channels("hidden channels", self.hidden)
        _require_squeeze_and_identity(self.squeeze, self.gate, self.identity)
        _require(
            self.depthwise is not Depthwise.NONE or self.stride == 1,
            "stride is 2 but the sandglass has no depthwise convolution to take it; keep the last one",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Separable:
    """Depthwise then pointwise convolution, each with its activation and never a shortcut (MobileNetV1 figure 3)."""

    kernel: int
    stride: int
    out: int
    activation: Activation

    def __post_init__(self) -> None:
        _require_convolution(self.kernel, self.stride, self.out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conv:
    """One dense convolution with batch norm, activation and, where shapes allow, a shortcut (MnasNet's ConvOp)."""

    kernel: int
    stride: int
    out: int
    activation: Activation
    identity: Fraction = Fraction(1)

    def __post_init__(self) -> None:
        _require_convolution(self.kernel, self.stride, self.out)
        _require_squeeze_and_identity(0, Gate.HARD, self.identity)


Block = InvertedResidual | Sandglass | Separable | Conv


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """From the last block to the classes: 1x1 convolution (0: none), pooling, hidden layer (0: none), classifier.

    MobileNetV1 and MobileNeXt have neither, MobileNetV2 and MnasNet have `conv`, MobileNetV3 has both (figure 5).
    """

    conv: int = 0
    hidden: int = 0
    activation: Activation

    def __post_init__(self) -> None:
        _require_channels("convolution channels", self.conv, zero=True)
        _require_channels("hidden channels", self.hidden, zero=True)


def _require_squeeze_and_identity(squeeze: int, gate: Gate, identity: Fraction) -> None:
    _require_channels("squeeze channels", squeeze, zero=True)
    _require(squeeze > 0 or gate is Gate.HARD, "a gate is given without squeeze-excite channels")
    _require(
        isinstance(identity, Fraction) and 0 <= identity <= 1,
        f"identity share is {identity}, expected a fraction from 0 to 1",
    )


class PlacedBlock(NamedTuple):
    """A block with the shape it receives: `in_size` pixels square, `in_channels` channels."""

    block: Block
    in_size: int
    in_channels: int

    @property
    def out_size(self) -> int:
        """Height and width of the block's output in pixels."""
        return -(-self.in_size // self.block.stride)

    @property
    def shortcut_channels(self) -> int:
        """How many leading channels the identity is added to; 0 where shapes or the block forbid a shortcut."""
        block = self.block
        if isinstance(block, Separable) or block.stride != 1 or block.out != self.in_channels:
            return 0
        return int(block.out * block.identity)


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
    """A whole network: input resolution in pixels, stem, blocks, head and number of classes."""

    resolution: int = 224
    stem: Stem
    blocks: tuple[Block, ...]
    head: Head
    classes: int = 1000

    def __post_init__(self) -> None:
        _require(
            isinstance(self.resolution, int) and 1 <= self.resolution <= MAX_RESOLUTION,
            f"resolution is {self.resolution}, expected a whole number from 1 to {MAX_RESOLUTION}",
        )
        _require_channels("number of classes", self.classes)
        _require(len(self.blocks) > 0, "the network has no blocks, expected at least one between stem and head")

    def placed_blocks(self) -> Iterator[PlacedBlock]:
        """Yield every block together with the shape it receives."""
        size, channels = -(-self.resolution // self.stem.stride), self.stem.out
        for block in self.blocks:
            placed = PlacedBlock(block, size, channels)
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
        stem = Layer("stem", stem_ops(self.stem, self.resolution))
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

    def __str__(self) -> str:
        """Return the canonical compact text, which `searchspace.parse` reads back."""
        from searchspace.text import format_architecture

        return format_architecture(self)


def _activation_ops(activation: Activation, size: int, channels: int) -> tuple[Op, ...]:
    return (Op(OpKind.HSWISH, size, channels, channels),) if activation is Activation.HSWISH else ()


def _conv_ops(size: int, cin: int, cout: int, kernel: int, stride: int, act: Activation) -> tuple[Op, ...]:
    op = Op(OpKind.CONV, size, cin, cout, kernel, stride)
    return (op, *_activation_ops(act, op.out_size, cout))


def _depthwise_ops(size: int, channels: int, kernel: int, stride: int, act: Activation) -> tuple[Op, ...]:
    op = Op(OpKind.DWCONV, size, channels, channels, kernel, stride)
    return (op, *_activation_ops(act, op.out_size, channels))


def _squeeze_excite_ops(size: int, channels: int, squeeze: int) -> tuple[Op, ...]:
    if not squeeze:
        return ()
    return (
        Op(OpKind.POOL, size, channels, channels),
        Op(OpKind.LINEAR, 1, channels, squeeze),
        Op(OpKind.LINEAR, 1, squeeze, channels),
        Op(OpKind.SIGMOID, 1, channels, channels),
        Op(OpKind.SCALE, size, channels, channels),
    )


def _shortcut_ops(placed: PlacedBlock) -> tuple[Op, ...]:
    count, size, out = placed.shortcut_channels, placed.out_size, placed.block.out
    if not count:
        return ()
    add = Op(OpKind.ADD, size, count, count)
    return (add,) if count == out else (add, Op(OpKind.CONCAT, size, out, out))


def block_ops(placed: PlacedBlock) -> tuple[Op, ...]:
    """Return the primitive operations of a block that receives the given shape."""
    block, size, cin = placed
    act, out_size = block.activation, placed.out_size
    match block:
        case InvertedResidual():
            expand = () if block.hidden == cin else _conv_ops(size, cin, block.hidden, 1, 1, act)
            body = (
                *expand,
                *_depthwise_ops(size, block.hidden, block.kernel, block.stride, act),
                *_squeeze_excite_ops(out_size, block.hidden, block.squeeze),
                Op(OpKind.CONV, out_size, block.hidden, block.out),
            )
        case Sandglass():
            linear = Activation.LINEAR
            first = _depthwise_ops(size, cin, block.kernel, 1, act) if block.depthwise is Depthwise.BOTH else ()
            last = (
                _depthwise_ops(size, block.out, block.kernel, block.stride, linear)
                if block.depthwise is not Depthwise.NONE
                else ()
            )
            body = (
                *first,
                Op(OpKind.CONV, size, cin, block.hidden),
                *_conv_ops(size, block.hidden, block.out, 1, 1, act),
                *_squeeze_excite_ops(size, block.out, block.squeeze),
                *last,
            )
        case Separable():
            depthwise = _depthwise_ops(size, cin, block.kernel, block.stride, act)
            body = (*depthwise, *_conv_ops(out_size, cin, block.out, 1, 1, act))
        case Conv():
            body = _conv_ops(size, cin, block.out, block.kernel, block.stride, act)
    return (*body, *_shortcut_ops(placed))


def stem_ops(stem: Stem, resolution: int) -> tuple[Op, ...]:
    """Return the primitive operations of the stem on an RGB image of `resolution` pixels square."""
    return _conv_ops(resolution, 3, stem.out, stem.kernel, stem.stride, stem.activation)


def head_ops(head: Head, size: int, in_channels: int, classes: int) -> tuple[Op, ...]:
    """Return the primitive operations from a `size` x `size` x `in_channels` feature map to the classes."""
    conv = _conv_ops(size, in_channels, head.conv, 1, 1, head.activation) if head.conv else ()
    pooled = head.conv or in_channels
    hidden: tuple[Op, ...] = ()
    if head.hidden:
        activation = _activation_ops(head.activation, 1, head.hidden)
        hidden = (Op(OpKind.LINEAR, 1, pooled, head.hidden), *activation)
    return (
        *conv,
        Op(OpKind.POOL, size, pooled, pooled),
        *hidden,
        Op(OpKind.LINEAR, 1, head.hidden or pooled, classes),
    )
