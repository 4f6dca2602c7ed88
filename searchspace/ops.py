"""Primitive operations: what parameters, MAdds and latency are all counted from.

Counting convention: one multiply-add counts as one, and only convolutions and fully connected layers are counted
(squeeze-excite's two included); batch norm is folded away for MAdds and counted, scale and shift, for parameters;
pooling, activations and additions cost neither. This is the convention of the MobileNet papers.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class OpKind(StrEnum):
    """The kinds of primitive operation a phone executes for the networks of this project."""

    CONV = "conv"  # dense convolution with batch norm and, fused, ReLU or ReLU6
    DWCONV = "dwconv"  # depthwise convolution with batch norm and, fused, ReLU or ReLU6
    LINEAR = "linear"  # fully connected layer with bias, on pooled features
    POOL = "pool"  # global average pooling
    ADD = "add"  # shortcut addition
    CONCAT = "concat"  # re-joining the channels that a partial shortcut passes by
    SCALE = "scale"  # multiplication by the gate of squeeze-excite
    SIGMOID = "sigmoid"  # the gate of squeeze-excite, hard or logistic, on pooled features
    HSWISH = "hswish"  # h-swish activation; unlike ReLU6 no runtime fuses it into the convolution
    RELU = "relu"  # ReLU of its own, where several layers read the tensor before it
    MAXPOOL = "maxpool"  # local pooling, as in the cells of DARTS
    AVGPOOL = "avgpool"
    RESIZE = "resize"  # bilinear enlargement of a map, `stride` times in each direction
    PAD = "pad"  # zeros around a map, half a kernel wide, before a convolution that is not padded as TensorFlow's SAME


WEIGHTED_KINDS = frozenset({OpKind.CONV, OpKind.DWCONV, OpKind.LINEAR})


@dataclass(frozen=True, slots=True, order=True)
class Op:
    """One primitive operation on a feature map of `in_size` x `in_size` pixels and `in_channels` channels.

    Maps, kernels and strides are square; where one is not, its `..._width` holds the width and the field named above it
    the height. A width equal to the height is kept as 0, so that equal operations are equal.
    """

    kind: OpKind
    in_size: int
    in_channels: int
    out_channels: int
    kernel: int = 1
    stride: int = 1
    dilation: int = 1
    in_width: int = 0
    kernel_width: int = 0
    stride_width: int = 0

    def __post_init__(self) -> None:
        """Keep a width that equals the height as 0."""
        if not self.square:
            for width, height in (
                ("in_width", self.in_size),
                ("kernel_width", self.kernel),
                ("stride_width", self.stride),
            ):
                if getattr(self, width) == height:
                    object.__setattr__(self, width, 0)

    @property
    def square(self) -> bool:
        """Whether the map, the kernel and the stride are all as wide as high."""
        return not (self.in_width or self.kernel_width or self.stride_width)

    @property
    def in_shape(self) -> tuple[int, int]:
        """Height and width of the input in pixels."""
        return self.in_size, self.in_width or self.in_size

    @property
    def kernel_shape(self) -> tuple[int, int]:
        """Height and width of the kernel."""
        return self.kernel, self.kernel_width or self.kernel

    @property
    def strides(self) -> tuple[int, int]:
        """Stride along the height and along the width."""
        return self.stride, self.stride_width or self.stride

    @property
    def out_shape(self) -> tuple[int, int]:
        """Height and width of the output in pixels (TensorFlow's SAME padding)."""
        if self.square:
            return self.out_size, self.out_size
        width = Op(self.kind, self.in_shape[1], 1, 1, self.kernel_shape[1], self.strides[1]).out_size
        return self.out_size, width

    @property
    def in_pixels(self) -> int:
        """Number of pixels of the input."""
        return self.in_size * (self.in_width or self.in_size)

    @property
    def out_pixels(self) -> int:
        """Number of pixels of the output."""
        height, width = self.out_shape
        return height * width

    @property
    def taps(self) -> int:
        """Number of weights of the kernel for one input and one output channel."""
        return self.kernel * (self.kernel_width or self.kernel)

    @property
    def out_size(self) -> int:
        """Height, and on square maps width, of the output in pixels (TensorFlow's SAME padding)."""
        if self.kind is OpKind.PAD:
            return self.in_size + self.kernel - 1
        if self.kind is OpKind.RESIZE:
            return self.in_size * self.stride
        return 1 if self.kind is OpKind.POOL else -(-self.in_size // self.stride)

    @property
    def params(self) -> int:
        """Number of trained parameters, batch norm's scale and shift or the bias included."""
        match self.kind:
            case OpKind.CONV:
                return self.taps * self.in_channels * self.out_channels + 2 * self.out_channels
            case OpKind.DWCONV:
                return self.taps * self.in_channels + 2 * self.in_channels
            case OpKind.LINEAR:
                return self.in_channels * self.out_channels + self.out_channels
            case _:
                return 0

    @property
    def madds(self) -> int:
        """Number of multiply-adds for one image."""
        match self.kind:
            case OpKind.CONV:
                return self.out_pixels * self.taps * self.in_channels * self.out_channels
            case OpKind.DWCONV:
                return self.out_pixels * self.taps * self.in_channels
            case OpKind.LINEAR:
                return self.in_channels * self.out_channels
            case _:
                return 0

    def __str__(self) -> str:
        """Return a short readable form such as `conv 14x14 80>200 k1 s1`, `conv 16x8 32 k7x1 s2x1`."""
        height, width = self.in_shape
        shape = f"{height}x{width} {self.in_channels}"
        if self.out_channels != self.in_channels:
            shape += f">{self.out_channels}"
        if self.kind in (OpKind.CONV, OpKind.DWCONV, OpKind.MAXPOOL, OpKind.AVGPOOL, OpKind.PAD):
            kernel = f"{self.kernel}x{self.kernel_width}" if self.kernel_width else f"{self.kernel}"
            stride = f"{self.stride}x{self.stride_width}" if self.stride_width else f"{self.stride}"
            shape += f" k{kernel} s{stride}" + (f" d{self.dilation}" if self.dilation > 1 else "")
        elif self.kind is OpKind.RESIZE:
            shape += f" x{self.stride}"
        return f"{self.kind.value} {shape}"
