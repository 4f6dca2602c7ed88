"""The operations an edge of a cell can be, each declared once as a chain of primitive layers.

DARTS' own (Liu et al., arXiv 1806.09055, section 2.1 and `operations.py`), and the two blocks that MobileNeXt's
experiment adds (Zhou et al., arXiv 2007.02269, table 13). Operations, parameters and the module follow from the chain.
What the paper leaves open about the added blocks (kernel, expansion, where the stride sits) is as in the papers that
introduce them: 3x3, expansion 6, stride on the depthwise convolution (the last one of a sandglass), a shortcut inside
where the stride is 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from math import prod
from typing import NamedTuple

from searchspace.ops import Op, OpKind
from searchspace.support.errors import UserError


class Kind(StrEnum):
    """The kinds of layer a primitive is a chain of."""

    RELU = "relu"
    RELU6 = "relu6"  # always behind a batch norm, where a runtime fuses it
    DEPTHWISE = "depthwise"
    CONV = "conv"  # dense, k x k
    POINTWISE = "pointwise"
    NORM = "norm"
    MAXPOOL = "maxpool"
    AVGPOOL = "avgpool"


class Piece(NamedTuple):
    """One layer of a chain; `width` is that of its output, as a multiple of the edge's channels.

    `kernel` is one number, or (height, width); `strided` says whether the edge's stride is here, or (down, along).
    """

    kind: Kind
    width: Fraction = Fraction(1)
    kernel: int | tuple[int, int] = 1
    dilation: int = 1
    strided: bool | tuple[bool, bool] = False

    def channels(self, channels: int) -> int:
        """Return the output channels of the layer on an edge of so many channels."""
        return max(1, int(channels * self.width))

    @property
    def kernel_shape(self) -> tuple[int, int]:
        """Height and width of the kernel."""
        return self.kernel if isinstance(self.kernel, tuple) else (self.kernel, self.kernel)

    def strides(self, stride: int) -> tuple[int, int]:
        """Return the layer's strides, (down, along), on an edge of this stride."""
        down, along = self.strided if isinstance(self.strided, tuple) else (self.strided, self.strided)
        return (stride if down else 1), (stride if along else 1)


@dataclass(frozen=True)
class Primitive:
    """An operation of an edge: its chain, and whether the input is added to its output where the stride is 1."""

    name: str
    short: str  # how the compact text spells it
    chain: tuple[Piece, ...]
    shortcut: bool = False

    def ops(self, size: int, channels: int, stride: int) -> tuple[Op, ...]:
        """Return the primitive operations on a `size` x `size` x `channels` map, batch norm folded away."""
        if self.name == "skip_connect":
            return () if stride == 1 else factorized_reduce_ops(size, channels, channels)
        ops: list[Op] = []
        width, at, across = channels, size, size
        for piece in self.chain:
            out, (down, along), (high, wide) = piece.channels(channels), piece.strides(stride), piece.kernel_shape
            beside = across, wide, along
            match piece.kind:
                case Kind.RELU:
                    ops.append(Op(OpKind.RELU, at, width, width, in_width=across))
                case Kind.DEPTHWISE:
                    ops.append(Op(OpKind.DWCONV, at, width, width, high, down, piece.dilation, *beside))
                case Kind.CONV:
                    ops.append(Op(OpKind.CONV, at, width, out, high, down, piece.dilation, *beside))
                    width = out
                case Kind.POINTWISE:
                    ops.append(Op(OpKind.CONV, at, width, out, in_width=across))
                    width = out
                case Kind.MAXPOOL | Kind.AVGPOOL:
                    ops.append(Op(OpKind(piece.kind.value), at, width, width, high, down, 1, *beside))
                case Kind.NORM | Kind.RELU6:
                    pass
            at, across = -(-at // down), -(-across // along)
        if self.shortcut and stride == 1:
            ops.append(Op(OpKind.ADD, at, channels, channels))
        return tuple(ops)

    def params(self, channels: int, stride: int) -> int:
        """Return the trained parameters; batch norm counts scale and shift where there is one."""
        if self.name == "skip_connect":
            return 0 if stride == 1 else factorized_reduce_params(channels, channels)
        total, width = 0, channels
        for piece in self.chain:
            out = piece.channels(channels)
            match piece.kind:
                case Kind.DEPTHWISE:
                    total += prod(piece.kernel_shape) * width
                case Kind.CONV:
                    total += prod(piece.kernel_shape) * width * out
                    width = out
                case Kind.POINTWISE:
                    total += width * out
                    width = out
                case Kind.NORM:
                    total += 2 * width
                case _:
                    pass
        return total


def factorized_reduce_ops(size: int, inputs: int, outputs: int) -> tuple[Op, ...]:
    """Return the operations that halve a map: ReLU, two 1x1 convolutions with stride 2, the second shifted."""
    half = outputs // 2
    return (
        Op(OpKind.RELU, size, inputs, inputs),
        Op(OpKind.CONV, size, inputs, half, 1, 2),
        Op(OpKind.CONV, size, inputs, outputs - half, 1, 2),
        Op(OpKind.CONCAT, -(-size // 2), outputs, outputs),
    )


def factorized_reduce_params(inputs: int, outputs: int) -> int:
    """Return the parameters of a factorized reduce: both 1x1 convolutions and one batch norm."""
    return inputs * outputs + 2 * outputs


def _separable(kernel: int) -> tuple[Piece, ...]:
    once = (Piece(Kind.RELU), Piece(Kind.DEPTHWISE, kernel=kernel), Piece(Kind.POINTWISE), Piece(Kind.NORM))
    first = tuple(piece._replace(strided=piece.kind is Kind.DEPTHWISE) for piece in once)
    return first + once


def _dilated(kernel: int) -> tuple[Piece, ...]:
    depthwise = Piece(Kind.DEPTHWISE, kernel=kernel, dilation=2, strided=True)
    return (Piece(Kind.RELU), depthwise, Piece(Kind.POINTWISE), Piece(Kind.NORM))


# NASNet's, and in DARTS' `operations.py`: along the rows, then along the columns, the stride split between them.
_CROSSED = (
    Piece(Kind.RELU),
    Piece(Kind.CONV, kernel=(1, 7), strided=(False, True)),
    Piece(Kind.CONV, kernel=(7, 1), strided=(True, False)),
    Piece(Kind.NORM),
)
_WIDE, _NARROW = Fraction(6), Fraction(1, 6)
_INVERTED_RESIDUAL = (
    Piece(Kind.POINTWISE, _WIDE),
    Piece(Kind.NORM, _WIDE),
    Piece(Kind.RELU6, _WIDE),
    Piece(Kind.DEPTHWISE, _WIDE, kernel=3, strided=True),
    Piece(Kind.NORM, _WIDE),
    Piece(Kind.RELU6, _WIDE),
    Piece(Kind.POINTWISE),
    Piece(Kind.NORM),
)
_SANDGLASS = (
    Piece(Kind.DEPTHWISE, kernel=3),
    Piece(Kind.NORM),
    Piece(Kind.RELU6),
    Piece(Kind.POINTWISE, _NARROW),
    Piece(Kind.NORM, _NARROW),
    Piece(Kind.POINTWISE),
    Piece(Kind.NORM),
    Piece(Kind.RELU6),
    Piece(Kind.DEPTHWISE, kernel=3, strided=True),
    Piece(Kind.NORM),
)

PRIMITIVES = {
    primitive.name: primitive
    for primitive in (
        Primitive("max_pool_3x3", "max3", (Piece(Kind.MAXPOOL, kernel=3, strided=True),)),
        Primitive("avg_pool_3x3", "avg3", (Piece(Kind.AVGPOOL, kernel=3, strided=True),)),
        Primitive("skip_connect", "skip", ()),
        Primitive("sep_conv_3x3", "sep3", _separable(3)),
        Primitive("sep_conv_5x5", "sep5", _separable(5)),
        Primitive("dil_conv_3x3", "dil3", _dilated(3)),
        Primitive("dil_conv_5x5", "dil5", _dilated(5)),
        Primitive("conv_7x1_1x7", "conv7", _CROSSED),
        Primitive("inverted_residual", "ir", _INVERTED_RESIDUAL, shortcut=True),
        Primitive("sandglass", "sg", _SANDGLASS, shortcut=True),
    )
}
"""Every operation by name, DARTS' own first and in its order; "none" exists in a search only."""

DARTS = tuple(PRIMITIVES)[:7]


def primitive(name: str) -> Primitive:
    """Return a primitive by name; raises UserError listing the known ones."""
    if name not in PRIMITIVES:
        raise UserError(f"unknown cell operation {name[:60]!r}, expected one of {', '.join(PRIMITIVES)}")
    return PRIMITIVES[name]


def with_operation(name: str, replacing: str | None = None) -> tuple[str, ...]:
    """Return DARTS' operations with one more, or with it in place of one of them (MobileNeXt table 13's two readings).

    Raises UserError for an unknown name.
    """
    primitive(name)
    if replacing is None:
        return (*DARTS, name)
    if replacing not in DARTS:
        raise UserError(f"{replacing!r} is none of DARTS' operations: {', '.join(DARTS)}")
    return tuple(name if known == replacing else known for known in DARTS)
