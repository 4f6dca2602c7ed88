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
    """One primitive operation on a square feature map of `in_size` x `in_size` pixels and `in_channels` channels."""

    kind: OpKind
    in_size: int
    in_channels: int
    out_channels: int
    kernel: int = 1
    stride: int = 1
    dilation: int = 1

    @property
    def out_size(self) -> int:
        """Height and width of the output in pixels (TensorFlow's SAME padding)."""
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
                return self.kernel**2 * self.in_channels * self.out_channels + 2 * self.out_channels
            case OpKind.DWCONV:
                return self.kernel**2 * self.in_channels + 2 * self.in_channels
            case OpKind.LINEAR:
                return self.in_channels * self.out_channels + self.out_channels
            case _:
                return 0

    @property
    def madds(self) -> int:
        """Number of multiply-adds for one image."""
        match self.kind:
            case OpKind.CONV:
                return self.out_size**2 * self.kernel**2 * self.in_channels * self.out_channels
            case OpKind.DWCONV:
                return self.out_size**2 * self.kernel**2 * self.in_channels
            case OpKind.LINEAR:
                return self.in_channels * self.out_channels
            case _:
                return 0

    def __str__(self) -> str:
        """Return a short readable form such as `conv 14x14 80>200 k1 s1`."""
        shape = f"{self.in_size}x{self.in_size} {self.in_channels}"
        if self.out_channels != self.in_channels:
            shape += f">{self.out_channels}"
        if self.kind in (OpKind.CONV, OpKind.DWCONV, OpKind.MAXPOOL, OpKind.AVGPOOL, OpKind.PAD):
            shape += f" k{self.kernel} s{self.stride}" + (f" d{self.dilation}" if self.dilation > 1 else "")
        elif self.kind is OpKind.RESIZE:
            shape += f" x{self.stride}"
        return f"{self.kind.value} {shape}"
